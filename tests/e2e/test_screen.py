# SPDX-License-Identifier: Apache-2.0
"""chatctl on a real terminal: tmux draws what it prints, and the screens are
compared. The same scenes run under several values of TERM."""
import os
import shutil
import subprocess
import time

import pytest

from service import BUILD, Service, WAIT

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None,
                                reason="tmux is not installed")
TERMS = ["xterm-256color", "tmux-256color", "screen", "linux", "putty",
         "vt100", "dumb"]
WIDE = 60
LINE = " ".join(c * 4 for c in "abcdefghijklmnopqr")     # 89 columns


def known(term):
    return subprocess.run(["infocmp", term], capture_output=True).returncode \
        == 0


class Screen:
    """chatctl in a window of tmux."""

    def __init__(self, service, folder, term="xterm-256color", *args):
        self.tmux = ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null"]
        env = dict(os.environ, HOME=str(folder), SHELL="/bin/sh",
                   LC_ALL="C.UTF-8")
        env.pop("TMUX", None)
        command = "env PS1='$ ' sh -i"
        subprocess.run(
            self.tmux + ["new-session", "-d", "-x", str(WIDE), "-y", "24",
                         command], env=env, check=True, timeout=WAIT)
        self.wait("$")
        self.type("TERM=%s %s -s %s %s; echo end $?" % (
            term, BUILD / "chatctl", service.socket, " ".join(args)))
        self.keys("Enter")
        self.wait("Ctrl-D leaves")
        self.keys("C-l")        # the commands above scroll away

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.run("kill-server")

    def run(self, *args):
        return subprocess.run(self.tmux + list(args), capture_output=True,
                              text=True, timeout=WAIT).stdout

    def keys(self, *names):
        self.run("send-keys", "-t", "0", *names)

    def type(self, text):
        self.run("send-keys", "-t", "0", "-l", text)

    def paste(self, text):
        self.run("set-buffer", text)
        self.run("paste-buffer", "-p", "-t", "0")

    def lines(self):
        return [x.rstrip() for x in
                self.run("capture-pane", "-t", "0", "-p").splitlines()]

    def cursor(self):
        """The column of the cursor."""
        return self.run("display-message", "-p", "-t", "0",
                        "#{cursor_x}").strip()

    def last(self, n=1):
        """The last n lines with text."""
        return [x for x in self.lines() if x][-n:]

    def wait(self, text):
        return self.until(lambda: any(text in x for x in self.lines()), text)

    def until(self, condition, what=""):
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end, "%s did not come: %s" % (
                what, "\n".join(self.lines()))
            time.sleep(0.02)
        return self

    def ends_with(self, *wanted):
        wanted = [x.rstrip() for x in wanted]
        self.until(lambda: self.last(len(wanted)) == wanted,
                   "\n".join(wanted))


@pytest.fixture(scope="module")
def service():
    with Service(env={"SCRIPTED_TICK": "0.001"},
                 config={"defaults": {"max_tokens": 2000}}) as s:
        s.wait_model()
        yield s


@pytest.fixture
def screen(service, tmp_path):
    with Screen(service, tmp_path) as s:
        yield s


@pytest.mark.parametrize("term", TERMS)
def test_keys_and_a_reply(service, tmp_path, term):
    """Editing in the middle of a line, and a reply over several lines."""
    if not known(term):
        pytest.skip("terminfo does not know " + term)
    with Screen(service, tmp_path, term) as s:
        s.type("two three")
        s.keys("Home")
        s.type("one ")
        s.keys("End")
        s.type(" x")
        for key in "PPage", "NPage", "F5", "F12", "IC", "C-PPage", "S-F2":
            s.keys(key)
        s.keys("C-Left", "C-Left", "C-Left")
        s.type("2")
        s.keys("C-Right", "Right", "DC", "End", "BSpace", "BSpace")
        s.ends_with("> one 2two hree")
        s.keys("C-u", "C-k")
        s.type("#say " + LINE)
        s.keys("Enter")
        s.ends_with(LINE[:59], LINE[60:], ">")


