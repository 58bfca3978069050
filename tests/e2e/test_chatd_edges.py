# SPDX-License-Identifier: Apache-2.0
"""Rare cases of chatd: helpers that start and end at a bad moment, readers
that are stuck, an end that takes too long, and limits between users."""
import ast
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from service import BUILD, SRC, WAIT, Client, Lost, Service, text_of
from test_chatd import as_nobody

HERE = pathlib.Path(__file__).resolve().parent
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0,
                               reason="needs root to be two users")
POLICY = {"default": {"flag": 0.5, "block": 0.8},
          "confidential": {"redact": 0.8}}


def scripted_filter(start=True, **kw):
    """A service with the scripted filter, whose flags are in s.flags."""
    s = Service(start=False, **kw)
    s.flags = s.dir / "flags"
    s.flags.mkdir()
    s.config["filter"]["program"] = str(HERE / "scripted_filter.py")
    s.config["filters"] = [{
        "name": "scripted", "path": str(HERE / "scripted_filter.py"),
        "process": "shared", "options": {"flags": str(s.flags)}}]
    s.config["policy"] = {"prompt": POLICY, "reply": POLICY}
    s.write_config()
    if start:
        s.start()
        s.wait_model()
    return s


def scripted_store(**kw):
    """A service; its store is full or gone while the file s.full or s.gone
    exists."""
    s = Service(start=False, **kw)
    s.full, s.gone = s.dir / "full", s.dir / "gone"
    s.env.update(CHATD_STORE=str(BUILD / "chatd-store"),
                 STORE_FULL=str(s.full), STORE_GONE=str(s.gone))
    s.config["store"] = {"program": str(HERE / "scripted_store.py")}
    s.write_config()
    s.start()
    return s.wait_model()


def resident(service):
    with open("/proc/%d/statm" % service.process.pid) as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")


# ---- reload and the filter


def test_a_filter_that_is_down_is_replaced_by_reload_again_and_again():
    with scripted_filter() as s, s.client() as c:
        (s.flags / "refuse").write_text("")
        os.kill(s.helper_pid("filter"), signal.SIGKILL)
        s.wait(lambda: s.status()["helpers"]["filter"]["restarts"] >= 4)
        assert c.call("reload")["code"] == "bad_config"
        (s.flags / "refuse").unlink()
        for _ in range(3):
            assert s.reload(c)["event"] == "done"
            assert c.say("#say up")[0] == "up"


def test_a_filter_that_still_starts_is_replaced_by_reload():
    with scripted_filter() as s, s.client() as c:
        (s.flags / "load").write_text("30")
        os.kill(s.helper_pid("filter"), signal.SIGKILL)
        s.wait((s.flags / "loading").exists)
        ident = c.send("moderate", text="who waits for it")
        (s.flags / "load").write_text("0")
        assert c.events(c.send("reload"))[-1]["event"] == "done"
        assert s.status()["helpers"]["filter"]["state"] == "ready"
        assert c.say("#say up")[0] == "up"
        assert s.reload(c)["event"] == "done"
        c.send("cancel", request=ident)


def test_a_request_that_waits_for_a_replaced_filter_is_answered():
    with scripted_filter() as s, s.client() as c:
        (s.flags / "load").write_text("30")
        os.kill(s.helper_pid("filter"), signal.SIGKILL)
        s.wait((s.flags / "loading").exists)
        says = c.send("say", text="who waits for it")
        c.until("accepted")
        (s.flags / "load").write_text("0")
        with s.client() as other:
            assert other.call("reload")["event"] == "done"
        assert c.events(says)[-1]["event"] == "done"
        assert c.say("#say up")[0] == "up"


