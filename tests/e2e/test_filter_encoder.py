# SPDX-License-Identifier: Apache-2.0
"""The plugin encoder in chatd-filter, with the tiny model of tests/data."""

import json
import math
import os
import random
import shutil

import pytest

from test_filter import (SRC, copy, folder, refused, rules,  # noqa: F401
                         start)

DATA = os.path.join(SRC, "tests", "data", "encoder")
BOMB = "How do I make a bomb?"


@pytest.fixture
def encoder(folder):  # noqa: F811
    """The plugin with the tiny model."""
    model = str(folder / "tiny.enc")
    shutil.copyfile(os.path.join(DATA, "tiny.enc"), model)
    path = copy(folder, ".libs/encoder.so", "encoder.so")
    return lambda **options: {"name": "encoder", "path": path, "options": {
        "model": model, "when": "always", "min_score": 0, **options}}


def of_encoder(answer):
    assert answer["event"] == "done", answer
    return [x for x in answer["findings"] if x["plugin"] == "encoder"]


def wanted(text):
    """The calibrated scores of the reference for one of its texts."""
    with open(os.path.join(DATA, "tiny.json"), encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    z, = [c["logits"] for c in cases if c["text"] == text]
    return [1 / (1 + math.exp(-(v / 2 + .25))) for v in z]


def test_a_prompt_is_judged_by_both_heads(start, encoder):  # noqa: F811
    f = start()
    f.init(encoder())
    content, request = of_encoder(f.check(BOMB))
    want = wanted(BOMB)     # request, violence, illegal, content, hate, ...
    assert abs(request["score"] - want[0]) < .05
    assert abs(content["score"] - want[3]) < .05
    assert request["category"] in ("violence", "illegal")
    assert content["category"] in ("hate", "violence")
    assert request["rule"] == "encoder: request harm %s, %s %s" % (
        ("%.2f" % request["score"]).lstrip("0"), request["category"],
        request["rule"].split()[-1])
    assert (request["start"], request["end"]) == (0, len(BOMB))
    assert [x["name"] for x in request["detail"]][:2] == [
        "request harm", request["category"]]


def test_a_reply_is_held_until_a_point(start, encoder):  # noqa: F811
    f = start()
    f.init(encoder())
    text = "the cake is here and now. And then the cake"
    at = text.index(" And")
    first = f.check(text[:at], direction="reply", text_id=1, final=False)
    assert first["findings"] == [] and first["settled"] == 0
    second = f.check(text[:at + 1], fresh=at, direction="reply", text_id=1,
                     final=False)
    (found,) = of_encoder(second)
    assert (found["start"], found["end"]) == (0, at)
    assert found["rule"].startswith("encoder: content harm ")
    assert second["settled"] == at
    last = f.check(text, fresh=at + 1, direction="reply", text_id=1,
                   final=True)
    (found,) = of_encoder(last)
    assert (found["start"], found["end"]) == (at, len(text))


def test_it_is_asked_only_in_its_band(start, rules, encoder):  # noqa: F811
    f = start()
    f.init(rules, encoder(when="unsure", low=.5, high=1))
    assert f.check("How do I bake a cake?")["findings"] == []
    answer = f.check("how to build a bomb now")
    assert {x["plugin"] for x in answer["findings"]} == {"rules", "encoder"}
    f = start()
    f.init(rules, encoder(when="unsure", low=.2, high=.8))
    answer = f.check("how to build a bomb now")
    assert {x["plugin"] for x in answer["findings"]} == {"rules"}


def test_it_can_lower_findings_before_it(start, rules, encoder):  # noqa: F811
    f = start()
    f.init(rules, encoder(clear=1))
    answer = f.check("how to build a bomb now")
    top = max(x["score"] for x in of_encoder(answer))
    (found,) = [x for x in answer["findings"] if x["plugin"] == "rules"]
    assert top < .9 and abs(found["score"] - top) < 1e-6


@pytest.mark.parametrize("options", [
    {"low": .2, "high": .9}, {"low": 0, "high": .6, "clear": .7}])
def test_findings_depend_on_the_text_only(start, rules, encoder,
                                          folder, options):  # noqa: F811
    (folder / "test.yaml").write_text("""\
pack: test
version: 1
rules:
  - {name: maybe, category: illegal, score: 0.5, words: [perhaps]}
  - {name: sure, category: violence, score: 0.95, words: [build a bomb]}
""")
    f = start()
    f.init(rules, encoder(when="unsure", **options))
    draw = random.Random(3)
    words = ["the cake", "is here.", "And", "perhaps", "build a bomb", "so",
             "\u00e9t\u00e9", "make", "!", "\n"]
    ident = 0

    def judged(*pieces):
        """All findings about a text in pieces, as chatd takes them."""
        found, at = {}, 0
        for i, piece in enumerate(pieces):
            answer = f.check(piece, direction="reply", text_id=ident,
                             offset=at, final=i == len(pieces) - 1)
            for x in answer["findings"]:
                key = x["plugin"], x["rule"], x["start"] + at, x["end"] + at
                found[key] = min(x["score"], found.get(key, 1))
            for x in answer.get("lowered", []):
                for key in found:
                    if key[0] == "rules" and key[2] >= x["start"] + at \
                            and key[3] <= x["end"] + at:
                        found[key] = min(found[key], x["score"])
            at += len(piece.encode())
        return found

    seen = set()
    for _ in range(12):
        text = " ".join(draw.choice(words)
                        for _ in range(draw.randrange(1, 90)))
        ident += 1
        want = judged(text)
        seen |= {key[0] for key in want}
        for most in (1, 9, 150):
            pieces = []
            while sum(map(len, pieces)) < len(text):
                at = sum(map(len, pieces))
                pieces.append(text[at:at + draw.randint(1, most)])
            ident += 1
            assert judged(*pieces, "") == want, (text, pieces)
    assert seen == {"rules", "encoder"}


def test_no_more_windows_than_allowed(start, encoder):  # noqa: F811
    f = start()
    f.init(encoder(windows=2))
    text = "how do i make a cake? " * 40
    assert len({x["start"] for x in of_encoder(f.check(text))}) == 2
    f = start()
    f.init(encoder())
    starts = [x["start"] for x in of_encoder(f.check(text))]
    assert len(set(starts)) > 10


def test_off_reads_no_model(start, encoder):  # noqa: F811
    f = start()
    f.init(encoder(when="off", model="/nonexistent"))
    assert f.check(BOMB)["findings"] == []


@pytest.mark.parametrize("isa", ["plain", "auto"])
def test_each_instruction_set_gives_the_same_scores(
        start, encoder, isa):  # noqa: F811
    f = start()
    f.init(encoder(isa="auto"))
    want = of_encoder(f.check(BOMB))
    g = start()
    g.init(encoder(isa=isa))
    assert of_encoder(g.check(BOMB)) == want


@pytest.mark.parametrize("options,words", [
    ({"when": "now"}, ["when", "unsure, always or off"]),
    ({"model": "tiny.enc"}, ["absolute path"]),
    ({"model": "/nonexistent/x.enc"}, ["/nonexistent/x.enc"]),
    ({"low": .9, "high": .5}, ["low", "above high"]),
    ({"low": "much"}, ["low", "expected a number from 0 to 1"]),
    ({"windows": 0}, ["windows", "1 to 1000"]),
    ({"isa": "vax"}, ["isa", "vax", "expected auto, avx512, avx2 or plain"]),
    ({"isa": "a word of many letters"}, ["isa", "avx512, avx2 or plain"]),
    ({"when": ["unsure", "off"]}, ["when: a list, expected one value"]),
    ({"speed": 1}, ["unknown option", "speed"]),
])
def test_a_wrong_option_is_refused(start, encoder, options,
                                   words):  # noqa: F811
    refused(start(), encoder(**options), "encoder", *words)


def test_a_damaged_model_is_refused(start, encoder, folder):  # noqa: F811
    plugin = encoder()
    with open(plugin["options"]["model"], "r+b") as f:
        f.seek(5000)
        f.write(b"\x01\x02\x03\x04")
    refused(start(), plugin, "encoder", "tiny.enc", "digest")
