# SPDX-License-Identifier: Apache-2.0
"""chatd with helpers that lie (liar.py).  Whatever a helper sends, only that
helper ends.  Clients of every kind talk during that time.  When the lies have
stopped, every request has ended exactly once, the same chatd process answers
status, and an exchange works.

LIAR_SECONDS sets the duration, LIAR_SEEDS="1 2 3" the seeds.
"""
import json
import os
import pathlib
import random
import select
import threading
import time

import pytest

from service import BUILD, SCRIPTED, SRC, WAIT, Client, Lost, Service
from test_chatd_filter import PACK, POLICY

LIAR = SRC / "tests/e2e/liar.py"
NAMES = ("engine", "filter", "store")
SECONDS = float(os.environ.get("LIAR_SECONDS", "0"))
ROUND = 4           # seconds: the back-off doubles with each lie found out
SEEDS = os.environ.get("LIAR_SEEDS", "1").split()
GROWTH = 192 << 20  # bytes: some of the longest lines, as JSON
SANITIZED = "#define WITH_SANITIZER 1" in (BUILD / "config.h").read_text()


class Liars(Service):
    """chatd with liars in place of some helpers; truthful at first."""

    def __init__(self, names, seed="1", rate="0.05", process="shared", **kw):
        super().__init__(start=False, **kw)
        self.lies = self.dir / "lies"
        self.lies.mkdir()
        self.env.update(LIAR_DIR=str(self.lies), LIAR_SEED=seed,
                        LIAR_RATE=rate, LIAR_ENGINE=str(SCRIPTED),
                        LIAR_FILTER=str(BUILD / "chatd-filter"),
                        LIAR_STORE=str(BUILD / "chatd-store"))
        for name in names:
            (self.lies / name).symlink_to(LIAR)
            self.config[name]["program"] = str(self.lies / name)
        self.config["engine"]["timeout"] = "3s"
        self.config["store"]["timeout"] = "3s"
        packs = self.dir / "packs"
        packs.mkdir()
        (packs / "test.yaml").write_text(PACK)
        self.config["policy"] = POLICY
        self.config["filters"] = [
            {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(packs)}, "process": process}]
        self.write_config()
        self.truth(True)
        self.start()
        self.wait_model()

    def truth(self, on):
        if on:
            (self.lies / "truth").touch()
        else:
            (self.lies / "truth").unlink()

    def steer(self, name, text):
        """Write a steering file at once."""
        (self.lies / "new").write_text(text)
        (self.lies / "new").rename(self.lies / name)

    def alive(self, pid):
        """Is it the same chatd, and does it answer?"""
        return self.process is not None and self.process.poll() is None \
            and self.status()["pid"] == pid

    def files(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))

    def peak(self):
        """Most memory it ever had, in bytes."""
        for line in pathlib.Path("/proc/%d/status" % self.process.pid) \
                .read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
        raise AssertionError("no VmHWM")


