# SPDX-License-Identifier: Apache-2.0
"""chatd-store driven over pipes: requests and answers, the files that it makes
and opens, and the memory that it takes."""
import os
import re
import signal
import sqlite3
import threading
import time

import pytest

from service import SANITIZED, SRC
from store_driver import Store, all_written_back, begin, finish, read


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
    assert store.ready == {"event": "ready", "schema": 4, "interrupted": 0}
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
def test_a_bad_line_is_refused_alone(store, name):
    line, code, field = BAD[name]
    store.send(line, {"op": "ping", "id": 77})
    error = store.event()
    assert (error["event"], error["code"]) == ("error", code)
    assert error.get("field") == field
    assert store.event() == {"event": "done", "id": 77}


@pytest.mark.parametrize("line, word", [
    ({"op": "ping", "id": 1}, "init"), ({"op": "init"}, "path"),
    ({"op": "init", "path": "/nowhere/at/all.db"}, "/nowhere/at"),
    (b"x\n", "")])
def test_without_a_valid_init_it_gives_the_reason_and_exits(line, word):
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


def test_a_damaged_database_is_reported_with_repair_steps(store, folder):
    store.do(**begin("a"))
    store.close()
    path = folder / "chatd.db"
    data = bytearray(path.read_bytes())
    data[2 * 4096] = 0x55     # the second page is a map for shrinking
    path.write_bytes(data)
    s = Store(path)
    assert str(path) in s.ready["message"] and ".recover" in s.ready["message"]
    assert s.wait() == 1
    assert path.read_bytes() == data


def test_it_runs_until_its_input_ends(store):
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
def test_ninety_five_shows_of_a_large_conversation_take_little_memory(store):
    conversation = fill_conversation(store, 56, 250000)     # 14 MB
    # Requests that come together are answered in turns, a slice each.
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
    # All pages together have everything.
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
def test_many_long_prompts_at_once_take_little_memory(store):
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
    # At most those that were read before the write arrived.
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


def test_the_log_is_not_written_back_while_somebody_reads(store, folder):
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


def schema(folder):
    """The tables, views and triggers of a database, without comments."""
    return [(name, sql and re.sub(r"\s*--.*|\s+", " ", sql).split())
            for name, sql in read(folder, "SELECT name, sql "
                                  "FROM sqlite_schema ORDER BY name")]


def test_a_file_of_the_first_version_is_brought_up_to_date(folder, tmp_path):
    path = folder / "chatd.db"
    db = sqlite3.connect(path)
    db.executescript((SRC / "tests/data/store-v1.sql").read_text())
    rows = ("SELECT exchange, conversation, title, uid, kind, asked, prompt, "
            "preprompt, reply, state, stop, text, is_current, model, seed, "
            "params, total_ms FROM v_exchange "
            "WHERE state <> 'running' AND reply < 4")
    before = db.execute(rows).fetchall()
    db.close()
    os.chmod(path, 0o600)
    store = Store(path)
    assert store.ready["schema"] == 4
    assert len(before) == 3 and read(folder, rows) == before
    for sql in SUMS:
        assert read(folder, sql) == []
    assert read(folder, "SELECT uid, conversations FROM account") == \
        [(1000, 2), (1001, 1)]
    assert read(folder, "SELECT DISTINCT adapter, assigned FROM reply") == \
        [(None, 0)]
    new = {"name": "new", "digest": "sha256:12"}
    store.do(**finish(4, "an answer", adapter=new, assigned=True))
    assert read(folder, "SELECT adapter, adapter_digest, assigned "
                "FROM v_exchange WHERE reply = 4") == [("new", "sha256:12", 1)]
    assert store.do(op="delete", uid=1001, exchange=2)["uid"] == 1001
    assert store.refused(**begin("e", max_conversations=2))["code"] == "quota"
    for sql in SUMS:
        assert read(folder, sql) == []
    (tmp_path / "new").mkdir(mode=0o700)
    Store(tmp_path / "new/chatd.db").close()
    assert schema(folder) == schema(tmp_path / "new")
    assert store.close() == 0


