# SPDX-License-Identifier: Apache-2.0
"""chatd-store driven over pipes: what it answers is on disk, whatever happens
to it afterwards."""
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import pytest

from service import SANITIZED, SRC
from store_driver import (PROGRAM, Store, audit, begin, finish, read,
                          reply_of)


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


def found(folder, text):
    return [f.name for f in folder.iterdir() if text in f.read_bytes()]


def test_a_conversation_goes_in_and_comes_out(store, folder):
    assert store.ready == {"event": "ready", "schema": 2, "interrupted": 0}
    first = store.do(**begin("a"))
    assert first["history"] == []
    store.do(**finish(first["reply"], "Hi!"))
    second = store.do(**begin("b", conversation=first["conversation"]))
    assert second["history"] == [{"prompt": "prompt of a", "reply": "Hi!"}]
    store.do(op="rate", uid=1000, exchange=first["exchange"], thumb=1,
             reasons=[], time=5)
    items, end = store.ask(op="show", uid=1000, conversation=1)
    assert [x["prompt"] for x in items] == ["prompt of a", "prompt of b"]
    assert items[0]["replies"][0]["rating"]["thumb"] == 1
    assert len(items[0]["replies"][0]["verdicts"]) == 2
    assert items[1]["replies"][0]["state"] == "running"
    assert end["title"] == "prompt of a"
    assert store.close() == 0
    assert not (folder / "chatd.db-wal").exists()


