#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Say one message to chatd, and print the reply: chat-say.py SOCKET TEXT"""
import json
import socket
import sys


def events(lines, ident):
    """The events of a request, up to its last one."""
    for line in lines:
        event = json.loads(line)
        if event.get("id") in (ident, None):
            yield event
            if event["event"] in ("done", "error"):
                return
    raise ConnectionError("chatd closed the connection")


def main(path, text):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        lines = sock.makefile(encoding="utf-8")
        hello = json.loads(next(lines))
        if hello["event"] != "hello" or hello["protocol"] != 1:
            return hello.get("message", "this is another protocol")
        request = {"op": "say", "id": 1, "text": text}
        sock.sendall(json.dumps(request).encode() + b"\n")
        for event in events(lines, 1):
            if event["event"] == "text":
                print(event["text"], end="", flush=True)
            elif event["event"] == "error":
                return event["code"] + ": " + event["message"]
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
