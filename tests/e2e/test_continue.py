# SPDX-License-Identifier: Apache-2.0
"""Replies that are continued, and new subjects in a conversation."""
import subprocess

import pytest

from service import BUILD, SRC, Service, text_of

MINI = SRC / "engine/mini"
ENGINE = BUILD / "chatd-engine"


@pytest.fixture(scope="module")
def service():
    with Service() as s:
        s.wait_model()
        yield s


@pytest.fixture
def client(service):
    with service.client() as c:
        yield c


@pytest.fixture(scope="module")
def mini():
    with Service(engine=ENGINE, model=MINI) as s:
        s.wait_model()
        yield s


def again(client, exchange, **fields):
    seen = client.events(client.send("regenerate", exchange=exchange,
                                     **fields))
    return text_of(seen), seen[-1]


@pytest.fixture(scope="module")
def wild(mini):
    """Parameters with which the model writes more than 40 random tokens."""
    with mini.client() as c:
        for seed in range(100):
            ask = {"temperature": 1.2, "top_k": 0, "ignore_eos": True,
                   "seed": seed}
            end = c.say("Tell me a story.", params=dict(
                ask, max_tokens=40))[1]
            if end["stop"] == "length":
                return ask
    raise AssertionError("no seed gives a long reply")


@pytest.mark.parametrize("cut", [1, 2, 5, 17])
def test_a_continued_reply_equals_an_uncut_one(mini, wild, cut):
    """Token for token, also with a random seed and cut more than once."""
    ask = wild
    with mini.client() as c:
        whole, end = c.say("Tell me a story.", params=dict(
            ask, max_tokens=40))
        assert end["stop"] == "length"
        part, first = c.say("Tell me a story.", params=dict(
            ask, max_tokens=cut))
        assert first["stop"] == "length" and whole.startswith(part)
        more, second = again(c, first["exchange"], params={"max_tokens": 10},
                             **{"continue": True})
        assert second["output_tokens"] == cut + 10
        assert whole.startswith(more) and len(more) > len(part)
        more, third = again(c, first["exchange"],
                            params={"max_tokens": 30 - cut},
                            **{"continue": True})
    assert (more, third["output_tokens"]) == (whole, end["output_tokens"])
    rows = mini.rows("select ids, seed, json_extract(params, '$.max_tokens') "
                     "from reply where id in (?, ?) order by id",
                     end["reply"], third["reply"])
    assert rows[0] == rows[1]


def test_a_cancelled_reply_is_continued(client):
    ident = client.send("say", text="#long 5000", params={"max_tokens": 90})
    client.until("text")
    client.send("cancel", request=ident)
    end = client.events(ident)[-1]
    assert end["stop"] == "cancelled"
    text, end = again(client, end["exchange"], **{"continue": True},
                      params={"max_tokens": 50})
    assert end["stop"] == "length"
    assert text == " ".join("w%d" % i for i in range(5000))[
        :end["output_tokens"]]


def test_the_engine_may_die_while_a_reply_is_continued(client):
    text, end = client.say("#die 20", params={"max_tokens": 10})
    text, end = again(client, end["exchange"], **{"continue": True},
                      params={"max_tokens": 30})
    assert text == " ".join("w%d" % i for i in range(200))[:40]


@pytest.mark.parametrize("prompt, stop", [("#say done", "stop"),
                                          ("#error context_full", None)])
def test_only_what_was_cut_is_continued(client, prompt, stop):
    _, end = client.say(prompt)
    assert end.get("stop") == stop
    end = client.call("regenerate", exchange=end["exchange"],
                      **{"continue": True})
    assert (end["code"], end["field"]) == ("bad_field", "continue")


def test_another_model_does_not_continue(service, client):
    _, end = client.say("#long 100", params={"max_tokens": 5})
    service.env["SCRIPTED_DIGEST"] = "sha256:1"
    service.stop()
    service.start()
    service.wait_model()
    with service.client() as c:
        end = c.call("regenerate", exchange=end["exchange"],
                     **{"continue": True})
    assert end["code"] == "bad_field" and "another model" in end["message"]


def test_a_new_subject_hides_what_was_said_before(service):
    with service.client() as c:
        talk = c.say("one")[1]["conversation"]

        def say(text, **more):
            return c.say(text, conversation=talk, **more)
        say("two")
        assert say("#history")[0].startswith("4 turns before: one | ")
        text, end = say("#history", topic=True)
        assert text == "0 turns before: "
        text, _ = say("#history")
        assert text == "2 turns before: #history | 0 turns before: "
        text, _ = again(c, end["exchange"])
        assert text == "0 turns before: "
        shown = []
        ident = c.send("show", conversation=talk)
        for e in c.events(ident)[:-1]:
            shown.append(e["exchange"]["prompt"])
        assert shown == ["one", "two", "#history", "#history", "#history"]
    assert service.rows("select topic from exchange where conversation = ?",
                        talk) == [(0,), (0,), (0,), (1,), (0,)]


def test_exports_have_what_the_model_read(service):
    """An export, and a replay, know of the new subject."""
    with service.client() as c:
        talk = c.say("alpha")[1]["conversation"]
        c.say("beta", conversation=talk, topic=True)
        _, end = c.say("gamma", conversation=talk)
        c.call("rate", exchange=end["exchange"], thumb=1)
        seen = c.events(c.send("export", format="sft"))
        text = "".join(e.get("text", "") for e in seen)
    assert "beta" in text and "gamma" in text and "alpha" not in text


def test_a_continued_reply_replays(mini):
    with mini.client() as c:
        _, end = c.say("Tell me a story about a dog.",
                       params={"max_tokens": 5, "seed": 3})
        _, end = again(c, end["exchange"], **{"continue": True},
                       params={"max_tokens": 12})
        _, other = c.say("And now?", conversation=end["conversation"],
                         topic=True, params={"max_tokens": 6})
    for exchange in end["exchange"], other["exchange"]:
        r = subprocess.run(
            [BUILD / "chatctl", "-s", mini.socket, "replay", str(exchange)],
            capture_output=True, text=True, timeout=60)
        assert r.returncode == 0 and "identical" in r.stdout, (r.stdout,
                                                               r.stderr)