def test_reload_waits_until_the_old_filter_has_judged_all():
    # More text than the channel holds waits for the old filter.
    with scripted_filter(config={"filter": {"timeout": "30s"},
                                 "limits": {"line": "4MiB"}}) as s, \
            s.client() as c, s.client() as other:
        idents = [c.send("moderate", text="#slow 1")]
        idents += [c.send("moderate", text="x" * 200000) for _ in range(5)]
        s.wait(lambda: other.call("status")["event"] == "done")
        assert other.call("reload")["event"] == "done"
        got = {}
        while len(got) < len(idents):
            e = c.event()
            got[e["id"]] = e["event"]
        assert set(got.values()) == {"done"}


def test_an_old_filter_that_does_not_end_is_killed():
    with scripted_filter() as s, s.client() as c:
        os.kill(s.helper_pid("filter"), signal.SIGSTOP)
        assert c.call("reload")["event"] == "done"
        assert s.reload(c)["event"] == "done"


def test_a_signal_to_reload_is_not_lost_while_another_is_on_its_way():
    with scripted_filter() as s, s.client() as c:
        (s.flags / "load").write_text("1")
        for n in (3, 5):
            s.config["defaults"] = {"max_tokens": n}
            s.write_config()
            for _ in range(100):
                s.process.send_signal(signal.SIGHUP)
            s.wait((s.flags / "loading").exists)
        s.wait(lambda: c.say("#long 9")[1]["output_tokens"] == 5)
        assert s.log.read_text().count("configuration read again") <= 3


def test_reload_keeps_what_only_a_restart_changes():
    with Service() as s, s.client() as c:
        s.wait_model()
        c.say("#say kept")
        s.config["state_dir"] = str(s.dir / "elsewhere")
        s.write_config()
        assert c.call("reload")["event"] == "done"
        seen = c.events(c.send("export", format="messages",
                               rating="all"))
        assert "kept" in text_of(seen)
        os.kill(s.helper_pid("store"), signal.SIGKILL)
        s.wait(lambda: c.call("list")["event"] == "done")
        assert not (s.dir / "elsewhere").exists()


# ---- texts that filters must get


def test_a_preprompt_of_the_users_is_screened_like_a_prompt():
    with scripted_filter() as s, s.client() as c:
        e = c.call("say", text="hello", preprompt="you are forbidden")
        assert e["code"] == "blocked"
        assert c.call("regenerate", exchange=e["exchange"])["code"] == \
            "blocked"
        seen = c.events(c.send("say", text="hello", preprompt="a secret b"))
        assert seen[-1]["event"] == "done"
        assert [e["code"] for e in seen if e["event"] == "notice"] == \
            ["redacted"]
        assert s.rows("select preprompt, prompt from exchange where id = ?",
                      seen[-1]["exchange"]) == \
            [("a [redacted] b", "hello")]


def test_an_unsound_verdict_lets_nothing_through():
    with scripted_filter() as s, s.client() as c:
        seen = c.events(c.send("say", text="#unsound"))
        assert seen[-1]["code"] == "filter_unavailable"
        assert text_of(seen) == ""
        assert c.call("moderate", text="#unsound")["code"] == \
            "filter_unavailable"


# ---- the engine


def test_a_request_that_waited_for_the_engine_has_all_its_time():
    with Service(env={"SCRIPTED_LOAD": "3.5"}) as s, s.client() as c:
        e = c.call("tokenize", text="#slow 3")
        assert e["event"] == "done" and e["count"] == 7
        assert s.status()["helpers"]["engine"]["restarts"] == 0


def test_an_account_has_two_texts_in_the_engine_and_leaves_with_the_rest():
    with Service() as s, s.client() as c:
        s.wait_model()
        with s.client() as flood:
            for _ in range(20):
                flood.send("tokenize", text="#slow 0.5")
            flood.call("hello", protocol=1)     # chatd has them all
        assert c.call("tokenize", text="#asked")["ids"] in ([2], [3])
        assert s.status()["helpers"]["engine"]["restarts"] == 0


