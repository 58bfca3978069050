# SPDX-License-Identifier: Apache-2.0
"""Imports: what one store exports, another one takes, and exports again."""
import json
import os
import random
import subprocess
import time

import pytest

from store_driver import PROGRAM, Store, begin, finish, read


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o700)
    return tmp_path


def export(db, *args):
    done = subprocess.run([PROGRAM, "export", "--db", db, "--all",
                           *map(str, args)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def campaign(store, seed, people=3, turns=60):
    """Conversations of several people with every kind of opinion."""
    draw = random.Random(seed)
    last = {}
    for n in range(turns):
        uid = 1000 + draw.randrange(people)
        inside = last.get(uid) if draw.random() < 0.8 else None
        kind = "say"
        extra = {"prompt": draw.choice(["Hi", "Why?", " Why?\n", "é <bot>:",
                                        "x\u2028y", "question %d" % n]),
                 "conversation": inside and inside[0]}
        if inside and draw.random() < 0.3:
            kind = "regenerate"
            extra = {"prompt": None, "exchange": draw.choice(inside[1])}
        elif draw.random() < 0.3:
            extra["preprompt"] = draw.choice(["Be kind.", "Be short.\n"])
        a = store.do(**begin("k%d-%d" % (seed, n), uid=uid, kind=kind,
                             name="user%d" % uid, **extra))
        conversation = a["conversation"]
        if not inside or inside[0] != conversation:
            last[uid] = inside = (conversation, [])
        if a["exchange"] not in inside[1]:
            inside[1].append(a["exchange"])
        done = finish(a["reply"], draw.choice(["yes", "no", "reply %d" % n]))
        done["verdicts"] = []
        done["time"] = 1700000000000 + n * 1001
        if draw.random() < 0.15:
            done["state"] = draw.choice(["cancelled", "blocked", "failed"])
        elif draw.random() < 0.1:
            done["stop"] = "length"
        store.do(**done)
        if draw.random() < 0.8:
            thumb = draw.choice([1, 1, 1, 0, -1])
            store.do(op="rate", uid=uid, exchange=a["exchange"],
                     reply=a["reply"], time=1700000000000 + n, thumb=thumb,
                     reasons=draw.choice([[], ["incorrect"], ["harmful"]])
                     if thumb < 0 else [],
                     comment=draw.choice([None, "because %d" % n]),
                     ideal=draw.choice([None, None, "ideal %d" % n]))


def take(store, text):
    return [store.do(op="import", row=line)
            for line in text.decode().split("\n") if line]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("args", [
    ["-f", "oasst"], ["-f", "messages"], ["-f", "oig"],
    ["-f", "messages", "--bare", "--unique"],
    ["-f", "oig", "--bare", "--unique"],
    ["-f", "messages", "--rating", "all"]], ids=" ".join)
def test_a_round_trip_gives_the_same_bytes(folder, args, seed):
    first = Store(folder / "first.db")
    campaign(first, seed)
    text = export(folder / "first.db", *args)
    assert text.count(b"\n") > 3
    (folder / "second").mkdir(mode=0o700)
    db = folder / "second/chatd.db"
    second = Store(db)
    answers = take(second, text)
    assert all(a["stored"] + a["known"] > 0 for a in answers)
    assert export(db, *args) == text
    # The second time everything is known.
    assert sum(a["stored"] for a in take(second, text)) == 0
    assert export(db, *args) == text
    for sql in ("SELECT exchange, uid, bytes FROM size EXCEPT "
                "SELECT * FROM v_size", "SELECT * FROM v_size EXCEPT "
                "SELECT exchange, uid, bytes FROM size"):
        assert read(folder / "second", sql) == []
    first.close()
    second.close()


def test_a_long_conversation_comes_in_rows_that_can_be_sent(folder):
    first = Store(folder / "first.db")
    a = first.do(**begin("0", prompt="\n" * 90000))
    first.do(**finish(a["reply"], "x" * 1000, verdicts=[]))
    for n in range(1, 12):
        b = first.do(**begin(str(n), conversation=a["conversation"],
                             prompt="%d" % n + "\n" * 90000))
        first.do(**finish(b["reply"], "x" * 1000, verdicts=[]))
    first.close()
    text = export(folder / "first.db", "-f", "oasst")
    lines = text.decode().splitlines()
    assert len(lines) == 6
    assert all(len(json.dumps({"op": "import", "row": x})) < 1048576
               for x in lines)
    (folder / "second").mkdir(mode=0o700)
    db = folder / "second/chatd.db"
    second = Store(db)
    take(second, text)
    second.close()
    assert export(db, "-f", "oasst") == text
    assert read(folder / "second", "SELECT count(*) FROM conversation") == \
        [(1,)]


def test_a_site_knows_its_own_rows_and_what_it_has_deleted(folder):
    store = Store(folder / "chatd.db")
    campaign(store, 1)
    text = export(folder / "chatd.db", "-f", "oasst")
    count = read(folder, "SELECT count(*) FROM reply")
    assert sum(a["stored"] for a in take(store, text)) == 0
    assert read(folder, "SELECT count(*) FROM reply") == count
    store.do(op="delete", uid=1000, conversation=1, admin=True)
    answers = take(store, text)
    assert [a["deleted"] for a in answers].count(True) == 1
    assert read(folder, "SELECT count(*) FROM conversation WHERE id = 1") == \
        [(0,)]
    store.close()


def test_two_sites_are_merged(folder):
    for name, seed in (("a", 7), ("b", 8)):
        store = Store(folder / (name + ".db"))
        campaign(store, seed)
        store.close()
    both = Store(folder / "c.db")
    texts = [export(folder / (n + ".db"), "-f", "oasst") for n in "ab"]
    for text in texts:
        take(both, text)
    assert export(folder / "c.db", "-f", "oasst") == b"".join(texts)
    both.close()


@pytest.mark.parametrize("row, word", [
    ({}, "expected a row"), ({"text": "no tags"}, "expected a row"),
    ({"text": "a <human>: b"}, "begins with"),
    ({"text": "<human>: a\n<human>: b"}, "in turns"),
    ({"text": "<human>: a"}, "without a reply"),
    ({"messages": []}, "no prompt"),
    ({"messages": [{"role": "user"}]}, "content"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "in turns"),
    ({"message_tree_id": "x"}, "without text"),
    ({"message_tree_id": "x", "prompt": {"text": "a", "replies": [
        {"text": "b"}]}}, "message_id")])
def test_a_bad_row_is_refused_with_a_reason(folder, row, word):
    store = Store(folder / "chatd.db")
    assert word in store.refused(op="import", row=json.dumps(row))["message"]
    assert read(folder, "SELECT count(*) FROM conversation") == [(0,)]
    store.close()


def test_what_is_imported_is_as_old_as_its_last_turn(folder):
    """So retention does not delete it at once; without a time it is new."""
    day = 86400000
    now = int(time.time() * 1000)
    store = Store(folder / "chatd.db")

    def reply(n, created, *next):
        return {"role": "assistant", "text": "b", "message_id": "m%d" % n,
                "created_date": created, "replies": list(next)}
    for row in (
            {"text": "<human>: no time\n<bot>: b"},
            {"message_tree_id": "t", "prompt": {
                "text": "old", "created_date": "2020-01-01T00:00:00.000Z",
                "replies": [reply(1, "2020-01-01T00:00:00.000Z", {
                    "text": "later",
                    "created_date": "2024-01-01T00:00:00.000Z",
                    "replies": [reply(2, "2024-01-01T00:00:00.000Z")]})]}}):
        assert store.do(op="import", row=json.dumps(row))["stored"] > 0
    (first,), (second,) = read(folder, "SELECT updated FROM conversation "
                               "ORDER BY id")
    assert now <= first < now + day and second == 1704067200000
    done = store.do(op="expire", rated=now - day, unrated=second)
    assert done["conversations"] == 0
    done = store.do(op="expire", rated=now - day, unrated=second + 1)
    assert done["conversations"] == 1
    store.close()


def test_of_two_ratings_by_one_user_the_last_one_counts(folder):
    store = Store(folder / "chatd.db")
    tree = {"message_tree_id": "t", "prompt": {"text": "a", "replies": [
        {"text": "b", "message_id": "m", "events": {"score": [
            {"user_id": "u", "score": 1}, {"user_id": "v", "score": 1},
            {"user_id": "u", "score": -1}]}}]}}
    assert store.do(op="import", row=json.dumps(tree))["stored"] == 1
    assert read(folder, "SELECT name, thumb FROM v_rating ORDER BY 1") == \
        [("u", -1), ("v", 1)]
    store.close()


def test_a_conversation_with_another_text_is_refused(folder):
    store = Store(folder / "chatd.db")

    def row(*prompts):
        return {"message_tree_id": "t", "metadata": {"conversation": "c"},
                "prompt": {"text": prompts[0], "replies": [
                    {"text": "r", "message_id": prompts[0]}]}}
    store.do(op="import", row=json.dumps(row("one")))
    assert "another prompt" in store.refused(
        op="import", row=json.dumps(row("two")))["message"]
    store.close()
