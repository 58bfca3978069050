# SPDX-License-Identifier: Apache-2.0
"""A reply does not depend on restarts.  The engine of 32 streams is killed
again and again, and each reply is the same as without that, token for token.  A
reply is also the same if each part of it comes from another engine, with any
instruction set and number of threads.

EQUAL_SEED=N repeats the kills of a run that has failed. EQUAL_ROUNDS=N runs N
rounds with longer replies (make check-long).
"""
import concurrent.futures
import os
import random
import re
import signal
import struct
import subprocess
import threading

import pytest

from engine_client import Engine, MINI, TINY, pieces
from service import BUILD, Service, text_of

ENGINE = BUILD / "chatd-engine"
ROUNDS = int(os.environ.get("EQUAL_ROUNDS") or 0)
SEED = int(os.environ.get("EQUAL_SEED") or random.SystemRandom().
           randrange(1 << 32))
STREAMS = 32
KILLS = 5
STORIES = ["<human>: %s\n<bot>: %s\n" % pair for pair in (
    ("Hello", "Hello! How are you? " * 12),
    ("Tell me a story", "Once upon a time there was a small house. " * 8),
    ("What can you do?", "I can talk about many things, and listen. " * 9))]
QUESTIONS = ["Hello", "Who are you?", "What is your name?", "I am sad today",
             "Tell me more", "Why?", "And then?", "Say something long"]


def serve(threads, batch):
    return Service(engine=ENGINE, model=MINI, config={
        "model": {"threads": threads, "batch_tokens": batch,
                  "kv_tokens": 16384},
        "engine": {"attempts": 1000},
        "limits": {"requests_per_uid": 2 * STREAMS}})


def drawn(number, length):
    """Request number `number`. Some are greedy, some are dialogues, and many
    begin like others."""
    rng = random.Random(number)
    params = {"temperature": rng.choice([0, 0.7, 1.0, 1.3]),
              "top_k": rng.choice([0, 40, 200]),
              "top_p": rng.choice([1, 0.95]),
              "repetition_penalty": rng.choice([1, 1.1]),
              "seed": number, "max_tokens": rng.randint(60, length)}
    question = QUESTIONS[number % len(QUESTIONS)]
    if number % 4 == 3:
        return "say", {"text": question + " " + question,
                       "params": dict(params, temperature=1.2)}
    story = STORIES[number % len(STORIES)] if number % 5 else ""
    return "complete", {
        "prompt": "%s<human>: %s\n<bot>:" % (story, question),
        "params": dict(params, ignore_eos=True)}