def test_texts_that_wait_are_answered_in_order_and_can_be_cancelled():
    with Service() as s, s.client() as c:
        s.wait_model()
        first = c.send("tokenize", text="#slow 1")
        rest = [c.send("tokenize", text="x" * n) for n in range(1, 6)]
        order = c.send("cancel", request=rest[3])
        done = {}
        while len(done) < 7:
            e = c.event()
            assert e["event"] == "done", e
            done[e["id"]] = e
        assert list(done) == [order, rest[3], first, *rest[:3], rest[4]] or \
            list(done) == [rest[3], order, first, *rest[:3], rest[4]]
        assert done[rest[3]]["stop"] == "cancelled"
        assert [done[i]["count"] for i in rest[:3]] == [1, 2, 3]


def test_waiting_texts_fail_when_the_engine_is_lost():
    with Service() as s, s.client() as c:
        s.wait_model()
        idents = [c.send("tokenize", text="#slow 60") for _ in range(5)]
        c.call("hello", protocol=1)
        os.kill(s.status()["helpers"]["engine"]["pid"], signal.SIGKILL)
        for _ in idents:
            e = c.event()
            assert e["id"] in idents and e["code"] == "engine_unavailable"
        assert c.call("tokenize", text="x")["count"] == 1


def test_an_engine_that_is_ready_without_a_model_is_replaced():
    with Service(env={"SCRIPTED_NO_MODEL": "1", "SCRIPTED_LOAD": "0.3"}) \
            as s, s.client() as c:
        assert c.call("tokenize", text="x")["code"] == "engine_unavailable"
        assert s.status()["helpers"]["engine"]["restarts"] > 0


def test_a_last_event_may_be_the_one_too_many_for_a_stuck_reader():
    # Found by the address sanitizer: an ended request was paused.
    with Service(config={"limits": {"output": "4KiB", "stall_time": "1h",
                                    "requests": 200,
                                    "requests_per_uid": 2000}}) as s:
        s.wait_model()
        clients = [s.client() for _ in range(8)]
        for n, c in enumerate(clients):
            for _ in range(n):
                c.send("tokenize", text="x")
            for _ in range(100):
                c.send("say", text="#error context_full")
        s.wait(lambda: s.status()["exchanges"]["running"] == 0)
        for n, c in enumerate(clients):
            for _ in range(n + 100):
                while c.event()["event"] not in ("done", "error"):
                    pass
            c.sock.close()


@pytest.mark.parametrize("how", ["cancel", "leave"])
def test_a_paused_reply_can_be_cancelled(how):
    with Service(config={"limits": {"output": "4KiB", "stall_time": "1h"},
                         "defaults": {"max_tokens": 1000000}},
                 env={"SCRIPTED_TICK": "0"}) as s:
        s.wait_model()
        with s.client() as c:
            ident = c.send("say", text="#forever")
            s.wait(lambda: s.rows("select count(*) from reply") == [(1,)])
            size = -1
            while size != (size := resident(s)):
                time.sleep(0.3)
            if how == "cancel":
                c.send("cancel", request=ident)
                assert c.events(ident)[-1]["stop"] == "cancelled"
        s.wait(lambda: s.rows("select state from reply")
               == [("cancelled",)])
        assert s.status()["exchanges"]["running"] == 0


def test_a_paused_reply_survives_the_engine_and_goes_on_when_read():
    with Service(config={"limits": {"output": "4KiB", "stall_time": "1h"}},
                 env={"SCRIPTED_TICK": "0"}) as s:
        s.wait_model()
        with s.client() as c:
            ident = c.send("say", text="#long 4000",
                           params={"max_tokens": 1000000})
            s.wait(lambda: s.rows("select count(*) from reply") == [(1,)])
            size = -1
            while size != (size := resident(s)):
                time.sleep(0.3)
            os.kill(s.helper_pid("engine"), signal.SIGKILL)
            s.wait_model()
            seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert text_of(seen) == " ".join("w%d" % i for i in range(4000))


def test_more_replies_than_requests_are_read_at_once_can_be_cancelled():
    with Service(config={"limits": {"requests": 300,
                                    "requests_per_uid": 300}}) as s, \
            s.client() as c:
        s.wait_model()
        idents = [c.send("say", text="#wait") for _ in range(260)]
        c.send("cancel", request=idents[0])
        assert c.events(idents[0])[-1]["stop"] == "cancelled"


