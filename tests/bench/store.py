#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How many exchanges a second chatd-store takes, by hand:

    CHATD_BUILD=/path/to/build tests/bench/store.py [--seconds S]
        [--sync-ms MS] [--folder DIR] [N ...]

N is a number of clients (default: 1, 8 and 64). Each begins an exchange, waits
for the answer, finishes it with a reply of 2 KB and its tokens, waits for the
answer, and starts again. Prints answers and exchanges a second, the wait for an
answer (median, 99th percentile, longest), and the processor time of the store
for an exchange, which tells more than the speed if the machine has other work. --sync-ms makes each sync of
the disk take longer (it needs cc). The database is made in DIR, by default in
the current folder; the speed depends on the file system there."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("CHATD_BUILD", os.getcwd())
MODEL = {"path": "/m", "name": "mini", "digest": "sha256:ab",
         "precision": "bf16"}
TEXT = "A reply of some length, as a model gives it. " * 45


# The clients shall cost little beside the store.
FINISH = json.dumps({
    "op": "finish", "id": -1, "reply": -2, "state": "done", "stop": "stop",
    "text": TEXT, "ids": list(range(1000, 1400)), "prompt_tokens": 50,
    "output_tokens": 400, "dropped": 0, "queued_ms": 1, "first_ms": 2,
    "total_ms": 3, "time": 1700000000000, "verdicts": []}).replace(
        "%", "%%").replace("-1", "%d").replace("-2", "%d")
BEGIN = json.dumps({
    "op": "begin", "id": -1, "key": "-2", "uid": 1000, "kind": "say",
    "prompt": "A question of client -3", "params": {"temperature": 0.6},
    "seed": 7, "model": MODEL, "time": 1700000000000,
    "history_bytes": 65536}).replace("-1", "%d").replace(
        "-2", "%d").replace("-3", "%d")


def request(what, number, reply, client):
    """A line."""
    if what == "finish":
        return FINISH % (number, reply)
    return BEGIN % (number, number, client)


def lines(pipe):
    """Answers as they come, all that are there at a time."""
    rest = b""
    while True:
        data = os.read(pipe, 1 << 20)
        if not data:
            return
        *whole, rest = (rest + data).split(b"\n")
        yield [json.loads(line) for line in whole]


def slow_shim(folder):
    """Compile the library that makes syncs slow."""
    shim = os.path.join(folder, "slow_sync.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-o", shim,
                    os.path.join(HERE, "../fault/slow_sync.c"), "-ldl"],
                   check=True)
    return shim


def time_of(pid):
    """Seconds of processor time that a process has used."""
    with open("/proc/%d/stat" % pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(clients, seconds, folder, environment):
    os.makedirs(folder, 0o700)
    store = subprocess.Popen(
        [os.path.join(BUILD, "chatd-store")], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, env=environment)
    store.stdin.write(json.dumps(
        {"op": "init", "path": os.path.join(folder, "chatd.db")}).encode() +
        b"\n")
    store.stdin.flush()
    answers = lines(store.stdout.fileno())
    assert next(answers)[0]["event"] == "ready"
    asked, waits, done = {}, [], 0
    number = 0
    out = []

    def ask(what, reply, client):
        nonlocal number
        number += 1
        asked[number] = (what, client, time.monotonic())
        out.append(request(what, number, reply, client))

    spent = time_of(store.pid)
    start = time.monotonic()
    for client in range(clients):
        ask("begin", None, client)
    while asked:
        if out:
            store.stdin.write(("\n".join(out) + "\n").encode())
            store.stdin.flush()
            out.clear()
        for answer in next(answers):
            assert answer["event"] == "done", answer
            what, client, since = asked.pop(answer["id"])
            now = time.monotonic()
            if now - start > seconds:
                continue
            waits.append(now - since)
            done += what == "finish"
            if what == "begin":
                ask("finish", answer["reply"], client)
            else:
                ask("begin", None, client)
    spent = time_of(store.pid) - spent
    store.stdin.close()
    store.wait()
    waits.sort()
    print("%4d waiting: %6.0f answers/s %6.0f exchanges/s   wait "
          "%6.1f ms  p99 %6.1f ms  longest %6.1f ms   %.2f ms of a core "
          "for an exchange" %
          (clients, len(waits) / seconds, done / seconds,
           waits[len(waits) // 2] * 1e3, waits[len(waits) * 99 // 100] * 1e3,
           waits[-1] * 1e3, spent * 1e3 / max(done, 1)), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("clients", nargs="*", type=int)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--sync-ms", type=int, default=0)
    parser.add_argument("--folder", default=os.getcwd())
    a = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="store-bench.", dir=a.folder)
    environment = dict(os.environ)
    try:
        if a.sync_ms:
            environment.update(LD_PRELOAD=slow_shim(folder),
                               SLOW_SYNC_MS=str(a.sync_ms))
        for i, n in enumerate(a.clients or [1, 8, 64]):
            measure(n, a.seconds, os.path.join(folder, str(i)), environment)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