@pytest.mark.parametrize("key, shown", [("C-c", []), ("C-z", ["Stopped"])])
def test_a_long_line_is_left_in_order(screen, key, shown):
    """Ctrl-C and Ctrl-Z from the start of a line of two screen lines."""
    screen.type(LINE)
    screen.keys("C-a")
    screen.until(lambda: screen.cursor() == "2")
    screen.keys(key)        # the terminal drops what is before it
    if key == "C-z":
        screen.wait("Stopped")
        assert "> " + LINE[:58] in screen.lines()
        screen.type("fg")
        screen.keys("Enter")
        screen.ends_with("> " + LINE[:58], LINE[58:])
        screen.type("new ")
        screen.ends_with("> new " + LINE[:54], LINE[54:])
        screen.keys("BSpace", "C-Right", "Right")
        screen.type("X")
        screen.ends_with("> new" + LINE[:4] + " X" + LINE[5:54],
                         LINE[54:])
    else:
        screen.ends_with("> " + LINE[:58], LINE[58:], ">")


def test_ctrl_z_also_stops_a_chat_that_a_script_started(service, screen):
    """As in ./bootstrap chat: the shell waits for the script, and takes the
    terminal back before chatctl has stopped."""
    screen.keys("C-d")
    screen.wait("end 0")
    screen.type("bash --norc -i")
    screen.keys("Enter")
    screen.type("clear; sh -c '%s -s %s; :'" % (BUILD / "chatctl",
                                                service.socket))
    screen.keys("Enter")
    screen.wait("Ctrl-D leaves")
    for i in range(5):
        screen.ends_with(">")
        screen.keys("C-l")
        screen.type("one")
        screen.ends_with("> one")
        screen.keys("C-z")
        screen.wait("Stopped")
        screen.type("fg")
        screen.keys("Enter")
        screen.ends_with("> one")
        screen.keys("Home")
        screen.type("#say %d " % i)
        screen.keys("Enter")
        screen.ends_with("> #say %d one" % i, "%d one" % i, ">")


@pytest.mark.parametrize("columns", [80, WIDE, 40])
def test_help_is_broken_between_words(screen, columns):
    screen.run("resize-window", "-t", "0", "-x", str(columns), "-y", "24")
    for name, words in ("ideal", ["in your", "editor"]), \
            ("system", ["which the model reads", "first"]):
        screen.keys("C-l")
        screen.type("/help " + name)
        screen.keys("Enter")
        screen.until(lambda: screen.last() == [">"] and
                     len(screen.last(9)) > 2)
        first, *rest = screen.last(9)[1:-1]
        assert first.startswith("  /%s" % name)
        text = " ".join([first] + [x.strip() for x in rest])
        for word in words:
            assert word in text, text
        indent = 4 if columns < 60 else 37
        assert rest and all(len(x) - len(x.lstrip()) == indent for x in rest)


def test_waiting_is_visible_and_leaves_no_trace(screen):
    screen.type("#wait")
    screen.keys("Enter")
    screen.wait("reading 7 tokens, 2 s")
    screen.keys("C-c")
    screen.ends_with("> #wait", "[stopped]", ">")
    assert not any("reading" in x for x in screen.lines())


def test_a_table_is_aligned(screen):
    screen.paste("#say Fruit:\n\n| Name | Price |\n|-|-:|\n| **Apple** | 1 |\n"
                 "| Fig | 22.50 |\n\nThat is all.")
    screen.keys("Enter")
    screen.ends_with("Fruit:", "| Name  | Price |", "|-------|------:|",
                     "| Apple |     1 |", "| Fig   | 22.50 |", "That is all.",
                     ">")


def test_a_pasted_document_is_one_word_to_backspace(screen):
    screen.type("see ")
    screen.paste("\n".join("line %d" % i for i in range(60)))
    screen.ends_with("> see [paste 1: 60 lines]")
    screen.type("!")
    screen.keys("BSpace", "BSpace")
    screen.ends_with("> see")
    screen.paste("a\nb")
    screen.keys("Enter")
    screen.ends_with("> see [paste 2: 2 lines]", "You said: see a", "b", ">")


