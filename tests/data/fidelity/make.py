#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the expected values in this folder, by hand:

    PYTHON tests/data/fidelity/make.py [--table] [NAME ...]

PYTHON is one that has transformers 5, torch and numpy; tests need none of
them. The models come from tests/e2e/neox_random.py. --table prints what
README.md says of them: how far the library as it is lies from these values,
and what a mistake costs."""
import argparse
import contextlib
import hashlib
import json
import pathlib
import sys
import tempfile

import numpy
import torch
from transformers import GPTNeoXForCausalLM
from transformers.models.gpt_neox import modeling_gpt_neox as library

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "e2e"))
import neox_random  # noqa: E402

ROWS = [0, 1, 32, 95, 127, 255, 256, 299]   # edges of blocks and steps
GREEDY = 40
MARGIN = 0.005      # a greedy list ends before a step that is as close
PROMPTS = (24, 300)


@contextlib.contextmanager
def in_float64(model):
    """The library computes angles and softmax in float32, whatever the
    weights are; here they are computed in float64 too."""
    def rotary(x, position_ids):
        rope = model.config.rope_parameters
        size = model.config.hidden_size // model.config.num_attention_heads
        n = int(size * rope["partial_rotary_factor"])
        steps = torch.arange(0, n, 2, dtype=torch.float64)
        turn = position_ids[..., None].double() * \
            float(rope["rope_theta"]) ** (-steps / n)
        turn = torch.cat((turn, turn), dim=-1)
        return turn.cos(), turn.sin()

    def softmax(x, dim, dtype=None):
        return plain(x, dim=dim)

    plain = library.nn.functional.softmax
    library.nn.functional.softmax = softmax
    model.gpt_neox.rotary_emb.forward = rotary
    try:
        yield
    finally:
        library.nn.functional.softmax = plain
        del model.gpt_neox.rotary_emb.forward


def load(name, dtype=torch.float64, **changes):
    with tempfile.TemporaryDirectory() as folder:
        path = neox_random.write(pathlib.Path(folder) / name, name,
                                 newer=not changes, **changes)
        return GPTNeoXForCausalLM.from_pretrained(
            path, dtype=dtype, attn_implementation="eager").eval()


@torch.no_grad()
def logits(model, ids):
    return model(torch.tensor([ids])).logits[0].double()


def margins(rows):
    top = torch.topk(rows, 2).values
    return top[..., 0] - top[..., 1]


def greedy(model, ids):
    """Ids that follow, and by how much each was the largest."""
    out, by = [], []
    while len(out) < GREEDY:
        row = logits(model, ids + out)[-1]
        margin = float(margins(row))
        if margin < MARGIN:
            break
        out.append(int(row.argmax()))
        by.append(round(margin, 5))
    return {"prompt": len(ids), "ids": out, "margin": by}


def expected(name):
    """The values to store, and every row."""
    ids = neox_random.ids(name)
    model = load(name)
    with in_float64(model):
        rows = logits(model, ids)
        runs = [greedy(model, ids[:n]) for n in PROMPTS]
    probabilities = rows.log_softmax(-1)
    digest = hashlib.sha256()
    for _, _, data in neox_random.tensors(name):
        digest.update(data)
    return {
        "model": name, "weights_sha256": digest.hexdigest(),
        "logits": name + ".npy",
        "sequences": [{
            "ids": ids, "rows_at": ROWS,
            "logprob_of_next": [
                round(float(probabilities[i, ids[i + 1]]), 6)
                for i in range(len(ids) - 1)],
            "best": rows.argmax(-1).tolist(),
            "best_margin": [round(float(x), 4) for x in margins(rows)],
            "continuations": runs}]}, rows


def store(name):
    values, rows = expected(name)
    numpy.save(HERE / (name + ".npy"), rows[ROWS].numpy().astype("<f4"))
    seq = values["sequences"][0]
    lines = ["  %s: %s" % (json.dumps(k), json.dumps(v))
             for k, v in seq.items()]
    head = {k: v for k, v in values.items() if k != "sequences"}
    (HERE / (name + ".json")).write_text(
        json.dumps(head)[:-1] + ',\n "sequences": [{\n' +
        ",\n".join(lines) + "}]}\n")


def table(names):
    """What README.md says."""
    print("| model | deviation | float64 | float32 | bfloat16 | other GELU "
          "| other rotary_pct | other residual | eps * 10 | base / 2 |")
    print("| --- " * 10 + "|")
    for name in names:
        shape, ids = neox_random.SHAPES[name], neox_random.ids(name)
        eps = shape["more"].get("layer_norm_eps", 1e-5)
        model = load(name)
        with in_float64(model):
            rows = logits(model, ids)
        words = [name, "%.2f" % rows.std()]
        for model in (
                model, load(name, torch.float32),
                load(name, torch.bfloat16),
                load(name, hidden_act="gelu" if shape["act"] != "gelu"
                     else "gelu_fast"),
                load(name, rotary_pct=0.25 if shape["rotary"] > 0.25
                     else 0.5),
                load(name, use_parallel_residual=not shape["more"].get(
                    "use_parallel_residual", True)),
                load(name, layer_norm_eps=eps * 10),
                load(name, rotary_emb_base=shape.get("base", 10000) // 2)):
            words.append("%.1e" % (logits(model, ids) - rows).abs().max())
        print("| %s |" % " | ".join(words))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--table", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        default=list(neox_random.SHAPES))
    args = parser.parse_args()
    torch.set_num_threads(2)
    if args.table:
        table(args.names)
        return
    for name in args.names:
        store(name)


if __name__ == "__main__":
    main()
