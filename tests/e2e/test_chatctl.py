# SPDX-License-Identifier: Apache-2.0
"""chatctl with a scripted chatd: pipes, exit statuses, JSON, moderation, and
interactive chats on a pseudo-terminal."""
import grp
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import termios
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_chatd import HOSTILE, Client, FakeChatd  # noqa: E402

BUILD = os.environ.get("CHATD_BUILD", os.getcwd())
CHATCTL = os.path.join(BUILD, "chatctl")
WAIT = 20       # seconds to wait for output

# HOSTILE on a terminal: every control character is visible.
SHOWN = ("red\\x1b[31m bell\\x07 back\\x08\\x08\\x08 cr\\x0dxx "
         "csi\\u009b31m osc\\x1b]52;c;aGk=\\x07 bidi\\u202egnp\\u202c "
         "del\\x7f zero\\u200bwidth tag\\U000e0041 ok\u00e9\U0001f600"
         "\ttab\r\nend")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "s")


@pytest.fixture
def chatd(path):
    with FakeChatd(path) as server:
        yield server


@pytest.fixture
def env(tmp_path, path):
    """An environment without settings of the user."""
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path),
            "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm",
            "TMPDIR": str(tmp_path), "CHATD_SOCKET": path,
            "LC_ALL": "C", "NO_COLOR": "1"}


def run(env, *args, text=b"", **more):
    """Run chatctl on a pipe; returns its status, stdout and stderr."""
    if isinstance(text, str):
        text = text.encode()
    p = subprocess.run([CHATCTL, *args], input=text, env=env,
                       capture_output=True, timeout=WAIT, **more)
    return p.returncode, p.stdout.decode(), p.stderr.decode()


