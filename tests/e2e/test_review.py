# SPDX-License-Identifier: Apache-2.0
"""chatctl review on a pseudo-terminal: an operator rates replies to others."""
import json
import os
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import BUILD, Service  # noqa: E402
from test_chatctl import Terminal  # noqa: E402

OTHER = 65534       # owns the exchanges, as the tests are one user only


@pytest.fixture
def service():
    with Service() as s:
        yield s


def say(s, *texts, uid=OTHER):
    """Exchanges of another user; the numbers of their replies."""
    with s.client() as c:
        replies = [c.say("#say " + t)[1]["reply"] for t in texts]
    db = sqlite3.connect(s.state / "chatd.db", timeout=20)
    for table in "conversation", "exchange", "size":
        db.execute("update %s set uid = ?" % table, (uid,))
    db.commit()
    db.close()
    return replies


def as_other(s, reply, thumb):
    """A rating by the owner."""
    db = sqlite3.connect(s.state / "chatd.db", timeout=20)
    db.execute("insert into rating (reply, uid, thumb, reasons, created) "
               "values (?, ?, ?, '[]', 5)", (reply, OTHER, thumb))
    db.commit()
    db.close()


def env(s, **more):
    return {"CHATD_SOCKET": str(s.socket), "PATH": os.environ["PATH"],
            "TERM": "xterm", "LC_ALL": "C", "NO_COLOR": "1",
            "TMPDIR": str(s.dir), **more}


def ratings(s):
    return s.rows("select reply, thumb, reasons, ideal, comment "
                  "from v_rating where uid = ? order by reply",
                  os.getuid())


def test_one_key_rates_and_the_progress_is_shown(service):
    a, b, c = say(service, "first", "second", "third")
    with Terminal(env(service), "review") as t:
        assert "unrated: 1 of 3" in t.expect("[g/b/n")      # newest first
        t.send("g")
        t.expect("rated good]")
        shown = t.expect("[g/b/n")
        assert "unrated: 2 of 3" in shown and "second" in shown
        assert "reply %d" % b in shown and "model " in shown
        t.send("i")
        t.expect("] incorrect")
        t.send("u")
        t.expect("] incorrect unhelpful")
        t.send("i")                     # taken back
        t.expect("] unhelpful")
        t.send("\r")
        t.expect("rated bad: unhelpful]")
        t.expect("unrated: 3 of 3")
        t.expect("[g/b/n")
        t.send("x")                     # no such key: the keys are listed
        t.expect("take the rating back")
        t.expect("[g/b/n")
        t.send("n")
        t.expect("rated neutral]")
        t.expect("z goes back")
        t.send("\r")
        t.expect("1 good, 1 bad, 1 neutral, 0 left")
        assert t.end() == 0
    assert ratings(service) == [(a, 0, "[]", None, None),
                                (b, -1, '["unhelpful"]', None, None),
                                (c, 1, "[]", None, None)]
    # They are rated now.
    p = subprocess.run([BUILD / "chatctl", "review"], env=env(service),
                       capture_output=True, text=True, timeout=60,
                       stdin=subprocess.DEVNULL)
    assert (p.returncode, p.stdout) == (0, "")
    assert "no reply is waiting: unrated" in p.stderr


def test_undo_takes_ratings_back_one_by_one(service):
    a, b = say(service, "first", "second")
    with Terminal(env(service), "review") as t:
        t.expect("1 of 2")
        t.send("z")
        t.expect("this is the first one")
        t.expect("[g/b/n")
        t.send("b")
        t.expect("2 of 2")
        t.expect("[g/b/n")
        t.send("z")
        assert "second" in t.expect("[g/b/n")
        assert ratings(service) == []
        t.send("g")
        t.expect("2 of 2")
        t.expect("[g/b/n")
        t.send("b")
        t.expect("that was the last one: z goes back")
        t.send("z")
        assert "2 of 2" in t.expect("[g/b/n")
        t.send("s")
        t.expect("z goes back")
        t.send("\r")
        t.expect("1 good, 0 bad, 0 neutral, 1 left")
        assert t.end() == 0
    assert ratings(service) == [(b, 1, "[]", None, None)]
    assert a < b


def test_the_ideal_reply_comes_from_the_editor_and_a_comment_too(service):
    (a,) = say(service, "wrong")
    editor = service.dir / "editor"
    editor.write_text("#!/bin/sh\ncat \"$1\" >%s/was\n"
                      "echo right >\"$1\"\n" % service.dir)
    editor.chmod(0o755)
    with Terminal(env(service, EDITOR=str(editor)), "review") as t:
        t.expect("[g/b/n")
        t.send("e")
        t.expect("] +ideal")
        t.send("c")
        t.expect("comment: ")
        t.send("not so\r")
        t.expect("+ideal +comment")
        t.send("h")
        t.expect("] harmful +ideal +comment")
        t.send("g")                     # a good reply has no reasons
        t.expect("reasons: they say why a reply is bad")
        t.expect("[g/b/n")
        t.send("b")
        t.expect("rated bad: harmful; with the reply you wanted and a "
                 "comment]")
        t.expect("z goes back")
        t.send("q")
        assert t.end() == 0
    assert (service.dir / "was").read_text() == "wrong"
    assert ratings(service) == [(a, -1, '["harmful"]', "right", "not so")]


