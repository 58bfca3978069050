#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How many checks a second one chatd-filter does with the rules plugin.

    CHATD_BUILD=build /usr/bin/python3 tests/bench/filter.py

A reply of plain text grows by 100 bytes at a time.  For several lengths it
prints the checks a second of the new piece with the window before it, and of
the whole text so far, as plugins of version 1.0 get it.  A second is one of
processor time of chatd-filter, which includes lines and JSON.  The figures are
the medians of five rounds of half a second.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys

SRC = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
PIECE = 100
ROUNDS, SECONDS = 5, 0.5
TICKS = os.sysconf("SC_CLK_TCK")


class Filter:
    def __init__(self, packs):
        self.proc = subprocess.Popen([str(BUILD / "chatd-filter")],
                                     stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE)
        ready = self.ask(op="init", plugins=[{
            "name": "rules", "path": str(BUILD / ".libs/rules.so"),
            "options": {"packs": packs}}])
        if ready["event"] != "ready":
            sys.exit(ready["message"])
        self.window = ready["plugins"][0]["window"]
        # The process that has the plugins may be the only child, in a
        # namespace of its own.
        pid = self.proc.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as children:
            self.pid = int((children.read().split() or [pid])[0])

    def ask(self, **message):
        return self.line(json.dumps(message).encode() + b"\n")

    def settled(self, text):
        """How much of a beginning is settled."""
        return self.ask(op="check", id=1, direction="reply", text=text,
                        final=False)["settled"]

    def line(self, line):
        self.proc.stdin.write(line)
        self.proc.stdin.flush()
        return json.loads(self.proc.stdout.readline())

    def used(self):
        """Seconds of processor time so far."""
        with open("/proc/%d/stat" % self.pid) as f:
            v = f.read().rpartition(")")[2].split()
        return (int(v[11]) + int(v[12])) / TICKS

    def rate(self, **check):
        line = json.dumps(dict(check, op="check", id=1, direction="reply",
                               final=False)).encode() + b"\n"
        rates = []
        for _ in range(ROUNDS):
            n, began = 0, self.used()
            while n % 8 or self.used() < began + SECONDS:
                answer = self.line(line)
                if answer["event"] != "done":
                    sys.exit(answer["message"])
                n += 1
            rates.append(n / (self.used() - began))
        return statistics.median(rates)


def main():
    f = Filter(sys.argv[1] if len(sys.argv) > 1 else str(SRC / "etc/rules"))
    text = (SRC / "HACKING.md").read_text(encoding="ascii", errors="ignore")
    text *= 200000 // len(text) + 1
    print("window %d bytes\n%8s %12s %12s" % (
        f.window, "length", "pieces/s", "whole/s"))
    for length in 1024, 16 * 1024, 128 * 1024:
        offset = max(0, length - PIECE - f.window)
        print("%8d %12.0f %12.1f" % (
            length,
            f.rate(text=text[offset:length], offset=offset,
                   fresh=length - PIECE - offset,
                   settled=f.settled(text[:length - PIECE]) - offset),
            f.rate(text=text[:length])), flush=True)


if __name__ == "__main__":
    main()
