#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does the time to the first token reveal what another account has sent?

Account A sends half of the prompts. Then account B sends all of them in random
order, and notes for each the time to its first token.  A classifier knows the
truth for the first half of B's times, and chooses the threshold that separates
these best.  It then guesses for the second half (50 + 50 by default), and the
fraction of right guesses is printed.  AUC is the probability that a prompt that
A had sent took less time than one that A had not sent; 0.5 means that the times
reveal nothing.

By chance 50 % of 100 guesses are right, plus or minus 10 % (two standard
deviations); that is the limit.  The same is done with B in the place of A. The
cache does have the beginnings of B's own prompts, so nearly all guesses should
be right, which shows that the method works.

usage: prefix_timing.py [--shape NAME | --model DIR] [--guesses 50]
                        [--tokens 128]
"""
import argparse
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
os.environ.setdefault("CHATD_BUILD", "build")

from engine_client import Engine  # noqa: E402


def first_token(engine, group, ids):
    """Seconds until one token is there."""
    start = time.perf_counter()
    ident = engine.send("generate", ids=ids, group=group, params={
        "temperature": 0, "max_tokens": 1, "ignore_eos": True})
    while True:
        e = engine.event()
        if e.get("id") == ident and e["event"] == "text":
            took = time.perf_counter() - start
        if e.get("id") == ident and e["event"] in ("done", "error"):
            assert e["event"] == "done", e
            return took


def auc(sent, fresh):
    pairs = [(a < b) + (a == b) / 2 for a in sent for b in fresh]
    return sum(pairs) / len(pairs)


def threshold(times):
    """The time below which a prompt is best taken for one that was sent."""
    best, where = -1, 0
    for t, _ in times:
        right = sum((x <= t) == sent for x, sent in times)
        if right > best:
            best, where = right, t
    return where


def probe(engine, args, sender, prober, seed):
    r = random.Random(seed)
    prompts = [[r.randrange(1000, 20000) for _ in range(args.tokens)]
               for _ in range(4 * args.guesses)]
    sent = set(range(0, len(prompts), 2))
    times = []
    for i in r.sample(range(len(prompts)), len(prompts)):
        # Just before, so that nothing has had to leave the cache; a prompt
        # that B never sends stands in for one that is not sent.
        first_token(engine, sender, prompts[i] if i in sent else
                    [r.randrange(1000, 20000) for _ in range(args.tokens)])
        times.append((first_token(engine, prober, prompts[i]), i in sent))
    known, asked = times[:len(times) // 2], times[len(times) // 2:]
    t = threshold(known)
    right = sum((x <= t) == s for x, s in asked) / len(asked)
    a = auc([x for x, s in times if s], [x for x, s in times if not s])
    medians = [sorted(x for x, s in times if s == kind)[args.guesses]
               for kind in (True, False)]
    return right, a, medians


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--shape", default="pythia-160m")
    p.add_argument("--model")
    p.add_argument("--guesses", type=int, default=50)
    p.add_argument("--tokens", type=int, default=128)
    args = p.parse_args()
    source = ["--model", args.model] if args.model else ["--synth", args.shape]
    bad = 0
    with Engine(*source, "--precision", "int8", "--kv-tokens", "8192") as e:
        for name, sender, prober in (("another account", 1, 2),
                                     ("the same account", 3, 3)):
            right, a, (sent, fresh) = probe(e, args, sender, prober, sender)
            print("%-17s sent before %.1f ms, not sent %.1f ms: %.0f %% of "
                  "guesses right, AUC %.2f" % (name, sent * 1e3, fresh * 1e3,
                                               right * 100, a), flush=True)
            if name == "another account":
                bad = right > 0.5 + 1 / (2 * args.guesses) ** 0.5
            elif right < 0.9:
                print("the method notices nothing: no result")
                bad = 1
    return bad


if __name__ == "__main__":
    sys.exit(main())
