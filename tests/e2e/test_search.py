# SPDX-License-Identifier: Apache-2.0
"""search, filters and stats: the store alone, and through chatd's socket."""
import json
import math
import os
import random
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from service import BUILD, Service  # noqa: E402
from store_driver import MODEL, Store, begin, finish  # noqa: E402


@pytest.fixture
def store(tmp_path):
    os.chmod(tmp_path, 0o700)
    s = Store(tmp_path / "chatd.db")
    yield s
    s.kill()


def talk(store, key, prompt, text, uid=1000, state="done", verdicts=(),
         **more):
    """One exchange: its number and that of its reply."""
    b = store.do(**begin(key, uid=uid, prompt=prompt, **more))
    store.do(**finish(b["reply"], text, state=state,
                      verdicts=list(verdicts)))
    return b["exchange"], b["reply"]


def rate(store, exchange, uid=1000, **more):
    return store.do(op="rate", uid=uid, exchange=exchange, time=5, **more)


def found(store, uid=1000, **more):
    items, end = store.ask(op="search", uid=uid, **more)
    assert end["event"] == "done", end
    return [i["exchange"] for i in items]


def finding(category, action="flag"):
    return {"direction": "reply", "plugin": "rules", "category": category,
            "score": 0.5, "start": 0, "end": 1, "rule": "r",
            "action": action}


# ---- words

def test_all_words_must_occur_in_texts_of_the_user(store):
    talk(store, "a", "How do I boil an egg?", "Seven minutes.")
    talk(store, "b", "A hard egg", "Boiling is enough.")
    talk(store, "c", "egg", "boil", uid=7)
    rate(store, 2, thumb=-1, ideal="Ten minutes",
         comment="zu kurz für Zürich")
    assert found(store, query="egg") == [2, 1]
    assert found(store, query="EGG minutes") == [2, 1]
    assert found(store, query="boil egg") == [2, 1]     # boiling, too
    assert found(store, query="boil -minutes") == []
    assert found(store, query="boi") == []
    assert found(store, query='"hard egg"') == [2]
    assert found(store, query='"egg hard"') == []
    assert found(store, query="egg -hard") == [1]
    assert found(store, query='egg -"boil an"') == [2]
    assert found(store, query="zurich") == [2]
    assert found(store, query="ten") == [2]
    assert found(store, query="boil", uid=7) == [3]
    assert found(store, query="boil egg", uid=9) == []
    # Everybody's, for operators only.
    assert found(store, query="boil egg", uid=9, admin=True, all=True) == \
        [3, 2, 1]
    assert found(store, query="boil egg", uid=9, admin=True) == []
    assert store.refused(op="search", uid=9, all=True)["code"] == "denied"


def test_an_item_says_what_was_found_and_where(store):
    talk(store, "a", "An egg, please", "An \x02egg\x03 and another egg.")
    rate(store, 1, thumb=-1, reasons=["harmful"], ideal="no egg")
    (item,), _ = store.ask(op="search", uid=1000, query="another egg")
    marked = [item["excerpt"].encode()[b:e].decode()
              for b, e in item.pop("marks")]
    assert set(marked) == {"egg", "another"}
    assert "and another egg" in item.pop("excerpt")
    assert item == {"exchange": 1, "conversation": 1, "kind": "say",
                    "created": 1700000000000, "uid": 1000,
                    "title": "An egg, please", "reply": 1, "state": "done",
                    "model": "mini", "thumb": -1, "reasons": ["harmful"],
                    "ideal": True}


@pytest.mark.parametrize("query", [
    '"', '""', "'", "egg\"", '"egg', "egg AND", "AND", "OR egg", "NOT", "NEAR(",
    "NEAR(egg, 2)", "*", "egg*", "* egg", "^egg", "prompt:egg", "{prompt}:egg",
    "egg)", "(egg", "egg + egg", "-", "--", "- egg", "egg -", "a-b", "C++",
    "egg; DROP TABLE exchange", "%", "_", "\\", "é", "\u200b", "…", "\U0001f600",
    "\U0001f600 egg", "egg\t\n-none", "egg" * 300, "hidden:egg", "''egg''",
    "egg*egg", '"egg"*', "-egg egg", "\ufeffegg", "eg\u0000"[:2]])
