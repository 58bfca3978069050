# SPDX-License-Identifier: Apache-2.0
"""Clients of chatd that are strangers: other protocols, floods, slow and cut
lines, claimed identities, places reserved for operators, and the data that a
plain user can see."""
import contextlib
import grp
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys

import pytest

from service import WAIT, Client, Lost, Service

NOBODY = 65534
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0,
                               reason="needs root to be two users")


@contextlib.contextmanager
def user(uid, others=()):
    """Connect as another user."""
    groups = os.getgroups()
    os.setgroups(others)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def nobody(service, hello=True, uid=NOBODY, groups=()):
    with user(uid, groups):
        c = Client(service.socket, hello=False)
    if hello:
        c.hello = c.event()
    return c


def public(config=None, **kw):
    """A service that everybody may connect to."""
    s = Service(config={"socket": {"mode": "0666"}, **(config or {})}, **kw)
    s.dir.chmod(0o755)
    return s.wait_model()


@pytest.fixture(scope="module")
def shared():
    with Service() as s:
        yield s.wait_model()


def closed(c):
    """Read until the connection ends; return the events."""
    seen = []
    try:
        while True:
            seen.append(c.event())
    except (Lost, ConnectionResetError):
        return seen


# ---- other protocols


GREETINGS = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "ssh": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
    "redis": b"*1\r\n$4\r\nPING\r\n",
    "redis by hand": b"PING\r\n",
    "memcached": b"stats\r\n",
    "memcached get": b"get x\r\n",
    "memcached binary": b"\x80\x0b\x00\x00" + bytes(20),
    "smtp": b"EHLO localhost\r\n",
    "ftp": b"USER anonymous\r\n",
    "d-bus": b"\0AUTH EXTERNAL 30\r\n",
    "x11": b"l\0\x0b\0\0\0\0\0\0\0\0\0",
    "postgres": b"\0\0\0\x08\x04\xd2\x16\x2f",
    "json, but no object": b"[1]\n",
    "after an empty line": b"\r\n\r\nversion\r\n",
    "without a newline": b"S",
}


@pytest.mark.parametrize("name", GREETINGS)
def test_another_protocol_gets_an_error_and_is_closed(shared, name):
    with shared.client() as c:
        c.raw(GREETINGS[name])
        (e,) = closed(c)
        assert e["code"] == "bad_json"
        assert "one JSON object per line" in e["message"]


def test_empty_lines_and_spaces_typed_by_hand_are_accepted(shared):
    with shared.client() as c:
        c.raw(b"\r\n")
        assert "empty line" in c.event()["message"]
        c.raw(b" \t")
        c.raw(b'{"op":"status","id":1}\r\n')
        assert c.event()["event"] == "done"
        c.raw(b"what now?\n")           # a later slip: only this line is lost
        assert c.event()["code"] == "bad_json"
        assert c.call("status")["event"] == "done"


# ---- lines that are refused keep their id, and cost little


REFUSED = [
    (b'{"op":"say","id":7,"text":"a","n":99999999999999999999}', "big integer"),
    (b'{"op":"say","id":7,"text":"a","n":1e400}', "overflow"),
    (b'{"n":-1e999,"op":"say","id":7}', "overflow"),
    (b'{"op":"say","id":7,"text":"a","text":"b"}', "duplicate"),
    (b'{"op":"say","id":7,"text":"\\u0000"}', "NUL"),
    (b'{"op":"say","id":7,"x":' + b"[" * 200 + b"]" * 200 + b"}", "deep"),
    (b'{"op":"say","id":7,"x":[' + b"[]," * 100000 + b"[]]}",
     "at most 256"),
    (b'{"op":"say","id":7' + b"".join(b',"k%d":0' % i for i in range(80000))
     + b"}", "at most 256"),
]


@pytest.mark.parametrize("line,word", REFUSED,
                         ids=[word for _, word in REFUSED])
def test_a_line_that_is_json_keeps_its_id_when_it_is_refused(
        shared, line, word):
    with shared.client() as c:
        c.raw(line + b"\n")
        e = c.event()
        assert (e["code"], e["id"]) == ("bad_json", 7)
        assert word in e["message"]
        assert c.call("status")["event"] == "done"