def test_the_loss_of_the_engine_splits_no_word(screen):
    screen.type("#die 100")
    screen.keys("Enter")
    screen.wait("the reply goes on")
    screen.wait("w199")
    text = " ".join(x for x in screen.lines()
                    if x[:1] == "w").split()
    assert text == ["w%d" % i for i in range(200)][-len(text):]


def test_history_is_searched_and_left_with_an_arrow(screen):
    screen.type("alpha beta")
    screen.keys("Enter")
    screen.ends_with("You said: alpha beta", ">")
    screen.keys("C-r")
    screen.type("bet")
    screen.keys("Left", "Right", "End")
    screen.type("!")
    screen.ends_with("> alpha beta!")


def test_another_width_counts_for_the_next_line(screen):
    screen.run("resize-window", "-t", "0", "-x", "40", "-y", "24")
    screen.type("#say " + LINE)
    screen.keys("Enter")
    screen.ends_with(LINE[:39], LINE[40:79], LINE[80:], ">")


def test_a_file_is_sent_with_its_tokens(screen, tmp_path):
    (tmp_path / "notes").write_text("alpha\nbeta\n")
    screen.type("/file ~/notes Sum up:")
    screen.keys("Enter")
    screen.ends_with("You said: Sum up:", "alpha", "beta", ">")
    assert any(x.endswith("10 tokens]") for x in screen.lines())
    screen.type("/file ~/missing")
    screen.keys("Enter")
    screen.wait("No such file or directory")


def test_context_lists_what_the_model_reads(screen):
    screen.type("/context")
    screen.keys("Enter")
    screen.wait("[nothing yet: your next message is all that the model will")
    for line in "/system Be brief.", "one", "#say " + "two " * 10, "/context":
        screen.type(line)
        screen.keys("Enter")
        screen.until(lambda: screen.last()[0] == ">")
    seen = [x.split(None, 2) for x in screen.last(7)[:-2]]
    # a token of the scripted engine is a character
    two = ("two " * 10).strip()
    assert seen == [["10", "pre-prompt", "Be brief."],
                    ["13", "you", "one"], ["21", "model", "You said: one"],
                    ["54", "you", ("#say " + two)[:36] + "..."],
                    ["47", "model", two[:36] + "..."]]
    assert screen.last(2)[0] == \
        "     145  of 1048576 tokens; 2000 are left for the reply"


def test_parameters_in_force_are_shown(screen):
    screen.type("/params temperature=0.3 max_tokens=7")
    screen.keys("Enter")
    screen.type("/params")
    screen.keys("Enter")
    screen.wait("ignore_eos")
    lines = [x.split(None, 1) for x in screen.lines()]
    assert ["temperature", "0.3  (set here)"] in lines
    assert ["max_tokens", "7  (set here)"] in lines
    assert ["top_k", "40"] in lines and ["seed", "not set"] in lines


def test_numbers_of_a_reply_and_the_ways_out(screen):
    screen.type("/verbose")
    screen.keys("Enter")
    screen.type("hello")
    screen.keys("Enter")
    screen.wait("[read 7 tokens, wrote 15; first text after ")
    screen.type("/bye")
    screen.keys("Enter")
    screen.ends_with("end 0", "$")


