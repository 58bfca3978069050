# SPDX-License-Identifier: Apache-2.0
"""Erasing, retention, backups and replays through chatd and chatctl."""
import json
import os
import pty
import signal
import sqlite3
import stat
import subprocess
import time

import pytest

from service import BUILD, SRC, Service

MARKER = "Zanzibarkumquat"
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs two accounts")
OTHER = 65534


def service(**more):
    return Service(config={"socket": {"mode": "0666"}, **more})


def chatctl(s, *args, text="", uid=None):
    return subprocess.run(
        [BUILD / "chatctl", "--socket", s.socket, *args], input=text,
        capture_output=True, text=True, timeout=60,
        user=uid, env=dict(os.environ, HOME="/nonexistent"))


def found(s, text):
    """The files of the state that hold the text."""
    data = text.encode()
    return [p.name for p in s.state.rglob("*")
            if p.is_file() and data in p.read_bytes()]


def is_gone(s, *texts):
    end = time.monotonic() + 20
    while any(found(s, t) for t in texts):
        assert time.monotonic() < end, [found(s, t) for t in texts]
        time.sleep(0.05)


@pytest.fixture(scope="module")
def shared():
    with service() as s:
        s.wait_model()
        yield s


def test_forget_all_leaves_no_byte(shared):
    with shared.client() as c:
        for i in range(5):
            done = c.say(MARKER + " in a prompt %d" % i)[1]
            assert c.call("rate", exchange=done["exchange"], thumb=-1,
                          reasons=["incorrect"], ideal=MARKER + " ideal",
                          comment=MARKER + " comment")["event"] == "done"
        c.call("complete", prompt="raw " + MARKER)
    assert found(shared, MARKER)
    shared.wait(lambda: found(shared, MARKER.lower()))  # the search index
    done = chatctl(shared, "forget", "--all")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "6 exchanges and 5 conversations are deleted\n"
    is_gone(shared, MARKER, MARKER.lower())
    assert shared.rows("SELECT count(*) FROM tombstone "
                       "WHERE kind = 'conversation'")[0][0] >= 5
    done = chatctl(shared, "forget", "--all", "--json")
    assert json.loads(done.stdout) == {"exchanges": 0, "conversations": 0}


def test_forget_a_time(shared):
    with shared.client() as c:
        c.say("before that")
        time.sleep(0.01)
        since = int(time.time() * 1000)
        time.sleep(0.01)
        c.say("during that")
        time.sleep(0.01)
        until = int(time.time() * 1000)
        time.sleep(0.01)
        c.say("after that")
        done = c.call("forget", since=since, until=until)
        assert (done["exchanges"], done["conversations"], done["more"]) == \
            (1, 1, False)
    assert [r[0] for r in shared.rows("SELECT prompt FROM exchange")] == [
        "before that", "after that"]


@pytest.mark.parametrize("args, words", [
    ([], "expected either"),
    (["--all", "--since", "1d"], "expected either"),
    (["--user", "ann"], "expected either"),
    (["--all", "7"], "expected either"),
    (["x"], "expected a conversation")])
def test_forget_needs_one_clear_order(shared, args, words):
    done = chatctl(shared, "forget", *args)
    assert done.returncode == 2 and words in done.stderr
    assert "nothing was deleted" in done.stderr


