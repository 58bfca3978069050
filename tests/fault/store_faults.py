# SPDX-License-Identifier: Apache-2.0
"""For tests and benches: chatd-store on a disk that fails or loses power, and
chatd-store that is killed.

store_shim.c, which is loaded before the C library, makes the nth write, sync,
read or truncation of the database or its log fail or kill the process, or
records all of them. From a record, the states are made that a disk may have
after a power cut: everything that was synced, and any part of the rest, in
units of 512 bytes.
"""
import json
import os
import random
import sqlite3
import struct
import subprocess
import time

from store_driver import Store, audit, begin, finish, read, reply_of

HERE = os.path.dirname(os.path.abspath(__file__))
WINDOW = 16     # requests in flight while it is killed


def compile_shim(path):
    """Compile the shim. Raises FileNotFoundError without a compiler."""
    cc = os.environ.get("CC", "cc").split()
    subprocess.run([*cc, "-shared", "-fPIC", "-O", "-D_GNU_SOURCE", "-o",
                    str(path), os.path.join(HERE, "store_shim.c"), "-ldl"],
                   check=True)
    return str(path)


def environment(shim, **more):
    env = dict(os.environ, LD_PRELOAD=shim, **more)
    env["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + \
        env.get("ASAN_OPTIONS", "")
    return env


def session(store, acked, tries=3):
    """Ten exchanges and a deletion, each request tried a few times. Returns
    whether the last one got through."""
    def attempt(message):
        for _ in range(tries):
            event = store.ask(**message)[1]
            if event["event"] == "done":
                return event
            assert event["code"] == "store_unavailable", event
        return None

    last = None
    for i in range(10):
        key = "k-%d" % i
        event = attempt(begin(key))
        last = event
        if event is None:
            continue
        acked.add(("begin", key))
        last = attempt(finish(event["reply"], reply_of(key)))
        if last is not None:
            acked.add(("finish", key))
        if i == 5:
            event = attempt({"op": "new", "uid": 1000, "time": 1})
            if event is not None:
                attempt({"op": "delete", "uid": 1000,
                         "conversation": event["conversation"]})
                attempt({"op": "ping"})
    return last is not None


def run(shim, folder, **how):
    """A session under faults: (the fault was met, faults found after)."""
    folder.mkdir(mode=0o700)
    acked = set()
    store = Store(folder / "chatd.db", env=environment(shim, **how))
    through = None
    if store.ready is not None and store.ready["event"] == "ready":
        through = session(store, acked)
        status = store.close()
        assert status == 0, store.errors
    else:
        assert store.wait() == 1
    met = any("shim: here" in line for line in store.errors)
    if through is False and "SHIM_STICKY" not in how:
        raise AssertionError("one fault, and it never recovered")
    # A sound disk again: it starts, and all that was promised is there.
    faults = []
    again = Store(folder / "chatd.db")
    if again.ready["event"] != "ready":
        faults.append(again.ready["message"])
        again.wait()
    else:
        again.close()
        faults += audit(folder, acked)
    return met, faults


def record(shim, folder, **how):
    """Every change of a session, as (kind, file, offset, bytes) in order;
    "O" are answers."""
    os.chmod(folder, 0o700)
    store = Store(folder / "chatd.db", env=environment(
        shim, SHIM_LOG=str(folder / "log"), **how))
    assert session(store, set())
    rng = random.Random(4)
    for round_ in range(12):
        keys = ["p-%d-%d" % (round_, i) for i in range(rng.randrange(1, 9))]
        store.send(*[store.number(begin(k)) for k in keys])
        replies = [store.event()["reply"] for _ in keys]
        store.send(*[store.number(finish(r, reply_of(k)))
                     for k, r in zip(keys, replies)])
        assert all(store.event()["event"] == "done" for _ in keys)
    assert store.close() == 0
    data, at, log = (folder / "log").read_bytes(), 0, []
    while at < len(data):
        kind, name, offset, n = struct.unpack_from("=ccQQ", data, at)
        at += 18
        body = data[at:at + n]
        at += len(body)
        log.append((kind.decode(), name.decode(), offset, body))
    return log


def apply(image, kind, offset, body, keep=None):
    """Carry out a change on a bytearray; keep(i) says whether the ith 512
    bytes of it arrive."""
    if kind == "T":
        del image[offset:]
        return
    if len(image) < offset + len(body):
        image.extend(bytes(offset + len(body) - len(image)))
    for i in range(0, len(body), 512):
        if keep is None or keep(i):
            piece = body[i:i + 512]
            image[offset + i:offset + i + len(piece)] = piece


def after_power_cut(log, cut, rng, heed_syncs):
    """A state of the disk if the power is lost before log[cut]."""
    files = {"d": bytearray(), "w": bytearray()}
    waiting = {"d": [], "w": []}
    for kind, name, offset, body in log[:cut]:
        if kind == "O":
            continue
        if kind != "S":
            waiting[name].append((kind, offset, body))
        elif heed_syncs:
            for change in waiting[name]:
                apply(files[name], *change)
            waiting[name] = []
    style = rng.choice(["none", "some", "torn", "all"])
    for name, changes in waiting.items():
        for change in changes:
            if style == "all" or (style == "some" and rng.random() < .5):
                apply(files[name], *change)
            elif style == "torn" and change[0] == "W":
                apply(files[name], *change, lambda i: rng.random() < .5)
    return files


def promised(log, cut):
    """The answers that were sent before that."""
    text = b"".join(body for kind, _, _, body in log[:cut] if kind == "O")
    return [json.loads(line) for line in text.split(b"\n")[:-1]]


def survey(log, folder, states, heed_syncs):
    """Faults found in that many states after a power cut."""
    whole = promised(log, len(log))
    rng, found = random.Random(6), []
    folder.mkdir()
    for _ in range(states):
        cut = rng.randrange(1, len(log) + 1)
        for name, image in after_power_cut(log, cut, rng,
                                           heed_syncs).items():
            path = folder / ("chatd.db" if name == "d" else "chatd.db-wal")
            path.write_bytes(image)
        (folder / "chatd.db-shm").unlink(missing_ok=True)
        answers = promised(log, cut)
        assert answers == whole[:len(answers)]
        begun = {a["prompt"][len("prompt of "):] for a in answers
                 if "prompt" in a}
        ended = sum(a["event"] == "done" and len(a) == 2 for a in answers)
        try:
            faults = audit(folder, {("begin", k) for k in begun}) \
                if answers[1:] else []
            if ended and not faults:
                done = read(folder, "SELECT count(*) FROM reply "
                            "WHERE state = 'done'")[0][0]
                # The deletion and the ping end without a row.
                if done < ended - 2:
                    faults.append("lost a finish")
        except sqlite3.DatabaseError as e:
            faults = [str(e)]
        if faults:
            found.append((cut, faults))
    return found


def stream(store, prefix, end, rng, sent, acked):
    """Send begin and finish, WINDOW at a time, until the time is up. Then kill
    the store, and read the answers that it has sent."""
    flying, n = {}, 0
    killed = False
    while True:
        while not killed and len(flying) < WINDOW:
            n += 1
            key = "%s-%d" % (prefix, n)
            flying[n] = ("begin", key)
            sent.add(("begin", key))
            store.send(dict(begin(key, conversation=rng.choice(
                [None, 1])), id=n))
        if not killed and time.monotonic() >= end:
            killed = True
            store.process.kill()
        event = store.event()
        if event is None:
            break
        assert event["event"] == "done", event
        what, key = flying.pop(event["id"])
        acked.add((what, key))
        if what == "begin" and not killed:
            n += 1
            flying[n] = ("finish", key)
            sent.add(("finish", key))
            store.send(dict(finish(event["reply"], reply_of(key)), id=n))
    store.wait()


def kill_often(folder, rounds, longest=0.12, seed=20):
    """Kill a store again and again while it writes. Returns what was sent and
    what was acknowledged, sets of (op, key), and the longest start in
    seconds."""
    rng = random.Random(seed)
    sent, acked, slowest = set(), set(), 0
    first = Store(folder / "chatd.db")
    first.do(op="new", uid=1000, time=1)
    first.close()
    for i in range(rounds):
        start = time.monotonic()
        s = Store(folder / "chatd.db")
        assert s.ready["event"] == "ready", s.ready
        slowest = max(slowest, time.monotonic() - start)
        try:
            stream(s, str(i), time.monotonic() + rng.uniform(0, longest), rng,
                   sent, acked)
        except BrokenPipeError:
            s.wait()
    Store(folder / "chatd.db").close()
    return sent, acked, slowest


def sweep(shim, folder, call, sticky, step):
    """Have every step-th call fail, in a session of its own each. Returns how
    many failures were met; raises AssertionError if anything is lost."""
    points = 0
    for n in range(1, 4000, step):
        met, faults = run(shim, folder / ("%s-%d-%d" % (call, sticky, n)),
                          SHIM_CALL=call, SHIM_AT=str(n),
                          **({"SHIM_STICKY": "1"} if sticky else {}))
        assert faults == [], (call, n, sticky, faults)
        if not met:
            break
        points += 1
    return points


OLD = """
    SELECT group_concat(prompt, '|') FROM exchange;
    SELECT group_concat(text || hex(ids), '|') FROM reply;
    SELECT group_concat(thumb || ifnull(comment, ''), '|') FROM rating;
    SELECT group_concat(rule || score, '|') FROM verdict"""


def contents(path):
    """The schema's version, and what an old file holds."""
    db = sqlite3.connect(path)
    try:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version = db.execute("PRAGMA user_version").fetchone()[0]
        return version, [db.execute(q).fetchone() for q in OLD.split(";")]
    finally:
        db.close()


def cut_migration(shim, folder, script, call, step):
    """Kill the store before every step-th write or sync of its migration of an
    old database. Returns the versions that the file had then, a list."""
    versions = []
    for n in range(1, 4000, step):
        here = folder / ("%s-%d" % (call, n))
        here.mkdir(mode=0o700, parents=True)
        db = sqlite3.connect(here / "chatd.db")
        db.executescript(script)
        db.close()
        before = contents(here / "chatd.db")[1]
        store = Store(here / "chatd.db", env=environment(
            shim, SHIM_CALL=call, SHIM_AT=str(n), SHIM_KILL="1"))
        if store.ready is not None:
            store.close()
            break
        store.wait()
        version, held = contents(here / "chatd.db")
        assert held == before, n
        versions.append(version)
        again = Store(here / "chatd.db")
        assert again.ready["event"] == "ready", (n, again.ready)
        schema = again.ready["schema"]
        assert again.close() == 0
        assert contents(here / "chatd.db") == (schema, before), n
    return versions
