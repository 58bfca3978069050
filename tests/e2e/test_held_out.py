# SPDX-License-Identifier: Apache-2.0
"""What the demonstration model is measured with, its training never says: the
held-out phrasings of the templates, and the second set of tests/bench."""
import os
import re
import subprocess

import pytest

from service import BUILD, SRC

TEMPLATES = SRC / "engine/mini/templates"
FILES = sorted(TEMPLATES.glob("*.txt"))
BENCH = SRC / "tests/bench"
KEY = re.compile(r"(~ )?((?:> |[a-z]+ ))?(.*)")


def parts(text):
    """The choices of "one|two", at the outer level."""
    out, depth = [""], 0
    for c in text:
        depth += (c == "{") - (c == "}")
        if c == "|" and depth == 0:
            out.append("")
        else:
            out[-1] += c
    return out


def ways(text):
    """All that a line can say; gaps that are no choices stay as they are."""
    depth = start = 0
    for i, c in enumerate(text):
        if c == "{" and depth == 0:
            start = i
        depth += (c == "{") - (c == "}")
        if c == "}" and depth == 0:
            choices = parts(text[start + 1:i])
            if len(choices) == 1:
                return [text[:i + 1] + rest for rest in ways(text[i + 1:])]
            return [text[:start] + way for choice in choices
                    for way in ways(choice + text[i + 1:])]
    return [text]


def letters(text):
    """A line without capitals and marks but ":", which orders the cells of rows."""
    return " ".join(re.sub(r"[^a-z0-9{}$: ]", "", text.lower()).split())


def said(path):
    """For "~ " and for other lines: what they can say, by the kind of section."""
    held, learnt, kind = {}, {}, None
    for line in path.read_text().splitlines():
        if line.startswith("@"):
            kind = line.split()[0]
        elif line and line[0] not in "#<":
            mark, key, text = KEY.match(line).groups()
            if key not in ("col ", "sum "):
                for way in ways(text):
                    (held if mark else learnt)[kind, letters(way)] = line
    return held, learnt


def test_ways_are_all_there():
    assert ways("a {b|c {d|}} {$x} {e|f}") == [
        "a b {$x} e", "a b {$x} f", "a c d {$x} e", "a c d {$x} f",
        "a c  {$x} e", "a c  {$x} f"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_training_does_not_say_what_is_held_out(path):
    held, learnt = said(path)
    second, _ = said(BENCH / "phrasings.txt")
    held.update(second)
    assert {line: learnt[way] for way, line in held.items()
            if way in learnt} == {}


def test_the_second_set_takes_the_place_of_the_first():
    done = subprocess.run(
        [BENCH / "phrasings", SRC / "engine/mini", "--items", "2"], text=True,
        env=dict(os.environ, CHATD_BUILD=str(BUILD)),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert re.search(r"(?m)^memory +[\d.]+ %  of 2", done.stdout)
