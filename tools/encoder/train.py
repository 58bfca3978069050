#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fine-tune a small BERT encoder as the second tier of the filters.

    train.py --base FOLDER --out FOLDER [options] FILE.jsonl ...

FOLDER of --base is a Hugging Face folder of a BertModel (all-MiniLM-L6-v2, or
the --out of an earlier run, which is then trained further).  The files have
one JSON object a line: text, category, also, kind, source, quality, fold; see
chatd-modtrain(1).  Rows of a fold "tune" or "test" are not trained on.

The output has what export.py reads: config.json, model.safetensors, head.pt,
head.json.  It needs torch, transformers, tokenizers and emoji (Python is for
making weights only).
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re
import time

import emoji
import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModel

CATEGORIES = (
    "misinformation hate violence impersonation harassment defamation "
    "spam_scam confidential terms_violation malicious_bot illegal").split()
N = len(CATEGORIES)
OUTPUTS = 2 + 2 * N     # request, content, then the categories of each

# Rows of these sources weigh less: "benign" means only that one kind of harm
# is not there, or the texts are of a machine.
WEAK = {"edos": .5, "implicit-hate": .5, "measuring-hate": .5,
        "cysecbench": .3, "harmfulqa": .3, "aart": .3, "toxigen-demos": .7,
        "mlc-v05": .6}
# No more rows of these, harmful or benign, times --share.
MOST = {"cysecbench": 400, "harmfulqa": 400, "aart": 400,
        "constraint-covid": 1500, "covid-rumor-news": 900,
        "bias-templates": 700, "bbq": 500, "edos": 2500,
        "implicit-hate": 2500, "davidson": 2000, "toxic-spans": 2500,
        "spamassassin": 1000, "sms-spam": 1500, "clinc150": 1500,
        "banking77": 600, "medquad": 900, "mlc-v05": 700,
        "toxigen-human": 2700, "cse-interpreter": 150,
        "system-prompts": 150, "measuring-hate": 2500, "safetext": 600}
# Never trained on: kept for the last measurement.
TEST = {"or-bench", "strongreject", "redditbias", "hatemoji-check",
        "deepset-injections", "bipia"}

NAMES = {k.replace("\ufe0f", ""): " %s " % v["en"].strip(":").replace("_", " ")
         for k, v in emoji.EMOJI_DATA.items()
         if len(k.replace("\ufe0f", "")) == 1}
EMOJI = re.compile("[%s]" % "".join(map(re.escape, NAMES)))
MODIFIERS = re.compile("[\ufe0f\u200d\U0001f3fb-\U0001f3ff]")


def words_for_emoji(text):
    """As export.py --emoji: the vocabulary has none."""
    return EMOJI.sub(lambda m: NAMES[m[0]], MODIFIERS.sub("", text))


def read(paths):
    for path in paths:
        with open(path, encoding="utf-8") as f:
            yield from map(json.loads, f)


def made(row):
    """Is it of chatd-modtrain generate?"""
    return row["quality"] == "synthetic" and \
        row["source"].startswith(("contrast-content", "contrast-request",
                                  "contrast-injection"))


def targets(row):
    """The wanted outputs and what each counts; None: nothing to learn."""
    want = np.zeros(OUTPUTS, np.float32)
    weight = np.zeros(OUTPUTS, np.float32)
    head = 0 if row["kind"] == "request" else 1
    own, other = 2 + head * N, 2 + (1 - head) * N
    quality = WEAK.get(row["source"], 1.0)
    if row["category"] == "other_unsafe":
        return None
    weight[head] = quality
    if row["category"] == "benign":
        weight[own:own + N] = .5 * quality
        # A harmless text is harmless for the other head too.
        weight[1 - head] = (.25 if head else .5) * quality
        weight[other:other + N] = .1
        if row["source"] == "edos":
            weight[own + CATEGORIES.index("harassment")] = 0
        return want, weight
    # A row has the categories that its source looked for, and no more.
    want[head] = 1
    weight[own:own + N] = .15
    for c in [row["category"], *row["also"]]:
        if c in CATEGORIES:
            want[own + CATEGORIES.index(c)] = 1
            weight[own + CATEGORIES.index(c)] = 1
    return want, weight