def test_a_second_opinion_is_given_blind_a_dispute_is_not(service):
    a, b = say(service, "first", "second")
    as_other(service, a, 1)
    as_other(service, b, 1)
    with Terminal(env(service), "review", "--second") as t:
        assert "rated good" not in t.expect("[g/b/n")
        t.send("b")
        t.expect("second: 2 of 2")
        t.expect("[g/b/n")
        t.send("q")
        assert t.end() == 0
    p = subprocess.run([BUILD / "chatctl", "stats", "--all", "--json"],
                       env=env(service), capture_output=True, timeout=60)
    (pair,) = json.loads(p.stdout)["agreement"]
    assert (pair["raters"], pair["same"], pair["replies"]) == \
        ("users %d" % os.getuid(), 0, 1)
    p = subprocess.run([BUILD / "chatctl", "review", "--disputed", "--json"],
                       env=env(service), capture_output=True, timeout=60)
    assert p.stdout == b""              # not those that I have rated
    db = sqlite3.connect(service.state / "chatd.db", timeout=20)
    db.execute("update rating set uid = 4242, name = 'anna' where uid = ?",
               (os.getuid(),))
    db.commit()
    db.close()
    with Terminal(env(service), "review", "--disputed") as t:
        shown = t.expect("[g/b/n")
        assert "disputed: 1 of 1" in shown and "[rated good]" in shown
        assert "[anna rated bad]" in shown
        t.send("\x04")
        assert t.end() == 0


def test_keys_come_from_a_pipe_and_the_list_has_an_end(service):
    say(service, *["text %d" % i for i in range(7)])
    p = subprocess.run([BUILD / "chatctl", "review", "-n", "5"],
                       env=env(service), input="good\nskip\nb\n", text=True,
                       capture_output=True, timeout=60)
    assert p.returncode == 0 and "1 of 5+" in p.stdout
    assert "\x1b" not in p.stdout
    assert "1 good, 1 bad, 0 neutral, 3 left of those listed" in p.stderr
    p = subprocess.run([BUILD / "chatctl", "review", "--json"],
                       env=env(service), stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=60)
    assert [json.loads(x)["title"] for x in p.stdout.splitlines()] == \
        ["#say text %d" % i for i in (5, 3, 2, 1, 0)]
    p = subprocess.run([BUILD / "chatctl", "review", "--json", "--user",
                        "nosuch"], env=env(service), capture_output=True,
                       timeout=60, stdin=subprocess.DEVNULL)
    assert (p.returncode, p.stdout) == (1, b"")
    assert b'nothing is stored under the name "nosuch"' in p.stderr


def test_the_conversation_can_be_viewed_and_comments_come_from_a_pipe(
        service):
    with service.client() as c:
        first = c.say("#say earlier turn")[1]
        c.say("#say later turn", conversation=first["conversation"])
    p = subprocess.run([BUILD / "chatctl", "review", "-n", "1"],
                       env=env(service), text=True, capture_output=True,
                       timeout=60, input="c\nmy remark\nv\nbad\nb\n")
    assert p.returncode == 0 and p.stdout.count("earlier turn\n") == 2
    assert ratings(service) == [(first["reply"] + 1, -1, "[]", None,
                                 "my remark")]


def test_a_reply_that_was_deleted_in_the_meantime_is_passed_over(service):
    say(service, "first", "second")
    with Terminal(env(service), "review") as t:
        t.expect("1 of 2")
        t.expect("[g/b/n")
        with service.client() as c:
            for n, in service.rows("select id from conversation"):
                c.call("delete", conversation=n)
        t.send("g")
        t.expect("gone: it was deleted")
        t.expect("2 of 2")
        t.expect("[g/b/n")
        t.send("g")
        t.expect("gone: it was deleted")
        t.expect("z goes back")
        t.send("\r")
        t.expect("0 good, 0 bad, 0 neutral, 0 left")
        assert t.end() == 0


def test_a_deleted_reply_counts_once_and_its_rating_can_be_taken_back(
        service):
    say(service, "first", "second", "third")
    with Terminal(env(service), "review") as t:
        t.expect("1 of 3")
        t.expect("[g/b/n")
        t.send("g")
        t.expect("2 of 3")
        t.expect("[g/b/n")
        with service.client() as c:
            for n, in service.rows("select id from conversation "
                                   "order by id desc limit 2"):
                c.call("delete", conversation=n)
        for _ in range(2):
            t.send("b")
            t.expect("gone: it was deleted")
            t.expect("3 of 3")
            t.expect("[g/b/n")
            t.send("z")
            t.expect("2 of 3")
            t.expect("not_found: ")         # it is looked for again
            t.expect("[g/b/n")
        t.send("z")                         # the rating is gone, too
        t.expect("not_found: ")
        t.expect("1 of 3")
        t.expect("[g/b/n")
        t.send("q")
        t.expect("0 good, 0 bad, 0 neutral, 1 left")
        assert t.end() == 0
    assert ratings(service) == []


def test_ctrl_d_before_the_question_ends_the_walk(service):
    """The terminal still reads lines then, and takes it for their end."""
    (a,) = say(service, "first")
    with Terminal(env(service), "review") as t:
        t.send("\x04")
        t.expect("0 good, 0 bad, 0 neutral, 1 left")
        assert t.end() == 0
    assert ratings(service) == []


def test_hostile_text_does_not_drive_the_terminal(service):
    say(service, "a \x1b]52;c;aGk=\x07 \u202egnp")
    with Terminal(env(service), "review") as t:
        shown = t.expect("[g/b/n")
        assert "\\x1b]52" in shown and "\x1b]52" not in shown
        t.send("\x03")
        assert t.end() == 130