BAD = {
    "no JSON": (b"{bad\n", "bad_json", None),
    "no object": (b"[1]\n", "bad_json", None),
    "empty": (b"\n", "bad_json", None),
    "NUL": (b'{"op":"ping\\u0000","id":1}\n', "bad_json", None),
    "bad UTF-8": (b'{"op":"\xff","id":1}\n', "bad_json", None),
    "key twice": (b'{"op":"ping","id":1,"id":2}\n', "bad_json", None),
    "too deep": (b'{"a":' * 40 + b"1" + b"}" * 40 + b"\n", "bad_json", None),
    "no id": (b'{"op":"ping"}\n', "bad_field", "id"),
    "no op": (b'{"id":1}\n', "bad_field", "op"),
    "unknown op": (b'{"op":"fly","id":1}\n', "bad_field", "op"),
    "unknown field": (b'{"op":"ping","id":1,"x":1}\n', "bad_field", "x"),
    "wrong type": (b'{"op":"new","id":1,"uid":"me"}\n', "bad_field", "uid"),
    "second init": (b'{"op":"init","id":1}\n', "bad_field", "op"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_costs_itself_alone(store, name):
    line, code, field = BAD[name]
    store.send(line, {"op": "ping", "id": 77})
    error = store.event()
    assert (error["event"], error["code"]) == ("error", code)
    assert error.get("field") == field
    assert store.event() == {"event": "done", "id": 77}


@pytest.mark.parametrize("line, word", [
    ({"op": "ping", "id": 1}, "init"), ({"op": "init"}, "path"),
    ({"op": "init", "path": "/nowhere/at/all.db"}, "/nowhere/at"), (b"x\n", "")])
def test_without_a_sound_init_it_says_why_and_exits(line, word):
    s = Store(None, init=False)
    s.send(line)
    event = s.event()
    assert event["event"] == "error" and word in event["message"]
    assert s.wait() == 1


def test_the_history_and_the_prompt_fit_into_one_request_of_the_engine(store):
    first = store.do(**begin("a"))
    store.do(**finish(first["reply"], "Hi!"))
    size = len("prompt of a" + "Hi!")
    for key, room, turns in (("b", size - 1, 0), ("c", size, 1)):
        begun = store.do(**begin(key, conversation=first["conversation"],
                                 prompt="x" * ((1 << 20) - room)))
        assert len(begun["history"]) == turns



def test_a_folder_open_to_others_is_named(folder):
    os.chmod(folder, 0o777)
    s = Store(folder / "chatd.db")
    assert s.ready["event"] == "error" and str(folder) in s.ready["message"]
    assert s.wait() == 1
    os.chmod(folder, 0o700)


def test_a_second_store_exits_within_a_second(store, folder):
    start = time.monotonic()
    second = Store(folder / "chatd.db")
    assert "in use by another" in second.ready["message"]
    assert second.wait() == 1
    assert time.monotonic() - start < 1
    store.do(**begin("a"))


def test_a_damaged_database_is_told_with_repair_steps(store, folder):
    store.do(**begin("a"))
    store.close()
    path = folder / "chatd.db"
    data = bytearray(path.read_bytes())
    data[4096] = 0x55
    path.write_bytes(data)
    s = Store(path)
    assert str(path) in s.ready["message"] and ".recover" in s.ready["message"]
    assert s.wait() == 1
    assert path.read_bytes() == data


def test_it_stays_until_its_input_ends(store):
    store.do(op="ping")
    store.process.send_signal(signal.SIGTERM)
    store.process.send_signal(signal.SIGINT)
    store.do(op="ping")
    store.send(store.number(begin("last")))
    assert store.close() == 0
    assert store.event()["exchange"] == 1


def test_answers_keep_the_order_of_requests(store):
    requests = [store.number(begin("k%d" % i) if i % 3 else {"op": "stats"})
                for i in range(300)]
    store.send(*requests)
    got = [store.event() for _ in requests]
    # Writes in their order, and reads in theirs.
    for read_only in (False, True):
        assert [e["id"] for e in got if ("bytes" in e) == read_only] == \
            [r["id"] for r in requests if (r["op"] == "stats") == read_only]
    # Each read sees what was sent before it.
    for n, e in zip(range(0, 300, 3), (e for e in got if "bytes" in e)):
        assert e["exchanges"] >= n // 3 * 2


def test_deleted_text_is_gone_from_all_files(store, folder):
    mark = b"a-mark-like-no-other"
    a = store.do(**begin("a", prompt=mark.decode()))
    store.do(**finish(a["reply"], mark.decode()))
    assert found(folder, mark)
    store.do(op="delete", uid=1000, conversation=a["conversation"])
    store.do(op="ping")
    deadline = time.monotonic() + 5
    while found(folder, mark) and time.monotonic() < deadline:
        store.do(op="ping")
    assert found(folder, mark) == []


def test_the_log_never_holds_text(store, folder):
    store.do(**begin("a", prompt="a-secret"))
    store.refused(**begin("b", prompt="a-secret", seed="a-secret"))
    store.refused(**finish(1, "a-secret", state="a-secret"))
    store.close()
    assert "secret" not in "".join(store.errors)


# ---- reading much, and memory

SHADOWLESS = pytest.mark.skipif(SANITIZED, reason="shadow memory counts")


def peak(process):
    """The most memory that a process has had at once, in bytes."""
    with open("/proc/%d/status" % process.pid) as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def fill_conversation(store, exchanges, size):
    """One conversation with many long exchanges. Its number."""
    first = store.do(**begin("first", prompt="p"))
    for i in range(0, exchanges, 8):
        asked = [store.number(begin(
            "x-%d" % n, prompt="%d " % n + "y" * size,
            conversation=first["conversation"], history_bytes=0))
            for n in range(i, min(i + 8, exchanges))]
        store.send(*asked)
        for _ in asked:
            assert store.event()["event"] == "done"
    return first["conversation"]


@SHADOWLESS
def test_ninety_five_shows_of_a_large_conversation_take_little(store):
    conversation = fill_conversation(store, 56, 250000)     # 14 MB
    # What is asked at once is answered in turn, a slice each.
    asked = [store.number({"op": "show", "uid": 1000, "limit": 200,
                           "conversation": conversation})
             for _ in range(95)]
    store.send(*asked)
    items = done = 0
    while done < 95:
        event = store.event()
        assert event["event"] in ("item", "done"), event
        items += event["event"] == "item"
        done += event["event"] == "done"
    assert 95 <= items <= 95 * 3
    assert peak(store.process) < 64 << 20
    # And page for page it is all there.
    seen, after = [], 0
    while True:
        items, end = store.ask(op="show", uid=1000, after=after or None,
                               conversation=conversation)
        assert sum(len(x["prompt"]) for x in items) < 1300000
        seen += [x["prompt"].split()[0] for x in items]
        after = items[-1]["exchange"]
        if not end["more"]:
            break
    assert seen == ["p"] + [str(n) for n in range(56)]
    assert peak(store.process) < 64 << 20


@SHADOWLESS
def test_many_long_prompts_at_once_take_little(store):
    asked = [store.number(begin("k-%d" % n, prompt="y" * 250000,
                                history_bytes=0)) for n in range(250)]
    feeder = threading.Thread(target=store.send, args=asked)
    feeder.start()
    for _ in asked:
        assert store.event()["event"] == "done"
    feeder.join()
    assert peak(store.process) < 64 << 20


def test_writes_go_before_reads(store):
    conversation = fill_conversation(store, 20, 250000)
    shows = [store.number({"op": "show", "uid": 1000,
                           "conversation": conversation}) for _ in range(50)]
    write = store.number(begin("urgent", uid=7))
    store.send(*shows, write)
    before = 0
    while True:
        event = store.event()
        if event["id"] == write["id"]:
            break
        before += event["event"] == "done"
    # Those that were read before the write had come in, at most.
    assert event["event"] == "done" and before < 25
    while before < 50:
        before += store.event()["event"] == "done"


def test_no_slice_leaves_a_transaction_open(store, folder):
    conversation = fill_conversation(store, 20, 250000)
    message = store.number({"op": "show", "uid": 1000,
                            "conversation": conversation})
    store.send(message)
    while (event := store.event())["event"] == "item":
        pass
    assert "next" in event          # in the middle of a page
    assert all_written_back(folder)


def all_written_back(folder):
    """Can the log be emptied, since no reader needs what is in it?"""
    db = sqlite3.connect(folder / "chatd.db", timeout=0)
    try:
        return db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == \
            (0, 0, 0)
    finally:
        db.close()


def test_that_is_not_so_while_somebody_reads(store, folder):
    store.do(**begin("a"))
    db = sqlite3.connect(folder / "chatd.db", isolation_level=None)
    db.execute("BEGIN")
    db.execute("SELECT count(*) FROM exchange").fetchone()
    store.do(**begin("b"))
    assert not all_written_back(folder)
    db.close()
    assert all_written_back(folder)


# ---- an older file

SUMS = ("SELECT * FROM v_size EXCEPT SELECT exchange, uid, bytes FROM size",
        "SELECT exchange, uid, bytes FROM size EXCEPT SELECT * FROM v_size",
        "SELECT * FROM v_account EXCEPT "
        "SELECT uid, conversations, bytes FROM account",
        "SELECT uid, conversations, bytes FROM account WHERE bytes <> 0 "
        "EXCEPT SELECT * FROM v_account")
SCHEMA = "SELECT name, sql FROM sqlite_schema ORDER BY name"


def test_a_file_of_the_first_version_is_brought_up_to_date(folder, tmp_path):
    path = folder / "chatd.db"
    db = sqlite3.connect(path)
    db.executescript((SRC / "tests/data/store-v1.sql").read_text())
    rows = "SELECT * FROM v_exchange WHERE state <> 'running' AND reply < 4"
    before = db.execute(rows).fetchall()
    db.close()
    os.chmod(path, 0o600)
    store = Store(path)
    assert store.ready["schema"] == 2
    assert len(before) == 3 and read(folder, rows) == before
    for sql in SUMS:
        assert read(folder, sql) == []
    assert read(folder, "SELECT uid, conversations FROM account") == \
        [(1000, 2), (1001, 1)]
    store.do(**finish(4, "an answer"))
    assert store.do(op="delete", uid=1001, exchange=2)["uid"] == 1001
    assert store.refused(**begin("e", max_conversations=2))["code"] == "quota"
    for sql in SUMS:
        assert read(folder, sql) == []
    (tmp_path / "new").mkdir(mode=0o700)
    Store(tmp_path / "new/chatd.db").close()
    assert read(folder, SCHEMA) == read(tmp_path / "new", SCHEMA)
    assert store.close() == 0


# ---- kill -9

WINDOW = 16     # requests in flight while it is killed


def stream(store, prefix, end, rng, sent, acked):
    """begin and finish, WINDOW at a time, until the time is up; then kill,
    and take in what had been answered."""
    flying, n = {}, 0
    killed = False
    while True:
        while not killed and len(flying) < WINDOW:
            n += 1
            key = "%s-%d" % (prefix, n)
            flying[n] = ("begin", key)
            sent.add(("begin", key))
            store.send(dict(begin(key, conversation=rng.choice(
                [None, 1])), id=n))
        if not killed and time.monotonic() >= end:
            killed = True
            store.process.kill()
        event = store.event()
        if event is None:
            break
        assert event["event"] == "done", event
        what, key = flying.pop(event["id"])
        acked.add((what, key))
        if what == "begin" and not killed:
            n += 1
            flying[n] = ("finish", key)
            sent.add(("finish", key))
            store.send(dict(finish(event["reply"], reply_of(key)), id=n))
    store.wait()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A database whose store was killed 50 times: folder, sent, acked."""
    folder = tmp_path_factory.mktemp("killed")
    os.chmod(folder, 0o700)
    rng = random.Random(20)
    sent, acked, slowest = set(), set(), 0
    first = Store(folder / "chatd.db")
    first.do(op="new", uid=1000, time=1)
    first.close()
    for i in range(50):
        start = time.monotonic()
        s = Store(folder / "chatd.db")
        assert s.ready["event"] == "ready", s.ready
        slowest = max(slowest, time.monotonic() - start)
        try:
            stream(s, str(i), time.monotonic() + rng.uniform(0, 0.12), rng,
                   sent, acked)
        except BrokenPipeError:
            s.wait()
    Store(folder / "chatd.db").close()
    return folder, sent, acked, slowest


def test_fifty_kills_lose_nothing_acknowledged(killed):
    folder, _, acked, slowest = killed
    assert len(acked) > 500
    assert {what for what, _ in acked} == {"begin", "finish"}
    assert audit(folder, acked) == []
    assert slowest < 1, "not ready within a second of a kill"
    assert read(folder, "SELECT count(*) FROM reply "
                "WHERE state = 'running'") == [(0,)]


def test_the_audit_finds_what_was_sent_but_never_acknowledged(killed):
    folder, sent, acked, _ = killed
    assert sent > acked
    assert any("lost" in f for f in audit(folder, sent))


@pytest.mark.parametrize("sql, word", [
    ("DELETE FROM reply WHERE id BETWEEN 40 AND 80", "lost"),
    ("UPDATE reply SET text = 'x' WHERE state = 'done' AND id > 40", "half"),
    ("DELETE FROM verdict WHERE reply > 40", "half"),
    ("UPDATE reply SET state = 'interrupted', text = '', ids = x'' "
     "WHERE state = 'done' AND id > 40; DELETE FROM verdict", "lost"),
    ("PRAGMA foreign_keys = OFF; DELETE FROM conversation", "half")])
def test_the_audit_finds_damage(killed, tmp_path, sql, word):
    folder, _, acked, _ = killed
    shutil.copy(folder / "chatd.db", tmp_path / "chatd.db")
    db = sqlite3.connect(tmp_path / "chatd.db")
    db.executescript(sql)
    db.close()
    assert any(word in str(f) for f in audit(tmp_path, acked))


# ---- a disk without room

def fill(store, text):
    """Send exchanges until one is refused. Returns how many were taken."""
    for n in range(2000):
        event = store.ask(**begin("fill-%d-%d" % (store.next_id, n),
                                  prompt=text))[1]
        if event["event"] == "error":
            assert event["code"] == "store_unavailable", event
            return n
    raise AssertionError("it never got full")


def test_a_file_that_may_not_grow_is_no_end(store, folder):
    a = store.do(**begin("a"))
    _, hard = resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE,
                     (500 * 1024, hard))
    taken = fill(store, "x" * 5000)
    assert taken > 5
    big = finish(a["reply"], "y" * 500 * 1024)
    assert store.refused(**big)["code"] == "store_unavailable"
    resource.prlimit(store.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    store.do(**big)
    assert store.do(op="stats")["exchanges"] == taken + 1
    assert store.close() == 0
    assert read(folder, "PRAGMA integrity_check") == [("ok",)]


@pytest.fixture
def small_disk(folder):
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700",
                       "chatd-test", str(disk)], stderr=subprocess.DEVNULL
                      ).returncode != 0:
        pytest.skip("a small tmpfs can't be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_recovers_by_itself(small_disk):
    store = Store(small_disk / "chatd.db")
    a = store.do(**begin("a"))
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 300 * 1024)
    taken = fill(store, "x" * 5000)
    error = store.refused(**finish(a["reply"], "y" * 9000))
    assert error["code"] == "store_unavailable"
    assert "full" in error["message"]
    store.do(op="show", uid=1000, conversation=1)    # reading goes on
    ballast.unlink()
    store.do(**finish(a["reply"], "y" * 9000))
    store.do(**begin("again"))
    assert store.do(op="stats")["exchanges"] == taken + 2
    assert store.close() == 0
    assert read(small_disk, "PRAGMA integrity_check") == [("ok",)]


# ---- exports

def export(*args, **run):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True,
                          timeout=20, **run)


def test_exports_are_written_beside_a_running_store(store, folder):
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
    """Change what each of the conversations would be exported as."""
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
def test_an_export_beside_writes_is_of_one_moment(store, folder, name):
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


def write_much(store, folder):
    """Write 64 MB. The largest that the log has been."""
    largest = 0
    for i in range(0, 256, 8):
        asked = [store.number(begin("much-%d" % n, prompt="y" * 250000,
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
    if reader == "transaction":         # what would let it grow
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
def test_a_wrong_call_is_told(args, status, word):
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
