# SPDX-License-Identifier: Apache-2.0
"""libchat.so as other programs see it: its symbols, its header, the examples
of its page, and its functions with a real chatd."""
import ctypes
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from service import BUILD, SANITIZED, SRC, WAIT, Service

LIB = BUILD / ".libs" / "libchat.so.0"
HEADER = SRC / "client" / "libchat" / "chat.h"
MAP = SRC / "client" / "libchat" / "libchat.map"
EXAMPLES = SRC / "doc" / "examples"
MAKE = dict(re.findall(r"^(CC|SAN_CFLAGS) = (.*)$",
                       (BUILD / "Makefile").read_text(), re.M))
COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]
needs_cc = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
LANGUAGES = [("c", "c99"), ("c", "c11"), ("c", "c17"), ("c++", "c++98"),
             ("c++", "c++11"), ("c++", "c++17")]


def output(*command):
    return subprocess.run(command, check=True, text=True, timeout=WAIT,
                          stdout=subprocess.PIPE).stdout


# ---- symbols and header

def declared():
    """The functions of the header."""
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    return sorted(re.findall(r"\b(chat_\w+)\((?=[^*])", text))


def test_the_library_exports_what_its_header_declares():
    rows = [line.split() for line in
            output("nm", "-D", "--defined-only", LIB).splitlines()]
    found = sorted(name for _, kind, name in rows if kind == "T")
    assert found == [name + "@@LIBCHAT_0.1" for name in declared()]
    assert {row[2] for row in rows if row[1] != "T"} <= {"LIBCHAT_0.1"}
    listed = re.findall(r"^\t(chat_\w+);$", MAP.read_text(), re.M)
    assert listed == declared()


def test_the_page_has_each_function():
    page = (SRC / "man" / "chat.3").read_text()
    assert sorted(set(re.findall(r"^\.Fo (\w+)$", page, re.M))) == declared()


def test_the_page_declares_functions_as_the_header_does():
    text = re.sub(r"/\*.*?\*/", "", HEADER.read_text(), flags=re.S)
    text = " ".join(text.split())
    page = (SRC / "man" / "chat.3").read_text()
    found = re.findall(r'\.Ft "?(.*?)"?\n\.Fo (\w+)\n(.*?)\.Fc', page, re.S)
    assert len(found) == len(declared())
    for kind, name, args in found:
        args = re.findall(r'^\.Fa "?(.*?)"?$', args, re.M)
        line = "%s %s(%s)" % (kind, name, ", ".join(args))
        assert line.replace("* ", "*") + ";" in text, line


@pytest.mark.skipif(SANITIZED, reason="sanitizers add libraries and symbols")
def test_the_library_neither_prints_nor_ends_the_process():
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]",
                        output("readelf", "-d", LIB))
    assert set(needed) <= {"libjansson.so.4", "libc.so.6"}
    names = {line.split()[-1].split("@")[0] for line in
             output("nm", "-D", "--undefined-only", LIB).splitlines()}
    assert {"send", "recv", "json_loadb"} <= names
    assert names & {"exit", "_exit", "abort", "write", "printf", "fprintf",
                    "vfprintf", "__printf_chk", "__fprintf_chk", "puts",
                    "fputs", "perror", "syslog", "signal", "sigaction",
                    "stderr", "stdout", "__assert_fail", "getenv"} == set()


def test_the_soname_has_the_number_of_the_interface():
    assert "soname: [libchat.so.0]" in output("readelf", "-d", LIB)


def test_the_header_has_the_version_of_the_package():
    text = (SRC / "configure.ac").read_text()
    version = re.search(r"^AC_INIT\(\[chatd\], \[([\d.]+)\]", text, re.M)[1]
    a, b, c = (int(n) for n in version.split("."))
    header = HEADER.read_text()
    assert '#define CHAT_VERSION_TEXT	"%s"\n' % version in header
    assert re.search(r"#define CHAT_VERSION\s+%d\n"
                     % (a * 10000 + b * 100 + c), header)


