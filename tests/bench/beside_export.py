#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long a write takes beside an export, by hand, as root:

    CHATD_SRC=... CHATD_BUILD=... tests/bench/beside_export.py [--rows N]
        [--seconds S]

Fills a database with N exchanges of 2 KB. Then one account makes conversations,
one after the other, and waits for each answer: alone, while another account
exports all of its exchanges through chatd again and again, and while an
exporter without chatd reads the same file. Prints the median, the 99th
percentile and the longest wait of each, and what the export gave."""
import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from service import BUILD, Service  # noqa: E402
from store_driver import Store, begin, finish  # noqa: E402

UID = 65534


def fill(path, rows):
    store = Store(path)
    text = "A reply of some length, as a model gives it. " * 45
    for first in range(0, rows, 200):
        keys = ["%d" % i for i in range(first, first + 200)]
        store.send(*[store.number(begin(k, uid=UID)) for k in keys])
        replies = [store.event()["reply"] for _ in keys]
        store.send(*[store.number(finish(r, text)) for r in replies])
        for _ in keys:
            store.event()
    store.close()


def writes(service, seconds):
    waits = []
    with service.client() as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            assert client.call("new", title="t")["event"] == "done"
            waits.append((time.monotonic() - start) * 1e3)
    waits.sort()
    return waits


def show(name, waits, more=""):
    print("%-26s median %6.2f ms  p99 %7.2f ms  longest %7.2f ms  (%d)%s" % (
        name, statistics.median(waits), waits[len(waits) * 99 // 100],
        waits[-1], len(waits), more), flush=True)


def exporting(service, stop, took):
    """Export again and again, and drop what comes."""
    with service.client_as(UID) as client:
        while not stop.is_set():
            client.send("export", format="oig", rating="all")
            while True:
                data = client.sock.recv(1 << 18)
                took.append(len(data))
                if b'"event":"done"' in data[-200:]:
                    break
                assert data and b'"event":"error"' not in data[-400:]
                if stop.is_set():
                    return


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=40000)
    parser.add_argument("--seconds", type=float, default=5)
    a = parser.parse_args()
    with Service(config={"socket": {"mode": "0666"}}, start=False) as s:
        s.state.mkdir(mode=0o700)
        fill(s.state / "chatd.db", a.rows)
        s.start()
        s.wait_model()
        show("alone", writes(s, a.seconds))
        stop, took = threading.Event(), []
        thread = threading.Thread(target=exporting, args=(s, stop, took))
        thread.start()
        time.sleep(0.3)
        start = time.monotonic()
        before = sum(took)
        waits = writes(s, a.seconds)
        rate = (sum(took) - before) / (time.monotonic() - start) / 1e6
        stop.set()
        thread.join()
        show("beside an export", waits, "  export %.0f MB/s" % rate)
        offline = subprocess.Popen(
            ["sh", "-c", "while :; do '%s' export --format oig --rating all --db '%s' --uid %d "
             ">/dev/null; done" % (BUILD / "chatd-store",
                                   s.state / "chatd.db", UID)],
            start_new_session=True)
        time.sleep(0.3)
        waits = writes(s, a.seconds)
        os.killpg(offline.pid, 9)
        offline.wait()
        show("beside one without chatd", waits)
    return 0


if __name__ == "__main__":
    sys.exit(main())
