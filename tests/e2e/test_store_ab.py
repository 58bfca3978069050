# SPDX-License-Identifier: Apache-2.0
"""The comparison of variants: what is counted, and the intervals when the
ratings of a conversation depend on each other."""
import json
import math
import os
import subprocess

import pytest

from service import BUILD, Service
from store_driver import MODEL, Store, begin, finish

Z = 1.959963984540054


@pytest.fixture
def store(tmp_path):
    os.chmod(tmp_path, 0o700)
    s = Store(tmp_path / "chatd.db")
    yield s
    if s.process.poll() is None:
        s.kill()


def reply(store, key, adapter=None, thumb=None, model=MODEL, **more):
    """A reply of a variant, rated by its user."""
    done = store.do(**begin(key, model=model, **more))
    extra = {"assigned": True, "verdicts": []}
    if adapter is not None:
        extra["adapter"] = {"name": adapter, "digest": "sha256:" + adapter}
    store.do(**finish(done["reply"], "text", **extra))
    if thumb is not None:
        store.do(op="rate", uid=1000, exchange=done["exchange"],
                 reply=done["reply"], thumb=thumb, time=5)
    return done


def again(store, key, first, **more):
    return reply(store, key, kind="regenerate", prompt=None,
                 exchange=first["exchange"], **more)


def ab(store, **more):
    return store.do(op="ab", uid=7, admin=True, **more)


def wilson(p, n):
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n +
                                           Z * Z / (4 * n * n))
    return centre - half, centre + half


def talk(store, key, thumbs, **more):
    """A conversation with these ratings."""
    done = reply(store, key, thumb=thumbs[0], **more)
    for n, thumb in enumerate(thumbs[1:]):
        reply(store, "%s-%d" % (key, n), thumb=thumb,
              conversation=done["conversation"], **more)
    return done


def test_ratings_of_a_conversation_count_together(store):
    """The variance by hand: Kish 1965, 6.3, the ratio mean of k clusters."""
    clusters = [[1, 1, 1], [1], [-1, -1, 1], [-1, -1], [1, 1], [1, -1]]
    for n, thumbs in enumerate(clusters):
        talk(store, "c%d" % n, thumbs)
    reply(store, "unrated")
    (v,) = ab(store)["variants"]
    assert (v["conversations"], v["replies"], v["rated"], v["good"]) == \
        (7, 14, 13, 8)
    k, n, p = 6, 13, 8 / 13
    var = k / (k - 1) * sum((c.count(1) - p * len(c)) ** 2
                            for c in clusters) / n ** 2
    effect = var / (p * (1 - p) / (n - 1))
    assert effect > 1
    assert v["design_effect"] == pytest.approx(effect)
    assert (v["low"], v["high"]) == pytest.approx(wilson(p, n / effect))
    assert "nn" not in v and "cluster" not in v


def test_single_ratings_are_independent(store):
    for n in range(9):
        reply(store, "k%d" % n, thumb=1 if n % 3 else -1)
    (v,) = ab(store)["variants"]
    assert v["design_effect"] == 1
    assert (v["low"], v["high"]) == pytest.approx(wilson(6 / 9, 9))


def test_equal_ratings_of_a_conversation_are_one_opinion(store):
    talk(store, "a", [1] * 6)
    (v,) = ab(store)["variants"]
    assert v["design_effect"] == 6
    assert (v["low"], v["high"]) == pytest.approx(wilson(1, 1))


def test_raw_prompts_and_regenerated_replies_are_counted_once(store):
    for n in range(3):
        reply(store, "raw%d" % n, kind="complete", thumb=1)
    first = reply(store, "first", thumb=-1, adapter="one")
    again(store, "again", first, thumb=1, adapter="two")
    again(store, "more", first, thumb=1, adapter="one")
    got = {v["adapter"]: (v["conversations"], v["replies"], v["rated"])
           for v in ab(store)["variants"]}
    assert got == {"": (3, 3, 3), "one": (1, 2, 2), "two": (1, 1, 1)}


