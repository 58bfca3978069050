#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The real chatd-store behind a door: while the file STORE_FULL names is
there, nothing new gets through and is answered as from a full disk; while the
one STORE_GONE names is there, the store does not even start. What is asked is
noted in the file STORE_LOG names, a line "op uid" each. While the one
STORE_FLOOD names is there, a show is answered with more than is asked for."""
import json
import os
import subprocess
import sys
import threading

FULL = os.environ.get("STORE_FULL", "/nonexistent")
GONE = os.environ.get("STORE_GONE", "/nonexistent")
FLOOD = os.environ.get("STORE_FLOOD", "/nonexistent")
ENDLESS = os.environ.get("STORE_ENDLESS", "/nonexistent")
LOG = os.environ.get("STORE_LOG", "/dev/null")


def forward(store):
    for line in store.stdout:
        os.write(1, line)


def main():
    if os.path.exists(GONE):
        sys.exit(1)
    store = subprocess.Popen([os.environ["CHATD_STORE"], *sys.argv[1:]],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    out = threading.Thread(target=forward, args=(store,))
    out.start()
    for line in sys.stdin.buffer:
        m = json.loads(line)
        with open(LOG, "a") as log:
            print(m["op"], m.get("uid"), file=log)
        if m["op"] in ("begin", "finish") and os.path.exists(FULL):
            os.write(1, json.dumps(
                {"event": "error", "id": m["id"],
                 "code": "store_unavailable", "message": "scripted: full"}
            ).encode() + b"\n")
            continue
        if m["op"] == "show" and os.path.exists(FLOOD):
            item = {"event": "item", "id": m["id"], "exchange": {}}
            for _ in range(1000):
                os.write(1, json.dumps(item).encode() + b"\n")
            continue
        if m["op"] == "show" and os.path.exists(ENDLESS):
            with open(ENDLESS) as script:
                more = json.loads(script.read() or "null")
            os.write(1, json.dumps(
                {"event": "done", "id": m["id"], "next": more or
                 {"limit": m["limit"], "reply": m.get("reply", 0) + 1}}
            ).encode() + b"\n")
            continue
        store.stdin.write(line)
        store.stdin.flush()
    store.stdin.close()
    out.join()
    sys.exit(store.wait())


main()