def examples():
    """The statements of the examples of chatd-db(5)."""
    page = (SRC / "man/chatd-db.5").read_text().split(".Sh EXAMPLES")[1]
    page = page.split(".Sh DIAGNOSTICS")[0]
    return [re.sub(r"\s+", " ", sql) for sql in re.findall(
        r'sqlite3 (?:-readonly )?/var/lib/chatd/chatd.db \\\\?e?\n\s*"(.*?)"\n',
        page, re.S)]


def test_the_examples_of_the_page_work(store, folder):
    for n, thumb in enumerate((1, -1, 1)):
        a = store.do(**begin("x-%d" % n, build="chatd 1",
                             prompt="the capital of France, %d" % n))
        done = finish(a["reply"], "Paris %d" % n)
        done["verdicts"] = [{"direction": "reply", "category": "hate",
                             "score": 1, "rule": "r", "action": "block"}]
        store.do(**done)
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=thumb,
                 ideal="Lyon" if thumb < 0 else None, time=5)
    found = {}
    for sql in examples():
        if sql.startswith("DELETE"):
            continue
        found[sql.split()[1]] = read(folder, sql)
    assert found == {
        "rated,": [("1970-01-01 00:00:00", "[]", "the capital of France, 1",
                    "Paris 1", "Lyon")],
        "direction,": [("reply", "hate", "r", 3)],
        "*": read(folder, "SELECT * FROM account"),
        "exchange,": [],
        "rowid,": found["rowid,"],
        "x.model,": [("mini", "chatd 1", 2, 1)],
        "prompt,": [("the capital of France, 1", "Lyon", "Paris 1")],
        "conversation,": found["conversation,"]}
    assert sorted(r[0] for r in found["rowid,"]) == [1, 2, 3]
    assert "[capital]" in found["rowid,"][0][1]
    assert [r[3] for r in found["conversation,"]] == [1, 1, 1]


def test_orphans_are_reported_and_the_page_removes_them(store, folder):
    for n in range(2):
        a = store.do(**begin("x-%d" % n))
        store.do(**finish(a["reply"], "text"))
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=1, time=5)
    store.close()
    db = sqlite3.connect(folder / "chatd.db")
    db.execute("DELETE FROM conversation WHERE id = 1")     # no foreign keys
    db.commit()
    db.close()
    s = Store(folder / "chatd.db")
    s.close()
    assert "1 rows of exchange belong to a row of conversation" in \
        "".join(s.errors)
    remove = [sql for sql in examples() if sql.startswith("DELETE")][0]
    db = sqlite3.connect(folder / "chatd.db")
    db.executescript(remove)
    assert db.execute("PRAGMA foreign_key_check").fetchall() == []
    assert db.execute("SELECT count(*) FROM rating").fetchone() == (1,)
    db.execute("INSERT INTO search (search, rank) "
               "VALUES ('integrity-check', 1)")
    db.close()


def test_a_sample_in_parts_has_no_reply_twice(store):
    for n in range(40):
        a = store.do(**begin("k%d" % n))
        store.do(**finish(a["reply"], "t"))
    orders = set()
    for _ in range(3):
        seen, place, size = [], {}, 7
        while size == 7:
            done = store.do(op="replay", uid=1000, sample=7, **place)
            place = {"seed": done["seed"], "after": done["after"]}
            size = len(done["replies"])
            seen += [r["reply"] for r in done["replies"]]
        assert sorted(seen) == list(range(1, 41))
        orders.add(tuple(seen))
    assert len(orders) == 3             # each time another one
    # None is favoured: each reply is drawn about as often as the others.
    first = [store.do(op="replay", uid=1000, sample=1)["replies"][0]["reply"]
             for _ in range(400)]
    assert len(set(first)) > 30
    assert max(first.count(n) for n in set(first)) < 40