def test_a_line_that_is_not_json_has_no_id_and_ends_no_request(
        shared):
    with shared.client() as c:
        c.raw(b'{"op":"status","id":7\n')
        assert "id" not in c.event()
        c.send("say", ident=7, text="#wait")
        c.until("started")
        c.raw(b'{"op":"say","id":7,"n":1e400}\n')
        assert "id" not in c.event()
        c.call("cancel", request=7)


def test_a_number_out_of_range_is_reported_with_all_its_digits(shared):
    with shared.client() as c:
        e = c.call("say", text="x", params={"seed": 9007199254740992})
        assert e["message"] == ("seed: 9007199254740992 is not between 0 and "
                                "9007199254740991")


def test_the_limit_of_values_is_announced_and_leaves_room_for_requests(
        shared):
    with shared.client() as c:
        most = c.hello["limits"]["values"]
        assert 200 <= most <= 1000
        stops = ["s%d" % i for i in range(8)]
        seen = c.events(c.send(
            "say", text="#say ok", conversation=None, preprompt="p",
            params={"temperature": 1, "top_k": 1, "top_p": 1,
                    "repetition_penalty": 1, "seed": 1, "max_tokens": 9,
                    "stop": stops, "ignore_eos": True}))
        assert seen[-1]["event"] == "done"
        e = c.call("rate", exchange=seen[-1]["exchange"], thumb=-1,
                   reasons=["incorrect", "unhelpful", "harmful",
                            "wrong_refusal"] * 3)
        assert e["event"] == "done"


# ---- floods, slow lines, cut connections


def test_ten_thousand_requests_at_once_are_answered_and_others_meanwhile():
    with Service() as s, s.client() as c, s.client() as other:
        s.wait_model()
        c.sock.setblocking(False)
        blob = b"".join(b'{"op":"status","id":%d}\n' % i
                        for i in range(10000))
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < len(blob):
                sent += c.sock.send(blob[sent:])
        # chatd has stopped reading from it: unread answers wait.
        for _ in range(20):
            assert other.call("status")["event"] == "done"
        assert sent < len(blob)
        c.sock.settimeout(WAIT)
        for i in range(10000):
            if sent < len(blob):
                c.sock.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    sent += c.sock.send(blob[sent:sent + 65536])
                c.sock.settimeout(WAIT)
            assert c.event()["id"] == i


def test_lines_that_come_a_byte_at_a_time_are_not_waited_for():
    with Service(config={"limits": {"line_time": "500ms",
                                    "clients_per_uid": 300}}) as s, \
            s.client() as idle:
        slow = [s.client() for _ in range(200)]
        for c in slow:
            c.raw(b"{")
        sent = 1
        while slow:
            sent += 1
            assert sent < 100000
            for c in slow[:]:
                try:
                    c.raw(b" ")
                except (BrokenPipeError, ConnectionResetError):
                    c.sock.close()
                    slow.remove(c)
        assert idle.call("status")["clients"] == 1


def test_clients_that_are_cut_off_anywhere_leave_nothing_running():
    rng = random.Random(4711)
    with Service(config={"limits": {"requests": 8, "requests_per_uid": 1000,
                                    "clients_per_uid": 1000}}) as s:
        s.wait_model()
        line = b'{"op":"say","id":1,"text":"#long 40"}\n'
        files = len(os.listdir("/proc/%d/fd" % s.process.pid))
        for _ in range(300):
            c = s.client()
            cut = rng.randrange(3 * len(line))
            c.raw((line + line.replace(b"1,", b"2,", 1) * 2)[:cut])
            for _ in range(rng.randrange(4)):
                if cut < len(line):
                    break
                c.event()
            c.sock.close()
        s.wait(lambda: (lambda x: x["running"] + x["waiting"] == 0)(
            s.status()["exchanges"]))
        assert s.rows("select count(*) from reply where state not in "
                      "('done', 'cancelled')") == [(0,)]
        s.wait(lambda: len(os.listdir("/proc/%d/fd" % s.process.pid))
               <= files)


