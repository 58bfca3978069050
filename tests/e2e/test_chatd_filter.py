# SPDX-License-Identifier: Apache-2.0
"""Filters and policy through chatd: texts that are blocked, redacted and held
back, and filter processes that fail."""
import json
import os
import signal
import time

import pytest

from service import BUILD, Service, text_of

PACK = """
pack: test
version: 1
rules:
  - {name: bomb, category: violence, score: 0.9, words: [make a bomb]}
  - {name: rude, category: harassment, score: 0.6, words: [silly goose]}
  - {name: launch, category: illegal, score: 1.0, direction: reply,
     words: [secret launch codes]}
  - {name: card, category: confidential, score: 0.9, pattern: '4111[0-9]{4}'}
"""
POLICY = {
    "prompt": {"default": {"flag": 0.5, "block": 0.8},
               "confidential": {"redact": 0.8}},
    "reply": {"default": {"flag": 0.5, "block": 0.8},
              "confidential": {"redact": 0.8}},
}
MESSAGES = {"default": "Not here.", "violence": "No violence here."}


class Filtered(Service):
    def __init__(self, plugins=("rules",), **kw):
        super().__init__(start=False, **kw)
        packs = self.dir / "packs"
        packs.mkdir()
        (packs / "test.yaml").write_text(PACK)
        self.config["policy"] = POLICY
        self.config["messages"] = MESSAGES
        self.config["filters"] = [
            {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(packs)}} if p == "rules" else
            {"name": p, "path": str(BUILD / "tests/plugins/.libs" / p)
             + ".so"} for p in plugins]
        self.write_config()
        self.start()
        self.wait_model()


@pytest.fixture(scope="module")
def filtered():
    with Filtered() as s:
        yield s


@pytest.fixture
def client(filtered):
    with filtered.client() as c:
        yield c


def test_a_blocked_prompt_never_reaches_the_engine(filtered, client):
    e = client.call("say", text="how do I make a BOMB")
    assert (e["code"], e["message"]) == ("blocked", "No violence here.")
    assert e["verdicts"][0]["category"] == "violence"
    state, text, ids = filtered.rows(
        "select state, text, prompt_tokens from reply where id = ?",
        e["reply"])[0]
    assert state == "blocked" and not text and not ids


def test_a_flagged_prompt_is_answered_with_its_verdict(client):
    text, done = client.say("you silly goose")
    assert text.startswith("You said")
    assert {(v["category"], v["action"], v["direction"])
            for v in done["verdicts"]} == \
        {("harassment", "flag", "prompt"), ("harassment", "flag", "reply")}


def test_a_redacted_prompt_is_taken_out_before_the_model_sees_it(
        filtered, client):
    seen = client.events(client.send("say", text="card 41111234 please"))
    assert text_of(seen) == "You said: card [redacted] please"
    assert [e["code"] for e in seen if e["event"] == "notice"] == \
        ["redacted"]
    # ... and before anybody reads it later, as history or in the store
    assert filtered.rows("select prompt from exchange where id = ?",
                         seen[-1]["exchange"]) == \
        [("card [redacted] please",)]
    assert filtered.rows("select title from conversation where id = ?",
                         seen[-1]["conversation"]) == \
        [("card [redacted] please",)]


@pytest.mark.parametrize("words", [
    "the secret launch codes are 000",
    "secret launch codes",
    "x" * 200 + " and then the secret launch codes",
])
def test_a_blocked_reply_never_shows_the_blocked_text(filtered, client,
                                                      words):
    seen = client.events(client.send("say", text="#say " + words,
                                     params={"max_tokens": 500}))
    assert seen[-1]["code"] == "blocked"
    assert "secret" not in text_of(seen)
    # its owner does not find it in the history either
    rows = filtered.rows("select state, text from reply where id = ?",
                         seen[-1]["reply"])
    assert rows[0][0] == "blocked" and "secret launch codes" in rows[0][1]
    text, _ = client.say("#history", conversation=seen[-1]["conversation"])
    assert "launch" not in text.replace("#say " + words, "")


def test_a_redacted_reply_is_shown_with_a_mark(filtered, client):
    text, done = client.say("#say it is 41119876, " + "y " * 60)
    assert text.startswith("it is [redacted], y y")
    assert filtered.rows("select text from reply where id = ?",
                         done["reply"])[0][0] == text


def test_text_held_back_is_never_lost(client):
    for n in (1, 30, 63, 64, 65, 200):
        text, _ = client.say("#say " + "z" * n, params={"max_tokens": 500})
        assert text == "z" * n


def test_moderate_names_action_category_rule_and_span(client):
    e = client.call("moderate", text="Please make a bomb", direction="prompt")
    assert e["action"] == "block" and e["message"] == "No violence here."
    v = e["categories"]["violence"]
    assert (v["score"], v["rule"], v["start"], v["end"]) == \
        (0.9, "test/bomb", 7, 18)
    e = client.call("moderate", text="secret launch codes",
                    direction="prompt")
    assert (e["action"], e["categories"]) == ("allow", {})
    e = client.call("moderate", text="secret launch codes",
                    direction="reply")
    assert e["action"] == "block"


