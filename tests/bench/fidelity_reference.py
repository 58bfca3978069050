# SPDX-License-Identifier: Apache-2.0
"""Logits of the reference library. tests/bench/fidelity runs this with a Python
that has transformers and torch.

Reads {"folder", "ids": [[...], ...]} on standard input. Writes a line of
JSON, {"reference", "vocab", "dtypes"}, and then for each type, sequence and
position a row of little-endian float32.
"""
import json
import sys

import torch
import transformers

DTYPES = ("float64", "float32", "bfloat16")


@torch.no_grad()
def rows(folder, dtype, sequences):
    # transformers 4 makes its mask in the default type
    torch.set_default_dtype(torch.float64 if dtype == "float64"
                            else torch.float32)
    word = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 \
        else "torch_dtype"
    model = transformers.GPTNeoXForCausalLM.from_pretrained(
        folder, attn_implementation="eager",
        **{word: getattr(torch, dtype)}).eval()
    return [model(torch.tensor([ids])).logits[0].float().contiguous()
            for ids in sequences]


def main():
    asked = json.load(sys.stdin)
    made = {}
    for dtype in DTYPES:
        try:
            made[dtype] = rows(asked["folder"], dtype, asked["ids"])
        except RuntimeError as e:       # a type that this torch can't do
            if dtype == "float64":
                raise
            print("%s: %s" % (dtype, e), file=sys.stderr)
    out = sys.stdout.buffer
    out.write(json.dumps({
        "reference": "transformers %s, torch %s, float64" % (
            transformers.__version__, torch.__version__),
        "vocab": made["float64"][0].shape[1],
        "dtypes": list(made)}).encode() + b"\n")
    for results in made.values():
        for result in results:
            out.write(result.numpy().tobytes())


if __name__ == "__main__":
    main()