def test_nothing_that_is_typed_is_a_fault_of_the_index(store, query):
    talk(store, "a", "an egg", "x")
    items, end = store.ask(op="search", uid=1000, query=query)
    if end["event"] == "error":     # no word to look for
        assert (end["code"], end["field"]) == ("bad_field", "query"), end
        assert not any(c.isalnum() for c in query) or query == "-egg"
    for i in items:
        assert i["exchange"] == 1
    assert found(store, query="egg") == [1]


def test_random_queries_never_fail_and_find_what_is_there(store):
    rng = random.Random(1)
    parts = ['"', "*", "-", " ", "(", ")", ":", "^", "AND", "NEAR", "egg",
             "ham", "é", "\U0001f600", "'", "{", "}", "+", ",", "\\", "NOT"]
    talk(store, "a", "egg and ham", "é")
    for _ in range(400):
        query = "".join(rng.choice(parts) for _ in range(rng.randint(1, 9)))
        _, end = store.ask(op="search", uid=1000, query=query)
        assert end["event"] == "done" or end["field"] == "query", (query, end)


@pytest.mark.parametrize("query, message", [
    ("", "found none"), ("?!", "found none"), ("-egg", "must not occur"),
    (" ".join(["w"] * 33), "at most 32"), ("x" * 1001, "query")])
def test_a_query_needs_words_but_not_too_many(store, query, message):
    e = store.refused(op="search", uid=1000, query=query)
    assert e["field"] == "query" and message in e["message"]


def test_a_blocked_text_is_found_by_operators_only(store):
    talk(store, "a", "q", "the launch codes", state="blocked")
    talk(store, "b", "q", "shown", uid=1000)
    rate(store, 2, uid=7, admin=True, thumb=-1, comment="my launch remark")
    assert found(store, query="launch") == []
    assert found(store, uid=7, admin=True, all=True, query="launch") == [2, 1]
    items, _ = store.ask(op="search", uid=1000)
    assert not any("codes" in json.dumps(i) for i in items)


def test_an_excerpt_never_shows_a_blocked_text(store):
    talk(store, "a", "launch it", "launch codes: zebra " * 3,
         state="blocked")
    (item,), _ = store.ask(op="search", uid=1000, query="launch")
    assert "zebra" not in json.dumps(item) and item["excerpt"] == "launch it"
    assert found(store, query="launch -zebra") == [1]
    assert found(store, uid=7, admin=True, all=True, query="zebra") == [1]


def test_redacted_and_deleted_text_is_not_found(store):
    b = store.do(**begin("a", prompt="my number is 4711"))
    store.do(**finish(b["reply"], "ok", prompt="my number is [redacted]"))
    talk(store, "b", "kumquat", "x", conversation=1)
    assert found(store, query="4711") == []
    assert found(store, query="kumquat") == [2]
    store.do(op="delete", uid=1000, conversation=1)
    assert found(store, query="kumquat") == []


# ---- filters

@pytest.fixture
def many(store):
    other = dict(MODEL, name="large", digest="sha256:cd")
    talk(store, "a", "one", "r", time=1000)
    talk(store, "b", "two", "r", time=2000, model=other)
    talk(store, "c", "three", "r", time=3000,
         verdicts=[finding("hate"), finding("violence", "allow")])
    talk(store, "d", "four", "r", time=4000, uid=7, name="anna")
    store.do(op="begin", key="e", uid=1000, kind="complete", prompt="raw",
             params={}, seed=1, model=MODEL, time=5000)
    rate(store, 1, thumb=1)
    rate(store, 2, thumb=-1, reasons=["incorrect", "harmful"], ideal="I")
    rate(store, 3, thumb=-1)
    rate(store, 3, thumb=0)     # replaces it
    return store


