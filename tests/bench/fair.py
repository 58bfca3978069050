#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What an attack by one account costs another account.

    CHATD_BUILD=build /usr/bin/python3 tests/bench/fair.py [ATTACK...]

A victim chats with the demo model and the shipped rules. N connections (1, 16,
90) of another account run one of the attacks below, as fast as chatd lets them.
For comparison, the same N connections chat honestly first.  Prints the victim's
time to the first text and between two texts (median and 90th percentile), each
divided by the honest figure, its failures, and the peak memory of each process.
The limit for a ratio is 2.0.  Needs root, because it uses three accounts.  Run
it on a quiet machine; it is not part of the tests.
"""
import argparse
import collections
import json
import os
import pathlib
import select
import signal
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

VICTIM, OTHER = 65533, 65534
COUNTS = (1, 16, 90)
TOKENS = 40             # of each of the victim's replies
DEEP = 16               # requests that a hostile connection sends ahead
PROMPT = 256 * 1024     # limits.prompt

WORDS = ("the quick brown fox jumps over a lazy dog while people in the town "
         "talk about the weather, food and music. ")


def prose(n):
    return (WORDS * (n // len(WORDS) + 1))[:n]


# ---- what a connection of the other account sends: lines for a request id


def line(op, ident, **fields):
    return json.dumps(dict({"op": op, "id": ident}, **fields)).encode() + b"\n"


def honest(ident):
    return [line("say", ident, text="Hello! How are you today?",
                 params={"max_tokens": TOKENS, "ignore_eos": True})]


def moderate(ident):
    return [line("moderate", ident, text=prose(PROMPT))]


def say_cancel(ident):
    return [line("say", ident, text=prose(PROMPT)),
            line("cancel", ident + 1, request=ident)]


def tokenize(ident):
    return [line("tokenize", ident, text="a b c " * 20000)]


def show(ident):
    return [line("show", ident, conversation=show.conversation)]


def brackets(ident):
    return [b'{"op":"status","id":%d,"x":[' % ident + b"[]," * 340000
            + b"[]]}\n"]


def new(ident):
    return [line("new", ident, title="one more")]


def status(ident):
    return [line("status", ident)]


ATTACKS = {"moderate": moderate, "say-cancel": say_cancel,
           "tokenize": tokenize, "show": show, "brackets": brackets,
           "new": new, "status": status}


# ---- connections


def connect(path):
    s = socket.socket(socket.AF_UNIX)
    while True:
        try:
            s.connect(str(path))
            return s
        except BlockingIOError:
            time.sleep(0.01)


class Other:
    """One connection of the other account, kept busy."""

    def __init__(self, path, make, deep):
        self.sock = connect(path)
        self.sock.setblocking(False)
        self.make, self.deep = make, deep
        self.next, self.open, self.out, self.tail = 1, 0, [], b""
        self.wait = 0

    def fill(self):
        while self.open < self.deep and time.monotonic() >= self.wait:
            lines = self.make(self.next)
            self.next += len(lines)
            self.open += len(lines)
            self.out.extend(memoryview(x) for x in lines)

    def write(self):
        self.fill()
        while self.out:
            try:
                n = self.sock.send(self.out[0])
            except BlockingIOError:
                return
            self.out[0] = self.out[0][n:]
            if not self.out[0]:
                self.out.pop(0)

    def read(self):
        """False once it has been closed."""
        try:
            data = self.sock.recv(1 << 20)
        except BlockingIOError:
            return True
        if not data:
            return False
        data = self.tail + data
        ended = data.count(b'"event":"done"') + data.count(b'"event":"error"')
        self.tail = data[-16:] if not data.endswith(b"\n") else b""
        self.open = max(0, self.open - ended)
        if b'"busy"' in data:       # an honest client waits
            self.wait = time.monotonic() + 0.2
        return True


def others(path, make, n, deep):
    """A child of the other account with n connections; killed to end it."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setgroups([])
        os.setgid(OTHER)
        os.setuid(OTHER)
        keep_busy(path, make, n, deep)
    finally:
        os._exit(1)


def keep_busy(path, make, n, deep):
    all_of = [Other(path, make, deep) for _ in range(n)]
    by_fd = {o.sock.fileno(): o for o in all_of}
    poll = select.poll()
    for fd in by_fd:
        poll.register(fd)
    while by_fd:
        wait = False
        for fd, o in by_fd.items():
            o.fill()
            poll.modify(fd, select.POLLIN
                        | (select.POLLOUT if o.out else 0))
            wait |= o.open < o.deep
        for fd, what in poll.poll(50 if wait else 1000):
            o = by_fd[fd]
            try:
                alive = not what & ~select.POLLOUT or o.read()
                if alive and what & select.POLLOUT:
                    o.write()
            except OSError:
                alive = False
            if not alive:       # closed, for its behaviour: come again
                poll.unregister(fd)
                o.sock.close()
                del by_fd[fd]
                o = Other(path, make, deep)
                by_fd[o.sock.fileno()] = o
                poll.register(o.sock.fileno())


