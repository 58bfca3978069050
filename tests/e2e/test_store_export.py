# SPDX-License-Identifier: Apache-2.0
"""Exports: chatd-store --export, also while a store writes to the same
database."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from store_driver import PROGRAM, Store, all_written_back, begin, finish


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o700)
    return tmp_path


@pytest.fixture
def store(folder):
    s = Store(folder / "chatd.db")
    yield s
    if s.process.poll() is None:
        s.kill()


def export(*args, **run):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True,
                          timeout=20, **run)


def test_exports_work_while_a_store_runs(store, folder):
    a = store.do(**begin("a"))
    store.do(**finish(a["reply"], "Hi!"))
    store.do(op="rate", uid=1000, exchange=1, thumb=-1, ideal="Hello!",
             time=5)
    db = folder / "chatd.db"
    done = export("--export", "oig", "--db", db, "--uid", 1000)
    assert done.returncode == 0 and done.stderr == b""
    assert json.loads(done.stdout) == {
        "text": "<human>: prompt of a\n<bot>: Hello!"}
    done = export("--export", "preference", "--db", db, "--all")
    assert json.loads(done.stdout)["rejected"][0]["content"] == "Hi!"
    done = export("--export", "messages", "--db", db, "--uid", 1001)
    assert (done.returncode, done.stdout) == (0, b"")
    done = export("--export", "csv", "--db", db, "--all")
    assert done.stdout.count(b"\r\n") == 2
    store.do(op="ping")


def rated_conversations(store):
    """More than one piece of each format: long texts, with ratings."""
    for n in range(12):
        a = store.do(**begin("r-%d" % n, prompt="p" * 50000))
        store.do(**finish(a["reply"], "%d " % n + "r" * 50000))
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=-1,
                 ideal="better", time=5)


def write_more(store):
    """Change the export of each conversation."""
    for n in range(1, 13):
        a = store.do(**begin("more-%d" % n, conversation=n))
        store.do(**finish(a["reply"], "more"))
        a = store.do(**begin("again-%d" % n, kind="regenerate", exchange=n,
                             prompt=None))
        store.do(**finish(a["reply"], "again"))
        store.do(op="rate", uid=1000, exchange=n, reply=a["reply"], thumb=1,
                 time=6)
        store.do(op="rate", uid=1000, exchange=n, reply=n, thumb=-1,
                 ideal="best", time=7)


@pytest.mark.parametrize("name", ["oig", "messages", "preference", "csv"])
def test_an_export_during_writes_shows_one_moment(store, folder, name):
    rated_conversations(store)
    args = [PROGRAM, "--export", name, "--db", folder / "chatd.db", "--all"]
    quiet = subprocess.run(args, capture_output=True, timeout=20).stdout
    assert len(quiet) > 4 * 256 * 1024 / 2
    with subprocess.Popen(args, stdout=subprocess.PIPE) as exporter:
        text = exporter.stdout.read(10)
        write_more(store)
        text += exporter.stdout.read()
    assert exporter.returncode == 0
    assert text == quiet
    assert subprocess.run(args, capture_output=True,
                          timeout=20).stdout != quiet


def write_much(store, folder, name="much"):
    """Write 64 MB. Returns the largest size of the log."""
    largest = 0
    for i in range(0, 256, 8):
        asked = [store.number(begin("%s-%d" % (name, n), prompt="y" * 250000,
                                    history_bytes=0))
                 for n in range(i, i + 8)]
        store.send(*asked)
        for _ in asked:
            assert store.event()["event"] == "done"
        largest = max(largest, (folder / "chatd.db-wal").stat().st_size)
    return largest


@pytest.mark.parametrize("reader", ["export", "transaction"])
def test_the_log_stays_small_beside_an_export_that_never_ends(
        store, folder, reader):
    rated_conversations(store)
    if reader == "transaction":         # it lets the log grow
        db = sqlite3.connect(folder / "chatd.db", isolation_level=None)
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM exchange").fetchone()
        assert write_much(store, folder) > 60 << 20
        db.close()
        return
    exporter = subprocess.Popen(
        [PROGRAM, "--export", "oig", "--db", folder / "chatd.db", "--all"],
        stdout=subprocess.PIPE)
    assert exporter.stdout.read(10) == b'{"text":"<'
    exporter.send_signal(signal.SIGSTOP)
    assert all_written_back(folder)
    assert write_much(store, folder) < 48 << 20
    exporter.kill()
    exporter.wait(20)
    exporter.stdout.close()


READER = """
import sqlite3, sys, time
dbs = [sqlite3.connect(sys.argv[1], isolation_level=None) for _ in "ab"]
print("ready", flush=True)
while True:
    for db in dbs:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM exchange").fetchone()
        time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("pause, stays", [(0.008, True), (3, False)])
def test_readers_whose_transactions_overlap_do_not_let_the_log_grow(
        store, folder, pause, stays):
    """At each moment some transaction uses the log, as beside a program that
    reads all the time. With long transactions it can't be helped."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, folder / "chatd.db", str(pause)],
        stdout=subprocess.PIPE)
    try:
        assert reader.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        largest = max(write_much(store, folder, n) for n in "ab")
    finally:
        reader.kill()
        reader.wait(20)
        reader.stdout.close()
    print("%d MB" % (largest >> 20))
    assert (largest < 110 << 20) == stays


@pytest.mark.parametrize("args, status, word", [
    (["--export", "xml", "--db", "x", "--all"], 2, "format"),
    (["--export", "oig", "--all"], 2, "--db"),
    (["--export", "oig", "--db", "x"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--all", "--uid", "1"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--uid", "me"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--uid", "-1"], 2, "--uid"),
    (["--db", "x"], 2, "--export"), (["x"], 2, "arguments"),
    (["--fly"], 2, "--help"),
    (["--export", "oig", "--db", "/nowhere/x.db", "--all"], 1, "/nowhere")])
def test_a_wrong_call_is_reported(args, status, word):
    done = export(*args)
    assert done.returncode == status and done.stdout == b""
    assert word in done.stderr.decode()


def test_help_and_version_go_to_stdout():
    assert export("--help").stdout.startswith(b"usage: chatd-store")
    assert export("--version").stdout.startswith(b"chatd-store ")


def test_a_reader_that_leaves_ends_an_export_quietly(store, folder):
    a = store.do(**begin("a"))
    store.do(**finish(a["reply"], "y" * 1000000))
    exporter = subprocess.Popen(
        [PROGRAM, "--export", "oig", "--db", folder / "chatd.db", "--all"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert exporter.stdout.read(10) == b'{"text":"<'
    exporter.stdout.close()
    assert exporter.wait(20) == 1
    assert exporter.stderr.read() == b""
    exporter.stderr.close()