@needs_cc
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("language, standard", LANGUAGES)
def test_the_header_is_enough(compiler, language, standard, tmp_path):
    """Without the headers of the tree or of jansson."""
    if language == "c++" and subprocess.run(
            [compiler, "-x", "c++", "-fsyntax-only", "-"],
            input="#include <cstddef>\n", text=True,
            stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("%s has no C++" % compiler)
    shutil.copy(HEADER, tmp_path)
    source = "#include <chat.h>\n#include <chat.h>\n" \
        "int main(void) { return chat_version() != CHAT_VERSION; }\n"
    r = subprocess.run(
        [compiler, "-x", language, "-std=" + standard, "-pedantic", "-Wall",
         "-Wextra", "-Wshadow", "-Werror", "-Wno-long-long", "-fsyntax-only",
         "-I", tmp_path, "-"],
        input=source, text=True, stderr=subprocess.PIPE, check=False)
    assert r.returncode == 0, r.stderr


# ---- the examples

@pytest.fixture(scope="module")
def service():
    with Service() as s:
        s.wait_model()
        yield s


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build an example in C with the library of the build folder."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copy(HEADER, folder)

    def build(name):
        program = folder / name
        subprocess.run(
            [*shlex.split(MAKE["CC"]), "-std=c11", "-D_POSIX_C_SOURCE=200809L",
             "-Wall", "-Wextra", "-Werror", "-g", *MAKE["SAN_CFLAGS"].split(),
             "-I", folder, "-o", program, EXAMPLES / (name + ".c"), LIB,
             "-Wl,-rpath," + str(LIB.parent)], check=True, timeout=WAIT)
        return program
    return build


def run(*command):
    r = subprocess.run([str(word) for word in command], text=True,
                       capture_output=True, timeout=WAIT, check=False,
                       stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


@needs_cc
def test_chat_say_says_and_rates(built, service):
    program = built("chat-say")
    assert run(program, service.socket, "Hello \u00e9") == \
        (0, "You said: Hello \u00e9\n", "")
    assert service.rows("select thumb from rating") == [(1,)]
    code, out, err = run(program, service.socket, "#error numeric_error")
    assert (code, out) == (1, "") and ": numeric_error: " in err
    code, out, err = run(program, "/nowhere/s", "Hello")
    assert (code, out, err) == \
        (1, "", "chat-say: /nowhere/s: no_socket: no such socket\n")


@needs_cc
@pytest.mark.skipif(SANITIZED or shutil.which("valgrind") is None,
                    reason="needs valgrind, and a build without sanitizers")
def test_chat_say_is_clean(built, service):
    code, out, err = run("valgrind", "-q", "--leak-check=full",
                         "--show-leak-kinds=all", "--error-exitcode=9",
                         built("chat-say"), service.socket, "Hello")
    assert (code, out, err) == (0, "You said: Hello\n", "")


@needs_cc
def test_chat_poll_talks_and_cancels(built):
    with Service() as s:
        s.wait_model()
        with subprocess.Popen([built("chat-poll"), s.socket], text=True,
                              stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as p:
            def say(text):
                p.stdin.write(text + "\n")
                p.stdin.flush()
            say("One")
            assert p.stdout.readline() == "You said: One\n"
            say("#forever")
            assert p.stdout.read(3) == "w0 "
            say("")
            assert p.stdout.readline().endswith(" [cancelled]\n")
            s.kill()
            assert p.stdout.readline() == \
                "[chatd closed the connection; connecting again]\n"
            s.start()
            say("#history")
            assert p.stdout.readline().startswith("4 turns before: One | ")
            p.stdin.close()
            assert p.wait(WAIT) == 0


def test_chat_say_py_says(service):
    program = EXAMPLES / "chat-say.py"
    assert run("/usr/bin/env", "python3", program, service.socket,
               'Hello "\u00e9"') == (0, 'You said: Hello "\u00e9"\n', "")
    code, out, err = run("/usr/bin/env", "python3", program, service.socket,
                         "#error numeric_error")
    assert (code, out) == (1, "") and err.startswith("numeric_error: ")


@pytest.mark.skipif(shutil.which("socat") is None, reason="needs socat")
def test_chat_say_sh_says(service):
    program = EXAMPLES / "chat-say.sh"
    assert run("sh", program, service.socket, 'Hello "\u00e9" \\n a/b') == \
        (0, 'You said: Hello \\"\u00e9\\" \\\\n a/b\n', "")
    code, out, _ = run("sh", program, service.socket, "#error numeric_error")
    assert code == 0 and out.startswith("error: ")


@pytest.mark.parametrize("page, name", [
    ("chat.3", "chat-say.c"), ("chat.3", "chat-poll.c"),
    ("chatd-protocol.7", "chat-say.py"), ("chatd-protocol.7", "chat-say.sh")])
def test_a_page_repeats_its_example(page, name):
    text = (SRC / "man" / page).read_text().split(".Sh EXAMPLES")[1]
    blocks = re.findall(r"^\.Bd -literal\n(.*?)^\.Ed$", text, re.M | re.S)
    blocks = [re.sub(r"^\\&", "", b, flags=re.M).replace("\\(aq", "'")
              .replace("\\(ga", "`").replace("\\(ha", "^")
              .replace("\\(ti", "~").replace("\\-", "-").replace("\\e", "\\")
              for b in blocks]
    source = (EXAMPLES / name).read_text()
    source = re.sub(r"\A(#!.*\n)?(/\* SPDX.*\n|# SPDX.*\n)", r"\1", source)
    assert source in blocks


# ---- the functions, with a real chatd

class Seen:
    """Events of requests, through the functions of the library."""

    def __init__(self, lib, c):
        self.lib, self.c, self.events = lib, c, []
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p,
                                ctypes.c_void_p)
        self.fn = kind(self.event)

    def event(self, _c, ev, _arg):
        self.events.append(json.loads(
            self.lib.chat_json(ctypes.c_void_p(ev), None)))

    def wait(self, ident):
        """Returns the result of the wait, and the events."""
        assert ident > 0, self.lib.chat_error_message(self.c)
        self.events.clear()
        r = self.lib.chat_wait(self.c, i64(ident), WAIT * 1000)
        return r, list(self.events)


@pytest.fixture
def lib():
    if SANITIZED:
        pytest.skip("the interpreter has no sanitizer")
    found = ctypes.CDLL(str(LIB))
    for name in declared():
        getattr(found, name).restype = ctypes.c_int
    for name in ("say", "regenerate", "cancel", "rate", "list", "show",
                 "search", "export", "delete", "send_json", "send"):
        getattr(found, "chat_" + name).restype = ctypes.c_int64
    for name in ("json", "error_message", "error_code"):
        getattr(found, "chat_" + name).restype = ctypes.c_char_p
    found.chat_new.restype = ctypes.c_void_p
    return found


@pytest.fixture
def seen(lib, service):
    c = ctypes.c_void_p(lib.chat_new(b"test 1"))
    assert lib.chat_connect(c, str(service.socket).encode(), 20000) == 0
    yield Seen(lib, c)
    lib.chat_free(c)


def i64(n):
    return ctypes.c_int64(n)


def test_a_conversation_from_its_beginning_to_its_end(lib, seen):
    c, fn = seen.c, seen.fn
    r, events = seen.wait(lib.chat_say(c, i64(0), b"One", b'{"seed":1}', fn,
                                       None))
    assert r == 0 and [events[0]["event"], events[-1]["event"]] == \
        ["accepted", "done"]
    assert "".join(e.get("text", "") for e in events) == "You said: One"
    conversation = i64(events[-1]["conversation"])
    exchange = i64(events[-1]["exchange"])

    r, events = seen.wait(lib.chat_regenerate(c, exchange, None, fn, None))
    assert r == 0 and events[-1]["reply"] > exchange.value

    reasons = (ctypes.c_char_p * 1)(b"unhelpful")
    r, events = seen.wait(lib.chat_rate(
        c, exchange, i64(0), -1, reasons, ctypes.c_size_t(1), b"Two", None,
        fn, None))
    assert r == 0 and events[-1]["rating"] > 0

    r, events = seen.wait(lib.chat_list(c, i64(0), i64(5), fn, None))
    assert r == 0 and events[0]["conversation"]["conversation"] == \
        conversation.value

    r, events = seen.wait(lib.chat_show(c, conversation, i64(0), i64(0), fn,
                                        None))
    assert r == 0 and events[0]["exchange"]["prompt"] == "One"
    assert [x["rating"] and x["rating"]["ideal"]
            for x in events[0]["exchange"]["replies"]] == [None, "Two"]

    r, events = seen.wait(lib.chat_export(c, b"messages", fn, None))
    assert r == 0 and '"One"},{"role":"assistant","content":"Two"' in \
        "".join(e.get("text", "") for e in events)

    r, events = seen.wait(lib.chat_delete(c, conversation, fn, None))
    assert r == 0
    r, events = seen.wait(lib.chat_show(c, conversation, i64(0), i64(0), fn,
                                        None))
    assert (r, lib.chat_error_code(c)) == (-10, b"not_found")


def test_a_reply_is_cancelled(lib, seen):
    c, fn = seen.c, seen.fn
    ident = lib.chat_say(c, i64(0), b"#forever", None, fn, None)
    while not any(e["event"] == "text" for e in seen.events):
        assert lib.chat_wait(c, i64(ident), 10) == -6
    assert lib.chat_cancel(c, i64(ident), None, None) > 0
    r, events = seen.wait(ident)
    assert r == 0 and events[-1]["stop"] == "cancelled"


def test_a_long_export_comes_in_pieces(lib, seen, service):
    with service.client() as other:
        for _ in range(3):
            _, end = other.say("Long " + "x" * 200000)
            other.call("rate", exchange=end["exchange"], thumb=1)
    r, events = seen.wait(lib.chat_export(seen.c, b"csv", seen.fn, None))
    pieces = [e["text"] for e in events if e["event"] == "text"]
    assert r == 0 and len(pieces) > 1
    assert "".join(pieces).count("Long " + "x" * 200000) >= 3


def test_a_search_is_sent(lib, seen):
    """A chatd that does not know this operation says so."""
    r, events = seen.wait(lib.chat_search(seen.c, b"One", i64(0), i64(3),
                                          seen.fn, None))
    assert r == 0 or (r, events[-1]["code"], events[-1]["field"]) == \
        (-10, "bad_field", "op")


def test_hello_and_limits_are_read(lib, seen, service):
    lib.chat_hello.restype = ctypes.c_void_p
    hello = ctypes.c_void_p(lib.chat_hello(seen.c))
    assert json.loads(lib.chat_json(hello, None))["user"]["uid"] == \
        os.geteuid()
    lib.chat_get_int.restype = ctypes.c_int64
    assert lib.chat_get_int(hello, b"limits.prompt", i64(0)) == 262144


def test_chatctl_uses_the_public_header_alone():
    users = {path.name: set(re.findall(r'^#include "(chat\w*\.h)"',
                                       path.read_text(), re.M))
             for path in (SRC / "client").glob("*.[ch]")}
    assert {name: found - {"chatctl.h"} for name, found in users.items()
            if found - {"chatctl.h"}} == {"wire.c": {"chat.h"}}