# ---- identities


@ROOT_ONLY
def test_one_user_meets_a_limit_of_connections_and_others_are_served():
    with public({"limits": {"clients_per_uid": 32}}) as s:
        mine = [nobody(s) for _ in range(32)]
        for _ in range(5):
            refused = nobody(s, hello=False)
            (e,) = closed(refused)
            assert (e["code"], e["message"]) == \
                ("busy", "too many connections of this user")
        with s.client() as c:
            assert c.call("status")["clients"] == 33
        assert re.findall("limits.*refused.*", s.log.read_text()) == \
            ["limits.clients_per_uid: refused nobody"]
        mine.pop().sock.close()
        s.wait(lambda: nobody(s).hello["event"] == "hello")


@ROOT_ONLY
def test_some_places_are_kept_for_operators():
    with public({"limits": {"clients": 4, "operator_clients": 2}}) as s:
        first = [nobody(s, uid=2000 + i) for i in range(4)]
        (e,) = closed(nobody(s, hello=False, uid=2004))
        assert (e["code"], e["message"]) == \
            ("busy", "too many connections in all")
        with s.client() as a, s.client() as b:
            assert a.hello["user"]["operator"] is True
            assert b.call("status")["clients"] == 6
            (e,) = closed(Client(s.socket, hello=False))
            assert e["code"] == "busy"
        assert re.findall("limits.*refused.*", s.log.read_text()) == \
            ["limits.clients: refused 2004"]
        first.pop().sock.close()
        # chatd may not have noticed yet that the place is free.
        s.wait(lambda: nobody(s).hello["event"] == "hello")


@ROOT_ONLY
def test_refusals_by_a_limit_of_requests_are_logged_once():
    with Service(config={"limits": {"requests": 1}}) as s, s.client() as c:
        s.wait_model()
        c.send("say", text="#wait")
        c.until("accepted")
        for _ in range(5):
            assert c.call("say", text="x")["code"] == "busy"
        assert re.findall("limits.*refused.*", s.log.read_text()) == \
            ["limits.requests: refused root"]


@ROOT_ONLY
def test_only_the_account_that_connected_counts():
    with public() as s:
        with s.client() as c:
            pid = os.fork()
            if pid == 0:        # somebody else writes on our connection
                try:
                    os.setgroups([])
                    os.setresgid(NOBODY, NOBODY, NOBODY)
                    os.setresuid(NOBODY, NOBODY, NOBODY)
                    c.raw(b'{"op":"list","id":1,"all":true}\n')
                finally:
                    os._exit(0)
            os.waitpid(pid, 0)
            assert c.events(1)[-1]["event"] == "done"
        with nobody(s) as c:    # root writes on somebody else's
            assert c.hello["user"]["uid"] == NOBODY
            assert c.call("list", all=True)["code"] == "denied"
            assert c.call("reload")["code"] == "denied"


@ROOT_ONLY
def test_operators_are_those_of_the_group_however_many_groups_they_have():
    name = grp.getgrgid(12).gr_name
    with public({"operators_group": name}) as s:
        for groups, operator in (
                ([], False), ([12], True), (range(3000, 3100), False),
                ([*range(3000, 3031), 12], True),
                ([*range(3000, 3032), 12], True),
                ([*range(3000, 4000), 12], True)):
            c = nobody(s, groups=list(groups))
            assert c.hello["user"] == {"uid": NOBODY, "name": "nobody",
                                       "operator": operator}


@ROOT_ONLY
def test_a_reload_gives_and_takes_the_rights_of_open_connections():
    name, other = grp.getgrgid(12).gr_name, grp.getgrgid(1).gr_name
    with public({"operators_group": name}) as s, s.client() as root:
        c = nobody(s, groups=[12])
        assert c.call("list", all=True)["event"] == "done"
        for group, allowed in ((other, False), (name, True)):
            s.config["operators_group"] = group
            s.write_config()
            assert s.reload(root)["event"] == "done"
            e = c.call("list", all=True)
            assert e.get("code") == (None if allowed else "denied")
            assert root.call("list", all=True)["event"] == "done"


