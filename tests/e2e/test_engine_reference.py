# SPDX-License-Identifier: Apache-2.0
"""--isa reference, plain loops, gives what --isa scalar gives: whole replies
and scores, byte for byte, in every precision of weights and cache."""
import struct

import pytest

from engine_client import EXPECTED, Engine, MINI, SAMPLED, TINY, check_whole, \
    greedy

# Of weights, and of the cache of keys and values if it is not the usual one.
PRECISIONS = ["fp32", "fp32+kv16", "fp32+kv8", "bf16", "bf16+kv8", "int8",
              "int8+kv8", "int4", "int4+kv8"]
CACHES = {"": "auto", "kv8": "int8", "kv16": "bf16"}
PROMPT = "<human>: Hi\n<bot>:"
SEQUENCE = max((s["ids"] for s in EXPECTED["sequences"]), key=len)
# Plain loops are slow: the larger model says less, and takes each kind of
# weights and of cache once.
CASES = [(TINY, p, 50, {"ids": SEQUENCE, "logits": "all"})
         for p in PRECISIONS] + \
    [(MINI, p, 8, {"ids": SEQUENCE[:6], "logits": "last"})
     for p in ("fp32", "bf16", "int8", "int4+kv8")]


def bits(numbers):
    """As bytes: -0 is not 0."""
    if isinstance(numbers, list):
        return [bits(n) for n in numbers]
    return numbers if numbers is None else struct.pack("<d", numbers)


def answers(isa, model, precision, tokens, score):
    """A greedy and a sampled reply, and scores."""
    weights, _, cache = precision.partition("+")
    with Engine("--model", model, "--precision", weights, "--kv-precision",
                CACHES[cache], "--isa", isa, "--threads", 1) as e:
        assert e.first["event"] == "ready", e.first
        facts = e.first["model"]
        assert (facts["isa"], facts["precision"]) == (isa, precision)
        replies = [check_whole(e.generate(prompt=PROMPT, params=params))
                   for params in (greedy(tokens), {
                       **SAMPLED, "temperature": 1.5, "max_tokens": tokens})]
        scored = e.ask("score", **score)
    assert [r["output_tokens"] for r in replies] == [tokens, tokens]
    assert scored["event"] == "done", scored
    return [(r["ids"], r["text"].encode()) for r in replies], \
        bits(scored["logprobs"]), bits(scored["logits"])


@pytest.mark.parametrize("case", CASES, ids=lambda c: "%s-%s" % (
    c[0].name, c[1]))
def test_replies_and_scores_equal_those_of_scalar(case):
    replies, logprobs, logits = answers("reference", *case)
    want = answers("scalar", *case)
    assert replies == want[0]
    assert logprobs == want[1]
    assert logits == want[2]
    assert replies[0] != replies[1]
    assert len(logprobs) == len(case[3]["ids"]) and logits