def test_moderate_reports_findings_below_every_threshold():
    with Filtered() as s, s.client() as c:
        add_rule(s, "{name: hint, category: hate, score: 0.2, words: "
                 "[those people]}")
        assert c.call("reload")["event"] == "done"
        e = c.call("moderate", text="those people")
        assert e["action"] == "allow"
        v = e["categories"]["hate"]
        assert (v["score"], v["action"], v["rule"]) == \
            (0.2, "allow", "test/hint")


def test_a_filter_killed_under_a_reply_closes_it_and_the_next_is_served():
    with Filtered(config={"filter": {"timeout": "30s"}}) as s, \
            s.client() as c:
        ident = c.send("say", text="#forever",
                       params={"max_tokens": 100000})
        c.until("text")
        # Stopped first, so that it dies during a check.
        pid = s.helper_pid("filter")
        os.killpg(pid, signal.SIGSTOP)
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        e = c.events(ident)[-1]
        assert e["code"] == "filter_unavailable"
        assert s.rows("select state from reply where id = ?",
                      e["reply"]) == [("failed",)]
        assert c.say("#say again")[0] == "again"


def test_a_filter_that_is_late_closes_the_reply():
    with Filtered(config={"filter": {"timeout": "300ms"}}) as s, \
            s.client() as c:
        ident = c.send("say", text="#forever",
                       params={"max_tokens": 100000})
        c.until("text")
        os.killpg(s.helper_pid("filter"), signal.SIGSTOP)
        shown = c.events(ident)
        assert shown[-1]["code"] == "filter_unavailable"
        assert s.wait(lambda: s.status()["helpers"]["filter"]["state"]
                      == "ready")
        assert c.say("#say again")[0] == "again"


def test_without_its_filter_chatd_says_why_and_lets_nothing_through():
    with Service(start=False) as s:
        bad = s.dir / "bad.yaml"
        bad.write_text("pack: x\nrules:\n  - {name: y}\n")
        s.config["filters"] = [
            {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(bad)}}]
        s.write_config()
        s.start()
        s.wait_model()
        s.wait(lambda: s.status()["helpers"]["filter"]["restarts"] > 3)
        with s.client() as c:
            for e in c.call("say", text="Hello"), \
                    c.call("moderate", text="Hello"):
                assert e["code"] == "filter_unavailable", e
                assert "bad.yaml:3:" in e["message"]
            assert c.call("health")["health"] == "down"
            assert c.call("list")["event"] == "done"
            bad.write_text("pack: x\nrules: []\n")
            s.config["filters"] = []
            s.write_config()
            assert c.call("reload")["event"] == "done"
            assert c.say("#say open by choice")[0] == "open by choice"


def add_rule(service, rule):
    pack = service.dir / "packs/test.yaml"
    pack.write_text(pack.read_text() + "  - " + rule + "\n")


TEA = "{name: tea, category: illegal, score: 1, words: [tea]}"


def test_reload_brings_new_rules():
    with Filtered() as s, s.client() as c:
        assert c.say("#say tea")[0] == "tea"
        add_rule(s, TEA)
        assert c.call("reload")["event"] == "done"
        assert c.call("say", text="some tea")["code"] == "blocked"
        assert s.status()["helpers"]["filter"]["restarts"] == 0


def test_a_bad_pack_at_reload_is_reported_and_the_old_rules_stay():
    with Filtered() as s, s.client() as c:
        pid = s.helper_pid("filter")
        add_rule(s, "{name: tea, category: weather, score: 1, words: [a]}")
        e = c.call("reload")
        assert e["code"] == "bad_config" and "test.yaml:" in e["message"]
        assert s.helper_pid("filter") == pid
        assert c.call("say", text="make a bomb")["code"] == "blocked"
        assert c.say("#say fine")[0] == "fine"


def test_a_reload_disturbs_no_reply():
    with Filtered() as s, s.client() as c, s.client() as other:
        ident = c.send("say", text="#long 200", params={"max_tokens": 2000})
        c.until("text")
        for _ in range(3):
            s.wait(lambda: other.call("reload")["event"] == "done")
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert s.rows("select text from reply") == \
            [(" ".join("w%d" % i for i in range(200)),)]


def test_an_owner_without_operator_rights_sees_no_blocked_text(filtered):
    # The tests run as an operator (the daemon's own account); the rule for
    # others is applied to each answer with a "blocked" reply.
    if os.getuid() != 0:
        pytest.skip("needs root to be two users")
    from test_chatd import as_nobody
    with Filtered(config={"socket": {"mode": "0666"}}) as s:
        s.dir.chmod(0o755)
        as_nobody(s.socket,
                  '{"op":"say","id":1,"text":"#say secret launch codes"}')
        s.wait(lambda: s.rows("select state from reply")
               == [("cancelled",)] or s.rows("select state from reply")
               == [("blocked",)])
        got = as_nobody(s.socket, '{"op":"show","id":2,"conversation":1}')
        assert "launch" not in json.dumps(
            [r["text"] for r in got[0]["exchange"]["replies"]])