FILTERS = [
    ({}, [5, 3, 2, 1]),
    ({"since": 2000}, [5, 3, 2]),
    ({"until": 2000}, [1]),
    ({"since": 2000, "until": 3000}, [2]),
    ({"rating": "good"}, [1]),
    ({"rating": "bad"}, [2]),
    ({"rating": "neutral"}, [3]),
    ({"rating": "any"}, [3, 2, 1]),
    ({"rating": "none"}, [5]),
    ({"rating": "ideal"}, [2]),
    ({"reason": "harmful"}, [2]),
    ({"rating": "bad", "reason": "incorrect"}, [2]),
    ({"rating": "good", "reason": "incorrect"}, []),
    ({"reason": "unhelpful"}, []),
    ({"category": "hate"}, [3]),
    ({"category": "violence"}, []),     # found, but allowed
    ({"model": "large"}, [2]),
    ({"model": "sha256:ab"}, [5, 3, 1]),
    ({"model": "larg"}, []),
    ({"model": "large", "rating": "good"}, []),
    ({"query": "two", "rating": "bad"}, [2]),
    ({"query": "two", "rating": "good"}, []),
]


@pytest.mark.parametrize("given, want", FILTERS)
def test_search_list_and_show_take_filters(many, given, want):
    assert found(many, **given) == want
    if "query" in given:
        return
    conversations = [n for n in want if n < 4]  # one exchange in each
    items, _ = many.ask(op="list", uid=1000, **given)
    assert [i["conversation"] for i in items] == conversations
    items, _ = many.ask(op="list", uid=1000, kind="complete", **given)
    assert [i["exchange"] for i in items] == [n for n in want if n == 5]
    for n in 1, 2, 3:
        items, _ = many.ask(op="show", uid=1000, conversation=n, **given)
        assert [i["exchange"] for i in items] == [n] * (n in want)


def test_the_user_is_a_name_or_a_number_and_for_operators(many):
    for user, want in (("7", [4]), ("anna", [4]), ("8", []),
                       ("99999999999", []), ("1000", [5, 3, 2, 1])):
        assert found(many, uid=0, admin=True, all=True, user=user) == want
    assert many.refused(op="search", uid=1000, user="1000")["code"] == \
        "denied"


def test_a_user_does_not_find_by_the_ratings_of_operators(many):
    rate(many, 1, uid=7, admin=True, thumb=-1, reasons=["harmful"])
    assert found(many, rating="bad") == [2]
    assert found(many, uid=1000, admin=True, rating="bad") == [2, 1]


@pytest.mark.parametrize("given", [
    {"rating": "god"}, {"reason": "dull"}, {"category": "hat"},
    {"rating": "none", "reason": "harmful"}, {"since": -1}, {"model": 1},
    {"review": "all", "admin": True}, {"limit": 0}, {"user": "",
                                                     "admin": True},
    {"review": "unrated", "admin": True, "query": "x"}])
def test_wrong_filters_name_their_field(store, given):
    e = store.refused(op="search", uid=1000, **given)
    assert e["code"] == "bad_field" and e["field"] in given


@pytest.mark.parametrize("op", ["search", "list", "count", "ab"])
def test_a_user_of_nothing_is_named(store, op):
    e = store.refused(op=op, uid=1000, admin=True, user="ana")
    assert (e["code"], e["field"]) == ("not_found", "user")
    assert e["message"] == 'user: nothing is stored under the name "ana"'


def test_rare_items_come_in_pages_from_many_rows(store):
    for i in range(1500):
        store.send(store.number(begin("k%d" % i, prompt="word %d" % i)))
    for _ in range(1500):
        assert store.event()["event"] == "done"
    for reply in range(1, 1501):
        store.send(store.number(finish(reply, "t", verdicts=[])))
    for _ in range(1500):
        assert store.event()["event"] == "done"
    for n in 3, 700, 1400:
        rate(store, n, thumb=1)
    assert found(store, rating="good") == [1400, 700, 3]
    items, end = store.ask(op="search", uid=1000, rating="good", limit=2)
    assert [i["exchange"] for i in items] == [1400, 700] and end["more"]
    assert found(store, rating="good", before=700) == [3]
    assert len(found(store, query="word", limit=1000)) == 1000
    assert found(store, query="word", rating="good") == [1400, 700, 3]
    items, _ = store.ask(op="list", uid=1000, rating="good")
    assert [i["conversation"] for i in items] == [1400, 700, 3]
    assert store.do(op="count", uid=1000)["ratings"] == \
        {"good": 3, "none": 1497}


