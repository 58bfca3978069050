#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much chatd itself costs: many streams at once, many idle connections,
many readers that do not read.

    CHATD_BUILD=build /usr/bin/python3 tests/bench/streams.py [WHAT...]

WHAT: streams (1,000 replies of 30 tokens a second, from an engine that only
writes), each (see below), idle (10,000 connections) or stalled (1,000 readers that never read,
and 100 that do).  The default is all of them.  Prints the processor time of
chatd as a fraction of one core, the growth of its memory, and the delay that it
adds to a token.  Run it on a quiet machine; it is not part of the tests.

With -f the filters of the first tier (rules, classifier, pii, abuse) judge
everything, and each reply has 128 words of plain English.  Then it also prints
how many checks a core can do (a check: a reply has grown by a word), counted by
the processor time of chatd-filter, and by that of chatd and chatd-filter.
Several words that wait are judged together; "each" prints the same for a
chatd-filter without chatd, which gets every word by itself.
"""
import argparse
import os
import pathlib
import re
import resource
import select
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[1] / "e2e"))

RATE = 30           # tokens a second and stream
TOKENS = 128        # of a reply that ends
PARTS = 10          # moments over which the streams of a tick are spread
FILES = 20000
TICKS = os.sysconf("SC_CLK_TCK")


# ---- the engine: run by chatd as its engine program


def words():
    """Words of plain English, as tokens with the space before them."""
    text = (HERE.parents[2] / "README.md").read_text()
    return [" " + w for w in re.findall(r"[A-Za-z]+[,.]?", text)]


def engine():
    import json
    running, paused, partial = [], set(), b""
    plain = words() if os.environ["BENCH_ENGINE"] == "words" else None
    written = {}

    def emit(*lines):
        data = memoryview(b"".join(lines))
        while data:
            data = data[os.write(1, data):]

    os.set_blocking(0, True)
    os.read(0, 65536)
    emit(b'{"event":"ready","protocol":1,"model":{"name":"bench",'
         b'"digest":"sha256:0","precision":"none","device":"none"}}\n')
    due, part = time.monotonic(), 0
    while True:
        wait = max(0, due - time.monotonic()) if running else None
        if select.select([0], [], [], wait)[0]:
            piece = os.read(0, 1 << 20)
            if not piece:
                return
            *lines, partial = (partial + piece).split(b"\n")
            for line in lines:
                m = json.loads(line)
                if m["op"] == "generate":
                    running.append(m["id"])
                    emit(b'{"event":"started","id":%d,"prompt_tokens":1}\n'
                         % m["id"])
                    continue
                if m["op"] == "cancel" and m["request"] in running:
                    running.remove(m["request"])
                    emit(b'{"event":"done","id":%d,"stop":"cancelled"}\n'
                         % m["request"])
                elif m["op"] == "pause":
                    paused.add(m["request"])
                elif m["op"] == "continue":
                    paused.discard(m["request"])
                emit(b'{"event":"done","id":%d}\n' % m["id"])
        if not running or time.monotonic() < due:
            continue
        due += 1 / RATE / PARTS
        now = time.monotonic_ns() // 1000
        if plain is None:
            emit(*[b'{"event":"text","id":%d,"text":"@%d ","ids":[11]}\n'
                   % (i, now) for i in running[part::PARTS]
                   if i not in paused])
        else:
            for i in running[part::PARTS]:
                if i in paused:
                    continue
                n = written[i] = written.get(i, 0) + 1
                text = "@%d" % now if n % 64 == 1 else \
                    plain[(i * 37 + n) % len(plain)]
                emit(b'{"event":"text","id":%d,"text":"%s","ids":[11]}\n'
                     % (i, text.encode()))
                if n == TOKENS:
                    emit(b'{"event":"done","id":%d,"stop":"end"}\n' % i)
                    running.remove(i)
                    del written[i]
        part = (part + 1) % PARTS


# ---- measurements


def usage(pid):
    """CPU seconds and resident bytes of a process."""
    with open("/proc/%d/stat" % pid) as f:
        v = f.read().rpartition(")")[2].split()
    return ((int(v[11]) + int(v[12])) / TICKS,
            int(v[21]) * resource.getpagesize())


def inner(pid):
    """The process that a chatd-filter runs its plugins in: its child, if the
    kernel allows a namespace."""
    with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
        return int((f.read().split() or [pid])[0])


def slab():
    """Bytes the kernel holds in its own structures, and socket buffers."""
    with open("/proc/meminfo") as f:
        return sum(int(x.split()[1]) * 1024 for x in f
                   if x.startswith("Slab:"))


def connect(path, n):
    """n connections in a child, so that each side has its own descriptors;
    returns the child and a pipe on which it says when all are there."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        socks = []
        for _ in range(n):
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(path))
            socks.append(s)
        for s in socks:         # each has its hello
            s.recv(4096)
        os.write(w, b"x")
        time.sleep(1000)
    return pid, r


