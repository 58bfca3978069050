# SPDX-License-Identifier: Apache-2.0
"""Backups of a database in use, and how they come back."""
import json
import os
import pathlib
import sqlite3
import stat
import subprocess
import threading
import time

import pytest

from store_driver import PROGRAM, Store, begin, finish, read


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o700)
    return tmp_path


def run(folder, *args):
    return subprocess.run([PROGRAM, *args, "--db", str(folder / "chatd.db")],
                          capture_output=True, text=True, umask=0)


def backup(folder):
    done = run(folder, "backup")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def say(store, key, **more):
    a = store.do(**begin(key, **more))
    store.do(**finish(a["reply"], "reply to " + key))
    return a


def prompts(folder):
    return [r[0] for r in read(folder, "SELECT prompt FROM exchange "
                               "ORDER BY id")]


def test_a_backup_is_private_whole_and_can_be_restored(folder):
    store = Store(folder / "chatd.db")
    say(store, "before")
    made = backup(folder)
    for path, mode in ((folder / "backup", 0o700), (made["path"], 0o600)):
        assert stat.S_IMODE(os.stat(path).st_mode) == mode
    assert made["bytes"] == os.path.getsize(made["path"])
    assert os.listdir(folder / "backup") == [os.path.basename(made["path"])]
    say(store, "after")
    name = os.path.basename(made["path"])
    assert run(folder, "restore", "--file", name).returncode == 0
    assert prompts(folder) == ["prompt of before", "prompt of after"]
    assert store.close() == 0
    again = Store(folder / "chatd.db")
    assert again.ready["event"] == "ready"
    assert prompts(folder) == ["prompt of before"]
    say(again, "later")
    assert again.close() == 0
    assert any("restored from a backup" in e for e in again.errors)
    old, = folder.glob("chatd.db.replaced-*")
    assert stat.S_IMODE(os.stat(old).st_mode) == 0o600
    db = sqlite3.connect(old)
    assert db.execute("SELECT count(*) FROM exchange").fetchone() == (2,)
    db.close()
    # Nothing else is left, and the next start restores nothing.
    Store(folder / "chatd.db").close()
    assert {p.name for p in folder.iterdir()} == {
        "backup", "chatd.db", "chatd.db.key", "chatd.db.lock", old.name}
    assert prompts(folder) == ["prompt of before", "prompt of later"]


def test_what_was_deleted_since_stays_deleted(folder):
    store = Store(folder / "chatd.db")
    gone = say(store, "one", prompt="MARKER one")
    say(store, "stays")
    raw = say(store, "raw", kind="complete", prompt="raw MARKER")
    made = backup(folder)
    store.do(op="delete", uid=1000, conversation=gone["conversation"])
    store.do(op="delete", uid=1000, exchange=raw["exchange"])
    say(store, "not in the backup")
    name = os.path.basename(made["path"])
    assert run(folder, "restore", "--file", name).returncode == 0
    store.kill()        # with a log that has not been written back
    again = Store(folder / "chatd.db")
    assert again.close() == 0
    assert prompts(folder) == ["prompt of stays"]
    assert read(folder, "SELECT count(*) FROM tombstone") == [(3,)]
    assert b"MARKER" not in (folder / "chatd.db").read_bytes()
    assert b"MARKER" in (folder / "backup" / name).read_bytes()


def test_a_refusal_of_training_is_not_undone(folder):
    store = Store(folder / "chatd.db")
    store.do(op="consent", uid=1000, consent="yes", name="anna")
    first = say(store, "one", prompt="MARKER one", name="anna", time=100)
    say(store, "two", conversation=first["conversation"], time=200)
    other = say(store, "three", name="anna")
    store.do(op="consent", uid=1001, consent="no")
    store.do(op="consent", uid=1002, consent="yes", name="carl")
    made = backup(folder)
    store.do(op="consent", uid=1000, consent="no", name="anna")
    store.do(op="consent", uid=1000, conversation=other["conversation"],
             consent="yes")
    store.do(op="consent", uid=1002, consent="unset", name="carl")
    store.do(op="consent", uid=1003, consent="no", name="dora")
    store.do(op="forget", uid=1000, since=100, until=101)
    name = os.path.basename(made["path"])
    assert run(folder, "restore", "--file", name).returncode == 0
    assert store.close() == 0
    assert Store(folder / "chatd.db").close() == 0
    assert read(folder, "SELECT uid, name, consent FROM account "
                "ORDER BY uid") == [
        (1000, "anna", 0), (1001, None, 0), (1002, "carl", None),
        (1003, "dora", 0)]
    assert read(folder, "SELECT title, consent FROM conversation "
                "ORDER BY id") == [
        ("prompt of two", None), ("prompt of three", 1)]