class Talker(threading.Thread):
    """A client that asks for anything and keeps count of the answers."""

    def __init__(self, service, seed):
        super().__init__(daemon=True)
        self.service = service
        self.r = random.Random(seed)
        self.halt = threading.Event()
        self.wrong = None           # an answer that must not come
        self.ended = 0
        self.codes = {}
        self.open = {}              # id: its operation
        self.client = None

    def ask(self):
        """One request of a random kind."""
        r = self.r
        small = r.randrange(1, 9)
        op, fields = r.choice([
            ("say", {"text": r.choice([
                "Hello", "#long 40", "#forever", "#wait", "silly goose",
                "#say card 41111234 and more", "make a bomb"])}),
            ("say", {"text": "again", "conversation": small}),
            ("say", {"text": "#long 20", "preprompt": "card 41111234"}),
            ("complete", {"prompt": "#long 10",
                          "params": {"max_tokens": 30}}),
            ("regenerate", {"exchange": small}),
            ("cancel", {"request": r.choice(list(self.open) or [0])}),
            ("cancel", {"request": r.choice(list(self.open) or [0])}),
            ("list", {}), ("show", {"conversation": small}),
            ("list", {"rating": "good"}), ("search", {"query": "goose"}),
            ("search", {"model": "none"}), ("stats", {"all": True}),
            ("unrate", {"rating": small}),
            ("rate", {"exchange": small, "thumb": 1, "comment": "good"}),
            ("delete", {"conversation": small}), ("new", {"title": "t"}),
            ("moderate", {"text": "silly goose 41111234"}),
            ("tokenize", {"text": "words"}), ("status", {}),
            ("export", {"format": r.choice(["csv", "messages"])}),
            ("reload", {})])
        self.open[self.client.send(op, **fields)] = op

    def take(self):
        """One event; its request may have ended with it."""
        event = self.client.event()
        if event["event"] not in ("done", "error"):
            return
        ident = event.get("id")
        if ident not in self.open:
            self.wrong = "%r has no request" % event
            return
        del self.open[ident]
        self.ended += 1
        code = event.get("code", "done")
        self.codes[code] = self.codes.get(code, 0) + 1

    def readable(self, seconds):
        return b"\n" in self.client.buffer or \
            select.select([self.client.sock], [], [], seconds)[0]

    def talk(self):
        self.open.clear()
        with self.service.client() as self.client:
            while not self.halt.is_set() and self.wrong is None:
                if len(self.open) < 6:
                    self.ask()
                if self.r.random() < 0.002:
                    return          # it leaves in the middle
                if self.readable(0.02):
                    self.take()
            for ident, op in list(self.open.items()):
                if op in ("say", "complete", "regenerate"):
                    self.open[self.client.send("cancel", request=ident)] = \
                        "cancel"
            end = time.monotonic() + WAIT
            while self.open and self.wrong is None:
                if time.monotonic() > end:
                    self.wrong = "never ended: %r" % self.open
                elif self.readable(1):
                    self.take()

    def run(self):
        while not self.halt.is_set() and self.wrong is None:
            try:
                self.talk()
            except (Lost, OSError):
                if self.service.process is None or \
                        self.service.process.poll() is not None:
                    self.wrong = "chatd has ended"


def live_through(service, seconds, seed):
    """Lies for some seconds, then the truth; all promises are checked."""
    pid, files, memory = (service.process.pid, service.files(),
                          service.peak())
    talkers = [Talker(service, "%s-%d" % (seed, i)) for i in range(4)]
    service.truth(False)
    for t in talkers:
        t.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end and not any(t.wrong for t in talkers):
        time.sleep(0.05)            # the length of the lying, no condition
    service.truth(True)
    for t in talkers:
        t.halt.set()
    for t in talkers:
        t.join(2 * WAIT)
        assert t.wrong is None and not t.is_alive(), t.wrong
    assert service.alive(pid)
    codes = {c for t in talkers for c in t.codes}
    print("answers:", sum(t.ended for t in talkers), sorted(codes))
    assert "done" in codes and sum(t.ended for t in talkers) > 0
    with service.client() as c:
        # A plugin of its own may be switched off until a reload.
        service.wait(lambda: c.call("reload")["event"] == "done")
        service.wait(lambda: all(h["state"] == "ready" for h in
                                 c.call("status")["helpers"].values()))
        # Texts of an account that cost a filter wait a while.
        service.wait(lambda: c.say("Hello")[0] == "You said: Hello")
    service.wait(lambda: service.files() <= files)
    if not SANITIZED:
        assert service.peak() - memory < GROWTH


def rounds():
    """(seed, number): one for each seed, or as many as the time takes."""
    if SECONDS == 0:
        return [(seed, 0) for seed in SEEDS]
    return [(seed, n) for seed in SEEDS
            for n in range(max(1, int(SECONDS / ROUND / len(SEEDS))))]


@pytest.mark.parametrize("names", [*((n,) for n in NAMES), NAMES],
                         ids=[*NAMES, "all"])
def test_chatd_lives_among_liars(names):
    for seed, n in rounds():
        with Liars(names, "%s-%d" % (seed, n),
                   process=("shared", "own")[n % 2]) as s:
            live_through(s, ROUND, "%s-%d" % (seed, n))


@pytest.mark.parametrize("act", ["kill", "wrong"])
def test_the_test_of_the_liars_can_fail(act):
    with Liars(("engine",), rate="0") as s:
        if act == "wrong":      # an answer too many: the count finds it
            t = Talker(s, "1")
            t.client = Client(s.socket)
            t.open[t.client.send("status")] = "status"
            t.take()
            assert t.ended == 1 and t.wrong is None
            t.client.send("status")
            t.take()
            assert "has no request" in t.wrong
            t.client.sock.close()
            return
        killer = threading.Timer(0.5, s.process.kill)
        killer.start()
        with pytest.raises((AssertionError, OSError)):
            live_through(s, ROUND, "1")
        killer.join()