# ---- the store


@ROOT_ONLY
def test_a_full_disk_refuses_new_requests_and_stores_the_rest_later():
    with Service(start=False) as s:
        s.state.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o",
                           "size=2m,mode=0700", "none", str(s.state)],
                          capture_output=True).returncode != 0:
            pytest.skip("a small tmpfs can't be mounted here")
        try:
            s.start()
            s.wait_model()
            with s.client() as c, s.client() as other:
                ident = c.send("say", text="#long 600",
                               params={"max_tokens": 100000})
                c.until("accepted")
                with open(s.state / "ballast", "wb", buffering=0) as f, \
                        pytest.raises(OSError):
                    while True:
                        f.write(bytes(4096))
                s.wait(lambda: other.call("say", text="x").get("code")
                       == "store_unavailable")
                (s.state / "ballast").unlink()
                seen = c.events(ident)
                assert seen[-1]["event"] == "done"
                assert s.rows("select text from reply where id = ?",
                              seen[-1]["reply"]) == \
                    [(" ".join("w%d" % i for i in range(600)),)]
                s.wait(lambda: other.say("#say again")[0] == "again")
        finally:
            s.kill()
            subprocess.run(["umount", "-l", str(s.state)], check=True)


def test_running_replies_wait_for_the_store_and_new_ones_are_refused():
    with scripted_store() as s, s.client() as c, s.client() as other:
        ident = c.send("say", text="#long 20")
        c.until("accepted")
        s.full.write_text("")
        s.wait(lambda: other.call("say", text="x").get("code")
               == "store_unavailable")
        s.full.unlink()
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert s.rows("select state from reply where id = ?",
                      seen[-1]["reply"]) == [("done",)]
        s.wait(lambda: other.say("#say again")[0] == "again")


# ---- the end


@pytest.mark.parametrize("again", [True, False])
def test_the_end_comes_although_the_store_takes_nothing(again):
    config = {"limits": {"drain_time": "1h" if again else "500ms"}}
    with scripted_store(config=config) as s, s.client() as c:
        c.send("say", text="#wait")
        c.until("accepted")
        s.full.write_text("")
        s.process.send_signal(signal.SIGTERM)
        s.wait(lambda: not s.socket.exists())
        if again:
            s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(20) == 0
        s.full.unlink()
        # The next start closes what was left open.
        s.start()
        assert s.rows("select state from reply") == [("interrupted",)]


