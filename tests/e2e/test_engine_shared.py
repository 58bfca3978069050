# SPDX-License-Identifier: Apache-2.0
"""One engine for several accounts.  The texts of one account do not show in
the replies of another one, nor in the number of tokens that are computed for
them.  No account waits for the texts of another one.  chatd names accounts to
the engine by the number "group"."""
import os
import random

import pytest

from engine_client import (CONTEXT, MINI, VOCAB, Engine, check_whole, greedy,
                           pieces, start)
from service import SANITIZED

BLOCK = 32          # tokens of a block of the cache
LONG = "a b c " * 40000     # a text of 240 KB


@pytest.fixture(scope="module")
def tiny():
    with start() as e:
        yield e


@pytest.fixture(scope="module")
def mini():
    with Engine("--model", MINI, "--threads", "1", "--kv-tokens",
                "16384") as e:
        yield e


def reused(engine, group, **fields):
    """The number of tokens that a reply got from the cache."""
    before = engine.ask("stats")["tokens_reused"]
    check_whole(engine.generate(group=group, params=greedy(2), **fields))
    return engine.ask("stats")["tokens_reused"] - before


# ---- the texts of an account stay its own


def prompts(seed, n):
    """Prompts of two whole blocks and more."""
    r = random.Random(seed)
    return [[r.randrange(2, VOCAB) for _ in range(2 * BLOCK + 10)]
            for _ in range(n)]


def test_a_prompt_that_another_account_sent_is_as_new_as_any_other(tiny):
    sent, fresh = prompts(1, 20), prompts(2, 20)
    for p in sent:
        reused(tiny, 1, ids=p)
    mixed = [(p, kind) for kind in (0, 1) for p in (sent, fresh)[kind]]
    random.Random(3).shuffle(mixed)
    got = {0: [], 1: []}
    for p, kind in mixed:
        got[kind].append(reused(tiny, 2, ids=p))
    assert got[0] == got[1] == [0] * 20


def test_an_account_finds_its_own_beginning_again(tiny):
    (p,) = prompts(4, 1)
    assert reused(tiny, 1, ids=p) == 0
    assert reused(tiny, 1, ids=p) == 2 * BLOCK
    assert reused(tiny, 0, ids=p) == 0
    assert reused(tiny, 2**53 - 1, ids=p) == 0


def dialogue(pre, text, common):
    more = {"preprompt_common": True} if common else {}
    return {"preprompt": pre, "messages": [{"role": "human", "text": text}],
            **more}


def blocks_of(engine, pre):
    """Whole blocks of the tokens of a pre-prompt; a new line ends it."""
    n = len(engine.ask("tokenize", text=pre + "\n")["ids"])
    return n // BLOCK * BLOCK


def test_the_administrators_preprompt_is_shared_and_no_more(mini):
    pre = "You are a helpful assistant of a small company. " * 8
    whole = blocks_of(mini, pre)
    assert whole >= 2 * BLOCK
    same = "What is the weather like today, and what will it be? " * 4
    assert reused(mini, 1, **dialogue(pre, same, True)) == 0
    assert reused(mini, 2, **dialogue(pre, "Hello there", True)) == whole
    # another account reuses only the pre-prompt, the same one also the rest
    assert reused(mini, 3, **dialogue(pre, same, True)) == whole
    assert reused(mini, 3, **dialogue(pre, same, True)) > whole


def test_a_users_own_preprompt_is_not_shared(mini):
    pre = "I am a lawyer, and this is about a case of mine. " * 8
    for group in (1, 2):
        assert reused(mini, group, **dialogue(pre, "Hello", False)) == 0
    assert reused(mini, 1, **dialogue(pre, "Hello", False)) > 0
    # nor is it reused as a pre-prompt of the administrator, with the same text
    assert reused(mini, 1, **dialogue(pre, "Hello", True)) == 0


def canary(i):
    return "canary%04d" % (i * 7919 % 10000)


def stream(i):
    """A request of account i, of any kind."""
    text = "My secret word is %s. Say it again, and again: %s" % (
        canary(i), canary(i))
    params = greedy(12 + i % 9) if i % 3 else {
        "temperature": 0.9, "seed": i, "max_tokens": 12 + i % 9,
        "ignore_eos": True}
    body = {"prompt": text} if i % 2 else {
        "messages": [{"role": "human", "text": text}]}
    return {**body, "params": params, "group": i % 40}


def said(events):
    done = check_whole(events)
    return done["ids"], done["text"]