def victim(path, seconds, out):
    """Chat for a while; writes first-text times, gaps and failures."""
    try:
        chat(path, seconds, out)
    finally:
        os._exit(1)


def chat(path, seconds, out):
    os.setgroups([])
    os.setgid(VICTIM)
    os.setuid(VICTIM)
    sock = connect(path)
    f = sock.makefile("rb")
    f.readline()
    first, gaps, failed, ident = [], [], collections.Counter(), 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ident += 1
        at, seen = time.monotonic(), False
        sock.sendall(line("say", ident, text="Good morning. Tell me a story.",
                          params={"max_tokens": TOKENS, "ignore_eos": True,
                                  "seed": ident}))
        while True:
            e = json.loads(f.readline())
            now = time.monotonic()
            if e["event"] == "text":
                (gaps if seen else first).append(now - at)
                at, seen = now, True
            elif e["event"] == "error":
                failed[e["code"]] += 1
            if e["event"] in ("done", "error"):
                break
    os.write(out, json.dumps([first, gaps, failed]).encode())


def peak(pid):
    """Peak resident bytes of a process."""
    try:
        with open("/proc/%d/status" % pid) as f:
            return next(int(x.split()[1]) * 1024 for x in f
                        if x.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return 0


def at(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] \
        if values else float("nan")


def measure(s, make, n, seconds, deep):
    pid = others(s.socket, make, n, deep)
    time.sleep(1)
    r, w = os.pipe()
    v = os.fork()
    if v == 0:
        victim(s.socket, seconds, w)
    os.close(w)
    data = b""
    while piece := os.read(r, 1 << 20):
        data += piece
    os.close(r)
    os.waitpid(v, 0)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    first, gaps, failed = json.loads(data)
    return {"first": at(first, .5), "first90": at(first, .9),
            "gap": at(gaps, .5), "gap90": at(gaps, .9), "failed": failed,
            "replies": len(first)}


def service():
    from service import BUILD, SRC, Service
    rules = {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(SRC / "etc/rules")}}
    s = Service(engine=BUILD / "chatd-engine", model=SRC / "engine/mini",
                filters=[rules], start=False)
    s.config["socket"]["mode"] = "0666"
    s.write_config()
    s.start()
    s.dir.chmod(0o711)
    return s.wait_model()


def big_conversation(s):
    """A conversation of 14 MB of the other account's."""
    with s.client_as(OTHER) as c:
        conversation = c.call("new", title="big")["conversation"]
        for _ in range(56):
            c.call("say", text=prose(PROMPT - 1), conversation=conversation)
    return conversation


def report(name, n, m, base):
    def ratio(key):
        return m[key] / base[key] if base else 1
    worst = max(ratio("first"), ratio("gap"))
    print("%-10s %3d  first %7.1f ms (%4.2f x), 90 %% %7.1f (%4.2f x)  "
          "between %6.1f ms (%4.2f x), 90 %% %6.1f (%4.2f x)  %3d replies, "
          "failed %s%s" % (
              name, n, m["first"] * 1e3, ratio("first"), m["first90"] * 1e3,
              ratio("first90"), m["gap"] * 1e3, ratio("gap"),
              m["gap90"] * 1e3, ratio("gap90"), m["replies"],
              dict(m["failed"]) or 0, "" if worst <= 2 else "  ABOVE 2"),
          flush=True)


def memory(s, name):
    pids = {"chatd": s.process.pid}
    for helper, o in s.status()["helpers"].items():
        pids[helper] = o["pid"]
    print("%-10s peak memory: %s" % (name, ", ".join(
        "%s %.0f MiB" % (k, peak(p) / 2**20) for k, p in pids.items())),
        flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("attack", nargs="*", default=list(ATTACKS))
    p.add_argument("-n", type=int, action="append", help="connections")
    p.add_argument("-s", type=float, default=10, help="seconds for each")
    a = p.parse_args()
    if os.geteuid() != 0:
        sys.exit("fair.py: only root can be three accounts")
    base = {}
    counts = a.n or COUNTS
    with service() as s:
        for n in counts:
            base[n] = measure(s, honest, n, a.s, 1)
            report("honest", n, base[n], None)
        memory(s, "honest")
    for name in a.attack:
        with service() as s:
            if name == "show":
                show.conversation = big_conversation(s)
            for n in counts:
                report(name, n, measure(s, ATTACKS[name], n, a.s, DEEP),
                       base[n])
            memory(s, name)


main()