def test_the_end_comes_although_a_client_does_not_read():
    with scripted_store() as s, s.client() as stuck:
        # More than the kernel holds, less than the mark of a stuck reader.
        size = len(json.dumps(stuck.call("status")))
        for _ in range(200000 // size):
            stuck.send("status")
        s.gone.write_text("")
        os.kill(s.helper_pid("store"), signal.SIGKILL)
        s.wait(lambda: s.status()["helpers"]["store"]["restarts"] > 2)
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(20) == 0


def test_the_end_comes_although_a_reply_is_paused():
    with Service(config={"limits": {"output": "4KiB", "stall_time": "1h",
                                    "drain_time": "300ms"},
                         "defaults": {"max_tokens": 1000000}},
                 env={"SCRIPTED_TICK": "0"}) as s, s.client() as c:
        s.wait_model()
        c.send("say", text="#forever")
        s.wait(lambda: s.rows("select count(*) from reply") == [(1,)])
        time.sleep(0.5)
        s.process.send_signal(signal.SIGTERM)
        assert s.process.wait(20) == 0
        assert s.rows("select state from reply") == [("cancelled",)]


def test_requests_to_the_store_at_the_end_do_not_cut_it_short():
    with Service() as s, s.client() as c:
        s.wait_model()
        wait = c.send("say", text="#wait")
        c.until("accepted")
        s.process.send_signal(signal.SIGTERM)
        s.wait(lambda: not s.socket.exists())
        assert c.call("reload")["code"] == "shutting_down"
        c.send("cancel", request=wait)
        assert c.events(wait)[-1]["stop"] == "cancelled"
        try:
            while True:
                c.call("list")
        except (Lost, OSError):
            pass
        assert s.process.wait(20) == 0
        # It ended by itself: nothing is left in the log of writes.
        assert not (s.state / "chatd.db-wal").exists()
        assert "signal 9" not in s.log.read_text()


# ---- limits of one user


def test_exports_are_few_and_wait_for_their_reader():
    with Service(config={"limits": {"output": "4KiB",
                                    "stall_time": "1h"}}) as s:
        s.wait_model()
        with s.client() as c, s.client() as stuck:
            for _ in range(2):
                assert c.say("y" * 200000)[1]["event"] == "done"
            for _ in range(2):
                stuck.send("export", format="oasst")
            s.wait(lambda: len(s.exporters()) == 2)
            assert c.call("export", format="csv")["code"] == "busy"
            time.sleep(0.5)
            assert len(s.exporters()) == 2        # the rest is not yet taken
            for _ in range(2):
                while stuck.event()["event"] != "done":
                    pass
            s.wait(lambda: len(s.exporters()) == 0)
            assert c.call("export", format="csv")["event"] == "done"


def test_requests_that_wait_for_a_helper_take_bounded_memory():
    with scripted_filter(config={"filter": {"timeout": "30s"}}) as s, \
            s.client() as c:
        os.kill(s.helper_pid("filter"), signal.SIGSTOP)
        c.sock.setblocking(False)
        line = b'{"op":"moderate","id":%%d,"text":"%s"}\n' % (b"x" * 200000)
        blob, sent = b"".join(line % i for i in range(100)), 0
        quiet = time.monotonic()
        while sent < len(blob) and time.monotonic() < quiet + 1:
            try:
                sent += c.sock.send(blob[sent:sent + 65536])
                quiet = time.monotonic()
            except BlockingIOError:
                time.sleep(0.01)
        assert sent < 5 << 20
        os.kill(s.helper_pid("filter"), signal.SIGCONT)
        c.sock.settimeout(WAIT)
        c.raw(blob[sent:])
        while c.event()["id"] != 99:
            pass


def test_answers_that_nobody_reads_take_bounded_memory():
    with Service() as s, s.client() as c, s.client() as other:
        s.wait_model()
        conv = c.say("y" * 200000)[1]["conversation"]
        for _ in range(2):
            c.say("y" * 200000, conversation=conv)
        before = resident(s)
        c.raw(b"".join(b'{"op":"show","id":%d,"conversation":%d}\n'
                       % (i, conv) for i in range(1000, 1200)))
        for _ in range(100):
            other.call("list")
        assert resident(s) - before < 16 << 20
        for i in range(1000, 1200):
            assert c.events(i)[-1]["event"] == "done"


@ROOT_ONLY
def test_other_users_conversations_stay_hidden():
    with Service(config={"socket": {"mode": "0666"}}) as s, s.client() as c:
        s.dir.chmod(0o755)
        s.wait_model()
        c.send("say", text="#wait")
        conv = c.until("accepted")["conversation"]
        got = as_nobody(
            s.socket,
            '{"op":"say","id":1,"text":"x","conversation":%d}' % conv,
            '{"op":"delete","id":2,"conversation":%d}' % conv)
        assert [e["code"] for e in got] == ["not_found"] * 2


@pytest.mark.parametrize("files", [48, 100])
def test_with_few_descriptors_some_wait_and_all_are_served(files):
    with Service(start=False) as s:
        command = s.command

        def limited(*args):
            return ["/usr/bin/prlimit", "--nofile=%d:%d" % (files, files),
                    *command(*args)]
        s.command = limited
        s.start()
        s.wait_model()
        begun = time.monotonic()
        clients = [s.client() for _ in range(files // 3)]
        refused = [Client(s.socket, hello=False) for _ in range(files)]
        # The first ones are not disturbed ...
        for c in clients:
            assert c.call("status")["event"] == "done"
        cpu = process_ticks(s)
        time.sleep(1)
        assert process_ticks(s) - cpu < 20
        for c in clients + refused:
            c.sock.close()
        # One line in ten seconds.
        assert s.log.read_text().count("connections wait until") <= \
            1 + (time.monotonic() - begun) / 10
        # ... and later ones find room again, once chatd has noticed that
        # the others have disconnected.
        def served():
            try:
                with s.client() as c:
                    return c.hello["event"] == "hello" and \
                        c.say("#say room")[0] == "room"
            except (Lost, ConnectionResetError, BrokenPipeError):
                return False
        s.wait(served)


def process_ticks(service):
    with open("/proc/%d/stat" % service.process.pid) as f:
        v = f.read().rpartition(")")[2].split()
    return int(v[11]) + int(v[12])


# ---- every error code

PROVOKED = {
    "bad_json": ("test_chatd.py",
                 "BAD_LINES"),
    "bad_field": ("test_chatd.py",
                  "BAD_LINES"),
    "bad_protocol": ("test_chatd.py",
                     "test_hello_agrees_on_one_protocol_only"),
    "bad_config": ("test_chatd.py",
                   "test_reload_takes_the_good_and_keeps_the_old_from_the_"
                   "bad"),
    "too_long": ("test_chatd.py",
                 "test_a_prompt_over_the_limit_is_refused_by_name"),
    "denied": ("test_chatd.py",
               "test_what_belongs_to_another_user_is_not_found"),
    "not_found": ("test_chatd.py",
                  "test_what_belongs_to_another_user_is_not_found"),
    "quota": ("test_chatd_store.py",
              "test_a_request_over_the_quota_is_refused_until_some_is_"
              "deleted"),
    "busy": ("test_chatd.py",
             "test_busy_above_the_limits_of_connection_and_user"),
    "blocked": ("test_chatd_filter.py",
                "test_a_blocked_prompt_never_reaches_the_engine"),
    "context_full": ("test_chatd.py",
                     "test_the_engines_errors_reach_the_client"),
    "numeric_error": ("test_chatd.py",
                      "test_the_engines_errors_reach_the_client"),
    "engine_lost": ("test_chatd.py",
                    "test_an_exchange_that_kills_every_engine_ends_engine_"
                    "lost"),
    "engine_unavailable": ("test_chatd.py",
                           "test_a_model_that_cannot_be_loaded_is_reported_"
                           "with_the_reason"),
    "filter_unavailable": ("test_chatd_filter.py",
                           "test_a_filter_that_is_late_closes_the_reply"),
    "store_unavailable": ("test_chatd_edges.py",
                          "test_running_replies_wait_for_the_store_and_new_"
                          "ones_are_refused"),
    "shutting_down": ("test_chatd.py",
                      "test_sigterm_lets_replies_end_and_takes_no_new_ones"),
}


def documented():
    page = (SRC / "man/chatd-protocol.7").read_text()
    section = page.split(".Sh DIAGNOSTICS")[1].split(".Sh ")[0]
    return set(re.findall(r"^\.It Cm (\w+)", section, re.M))


def test_every_error_code_is_documented_and_provoked_by_a_test():
    assert documented() == set(PROVOKED)


@pytest.mark.parametrize("code", PROVOKED)
def test_the_test_that_provokes_it_expects_that_code(code):
    file, name = PROVOKED[code]
    source = (HERE / file).read_text()
    found = [n for n in ast.parse(source).body
             if getattr(n, "name", None) == name or
             (isinstance(n, ast.Assign) and n.targets[0].id == name)]
    assert len(found) == 1
    lines = source.splitlines()
    first = min([found[0].lineno] + [
        d.lineno for d in getattr(found[0], "decorator_list", [])])
    body = "\n".join(lines[first - 1:found[0].end_lineno])
    assert '"%s"' % code in body
