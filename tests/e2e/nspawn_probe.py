#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs as root inside a container that test_nspawn.py has booted.  It installs
chatd from /run/probe/root, uses it as an administrator does, and writes one
line for each test into /run/probe/out.  A test is a function named test_*."""
import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
import traceback

ROOT = pathlib.Path("/run/probe/root")
FACTS = json.loads(pathlib.Path("/run/probe/facts.json").read_text())
CONFIG = pathlib.Path(FACTS["confdir"]) / "chatd.yaml"
CHATCTL = FACTS["bindir"] + "/chatctl"
CHATD = FACTS["sbindir"] + "/chatd"
SOCKET = "/run/chatd/chatd.sock"
DROP_INS = pathlib.Path("/etc/systemd/system/chatd.service.d")
WAIT = 60           # seconds: a hang, not a slow machine


def run(*command, **kw):
    return subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=WAIT, check=False, **kw)


def done(*command):
    r = run(*command)
    assert r.returncode == 0, (command, r.returncode, r.stdout)
    return r.stdout


def show(unit, key):
    return done("systemctl", "show", "-P", key, unit).strip()


def wait(condition, what):
    end = time.monotonic() + WAIT
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, (
            "waited too long for " + what,
            run("systemctl", "status", "chatd.service", "chatd.socket").stdout)
        time.sleep(0.05)


def lines(connection):
    with connection.makefile() as f:
        for line in f:
            yield json.loads(line)


def first_line():
    """The first line that a client receives."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(SOCKET)
        return next(lines(s), None)