class Terminal:
    """chatctl on a pseudo-terminal."""

    def __init__(self, env, *args):
        self.out = b""
        self.seen = 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # so wide that no message takes two lines
            termios.tcsetwinsize(0, (24, 1000))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(CHATCTL, [CHATCTL, *args], env)
        self.status = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)

    def fill(self, seconds):
        """Read once; False if nothing came or the output has ended."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            return False
        self.out += piece
        return piece != b""

    def expect(self, pattern):
        """Wait for a pattern after the one that was expected before."""
        if isinstance(pattern, str):
            pattern = re.escape(pattern).encode()
        end = time.monotonic() + WAIT
        while True:
            m = re.compile(pattern).search(self.out, self.seen)
            if m:
                text = self.out[self.seen:m.end()]
                self.seen = m.end()
                return text.decode(errors="backslashreplace")
            assert self.fill(max(0, end - time.monotonic())), \
                "%r did not come; there is %r" % (pattern,
                                                  self.out[self.seen:])

    def prompt(self):
        return self.expect(b"\\x1b\\[\\?2004h\\r?(\\x1b\\[m)?> ")

    def send(self, keys):
        os.write(self.fd, keys.encode() if isinstance(keys, str) else keys)

    def say(self, text):
        """Type a line at the prompt."""
        self.prompt()
        self.send(text + "\r")

    def end(self):
        """Wait until chatctl ends; returns its exit status."""
        while self.fill(WAIT):
            pass
        limit = time.monotonic() + WAIT
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        while pid == 0:
            assert time.monotonic() < limit, "chatctl does not end"
            time.sleep(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def leave(self):
        self.prompt()
        self.send("\x04")
        return self.end()


# ---- pipes

def test_stdin_is_one_message_and_the_reply_goes_to_stdout(chatd, env):
    assert run(env, text="two\nlines\n\n") == (0, "You said: two\nlines\n",
                                               "")
    (say,) = chatd.wait_for("say")
    assert say["text"] == "two\nlines"
    assert "conversation" not in say and "params" not in say


def test_arguments_are_joined(chatd, env):
    assert run(env, "ask", "how", "are you?", stdin=None)[1] == \
        "You said: how are you?\n"


def test_a_piped_document_follows_the_text(chatd, env):
    status, _, _ = run(env, "ask", "Sum up:", text="a\nb\n")
    assert status == 0
    assert chatd.wait_for("say")[0]["text"] == "Sum up:\n\na\nb"


def test_dash_takes_stdin_as_the_whole_message(chatd, env):
    run(env, "ask", "-", text="doc")
    assert chatd.wait_for("say")[0]["text"] == "doc"


def test_a_raw_prompt_is_sent_unchanged(chatd, env):
    status, out, _ = run(env, "--raw", text="Q: 1\nA:\n")
    assert status == 0 and out == "You said: Q: 1\nA:\n"
    assert chatd.wait_for("complete")[0]["prompt"] == "Q: 1\nA:\n"


def test_parameters_are_sent(chatd, env):
    run(env, "ask", "--temperature", "0.2", "--top-k=3", "--top-p", "0.9",
        "--max-tokens", "7", "--seed", "5", "--stop", "a", "--stop", "b",
        "--repetition-penalty", "1.1", "--preprompt", "Be kind.", "x")
    (say,) = chatd.wait_for("say")
    assert say["params"] == {"temperature": 0.2, "top_k": 3, "top_p": 0.9,
                             "max_tokens": 7, "seed": 5, "stop": ["a", "b"],
                             "repetition_penalty": 1.1}
    assert say["preprompt"] == "Be kind."


@pytest.mark.parametrize("word,sent", [("new", "new"), ("base", "")])
def test_an_adapter_is_sent(chatd, env, word, sent):
    run(env, "ask", "--adapter", word, "x")
    (say,) = chatd.wait_for("say")
    assert say["params"] == {"adapter": sent}
    status, _, err = run(env, "ask", "--adapter", "", "x")
    assert status == 2 and err == "chatctl: --adapter: its value is empty\n"
    with Terminal(env) as t:
        t.say("/params adapter=" + "x" * 65)
        t.expect("adapter: expected at most 64 bytes, found 65")
        t.say("/params adapter=%s" % word)
        t.say("/params")
        t.expect('adapter             "%s"  (set here)' % sent)
        t.say("hi")
        t.expect("You said: hi")
        t.say("/params adapter=")
        t.say("/params")
        t.expect("adapter             not set")
        t.say("ho")
        t.expect("You said: ho")
        t.leave()
    assert [m.get("params", {}) for m in chatd.wait_for("say", 3)] == [
        {"adapter": sent}, {"adapter": sent}, {}]


def test_continue_takes_the_newest_conversation(chatd, env):
    chatd.add(None, "old", "x")
    n, _, _ = chatd.add(None, "new", "x")
    assert run(env, "ask", "-c", "more")[0] == 0
    assert chatd.wait_for("say")[0]["conversation"] == n


def test_continue_needs_a_conversation(chatd, env):
    status, out, err = run(env, "ask", "-c", "more")
    assert (status, out) == (1, "")
    assert "no conversation" in err


def test_a_reply_off_a_terminal_is_not_escaped(chatd, env):
    assert run(env, text="hostile")[1] == HOSTILE + "\n"


def test_an_empty_reply_is_an_empty_line(chatd, env):
    assert run(env, text="empty") == (0, "\n", "")


def test_notices_go_to_stderr_and_quiet_hides_them(chatd, env):
    assert run(env, text="notice me") == (
        0, "You said: notice me\n", "chatctl: [2 oldest turns left out]\n")
    assert run(env, "-q", text="notice me")[2] == ""


def test_json_prints_the_events_of_chatd(chatd, env):
    status, out, _ = run(env, "--json", text="hi")
    events = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [e["event"] for e in events] == ["accepted", "text", "done"]
    assert events[1]["text"] == "You said: hi"
    assert events[2]["conversation"] == 1


def test_json_keeps_hostile_text_inert(chatd, env):
    status, out, _ = run(env, "--json", text="hostile")
    assert status == 0
    events = [json.loads(line) for line in out.splitlines()]
    assert "".join(e.get("text", "") for e in events) == HOSTILE
    for c in "\x1b\x07\x08\x0d\x7f\u009b\u202e\u200b\U000e0041":
        assert c not in out


def test_a_reader_that_goes_away_ends_chatctl_quietly(chatd, env):
    p = subprocess.Popen([CHATCTL, "ask", "slow"], env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    assert p.stdout.read(6) == b"piece0"
    p.stdout.close()
    assert p.stderr.read() == b""
    assert p.wait(WAIT) in (-signal.SIGPIPE, 128 + signal.SIGPIPE)
    p.stderr.close()


@pytest.mark.parametrize("text, message", [
    (b"\xff\xfe", "not UTF-8 at byte 0"), (b"a\0b", "NUL byte at byte 1"),
    (b"", "empty"), (b"\n", "empty"), (b"x" * 101, "longer than 100"),
])
def test_texts_that_chatd_would_refuse_are_not_sent(
        path, env, text, message):
    with FakeChatd(path, prompt_max=100) as chatd:
        status, out, err = run(env, text=text)
        assert (status, out) == (2, "")
        assert message in err and err.startswith("chatctl: ")
        assert [r["op"] for r in chatd.requests if r["op"] == "say"] == []


def test_text_and_document_together_must_fit(path, env):
    with FakeChatd(path, prompt_max=100):
        status, _, err = run(env, "ask", "x" * 60, text="y" * 60)
    assert status == 2 and "122 bytes, chatd takes at most 100" in err


# ---- exit statuses

def test_status_1_blocked(chatd, env):
    assert run(env, text="block") == (
        1, "", "chatctl: blocked: This was blocked by policy.\n")


def test_status_1_blocked_in_the_middle_ends_the_line(chatd, env):
    status, out, err = run(env, text="halfblock")
    assert (status, out) == (1, "half a re\n")
    assert "The reply was blocked." in err


@pytest.mark.parametrize("args, message", [
    (["--frobnicate"], "--frobnicate: no such option; see"),
    (["--con", "1", "list"], "--con: ambiguous option; see"),
    (["list", "--json=1"], "--json: takes no value; see"),
    (["ask", "--temprature", "1", "x"], "did you mean --temperature"),
    (["shwo", "1"], "did you mean show"),
    (["show"], "missing argument"),
    (["show", "x"], "expected a conversation's number"),
    (["list", "1"], "too many arguments"),
    (["list", "--seed", "1"], "no such option"),
    (["--raw", "show", "1"], "show does not take --raw"),
    (["delete", "--exchange", "x"], "expected an exchange's number"),
    (["ask", "--top-k"], "needs an argument"),
    (["ask", "--top-k", "x", "hi"], "expected a whole number"),
    (["ask", "--top-p", "0", "hi"], "at least 1e-06"),
    (["ask", "-Z"], "-Z: no such option"),
    (["ask", "-c", "--conversation", "2", "x"], "exclude each other"),
    (["--color", "alwas", "list"], "did you mean always"),
    (["rate", "1", "god"], "did you mean good"),
    (["rate", "1"], "expected good, bad or neutral"),
    (["rate", "1", "bad", "--reason", "harmfull"], "did you mean harmful"),
    (["export", "--format", "xml"], "--format"),
    (["--wait", "-1", "list"], "--wait"),
    (["--wait", "", "list"], "--wait"),
    (["--wait", " 1", "list"], "--wait"),
    (["list", "--limit", ""], "--limit"),
    (["list", "--limit", "99999999999999999999"], "--limit"),
    (["show", ""], "expected a conversation's number"),
    *((["ask", "--" + name, value, "hi"], "--" + name) for name, value in [
        ("temperature", ""), ("temperature", " "), ("temperature", " 1"),
        ("temperature", "1 "), ("temperature", "1,5"),
        ("temperature", "inf"), ("temperature", "nan"),
        ("temperature", "0x1"), ("temperature", "1e999"),
        ("top-k", ""), ("top-k", "1e3"), ("top-k", "99999999999999999999"),
        ("top-p", ""), ("top-p", "infinity"), ("repetition-penalty", ""),
        ("max-tokens", ""), ("max-tokens", "4.5"), ("max-tokens", "\t4"),
        ("seed", ""), ("seed", "9007199254740992"), ("stop", ""),
        ("conversation", "")]),
])
def test_status_2_usage(chatd, env, args, message):
    status, out, err = run(env, *args)
    assert (status, out) == (2, "")
    assert message in err and err.startswith("chatctl: ")


def test_status_3_no_socket(env, path):
    status, out, err = run(env, text="hi")
    assert (status, out) == (3, "")
    assert err == ("chatctl: %s: no such socket (is chatd running? "
                   "systemctl status chatd)\n" % path)


def test_status_3_nobody_listens(env, path):
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(path)
    s.close()
    status, _, err = run(env, "status")
    assert status == 3
    assert err == ("chatctl: %s: nobody listens there (is chatd running? "
                   "systemctl status chatd)\n" % path)


def test_status_3_not_a_socket(env, path):
    open(path, "w").close()
    status, _, err = run(env, "status")
    assert status == 3 and "not a socket" in err


def test_status_3_connection_lost(chatd, env):
    status, out, err = run(env, text="drop")
    assert (status, out) == (3, "half a re\n")
    assert "connection lost" in err


def test_status_3_the_model_does_not_load_in_time(path, env):
    with FakeChatd(path, state="loading", ticks=1 << 30):
        status, _, err = run(env, "--wait", "0", text="hi")
    assert status == 3 and "loading" in err


@pytest.mark.parametrize("args, text", [
    (["ask", "nameless"], b""), (["tokenize", "nameless"], b""),
    (["moderate", "nameless"], b""), (["moderate"], b"nameless"),
    (["moderate", "--jsonl"], b'"fine"\n"nameless"\n"fine"\n'),
    (["moderate", "--jsonl"], b'"nameless"\n' * 40)])
def test_status_5_an_error_without_a_request_ends_the_wait(
        chatd, env, args, text):
    status, _, err = run(env, *args, text=text)
    assert status == 5
    assert err == "chatctl: bad_json: which line was that?\n"


def open_to_nobody(path, tmp_path):
    """Give all users access to the folder of the socket, and copy chatctl to
    a place where they can run it."""
    os.chmod(path, 0o660)
    folder = tmp_path
    while folder != folder.parent:
        os.chmod(folder, folder.stat().st_mode | 0o011)
        folder = folder.parent
    return shutil.copy(CHATCTL, tmp_path / "chatctl")


def as_nobody(*groups):
    def become():
        os.setgroups(groups)
        os.setgid(65534)
        os.setuid(65534)
    return become


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_status_4_says_who_may_connect_and_why_this_user_may_not(
        chatd, env, path, tmp_path):
    copy = open_to_nobody(path, tmp_path)
    os.chown(path, 0, 12)               # Debian's group man
    name = grp.getgrgid(12).gr_name
    status, _, err = run(env, "list", preexec_fn=as_nobody(), executable=copy)
    assert status == 4
    assert ("only members of the group %s may connect, and nobody is not one "
            "(as root: usermod -aG %s nobody; then log in again)\n"
            % (name, name)) in err
    # A user in the right group is kept out by something else.
    os.chmod(path, 0o600)
    status, _, err = run(env, "list", preexec_fn=as_nobody(12),
                         executable=copy)
    assert status == 4
    assert "although you are in group %s; check the mode" % name in err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be another user")
def test_status_4_not_permitted_names_the_group(chatd, env, path, tmp_path):
    os.chmod(path, 0o660)
    folder = tmp_path
    while folder != folder.parent:      # nobody must get as far as the socket
        os.chmod(folder, folder.stat().st_mode | 0o011)
        folder = folder.parent

    def nobody():
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    # The build folder may be closed to nobody.
    copy = shutil.copy(CHATCTL, tmp_path / "chatctl")
    status, _, err = run(env, "list", preexec_fn=nobody, executable=copy)
    assert status == 4 and "members of the group chat" in err


def test_status_4_operators_only(path, env):
    with FakeChatd(path, operator=False):
        assert run(env, "reload")[0] == 4
        assert run(env, "list", "--all")[0] == 4
        assert run(env, "export", "--all")[0] == 4


def test_status_5_another_protocol(path, env):
    with FakeChatd(path, protocol=2):
        status, _, err = run(env, "list")
    assert status == 5
    assert "speaks protocol 2, this client speaks 1" in err


@pytest.mark.parametrize("hello", [
    b"HTTP/1.1 400 Bad Request\r\n\r\n", b"{}\n", b'{"event":"x"}\n',
    b"\x16\x03\x01\x00\n"])
def test_status_5_not_chatd(path, env, hello):
    with FakeChatd(path, hello=hello):
        assert run(env, "list")[0] == 5


def test_status_130_ctrl_c_cancels(chatd, env):
    p = subprocess.Popen(
        [CHATCTL, "ask", "slow"], env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    assert p.stdout.read(6) == b"piece0"
    p.send_signal(signal.SIGINT)
    out, _ = p.communicate(timeout=WAIT)
    assert p.returncode == 130
    assert out.endswith(b"\n")
    (say,) = chatd.wait_for("say")
    assert chatd.wait_for("cancel")[0]["request"] == say["id"]


# ---- waiting

def test_wait_until_somebody_listens(path, env):
    p = subprocess.Popen([CHATCTL, "--wait", "30", "ask", "hi"], env=env,
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    assert p.poll() is None
    with FakeChatd(path):
        out, err = p.communicate(timeout=WAIT)
    assert (p.returncode, out, err) == (0, b"You said: hi\n", b"")


def test_waiting_for_a_loading_model_prints_nothing_off_a_terminal(
        path, env):
    with FakeChatd(path, state="loading", ticks=2) as chatd:
        assert run(env, text="hi") == (0, "You said: hi\n", "")
        ops = [r["op"] for r in chatd.requests]
    assert ops == ["hello", "status", "status", "say"]


def test_waiting_for_a_model_that_is_down_prints_the_reason(path, env):
    with FakeChatd(path, state="down"):
        status, _, err = run(env, "--wait", "1", text="hi")
    assert status == 3
    assert err.splitlines()[0] == ("chatctl: [the model is down: "
                                   "config.json: bad; waiting for it]")
    assert "is not ready after 1 s, it is down: config.json: bad" in err


def test_loading_progress_is_shown_on_a_terminal(path, env):
    with FakeChatd(path, state="loading", ticks=3), \
            Terminal(env, "ask", "hi") as t:
        t.expect("loading model: 1.0 GiB of 40.0 GiB")
        t.expect("You said: hi\r\n")
        assert t.end() == 0


# ---- commands

def test_help_goes_to_stdout(env):
    for args in ["--help"], ["help"], ["-h"]:
        status, out, err = run(env, *args)
        assert (status, err) == (0, "")
        assert out.startswith("usage: chatctl ")
        for command in ("ask", "list", "show", "rate", "export", "status",
                        "moderate", "tokenize", "delete"):
            assert "\n  %s " % command in out
    for args in ["rate", "--help"], ["help", "rate"]:
        out = run(env, *args)[1]
        assert "--reason" in out and "--temperature" not in out


def test_version(env):
    status, out, _ = run(env, "--version")
    assert status == 0 and out.startswith("chatctl ")


def test_socket_option_beats_the_environment(chatd, env, path):
    env["CHATD_SOCKET"] = "/nonexistent"
    assert run(env, "--socket", path, "list")[0] == 0
    assert run(env, "list", "-s", path)[0] == 0


def test_list_pages_and_escapes_titles(chatd, env):
    for i in range(450):
        chatd.add(None, "title %d\x1b[31m\n" % i, "x")
    status, out, err = run(env, "list", "-n", "430")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 430
    assert lines[0].split()[0] == "450" and lines[429].split()[0] == "21"
    assert lines[0].endswith("title 449\\x1b[31m\\x0a")
    assert "--before 21" in err
    assert len(chatd.wait_for("list", 3)) == 3
    assert len(run(env, "list", "--before", "3")[1].splitlines()) == 2


def test_list_json(chatd, env):
    chatd.add(None, "a", "x")
    out = run(env, "list", "--json")[1]
    assert json.loads(out)["conversation"] == 1


def test_show_prints_a_conversation(chatd, env):
    n, x, _ = chatd.add(None, "one\ntwo", "re\x1bply")
    chatd.conversations[n]["exchanges"][0]["replies"][0]["rating"] = {
        "thumb": -1, "reasons": ["harmful"], "ideal": "id\neal",
        "comment": "c"}
    status, out, _ = run(env, "show", str(n))
    assert status == 0
    assert "> one\n> two\nre\\x1bply\n" in out
    assert "[exchange %d, " % x in out
    assert "[rated bad: harmful; c]\n= id\n= eal\n" in out


def test_show_requests_all_pages(chatd, env):
    n, _, _ = chatd.add(None, "p0", "r0")
    for i in range(1, 450):
        chatd.add(n, "p%d" % i, "r%d" % i)
    status, out, _ = run(env, "show", str(n))
    assert status == 0
    assert [x for x in out.splitlines() if x.startswith("> ")] == \
        ["> p%d" % i for i in range(450)]
    assert out.count("[conversation %d: p0]" % n) == 1
    asked = chatd.wait_for("show", 3)
    assert [r.get("after") for r in asked] == [None, 200, 400]


def test_show_joins_the_pieces_of_an_exchange(chatd, env, monkeypatch):
    def op_show(self, r):
        for number, rest in enumerate(({"prompt": "p"},
                                       {"continued": True})):
            self.item(r, exchange={"exchange": 7, "created": 5, "replies": [
                {"reply": number, "text": "r%d" % number, "state": "done"}],
                **rest})
        self.done(r, conversation=1, title="t", more=False)

    monkeypatch.setattr(Client, "op_show", op_show)
    status, out, _ = run(env, "show", "1")
    assert status == 0
    assert out.count("[exchange 7") == 1 and out.count("> p\n") == 1
    assert "r0\n" in out and "[reply 1]\nr1\n" in out


def test_raw_prompts_are_listed_shown_and_deleted(chatd, env):
    x, _ = chatd.add_raw("2 + 2 =\x1b", " 4")
    status, out, _ = run(env, "list", "--raw")
    assert status == 0
    assert out.split()[0] == str(x) and "2 + 2 =\\x1b" in out
    assert json.loads(run(env, "list", "--raw", "--json")[1])["kind"] == \
        "complete"
    out = run(env, "show", "--exchange", str(x))[1]
    assert "> 2 + 2 =\\x1b\n 4\n" in out and "[conversation" not in out
    assert run(env, "delete", "--exchange", str(x))[0] == 0
    assert "no raw prompts" in run(env, "list", "--raw")[2]
    status, _, err = run(env, "delete", "--exchange", str(x))
    assert status == 1 and "exchange %d: no exchange" % x in err


def test_the_notice_of_a_near_quota_is_printed_once(chatd, env):
    status, out, err = run(env, "ask", "near")
    assert (status, err.count("9 of at most 10")) == (0, 1)


def test_show_of_nothing(chatd, env):
    status, out, err = run(env, "show", "99")
    assert (status, out) == (1, "")
    assert "not_found: no conversation 99" in err


def test_rate_sends_everything(chatd, env, tmp_path):
    _, x, _ = chatd.add(None, "p", "r")
    ideal = tmp_path / "ideal"
    ideal.write_text("better\n")
    assert run(env, "rate", str(x), "bad", "--reason", "incorrect",
               "--reason", "wrong_refusal", "--ideal", "@%s" % ideal,
               "--comment", "no")[0] == 0
    (rate,) = chatd.wait_for("rate")
    del rate["id"]
    assert rate == {"op": "rate", "exchange": x, "thumb": -1,
                    "reasons": ["incorrect", "wrong_refusal"],
                    "ideal": "better", "comment": "no"}
    assert run(env, "rate", str(x), "--ideal", "-", text="in\n")[0] == 0
    assert chatd.wait_for("rate", 2)[1]["ideal"] == "in"
    assert "thumb" not in chatd.wait_for("rate", 2)[1]
    assert run(env, "rate", "77", "good")[0] == 1


def test_rate_says_that_only_a_block_is_reviewed(chatd, env):
    _, x, _ = chatd.add(None, "p", "r")
    for reason, noted in ("wrong_refusal", True), ("unhelpful", False):
        status, _, err = run(env, "rate", str(x), "bad", "--reason", reason)
        assert status == 0
        assert ("not blocked, so no operator will review it" in err) == noted


def test_delete_checks_all_numbers_first(chatd, env):
    chatd.add(None, "a", "x")
    assert run(env, "delete", "1", "x")[0] == 2
    assert 1 in chatd.conversations
    assert run(env, "delete", "1")[0] == 0
    assert chatd.conversations == {}
    assert run(env, "delete", "1")[0] == 1


def test_delete_reports_a_lost_connection(chatd, env, monkeypatch):
    monkeypatch.setattr(Client, "op_delete",
                        lambda self, r: self.s.shutdown(socket.SHUT_RDWR))
    status, _, err = run(env, "delete", "1", "2")
    assert status == 3 and "connection lost" in err


def test_status_is_readable_and_json(chatd, env):
    status, out, _ = run(env, "status")
    assert status == 0
    assert "model      fake (fp32, context 2048): ready" in out
    assert "\n           cache of 8192 tokens in int8, 1.5 GiB\n" in out
    assert "engine     ready, process 11, restarted 2 times" in out
    assert json.loads(run(env, "status", "--json")[1])["uptime_s"] == 93784


def test_status_while_loading(path, env):
    with FakeChatd(path, state="loading", ticks=1 << 30):
        out = run(env, "status")[1]
    assert "1.0 GiB of 40.0 GiB read" in out


def test_status_says_why_the_model_is_down(path, env):
    with FakeChatd(path, state="down", ticks=1 << 30):
        out = run(env, "status")[1].splitlines()
    assert out[out.index("model      fake (fp32, context 2048): down") + 1] \
        == "           config.json: bad"


def test_reload_reports_the_place_of_a_wrong_configuration(chatd, env):
    status, _, err = run(env, "reload")
    assert status == 1
    assert "chatd.yaml:3:7: model: expected a path" in err


def test_tokenize(chatd, env):
    assert run(env, "tokenize", "ab", "c")[1] == "97 98 32 99\n"
    assert json.loads(run(env, "tokenize", "--json", text="a\n")[1]) == {
        "ids": [97, 10], "count": 2}


# ---- moderate

def test_moderate_prints_one_object_per_line_in_order(chatd, env):
    texts = ["text %d%s" % (i, " attack" if i % 3 == 0 else "")
             for i in range(40)]
    status, out, err = run(env, "moderate", "--json", "--direction",
                           "reply", text="\n".join(texts))
    verdicts = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [v["action"] for v in verdicts] == [
        "block" if i % 3 == 0 else "allow" for i in range(40)]
    assert verdicts[0]["categories"]["violence"] == {
        "score": 0.9, "rule": "threat/attack", "plugin": "rules",
        "start": 7, "end": 13, "action": "block"}
    assert {r["direction"] for r in chatd.wait_for("moderate", 40)} == \
        {"reply"}


def test_moderate_jsonl_takes_json_strings(chatd, env):
    lines = ['"two\\nlines"', '"\\u00e9 attack"', '""']
    status, out, _ = run(env, "moderate", "--json", "--jsonl", "-d",
                         "prompt", text="\n".join(lines) + "\n")
    assert status == 0
    assert [json.loads(v)["action"] for v in out.splitlines()] == [
        "allow", "block", "allow"]
    assert [r["text"] for r in chatd.wait_for("moderate", 3)] == [
        "two\nlines", "\u00e9 attack", ""]


def test_moderate_prints_an_error_for_a_bad_line(chatd, env):
    status, out, err = run(env, "moderate", "--json", "--jsonl",
                           text='"a"\n{}\n"b"\n')
    objects = [json.loads(line) for line in out.splitlines()]
    assert [sorted(o)[0] for o in objects] == ["action", "error", "action"]
    assert objects[1]["error"]["code"] == "bad_json"
    assert status == 2 and err == (
        "chatctl: stdin: line 2: expected a JSON string\n")
    status, out, err = run(env, "moderate", text=b"a\n\xff\nb\0c\nd\n")
    assert status == 2 and out == "allow\nallow\n"
    assert err.count("\n") == 2 and "line 2: " in err and \
        "line 3: a NUL byte" in err


def test_moderate_without_json_is_readable(chatd, env):
    status, out, _ = run(env, "moderate", text="fine\nan attack\n")
    assert status == 0
    assert out == ("allow\nblock\tviolence 0.90 (rules threat/attack, bytes "
                   "3 to 9: block)\n")


def test_moderate_of_a_blocked_argument_has_status_1(chatd, env):
    assert run(env, "moderate", "fine")[0] == 0
    assert run(env, "moderate", "attack")[0] == 1


# ---- export

def test_export_to_stdout(chatd, env):
    out = run(env, "export", "--format", "oig")[1]
    assert [json.loads(line)["n"] for line in out.splitlines()] == [0, 1]
    assert chatd.wait_for("export")[0]["format"] == "oig"


def test_export_to_a_new_private_file(chatd, env, tmp_path):
    f = tmp_path / "out"
    old = os.umask(0)
    try:
        assert run(env, "export", "-o", str(f)) == (0, "", "")
    finally:
        os.umask(old)
    assert stat.S_IMODE(f.stat().st_mode) == 0o600
    assert len(f.read_text().splitlines()) == 2


def test_export_never_overwrites_nor_follows_a_link(chatd, env, tmp_path):
    f, link, aim = tmp_path / "out", tmp_path / "link", tmp_path / "aim"
    f.write_text("mine")
    link.symlink_to(aim)
    for path in f, link:
        status, _, err = run(env, "export", "-o", str(path))
        assert status == 1 and "already exists" in err
    assert f.read_text() == "mine" and not aim.exists()


def test_a_failed_export_leaves_no_file(path, env, tmp_path):
    with FakeChatd(path, operator=False):
        f = tmp_path / "out"
        assert run(env, "export", "--all", "-o", str(f))[0] == 4
        assert not f.exists()


# ---- the interactive chat

def refuse(chatd, prompt, text="", reply=None):
    """Store a blocked exchange that waits for a decision."""
    n, number = chatd.add_raw(prompt, text)
    chatd.raw[n]["replies"][0].update(
        state="blocked", rating={"thumb": -1, "reasons": ["wrong_refusal"],
                                 "ideal": None, "comment": "It is a story."},
        verdicts=[{"direction": "prompt", "plugin": "rules", "score": 0.9,
                   "category": "violence", "start": 0, "end": 4,
                   "rule": "threat/kill", "action": "block"}])
    chatd.refusals[n] = number
    return n, number


def test_review_decides_with_one_key_each(chatd, env):
    first, second, third = (refuse(chatd, p) for p in (
        "kill a process", "kill a person", "kill \x1b[2J time"))
    with Terminal(env, "review", "--refusals") as t:
        shown = t.expect("[k/o/s/q]")       # the newest first
        assert "kill \\x1b[2J time" in shown and "\x1b[2J" not in shown
        assert "[block: violence 0.90 (prompt; rules threat/kill)]" in shown
        assert "[rated bad: wrong_refusal; It is a story.]" in shown
        t.send("x")                         # no such key
        t.expect("[k/o/s/q]")
        t.send("s")
        t.expect("skipped")
        assert "kill a person" in t.expect("[k/o/s/q]")
        t.send("k")
        t.expect("kept")
        assert "kill a process" in t.expect("[k/o/s/q]")
        t.send("o")
        t.expect("overturned")
        t.expect("1 kept, 1 overturned, 1 left")
        assert t.end() == 0
    keep, overturn = chatd.wait_for("rate", 2)
    for r, (exchange, reply), thumb, reasons in (
            (keep, second, 1, None), (overturn, first, -1,
                                      ["wrong_refusal"])):
        assert (r["exchange"], r["reply"], r["thumb"], r["review"]) == \
            (exchange, reply, thumb, True)
        assert r.get("reasons") == reasons
    assert list(chatd.refusals) == [third[0]]


@pytest.mark.parametrize("key, status", [
    ("q", 0), ("\x04", 0), ("\x03", 130)])
def test_review_ends_and_leaves_the_terminal_as_it_was(chatd, env, key,
                                                       status):
    refuse(chatd, "kill a process")
    with Terminal(env, "review", "--refusals") as t:
        before = termios.tcgetattr(t.fd)[3]
        t.expect("[k/o/s/q]")
        end = time.monotonic() + WAIT
        while termios.tcgetattr(t.fd)[3] & termios.ICANON:
            assert time.monotonic() < end
            time.sleep(0.01)
        os.set_blocking(t.fd, True)
        t.send(key)
        while termios.tcgetattr(t.fd)[3] != before:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert t.end() == status
    assert len(chatd.refusals) == 1


def test_review_reads_lines_from_a_pipe(chatd, env):
    for i in range(120):                    # more than two pages
        refuse(chatd, "kill %d" % i)
    status, out, err = run(env, "review", "--refusals",
                           text="overturn\n" * 100 + "skip\nkeep\n")
    assert status == 0 and out.count("overturned") == 100
    assert "1 kept, 100 overturned, 2 left" in err
    assert len(chatd.refusals) == 19
    status, out, _ = run(env, "review", "--refusals", "--json")
    assert status == 0 and len(out.splitlines()) == 19
    assert json.loads(out.splitlines()[0])["reply"] > 0
    assert len(chatd.refusals) == 19


def test_a_refusal_that_was_deleted_in_the_meantime_is_passed_over(chatd, env):
    numbers = [refuse(chatd, p)[0] for p in ("kill a", "kill b", "kill c")]
    with Terminal(env, "review", "--refusals") as t:
        assert "kill c" in t.expect("[k/o/s/q]")
        for n in numbers[1:]:
            del chatd.raw[n]
            del chatd.refusals[n]
        t.send("k")
        t.expect("gone: it was deleted")
        t.expect("not_found: ")
        assert "kill a" in t.expect("[k/o/s/q]")
        t.send("k")
        t.expect("1 kept, 0 overturned, 0 left")
        assert t.end() == 0


def test_review_of_nothing_of_two_kinds_and_by_a_user(chatd, env):
    assert run(env, "review", "--refusals") == (
        0, "", "chatctl: no refusal waits for a decision\n")
    status, _, err = run(env, "review", "--refusals", "--second")
    assert status == 2 and "found several" in err
    status, _, err = run(env, "review", "x")
    assert status == 2 and "usage: chatctl review [--unrated|" in err
    chatd.operator = False
    assert run(env, "review", "--refusals")[0] == 4


def test_a_session_from_hello_to_ctrl_d(chatd, env):
    with Terminal(env) as t:
        t.expect("/help lists commands, Ctrl-D leaves")
        t.say("hello")
        t.expect("You said: hello\r\n")
        t.say("more")
        t.expect("You said: more\r\n")
        assert t.leave() == 0
    first, second = chatd.wait_for("say", 2)
    assert "conversation" not in first and second["conversation"] == 1


def test_ctrl_c_stops_the_reply_and_not_the_program(chatd, env):
    with Terminal(env) as t:
        t.say("slow one")
        t.expect("piece3")
        t.send("\x03")
        t.expect("[stopped]")
        t.say("next")
        t.expect("You said: next")
        assert t.leave() == 0
    assert chatd.wait_for("cancel")


def test_ctrl_c_at_the_prompt(chatd, env):
    with Terminal(env) as t:
        t.prompt()
        t.send("\x03")
        t.expect("Ctrl-D or /quit leaves")
        t.prompt()
        t.send("half a thought")
        t.expect("half a thought")
        t.send("\x03")
        t.say("whole")
        t.expect("You said: whole\r\n")
        assert t.leave() == 0
    assert [r["text"] for r in chatd.wait_for("say")] == ["whole"]


def test_a_pasted_document_is_one_message(chatd, env):
    lines = ["line %d" % i for i in range(300)]
    with Terminal(env) as t:
        t.prompt()
        t.send("Sum up: \x1b[200~" + "\r".join(lines) + "\r\x1b[201~")
        t.expect("[paste 1: 300 lines]")
        t.send(" please\r")
        t.expect("line 299 please")
        t.prompt()
        t.send("\x1b[200~/short\x1b[201~")
        t.expect("/short")
        t.send("\x15ok\r")
        t.expect("You said: ok")
        assert t.leave() == 0
    says = [r["text"] for r in chatd.wait_for("say", 2)]
    assert says == ["Sum up: " + "\n".join(lines) + " please", "ok"]


def test_blocks_and_continued_lines(chatd, env):
    with Terminal(env) as t:
        t.say("one \\")
        t.expect(". ")
        t.send("two\r")
        t.expect("You said: one\r\ntwo\r\n")
        t.say('"""')
        for line in "a", "", " b", '"""':
            t.expect("\x1b[?2004h")
            t.send(line + "\r")
        t.expect("You said: a\r\n\r\n b\r\n")
        t.say('"""dropped')
        t.expect("\x1b[?2004h")
        t.send("\x04")
        t.expect("[nothing was sent]")
        t.say("//etc is a folder")
        t.expect("You said: /etc is a folder")
        assert t.leave() == 0
    assert [r["text"] for r in chatd.wait_for("say", 3)] == [
        "one \ntwo", "a\n\n b", "/etc is a folder"]