@pytest.mark.parametrize("field", ["uid", "gid", "pid", "user", "operator"])
def test_a_client_can_not_claim_an_identity(shared, field):
    with shared.client() as c:
        for op in ("status", "list", "new", "hello"):
            more = {"protocol": 1} if op == "hello" else {}
            e = c.call(op, **{field: 0}, **more)
            assert (e["code"], e["field"]) == ("bad_field", field)


PROBE = """
import errno, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print("go", flush=True)
seen, sock = set(), sys.argv[1]
os.set_blocking(0, False)
while True:
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(sock)
        seen.add("connected")
    except OSError as e:
        seen.add(errno.errorcode[e.errno])
    try:
        seen.add("%o" % (os.stat(sock).st_mode & 0o777))
    except FileNotFoundError:
        pass
    s.close()
    try:
        if os.read(0, 1) == b"":
            break
    except BlockingIOError:
        pass
print(*sorted(seen))
"""


@ROOT_ONLY
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_the_socket_has_its_mode_from_birth(umask):
    with Service(start=False) as s:
        s.dir.chmod(0o755)
        p = subprocess.Popen([sys.executable, "-c", PROBE, s.socket],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
        assert p.stdout.readline() == "go\n"
        old = os.umask(umask)
        try:
            s.start()
        finally:
            os.umask(old)
        out, _ = p.communicate(timeout=WAIT)
        seen = set(out.split())
        assert "660" in seen and "EACCES" in seen
        assert seen <= {"660", "EACCES", "ENOENT"}


# ---- what other users can see


@ROOT_ONLY
def test_a_plain_user_sees_load_and_model_and_nothing_else():
    with public() as s:
        with s.client() as c:
            c.say("#say counted")
            everything = c.call("status")
        assert everything["pid"] == s.process.pid
        assert everything["exchanges"]["total"] == 1
        with nobody(s) as c:
            status = c.call("status")
            assert set(status) == {"event", "id", "server", "uptime_s",
                                   "draining", "model", "exchanges",
                                   "helpers"}
            assert status["exchanges"] == {"running": 0, "waiting": 0}
            assert status["helpers"] == {
                h: {"state": "ready"} for h in ("engine", "filter", "store")}
            for model in (c.hello["model"], status["model"]):
                assert set(model) <= {"name", "precision", "kv_precision",
                                      "context", "state"}
                assert model["state"] == "ready"


@ROOT_ONLY
def test_a_plain_user_does_not_see_the_path_of_the_model():
    with Service(config={"socket": {"mode": "0666"}},
                 env={"SCRIPTED_REFUSE": "1"}) as s:
        s.dir.chmod(0o755)
        s.wait_model("down")
        assert s.status()["model"]["path"] == str(s.dir / "model")
        with nobody(s) as c:
            seen = json.dumps([c.hello, c.call("status")])
            assert str(s.dir) not in seen and "refusal" not in seen
            assert c.hello["model"]["state"] == "down"


# ---- systemd


def test_systemd_gets_one_line_whatever_is_in_a_name():
    with Service(start=False, env={
            "SCRIPTED_NAME": "x\nMAINPID=1\r\nWATCHDOG=trigger\x1b" +
            "\u00e9" * 400}) as s, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        n.bind(str(s.dir / "n"))
        n.settimeout(WAIT)
        s.process = subprocess.Popen(
            s.command(), stderr=open(s.log, "ab"),
            env=dict(s.env, NOTIFY_SOCKET=str(s.dir / "n")))
        heard = []
        while not any(h.startswith("STATUS=Serving") for h in heard):
            heard += n.recv(4096).decode().split("\n")
        assert heard[-1].startswith(
            "STATUS=Serving x?MAINPID=1??WATCHDOG=trigger?\u00e9\u00e9")
        assert not any(h.startswith(("MAINPID", "WATCHDOG"))
                       for h in heard)
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(WAIT) == 0
