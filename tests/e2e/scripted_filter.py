#!/usr/bin/python3
"""A filter without plugins: speaks chatd-filter's lines and does what the
text, or the folder in its first plugin's option "flags", says.

In a text: "#slow N" takes N seconds, "secret" is confidential, "forbidden" is
violence, "#unsound" gives a span that is not in the text.
In the folder: "load" holds the seconds that the next start takes, and
"loading" is made when it begins; where there is "refuse", it fails.
"""
import json
import pathlib
import re
import signal
import sys
import time


def send(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def findings(text):
    data = text.encode()
    for word, category in (b"secret", "confidential"), \
            (b"forbidden", "violence"):
        for m in re.finditer(word, data):
            yield {"plugin": "scripted", "category": category, "score": 0.9,
                   "start": m.start(), "end": m.end(), "rule": "word"}
    if b"#unsound" in data:
        yield {"plugin": "scripted", "category": "hate", "score": 0.9,
               "start": 0, "end": len(data) + 1, "rule": "word"}


def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    init = json.loads(sys.stdin.readline())
    flags = pathlib.Path(init["plugins"][0]["options"]["flags"])
    if (flags / "load").exists():
        seconds = float((flags / "load").read_text())
        (flags / "loading").write_text("")
        time.sleep(seconds)
    if (flags / "refuse").exists():
        send(event="error", code="bad_config", message="scripted refusal")
        sys.exit(1)
    send(event="ready", plugins=[{"name": "scripted", "version": "1",
                                  "rules": 2}])
    for line in sys.stdin:
        m = json.loads(line)
        if m["op"] != "check":
            send(event="done", id=m["id"])
            continue
        slow = re.search("#slow ([0-9.]+)", m["text"])
        if slow:
            time.sleep(float(slow[1]))
        send(event="done", id=m["id"], findings=list(findings(m["text"])))


main()
