#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much memory and time do exports take, and do they delay writers?

usage: CHATD_BUILD=build tests/bench/export.py [-n EXCHANGES] [-w WRITERS]
           [-f FORMAT,...]

A store gets that many exchanges, in conversations of 20.  Then WRITERS writes
are always under way, first alone, then beside an export of each format.  The
largest resident size of an export must be below 64 MiB, and the 99th percentile
of the time of a write beside exports at most twice that without (figures of a
busy machine vary)."""
import argparse
import os
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
from store_driver import PROGRAM, Store, begin  # noqa: E402

RSS_MAX = 64 << 20
TURNS = 20


def fill(path, n):
    """n exchanges with a reply and a rating each, straight into the file.
    They are not put into the index for searching, which exports don't read."""
    db = sqlite3.connect(path)
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = "
                          "'trigger' AND name LIKE 'search%'").fetchall()
    for name, _ in triggers:
        db.execute("DROP TRIGGER " + name)
    db.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -100000;")
    words = "the quick brown fox jumps over the lazy dog again".split()
    db.execute("INSERT OR IGNORE INTO model VALUES (1, '/m', 'mini', "
               "'sha256:ab', 'bf16')")
    for c in range(1, n // TURNS + 1):
        first = (c - 1) * TURNS + 1
        ids = range(first, first + TURNS)
        db.execute("INSERT INTO conversation (id, uid, title, created, "
                   "updated) VALUES (?, ?, 't', 1, 1)", (c, 1000 + c % 100))
        db.executemany(
            "INSERT INTO exchange (id, conversation, uid, kind, prompt, "
            "created) VALUES (?, ?, ?, 'say', ?, 1)",
            [(i, c, 1000 + c % 100, "question %d about %s" %
              (i, words[i % 10])) for i in ids])
        db.executemany(
            "INSERT INTO reply (id, exchange, model, key, state, stop, text, "
            "params, seed, prompt_tokens, output_tokens, dropped, created, "
            "finished) VALUES (?, ?, 1, ?, 'done', 'end', ?, '{}', 1, 300, "
            "20, ?, 1, 1)",
            [(i, i, "k%d" % i, " ".join(words * 3) + " %d" % i,
              max(0, 2 * (i - first - 5))) for i in ids])
        db.executemany(
            "INSERT INTO rating (reply, uid, thumb, reasons, ideal, created) "
            "VALUES (?, ?, ?, '[]', ?, 1)",
            [(i, 1000 + c % 100, 1 if i % 3 else -1,
              None if i % 3 else "a better answer %d" % i) for i in ids])
        if c % 1000 == 0:
            db.commit()
    for _, sql in triggers:
        db.execute(sql)
    db.commit()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


class Writers:
    """Writes that are always under way, and how long each one took."""

    def __init__(self, store, n):
        self.store, self.n, self.times, self.count = store, n, [], 0
        self.sent, self.running = {}, True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def send(self):
        self.count += 1
        message = self.store.number(begin("w%d" % self.count))
        self.sent[message["id"]] = time.perf_counter()
        self.store.send(message)

    def run(self):
        for _ in range(self.n):
            self.send()
        while self.sent:
            event = self.store.event()
            begun = self.sent.pop(event["id"])
            self.times.append(time.perf_counter() - begun)
            if self.running:
                self.send()

    def take(self):
        """The 50th and 99th percentile in ms, and the number a second."""
        times, self.times = sorted(self.times), []
        if not times:
            return 0, 0, 0
        return (1000 * times[len(times) // 2],
                1000 * times[len(times) * 99 // 100], len(times))


def resident(pid):
    """The largest resident size of a process so far, in bytes."""
    try:
        text = pathlib.Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*(\d+) kB", text)
    return int(found[1]) * 1024 if found else 0


def export(path, name, out):
    """Run an export. Returns its seconds, bytes and largest size."""
    begun, size = time.perf_counter(), 0
    with open(out, "wb") as f:
        child = subprocess.Popen(
            ["nice", "-n", "10", PROGRAM, "export", "--db", path, "--all",
             "--format", name], stdout=f)
        while child.poll() is None:
            size = max(size, resident(child.pid))
            time.sleep(0.1)
    assert child.returncode == 0
    return time.perf_counter() - begun, os.path.getsize(out), size


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-n", type=int, default=100000)
    p.add_argument("-w", type=int, default=64)
    p.add_argument("-f", default="oig,preference,kto,csv")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "chatd.db"
        Store(path).close()
        begun = time.perf_counter()
        fill(path, args.n)
        print("%d exchanges, %.0f MB, written in %.0f s" % (
            args.n, path.stat().st_size / 1e6, time.perf_counter() - begun))
        store = Store(path, init=False)
        store.send({"op": "init", "path": str(path)})
        store.event(timeout=600)        # it checks the whole file
        writers = Writers(store, args.w)
        time.sleep(5)
        alone = writers.take()
        print("%-12s %10s %10s %12s %8s   write p50 %.1f ms, p99 %.1f ms, "
              "%d/s" % ("format", "seconds", "MB", "MB resident", "rows/s",
                        alone[0], alone[1], alone[2] / 5))
        worst, size = 0, 0
        for name in args.f.split(","):
            took, written, rss = export(path, name, path.with_suffix(".out"))
            beside = writers.take()
            worst, size = max(worst, beside[1]), max(size, rss)
            print("%-12s %10.1f %10.1f %12.1f %8.0f   write p50 %.1f ms, p99 "
                  "%.1f ms, %d/s" % (
                      name, took, written / 1e6, rss / 1e6, args.n / took,
                      beside[0], beside[1], beside[2] / took))
        writers.running = False
        writers.thread.join()
        store.close()
    print("resident: %.1f MB of %.1f MB allowed; p99 beside exports: %.2f "
          "times that without" % (size / 1e6, RSS_MAX / 1e6,
                                  worst / alone[1]))
    return 0 if size < RSS_MAX and worst <= 2 * alone[1] else 1


if __name__ == "__main__":
    sys.exit(main())