def noisy(text, rng):
    """A copy with a few slips of the keyboard or letters in disguise."""
    s = list(text)
    leet = {"a": "@", "e": "3", "i": "1", "o": "0", "s": "$", "t": "7"}
    for _ in range(max(1, len(s) // 25)):
        if len(s) < 4:
            break
        i, kind = rng.randrange(len(s)), rng.random()
        if kind < .3 and i + 1 < len(s):
            s[i], s[i + 1] = s[i + 1], s[i]
        elif kind < .55:
            del s[i]
        elif kind < .7:
            s.insert(i, s[i])
        elif kind < .85:
            s[i] = leet.get(s[i].lower(), s[i])
        else:
            s.insert(i, rng.choice(" .*-"))
    return "".join(s)


def choose(rows, args, rng):
    """The rows to train on: capped a source, and of the made ones a part."""
    groups, own = collections.defaultdict(list), []
    for r in rows:
        if r["source"] in TEST or r["source"] in args.leave_out or \
                r["fold"] != "train":
            continue
        if made(r):
            own.append(r)
        else:
            groups[r["source"], r["category"]].append(r)
    chosen = []
    for (source, category), group in sorted(groups.items()):
        rng.shuffle(group)
        most = int(MOST.get(source, 3000) * args.share)
        side = sum(len(g) for (s, c), g in groups.items() if s == source and
                   (c == "benign") == (category == "benign"))
        chosen += group if side <= most else \
            group[:max(20, most * len(group) // side)]
    rng.shuffle(own)
    return chosen + own[:args.made]


def batches(texts, tokenizer, size, rng):
    """Batches of texts of like length: indices, ids, mask."""
    ids = [tokenizer.encode(words_for_emoji(t)).ids for t in texts]
    order = sorted(range(len(ids)),
                   key=lambda i: len(ids[i]) + rng.random() * 4)
    lots, lot, most = [], [], 0
    for i in order:
        if lot and max(most, len(ids[i])) * (len(lot) + 1) > size:
            lots.append(lot)
            lot, most = [], 0
        lot.append(i)
        most = max(most, len(ids[i]))
    lots.append(lot)
    rng.shuffle(lots)
    for lot in lots:
        width = max(len(ids[i]) for i in lot)
        x = torch.zeros(len(lot), width, dtype=torch.long)
        mask = torch.zeros_like(x)
        for row, i in enumerate(lot):
            x[row, :len(ids[i])] = torch.tensor(ids[i])
            mask[row, :len(ids[i])] = 1
        yield lot, x, mask


class Net(torch.nn.Module):
    """The encoder, and a linear head on the last state of [CLS]."""

    def __init__(self, base, layers):
        super().__init__()
        self.bert = AutoModel.from_pretrained(
            base, add_pooling_layer=False, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0)
        self.bert.encoder.layer = self.bert.encoder.layer[:layers]
        self.bert.config.num_hidden_layers = len(self.bert.encoder.layer)
        self.head = torch.nn.Linear(self.bert.config.hidden_size, OUTPUTS)
        torch.nn.init.normal_(self.head.weight, std=.02)
        torch.nn.init.zeros_(self.head.bias)
        if (base / "head.pt").exists():
            self.head.load_state_dict(torch.load(base / "head.pt"))

    def forward(self, x, mask):
        h = self.bert(input_ids=x, attention_mask=mask).last_hidden_state
        return self.head(torch.nn.functional.dropout(
            h[:, 0].float(), .1, self.training))


def freeze(net, layers):
    """Leave the embeddings and the first layers as they are."""
    for part in [net.bert.embeddings, *net.bert.encoder.layer[:layers]]:
        for p in part.parameters():
            p.requires_grad_(False)


def train(net, items, tokenizer, args, rng):
    groups = [
        {"params": [p for n, p in net.named_parameters()
                    if "embeddings" not in n and "head" not in n]},
        {"params": list(net.head.parameters()), "lr": args.rate * 10},
        {"params": list(net.bert.embeddings.parameters()),
         "lr": args.rate / 2}]
    opt = torch.optim.AdamW(groups, lr=args.rate, weight_decay=.01,
                            betas=(.9, .98))
    base = [g["lr"] for g in opt.param_groups]
    tokens = sum(min(args.tokens, len(t) // 4 + 4) for t, _, _ in items)
    steps = int(args.epochs * tokens * 1.1 / args.batch)
    wants = np.stack([w for _, w, _ in items])
    weights = np.stack([w for _, _, w in items])
    weights[:, 2:] *= .3        # the categories only name the harm
    net.train()
    step, mean, start = 0, None, time.time()
    while step < steps:
        texts = [noisy(t, rng) if rng.random() < .15 else t
                 for t, _, _ in items]
        for lot, x, mask in batches(texts, tokenizer, args.batch, rng):
            if step >= steps:
                break
            warm = .06 * steps
            rate = min(1, (step + 1) / warm) * max(
                .02, 1 - max(0, step - warm) / (steps - warm))
            for group, lr in zip(opt.param_groups, base):
                group["lr"] = lr * rate
            with torch.autocast("cpu", dtype=torch.bfloat16):
                z = net(x, mask)
            want = torch.tensor(wants[lot]) * .97 + .015
            weight = torch.tensor(weights[lot])
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                z.float(), want, reduction="none")
            loss = (loss * weight).sum() / weight.sum().clamp(min=1)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            opt.zero_grad(set_to_none=True)
            mean = loss.item() if mean is None else \
                mean * .98 + loss.item() * .02
            step += 1
            if step % 50 == 0:
                left = (time.time() - start) / step * (steps - step)
                print("%d of %d, loss %.4f, %.1f min left" % (
                    step, steps, mean, left / 60), flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path,
                        help="tokenizer.json, if not in --base")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--rate", type=float, default=2e-4)
    parser.add_argument("--batch", type=int, default=4096,
                        help="tokens in a batch")
    parser.add_argument("--tokens", type=int, default=96,
                        help="tokens of a text, at most")
    parser.add_argument("--share", type=float, default=.5,
                        help="of the most rows of each source")
    parser.add_argument("--made", type=int, default=30000,
                        help="rows of chatd-modtrain generate, at most")
    parser.add_argument("--freeze", type=int, default=0, metavar="LAYERS",
                        help="train only the layers after these, and the head")
    parser.add_argument("--leave-out", nargs="*", default=[],
                        metavar="SOURCE")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    tokenizer = Tokenizer.from_file(str(
        args.tokenizer or args.base / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(args.tokens)
    rows = choose(read(args.files), args, rng)
    items = [(r["text"], *t) for r in rows
             for t in [targets(r)] if t is not None]
    print("%d rows, of them %d made" % (len(items), sum(map(made, rows))))
    net = Net(args.base, args.layers)
    if args.freeze:
        freeze(net, args.freeze)
    train(net, items, tokenizer, args, rng)
    args.out.mkdir(parents=True, exist_ok=True)
    net.bert.save_pretrained(args.out)
    torch.save(net.head.state_dict(), args.out / "head.pt")
    (args.out / "head.json").write_text(json.dumps({
        "outputs": ["request", "content"] + [
            "%s.%s" % (k, c) for k in ("request", "content")
            for c in CATEGORIES],
        "temperature": 1.0,
        # A score of 0.5 and 0.8: MODEL_CARD.md says at which logits, and why.
        "shift": [-1.4 if k else -.4 for k in
                  [1, 0] + [1] * N + [0] * N]}, indent=1) + "\n")


if __name__ == "__main__":
    main()