def test_an_edited_message_is_sent_again(service, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/one/two/ "$1"\n')
    editor.chmod(0o755)
    with Screen(service, tmp_path, "xterm VISUAL=%s" % editor) as s:
        for line in "one", "/edit":
            s.type(line)
            s.keys("Enter")
            s.until(lambda: s.last()[0] == ">")
        s.ends_with("> /edit", "You said: two", ">")


def test_a_conversation_is_found_and_deleted(screen):
    screen.type("#say marmalade sandwich")
    screen.keys("Enter")
    screen.ends_with("marmalade sandwich", ">")
    screen.type("/search marmalade")
    screen.keys("Enter")
    screen.until(lambda: screen.last()[0] == ">")
    found = [x for x in screen.lines() if "marmalade" in x]
    assert len(found) > 3
    screen.type("/delete 1000")
    screen.keys("Enter")
    screen.wait("not_found")


def test_plain_changes_nothing(service, tmp_path):
    with Screen(service, tmp_path, "xterm-256color", "chat", "--plain") as s:
        s.paste("#say | **a** |\n|-|\n" + LINE)
        s.keys("Enter")
        s.ends_with("| **a** |", "|-|", LINE[:60], LINE[60:], ">")


def test_opening_a_conversation_shows_its_end(service, tmp_path):
    with service.client() as c:
        talk = c.say("first words")[1]["conversation"]
        c.say("last words", conversation=talk)
    with Screen(service, tmp_path) as s:
        s.type("/open %d" % talk)
        s.keys("Enter")
        s.wait("[conversation %d]" % talk)
        lines = s.lines()
        assert "[1 exchange before; /show prints all]" in lines
        assert "> last words" in lines and "You said: last words" in lines
        assert not any("first words" in x and "[conv" not in x
                       for x in lines)
        assert any(" tokens are used]" in x for x in lines)
        s.type("/list 3")
        s.keys("Enter")
        s.wait("last used")
        assert any(x.split()[:1] == ["%d*" % talk] for x in s.lines())


def test_ask_says_that_it_reads_standard_input(service):
    run = [BUILD / "chatctl", "-s", service.socket, "ask"]
    with subprocess.Popen(run + ["one"], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        assert "-n leaves it alone" in p.stderr.readline()
        out, _ = p.communicate("two\n", timeout=WAIT)
    assert out == "You said: one\n\ntwo\n"
    with subprocess.Popen(run + ["-n", "one"], stdin=subprocess.PIPE,
                          text=True, stdout=subprocess.PIPE) as p:
        assert p.stdout.read() == "You said: one\n"


def test_alternatives_are_walked(screen):
    for line in "#say one more time", "/again", "/branch":
        screen.type(line)
        screen.keys("Enter")
        screen.until(lambda: screen.last()[0] == ">")
    screen.ends_with("   1             one more time",
                     "   2*            one more time", ">")
    screen.type("/branch 1")
    screen.keys("Enter")
    screen.wait("[reply 1 of 2; /good, /bad and /ideal are about it]")
    screen.type("/good")
    screen.keys("Enter")
    screen.wait("rated good")
    screen.type("/branch")
    screen.keys("Enter")
    screen.ends_with("   1* good       one more time",
                     "   2             one more time", ">")
    screen.type("/branch 3")
    screen.keys("Enter")
    screen.wait("/branch: there are 2 replies, found 3")


def test_a_conversation_as_markdown(service):
    with service.client() as c:
        talk = c.say("#say *hello*")[1]["conversation"]
        c.say("bye", conversation=talk)
    out = subprocess.run([BUILD / "chatctl", "-s", service.socket, "show",
                          "--markdown", str(talk)], capture_output=True,
                         text=True, timeout=WAIT)
    assert out.stdout == (
        "# #say *hello*\n\n## You\n\n#say *hello*\n\n## scripted\n\n"
        "*hello*\n\n## You\n\nbye\n\n## scripted\n\nYou said: bye\n\n")


def test_top_shows_what_runs(service, tmp_path):
    with service.client() as c, service.client() as other:
        ident = c.send("say", text="#wait")
        c.until("started")
        top = other.call("top")
        assert [x["state"] for x in top["exchanges"]] == ["generating"]
        assert top["exchanges"][0]["prompt_tokens"] == 7
        once = subprocess.run([BUILD / "chatctl", "-s", service.socket, "top"],
                              capture_output=True, text=True, timeout=WAIT)
        assert once.returncode == 0 and "generating" in once.stdout
        with Screen(service, tmp_path) as s:
            s.keys("C-d")
            s.wait("end 0")
            s.type("%s -s %s top; echo left $?" % (BUILD / "chatctl",
                                                   service.socket))
            s.keys("Enter")
            s.wait("generating")
            c.send("cancel", request=ident)
            s.until(lambda: not any("generating" in x for x in s.lines()))
            s.type("q")
            s.wait("left 0")