def test_hostile_text_does_not_drive_the_terminal(chatd, env):
    with Terminal(env, "chat", "--plain") as t:
        t.say("hostile")
        t.expect("\x1b[?2004l")
        shown = t.expect(b"end\r\n")
        assert shown.lstrip("\r\n") == SHOWN + "\r\n"
        assert t.leave() == 0


def test_hostile_text_on_a_terminal_without_the_chat(chatd, env):
    for args in ["ask", "hostile"], ["show", "1"]:
        with Terminal(env, *args, "--plain") as t:
            assert t.end() == 0
            for c in b"\x1b\x07\x08\x7f":
                assert bytes([c]) not in t.out
            assert b"\r" not in t.out.replace(b"\r\n", b"")
            assert SHOWN.encode() in t.out


def test_colours_mark_escapes_and_no_color_wins(chatd, env):
    del env["NO_COLOR"]
    with Terminal(env, "ask", "hostile") as t:
        assert t.end() == 0
        assert b"red\x1b[7m\\x1b\x1b[27m[31m" in t.out
    for args, extra in ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"}), \
            (["--color=never"], {}):
        with Terminal({**env, **extra}, *args, "ask", "hostile") as t:
            assert t.end() == 0
            assert b"\x1b" not in t.out
    env["NO_COLOR"] = "1"
    err = run(env, "--color=always", "show", "99")[2]
    assert err.startswith("\x1b[31mchatctl:")


