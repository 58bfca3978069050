# SPDX-License-Identifier: Apache-2.0
"""Limits that depend on the model.  A request over such a limit is refused
before its exchange begins, and nothing of it is stored."""
import pytest

from service import BUILD, SRC, Service

MINI = SRC / "engine/mini"          # context 1024, 4096 tokens
BOUNDS = [("max_tokens", 1024), ("top_k", 4096)]


@pytest.fixture(scope="module")
def mini():
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        yield s


def stored(service, client):
    """The rows that the user sees and the database has."""
    return (client.events(client.send("list"))[:-1],
            client.events(client.send("list", kind="complete"))[:-1],
            service.rows("select count(*) from exchange"),
            service.rows("select count(*) from conversation"))


def refused(event, name):
    assert (event["event"], event.get("code"), event.get("field")) == \
        ("error", "bad_field", name), event
    assert "exchange" not in event, event


@pytest.mark.parametrize("name, most", BOUNDS)
@pytest.mark.parametrize("op, text", [("say", "text"),
                                      ("complete", "prompt")])
def test_what_the_model_cannot_hold_leaves_nothing_behind(mini, op, text,
                                                          name, most):
    with mini.client() as c:
        before, total = stored(mini, c), mini.status()["exchanges"]["total"]
        events = c.events(c.send(op, **{text: "Hello"},
                                 params={name: most + 1}))
        refused(events[-1], name)
        assert len(events) == 1, events
        assert stored(mini, c) == before
        assert mini.status()["exchanges"]["total"] == total


@pytest.mark.parametrize("name, most", BOUNDS)
def test_a_refused_regenerate_adds_no_reply(mini, name, most):
    with mini.client() as c:
        done = c.say("Hello", params={"max_tokens": 1})[1]
        replies = "select count(*) from reply where exchange = ?"
        refused(c.call("regenerate", exchange=done["exchange"],
                       params={name: most + 1}), name)
        assert mini.rows(replies, done["exchange"]) == [(1,)]


@pytest.mark.parametrize("name, most", BOUNDS)
def test_the_bound_itself_is_taken(mini, name, most):
    with mini.client() as c:
        params = {"max_tokens": 1, name: most, "stop": ["e", "a", "o"]}
        assert c.say("Hello", params=params)[1]["event"] == "done"


def test_the_check_waits_for_the_model():
    with Service(env={"SCRIPTED_LOAD": "1", "SCRIPTED_CONTEXT": "2048"}) as s:
        with s.client() as c:
            events = c.events(c.send("say", text="Hello",
                                     params={"max_tokens": 2049}))
            assert [e.get("code") for e in events] == \
                ["loading", "bad_field"], events
            refused(events[-1], "max_tokens")
            assert stored(s, c) == ([], [], [(0,)], [(0,)])
            assert c.say("Hello", params={"max_tokens": 2048})[1]["event"] \
                == "done"
