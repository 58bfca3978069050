# SPDX-License-Identifier: Apache-2.0
"""Programs that are started without some of the descriptors 0 to 2, and
programs whose standard output can't be written."""
import os
import shlex
import signal
import subprocess

import pytest

from service import BUILD, SRC, Service

MINI = SRC / "engine/mini"
EXPORTS = ["oig", "messages", "csv"]      # those that have a rated reply

# Every call that prints something and ends: program, arguments.
PRINTS = [
    ("chatd", ["--version"]), ("chatd", ["--help"]), ("chatd", ["-t"]),
    ("chatd-engine", ["--version"]), ("chatd-engine", ["--help"]),
    ("chatd-engine", ["-V"]), ("chatd-engine", ["-h"]),
    ("chatd-engine", ["--model", str(MINI), "--check"]),
    ("chatd-store", ["--version"]), ("chatd-store", ["--help"]),
    ("chatd-filter", ["--version"]),
    ("chatctl", ["--version"]), ("chatctl", ["--help"]),
    ("chatctl", ["help"]), ("chatctl", ["help", "ask"]),
    ("chatctl", ["ask", "--help"]),
]

# Commands of chatctl that print something.
ASKS = [
    ["status"], ["status", "--json"], ["ask", "Hello"],
    ["ask", "--json", "Hello"], ["list"], ["list", "--json"], ["show", "1"],
    ["show", "--json", "1"], ["tokenize", "Hello"],
    ["moderate", "--json", "Hello"],
] + [["export", "--format", name] for name in EXPORTS]


def shell(redirect, program, *args, text=None):
    """Run a program with redirections of the shell."""
    return subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" %s' % redirect, program, *args],
        input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=60, check=False)


@pytest.fixture(scope="module")
def service():
    with Service() as s:
        s.wait_model()
        r = shell("", BUILD / "chatctl", "-s", s.socket, "ask", "Hello")
        assert r.returncode == 0, r.stderr
        r = shell("", BUILD / "chatctl", "-s", s.socket, "rate", "1", "good",
                  "--ideal", "Hello!")
        assert r.returncode == 0, r.stderr
        yield s


@pytest.fixture(scope="module")
def config():
    """A configuration that is sound."""
    with Service(start=False) as s:
        yield s.file


def args_of(program, args, config):
    if args == ["-t"]:
        args = ["-t", "-f", config]
    return [BUILD / program, *args]


@pytest.mark.parametrize("program,args", PRINTS,
                         ids=[" ".join([p, *a[-1:]]) for p, a in PRINTS])
def test_lost_output_is_status_1_and_reported(program, args, config):
    call = args_of(program, args, config)
    assert shell("", *call).returncode == 0         # it can be printed
    for redirect, why in (">/dev/full", "No space left on device"), \
            (">&-", "Bad file descriptor"):
        r = shell(redirect, *call)
        assert r.returncode == 1, redirect
        assert "%s: standard output: %s\n" % (program, why) in r.stderr
        assert r.stderr.count("standard output") == 1


@pytest.mark.parametrize("args", ASKS, ids=" ".join)
def test_what_chatctl_can_not_print_is_status_1(service, args):
    r = shell(">/dev/full", BUILD / "chatctl", "-s", service.socket, *args)
    assert r.returncode == 1
    assert r.stderr.endswith("chatctl: standard output: "
                             "No space left on device\n")


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_to_a_full_disk_is_status_1(service, name):
    r = shell(">/dev/full", BUILD / "chatd-store", "--export", name, "--db",
              service.state / "chatd.db", "--all")
    assert r.returncode == 1
    assert r.stderr.count("No space left on device") == 1


def test_a_helper_whose_answers_are_lost_ends_with_1(tmp_path):
    init = '{"op":"init","path":"%s/s.db"}\n' % tmp_path
    os.chmod(tmp_path, 0o700)
    assert shell(">/dev/full", BUILD / "chatd-store",
                 text=init).returncode == 1
    assert shell(">/dev/full", BUILD / "chatd-filter",
                 text='{"op":"init","plugins":[]}\n').returncode == 1
    assert shell(">/dev/full", BUILD / "chatd-engine", "--model", MINI,
                 text='{"op":"ping","id":1}\n').returncode == 1


def test_a_reader_that_goes_away_ends_it_quietly():
    for program in "chatd", "chatd-engine", "chatd-store", "chatctl", \
            "chatd-modtrain", "chatd-tune":
        read, write = os.pipe()
        os.close(read)
        r = subprocess.run([BUILD / program, "--help"], stdout=write,
                           stderr=subprocess.PIPE, timeout=60, check=False)
        os.close(write)
        assert (r.returncode, r.stderr) == (-signal.SIGPIPE, b"")


def test_a_long_text_without_a_reader_ends_it_quietly(service):
    with service.client() as c:
        conv = c.say(200000 * "y", params={"max_tokens": 1})[1]
    for args in ["export"], ["show", str(conv["conversation"])]:
        read, write = os.pipe()
        os.close(read)
        r = subprocess.run(
            [BUILD / "chatctl", "-s", service.socket, *args], stdout=write,
            stderr=subprocess.PIPE, timeout=60, check=False)
        os.close(write)
        assert (r.returncode, r.stderr) == (-signal.SIGPIPE, b""), args


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
@pytest.mark.parametrize("program,args", PRINTS,
                         ids=[" ".join([p, *a[-1:]]) for p, a in PRINTS])
def test_closed_descriptors_are_no_error(program, args, closed, config):
    call = args_of(program, args, config)
    r = shell(closed, *call)
    assert (r.returncode, r.stderr) == (0, "")
    assert r.stdout.splitlines()[0] == shell("", *call).stdout.splitlines()[0]


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_question_needs_no_stdin(service, closed):
    whole = shell("", BUILD / "chatctl", "-s", service.socket, "ask",
                  "--seed", "1", "Hello", text="")
    r = shell(closed, BUILD / "chatctl", "-s", service.socket, "ask",
              "--seed", "1", "Hello")
    assert r.returncode == 0, r.stderr
    assert r.stdout == whole.stdout != ""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_descriptor(closed):
    with Service(start=False) as s:
        p = subprocess.Popen(
            ["sh", "-c", "exec %s -d -v -f %s %s" % (
                shlex.quote(str(BUILD / "chatd")), shlex.quote(str(s.file)),
                closed)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            s.process = p
            s.wait(s.socket.exists)
            s.wait_model()
            for fd in range(3):
                where = os.readlink("/proc/%d/fd/%d" % (p.pid, fd))
                assert where == "/dev/null", (fd, where)
        finally:
            p.kill()
            p.wait()
        assert (s.state / "chatd.lock").read_bytes() == b""
