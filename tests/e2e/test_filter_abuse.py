# SPDX-License-Identifier: Apache-2.0
"""The plugin abuse in chatd-filter."""

import random

import pytest

from test_filter import copy, folder, start  # noqa: F401

MAIL = ("Write a friendly mail to our customer number 1 that asks to confirm "
        "the account within one day, or else it will be closed. ")


@pytest.fixture
def abuse(folder):  # noqa: F811
    path = copy(folder, ".libs/abuse.so", "abuse.so")
    return lambda **options: {"name": "abuse", "path": path,
                              "options": options}


def found(answer):
    assert answer["event"] == "done", answer
    return {x["rule"]: x for x in answer["findings"]}


def test_nearly_equal_prompts_of_many_accounts(start, abuse):  # noqa: F811
    f = start()
    assert f.init(abuse())["plugins"][0]["keeps"]
    for i in range(1, 10):
        text = MAIL.replace("1", str(i))
        assert found(f.check(text, account=i, now=1000 * i)) == {}
        # The same of another kind, of an account that isn't known.
        assert found(f.check(text, account=0, now=1000 * i)) == {}
        assert found(f.check(text, account=50 + i, now=1000 * i,
                             direction="reply")) == {}
    text = MAIL.upper()
    seen = found(f.check(text, account=10, now=10000))
    assert list(seen) == ["abuse/accounts"]
    one = seen["abuse/accounts"]
    assert (one["category"], one["score"]) == ("spam_scam", 0.5)
    assert one["start"] == one["end"] == len(text)
    assert [x["name"] for x in one["detail"]] == [
        "nearly equal prompts of 10 accounts in 3600 s"]
    # A little later; much later; a sign halves the number.
    assert found(f.check(MAIL, account=11, now=20000))[
        "abuse/accounts"]["score"] == pytest.approx(1 - 5 / 11)
    assert found(f.check(MAIL, account=12, now=9000000)) == {}
    for i in range(1, 5):
        assert found(f.check(MAIL + "Dear {name},", account=i,
                             now=20000000)) == {}
    assert list(found(f.check(MAIL + "Dear {name},", account=5,
                              now=20000000))) == ["abuse/accounts"]


def test_one_account_that_repeats_or_hurries(start, abuse):  # noqa: F811
    f = start()
    f.init(abuse(repeats=3, rate=5, accounts=0))
    for i in range(2):
        assert found(f.check(MAIL, account=9, now=1000)) == {}
    assert list(found(f.check(MAIL, account=9, now=1000))) == [
        "abuse/repeats"]
    assert found(f.check("Hello", account=9, now=1000)) == {}
    assert list(found(f.check("Hello", account=9, now=1000))) == [
        "abuse/rate"]
    assert found(f.check("Hello", account=8, now=1000)) == {}
    # A text that was counted by the process before is not counted again.
    for i in range(9):
        assert found(f.check("Hello", account=8, now=1000,
                             again=True)) == {}


def test_any_cut_gives_the_same_findings(start, abuse):  # noqa: F811
    draw = random.Random(7)
    text = ("é€😀 " + MAIL * 45 + "http://a.example/x")
    whole = start()
    whole.init(abuse(repeats=2, rate=2))
    pieces = start()
    pieces.init(abuse(repeats=2, rate=2))
    for n in range(1, 13):
        at = draw.randrange(0, len(text) // 2)
        cut = text[at:at + draw.choice([40, 300, 4096, 5000])]
        want = whole.check(cut, account=3, now=n * 100)["findings"]
        marks = sorted(draw.sample(range(1, len(cut)), 7)) + [len(cut)]
        done = 0
        for mark in marks:
            keep = draw.randrange(0, done + 1)
            fresh = len(cut[keep:done].encode())
            offset = len(cut[:keep].encode())
            answer = pieces.check(
                cut[keep:mark], account=3, now=n * 100 + done % 90,
                text_id=n, offset=offset, fresh=fresh,
                final=mark == len(cut))
            done = mark
            if mark < len(cut):
                assert answer["findings"] == []
        got = answer["findings"]
        for x in got:
            x["start"] += offset
            x["end"] += offset
            for y in x["detail"]:
                y["start"] += offset
                y["end"] += offset
        assert got == want
        assert (n == 1) == (want == [])


def test_the_next_process_counts_on(start, abuse):  # noqa: F811
    f = start()
    f.init(abuse(repeats=3))
    for _ in range(2):
        f.check(MAIL, account=4, now=5000)
    f.send(op="save", id=2)
    saved = f.receive()["saved"]["abuse"]
    assert bytes.fromhex(saved).startswith(b"chabuse\1")
    for word in b"friendly", b"customer":
        assert word not in bytes.fromhex(saved)
    f = start()
    f.init({**abuse(repeats=3), "saved": saved})
    assert list(found(f.check(MAIL, account=4, now=6000))) == [
        "abuse/repeats"]
    f = start()
    f.init({**abuse(repeats=3), "saved": saved[:-2] + "00"})
    assert found(f.check(MAIL, account=4, now=6000)) == {}
    assert "the saved counts are not used: its checksum is wrong" in f.end()[1]


@pytest.mark.parametrize("option, words", [
    ({"accounts": 1}, 'accounts: 0 or 2 to 32 expected, found "1"'),
    ({"distance": 8}, 'distance: 0 to 7 expected, found "8"'),
    ({"rate_time": 0}, 'rate_time: 1 to 3600 expected, found "0"'),
    ({"repeats": "-3"}, 'repeats: 0 or 2 to 32 expected, found "-3"'),
    ({"colour": 1}, 'unknown option "colour"')])
def test_a_wrong_option_is_named(start, abuse, option, words):  # noqa: F811
    f = start()
    answer = f.init(abuse(**option))
    assert answer["event"] == "error" and words in answer["message"]