def test_forget_asks_at_a_terminal(shared):
    with shared.client() as c:
        c.say("stays unless somebody says y")
    for answer, status in ((b"n\n", 1), (b"\n", 1), (b"y\n", 0)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        done = subprocess.run(
            [BUILD / "chatctl", "--socket", shared.socket, "forget", "--all"],
            stdin=theirs, capture_output=True, text=True, timeout=60)
        os.close(ours)
        os.close(theirs)
        assert done.returncode == status, done.stderr
        assert "everything of yours" in done.stderr
        assert bool(shared.rows("SELECT 1 FROM exchange")) == (status == 1)


@ROOT
def test_an_operator_forgets_for_an_account_without_a_name(shared):
    with shared.client_as(54321) as c:      # not in passwd
        c.say(MARKER + " of somebody who left")
        refused = c.call("forget", all=True, user="root")
        assert refused["code"] == "denied"
    with shared.client() as c:
        kept = c.say("of the operator")[1]
        assert c.call("forget", all=True, user="nobody-of-that-name")[
            "code"] == "not_found"
    done = chatctl(shared, "forget", "--all", "--user", "54321")
    assert done.stdout == "1 exchanges and 1 conversations are deleted\n"
    is_gone(shared, MARKER)
    assert "has deleted 1 exchanges of account 54321" in \
        shared.log.read_text()
    assert shared.rows("SELECT id FROM exchange") == [(kept["exchange"],)]
    chatctl(shared, "forget", "--all")


def test_forget_waits_for_no_reply_that_is_written(shared):
    with shared.client() as c:
        one = c.send("say", text="slowly", params={"max_tokens": 2000})
        c.until("accepted")
        with shared.client() as d:
            answer = d.call("forget", all=True)
        c.send("cancel", request=one)
        c.events(one)
    # A fast reply may have ended before.
    assert answer.get("code") == "busy" or answer["event"] == "done"


@ROOT
def test_a_number_that_somebody_else_got_inherits_nothing():
    with service() as s:
        s.wait_model()
        with s.client_as(OTHER) as c:
            old = c.say("said by the one before")[1]
        s.stop()
        db = sqlite3.connect(s.state / "chatd.db")
        db.execute("UPDATE account SET name = 'ann' WHERE uid = ?", [OTHER])
        db.commit()
        db.close()
        s.start()
        s.wait_model()
        done = chatctl(s, "export", "--format", "oig", "--rating", "all",
                       uid=OTHER)
        # the control: without the other name there would be a line
        assert (done.returncode, done.stdout) == (0, "")
        with s.client_as(OTHER) as c:
            assert c.call("show", conversation=old["conversation"])[
                "code"] == "not_found"
            assert c.call("say", text="and more", conversation=old[
                "conversation"])["code"] == "not_found"
            c.say("said by the new one")
        assert "is held as account 2199023321086" in s.log.read_text()
        done = chatctl(s, "adopt", "ann", str(OTHER), uid=OTHER)
        assert done.returncode == 4
        done = chatctl(s, "adopt", "ann", str(OTHER))
        assert (done.returncode, done.stdout) == (0, "")
        with s.client_as(OTHER) as c:
            assert c.call("show", conversation=old["conversation"])[
                "event"] == "done"
        done = chatctl(s, "export", "--format", "oig", "--rating", "all",
                       uid=OTHER)
        assert done.stdout.count("\n") == 2


def test_what_is_old_is_deleted_by_itself():
    with service(retention={"unrated": "30d", "rated": "400d"}) as s:
        s.wait_model()
        with s.client() as c:
            old = c.say(MARKER + " old")[1]
            rated = c.say("old and rated")[1]
            c.call("rate", exchange=rated["exchange"], thumb=1)
            new = c.say("new")[1]
        s.stop()
        db = sqlite3.connect(s.state / "chatd.db")
        for e in (old, rated):
            db.execute("UPDATE conversation SET updated = updated - "
                       "86400000 * 31 WHERE id = ?", [e["conversation"]])
        db.commit()
        db.close()
        s.start()
        s.wait(lambda: s.rows("SELECT id FROM exchange") ==
               [(rated["exchange"],), (new["exchange"],)])
        is_gone(s, MARKER)
        s.wait(lambda: "retention: deleted 1 conversation" in
               s.log.read_text())


def test_backup_and_restore_while_chatd_runs():
    with service() as s:
        s.wait_model()
        with s.client() as c:
            c.say("before the backup")
            done = chatctl(s, "backup", "--json")
            assert done.returncode == 0, done.stderr
            made = json.loads(done.stdout)
            assert stat.S_IMODE(os.stat(made["path"]).st_mode) == 0o600
            assert str(s.state / "backup") == os.path.dirname(made["path"])
            c.say("after the backup")
            done = chatctl(s, "restore", os.path.basename(made["path"]))
            assert (done.returncode, done.stderr) == (0, "")
            s.wait(lambda: "restored from a backup" in s.log.read_text())
            # The same connection goes on.
            assert c.say("after the restore")[1]["event"] == "done"
        assert [r[0] for r in s.rows("SELECT prompt FROM exchange")] == [
            "before the backup", "after the restore"]
        for name in ("../chatd.db", "none.db"):
            assert chatctl(s, "restore", name).returncode != 0


@ROOT
def test_only_operators_back_up_and_restore(shared):
    for args in (["backup"], ["restore", "x.db"], ["adopt", "1", "2"]):
        assert chatctl(shared, *args, uid=OTHER).returncode == 4


def test_a_killed_exporter_is_logged():
    with service(limits={"output": "4KiB", "stall_time": "1h"}) as s:
        s.wait_model()
        with s.client() as c:
            # More than a pipe and a socket hold, so that it waits for us.
            # oasst has the replies that are cut, too.
            for _ in range(3):
                assert c.say("y" * 200000)[1]["event"] == "done"
            ident = c.send("export", format="oasst")
            s.wait(lambda: len(s.exporters()) == 1)
            os.kill(s.exporters()[0], signal.SIGKILL)
            last = c.events(ident)[-1]
        assert last["code"] == "store_unavailable"
        assert "the export of uid %d was ended by signal 9" % os.getuid() \
            in s.log.read_text()


# ---- replay

@pytest.fixture(scope="module")
def real():
    with Service(engine=BUILD / "chatd-engine", model=SRC / "engine/mini",
                 config={"socket": {"mode": "0666"}}) as s:
        s.wait_model()
        yield s


PARAMS = {"temperature": 1.0, "max_tokens": 60, "top_k": 200}


def test_a_reply_replays_token_for_token(real):
    with real.client() as c:
        one = c.say("Tell me a story", params=PARAMS,
                    preprompt="You are a pirate.")[1]
        c.say("And then?", params=PARAMS, conversation=one["conversation"])
        # another first reply: the second turn had seen the one before
        again = c.events(c.send("regenerate", exchange=one["exchange"],
                                params=PARAMS))[-1]
        two = c.say("Really?", params=PARAMS,
                    conversation=one["conversation"])[1]
        raw = c.call("complete", prompt="<human>: Hi\n<bot>:", params=PARAMS)
        for e in (one, again, two, raw):
            done = c.call("replay", exchange=e["exchange"],
                          reply=e["reply"])
            assert done["event"] == "done", done
            assert (done["identical"], done["differs"]) == (True, [])
            assert done["tokens"] == e["output_tokens"] > 0
    done = chatctl(real, "replay", str(two["exchange"]))
    assert done.stdout == "identical, %d tokens\n" % two["output_tokens"]
    done = chatctl(real, "replay", "last")
    assert done.stdout.startswith("identical, ") and done.returncode == 0
    done = chatctl(real, "replay", "--all", "--sample", "50")
    n = real.rows("SELECT count(*) FROM reply")[0][0]
    assert done.stdout == "%d of %d replies are identical\n" % (n, n)
    assert done.returncode == 0


def change(s, sql, *args):
    db = sqlite3.connect(s.state / "chatd.db", timeout=10)
    try:
        db.execute(sql, args)
        db.commit()
    finally:
        db.close()


@pytest.mark.parametrize("sql, what", [
    ("UPDATE exchange SET prompt = prompt || ' again, and once more' "
     "WHERE id = ?", "prompt_tokens"),
    ("UPDATE reply SET ids = CAST(substr(ids, 1, 20) || x'01000000' || "
     "substr(ids, 25) AS BLOB) WHERE exchange = ?", None),
    ("UPDATE reply SET build = 'chatd 0.0.1, cpu, plain' "
     "WHERE exchange = ?", "build"),
    ("UPDATE reply SET model = (SELECT id FROM model WHERE digest = "
     "'sha256:00') WHERE exchange = ?", "model"),
    ("UPDATE reply SET params = json_set(params, '$.seed', 77) "
     "WHERE exchange = ?", None)])
def test_a_replay_says_where_and_why_it_parts(real, sql, what):
    with real.client() as c:
        e = c.call("complete", prompt="<human>: Tell me a story\n<bot>:",
                   params=dict(PARAMS, ignore_eos=True, temperature=2.0))
        change(real, "INSERT OR IGNORE INTO model (path, name, digest, "
               "precision) VALUES ('/x', 'x', 'sha256:00', 'bf16')")
        change(real, sql, e["exchange"])
        done = c.call("replay", exchange=e["exchange"])
        assert done["event"] == "done", done
        assert [d["what"] for d in done["differs"]] == [what] * bool(what)
        if what not in ("build", "model"):
            assert not done["identical"]
            assert 0 <= done["at"] < e["output_tokens"]
    if "ids" in sql:
        assert done["at"] == 5 and done["was"] == 1
    out = chatctl(real, "replay", str(e["exchange"]))
    assert out.returncode == (0 if done["identical"] else 1)
    assert done["identical"] or "differs after" in out.stdout
    assert what is None or "  %s was " % what in out.stdout
    change(real, "DELETE FROM exchange WHERE id = ?", e["exchange"])


def test_a_cut_reply_is_compared_as_far_as_it_goes(real):
    with real.client() as c:
        one = c.send("complete", prompt="<human>: Hi\n<bot>:", params=dict(
            PARAMS, max_tokens=900, ignore_eos=True))
        c.until("text")
        c.send("cancel", request=one)
        e = c.events(one)[-1]
        assert e["stop"] == "cancelled"
        done = c.call("replay", exchange=e["exchange"])
        assert done["identical"] and done["tokens"] == e["output_tokens"]


@ROOT
def test_replays_of_others_are_for_operators(real):
    with real.client() as c:
        e = c.say("Hello")[1]
        with real.client_as(OTHER) as d:
            mine = d.say("Hello")[1]
            assert d.call("replay", exchange=e["exchange"])["code"] == \
                "not_found"
            assert d.call("replay", sample=5, all=True)["code"] == "denied"
            assert d.call("replay", sample=5)["replies"] == [
                {"reply": mine["reply"], "exchange": mine["exchange"]}]
            assert d.call("replay")["code"] == "bad_field"
        assert c.call("replay", exchange=mine["exchange"])["identical"]
