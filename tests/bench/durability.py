#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What chatd-store loses, by hand (it needs cc):

    CHATD_BUILD=/path/to/build tests/bench/durability.py [--quick]
        [--folder DIR] [NAME ...]

NAME is a part; without one, all are run:

    speed      exchanges a second with 64 clients, if each sync of the disk takes
               5 ms longer
    kills      200 times kill -9 during writes
    power      2,500 states of the disk after a power cut, and the same with
               synchronous = NORMAL and without syncs, which must lose something
    calls      each write, sync, read and truncation fails, once and for good
    migration  a file of the first schema, killed before each write and sync

--quick does a tenth of it. Exits with 1 if anything that was acknowledged is
lost, a database is damaged, or a control loses nothing. The database is made in
DIR, by default in the current folder."""
import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS / "fault"), str(TESTS / "bench")]
import store  # noqa: E402
from store_driver import audit  # noqa: E402
from store_faults import (  # noqa: E402
    compile_shim, cut_migration, kill_often, record, survey, sweep)


def place(folder, name):
    path = folder / name
    path.mkdir(mode=0o700)
    return path


def speed(_, folder, quick):
    shim = store.slow_shim(folder)
    store.measure(64, 2 if quick else 10, str(folder / "db"), dict(
        os.environ, LD_PRELOAD=shim, SLOW_SYNC_MS="5"))
    return True


def kills(_, folder, quick):
    rounds = 20 if quick else 200
    here = place(folder, "db")
    sent, acked, slowest = kill_often(here, rounds, seed=21)
    faults = audit(here, acked)
    print("%d kills: %d requests sent, %d acknowledged, %d faults; longest "
          "start %.0f ms" % (rounds, len(sent), len(acked), len(faults),
                             slowest * 1e3), flush=True)
    return not faults and len(sent) > len(acked)


def power(shim, folder, quick):
    states = 250 if quick else 2500
    full = record(shim, place(folder, "full"))
    normal = record(shim, place(folder, "normal"), SHIM_NORMAL="1")
    good = True
    for name, log, heed, safe in (
            ("synchronous = FULL", full, True, True),
            ("control: NORMAL", normal, True, False),
            ("control: no syncs", full, False, False)):
        found = survey(log, folder / name.replace(" ", "-"), states, heed)
        lost = sum(any("lost" in str(f) for f in faults)
                   for _, faults in found)
        print("%-20s %d states: %d lost something, %d are damaged" %
              (name, states, lost, len(found) - lost), flush=True)
        good &= (not found) == safe
    return good


def calls(shim, folder, quick):
    total = 0
    for call in ("write", "sync", "read", "truncate"):
        for sticky in (False, True):
            here = place(folder, "%s-%d" % (call, sticky))
            points = sweep(shim, here, call, sticky, 10 if quick else 1)
            print("%-8s fails %s: %d points, nothing lost" %
                  (call, "for good" if sticky else "once", points), flush=True)
            total += points
            shutil.rmtree(here)
    print("%d points in all" % total)
    return total > 0


def migration(shim, folder, quick):
    script = (TESTS / "data/store-v1.sql").read_text()
    for call in ("write", "sync"):
        versions = cut_migration(shim, place(folder, call), script, call,
                                 10 if quick and call == "write" else 1)
        print("killed before %d of its %ss: %s" % (
            len(versions), call, ", ".join(
                "%d times schema %d" % (versions.count(v), v)
                for v in sorted(set(versions)))), flush=True)
    return True


def main():
    parts = {f.__name__: f for f in (speed, kills, power, calls, migration)}
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *parts],
                        metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--folder", default=os.getcwd())
    a = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="durability.", dir=a.folder))
    good = True
    try:
        shim = compile_shim(folder / "shim.so")
        for name in a.names or parts:
            start = time.monotonic()
            print("-- " + name, flush=True)
            try:
                good &= parts[name](shim, place(folder, name), a.quick)
            except AssertionError as e:
                print("FAILED: %s" % e)
                good = False
            print("   %.0f s" % (time.monotonic() - start), flush=True)
    finally:
        shutil.rmtree(folder)
    print("nothing was lost" if good else "FAILED")
    return not good


if __name__ == "__main__":
    sys.exit(main())