def test_commands_of_the_chat(chatd, env):
    with Terminal(env) as t:
        t.say("/good")
        t.expect("no reply to rate yet")
        t.say("first")
        t.expect("You said: first")
        t.say("/bad incorect not so")
        t.expect('"incorect" is no reason; did you mean incorrect?')
        t.say("/bad incorrect harmful not so")
        t.expect("[exchange 1 rated bad: incorrect, harmful; with a comment]")
        t.say("/bad -- incorect at the beginning")
        t.expect("[exchange 1 rated bad; with a comment]")
        t.say("/ideal This one.")
        t.expect("; with the reply you wanted]")
        t.say("/again")
        t.expect("You said: again first")
        t.say("/params temperature=0 top_k=nine")
        t.expect("[temperature=0]")
        t.expect("top_k: expected a whole number")
        t.say("/params")
        t.expect("temperature         0.0  (set here)\r\n")
        t.say("/raw Q:")
        t.expect("You said: Q:")
        t.say("/show")
        t.expect("> first")
        t.say("/list")
        t.expect("first")
        t.say("/new A title")
        t.expect("[a new conversation]")
        t.say("in it")
        t.expect("You said: in it")
        t.say("/open 1")
        t.expect("[conversation 1]")
        t.say("/status")
        t.expect("model      fake")
        t.say("/shwo")
        t.expect("did you mean /show")
        for line, found in (
                ("/open one", '/open: expected the number of a conversation, '
                 'as /list shows it, found "one"'),
                ("/open", "as /list shows it, found nothing"),
                ("/list x", "/list: expected how many conversations"),
                ("/again 3", '/again: takes no argument, found "3"'),
                ("/quit now", '/quit: takes no argument')):
            t.say(line)
            t.expect(found)
        t.say("/help")
        for name in ("help", "new", "list", "open", "show", "good", "bad",
                     "ideal", "edit-reply", "again", "raw", "params", "status", "quit"):
            t.expect("/" + name)
        t.say("/quit")
        assert t.end() == 0
    bad, verbatim, ideal = chatd.wait_for("rate", 3)
    assert verbatim["comment"] == "incorect at the beginning"
    assert (bad["thumb"], bad["reasons"], bad["comment"]) == (
        -1, ["incorrect", "harmful"], "not so")
    assert ideal["ideal"] == "This one." and "thumb" not in ideal
    assert chatd.wait_for("complete")[0]["params"] == {"temperature": 0.0}
    assert chatd.wait_for("say", 2)[1]["conversation"] == \
        [n for n, c in chatd.conversations.items()
         if c["title"] == "A title"][0]