# ---- reviews

def test_each_review_lists_what_the_operator_has_not_rated(store):
    for n in range(1, 8):
        talk(store, "k%d" % n, "p%d" % n, "r%d" % n, uid=1000,
             state="blocked" if n == 6 else "done",
             verdicts=[finding("hate", "block" if n == 6 else "flag")]
             if n in (5, 6) else [])
    talk(store, "own", "p", "r", uid=7, state="blocked",
         verdicts=[finding("hate", "block")])
    rate(store, 1, thumb=1)
    rate(store, 2, thumb=1)
    rate(store, 2, uid=8, admin=True, thumb=-1)
    rate(store, 3, uid=7, admin=True, thumb=1)

    def review(kind, uid=7):
        items, end = store.ask(op="search", uid=uid, review=kind, admin=True)
        assert end["event"] == "done", end
        return [i["reply"] for i in items]

    assert review("unrated") == [7, 5, 4]
    assert review("second") == [2, 1]
    assert review("disputed") == [2]
    assert review("flagged") == [6, 5]      # not the own block
    assert review("flagged", uid=8) == [8, 6, 5]
    assert review("disputed", uid=8) == []
    rate(store, 2, uid=7, admin=True, thumb=0)
    assert review("disputed") == [] and review("second") == [1]
    assert store.refused(op="search", uid=7, review="unrated")["code"] == \
        "denied"
    items, _ = store.ask(op="search", uid=7, review="unrated", admin=True,
                         limit=2)
    assert [i["reply"] for i in items] == [7, 5]
    assert review("unrated")[2:] == [i["reply"] for i in store.ask(
        op="search", uid=7, review="unrated", admin=True, before=5)[0]]


# ---- stats

def kappa(pairs):
    """Cohen's kappa of two lists of thumbs."""
    n = len(pairs)
    same = sum(a == b for a, b in pairs) / n
    chance = sum((sum(a == t for a, _ in pairs) / n) *
                 (sum(b == t for _, b in pairs) / n) for t in (-1, 0, 1))
    return same, (same - chance) / (1 - chance)


def test_stats_count_and_say_how_far_raters_agree(store):
    rng = random.Random(5)
    mine, eight, nine = [], [], []
    for n in range(1, 41):
        talk(store, "k%d" % n, "p", "r",
             verdicts=[finding("hate"), finding("hate")] if n < 4 else [])
        a = rng.choice((-1, 1))
        b = a if rng.random() < .7 else rng.choice((-1, 0, 1))
        rate(store, n, thumb=a)
        rate(store, n, uid=8, admin=True, thumb=b)
        mine.append(a)
        eight.append(b)
        if n <= 10:
            c = rng.choice((-1, 1))
            rate(store, n, uid=9, admin=True, thumb=c,
                 reasons=["harmful"] if c == -1 else [])
            nine.append(c)
    end = store.do(op="count", uid=9, admin=True, all=True)
    assert end["states"] == {"done": 40} and end["models"] == {"mini": 40}
    assert end["categories"] == {"hate": 3}
    assert end["ratings"] == {
        k: v for k, v in (("good", (mine + eight + nine).count(1)),
                          ("bad", (mine + eight + nine).count(-1)),
                          ("neutral", eight.count(0))) if v}
    assert end["reasons"] == {"harmful": nine.count(-1)}
    pairs = {p["raters"]: p for p in end["agreement"]}
    assert set(pairs) == {"users 8", "users 9", "8 9"}
    for raters, lists in (("users 8", (mine, eight)),
                          ("users 9", (mine, nine)), ("8 9", (eight, nine))):
        both = list(zip(*lists))
        same, want = kappa(both)
        assert pairs[raters]["replies"] == len(both)
        assert pairs[raters]["same"] == round(same * len(both))
        assert math.isclose(pairs[raters]["kappa"], want, abs_tol=1e-9)
        assert sum(pairs[raters]["counts"]) == len(both)
    # Own numbers only, and without operators.
    end = store.do(op="count", uid=1000)
    assert end["ratings"] == {k: v for k, v in (
        ("good", mine.count(1)), ("bad", mine.count(-1))) if v}
    assert "agreement" not in end
    assert store.do(op="count", uid=4)["states"] == {}
    assert store.do(op="count", uid=9, admin=True, all=True,
                    category="hate")["states"] == {"done": 3}
    assert store.refused(op="count", uid=4, all=True)["code"] == "denied"


