#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes merges.txt: the merges that the "tokenizers" library finds in text.txt.

    python tests/data/tune/merges.py >tests/data/tune/merges.txt

text.txt is from "The Aesop for Children" (1919), which is in the public domain, and
one line with other characters.
"""
import json
import pathlib

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, trainers

text = (pathlib.Path(__file__).parent / "text.txt").read_text(encoding="utf-8")
tok = Tokenizer(models.BPE())
tok.normalizer = normalizers.NFC()
tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
special = [AddedToken(s, special=True, normalized=False) for s in ("<|endoftext|>", "<|padding|>")]
tok.train_from_iterator([text], trainers.BpeTrainer(vocab_size=900 - 23, special_tokens=special, show_progress=False,
                                                    initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
for merge in json.loads(tok.to_str())["model"]["merges"]:
    print(merge if isinstance(merge, str) else " ".join(merge))