def stored(service, done):
    """The stored reply; that of a dialogue is compared with show."""
    ((text, ids, stop),) = service.rows(
        "select text, ids, stop from reply where id = ?", done["reply"])
    if done["conversation"] is not None:
        with service.client() as c:
            item = c.events(c.send("show",
                                   conversation=done["conversation"]))[0]
        (reply,) = item["exchange"]["replies"]
        assert (reply["text"], reply["stop"]) == (text, stop)
    assert len(ids) == 4 * done["output_tokens"]
    return text, struct.unpack("<%dI" % (len(ids) // 4), ids), stop


class Kills:
    """Kills the engine when a number of pieces of text have come."""

    def __init__(self, service, cuts):
        self.service, self.cuts = service, sorted(cuts)
        self.lock = threading.Lock()
        self.seen = self.killed = self.pid = 0

    def another(self):
        """Is there an engine that has not been killed?"""
        pid = self.service.helper_pid("engine")
        if pid in (0, self.pid):
            return False
        self.pid = pid
        return True

    def count(self):
        with self.lock:
            self.seen += 1
            if self.killed == len(self.cuts) or \
                    self.seen < self.cuts[self.killed]:
                return
            self.killed += 1
            self.service.wait(self.another)
            os.kill(self.pid, signal.SIGKILL)


def stream(service, request, count=lambda: None):
    """One client: its reply as stored, the number of notices about a new
    engine, and the number of pieces."""
    op, fields = request
    with service.client() as c:
        ident = c.send(op, **fields)
        seen = []
        while not seen or seen[-1]["event"] not in ("done", "error"):
            seen.append(c.event())
            if seen[-1]["event"] == "text":
                count()
    assert seen[-1]["event"] == "done", seen[-1]
    assert seen[-1]["id"] == ident
    got = stored(service, seen[-1])
    assert text_of(seen) == got[0]
    names = [e["event"] for e in seen]
    return got, names.count("notice"), names.count("text")


def check_killed(alone, requests, seed):
    """All at once, over an engine that is killed at random."""
    rng = random.Random(seed)
    total = sum(texts for _, _, texts in alone)
    cuts = rng.sample(range(1, total * 9 // 10), KILLS)
    with serve(threads=2, batch=rng.choice([64, 256])) as s:
        s.wait_model()
        kills = Kills(s, cuts)
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
            got = list(pool.map(lambda r: stream(s, r, kills.count),
                                requests))
        restarts = s.status()["helpers"]["engine"]["restarts"]
    where = "EQUAL_SEED=%d, killed at %s" % (seed, sorted(cuts))
    for i, (a, b) in enumerate(zip(alone, got)):
        assert b[0] == a[0], "%s: stream %d: %r" % (where, i, requests[i])
    assert kills.killed == KILLS <= restarts, where
    assert sum(notices for _, notices, _ in got) >= KILLS, where


def test_streams_of_an_engine_that_is_killed_are_what_they_are_alone():
    requests = [drawn(i, 300 if ROUNDS else 110) for i in range(STREAMS)]
    with serve(threads=1, batch=0) as s:
        s.wait_model()
        alone = [stream(s, r) for r in requests]
    assert len({a[0][0] for a in alone}) > STREAMS // 2
    for i in range(max(ROUNDS, 1)):
        check_killed(alone, requests, SEED + i)


# ---- the engine alone

PRECISIONS = ["bf16", "int8", "int4"]
TAKEN_UP = [
    {"prompt": "Tell me a story", "params": {
        "temperature": 0, "max_tokens": 50, "ignore_eos": True}},
    {"prompt": "Tell me a joke", "params": {
        "temperature": 1.0, "seed": 5, "repetition_penalty": 1.1,
        "max_tokens": 50, "ignore_eos": True}}]


def variants():
    """Instruction sets that this machine has, with 1 and with 2 threads."""
    done = subprocess.run(
        [ENGINE, "--model", TINY, "--isa", "none"], capture_output=True,
        text=True, timeout=60)
    said = re.search("build have auto, (.*), found none",
                     done.stdout + done.stderr)
    return [(isa, threads) for threads in (2, 1)
            for isa in said[1].split(", ")]


def engine(model, precision, variant, *args):
    isa, threads = variant
    return Engine("--model", model, "--precision", precision, "--isa", isa,
                  "--threads", threads, *args)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_reply_goes_on_from_every_token_in_every_variant(precision):
    with engine(TINY, precision, ("scalar", 1)) as e:
        wants = [e.generate(**r)[-1] for r in TAKEN_UP]
    assert [len(w["ids"]) for w in wants] == [50, 50]
    for variant in variants():
        with engine(TINY, precision, variant) as e:
            cuts = {e.send("generate", **r, resume=w["ids"][:k]): (w, k)
                    for k in range(51) for r, w in zip(TAKEN_UP, wants)}
            got = e.until_done(*cuts)
            for ident, (want, k) in cuts.items():
                done = got[ident][-1]
                assert (done["ids"], done["text"]) == \
                    (want["ids"], want["text"]), (variant, k)
                assert pieces(got[ident])[1] == want["ids"][k:]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_reply_through_many_engines(precision):
    """Each engine is killed after some tokens, and the next one, of another
    variant, continues the reply."""
    rng = random.Random(SEED)
    request = dict(TAKEN_UP[1])
    if ROUNDS:
        request["prompt"] = STORIES[1]
        request["params"] = dict(request["params"], max_tokens=400)
    with engine(MINI, precision, ("auto", 1)) as e:
        want = e.generate(**request)[-1]
    ids, text, engines, ended = [], "", 0, False
    most = max(1, min(20, len(want["ids"]) // 6))
    while not ended:
        variant = rng.choice(variants())
        with engine(MINI, precision, variant,
                    "--batch-tokens", rng.randint(2, 200)) as e:
            cut = len(ids) + rng.randint(1, most)
            e.send("generate", **request, resume=ids)
            while len(ids) < cut and not ended:
                event = e.event()
                ended = event["event"] == "done"
                if event["event"] == "text":
                    text += event["text"]
                    ids = ids + event["ids"]
        engines += 1
        assert ids == want["ids"][:len(ids)], (SEED, variant)
    assert (ids, text) == (want["ids"], want["text"]), SEED
    assert engines > 3
