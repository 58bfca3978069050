#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A filter without plugins: it speaks the lines of chatd-filter. The text,
and the folder in the option "flags" of its first plugin, control it.

In a text: "#slow N" takes N seconds. "secret" is found as confidential,
"forbidden" as violence. "#unsound" gives a span outside the text, "#forge" a
finding of another plugin. "#crash" ends the process, "#fail" gives no verdict.
"#twice" is found with score 0.6 and then 0.95, "#many N" is found N times.

In the folder: "load" has the number of seconds that the next start takes, and
"loading" is created when it begins. If "refuse" exists, the start fails.
"window" has the number of bytes that the filter needs before new text. Each
check is appended to "checks".
"""
import json
import os
import pathlib
import re
import signal
import sys
import time


def send(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def findings(text, name):
    data = text.encode()
    for word, category in (b"secret", "confidential"), \
            (b"forbidden", "violence"):
        for m in re.finditer(word, data):
            yield {"plugin": name, "category": category, "score": 0.9,
                   "start": m.start(), "end": m.end(), "rule": "word"}
    many = re.search(b"#many ([0-9]+)", data)
    for i in range(int(many[1]) if many else 0):
        yield {"plugin": name, "category": "hate", "score": 0.1,
               "start": 0, "end": 1, "rule": "many-%d" % i}
    for score in (0.6, 0.95) if b"#twice" in data else ():
        yield {"plugin": name, "category": "hate", "score": score,
               "start": 0, "end": 1, "rule": "twice"}
    if b"#forge" in data:
        yield {"plugin": "other", "category": "hate", "score": 0.9,
               "start": 0, "end": 1, "rule": "word"}
    if b"#unsound" in data:
        yield {"plugin": name, "category": "hate", "score": 0.9,
               "start": 0, "end": len(data) + 1, "rule": "word"}


def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    init = json.loads(sys.stdin.readline())
    name = init["plugins"][0]["name"]
    flags = pathlib.Path(init["plugins"][0]["options"]["flags"])
    if (flags / "load").exists():
        seconds = float((flags / "load").read_text())
        (flags / "loading").write_text("")
        time.sleep(seconds)
    if (flags / "refuse").exists():
        send(event="error", code="bad_config", message="scripted refusal")
        sys.exit(1)
    window = None
    if (flags / "window").exists():
        window = int((flags / "window").read_text())
    send(event="ready", plugins=[{"name": name, "version": "1",
                                  "rules": 2, "window": window}])
    checks = open(flags / "checks", "a")
    for line in sys.stdin:
        m = json.loads(line)
        if m["op"] != "check":
            send(event="done", id=m["id"])
            continue
        print(json.dumps(m), file=checks, flush=True)
        if "#crash" in m["text"]:
            os._exit(1)
        if "#fail" in m["text"]:
            send(event="error", id=m["id"], code="filter_unavailable",
                 message="scripted failure")
            continue
        slow = re.search("#slow ([0-9.]+)", m["text"])
        if slow:
            time.sleep(float(slow[1]))
        send(event="done", id=m["id"],
             findings=list(findings(m["text"], name)))


main()