@pytest.mark.parametrize("command", ["/ideal", "/edit-reply"])
def test_ideal_opens_the_editor(chatd, env, tmp_path, command):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\ncat "$2" >%s/was\n'
                      'echo better >"$2"\n' % tmp_path)
    editor.chmod(0o755)
    env["VISUAL"] = "%s -x" % editor
    with Terminal(env) as t:
        t.say("hi")
        t.expect("You said: hi")
        t.say(command)
        t.expect("; with the reply you wanted]")
        assert t.leave() == 0
    assert chatd.wait_for("rate")[0]["ideal"] == "better"
    assert (tmp_path / "was").read_text() == "You said: hi"
    assert not [f for f in os.listdir(tmp_path) if f.startswith("chatctl-")]


def test_tab_completes_commands_and_conversations(chatd, env):
    chatd.add(None, "a \x1b[31mtitle", "x")
    chatd.add(None, "another", "x")
    with Terminal(env) as t:
        t.prompt()
        t.send("/par\tx=1\r")
        t.expect("x: no such parameter")
        t.prompt()
        t.send("/params top_\t")
        t.expect("top_k=")
        t.expect("top_p=")
        t.send("\x15/open \t")
        t.expect("another")
        t.expect("a \\x1b[31mtitle")
        t.send("\x15/sh\t\r")
        t.expect("nothing has been said yet")
        t.prompt()
        t.send("/help ide\t\r")
        t.expect("in your editor")
        assert t.leave() == 0