def test_64_mixed_streams_say_what_each_says_alone(mini):
    idents = [mini.send("generate", **stream(i)) for i in range(64)]
    for i in range(0, 64, 5):
        mini.send("tokenize", text=canary(i) * 50, group=i)
        mini.send("score", ids=[5, 6, 7 + i], group=i)
    together = mini.until_done(*idents)
    with Engine("--model", MINI, "--threads", "1") as alone:
        for i, ident in enumerate(idents):
            want = said(alone.generate(**stream(i)))
            assert said(together[ident]) == want, i
            for k in range(64):
                assert k == i or canary(k) not in want[1]


# ---- nobody waits for the texts of another


def slow_text(seed):
    """A word without a pattern, which takes longest to encode."""
    return "".join(random.Random(seed).choices("etaoinshrdlu", k=200000))


class Queue:
    """Waiting requests of one group, and how many of them were answered."""

    def __init__(self, engine, op, texts, key, **fields):
        self.engine = engine
        self.idents = {engine.send(op, **{key: t}, **fields) for t in texts}
        self.answered = 0
        self.until(engine.send("ping"))
        assert self.answered < len(self.idents) // 2    # they do wait

    def until(self, *idents):
        """Wait for these. Returns how many of the queue were answered."""
        left, before = set(idents), self.answered
        while left:
            e = self.engine.event()
            if e["event"] in ("done", "error"):
                left.discard(e["id"])
                self.answered += e["id"] in self.idents
        return self.answered - before

    def finish(self):
        while self.answered < len(self.idents):
            self.answered += self.engine.event()["id"] in self.idents


@pytest.mark.parametrize("op,key", [("tokenize", "text"),
                                    ("generate", "prompt")])
def test_a_short_request_passes_long_texts_of_another_group(mini, op, key):
    queue = Queue(mini, op, [slow_text(1)] * 20, key, group=1)
    short = mini.send("tokenize", text="Hello", group=2)
    reply = mini.send("generate", prompt="Hello", params=greedy(5), group=2)
    assert queue.until(short, reply) <= 3
    queue.finish()


def test_groups_take_turns_with_long_texts(mini):
    queue = Queue(mini, "tokenize", [slow_text(1)] * 20, "text", group=1)
    second = [mini.send("tokenize", text=slow_text(2), group=2)
              for _ in range(5)]
    assert 2 <= queue.until(*second) <= 8
    queue.finish()


def test_a_text_that_waits_can_be_cancelled(tiny):
    idents = [tiny.send("tokenize", text=LONG, group=1) for _ in range(3)]
    held = tiny.send("generate", prompt=LONG, group=1)
    resumed = tiny.send("generate", prompt="a" * 20, resume=[65, 66],
                        params=greedy(5), group=1)
    orders = [tiny.send("cancel", request=i)
              for i in (idents[2], held, resumed)]
    got = tiny.until_done(*idents, held, resumed, *orders)
    assert [got[i][-1]["event"] for i in idents] == ["done", "done", "error"]
    assert got[idents[2]][-1]["code"] == "cancelled"
    assert got[held][-1]["stop"] == "cancelled" and got[held][-1]["ids"] == []
    assert got[resumed][-1]["stop"] == "cancelled"
    assert got[resumed][-1]["ids"] == [65, 66]


def test_a_prompt_that_waits_can_be_paused(tiny):
    first = tiny.send("tokenize", text=LONG, group=1)
    reply = tiny.send("generate", prompt="Hello", params=greedy(5), group=1)
    orders = [tiny.send(op, request=reply)
              for op in ("pause", "continue", "pause")]
    tiny.until_done(first, *orders)
    assert tiny.ask("stats")["waiting"] + tiny.ask("stats")["running"] == 1
    tiny.send("continue", request=reply)
    got = tiny.until_done(reply)[reply]
    assert len(pieces(got)[1]) == 5


def test_an_id_in_use_is_refused(tiny):
    ident = tiny.send("tokenize", text=LONG, group=1)
    tiny.next_id -= 1
    assert tiny.send("tokenize", text="x") == ident
    first, second = tiny.event(), tiny.event()
    assert (first["event"], first["field"]) == ("error", "id")
    assert second["event"] == "done" and second["id"] == ident


@pytest.mark.skipif(SANITIZED, reason="freed memory is kept for a while")
def test_waiting_texts_take_little_memory_beyond_their_own(tiny):
    def peak():
        with open("/proc/%d/status" % tiny.process.pid) as f:
            return [int(line.split()[1]) for line in f
                    if line.startswith("VmHWM:")][0]

    if not os.path.exists("/proc/self/status"):
        pytest.skip("no /proc")
    before = peak()
    for group in range(1, 21):
        tiny.send("tokenize", text=LONG, group=group)
    for _ in range(20):
        assert tiny.event()["event"] == "done"
    # 20 texts of 240 KB that take turns: each in its message and its line,
    # its ids and their digits.
    assert peak() - before < 20 * 20 * 240


def test_context_is_what_this_file_counts_on():
    assert CONTEXT > 2 * BLOCK + 12
