#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Harmless replies and prompts for train.py, from dialogue corpora.

    dialogues.py [-o FILE] [--leave-out NAME ...] FOLDER

FOLDER has JSONL files of dialogues ("turns", the first one the user's) or of
texts ("text", perhaps with "title"). Each row of the output is harmless: a
beginning of a dialogue's turn or of a text (kind content, as the filters see a
reply while it grows), or a first turn (kind request). The source is
"dialogue-NAME" with the name of the file; the same input gives the same output.
"""
import argparse
import hashlib
import json
import pathlib
import random
import re

ENDS = re.compile(r"(?<=[.!?:;\n]) ")
PER_FILE = 3500     # rows of content of each file, at most


def texts(path):
    """Pairs of a request (or "") and a text."""
    with open(path, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            if "turns" in row:
                turns = [t if isinstance(t, str) else t["text"]
                         for t in row["turns"]]
                yield turns[0], " ".join(turns)
                for turn in turns[1::2]:
                    yield "", turn
            elif "text" in row:
                yield "", row["text"]
            elif "answers" in row:
                answers = row["answers"]
                for a in (answers.values() if isinstance(answers, dict)
                          else answers):
                    yield row["questions"][0], a if isinstance(a, str) \
                        else " ".join(a)


def windows(text, rng):
    """Beginnings and later parts of a text, which end with a sentence."""
    ends = [m.start() for m in ENDS.finditer(text)] + [len(text)]
    for end in rng.sample(ends, min(3, len(ends))):
        start = max(0, end - rng.choice((80, 160, 300, 480)))
        if start:
            start = text.find(" ", start, end) + 1
        part = text[start:end].strip()
        if len(part) > 15:
            yield part


def rows(path):
    rng = random.Random(path.name)
    content, requests = set(), set()
    for request, text in texts(path):
        if 10 < len(request) < 600:
            requests.add(request)
        content.update(windows(text, rng))
    for kind, group, most in (("content", content, PER_FILE),
                              ("request", requests, PER_FILE // 3)):
        group = sorted(group)
        rng.shuffle(group)
        for text in group[:most]:
            h = hashlib.sha256(text.encode()).digest()
            yield {"id": "dialogue-%s" % h.hex()[:16], "text": text,
                   "category": "benign", "also": [], "severity": 0,
                   "kind": kind, "source": "dialogue-" + path.stem,
                   "label": "", "quality": "weak",
                   "fold": "tune" if h[0] < 26 else "train"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-o", dest="out", default="/dev/stdout")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="NAME")
    parser.add_argument("folder", type=pathlib.Path)
    args = parser.parse_args()
    with open(args.out, "w", encoding="utf-8") as out:
        for path in sorted(args.folder.glob("*.jsonl")):
            if path.stem not in args.leave_out:
                for row in rows(path):
                    out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