def test_an_opened_conversation_can_be_rated_and_answered_again(chatd, env):
    conversation, exchange, _ = chatd.add(None, "a question", "an answer")
    with Terminal(env) as t:
        t.prompt()
        t.send("/open %d\r" % conversation)
        t.expect("an answer")
        t.prompt()
        t.send("/good\r")
        t.expect("rated good]")
        t.prompt()
        t.send("/again\r")
        (again,) = chatd.wait_for("regenerate")
        assert again["exchange"] == exchange
        assert t.leave() == 0


def test_a_lost_connection_is_reported_and_opened_again(chatd, env):
    with Terminal(env) as t:
        t.say("remember me")
        t.expect("You said: remember me")
        t.say("drop")
        t.expect("half a re\r\n")
        t.expect("connection lost")
        t.expect("connected again")
        t.say("still there?")
        t.expect("You said: still there?")
        assert t.leave() == 0
    assert [r.get("conversation") for r in chatd.wait_for("say", 3)] == [
        None, 1, 1]
    assert chatd.connections == 2


def test_again_is_not_offered_for_a_message_that_was_not_accepted(chatd, env):
    with Terminal(env) as t:
        t.say("one")
        t.expect("You said: one")
        t.say("vanish")
        t.expect("connection lost")
        t.expect("[connected again; send the message again]")
        assert t.leave() == 0