def test_a_long_comparison_is_made_in_slices(store):
    first = reply(store, "r", thumb=1)
    for n in range(240):
        store.send(store.number(begin("k%d" % n, **(
            {"conversation": first["conversation"]} if n % 2 else
            {"kind": "complete"} if n % 3 else {}))))
    replies = [store.event()["reply"] for _ in range(240)]
    for number in replies:
        store.send(store.number(finish(number, "t", verdicts=[],
                                       assigned=True)))
    assert all(store.event()["event"] == "done" for _ in replies)
    (v,) = ab(store)["variants"]
    assert (v["replies"], v["rated"]) == (241, 1)
    assert v["conversations"] == 1 + 120


def test_the_newest_variants_are_shown(store):
    for n in range(34):
        reply(store, "k%d" % n, adapter="v%02d" % n, thumb=1)
    # An old conversation goes on with its variant.
    reply(store, "old", adapter="v00", conversation=1)
    got = ab(store)
    assert [v["adapter"] for v in got["variants"]] == \
        ["v00"] + ["v%02d" % n for n in range(3, 34)]
    assert got["further"] == 2
    assert ab(store, model="mini")["further"] == 2


def test_too_many_variants_are_refused(store):
    for n in range(513):
        reply(store, "k%d" % n, adapter="v%03d" % n)
    e = store.refused(op="ab", uid=7, admin=True)
    assert (e["code"], e["field"]) == ("bad_field", "since")
    assert "more than 512 variants" in e["message"]


def test_a_filter_by_what_is_measured_is_refused(store):
    for given in {"rating": "good"}, {"reason": "harmful"}:
        e = store.refused(op="ab", uid=7, admin=True, **given)
        (field,) = given
        assert (e["code"], e["field"]) == ("bad_field", field)
        assert e["message"] == field + ": ab measures ratings, so replies " \
            "can't be chosen by them"


def test_a_model_is_that_of_the_reply(store):
    new = dict(MODEL, name="new", digest="sha256:new")
    first = reply(store, "old", thumb=-1)
    again(store, "new", first, model=new, thumb=1)
    for name in "new", "sha256:new":
        (v,) = ab(store, model=name)["variants"]
        assert (v["model"], v["replies"], v["good"]) == ("new", 1, 1)
    (v,) = ab(store, model="mini")["variants"]
    assert (v["model"], v["replies"], v["bad"]) == ("mini", 1, 1)


# -- chatctl

def chatctl(path, *args):
    return subprocess.run([BUILD / "chatctl", "-s", path, *args],
                          capture_output=True, text=True, timeout=60)


def test_models_of_one_name_are_told_apart():
    with Service(env={"SCRIPTED_DIGEST": "sha256:0123456789"},
                 config={"model": {"ab_key": "k"}}) as s:
        s.wait_model()
        with s.client() as c:
            first = c.say("#say a")[1]
            c.call("rate", exchange=first["exchange"], thumb=1)
            c.call("rate", exchange=c.say(
                "#say a", conversation=first["conversation"])[1]["exchange"],
                thumb=1)
        assert s.stop() == 0
        s.env["SCRIPTED_DIGEST"] = "sha256:fedcba9876"
        s.start()
        s.wait_model()
        with s.client() as c:
            c.call("rate", exchange=c.say("#say b")[1]["exchange"], thumb=-1)
        lines = chatctl(s.socket, "ab", "--any").stdout.splitlines()
        assert [x.split()[:7] for x in lines[1:3]] == [
            ["base", "of", "scripted@01234567", "1", "2", "2", "2"],
            ["base", "of", "scripted@fedcba98", "1", "1", "1", "0"]]
        assert lines[3].startswith(
            "base of scripted@fedcba98 minus base of scripted@01234567: ")
        assert lines[4].startswith("Some conversations have several ratings")
        assert json.loads(chatctl(s.socket, "ab", "--any", "--json").stdout)[
            "variants"][0]["conversations"] == 1
        done = chatctl(s.socket, "ab", "--rating", "good")
        assert done.returncode == 2 and "--rating" in done.stderr
        with s.client() as c:
            assert c.call("ab", rating="good")["field"] == "rating"
