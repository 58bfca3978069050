# SPDX-License-Identifier: Apache-2.0
"""The stored data of users: pages, turns of accounts, quotas and deletion."""
import json
import os
import sqlite3
import subprocess
import threading

import pytest

from service import SANITIZED, SRC, Client, Service, text_of

ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0,
                               reason="needs root to be two users")
STORE = SRC / "tests/e2e/scripted_store.py"
BUILD_STORE = {"CHATD_STORE": os.path.join(
    os.path.abspath(os.environ.get("CHATD_BUILD", ".")), "chatd-store")}

AS_NOBODY = """
import json, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
f = s.makefile("rw"); f.readline()
for n, line in enumerate(sys.argv[2:]):
    f.write(json.dumps({"id": n, **json.loads(line)}) + "\\n"); f.flush()
    events = []
    while not events or events[-1]["event"] not in ("done", "error"):
        events.append(json.loads(f.readline()))
    print(json.dumps(events))
"""


def as_nobody(service, *requests):
    """Send requests as another user. Returns the events of each."""
    service.dir.chmod(0o755)
    r = subprocess.run(["/usr/bin/python3", "-c", AS_NOBODY,
                        str(service.socket), *map(json.dumps, requests)],
                       capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stderr
    return [json.loads(line) for line in r.stdout.splitlines()]


def last(events):
    """The last event of each request."""
    return [e[-1] for e in events]


@pytest.fixture(scope="module")
def shared():
    with Service(config={"socket": {"mode": "0666"}}) as s:
        yield s.wait_model()


@pytest.fixture
def client(shared):
    with shared.client() as c:
        yield c


def items(client, op, **fields):
    """The items of one page, and its done."""
    *seen, end = client.events(client.send(op, **fields))
    assert end["event"] == "done", end
    return [e.get("exchange") or e["conversation"] for e in seen], end


# ---- pages

def test_a_conversation_is_shown_page_by_page(client):
    conv = client.say("#say 0")[1]["conversation"]
    for n in range(1, 5):
        client.say("#say %d" % n, conversation=conv)
    page, end = items(client, "show", conversation=conv, limit=3)
    assert [x["replies"][0]["text"] for x in page] == ["0", "1", "2"]
    assert end["more"] and end["title"] == "#say 0" and "next" not in end
    page, end = items(client, "show", conversation=conv, limit=3,
                      after=page[-1]["exchange"])
    assert [x["replies"][0]["text"] for x in page] == ["3", "4"]
    assert end["more"] is False


def test_a_page_ends_by_its_bytes_too(client):
    conv = client.say("y" * 250000)[1]["conversation"]
    for n in range(6):
        client.say("y" * 250000, conversation=conv)
    page, end = items(client, "show", conversation=conv, limit=200)
    assert 4 <= len(page) <= 5 and end["more"]
    rest, end = items(client, "show", conversation=conv, limit=200,
                      after=page[-1]["exchange"])
    assert len(page) + len(rest) == 7 and not end["more"]


def test_a_show_can_be_cancelled(shared, client):
    conv = client.say("y" * 250000)[1]["conversation"]
    for n in range(3):
        client.say("y" * 250000, conversation=conv)
    # The answer is more than chatd keeps for a client that does not read.
    client.send("show", ident=900, conversation=conv)
    client.sock.shutdown(1)
    events = client.events(900)
    assert events[-1]["event"] == "done"
    with shared.client() as c:      # one that goes in the middle
        c.send("show", conversation=conv)
        c.until("item")
    with shared.client() as c:
        assert c.call("list")["event"] == "done"


# ---- raw prompts

def test_a_raw_prompt_can_be_listed_shown_and_deleted(shared, client):
    *_, done = client.events(client.send("complete", prompt="#say raw-mark"))
    n = done["exchange"]
    listed, _ = items(client, "list", kind="complete", limit=1)
    assert listed[0]["exchange"] == n
    assert listed[0]["title"] == "#say raw-mark"
    (x,), end = items(client, "show", exchange=n)
    assert (x["kind"], x["prompt"]) == ("complete", "#say raw-mark")
    assert x["replies"][0]["text"] == "raw-mark"
    assert end["conversation"] is None
    assert found(shared, b"raw-mark")
    assert client.call("delete", exchange=n) == {
        "event": "done", "id": client.next_id - 1}
    assert client.call("show", exchange=n)["code"] == "not_found"
    shared.wait(lambda: not found(shared, b"raw-mark"))


def test_an_exchange_of_a_conversation_is_shown_but_not_deleted_alone(client):
    done = client.say("#say part")[1]
    (x,), end = items(client, "show", exchange=done["exchange"])
    assert x["replies"][0]["text"] == "part"
    assert end["conversation"] == done["conversation"]
    e = client.call("delete", exchange=done["exchange"])
    assert (e["code"], e["field"]) == ("bad_field", "exchange")


def test_a_raw_prompt_that_is_being_answered_is_busy(client):
    ident = client.send("complete", prompt="#forever")
    n = client.until("accepted")["exchange"]
    other = client.send("delete", exchange=n)
    while (e := client.event())["id"] != other:
        pass
    assert e["code"] == "busy"
    client.call("cancel", request=ident)


# ---- ownership

@ROOT_ONLY
def test_another_users_data_is_never_found(shared, client):
    done = client.say("#say mine")[1]
    *_, raw = client.events(client.send("complete", prompt="#say mine"))
    got = as_nobody(
        shared,
        {"op": "show", "conversation": done["conversation"]},
        {"op": "show", "exchange": done["exchange"]},
        {"op": "show", "exchange": raw["exchange"]},
        {"op": "delete", "conversation": done["conversation"]},
        {"op": "delete", "exchange": raw["exchange"]},
        {"op": "delete", "exchange": done["exchange"]},
        {"op": "rate", "exchange": raw["exchange"], "thumb": 1},
        {"op": "regenerate", "exchange": raw["exchange"]})
    assert [e["code"] for e in last(got)] == ["not_found"] * 8
    # The same message as for something that never existed.
    nothing = as_nobody(shared, {"op": "show", "exchange": 99999},
                        {"op": "delete", "exchange": 99999})
    for theirs, none in zip((got[2], got[4]), nothing):
        assert theirs[0]["message"].replace(str(raw["exchange"]), "N") == \
            none[0]["message"].replace("99999", "N")
    numbers = [e["exchange"]["exchange"] for e in as_nobody(
        shared, {"op": "list", "kind": "complete"})[0][:-1]]
    assert raw["exchange"] not in numbers
    denied = as_nobody(shared, {"op": "list", "kind": "complete",
                                "all": True})
    assert last(denied)[0]["code"] == "denied"


@ROOT_ONLY
def test_operators_delete_for_others_and_it_is_logged(shared, client):
    said, raw = last(as_nobody(shared, {"op": "say", "text": "#say theirs"},
                               {"op": "complete", "prompt": "#say theirs"}))
    for key, n in ("conversation", said["conversation"]), \
            ("exchange", raw["exchange"]):
        assert client.call("delete", **{key: n})["event"] == "done"
        assert "uid 0 (operator) has deleted %s %d of uid 65534" % (key, n) \
            in shared.log.read_text()
        assert client.call("show", **{key: n})["code"] == "not_found"
    mine = client.say("#say mine")[1]["conversation"]
    client.call("delete", conversation=mine)
    assert "conversation %d of" % mine not in shared.log.read_text()


@ROOT_ONLY
def test_an_operator_does_not_delete_under_a_running_reply(shared, client):
    talker = subprocess.Popen(
        ["/usr/bin/python3", "-c", AS_NOBODY, str(shared.socket),
         '{"op":"say","text":"#forever"}'], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL)
    try:
        shared.wait(lambda: shared.rows(
            "SELECT e.conversation FROM exchange e JOIN reply r "
            "ON r.exchange = e.id WHERE e.uid = 65534 AND "
            "r.state = 'running'"))
        (conv,), = shared.rows(
            "SELECT e.conversation FROM exchange e JOIN reply r "
            "ON r.exchange = e.id WHERE r.state = 'running' AND e.uid = 65534")
        assert client.call("delete", conversation=conv)["code"] == "busy"
    finally:
        talker.kill()
        talker.wait()
    shared.wait(lambda: client.call("delete", conversation=conv)["event"] ==
                "done")


# ---- quotas

def limited(**limits):
    return Service(config={"socket": {"mode": "0666"}, "limits": limits})


@ROOT_ONLY
def test_a_request_over_the_quota_is_refused_until_some_is_deleted():
    with limited(conversations_per_uid=2, bytes_per_uid="1100B") as s:
        s.wait_model()
        first, second, third, said, to_first = as_nobody(
            s, {"op": "new"}, {"op": "say", "text": "#say a"}, {"op": "new"},
            {"op": "say", "text": "#say b"},
            {"op": "say", "text": "#say " + "c" * 250, "conversation": 1})
        assert last([first, second])[1]["event"] == "done"
        for refused in last([third, said]):
            assert refused["code"] == "quota"
            assert refused["field"] == "conversations"
            assert (refused["used"], refused["limit"]) == (3, 2)
        assert to_first[-1]["event"] == "done"
        for op in ({"op": "complete", "prompt": "#say d"},
                   {"op": "say", "text": "#say d", "conversation": 1},
                   {"op": "regenerate", "exchange": 1},
                   {"op": "rate", "exchange": 1, "comment": "x" * 500}):
            refused = as_nobody(s, op)[0][-1]
            assert (refused["code"], refused["field"]) == ("quota", "bytes")
            assert refused["used"] > refused["limit"] == 1100
        ended = last(as_nobody(s, {"op": "delete", "conversation": 1},
                               {"op": "say", "text": "#say e"}))
        assert [e["event"] for e in ended] == ["done", "done"]
        with s.client() as c:           # operators have no quota
            for _ in range(3):
                assert c.call("new")["event"] == "done"


@ROOT_ONLY
def test_a_reload_changes_the_quota():
    with limited(conversations_per_uid=1) as s:
        s.wait_model()
        assert last(as_nobody(s, {"op": "new"}, {"op": "new"}))[1]["code"] == \
            "quota"
        s.config["limits"]["conversations_per_uid"] = 0
        s.write_config()
        with s.client() as c:
            assert c.call("reload")["event"] == "done"
        assert last(as_nobody(s, {"op": "new"}))[0]["event"] == "done"


@ROOT_ONLY
def test_a_user_near_the_quota_gets_a_notice():
    with limited(conversations_per_uid=10) as s:
        s.wait_model()
        answers = as_nobody(s, *[{"op": "new"}] * 8,
                            {"op": "say", "text": "#say a"})
        for quiet in answers[:8]:
            assert [e["event"] for e in quiet] == ["done"]
        (notice,) = [e for e in answers[8] if e["event"] == "notice"]
        assert notice["code"] == "quota_near"
        assert (notice["field"], notice["used"], notice["limit"]) == \
            ("conversations", 9, 10)
        assert answers[8][0]["event"] == "accepted"
        assert "near" not in answers[8][-1]


# ---- no byte is left after a deletion

def found(service, text):
    """The files of the state folder, and the log, that hold text."""
    return [f.name for f in [*service.state.iterdir(), service.log]
            if f.is_file() and text in f.read_bytes()]


def test_deleted_text_is_in_no_file(shared, client):
    marks = {n: "mark-%s-of-its-own" % n for n in ("title", "prompt",
                                                  "pre", "ideal", "comment")}
    conv = client.call("new", title=marks["title"])["conversation"]
    done = client.say("#say " + marks["prompt"], conversation=conv,
                      preprompt=marks["pre"])[1]
    client.call("rate", exchange=done["exchange"], thumb=-1,
                ideal=marks["ideal"], comment=marks["comment"])
    for mark in marks.values():
        assert found(shared, mark.encode()), mark
    assert shared.log.name not in found(shared, b"mark-")
    client.call("delete", conversation=conv)
    shared.wait(lambda: not found(shared, b"of-its-own"))


# ---- turns of accounts, and bounded memory

def large_conversation(service, n, preprompt=None):
    """A conversation of n prompts of 250 KB, from this user."""
    with service.client() as c:
        conv = c.say("#say first")[1]["conversation"]
        for _ in range(n):
            c.say("y" * 250000, conversation=conv)
    return conv


def resident(pid):
    """The most memory that a process has had, in bytes."""
    with open("/proc/%d/status" % pid) as f:
        return [int(line.split()[1]) << 10 for line in f
                if line.startswith("VmHWM:")][0]


@pytest.mark.skipif(SANITIZED, reason="shadow memory counts")
def test_forty_shows_that_nobody_reads_take_bounded_memory():
    with Service() as s:
        s.wait_model()
        conv = large_conversation(s, 8)
        store = s.helper_pid("store")
        before = resident(s.process.pid)
        stuck = [s.client() for _ in range(40)]
        for c in stuck:
            c.send("show", conversation=conv, limit=200)
        with s.client() as c:
            for n in range(20):
                assert c.say("#say %d" % n)[0] == str(n)
            # A page each would be 40 MiB, the whole 80: it is a slice each.
            assert resident(s.process.pid) - before < 24 << 20
            assert resident(store) < 64 << 20
            # The store holds no read open for them.
            db = sqlite3.connect(s.state / "chatd.db", timeout=10)
            assert db.execute(
                "PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
            db.close()
        for c in stuck:
            *seen, end = c.events(1)
            assert end["event"] == "done" and end["more"]
            assert 4 <= len(seen) <= 6
            c.sock.close()
        assert s.helper_pid("store") == store
        assert resident(store) < 64 << 20


def test_no_slice_is_asked_for_before_the_last_one_is_read():
    with Service(config={"store": {"program": str(STORE)},
                         "limits": {"output": 4096}},
                 env=dict(BUILD_STORE)) as s:
        s.wait_model()
        conv = large_conversation(s, 8)
        s.kill()
        s.env["STORE_LOG"] = str(s.dir / "asked")
        s.start()
        s.wait_model()

        def slices():
            return (s.dir / "asked").read_text().count("show")

        with s.client() as stuck, s.client() as other:
            stuck.send("show", conversation=conv)
            stuck.event()
            for _ in range(20):
                other.call("list")
            assert slices() == 1
            *seen, end = stuck.events(1)
            assert end["more"] and slices() == len(seen) >= 4


def test_a_store_that_sends_more_than_a_slice_is_ended():
    with Service(config={"store": {"program": str(STORE)}},
                 env=dict(BUILD_STORE), start=False) as s:
        flood = s.dir / "flood"
        s.env["STORE_FLOOD"] = str(flood)
        s.start()
        s.wait_model()
        with s.client() as c:
            conv = c.say("#say here")[1]["conversation"]
            flood.touch()
            *seen, end = c.events(c.send("show", conversation=conv))
            assert end["code"] == "store_unavailable" and len(seen) == 200
            assert "sent more than was asked for" in s.log.read_text()
            flood.unlink()
            assert items(c, "show", conversation=conv)[0][0]["prompt"] == \
                "#say here"


@pytest.mark.parametrize("script", [
    "", '{"after": 1}', '{"limit": 50}', '{"limit": 51}', '{"limit": -1}',
    '{"limit": 50, "reply": 0}'])
def test_a_store_whose_page_has_no_end_is_ended(script):
    with Service(config={"store": {"program": str(STORE)}},
                 env=dict(BUILD_STORE), start=False) as s:
        endless = s.dir / "endless"
        s.env["STORE_ENDLESS"] = str(endless)
        s.start()
        s.wait_model()
        with s.client() as c:
            conv = c.say("#say here")[1]["conversation"]
            endless.write_text(script)
            assert c.call("show", conversation=conv, limit=50)["code"] == \
                "store_unavailable"
            assert "sent an endless page" in s.log.read_text()
            endless.unlink()
            assert items(c, "show", conversation=conv)[0][0]["prompt"] == \
                "#say here"


@ROOT_ONLY
def test_accounts_take_turns_with_reads():
    with Service(config={"store": {"program": str(STORE)},
                         "socket": {"mode": "0666"}},
                 env=dict(BUILD_STORE)) as s:
        s.wait_model()
        conv = large_conversation(s, 10)
        theirs = last(as_nobody(s, {"op": "say", "text": "#say a"}))[0]
        for _ in range(6):
            as_nobody(s, {"op": "say", "text": "y" * 100000, "conversation":
                          theirs["conversation"]})
        s.kill()
        s.env["STORE_LOG"] = str(s.dir / "asked")
        s.start()
        s.wait_model()
        stop = threading.Event()

        def greedy():
            with Client(s.socket) as c:
                while not stop.is_set():
                    c.call("show", conversation=conv)

        threads = [threading.Thread(target=greedy) for _ in range(20)]
        for t in threads:
            t.start()
        try:
            s.wait(lambda: (s.dir / "asked").read_text().count("show 0") > 40)
            seen = as_nobody(s, {"op": "show", "conversation":
                                 theirs["conversation"]})[0]
            assert text_of(seen) == "" and len(seen) == 8
        finally:
            stop.set()
            for t in threads:
                t.join()
        order = [line.split()[1] for line in
                 (s.dir / "asked").read_text().splitlines()
                 if line.startswith("show")]
        mine = [i for i, uid in enumerate(order) if uid == "65534"]
        assert len(mine) >= 2
        # Twenty wait, yet between two slices of the other account they get
        # little: the slices that were already sent, and one turn.
        assert all(b - a <= 5 for a, b in zip(mine, mine[1:]))