def test_a_database_that_is_damaged_can_be_replaced(folder):
    store = Store(folder / "chatd.db")
    say(store, "kept")
    name = os.path.basename(backup(folder)["path"])
    store.close()
    (folder / "chatd.db").write_bytes(b"rubbish" * 1000)
    refused = Store(folder / "chatd.db")
    assert refused.ready["event"] == "error"
    refused.wait()
    assert run(folder, "restore", "--file", name).returncode == 0
    again = Store(folder / "chatd.db")
    assert again.ready["event"] == "ready"
    again.close()
    assert prompts(folder) == ["prompt of kept"]
    assert any("may be back" in e for e in again.errors)


@pytest.mark.parametrize("steps", range(1, 5))
def test_a_restore_that_was_cut_is_done_by_the_next_start(folder, steps):
    store = Store(folder / "chatd.db")
    say(store, "before")
    name = os.path.basename(backup(folder)["path"])
    say(store, "after")
    store.kill()
    assert run(folder, "restore", "--file", name).returncode == 0
    # The first steps of the swap, as if the power had been lost then.
    db = folder / "chatd.db"
    for step in (lambda: (folder / "chatd.db-wal").rename(folder / "x-wal"),
                 lambda: (folder / "chatd.db-shm").unlink(missing_ok=True),
                 lambda: db.rename(folder / "x"),
                 lambda: None)[:steps]:
        step()
    again = Store(db)
    assert again.ready["event"] == "ready"
    again.close()
    assert prompts(folder) == ["prompt of before"]


@pytest.mark.parametrize("name, words", [
    ("../chatd.db", "expected the name of a file"),
    (".hidden", "expected the name of a file"),
    ("none.db", "No such file"),
    ("text.db", "not a database"),
    ("empty.db", "is empty"),
    ("other.db", "of another program"),
    ("link.db", "symbolic")])
def test_what_is_no_backup_is_refused(folder, name, words):
    store = Store(folder / "chatd.db")
    say(store, "kept")
    (folder / "backup").mkdir()
    (folder / "backup/text.db").write_text("text " * 1000)
    (folder / "backup/empty.db").touch()
    (folder / "backup/link.db").symlink_to(folder / "chatd.db")
    db = sqlite3.connect(folder / "backup/other.db")
    db.execute("CREATE TABLE t (x)")
    db.close()
    done = run(folder, "restore", "--file", name)
    assert done.returncode == 1
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert not list(folder.glob("chatd.db.restore*"))
    store.close()
    Store(folder / "chatd.db").close()
    assert prompts(folder) == ["prompt of kept"]


def test_a_backup_beside_writers_is_one_moment(folder):
    """An exchange and its finish are never apart in it."""
    store = Store(folder / "chatd.db")
    stop = threading.Event()

    def write():
        n = 0
        while not stop.is_set():
            say(store, "w%d" % n, kind="complete")
            n += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(3):
            made = backup(folder)
            db = sqlite3.connect(made["path"])
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = db.execute("SELECT count(*), max(id) FROM reply").fetchone()
            assert rows[0] == (rows[1] or 0)
            left = db.execute("SELECT count(*) FROM reply WHERE "
                              "state = 'running'").fetchone()[0]
            assert left <= 1
            db.close()
            os.unlink(made["path"])
    finally:
        stop.set()
        thread.join()
    store.close()


def test_words_of_what_was_deleted_go_after_a_kill_too(folder):
    store = Store(folder / "chatd.db")
    for n in range(20):
        say(store, "n%d" % n, prompt="Zanzibarkumquat %d" % n)
    gone = store.do(op="forget", uid=1000, all=True)
    assert gone["exchanges"] == 20
    store.kill()
    again = Store(folder / "chatd.db")
    end = time.monotonic() + 20
    while any(b"anzibarkumquat" in p.read_bytes()
              for p in folder.glob("chatd.db*")):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert again.close() == 0


ORPHANS = "PRAGMA foreign_keys = OFF; DELETE FROM conversation WHERE id = 1;"


def test_orphans_are_reported_and_removed_as_the_manual_says(folder):
    store = Store(folder / "chatd.db")
    a = say(store, "orphan", prompt="MARKER")
    store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=1, time=1)
    say(store, "stays")
    store.close()
    db = sqlite3.connect(folder / "chatd.db")
    db.executescript(ORPHANS)
    db.close()
    again = Store(folder / "chatd.db")
    assert again.ready["event"] == "ready"
    again.close()
    assert sum("1 rows of exchange belong to a row of conversation" in e
               for e in again.errors) == 1
    page = (pathlib.Path(os.environ.get("CHATD_SRC", ".")) /
            "man/chatd-db.5").read_text()
    sql = page.split("Remove orphans")[1].split('"')[1]
    db = sqlite3.connect(folder / "chatd.db")
    db.executescript("PRAGMA secure_delete = ON;" + sql)
    db.close()
    third = Store(folder / "chatd.db")
    third.close()
    assert third.errors == []
    assert prompts(folder) == ["prompt of stays"]
    assert b"MARKER" not in (folder / "chatd.db").read_bytes()
    assert read(folder, "SELECT * FROM (SELECT exchange, uid, bytes FROM size "
                "EXCEPT SELECT * FROM v_size)") == []
