#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups words of like meaning: makes plugins/classifier/classes.txt.

    classes.py MODEL [CLASSES] > classes.txt

MODEL is a folder of all-MiniLM-L6-v2 (vocab.txt, model.safetensors;
sentence-transformers, Apache-2.0).  The vectors of its input embeddings that
stand for whole words are centred, freed of their largest directions, which
only tell how common a word is, and grouped by k-means.  For making weights
only: needs numpy and safetensors, and gives the same file each time.
"""
import sys

import numpy as np
from safetensors import safe_open

COMMON = 3          # directions that are removed
ROUNDS = 25


def main():
    folder = sys.argv[1]
    classes = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    with open(folder + "/vocab.txt", encoding="utf-8") as f:
        vocab = [line.rstrip("\n") for line in f]
    with safe_open(folder + "/model.safetensors", "np") as f:
        name = next(k for k in f.keys()
                    if k.endswith("embeddings.word_embeddings.weight"))
        table = f.get_tensor(name).astype(np.float32)
    rows = [i for i, w in enumerate(vocab)
            if len(w) > 2 and w.isascii() and w.isalpha()]
    x = table[rows]
    x -= x.mean(0)
    _, _, v = np.linalg.svd(x[:: max(1, len(x) // 4000)],
                            full_matrices=False)
    x -= x @ v[:COMMON].T @ v[:COMMON]
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rng = np.random.default_rng(1)
    c = x[rng.choice(len(x), classes, replace=False)]
    for _ in range(ROUNDS):
        best = np.argmax(x @ c.T, 1)
        for k in range(classes):
            if (best == k).any():
                c[k] = x[best == k].sum(0)
        c /= np.linalg.norm(c, axis=1, keepdims=True)
    print("# Words of like meaning, a class a line; made by "
          "tools/classifier/classes.py.\n"
          "# From the input embeddings of all-MiniLM-L6-v2 "
          "(sentence-transformers), Apache-2.0.")
    for k in range(classes):
        words = [vocab[rows[i]] for i in np.flatnonzero(best == k)]
        if len(words) > 1:
            print(*words)


main()
