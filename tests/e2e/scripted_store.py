#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Passes lines between chatd and the real chatd-store.  Environment variables
name files that control it:

  STORE_FULL   while the file exists, writes are answered as on a full disk
  STORE_GONE   while it exists, the store does not start
  STORE_FLOOD  while it exists, a show is answered with too many items
  STORE_LOG    a line "op uid" is appended for each request
"""
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
