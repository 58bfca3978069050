# SPDX-License-Identifier: Apache-2.0
"""Cases of tests/gates that need all parts of chatd."""
import contextlib
import os
import pathlib
import resource
import signal
import subprocess
import sys

from service import BUILD, SRC, Service

PACK = """
pack: test
version: 1
rules:
  - {name: word, category: violence, score: 0.9, words: [zebramarker]}
"""
MARKS = ("quaggamarker", "zebramarker", "okapimarker")


def test_a_line_without_end_takes_no_memory():
    with Service(config={"limits": {"line": "64KiB", "prompt": "32KiB"}}) \
            as s, s.client() as c:
        def resident():
            fields = pathlib.Path("/proc/%d/statm" % s.process.pid) \
                .read_text().split()
            return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

        def fill(n):
            for _ in range(n):
                c.raw(b"x" * 65536)

        c.raw(b'{"op":"say","id":1,"text":"')
        fill(8)             # the buffers have their size now
        assert c.event()["code"] == "too_long"
        before = resident()
        fill(160)
        c.raw(b"\n\n")
        assert c.event()["code"] == "bad_json"  # the empty line, only that
        assert c.call("status")["event"] == "done"
        if "#define WITH_SANITIZER 1" not in (BUILD / "config.h").read_text():
            assert resident() - before < 1 << 20


def processes(service):
    """chatd and its helpers: pids by name."""
    found = {"chatd": service.process.pid}
    for name, h in service.status()["helpers"].items():
        found[name] = h["pid"]
    return found


def visible(pid):
    """The data in /proc about a process, for all users and for its owner."""
    folder = pathlib.Path("/proc/%d" % pid)
    return b"\0".join((folder / name).read_bytes() for name in
                      ("cmdline", "environ", "comm", "status"))


def found_in(data):
    return [m for m in MARKS if m.encode() in data]


def talk(service):
    """Texts with marks: asked, written, blocked, moderated, rated."""
    with service.client() as c:
        assert c.say("say quaggamarker")[1]["event"] == "done"
        assert c.say("a zebramarker")[1]["code"] == "blocked"
        c.call("moderate", text="zebramarker okapimarker")
        c.call("tokenize", text="okapimarker")
        c.call("rate", exchange=1, thumb=1, comment="okapimarker")


def stored(folder):
    """The bytes of all files; one may go away, since the store is ending."""
    out = b""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            out += path.read_bytes()
    return out


def test_texts_are_in_no_log_core_argument_or_title():
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    home = os.getcwd()
    with Service(engine=BUILD / "chatd-engine", start=False,
                 model=SRC / "engine/mini") as s:
        packs = s.dir / "packs"
        packs.mkdir()
        (packs / "p.yaml").write_text(PACK)
        s.config["filters"] = [
            {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(packs)}}]
        s.config["policy"] = {"prompt": {"default": {"block": 0.8}}}
        s.write_config()
        os.chdir(s.dir)             # where a core would be
        try:
            s.start("-v")
        finally:
            os.chdir(home)
            resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        s.wait_model()
        talk(s)
        everybody = processes(s)
        assert len(everybody) == 4 and all(everybody.values())
        for name, pid in everybody.items():
            assert found_in(visible(pid)) == [], name
            core = [line.split()[4:6] for line in pathlib.Path(
                "/proc/%d/limits" % pid).read_text().splitlines()
                if line.startswith("Max core file size")]
            assert core == [["0", "0"]], name
        for name in ("engine", "store"):
            os.kill(everybody[name], signal.SIGSEGV)
        s.wait(lambda: all(h["state"] == "ready" and
                           h.get("pid") != everybody[name] for name, h in
                           s.status()["helpers"].items() if name != "filter"))
        talk(s)
        with s.client() as c:
            c.send("say", text="quaggamarker")
            c.until("accepted")
            s.process.send_signal(signal.SIGABRT)
            _, status = os.waitpid(s.process.pid, 0)
        s.process = None
        assert os.WIFSIGNALED(status) and not os.WCOREDUMP(status)
        assert [p.name for p in s.dir.iterdir() if "core" in p.name] == []
        log = s.log.read_bytes()
        assert b"connected" in log      # it has many lines, but no texts
        assert found_in(log) == []
        # the control: the store has them, and grep would find them
        s.wait(lambda: sorted(found_in(stored(s.state))) == sorted(MARKS))


def test_a_mark_in_an_argument_would_be_found():
    with subprocess.Popen([sys.executable, "-c", "input(1)", MARKS[0]],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=dict(os.environ, MARK=MARKS[1])) as p:
        assert p.stdout.read(1) == b"1"
        assert found_in(visible(p.pid)) == [MARKS[0], MARKS[1]]
        p.communicate(b"\n")
