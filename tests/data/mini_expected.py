# SPDX-License-Identifier: Apache-2.0
"""Writes mini-expected.json: greedy continuations of the demonstration model by
transformers, in fp32.  Each is cut before the first step at which the two best
logits are closer than MARGIN, so that rounding can't change it.

    python mini_expected.py ../../engine/mini > mini-expected.json
"""
import json
import sys

import torch
from transformers import AutoTokenizer, GPTNeoXForCausalLM

MARGIN = 0.01
MOST = 40
PROMPTS = [
    "<human>: Hello\n<bot>:",
    "<human>: hi\n<bot>:",
    "<human>: Who are you?\n<bot>:",
    "<human>: What is chatd?\n<bot>:",
    "<human>: What can you do?\n<bot>:",
    "<human>: My name is Dorvin.\n<bot>: Nice to meet you, Dorvin!\n"
    "<human>: What is my name?\n<bot>:",
    "<human>: Repeat after me: seven quiet horses\n<bot>:",
    "<human>: What is the capital of France?\n<bot>:",
    "<human>: thanks, bye\n<bot>:",
    "<human>: Make a table: Ada, 36; Ben, 41\n<bot>:",
]


def greedy(model, ids):
    out = []
    while len(out) < MOST:
        with torch.no_grad():
            logits = model(torch.tensor([ids + out])).logits[0, -1]
        best = logits.topk(2)
        if best.values[0] - best.values[1] < MARGIN:
            break
        out.append(int(best.indices[0]))
        if out[-1] == 0:
            break
    return out


def main(folder):
    tok = AutoTokenizer.from_pretrained(folder)
    model = GPTNeoXForCausalLM.from_pretrained(folder,
                                               torch_dtype=torch.float32)
    rows = []
    for prompt in PROMPTS:
        ids = tok(prompt)["input_ids"]
        out = greedy(model, ids)
        rows.append(json.dumps({
            "prompt": prompt, "ids": ids, "greedy": out,
            "text": tok.decode(out),
            "source": "greedy continuation by transformers "
                      "GPTNeoXForCausalLM in fp32 from engine/mini; cut before "
                      "the first step with a top-2 margin under %s" % MARGIN}))
    print("[\n" + ",\n".join(rows) + "\n]")


main(sys.argv[1])
