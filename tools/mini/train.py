#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Train the demonstration model and write it as a Hugging Face folder.

    python tools/mini/train.py --corpus DIR --out DIR [--tokens N] [--minutes N]

It needs torch, tokenizers and safetensors, but no GPU.  It makes dialogues (dialogues.py,
phrases.py), trains a byte-level BPE tokenizer on them, which is built like that of
GPT-NeoX-20B, trains a GPT-NeoX model (learn.py), and writes config.json, tokenizer.json
and model.safetensors.  Training stops at --tokens or at --minutes, whichever comes first.
The learning rate falls to 0 over the last 40 % of the training.
"""
import argparse


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--corpus", required=True, help="the folder of the corpus")
    ap.add_argument("--out", required=True, help="the folder to write the model to")
    ap.add_argument("--tokens", type=float, default=16e6, help="stop after that many tokens")
    ap.add_argument("--minutes", type=float, default=1e9, help="stop after that many minutes")
    ap.add_argument("--batch", type=int, default=8192, help="tokens in a step")
    ap.add_argument("--threads", type=int, default=2, help="number of compute threads")
    ap.add_argument("--seed", type=int, default=1, help="seed of the dialogues and the weights")
    ap.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    ap.add_argument("--start", help="the folder of a model to continue with: its tokenizer and weights")
    args = ap.parse_args()
    from learn import run                      # needs torch
    run(args)


if __name__ == "__main__":
    main()
