# SPDX-License-Identifier: Apache-2.0
"""chatd with a scripted engine: protocol, limits, identity, and helpers that
start and die.  The store is the real one.  Only tests about filters have
filters."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from service import BUILD, SRC, Lost, Service, text_of


@pytest.fixture(scope="module")
def shared():
    """One service for all tests that leave it as they found it."""
    with Service(config={"limits": {"requests": 4, "requests_per_uid": 6,
                                    "prompt": "64KiB", "line": "128KiB"}}) \
            as s:
        s.wait_model()
        yield s


@pytest.fixture
def client(shared):
    with shared.client() as c:
        yield c


# ---- hello


def test_hello_has_user_model_and_limits(client):
    h = client.hello
    assert h["event"] == "hello" and h["protocol"] == 1
    assert h["server"].startswith("chatd ")
    assert h["model"]["state"] == "ready"
    assert h["model"]["name"] == "scripted"
    assert h["limits"]["line"] == 128 * 1024
    assert h["limits"]["requests"] == 4
    assert h["user"]["uid"] == os.getuid()


def test_hello_agrees_on_one_protocol_only(client):
    assert client.call("hello", protocol=1)["protocol"] == 1
    assert client.call("hello", protocol=2)["code"] == "bad_protocol"


# ---- every error that a line can cause

BAD_LINES = [
    (b"not json", "bad_json", None),
    (b"", "bad_json", None),
    (b"[1]", "bad_json", None),
    (b'{"op":"status","id":1', "bad_json", None),
    (b'{"op":"status","op":"status","id":1}', "bad_json", None),
    (b'{"op":"status","id":1,"x":"\xff"}', "bad_json", None),
    (b'{"op":"status","id":1,"x":"\xed\xa0\x80"}', "bad_json", None),
    (b'{"op":"say","id":1,"text":"a\\u0000b"}', "bad_json", None),
    (b'{"op":"status","id":1,"x":' + b"[" * 40 + b"]" * 40 + b"}",
     "bad_json", None),
    (b'{"op":"status"}', "bad_field", "id"),
    (b'{"op":"status","id":-1}', "bad_field", "id"),
    (b'{"op":"status","id":9007199254740992}', "bad_field", "id"),
    (b'{"op":"status","id":"one"}', "bad_field", "id"),
    (b'{"id":1}', "bad_field", "op"),
    (b'{"op":"dance","id":1}', "bad_field", "op"),
    (b'{"op":"status","id":1,"extra":2}', "bad_field", "extra"),
    (b'{"op":"say","id":1}', "bad_field", "text"),
    (b'{"op":"say","id":1,"text":""}', "bad_field", "text"),
    (b'{"op":"say","id":1,"text":7}', "bad_field", "text"),
    (b'{"op":"say","id":1,"text":"a","conversation":0}', "bad_field",
     "conversation"),
    (b'{"op":"say","id":1,"text":"a","conversation":99999}', "not_found",
     "conversation"),
    (b'{"op":"say","id":1,"text":"a","params":{"temperature":-1}}',
     "bad_field", "temperature"),
    (b'{"op":"say","id":1,"text":"a","params":{"temperature":1e400}}',
     "bad_json", None),
    (b'{"op":"say","id":1,"text":"a","params":{"max_tokens":-1}}',
     "bad_field", "max_tokens"),
    (b'{"op":"say","id":1,"text":"a","params":{"max_tokens":2147483648}}',
     "bad_field", "max_tokens"),
    (b'{"op":"say","id":1,"text":"a","params":{"top_k":-5}}', "bad_field",
     "top_k"),
    (b'{"op":"say","id":1,"text":"a","params":{"top_p":0}}', "bad_field",
     "top_p"),
    (b'{"op":"say","id":1,"text":"a","params":{"stop":[""]}}', "bad_field",
     "stop"),
    (b'{"op":"say","id":1,"text":"a","params":{"heat":1}}', "bad_field",
     "heat"),
    (b'{"op":"complete","id":1}', "bad_field", "prompt"),
    (b'{"op":"regenerate","id":1,"exchange":99999}', "not_found",
     "exchange"),
    (b'{"op":"cancel","id":1,"request":77}', "not_found", None),
    (b'{"op":"show","id":1,"conversation":99999}', "not_found",
     "conversation"),
    (b'{"op":"delete","id":1,"conversation":99999}', "not_found",
     "conversation"),
    (b'{"op":"show","id":1}', "bad_field", "conversation"),
    (b'{"op":"show","id":1,"conversation":1,"exchange":1}', "bad_field",
     "conversation"),
    (b'{"op":"show","id":1,"exchange":99999}', "not_found", "exchange"),
    (b'{"op":"show","id":1,"conversation":1,"limit":201}', "bad_field",
     "limit"),
    (b'{"op":"show","id":1,"conversation":1,"after":0}', "bad_field",
     "after"),
    (b'{"op":"delete","id":1}', "bad_field", "conversation"),
    (b'{"op":"delete","id":1,"exchange":99999}', "not_found", "exchange"),
    (b'{"op":"list","id":1,"kind":"regenerate"}', "bad_field", "kind"),
    (b'{"op":"rate","id":1,"exchange":99999,"thumb":1}', "not_found",
     "exchange"),
    (b'{"op":"rate","id":1,"exchange":1,"thumb":2}', "bad_field", "thumb"),
    (b'{"op":"list","id":1,"limit":1000}', "bad_field", "limit"),
    (b'{"op":"moderate","id":1,"text":"a","direction":"up"}', "bad_field",
     "direction"),
    (b'{"op":"export","id":1,"format":"pdf"}', "bad_field", "format"),
]


@pytest.mark.parametrize("line,code,field", BAD_LINES)
def test_a_bad_line_costs_its_request_and_not_the_connection(
        client, line, code, field):
    client.raw(b'{"op":"status","id":500}\n')
    client.until("done")
    client.raw(line + b"\n")
    e = client.event()
    assert (e["event"], e["code"], e.get("field")) == ("error", code, field)
    assert client.call("status")["event"] == "done"


def test_a_line_over_the_limit_is_refused_and_the_next_one_served(client):
    client.raw(b'{"op":"say","id":1,"text":"' + b"x" * 200000 + b'"}\n')
    assert client.event()["code"] == "too_long"
    assert client.call("status")["event"] == "done"


def test_a_prompt_over_the_limit_is_refused_by_name(client):
    e = client.call("say", text="x" * 70000)
    assert (e["code"], e["field"]) == ("too_long", "text")


def test_another_protocol_is_closed(shared):
    for first in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02"):
        with shared.client() as c:
            c.raw(first)
            assert c.event()["code"] == "bad_json"
            with pytest.raises((Lost, ConnectionResetError)):
                while True:
                    c.event()


def test_the_same_id_twice_at_once_is_refused(client):
    client.send("say", ident=5, text="#wait")
    client.until("started")
    client.send("status", ident=5)
    e = client.event()
    assert (e["code"], e["field"]) == ("bad_field", "id")
    client.call("cancel", request=5)


# ---- conversations


def test_a_reply_streams_and_is_done_after_the_store_has_it(shared, client):
    seen = client.events(client.send("say", text="Hello there"))
    assert [e["event"] for e in seen][0] == "accepted"
    assert text_of(seen) == "You said: Hello there"
    done = seen[-1]
    assert done["event"] == "done" and done["stop"] == "stop"
    assert done["output_tokens"] == len("You said: Hello there")
    row = shared.rows("select state, text from reply where id = ?",
                      done["reply"])
    assert row == [("done", "You said: Hello there")]


def test_a_session_split_at_every_byte_gives_the_same_replies(shared):
    session = (b'{"op":"hello","id":1,"protocol":1}\n'
               b'{"op":"tokenize","id":2,"text":"h\xc3\xa9"}\r\n'
               b'{"op":"dance","id":3}\n'
               b'{"op":"new","id":4,"title":"t"}\n')

    def play(pieces):
        with shared.client() as c:
            for p in pieces:
                c.raw(p)
            seen = [c.event() for _ in range(4)]
        for e in seen:
            e.pop("conversation", None)
        return sorted(seen, key=lambda e: e["id"])

    whole = play([session])
    assert whole[1]["ids"] == [104, 233]
    for cut in range(1, len(session)):
        assert play([session[:cut], session[cut:]]) == whole
    assert play([bytes([b]) for b in session]) == whole


def test_two_clients_stream_at_the_same_time(shared):
    with shared.client() as a, shared.client() as b:
        ia = a.send("say", text="#long 60")
        ib = b.send("say", text="#long 60")
        a.until("text")
        b.until("text")         # before a's reply has ended
        ea, eb = a.events(ia), b.events(ib)
    assert ea[-1]["event"] == eb[-1]["event"] == "done"


def test_several_requests_run_on_one_connection(client):
    ids = [client.send("say", text="#say reply %d" % i) for i in range(3)]
    got = {i: "" for i in ids}
    left = set(ids)
    while left:
        e = client.event()
        if e["event"] == "text":
            got[e["id"]] += e["text"]
        elif e["event"] == "done":
            left.discard(e["id"])
    assert list(got.values()) == ["reply 0", "reply 1", "reply 2"]


def test_history_goes_with_the_conversation_across_connections(shared):
    with shared.client() as c:
        _, done = c.say("#say first reply")
    with shared.client() as c:
        text, again = c.say("#history", conversation=done["conversation"])
    assert again["conversation"] == done["conversation"]
    assert text == "2 turns before: #say first reply | first reply"


def test_an_exchange_can_not_be_deleted_during_its_regenerate(client):
    _, done = client.say("#say first")
    ids = [client.next_id, client.next_id + 1, client.next_id + 2]
    client.next_id += 3
    client.raw(b"".join(json.dumps(m).encode() + b"\n" for m in (
        {"op": "regenerate", "id": ids[0], "exchange": done["exchange"]},
        {"op": "delete", "id": ids[1],
         "conversation": done["conversation"]},
        {"op": "regenerate", "id": ids[2], "exchange": done["exchange"]})))
    ended = {}
    while len(ended) < 3:
        e = client.event()
        if e["event"] in ("done", "error"):
            ended[e["id"]] = e
    assert ended[ids[0]]["event"] == "done"
    assert ended[ids[1]]["code"] == "busy"
    assert ended[ids[2]]["code"] == "busy"


def test_regenerate_adds_a_reply_without_the_old_one_in_view(client):
    _, first = client.say("#say one")
    _, second = client.say("#history", conversation=first["conversation"])
    seen = client.events(client.send("regenerate",
                                     exchange=second["exchange"]))
    assert text_of(seen) == "2 turns before: #say one | one"
    assert seen[-1]["exchange"] == second["exchange"]
    assert seen[-1]["reply"] != second["reply"]


def test_complete_sends_a_raw_prompt_outside_any_conversation(client):
    seen = client.events(client.send("complete", prompt="#say raw"))
    assert text_of(seen) == "raw"
    assert seen[-1]["conversation"] is None


def test_seed_is_drawn_reported_and_kept(client):
    _, a = client.say("x")
    _, b = client.say("x")
    _, c = client.say("x", params={"seed": 42})
    assert a["seed"] != b["seed"] and c["seed"] == 42


def test_max_tokens_ends_a_reply(client):
    text, done = client.say("#long 50", params={"max_tokens": 5})
    assert (text, done["stop"], done["output_tokens"]) == \
        ("w0 w1", "length", 5)


def test_conversations_are_listed_shown_and_deleted(client):
    conv = client.call("new", title="about tea")["conversation"]
    client.say("#say green", conversation=conv)
    seen = client.events(client.send("list"))
    mine = [e["conversation"] for e in seen[:-1]
            if e["conversation"]["conversation"] == conv]
    assert mine[0]["title"] == "about tea"
    seen = client.events(client.send("show", conversation=conv))
    assert seen[0]["exchange"]["replies"][0]["text"] == "green"
    assert client.call("delete", conversation=conv)["event"] == "done"
    assert client.call("show", conversation=conv)["code"] == "not_found"


@pytest.mark.parametrize("reason", ["incorrect", "unhelpful", "harmful"])
def test_a_rating_with_reason_and_ideal_is_stored(shared, client, reason):
    _, done = client.say("#say wrong")
    e = client.call("rate", exchange=done["exchange"], thumb=-1,
                    reasons=[reason], ideal="right", comment="no")
    assert e["event"] == "done" and e["reply"] == done["reply"]
    seen = client.events(client.send("show",
                                     conversation=done["conversation"]))
    rating = seen[0]["exchange"]["replies"][0]["rating"]
    assert (rating["thumb"], rating["reasons"], rating["ideal"]) == \
        (-1, [reason], "right")


def test_a_rating_is_added_to_and_replaced(client):
    _, done = client.say("#say wrong")

    def rating():
        seen = client.events(client.send(
            "show", conversation=done["conversation"]))
        r = seen[0]["exchange"]["replies"][0]["rating"]
        return r["thumb"], r["reasons"], r.get("ideal")

    client.call("rate", exchange=done["exchange"], thumb=-1,
                reasons=["unhelpful"])
    client.call("rate", exchange=done["exchange"], ideal="better")
    assert rating() == (-1, ["unhelpful"], "better")
    client.call("rate", exchange=done["exchange"], thumb=1)
    assert rating() == (1, [], None)


def test_a_rating_with_an_unknown_reason_is_refused(client):
    _, done = client.say("#say x")
    e = client.call("rate", exchange=done["exchange"], thumb=-1,
                    reasons=["boring"])
    assert e["code"] == "bad_field"


def test_export_gives_the_callers_conversations(client):
    _, done = client.say("#say exported text")
    client.call("rate", exchange=done["exchange"], thumb=1)
    seen = client.events(client.send("export", format="messages"))
    assert seen[-1]["event"] == "done"
    rows = [json.loads(x) for x in text_of(seen).splitlines()]
    assert any(m["content"] == "exported text"
               for r in rows for m in r["messages"])


# ---- cancelling, leaving, limits


def test_cancel_ends_a_reply_and_keeps_what_was_written(shared, client):
    ident = client.send("say", text="#forever")
    client.until("text")
    assert client.call("cancel", request=ident)["event"] == "done"
    done = client.events(ident)[-1]
    assert done["stop"] == "cancelled"
    state, text = shared.rows("select state, text from reply where id = ?",
                              done["reply"])[0]
    assert state == "cancelled" and text.startswith("w")


def test_a_client_that_leaves_cancels_its_reply(shared):
    with shared.client() as c:
        c.send("say", text="#forever")
        accepted = c.until("accepted")
        c.until("text")
    shared.wait(lambda: shared.rows(
        "select state from reply where id = ?",
        accepted["reply"]) == [("cancelled",)])
    assert shared.status()["exchanges"]["running"] == 0


def test_a_client_that_only_stops_sending_gets_its_whole_reply(shared):
    with shared.client() as c:
        ident = c.send("say", text="#long 40")
        c.sock.shutdown(socket.SHUT_WR)
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        with pytest.raises(Lost):
            c.event()


def test_busy_above_the_limits_of_connection_and_user(shared):
    with shared.client() as a, shared.client() as b:
        ids = [a.send("say", text="#wait") for _ in range(5)]
        e = a.events(ids[4])[-1]
        assert e["code"] == "busy" and "connection" in e["message"]
        ids = [b.send("say", text="#wait") for _ in range(3)]
        e = b.events(ids[2])[-1]
        assert e["code"] == "busy" and "user" in e["message"]
    shared.wait(lambda: shared.status()["exchanges"]["waiting"] +
                shared.status()["exchanges"]["running"] == 0)


def test_a_conversation_has_one_reply_at_a_time(client):
    conv = client.call("new")["conversation"]
    ident = client.send("say", text="#wait", conversation=conv)
    client.until("accepted")
    assert client.call("say", text="x", conversation=conv)["code"] == "busy"
    assert client.call("delete", conversation=conv)["code"] == "busy"
    client.call("cancel", request=ident)


def test_many_pipelined_requests_leave_others_served(shared):
    with shared.client() as a, shared.client() as b:
        a.sock.setblocking(False)
        blob = b"".join(b'{"op":"status","id":%d}\n' % i
                        for i in range(10000))
        sent = a.sock.send(blob)
        assert sent > 0
        assert b.call("status")["event"] == "done"


def test_an_unfinished_line_is_not_waited_for_for_ever():
    with Service(config={"limits": {"line_time": "200ms"}}) as s:
        with s.client() as slow, s.client() as idle:
            slow.raw(b'{"op":')
            with pytest.raises(Lost):
                slow.event()
            assert idle.call("status")["event"] == "done"


def test_a_reader_that_does_not_read_is_dropped_and_cancelled():
    with Service(config={"limits": {"output": "4KiB", "stall_time": "300ms"},
                         "defaults": {"max_tokens": 1000000}},
                 env={"SCRIPTED_TICK": "0"}) as s:
        s.wait_model()
        with s.client() as c, s.client() as other:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            c.send("say", text="#forever")
            s.wait(lambda: s.rows(
                "select state from reply") == [("cancelled",)])
            assert other.say("#say fine")[0] == "fine"


# ---- the engine


def test_a_reply_goes_on_as_if_the_engine_had_not_died():
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            plain, _ = c.say("#die 999999", params={"max_tokens": 400})
            seen = c.events(c.send("say", text="#die 37",
                                   params={"max_tokens": 400}))
        assert text_of(seen) == plain
        assert [e["code"] for e in seen if e["event"] == "notice"] == \
            ["engine_restarted"]
        assert seen[-1]["event"] == "done"
        ids = s.rows("select count(*) from reply where state = 'done'")
        assert ids == [(2,)]
        assert s.status()["helpers"]["engine"]["restarts"] == 1


def test_an_engine_killed_from_outside_costs_a_pause_for_all(shared):
    clients = [shared.client() for _ in range(3)]
    idents = [c.send("say", text="#long 120", params={"max_tokens": 900})
              for c in clients]
    for c in clients:
        c.until("text")
    os.kill(shared.helper_pid("engine"), signal.SIGKILL)
    expected = " ".join("w%d" % i for i in range(120))
    for c, i in zip(clients, idents):
        seen = c.events(i)
        assert seen[-1]["event"] == "done"
        assert expected.endswith(text_of(seen))
        row = shared.rows("select text from reply where id = ?",
                          seen[-1]["reply"])
        assert row == [(expected,)]
        c.sock.close()


def test_an_exchange_that_kills_every_engine_ends_engine_lost():
    with Service(config={"engine": {"attempts": 1}}) as s:
        s.wait_model()
        with s.client() as c:
            e = c.call("say", text="#die-always 5")
        assert e["code"] == "engine_lost"
        assert s.rows("select state, text from reply") == \
            [("failed", "w0 w1 w2 w"[:10])]


def test_an_engine_that_breaks_the_protocol_is_replaced(shared, client):
    before = shared.status()["helpers"]["engine"]["restarts"]
    ident = client.send("say", text="#lie")
    client.until("notice")
    client.call("cancel", request=ident)
    client.events(ident)
    assert shared.status()["helpers"]["engine"]["restarts"] > before
    shared.wait_model()


@pytest.mark.parametrize("code", ["context_full", "numeric_error",
                                  "too_long"])
def test_the_engines_errors_reach_the_client(client, code):
    e = client.call("say", text="#error " + code)
    assert e["code"] == code and "scripted" in e["message"]


def test_a_request_during_loading_waits_for_the_model():
    with Service(env={"SCRIPTED_LOAD": "1"}) as s:
        with s.client() as c:
            assert c.hello["model"]["state"] == "loading"
            s.wait(lambda: c.call("status")["model"].get("bytes_total")
                   == 4 << 30)
            seen = c.events(c.send("say", text="#say late"))
            assert seen[0]["code"] == "loading"
            assert text_of(seen) == "late"


def test_a_model_that_cannot_be_loaded_is_reported_with_the_reason():
    with Service(env={"SCRIPTED_REFUSE": "1"}) as s:
        s.wait_model("down")
        with s.client() as c:
            e = c.call("say", text="x")
        assert e["code"] == "engine_unavailable"
        assert "scripted refusal" in e["message"]


def test_a_hung_engine_is_killed_and_the_reply_goes_on():
    with Service(config={"engine": {"timeout": "500ms"}}) as s:
        s.wait_model()
        with s.client() as c:
            ident = c.send("say", text="#long 300",
                           params={"max_tokens": 2000})
            c.until("text")
            os.kill(s.helper_pid("engine"), signal.SIGSTOP)
            assert c.until("notice")["code"] == "engine_restarted"
            assert c.events(ident)[-1]["event"] == "done"
        expected = " ".join("w%d" % i for i in range(300))
        assert s.rows("select text from reply") == [(expected,)]


# ---- the store


def test_a_store_killed_in_the_middle_loses_nothing():
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            ident = c.send("say", text="#long 100",
                           params={"max_tokens": 600})
            c.until("text")
            os.kill(s.helper_pid("store"), signal.SIGKILL)
            done = c.events(ident)[-1]
        assert done["event"] == "done"
        assert s.rows("select state from reply where id = ?",
                      done["reply"]) == [("done",)]


def test_kill_9_of_the_daemon_loses_nothing_acknowledged():
    with Service() as s:
        acknowledged = []
        for _ in range(5):
            s.wait_model()
            with s.client() as c:
                for i in range(4):
                    acknowledged.append(c.say("#say kept %d" % i)[1])
                c.send("say", text="#forever")
                c.until("text")
                s.kill()
            s.start()
        s.wait(lambda: s.status()["helpers"]["store"]["state"] == "ready")
        for done in acknowledged:
            assert s.rows("select state from reply where id = ?",
                          done["reply"]) == [("done",)]
        assert s.rows("select count(*) from reply where state = "
                      "'interrupted'") == [(5,)]
        assert s.rows("pragma integrity_check") == [("ok",)]


def test_a_second_daemon_on_the_same_state_is_refused(shared):
    r = subprocess.run(shared.command("-s", str(shared.dir / "other")),
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 78
    assert "another chatd works there" in r.stderr
    assert not (shared.dir / "other").exists()
    assert shared.status()["event"] == "done"


def test_a_second_daemon_on_the_same_socket_is_refused(shared, tmp_path):
    r = subprocess.run(shared.command("-S", str(tmp_path / "state")),
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 78 and "serves this socket" in r.stderr
    assert shared.status()["event"] == "done"


# ---- the socket


def test_a_stale_socket_is_replaced():
    with Service() as s:
        s.kill()
        assert s.socket.exists()
        s.start()
        assert s.status()["event"] == "done"


@pytest.mark.parametrize("kind", ["file", "dir", "link"])
def test_another_kind_of_file_is_left_alone(kind):
    with Service(start=False) as s:
        if kind == "file":
            s.socket.write_text("mine")
        elif kind == "dir":
            s.socket.mkdir()
        else:
            (s.dir / "target").write_text("mine")
            s.socket.symlink_to(s.dir / "target")
        r = subprocess.run(s.command(), capture_output=True, text=True,
                           timeout=30)
        assert r.returncode == 78 and "not a socket" in r.stderr
        assert s.socket.is_symlink() or s.socket.exists()


def test_a_missing_group_is_reported_with_a_remedy():
    with Service(start=False, config={"socket": {"group": "nobody-here"}}) \
            as s:
        r = subprocess.run(s.command(), capture_output=True, text=True,
                           timeout=30)
        assert r.returncode == 78
        assert 'no group "nobody-here"; make it' in r.stderr


def test_socket_and_state_have_their_modes_from_birth():
    old = os.umask(0)
    try:
        with Service(config={"socket": {"mode": "0600"}}, start=False) as s:
            s.file.chmod(0o644)
            s.start()
            assert s.socket.stat().st_mode & 0o777 == 0o600
            assert s.state.stat().st_mode & 0o777 == 0o700
            for f in s.state.iterdir():
                assert f.stat().st_mode & 0o077 == 0, f
    finally:
        os.umask(old)


def test_a_socket_passed_by_systemd_is_served():
    with Service(start=False) as s:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(s.socket))
            listener.listen()
            script = ("import os, sys\n"
                      "os.dup2(int(sys.argv[1]), 3)\n"
                      "os.environ.update(LISTEN_PID=str(os.getpid()),"
                      " LISTEN_FDS='1')\n"
                      "os.execv(sys.argv[2], sys.argv[2:])\n")
            s.process = subprocess.Popen(
                ["/usr/bin/python3", "-c", script, str(listener.fileno()),
                 *s.command()],
                pass_fds=[listener.fileno()], stderr=open(s.log, "ab"))
            with s.client() as c:
                assert c.call("status")["event"] == "done"
            assert s.stop() == 0
            assert s.socket.exists()    # not ours to remove


# ---- configuration, signals, identity

BAD_CONFIGS = [
    ("socket:\n  pfad: x\n", ':2:3: unknown key "pfad" in socket'),
    ("limits: {clients: many}\n", "clients: expected an integer"),
    ("limits: {clients: 0}\n", "clients: 0 is not between 1 and"),
    ("limits: {conversations_per_uid: -1}\n",
     "conversations_per_uid: -1 is not between 0 and"),
    ("retention: {rated: soon}\n", "rated: expected a time"),
    ("retention: {unrated: 36501d}\n", "unrated: "),
    ("retention: {all: 1d}\n", 'unknown key "all" in retention'),
    ("limits: {bytes_per_uid: lots}\n", "bytes_per_uid: expected a size"),
    ("limits: {operator_clients: 1001}\n",
     "operator_clients: 1001 is not between 0 and 1000"),
    ("model: [1\n", "did not find expected"),
    ("a: &x 1\n", "anchors"),
    ("log_level: loud\n", "expected error, warn, info or debug"),
    ("model: {precision: fp8}\n",
     'expected auto, fp32, fp16, bf16, int8 or int4, found "fp8"'),
    ("model: {kv_precision: int4}\n",
     'expected auto, fp32, fp16, bf16 or int8, found "int4"'),
    ("model: {device: gpu}\n", "device: expected auto, cpu, cuda, cuda:N, or "
     "a list such as cuda:0,cuda:1 or cuda:0=30,cpu=14, found gpu"),
    ("model:\n  device: cuda:0,cuda:0\n",
     "device: expected each device once, found cuda:0 twice"),
    ("model:\n  device: cuda:0=30,cpu\n",
     "expected a number of layers for every device or for none"),
    ("policy: {prompt: {rude: {block: 1}}}\n", 'unknown category "rude"'),
    ("policy: {prompt: {hate: {block: 2}}}\n", "2 is not between 0 and 1"),
    ("policy: {plugins: {pii: {prompt: {rude: {block: 1}}}}}\n",
     'unknown category "rude"'),
    ("policy: {plugins: [pii]}\n", "expected names of plugins"),
    ("policy: {plugins: {pii: {groups: {}}}}\n", 'unknown direction "groups"'),
    ("filter: {timeout: soon}\n", "a time such as"),
    ("socket: {mode: 999}\n", "octal"),
    ("socket: {mode: 0660, mode: 0600}\n", "duplicate key"),
    ("filters: [{path: x}]\n", "needs a name"),
    ("filters: [{name: x, process: none}]\n",
     "process: expected auto, shared or own"),
    ("filters: [{name: x, when_off: maybe}]\n",
     "when_off: expected block or pass"),
    ("filters: [{name: x, size: 3}]\n", 'unknown key "size" in filters'),
    ("limits: {prompt: 16}\ndefaults: {preprompt: a text of 23 bytes here}\n",
     "defaults.preprompt (23 bytes) is above limits.prompt (16 bytes)"),
    ("socket: {path: ''}\n",
     "socket.path: expected a name of 1 to 107 bytes, found 0 bytes"),
    ("socket: {path: /%s}\n" % (107 * "x"), "to 107 bytes, found 108 bytes"),
]


@pytest.mark.parametrize("text,words", BAD_CONFIGS)
def test_a_bad_configuration_is_reported_with_file_line_and_key(
        tmp_path, text, words):
    f = tmp_path / "chatd.yaml"
    f.write_text(text)
    r = subprocess.run([BUILD / "chatd", "-t", "-f", f], capture_output=True,
                       text=True, timeout=30)
    assert r.returncode == 78
    assert str(f) + ":" in r.stderr and words in r.stderr


def test_the_configuration_is_checked_without_starting(shared):
    r = subprocess.run(shared.command("-t"), capture_output=True, text=True,
                       timeout=30)
    assert r.returncode == 0 and "sound" in r.stdout


def test_the_configuration_that_is_installed_is_sound(tmp_path):
    text = (BUILD / "etc/chatd.yaml").read_text()
    # Its comments show the folders of this installation.
    makefile = (BUILD / "Makefile").read_text()
    prefix = re.search("^prefix = (.*)$", makefile, re.M)[1]
    assert set(re.findall(r"# path: (/\S*)/share/chatd/mini$|"
                          r"# path: (/\S*)/lib\S*/chatd/filters/rules.so$",
                          text, re.M)) == {(prefix, ""), ("", prefix)}
    text = re.sub(r"# path: \S+/(\w+\.so)",
                  r"path: %s/\1" % (BUILD / ".libs"), text)
    text = re.sub("packs: .*", "packs: %s" % (SRC / "etc/rules"), text)
    text = re.sub(r"- name: (pii|injection|classifier|encoder)$",
                  r"- name: \1\n    path: %s/\1.so" % (BUILD / ".libs"), text,
                  flags=re.M)
    text = re.sub(r"model: .*/(\w+)\.model", r"model: %s/\1/\1.model" %
                  (SRC / "plugins"), text)
    for name in ("engine", "filter", "store"):
        text += "%s: {program: %s}\n" % (name, BUILD / ("chatd-" + name))
    f = tmp_path / "chatd.yaml"
    f.write_text(text)
    r = subprocess.run([BUILD / "chatd", "-t", "-f", f, "-m",
                        SRC / "engine/mini"], capture_output=True,
                       text=True, timeout=30)
    assert r.returncode == 0, r.stderr


def test_reload_takes_the_good_and_keeps_the_old_from_the_bad():
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            s.config["defaults"] = {"max_tokens": 3}
            s.write_config()
            assert c.call("reload")["event"] == "done"
            assert c.say("#long 9")[1]["output_tokens"] == 3
            s.file.write_text("limits: {nonsense: 1}\n")
            e = s.reload(c)
            assert e["code"] == "bad_config" and ":1:" in e["message"]
            s.process.send_signal(signal.SIGHUP)
            assert c.say("#long 9")[1]["output_tokens"] == 3


def test_sigterm_lets_replies_end_and_takes_no_new_ones():
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            ident = c.send("say", text="#long 150",
                           params={"max_tokens": 900})
            c.until("text")
            s.process.send_signal(signal.SIGTERM)
            s.wait(lambda: not s.socket.exists())
            e = c.call("say", text="x")
            assert e["code"] == "shutting_down"
            assert c.events(ident)[-1]["event"] == "done"
        assert s.process.wait(30) == 0
        assert s.rows("select state from reply") == [("done",)]


def test_sigterm_twice_ends_at_once():
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            c.send("say", text="#wait")
            c.until("accepted")
            s.process.send_signal(signal.SIGTERM)
            s.wait(lambda: not s.socket.exists())
            assert s.stop() == 0
        assert s.rows("select state from reply") == [("cancelled",)]


def test_every_step_is_reported_to_systemd():
    with Service(start=False, env={"SCRIPTED_LOAD": "0.3"}) as s:
        heard = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
            n.bind(str(s.dir / "n"))
            n.settimeout(60)
            s.process = subprocess.Popen(
                s.command(), stderr=open(s.log, "ab"),
                env=dict(s.env, NOTIFY_SOCKET=str(s.dir / "n"),
                         WATCHDOG_USEC="200000"))
            wanted = ["READY=1", "STATUS=Loading the model: 4.0 GiB of 4.0 GiB",
                      "STATUS=Serving scripted", "WATCHDOG=1",
                      "RELOADING=1", "STOPPING=1"]
            while not set(wanted) <= set(heard):
                heard += n.recv(4096).decode().split("\n")
                if "STATUS=Serving scripted" in heard and \
                        "RELOADING=1" not in heard:
                    s.process.send_signal(signal.SIGHUP)
                elif "RELOADING=1" in heard and "STOPPING=1" not in heard:
                    s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(30) == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to look into a "
                    "process that can't be dumped")
def test_helpers_do_not_speak_to_systemd_in_our_place(shared):
    for name in ("engine", "filter", "store"):
        with open("/proc/%d/environ" % shared.helper_pid(name)) as f:
            assert "NOTIFY_SOCKET" not in f.read()


def as_nobody(path, *lines):
    """Send lines as another user; return the events."""
    code = ("import socket,sys,os\n"
            "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
            "s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
            "f=s.makefile('rw'); f.readline()\n"
            "for l in sys.argv[2:]:\n"
            " f.write(l+'\\n'); f.flush(); print(f.readline(), end='')\n")
    r = subprocess.run(["/usr/bin/python3", "-c", code, str(path), *lines],
                       capture_output=True, text=True, timeout=30)
    assert r.returncode == 0, r.stderr
    return [json.loads(x) for x in r.stdout.splitlines()]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two users")
def test_what_belongs_to_another_user_is_not_found():
    with Service(config={"socket": {"mode": "0666"}}) as s:
        s.dir.chmod(0o755)
        s.wait_model()
        with s.client() as c:
            _, done = c.say("#say mine")
        conv, exch = done["conversation"], done["exchange"]
        got = as_nobody(
            s.socket,
            '{"op":"show","id":1,"conversation":%d}' % conv,
            '{"op":"delete","id":2,"conversation":%d}' % conv,
            '{"op":"rate","id":3,"exchange":%d,"thumb":1}' % exch,
            '{"op":"regenerate","id":4,"exchange":%d}' % exch,
            '{"op":"say","id":5,"text":"x","conversation":%d}' % conv)
        assert [e["code"] for e in got] == ["not_found"] * 5
        got = as_nobody(
            s.socket, '{"op":"reload","id":1}',
            '{"op":"list","id":2,"all":true}',
            '{"op":"export","id":3,"format":"csv","all":true}',
            '{"op":"say","id":4,"text":"x","uid":0}')
        assert [e["code"] for e in got] == \
            ["denied", "denied", "denied", "bad_field"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two users")
def test_the_socket_is_closed_to_others_by_its_mode():
    with Service() as s:
        s.dir.chmod(0o755)
        with pytest.raises(AssertionError, match="Permission denied"):
            as_nobody(s.socket, '{"op":"status","id":1}')


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to look into a "
                    "process that can't be dumped")
def test_no_descriptor_or_exchange_leaks(shared):
    def open_files():
        return len(os.listdir("/proc/%d/fd" % shared.process.pid))

    with shared.client() as c:
        c.say("#say warm")
    before = open_files()
    for _ in range(30):
        shared.wait(lambda: shared.status()["exchanges"]["running"] +
                    shared.status()["exchanges"]["waiting"] < 3)
        with shared.client() as c:
            c.send("say", text="#forever")
            c.until("accepted")
    shared.wait(lambda: shared.status()["exchanges"]["running"] +
                shared.status()["exchanges"]["waiting"] == 0)
    shared.wait(lambda: open_files() <= before)