def call(op, **fields):
    """The last event of a request."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(SOCKET)
        s.sendall(json.dumps({"op": op, "id": 1, **fields}).encode() + b"\n")
        for event in lines(s):
            if event.get("id") == 1 and event["event"] in ("done", "error"):
                return event
        return {}


def well():
    with contextlib.suppress(OSError, ValueError):
        return call("health").get("health") in ("ok", "degraded")
    return False


def start():
    done("systemctl", "start", "chatd.socket", "chatd.service")
    wait(well, "a service that is well")


def main_pid():
    return int(show("chatd.service", "MainPID"))


def journal():
    return done("journalctl", "-o", "cat", "-u", "chatd.service")


def drop_in(name, text):
    DROP_INS.mkdir(exist_ok=True)
    (DROP_INS / name).write_text(text)
    done("systemctl", "daemon-reload")


@contextlib.contextmanager
def configuration(text):
    """Another chatd.yaml for a while."""
    old = CONFIG.read_text()
    CONFIG.write_text(text)
    try:
        yield
    finally:
        CONFIG.write_text(old)


def test_it_starts_as_installed():
    done("systemctl", "enable", "chatd.socket", "chatd.service")
    start()
    assert show("chatd.service", "StatusText").startswith("Serving "), \
        show("chatd.service", "StatusText")
    done(CHATCTL, "--wait", "30", "ask", "--max-tokens", "5", "Hello")
    assert done(CHATD, "-t").endswith("the configuration is sound\n")


def test_six_kills_fail_neither_service_nor_socket():
    for _ in range(6):
        pid = wait(main_pid, "a process")
        os.kill(pid, signal.SIGKILL)
        wait(lambda: main_pid() not in (0, pid), "another process")
        assert call("hello", protocol=1)["event"] == "done"
    wait(well, "a service that is well")
    assert show("chatd.socket", "ActiveState") == "active"


def test_quick_restarts_are_no_reason_to_fail():
    for _ in range(7):
        done("systemctl", "restart", "chatd.service")
    wait(well, "a service that is well")


def test_a_killed_engine_costs_the_engine_only():
    assert show("chatd.service", "OOMPolicy") == "continue"
    pid = main_pid()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(WAIT)
        s.connect(SOCKET)
        events = lines(s)
        s.sendall(json.dumps({"op": "say", "id": 1, "text": "Hello", "params":
                              {"max_tokens": 200, "ignore_eos": True,
                               "seed": 1}}).encode() + b"\n")
        while next(events)["event"] != "text":
            pass
        engine = call("status")["helpers"]["engine"]["pid"]
        scores = [int(pathlib.Path("/proc/%d/oom_score_adj" % p).read_text())
                  for p in (pid, engine)]
        assert scores == [200, 700], scores
        os.kill(engine, signal.SIGKILL)
        seen = []
        while not seen or seen[-1]["event"] not in ("done", "error"):
            seen.append(next(events))
    assert seen[-1]["event"] == "done", seen[-1]
    assert main_pid() == pid


def test_hangup_for_all_ends_no_helper():
    wait(well, "a service that is well")
    before = call("status")["helpers"]
    read = journal().count("configuration read again")
    done("systemctl", "kill", "-s", "HUP", "chatd.service")
    wait(lambda: journal().count("configuration read again") > read,
         "the reload")
    after = call("status")["helpers"]
    for name in "store", "engine":
        assert after[name]["pid"] == before[name]["pid"], name
    for name in "store", "engine", "filter":
        assert after[name]["restarts"] == before[name]["restarts"], name


def test_a_bad_reload_fails_and_the_service_stays():
    pid = main_pid()
    with configuration("limits: {nonsense: 1}\n"):
        r = run("systemctl", "reload", "chatd.service")
        assert r.returncode != 0
        assert well() and main_pid() == pid
    done("systemctl", "reload", "chatd.service")
    assert main_pid() == pid


def test_a_bad_file_is_reported_to_clients_until_it_is_fixed():
    done("systemctl", "stop", "chatd.service")
    with configuration("limits: {client: 1}\n"):
        for _ in range(30):     # more than a socket's TriggerLimitBurst=
            e = first_line()
            assert e["code"] == "bad_config", e
            assert ":1:10: unknown key" in e["message"], e
        assert run("systemctl", "start", "chatd.service").returncode != 0
        assert show("chatd.socket", "ActiveState") == "active"
        assert call("hello", protocol=1) == {}
    # No systemctl: a client is enough.
    wait(lambda: first_line().get("event") == "hello", "a mended service")
    wait(well, "a service that is well")


def test_a_full_disk_at_the_start_is_waited_for():
    done("systemctl", "stop", "chatd.service")
    account = pwd.getpwnam("chatd")
    done("mount", "-t", "tmpfs", "-o", "size=8k,mode=0700,uid=%d,gid=%d"
         % (account.pw_uid, account.pw_gid), "none", "/var/lib/chatd")
    try:
        done("systemctl", "start", "chatd.service")
        wait(lambda: call("say", text="x").get("code")
             == "store_unavailable", "the reason")
        assert run(CHATCTL, "health").returncode == 3
        assert show("chatd.service", "ActiveState") == "active"
        assert show("chatd.service", "StatusText").startswith("No store: "), \
            show("chatd.service", "StatusText")
        pid = main_pid()
        done("mount", "-o", "remount,size=64m", "/var/lib/chatd")
        wait(lambda: call("health")["health"] != "down", "a store")
        assert call("say", text="x", params={"max_tokens": 1})["event"] \
            == "done"
        assert main_pid() == pid
    finally:
        run("systemctl", "stop", "chatd.service")
        run("umount", "-l", "/var/lib/chatd")
    start()


def test_a_hang_soon_after_the_start_is_noticed():
    drop_in("watchdog.conf", "[Service]\nWatchdogSec=2\n")
    done("systemctl", "restart", "chatd.service")
    pid = main_pid()
    os.kill(pid, signal.SIGSTOP)
    wait(lambda: main_pid() not in (0, pid), "another process")
    (DROP_INS / "watchdog.conf").unlink()
    done("systemctl", "daemon-reload")
    start()


def test_the_drop_in_for_machines_without_a_gpu_works():
    drop_in("cpu-only.conf",
            pathlib.Path(FACTS["cpu_only"]).read_text())
    done("systemctl", "restart", "chatd.service")
    wait(well, "a service that is well")
    done(CHATCTL, "ask", "--max-tokens", "5", "Hello")
    shutil.rmtree(DROP_INS)
    done("systemctl", "daemon-reload")


def test_the_weekly_training_runs_within_its_unit():
    """All of it: export, training, gate, and the change of the model."""
    start()
    done(CHATCTL, "ask", "Where is the printer?")
    done(CHATCTL, "rate", "last", "bad", "--ideal", "In room 12.")
    done(CHATCTL, "consent", "yes")
    preset = pathlib.Path("/run/probe/short.yaml")
    preset.write_text("steps: 2\nbatch: 128\nmicro: 128\npairs: 64\nitems: 2\n"
                      "own: 0\nphrasings: 4\nmargin: 100\nperplexity: 1000\n")
    folder = pathlib.Path("/etc/systemd/system/chatd-tune.service.d")
    folder.mkdir()
    command = show("chatd-tune.service", "ExecStart").split("argv[]=")[1]
    (folder / "short.conf").write_text(
        "[Service]\nExecStart=\nExecStart=%s --preset %s\n"
        % (command.split(" ;")[0], preset))
    done("systemctl", "daemon-reload")
    r = run("systemctl", "start", "chatd-tune.service")
    assert r.returncode == 0, done("journalctl", "-o", "cat", "-u",
                                   "chatd-tune.service")
    made = call("status")["model"]
    assert made["path"].startswith("/var/lib/chatd/models/"), made
    done(CHATCTL, "ask", "--max-tokens", "5", "Hello")
    done(CHATCTL, "rollback")
    assert call("status")["model"]["path"] != made["path"]


def test_stop_is_clean_and_the_socket_starts_it_again():
    start()
    done("systemctl", "stop", "chatd.service")
    assert show("chatd.service", "Result") == "success"
    assert show("chatd.service", "ExecMainStatus") == "0"
    assert first_line()["event"] == "hello"
    done("systemctl", "stop", "chatd.socket", "chatd.service")
    assert not os.path.exists(SOCKET)


def install():
    shutil.copytree(ROOT, "/", symlinks=True, dirs_exist_ok=True)
    done("systemd-sysusers")
    done("systemd-tmpfiles", "--create", "--prefix=/var/lib/chatd",
         "--prefix=/run/chatd")
    done("systemctl", "daemon-reload")


def main():
    with open("/run/probe/out/results", "a", encoding="utf-8") as out:
        for name, test in [("install", install)] + [
                (n, f) for n, f in globals().items()
                if n.startswith("test_")]:
            try:
                test()
                why = None
            except Exception:
                why = traceback.format_exc() + run(
                    "journalctl", "-n", "40", "-o", "cat", "-u",
                    "chatd.service", "-u", "chatd.socket").stdout
            out.write(json.dumps([name, why]) + "\n")
            out.flush()
            if name == "install" and why is not None:
                break


if __name__ == "__main__":
    if sys.argv[1:] == ["names"]:
        print("\n".join(n for n in dir() if n.startswith("test_")))
    else:
        main()