# ---- lies that once did harm

ASK = {"engine": ("tokenize", {"text": "hi"}),
       "filter": ("moderate", {"text": "hi"}),
       "store": ("new", {"title": "t"})}


@pytest.mark.parametrize("name", NAMES)
def test_an_item_for_a_request_of_another_kind_ends_the_helper(name):
    """The callback of a request was called for it, and again at the end."""
    with Liars((name,)) as s, s.client() as c:
        pid, helper = s.process.pid, s.helper_pid(name)
        s.steer("inject", '{"event":"item","id":$ID}\n' * 2)
        op, fields = ASK[name]
        assert c.call(op, **fields)["event"] == "error"
        (s.lies / "inject").unlink()
        s.wait(lambda: s.helper_pid(name) not in (0, helper))
        assert "answered out of turn" in s.log.read_text()
        assert s.alive(pid)
        s.wait(lambda: c.call(op, **fields)["event"] == "done")


@pytest.mark.parametrize("name", NAMES)
def test_items_for_all_small_ids_end_the_helper(name):
    """A plugin can write this to descriptor 1 without knowing any id."""
    lines = "".join('{"event":"item","id":%d}\n' % i for i in range(40))
    with Liars((name,)) as s, s.client() as c:
        pid = s.process.pid
        s.steer("inject", lines)
        op, fields = ASK[name]
        for _ in range(3):
            assert c.call(op, **fields)["event"] == "error"
        (s.lies / "inject").unlink()
        s.wait(lambda: c.call(op, **fields)["event"] == "done")
        assert s.alive(pid)


def test_a_reply_whose_end_was_lost_ends_when_it_is_cancelled():
    """Not even cancel ended it, and its conversation stayed busy."""
    with Liars(("engine",)) as s, s.client() as c:
        s.steer("drop", '"stop"')
        ident = c.send("say", text="#long 40")
        c.until("text")
        s.wait((s.lies / "dropped").exists)
        assert c.call("cancel", request=ident)["event"] == "done"
        assert c.events(ident)[-1]["stop"] == "cancelled"
        (s.lies / "drop").unlink()
        s.wait_model()
        assert c.say("Hello")[0] == "You said: Hello"


def test_a_tokenize_whose_answer_was_lost_fails_alone():
    """It had no deadline."""
    with Liars(("engine",)) as s, s.client() as c, s.client() as other:
        engine = s.helper_pid("engine")
        s.steer("drop", r'"ids": \[104, 105\]')
        ident = c.send("tokenize", text="hi")
        assert other.call("tokenize", text="ho")["count"] == 2
        assert c.events(ident)[-1]["code"] == "engine_unavailable"
        assert s.helper_pid("engine") == engine


def test_a_filter_that_is_ready_without_plugins_is_refused():
    """chatd accepted it, and ended at the next failed start."""
    with Liars(("filter",)) as s, s.client() as c:
        pid = s.process.pid
        s.steer("instead", '{"event":"ready"}\n')
        e = c.call("reload")
        assert e["code"] == "bad_config" and "plugins" in e["message"]
        (s.lies / "instead").unlink()
        assert c.call("moderate", text="x")["event"] == "done"
        assert c.call("reload")["event"] == "done"
        assert s.alive(pid)


def test_an_exporter_that_closes_its_output_and_hangs_is_killed():
    """chatd blocked until it exited."""
    with Liars(("store",)) as s, s.client() as c, s.client() as other:
        s.steer("export", "")
        ident = c.send("export", format="csv")
        c.until("text")
        assert other.call("status")["event"] == "done"
        assert c.events(ident)[-1]["code"] == "store_unavailable"
        (s.lies / "export").unlink()
        assert c.call("export", format="csv")["event"] == "done"


def test_a_ready_of_many_bytes_is_refused():
    """Part of it went to every client."""
    with Liars(("filter",)) as s, s.client() as c:
        s.steer("instead", json.dumps(
            {"event": "ready", "plugins": [{"name": "x" * 70000}]}) + "\n")
        assert c.call("reload")["code"] == "bad_config"