def test_a_restart_of_chatd_between_messages_goes_unnoticed(chatd, env):
    with Terminal(env) as t:
        t.say("one")
        t.expect("You said: one")
        t.prompt()
        chatd.stop()
        chatd.start()
        t.send("two\r")
        t.expect("[connecting to chatd again]")
        t.expect("You said: two")
        assert t.leave() == 0
    assert chatd.wait_for("say", 2)[1]["conversation"] == 1


def test_keys_typed_during_a_reply_are_not_lost(chatd, env):
    with Terminal(env) as t:
        t.say("brief")
        t.expect("piece2")
        t.send("typed ahead")
        t.expect("typed ahead")
        assert t.out.index(b"piece29") < t.out.index(b"typed")


def history(tmp_path):
    return tmp_path / "state" / "chatd" / "history"


def test_history_is_private_and_comes_back(chatd, env, tmp_path):
    old = os.umask(0)
    try:
        with Terminal(env) as t:
            t.say("first \\ line")
            t.expect("You said:")
            t.say(" secret")
            t.expect("You said:")
            t.say('"""a')
            t.expect("\x1b[?2004h")
            t.send('b"""\r')
            t.expect("You said: a\r\nb")
            assert t.leave() == 0
    finally:
        os.umask(old)
    f = history(tmp_path)
    assert f.read_text() == "first \\\\ line\na\\nb\n"
    assert stat.S_IMODE(f.stat().st_mode) == 0o600
    assert stat.S_IMODE(f.parent.stat().st_mode) == 0o700
    with Terminal(env) as t:
        t.prompt()
        t.send("\x1b[A\x1b[A")
        t.expect("first")
        t.send("\r")
        t.expect("You said: first \\ line")
        assert t.leave() == 0
    assert chatd.wait_for("say", 4)[3]["text"] == "first \\ line"


