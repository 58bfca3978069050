#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make plugins/fold/english.inc: English words, the commonest first.

    tools/fold/words.py [--known FILE] [--lists FILE] [--text FILE]
        JSONL ... > english.inc

Words are counted in all strings of the JSON Lines (rows that are for tests
only are left out).  --lists names a JSON object of lists of names, --known a
file of words, one a line, and --text a file of plain text: their words are
known too, and come last.  A word counts if two of the files or sources have
it.  What is a mistake in a word that is far more common is left out.
"""
import argparse
import collections
import json
import pathlib
import re

WORD = re.compile(r"[a-z]+(?:['\u2019][a-z]+)*")
ONE_OR_TWO = """a i am an as at be by do go he hi if in is it me my no of oh
ok on or so to up us we im id ad tv pc""".split()
MOST = 14           # letters
TEST_ONLY = {"or-bench", "strongreject", "redditbias", "hatemoji-check",
             "deepset-injections"}


def words(text):
    return [re.sub("['\u2019]", "", w) for w in WORD.findall(text.lower())]


def strings(o):
    if isinstance(o, str):
        yield o
    elif isinstance(o, (dict, list)):
        for v in o.values() if isinstance(o, dict) else o:
            yield from strings(v)


def near(w):
    """The words that w may be a mistake for."""
    for i in range(len(w) - 1):
        if w[i] != w[i + 1]:
            yield w[:i] + w[i + 1] + w[i] + w[i + 2:]
        else:
            yield w[:i] + w[i + 1:]


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--known", action="append", default=[])
    p.add_argument("--lists", action="append", default=[])
    p.add_argument("--text", action="append", default=[])
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    count, where = collections.Counter(), collections.defaultdict(set)
    for name in args.files:
        with open(name, encoding="utf-8") as f:
            for line in f:
                o = json.loads(line)
                source = o.get("source") or name
                if source in TEST_ONLY or o.get("fold") == "test":
                    continue
                for w in words(" ".join(strings(
                        o["text"] if "text" in o else o))):
                    count[w] += 1
                    where[w].add(source)
    known = set()
    for name in args.known + args.text:
        known.update(words(pathlib.Path(name).read_text(encoding="utf-8")))
    for name in args.lists:
        lists = json.loads(pathlib.Path(name).read_text(encoding="utf-8"))
        known.update(w for s in strings(lists) for w in words(s))
    out = []
    for w in {*count, *known}:
        if len(w) <= 2 and w not in ONE_OR_TWO or len(w) > MOST:
            continue
        enough = len(where[w]) >= 2 and count[w] >= (
            40 if len(w) == 3 else 3)
        if not enough and (w not in known or len(w) == 3):
            continue
        if w not in known and any(count[n] > 30 * count[w]
                                  for n in near(w)):
            continue
        out.append(w)
    out.sort(key=lambda w: (-count[w], w))
    print("/* Made by tools/fold/words.py: words, the commonest first. */")
    line = ""
    for w in out:
        if len(line) + len(w) + 1 > 74:
            print('\t"%s",' % line.strip())
            line = ""
        line += " " + w
    print('\t"%s",' % line.strip())


main()