def end(pid):
    os.kill(pid, 9)
    os.waitpid(pid, 0)


def chain():
    """The filters of the first tier."""
    from service import BUILD, SRC
    return [{"name": name, "path": str(BUILD / (".libs/%s.so" % name)),
             "options": options} for name, options in (
        ("rules", {"packs": str(SRC / "etc/rules")}),
        ("classifier", {"model": str(
            SRC / "plugins/classifier/classifier.model"), "bias": -1.5}),
        ("pii", {}), ("abuse", {"rate": 0, "repeats": 0, "accounts": 0}))]


def service(filtered=False, **limits):
    from service import Service
    limits = dict({"clients": FILES, "clients_per_uid": FILES,
                   "requests_per_uid": FILES, "conversations_per_uid": 0,
                   "bytes_per_uid": "0"}, **limits)
    never = {"default": {"flag": 1}}
    s = Service(engine=HERE,
                env={"BENCH_ENGINE": "words" if filtered else "stamps"},
                filters=chain() if filtered else [], config={
                    "limits": limits, "defaults": {"max_tokens": 1000000},
                    "policy": {"prompt": never, "reply": never}})
    return s.wait_model()


def streams(n, seconds, stalled=0, filtered=False):
    """n streams that are read, beside others that are not."""
    with service(filtered, stall_time="1h") as s:
        pid = s.process.pid
        judge = inner(s.helper_pid("filter")) if filtered else pid
        say = b'{"op":"say","id":1,"text":"x"}\n'
        _, rss = usage(pid)
        kernel = slab()
        socks = []
        for i in range(n + stalled):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(s.socket))
            sock.sendall(say)
            socks.append(sock)
        for sock in socks[:n]:
            sock.setblocking(False)
        end_at, cpu, began, delays, tokens = None, 0, 0, [], 0
        words_seen = 0
        # Some are watched closely for the delay, the rest only drained.
        close = select.epoll()
        for sock in socks[:50]:
            close.register(sock, select.EPOLLIN)
        by_fd = {x.fileno(): x for x in socks[:50]}
        warm = time.monotonic() + (3 if stalled == 0 else seconds)
        drain = 0
        while end_at is None or time.monotonic() < end_at:
            if end_at is None and time.monotonic() > warm:
                cpu, _ = usage(pid)
                judged, _ = usage(judge)
                began = time.monotonic()
                end_at = began + seconds
                delays, tokens, words_seen = [], 0, 0
            for fd, _ in close.poll(0.05):
                data = by_fd[fd].recv(1 << 20)
                now = time.monotonic_ns() // 1000
                for at in re.findall(b"([0-9]{7,}) ", data):
                    delays.append(now - int(at))
                tokens += data.count(b"\n")
                words_seen += data.count(b" ") + data.count(b"@")
                if b'"event":"done"' in data:
                    by_fd[fd].sendall(say)
            if time.monotonic() > drain:
                drain = time.monotonic() + 0.2
                for sock in socks[50:n]:
                    try:
                        data = sock.recv(1 << 20)
                    except BlockingIOError:
                        continue
                    tokens += data.count(b"\n")
                    words_seen += data.count(b" ") + data.count(b"@")
                    if b'"event":"done"' in data:
                        sock.sendall(say)
        took = time.monotonic() - began
        cpu2, rss2 = usage(pid)
        delays.sort()
        print("streams: %d read, %d stalled: %.0f events/s, chatd %.0f %% "
              "of a core, grew %.1f MiB (kernel %.1f MiB), delay p50 %.1f "
              "ms, p99 %.1f ms" % (
                  n, stalled, tokens / took, 100 * (cpu2 - cpu) / took,
                  (rss2 - rss) / 2**20, (slab() - kernel) / 2**20,
                  delays[len(delays) // 2] / 1000,
                  delays[len(delays) * 99 // 100] / 1000), flush=True)
        if filtered:
            judged = usage(judge)[0] - judged
            print("checks: %.0f a second and core of chatd-filter; %.0f with "
                  "chatd" % (words_seen / judged,
                             words_seen / (judged + cpu2 - cpu)), flush=True)


def each(texts):
    """Checks of single words by a chatd-filter without chatd."""
    import json
    import subprocess
    from service import BUILD
    p = subprocess.Popen([BUILD / "chatd-filter"], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    p.stdin.write(json.dumps({"op": "init", "sandbox": False,
                              "plugins": chain()}).encode() + b"\n")
    p.stdin.flush()
    assert b'"ready"' in p.stdout.readline()
    plain, lines, ident = words(), [], 0
    at = [0] * texts
    for k in range(TOKENS):
        for i in range(texts):
            word = plain[(i * 37 + k) % len(plain)]
            ident += 1
            lines.append(json.dumps({
                "op": "check", "id": ident, "direction": "reply",
                "text": word, "offset": at[i], "text_id": i + 1,
                "account": 1, "final": k == TOKENS - 1}).encode() + b"\n")
            at[i] += len(word)
    cpu, _ = usage(p.pid)
    for i in range(0, len(lines), 4):       # as many as chatd has under way
        p.stdin.write(b"".join(lines[i:i + 4]))
        p.stdin.flush()
        for _ in lines[i:i + 4]:
            assert b'"done"' in p.stdout.readline()
    cpu = usage(p.pid)[0] - cpu
    p.stdin.close()
    p.wait()
    print("each: %d checks, %.0f a second and core" % (len(lines),
                                                       len(lines) / cpu))


def idle(n):
    with service() as s:
        pid = s.process.pid
        _, rss = usage(pid)
        began = time.monotonic()
        child, ready = connect(s.socket, n)
        os.read(ready, 1)
        took = time.monotonic() - began
        time.sleep(1)
        cpu, rss2 = usage(pid)
        time.sleep(3)
        cpu2, _ = usage(pid)
        print("idle: %d connections in %.2f s, %.0f bytes each, %.0f ticks "
              "in 3 s" % (n, took, (rss2 - rss) / n, (cpu2 - cpu) * TICKS),
              flush=True)
        end(child)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("what", nargs="*", default=["streams", "idle", "stalled"])
    p.add_argument("-n", type=int, help="streams or connections")
    p.add_argument("-f", action="store_true", help="with filters")
    p.add_argument("-s", type=float, default=10, help="seconds")
    a = p.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    for what in a.what:
        if what == "streams":
            streams(a.n or 1000, a.s, 0, a.f)
        elif what == "idle":
            idle(a.n or 10000)
        elif what == "each":
            each(a.n or 500)
        else:
            streams(100, a.s, a.n or 1000)


if os.environ.get("BENCH_ENGINE"):
    engine()
else:
    main()