def test_kappa_that_is_not_defined_is_null(store):
    talk(store, "a", "p", "r")
    rate(store, 1, thumb=1)
    rate(store, 1, uid=8, admin=True, thumb=1)
    end = store.do(op="count", uid=8, admin=True, all=True)
    assert end["agreement"] == [{"raters": "users 8", "kappa": None,
                                 "same": 1, "replies": 1,
                                 "counts": [0] * 8 + [1]}]


# ---- through the socket

@pytest.fixture(scope="module")
def service():
    with Service() as s:
        yield s


def chatctl(s, *args):
    p = subprocess.run([BUILD / "chatctl", *args], capture_output=True,
                       text=True, timeout=60, stdin=subprocess.DEVNULL,
                       env={"CHATD_SOCKET": str(s.socket), "TZ": "UTC"})
    return p.returncode, p.stdout, p.stderr


def test_search_show_list_and_rate_through_the_socket(service):
    with service.client() as c:
        _, one = c.say("#say pelican")
        _, two = c.say("#say a second pelican")
        n = two["exchange"]
        seen = c.events(c.send("search", query="second pelican"))
        assert [e["exchange"]["exchange"] for e in seen[:-1]] == [n]
        assert seen[-1]["more"] is False and "next" not in seen[-1]
        got = c.call("rate", exchange=n, reasons=["harmful"], comment="no")
        assert (got["thumb"], got["reasons"], got["ideal"], got["comment"],
                got["exchange"]) == (-1, ["harmful"], False, True, n)
        assert c.call("rate", exchange=n)["field"] == "thumb"
        assert c.call("rate", exchange=n, thumb=-1,
                      ideal=" a second pelican\n")["field"] == "ideal"
        e = c.call("rate", exchange=n, reasons=["harmfull"])
        assert "did you mean harmful?" in e["message"]
        seen = c.events(c.send("list", rating="bad"))
        assert [e["conversation"]["conversation"] for e in seen[:-1]] == \
            [two["conversation"]]
        assert len(c.events(c.send("show", rating="good", conversation=two[
            "conversation"]))) == 1
        assert c.call("stats")["reasons"] == {"harmful": 1}
        assert c.call("stats", all=True)["agreement"] == []
        back = c.call("unrate", rating=got["rating"])
        assert "thumb" not in back and back["exchange"] == n
        assert c.call("unrate", rating=got["rating"])["code"] == "not_found"
        assert c.call("search", query="(")["code"] == "bad_field"
        assert c.call("search", rating="god")["code"] == "bad_field"
        assert c.call("search", limit=201)["field"] == "limit"
        assert c.call("stats", rating=5)["field"] == "rating"
        assert c.call("unrate")["field"] == "rating"
        assert one["event"] == "done"