def test_history_can_be_switched_off(chatd, env, tmp_path):
    for args, extra in (["--no-history"], {}), \
            ([], {"CHATCTL_HISTORY": "off"}):
        with Terminal({**env, **extra}, *args) as t:
            t.say("hi")
            t.expect("You said: hi")
            assert t.leave() == 0
    assert not history(tmp_path).exists()


def test_history_is_not_kept_through_a_link(chatd, env, tmp_path):
    f = history(tmp_path)
    f.parent.mkdir(parents=True)
    aim = tmp_path / "aim"
    aim.write_text("old\n")
    f.symlink_to(aim)
    with Terminal(env) as t:
        t.expect("no history is kept")
        t.say("hi")
        t.expect("You said: hi")
        assert t.leave() == 0
    assert aim.read_text() == "old\n"


def test_a_history_others_could_read_is_made_private(chatd, env, tmp_path):
    f = history(tmp_path)
    f.parent.mkdir(parents=True)
    f.write_text("old\n")
    f.chmod(0o644)
    with Terminal(env) as t:
        assert t.leave() == 0
    assert stat.S_IMODE(f.stat().st_mode) == 0o600


def test_sigterm_leaves_the_terminal_as_it_was(chatd, env):
    with Terminal(env) as t:
        before = termios.tcgetattr(t.fd)
        t.prompt()
        t.send("x")
        t.expect("x")
        os.kill(t.pid, signal.SIGTERM)
        while t.fill(WAIT):
            pass
        _, status = os.waitpid(t.pid, 0)
        t.status = os.waitstatus_to_exitcode(status)
        assert t.status == 128 + signal.SIGTERM
        assert t.out.count(b"\x1b[?2004h") == t.out.count(b"\x1b[?2004l")
        assert termios.tcgetattr(t.fd)[3] == before[3]


def test_a_stop_in_a_reply_leaves_one_prompt(chatd, env):
    with Terminal(env) as t:
        t.say("brief")
        t.expect("piece1")
        os.kill(t.pid, signal.SIGCONT)
        t.expect("piece29")
        t.prompt()
        t.send("/quit\r")
        assert b"> " not in t.expect("/quit").encode()
        assert t.end() == 0


def test_long_lists_go_through_the_pager(chatd, env):
    for i in range(60):
        chatd.add(None, "t%d" % i, "x")
    env["CHATCTL_PAGER"] = "sed 's/^/PAGED /'"
    with Terminal(env, "list", "-n", "60") as t:
        assert t.end() == 0
        assert t.out.count(b"PAGED ") == 61      # with the heading
    with Terminal(env, "list", "-n", "3") as t:
        assert t.end() == 0
        assert b"PAGED" not in t.out
    env["CHATCTL_PAGER"] = "no-such-pager 2>/dev/null"
    with Terminal(env, "list", "-n", "60") as t:
        assert t.end() == 0
        assert t.out.count(b"\n") >= 60
