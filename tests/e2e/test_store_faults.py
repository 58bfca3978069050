# SPDX-License-Identifier: Apache-2.0
"""chatd-store on a disk that fails, and on one that loses power.

The library store_shim.c is loaded before the C library. It makes the nth write,
sync, read or truncation of the database or its log fail, once or from then on.
Or it records all of them. From a record the test makes the states that a disk
may have after a power cut: everything that was synced, and any part of the
rest, in units of 512 bytes.

STORE_FAULTS=all tries every point and 2,500 power cuts (minutes) instead of
some of each.
"""
import json
import os
import random
import sqlite3
import struct
import subprocess

import pytest

from store_driver import Store, audit, begin, finish, read, reply_of

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = os.environ.get("STORE_FAULTS") == "all"


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    path = tmp_path_factory.mktemp("shim") / "shim.so"
    cc = os.environ.get("CC", "cc").split()
    try:
        subprocess.run([*cc, "-shared", "-fPIC", "-O", "-D_GNU_SOURCE",
                        "-o", str(path), os.path.join(HERE, "store_shim.c"),
                        "-ldl"], check=True)
    except FileNotFoundError:
        pytest.skip("no C compiler for the shim")
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


@pytest.mark.parametrize("sticky", ["once", "for good"])
@pytest.mark.parametrize("call, step", [
    ("write", 13), ("sync", 3), ("read", 5), ("truncate", 1)])
def test_a_failing_disk_loses_nothing_acknowledged(shim, tmp_path, call, step,
                                                   sticky):
    how = {} if sticky == "once" else {"SHIM_STICKY": "1"}
    points = 0
    for n in range(1, 2000, 1 if ALL else step):
        met, faults = run(shim, tmp_path / str(n), SHIM_CALL=call,
                          SHIM_AT=str(n), **how)
        assert faults == [], (call, n, sticky)
        if not met:
            break
        points += 1
    print("%s %s: %d points" % (call, sticky, points))
    assert points >= 2


def test_a_disk_that_drops_writes_is_detected(shim, tmp_path):
    found = [n for n in range(60, 360, 20)
             if run(shim, tmp_path / str(n), SHIM_CALL="write",
                    SHIM_AT=str(n), SHIM_LIE="1", SHIM_STICKY="1")[1]]
    assert found


# ---- power loss

@pytest.fixture(scope="module")
def recording(shim, tmp_path_factory):
    """Every change of a session, as (kind, file, offset, bytes) in order;
    "O" are answers."""
    folder = tmp_path_factory.mktemp("power")
    os.chmod(folder, 0o700)
    store = Store(folder / "chatd.db",
                  env=environment(shim, SHIM_LOG=str(folder / "log")))
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


def test_power_loss_loses_nothing_acknowledged(recording, tmp_path):
    assert {kind for kind, _, _, _ in recording} == {"W", "S", "T", "O"}
    assert survey(recording, tmp_path / "disk", 2500 if ALL else 300,
                  True) == []


def test_without_syncs_power_loss_is_detected(recording, tmp_path):
    assert len(survey(recording, tmp_path / "disk", 100, False)) > 10