def test_chatctl_searches_rates_the_last_and_counts(service):
    with service.client() as c:
        c.say("#say the albatross")
        n = c.say("#say an albatross \x1b[2J flies")[1]["exchange"]
    status, out, err = chatctl(service, "rate", "last", "bad", "--reason",
                               "incorrect", "--ideal", "It swims.")
    assert (status, out) == (0, "") and err == "chatctl: [exchange %d rated " \
        "bad: incorrect; with the reply you wanted]\n" % n
    status, out, err = chatctl(service, "search", "albatross", "--rating",
                               "bad")
    lines = out.splitlines()
    assert status == 0 and len(lines) == 2 and "\x1b" not in out
    assert lines[0].split()[0] == str(n) and " bad " in lines[0]
    assert "albatross" in lines[1]
    status, out, _ = chatctl(service, "search", "albatross", "--json")
    assert [json.loads(x)["exchange"] for x in out.splitlines()] == [n, n - 1]
    assert chatctl(service, "search", "nosuchword") == (
        0, "", "chatctl: nothing found\n")
    status, _, err = chatctl(service, "search", "?")
    assert status == 2 and "query: expected a word" in err
    assert chatctl(service, "search", "--", "albatross", "-flies")[1] \
        .splitlines()[0].split()[0] == str(n - 1)
    status, out, _ = chatctl(service, "show", "--exchange", "last")
    assert status == 0 and "[rated bad: incorrect]" in out
    status, out, _ = chatctl(service, "list", "--reason", "incorrect",
                             "--json")
    assert len(out.splitlines()) == 1
    status, out, _ = chatctl(service, "stats", "--all")
    assert status == 0
    words = [line.split() for line in out.splitlines()]
    assert ["reasons", "1", "incorrect"] in words
    assert chatctl(service, "stats", "--json")[0] == 0
    assert chatctl(service, "rate", "latest", "bad")[0] == 2
    assert chatctl(service, "rate", "last", "bad", "--reason", "harmful",
                   "--comment", " ")[0] == 2


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two users")
def test_the_texts_of_others_are_for_operators_only():
    with Service(config={"socket": {"mode": "0666"},
                         "operators_group": ""}) as s, \
            s.client() as root, s.client_as(65534) as c:
        n = root.say("#say heron")[1]["exchange"]
        mine = c.say("#say my heron")[1]["exchange"]
        seen = c.events(c.send("search", query="heron"))
        assert [e["exchange"]["exchange"] for e in seen[:-1]] == [mine]
        for op, fields in (("search", {"all": True}),
                           ("search", {"review": "unrated"}),
                           ("search", {"user": "0"}),
                           ("stats", {"all": True}),
                           ("stats", {"user": "root"}),
                           ("list", {"user": "0"}),
                           ("rate", {"exchange": n, "thumb": 1,
                                     "review": True})):
            assert c.call(op, **fields)["code"] == "denied", (op, fields)
        assert c.call("rate", exchange=n, thumb=1)["code"] == "not_found"
        assert c.call("stats")["states"] == {"done": 1}
        got = root.call("rate", exchange=mine, thumb=-1, review=True)
        assert got["thumb"] == -1
        assert c.call("unrate", rating=got["rating"])["code"] == "not_found"
        (item, end) = c.events(c.send("show", exchange=mine))
        assert "ratings" not in item["exchange"]["replies"][0] and \
            item["exchange"]["replies"][0]["rating"] is None
        (item, end) = root.events(root.send("show", exchange=mine))
        (other,) = item["exchange"]["replies"][0]["ratings"]
        assert (other["thumb"], other["user"]) == (-1, "root")
        seen = root.events(root.send("search", user="nobody", all=True))
        assert [e["exchange"]["user"] for e in seen[:-1]] == ["nobody"]


@pytest.mark.parametrize("given, count", [
    ("1m", 1), ("2000-01-01", 1), ("2100-01-01", 0),
    ("2000-01-01T12:30", 1), ("2000-01-01 12:30:59", 1)])
def test_since_takes_dates_and_ages(service, given, count):
    with service.client() as c:
        c.say("#say cormorant")
    out = chatctl(service, "search", "cormorant", "--since", given, "-n",
                  "1")[1]
    assert bool(out) == bool(count)
    assert bool(chatctl(service, "search", "cormorant", "--until", given,
                        "-n", "1")[1]) != bool(count)


@pytest.mark.parametrize("given", ["", "x", "2026-02-30", "2026-13-01",
                                   "7", "7y", "-1d", "1969-12-31",
                                   "2026-11-29T", "99999999999d"])
def test_a_wrong_time_is_named(service, given):
    status, _, err = chatctl(service, "list", "--since", given)
    assert status == 2 and "--since: expected a time such as" in err
