# SPDX-License-Identifier: Apache-2.0
"""chatd-store loses nothing that it has acknowledged: it is killed again and
again, and its disk gets full."""
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import sys

import pytest

from store_driver import Store, audit, begin, finish, read

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "fault"))
from store_faults import kill_often  # noqa: E402


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


# ---- kill -9

@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A database whose store was killed 50 times: folder, sent, acked, and the
    longest start."""
    folder = tmp_path_factory.mktemp("killed")
    os.chmod(folder, 0o700)
    return (folder, *kill_often(folder, 50))


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


def test_a_limit_of_file_size_does_not_end_the_store(store, folder):
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


def test_a_full_disk_is_reported_and_recovers_by_itself(small_disk):
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
