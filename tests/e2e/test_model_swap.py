# SPDX-License-Identifier: Apache-2.0
"""Another model for a running chatd: a second engine loads it while the first
one serves; then new replies go to the new one, and the old one finishes."""
import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from service import BUILD, SRC, Client, Lost, Service, WAIT, text_of

MINI = SRC / "engine/mini"
PROMPT = "<human>: Tell me about number %d.\n<bot>:"
STREAMS = 8


# ---- models

def scripted(folder, letter, **keys):
    """A model of the scripted engine, whose words begin with that letter."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text("{}")
    (folder / "scripted.json").write_text(json.dumps({
        "digest": "sha256:" + letter * 4, "name": letter, "word": letter,
        **keys}))
    return str(folder)


def words(letter, n):
    return " ".join("%s%d" % (letter, i) for i in range(n))


@contextlib.contextmanager
def two(tmp_path, config=None, **keys):
    """A service with the model a, and the path of a model b."""
    a = scripted(tmp_path / "a", "a")
    b = scripted(tmp_path / "b", "b", **keys)
    config = {"defaults": {"max_tokens": 100000}, **(config or {})}
    with Service(model=a, config=config) as s:
        s.wait_model()
        yield s, a, b


def swap(s, **fields):
    """Ask for a reload; try again while the filters before still end. Returns
    all events of the answer."""
    while True:
        with s.client() as c:
            events = c.events(c.send("reload", **fields))
        if events[-1].get("message") != "another reload is running":
            return events
        time.sleep(.01)


def name(s):
    return s.status()["model"]["name"]


def settled(s):
    """Wait until the previous model has ended."""
    s.wait(lambda: "swap" not in s.status())


def loading(s):
    s.wait(lambda: s.status().get("swap", {}).get("state") == "loading")


def digests(s):
    return [row[0] for row in s.rows(
        "select digest from reply join model on model.id = reply.model "
        "order by reply.id")]


def remembered(s):
    return json.loads((s.state / "model.json").read_text())


def chatctl(s, *args):
    p = subprocess.run([BUILD / "chatctl", "--socket", str(s.socket), *args],
                       text=True, capture_output=True, timeout=WAIT)
    return p.returncode, p.stdout, p.stderr


# ---- with the real engine

def variant(folder):
    """The shipped model with slightly other weights."""
    shutil.copytree(MINI, folder)
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    data[start::16] = bytes(b ^ 0xf0 for b in data[start::16])
    file.chmod(0o644)
    file.write_bytes(data)
    return str(folder)


def complete(client, i, n):
    return client.send("complete", prompt=PROMPT % i, params={
        "max_tokens": n, "ignore_eos": True, "seed": i, "temperature": 1})


def alone(s, n):
    with s.client() as c:
        return [text_of(c.events(complete(c, i, n))) for i in range(STREAMS)]


def test_no_stream_is_dropped_and_each_reply_is_that_of_its_model(tmp_path):
    other = variant(tmp_path / "other")
    n = 300
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        first = alone(s, n)
        clients = [s.client() for _ in range(STREAMS)]
        try:
            asked = [complete(c, i, n) for i, c in enumerate(clients)]
            early = [c.until("text")["text"] for c in clients]
            with s.client() as c:
                events = c.events(c.send("reload", model=other))
                assert events[-1]["event"] == "done"
                late = [complete(c, i, n) for i in range(STREAMS)]
                new = {e: [] for e in late}
                while not all(seen and seen[-1]["event"] in ("done", "error")
                              for seen in new.values()):
                    e = c.event()
                    new[e["id"]].append(e)
            old = [c.events(i) for c, i in zip(clients, asked)]
        finally:
            for c in clients:
                c.sock.close()
        assert [e[-1]["event"] for e in old] == ["done"] * STREAMS
        assert [head + text_of(e) for head, e in zip(early, old)] == first
        settled(s)
        second = alone(s, n)
        assert [text_of(new[i]) for i in late] == second
        assert all(a != b for a, b in zip(first, second))
        done = events[-1]
        assert (done["model"]["path"], done["before"]["path"]) == \
            (other, str(MINI))
        assert done["model"]["digest"] != done["before"]["digest"]
        a, b = done["before"]["digest"], done["model"]["digest"]
        assert digests(s) == [a] * STREAMS * 2 + [b] * STREAMS * 2
        assert "engine_restarted" not in json.dumps(old)


def test_an_old_reply_is_replayed_as_one_of_another_model(tmp_path):
    other = variant(tmp_path / "other")
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        with s.client() as c:
            done = c.events(complete(c, 1, 40))[-1]
        number = str(done["exchange"])
        assert chatctl(s, "replay", number)[0] == 0
        answer = swap(s, model=other)[-1]
        status, out, _ = chatctl(s, "replay", number)
        assert status == 1
        assert "model was %s and is %s: another model made the reply\n" % (
            answer["before"]["digest"], answer["model"]["digest"]) in out
        settled(s)
        assert chatctl(s, "rollback")[0] == 0
        settled(s)
        assert chatctl(s, "replay", number)[0] == 0


@pytest.mark.parametrize("harm, words", [
    (lambda m: (m / "tokenizer.json").unlink(), "tokenizer.json"),
    (lambda m: (m / "config.json").write_text("{"), "config.json"),
    (lambda m: os.truncate(m / "model.safetensors", 100000),
     "model.safetensors"),
    (lambda m: (m / "model.safetensors").chmod(0o666), "model.safetensors"),
], ids=["tokenizer", "config", "cut", "writable"])
def test_a_bad_model_is_refused_with_the_place(tmp_path, harm, words):
    other = tmp_path / "other"
    variant(other)
    harm(other)
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        pid = s.helper_pid("engine")
        e = swap(s, model=str(other))[-1]
        assert (e["code"], e["field"]) == ("bad_config", "model")
        assert str(other) in e["message"] and words in e["message"]
        assert s.helper_pid("engine") == pid and name(s) == "mini"
        assert not (s.state / "model.json").exists()


def test_too_little_memory_keeps_the_old_model():
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        s.config["model"]["kv_tokens"] = 900000000
        s.write_config()
        e = swap(s)[-1]
        assert e["code"] == "bad_config"
        assert "GiB are free" in e["message"]
        with s.client() as c:
            assert c.events(complete(c, 1, 5))[-1]["event"] == "done"


# ---- failures

@pytest.mark.parametrize("keys, message", [
    ({"refuse": "the weights need 99 GiB, but 3 GiB are free"},
     "the new engine can't load it: the weights need 99 GiB, but 3 GiB"),
    ({"silent": 60}, "hung: silent for 4000 ms while starting"),
    ({"die": True}, "ended by signal 9"),
], ids=["refused", "hung", "killed"])
def test_a_model_that_does_not_load_leaves_the_old_one(tmp_path, keys,
                                                       message):
    config = {"engine": {"load_timeout": "4s"}} if "silent" in keys else {}
    with two(tmp_path, config, **keys) as (s, _, b), s.client() as c:
        ident = c.send("say", text="#forever")
        c.until("text")
        e = swap(s, model=b)[-1]
        assert (e["code"], e["field"]) == ("bad_config", "model")
        assert e["message"].startswith("model: %s: " % b)
        assert message in e["message"]
        status = s.status()
        assert status["model"]["name"] == "a" and "swap" not in status
        assert status["helpers"]["engine"]["restarts"] == 0
        c.send("cancel", request=ident)
        assert c.events(ident)[-1]["event"] == "done"
        assert not (s.state / "model.json").exists()
        scripted(tmp_path / "b", "b")
        assert swap(s, model=b)[-1]["event"] == "done"
        assert name(s) == "b"


@pytest.mark.parametrize("model, code, message", [
    ("/nonexistent/model", "bad_config",
     "model: /nonexistent/model: No such file or directory"),
    ("/usr", "bad_config", "model: /usr/config.json: No such file"),
    ("b", "bad_field",
     'model: expected "default" or a path that begins with "/", found "b"'),
    ("", "bad_field", 'found ""'),
    (7, "bad_field", "model"),
])
def test_a_bad_path_is_refused(tmp_path, model, code, message):
    with two(tmp_path) as (s, _, _):
        e = swap(s, model=model)[-1]
        assert (e["code"], e["field"]) == (code, "model")
        assert message in e["message"]


def test_what_cannot_be_remembered_is_not_done(tmp_path):
    with two(tmp_path) as (s, _, b):
        (s.state / "model.json").mkdir()
        e = swap(s, model=b)[-1]
        assert e["code"] == "bad_config"
        assert str(s.state / "model.json") in e["message"]
        assert name(s) == "a" and "swap" not in s.status()
        assert not (s.state / "model.json.new").exists()
        (s.state / "model.json").rmdir()
        assert swap(s, model=b)[-1]["event"] == "done"


def test_bad_filters_keep_the_old_model_too(tmp_path):
    with two(tmp_path) as (s, a, b):
        bad = tmp_path / "bad.so"
        bad.write_text("not a plugin")
        s.config["filters"] = [{"name": "bad", "path": str(bad)}]
        s.write_config()
        e = swap(s, model=b)[-1]
        assert (e["code"], e["field"]) == ("bad_config", "filters")
        assert s.status()["helpers"]["filter"]["state"] == "ready"
        assert name(s) == "a" and "swap" not in s.status()
        s.config["filters"] = []
        s.write_config()
        assert swap(s, model=b)[-1]["event"] == "done"


# ---- choosing

def test_a_swap_and_a_rollback(tmp_path):
    with two(tmp_path, load=.2) as (s, a, b), s.client() as c:
        e = c.call("rollback")
        assert e["code"] == "not_found"
        assert e["message"] == ("there is no previous model: %s is the only "
                                "one so far" % a)
        events = swap(s, model=b)
        assert {e["event"] for e in events[:-1]} == {"progress"}
        assert events[0]["bytes_total"] == 4 << 30
        now = {"path": b, "digest": "sha256:bbbb", "name": "b"}
        before = {"path": a, "digest": "sha256:aaaa", "name": "a"}
        done = events[-1]
        assert (done["model"], done["before"]) == (now, before)
        assert done["ms"] >= 200
        file = s.state / "model.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert remembered(s) == {
            "chosen": True, "configured": a,
            "current": {"path": b, "digest": "sha256:bbbb"},
            "previous": {"path": a, "digest": "sha256:aaaa"}}
        assert c.say("#long 3")[0] == words("b", 3)
        settled(s)
        done = c.call("rollback")
        while done["event"] == "progress":
            done = c.event()
        assert (done["model"], done["before"]) == (before, now)
        assert not remembered(s)["chosen"]
        assert c.say("#long 3")[0] == words("a", 3)
        settled(s)
        assert c.call("rollback")["model"] == now
        assert remembered(s)["chosen"]
        settled(s)
        done = c.call("reload", model="default")
        assert (done["model"], done["before"]) == (before, now)
        assert not remembered(s)["chosen"]


def test_a_rollback_to_files_that_have_changed_is_refused(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c:
        assert swap(s, model=b)[-1]["event"] == "done"
        settled(s)
        scripted(tmp_path / "a", "c")
        e = c.call("rollback")
        assert e["code"] == "bad_config"
        assert e["message"] == (
            "model: %s: its files have changed: expected digest sha256:aaaa, "
            "found sha256:cccc" % a)
        assert name(s) == "b"
        shutil.rmtree(a)
        e = c.call("rollback")
        assert e["code"] == "bad_config"
        assert "rollback: %s: No such file" % a in e["message"]


def test_a_path_that_serves_already_is_loaded_again(tmp_path):
    with two(tmp_path) as (s, a, _):
        pid = s.helper_pid("engine")
        scripted(tmp_path / "a", "c")
        plain = swap(s)[-1]
        assert plain["model"]["digest"] == "sha256:aaaa"
        assert "before" not in plain and s.helper_pid("engine") == pid
        done = swap(s, model=a)[-1]
        assert (done["before"]["digest"], done["model"]["digest"]) == \
            ("sha256:aaaa", "sha256:cccc")
        assert s.helper_pid("engine") != pid


@pytest.mark.parametrize("key, value", [
    ("path", None), ("precision", "int8"), ("context", 512), ("pin", True)])
def test_a_reload_takes_a_changed_model_section(tmp_path, key, value):
    with two(tmp_path) as (s, a, b), s.client() as c:
        ident = c.send("say", text="#long 100")
        first = c.until("text")["text"]
        s.config["model"][key] = b if key == "path" else value
        s.write_config()
        done = swap(s)[-1]
        assert done["before"]["path"] == a
        assert done["model"]["path"] == s.config["model"]["path"]
        assert first + text_of(c.events(ident)) == words("a", 100)
        settled(s)
        assert swap(s)[-1].get("before") is None
        assert "restart only" not in s.log.read_text()


def test_a_signal_swaps_too(tmp_path):
    with two(tmp_path) as (s, _, b):
        s.config["model"]["path"] = b
        s.write_config()
        s.process.send_signal(signal.SIGHUP)
        s.wait(lambda: name(s) == "b")


# ---- over a restart

def test_a_restart_remembers_the_choice(tmp_path):
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        for _ in range(2):
            s.stop()
            s.start().wait_model()
            assert name(s) == "b"
        assert "model: %s counts, which an operator has chosen, not " \
            "model.path (%s)" % (b, a) in s.log.read_text()
        with s.client() as c:
            assert c.call("rollback")["model"]["path"] == a
        s.stop()
        s.start().wait_model()
        assert name(s) == "a"


def test_a_changed_configuration_ends_the_choice(tmp_path):
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        s.stop()
        c = scripted(tmp_path / "c", "c")
        s.config["model"]["path"] = c
        s.write_config()
        s.start().wait_model()
        assert name(s) == "c"
        assert ("model: model.path (%s) counts, since it was %s when an "
                "operator chose %s" % (c, a, b)) in s.log.read_text()
        s.wait(lambda: not remembered(s)["chosen"])
        assert remembered(s)["previous"]["path"] == b
        s.stop()
        s.config["model"]["path"] = a       # the choice does not come back
        s.write_config()
        s.start().wait_model()
        assert name(s) == "a"


def test_a_reload_ends_the_choice_if_the_path_has_changed(tmp_path):
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        settled(s)
        assert "before" not in swap(s)[-1] and name(s) == "b"
        s.config["model"]["path"] = b       # what was chosen, for good
        s.write_config()
        assert "before" not in s.reload(s.client())
        assert not remembered(s)["chosen"]
        assert remembered(s)["configured"] == b


def test_the_configured_model_may_be_gone_if_another_is_chosen(tmp_path):
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        s.stop()
        shutil.rmtree(a)
        s.start().wait_model()
        assert name(s) == "b"


def test_a_choice_that_is_gone_gives_way_to_the_configured_model(tmp_path):
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        s.stop()
        shutil.rmtree(b)
        s.start().wait_model()
        assert name(s) == "a"
        assert ("model: %s: No such file or directory, which an operator has "
                "chosen; model.path counts" % b) in s.log.read_text()
        s.stop()                    # it stands, and counts if it can
        scripted(tmp_path / "b", "b")
        s.start().wait_model()
        assert name(s) == "b"


@pytest.mark.parametrize("content", [
    "", "{", "[]", "{}", '{"configured":"/m"}',
    '{"configured":"/m","chosen":true,"current":{"path":""}}',
    '{"configured":7,"current":{"path":"/m"}}'])
def test_a_damaged_file_is_reported_and_replaced(tmp_path, content):
    with two(tmp_path) as (s, a, b):
        s.stop()
        (s.state / "model.json").write_text(content)
        s.start().wait_model()
        assert name(s) == "a"
        assert "%s/model.json: expected" % s.state in s.log.read_text()
        with s.client() as c:
            assert c.call("rollback")["code"] == "bad_config"
            # or chatctl tune could remove the previous model
            assert c.call("reload", check=True)["code"] == "bad_config"
        assert swap(s, model=b)[-1]["event"] == "done"
        assert remembered(s)["previous"]["path"] == a


# ---- crashes

def test_the_old_engine_dies_while_the_new_one_loads(tmp_path):
    with two(tmp_path, load=1.5) as (s, _, b), s.client() as c, \
            s.client() as d:
        ident = c.send("say", text="#long 400")
        first = c.until("text")["text"]
        asked = d.send("reload", model=b)
        loading(s)
        os.kill(s.helper_pid("engine"), signal.SIGKILL)
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert "engine_restarted" in [e.get("code") for e in seen]
        assert first + text_of(seen) == words("a", 400)
        assert d.events(asked)[-1]["event"] == "done"
        assert digests(s) == ["sha256:aaaa"]
        assert c.say("#long 3")[0] == words("b", 3)


def test_the_new_engine_dies_while_it_loads(tmp_path):
    with two(tmp_path, load=30) as (s, _, b), s.client() as c, \
            s.client() as d:
        ident = c.send("say", text="#long 150")
        first = c.until("text")["text"]
        asked = d.send("reload", model=b)
        loading(s)
        os.kill(s.helper_pid("new engine"), signal.SIGKILL)
        e = d.events(asked)[-1]
        assert e["code"] == "bad_config"
        assert "ended by signal 9" in e["message"]
        assert first + text_of(c.events(ident)) == words("a", 150)
        assert name(s) == "a" and "swap" not in s.status()


def test_the_old_engine_dies_while_it_finishes(tmp_path):
    with two(tmp_path) as (s, _, b), s.client() as c:
        ident = c.send("say", text="#long 300")
        first = c.until("text")["text"]
        assert swap(s, model=b)[-1]["event"] == "done"
        swapping = s.status()["swap"]
        assert (swapping["state"], swapping["replies"]) == ("finishing", 1)
        os.kill(s.helper_pid("old engine"), signal.SIGKILL)
        with s.client() as d:
            assert d.say("#long 3")[0] == words("b", 3)
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert first + text_of(seen) == words("a", 300)
        assert digests(s) == ["sha256:aaaa", "sha256:bbbb"]
        settled(s)


def test_the_new_engine_dies_while_the_old_one_finishes(tmp_path):
    with two(tmp_path) as (s, _, b), s.client() as c, s.client() as d:
        ident = c.send("say", text="#forever")
        c.until("text")
        assert swap(s, model=b)[-1]["event"] == "done"
        other = d.send("say", text="#long 150")
        first = d.until("text")["text"]
        os.kill(s.helper_pid("engine"), signal.SIGKILL)
        seen = d.events(other)
        assert first + text_of(seen) == words("b", 150)
        c.send("cancel", request=ident)
        seen = c.events(ident)
        assert seen[-1]["stop"] == "cancelled"
        assert "b" not in text_of(seen)
        settled(s)


def test_the_old_engine_ends_also_if_it_is_down_when_all_is_finished(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c:
        ident = c.send("say", text="#forever")
        c.until("text")
        assert swap(s, model=b)[-1]["event"] == "done"
        scripted(tmp_path / "a", "a", load=30)
        os.kill(s.helper_pid("old engine"), signal.SIGKILL)
        c.until("notice")
        c.send("cancel", request=ident)
        assert c.events(ident)[-1]["stop"] == "cancelled"
        settled(s)
        assert "old engine" not in s.status()["helpers"]


# ---- one at a time

def test_a_second_swap_at_once_is_refused(tmp_path):
    with two(tmp_path, load=1.5) as (s, a, b), s.client() as c:
        first = c.send("reload", model=b)
        loading(s)
        for ask in {"model": a}, {}:
            e = swap(s, **ask)[-1]
            assert e["code"] == "busy"
            assert e["message"] == \
                "another reload is running: it loads %s" % b
        with s.client() as d:
            assert d.call("rollback")["code"] == "busy"
            ident = d.send("say", text="#forever")
            d.until("text")
            assert c.events(first)[-1]["event"] == "done"
            e = swap(s, model=a)[-1]        # a finishes one reply
            assert e["code"] == "busy"
            assert e["message"] == ("the previous model, %s, has not ended "
                                    "yet (requests to finish: 1); try again "
                                    "then" % a)
            assert swap(s)[-1]["event"] == "done"   # no swap
            d.send("cancel", request=ident)
            d.events(ident)
        settled(s)
        assert c.call("rollback")["event"] == "done"


def test_a_rollback_does_not_wait_for_the_replies_of_the_model(tmp_path):
    """Its engine still has it, so it serves again at once."""
    with two(tmp_path, load=1.5) as (s, a, b), s.client() as c, \
            s.client() as d, s.client() as e:
        pid = s.helper_pid("engine")
        old = c.send("say", text="#long 400")
        first = c.until("text")["text"]
        assert swap(s, model=b)[-1]["event"] == "done"
        new = d.send("say", text="#long 400")
        second = d.until("text")["text"]
        done = e.call("rollback")
        assert done["event"] == "done"
        assert "rollback: %s is still loaded" % a in s.log.read_text()
        assert (done["model"]["path"], done["before"]["path"]) == (a, b)
        assert s.helper_pid("engine") == pid
        assert e.say("#long 3")[0] == words("a", 3)
        assert remembered(s)["previous"]["path"] == b
        assert first + text_of(c.events(old)) == words("a", 400)
        assert second + text_of(d.events(new)) == words("b", 400)
        settled(s)
        assert s.helper_pid("engine") == pid
        assert e.say("#long 3")[0] == words("a", 3)


def test_a_rollback_waits_if_the_settings_have_changed(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c, s.client() as d:
        ident = c.send("say", text="#forever")
        c.until("text")
        s.config["model"]["kv_tokens"] = 4096
        s.write_config()
        assert swap(s, model=b)[-1]["event"] == "done"
        assert d.call("rollback")["code"] == "busy"
        c.send("cancel", request=ident)
        c.events(ident)
        settled(s)
        assert d.call("rollback")["model"]["path"] == a


def test_a_swap_waits_for_an_engine_that_only_has_to_end(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c, s.client() as d:
        for folder, letter in ("a", "a"), ("b", "b"):
            scripted(tmp_path / folder, letter, linger=1)
        assert swap(s, model=b)[-1]["event"] == "done"
        settled(s)
        assert c.call("rollback")["model"]["path"] == a
        assert s.status()["swap"]["state"] == "finishing"
        ident = c.send("rollback")      # b has nothing left to say
        s.wait(lambda: "waiting for the end of %s" % b in s.log.read_text())
        assert d.call("rollback")["message"] == \
            "another rollback is running: it loads %s" % b
        assert d.say("#long 3")[0] == words("a", 3)
        assert c.events(ident)[-1]["model"]["path"] == b
        assert d.say("#long 3")[0] == words("b", 3)
        ident = c.send("reload", model=a)       # a is still ending
        c.send("cancel", request=ident)
        assert c.events(ident)[-1]["stop"] == "cancelled"
        settled(s)
        assert name(s) == "b"


def test_other_files_at_the_same_path_are_not_what_was_before(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c:
        assert swap(s, model=b)[-1]["event"] == "done"
        settled(s)
        scripted(tmp_path / "b", "c")
        assert swap(s, model=b)[-1]["model"]["digest"] == "sha256:cccc"
        settled(s)
        assert remembered(s)["current"] == {"path": b,
                                            "digest": "sha256:cccc"}
        assert c.call("rollback")["model"]["path"] == a


def test_a_signal_waits_for_the_end_of_a_swap(tmp_path):
    with two(tmp_path) as (s, a, b), s.client() as c:
        ident = c.send("say", text="#forever")
        c.until("text")
        assert swap(s, model=b)[-1]["event"] == "done"
        s.config["model"]["path"] = scripted(tmp_path / "c", "c")
        s.write_config()
        s.process.send_signal(signal.SIGHUP)
        s.wait(lambda: "has not ended yet" in s.log.read_text())
        assert name(s) == "b"
        c.send("cancel", request=ident)
        c.events(ident)
        s.wait(lambda: name(s) == "c")


@pytest.mark.parametrize("how", ["cancel", "disconnect"])
def test_a_swap_can_be_given_up(tmp_path, how):
    with two(tmp_path, load=30) as (s, _, b):
        with s.client() as c:
            ident = c.send("reload", model=b)
            loading(s)
            if how == "cancel":
                c.send("cancel", request=ident)
                assert c.events(ident)[-1]["stop"] == "cancelled"
        settled(s)
        assert name(s) == "a"
        assert "cancelled, or the client has disconnected" in \
            s.log.read_text()
        scripted(tmp_path / "b", "b")
        assert swap(s, model=b)[-1]["event"] == "done"


def test_a_shutdown_gives_up_a_swap_and_finishes_both_models(tmp_path):
    with two(tmp_path, load=30) as (s, _, b), s.client() as c:
        ident = c.send("reload", model=b)
        loading(s)
        s.process.send_signal(signal.SIGTERM)
        assert c.events(ident)[-1]["code"] == "shutting_down"
        assert s.process.wait(WAIT) == 0
    with two(tmp_path) as (s, _, b), s.client() as c, s.client() as d:
        one = c.send("say", text="#long 150")
        c.until("text")
        swap(s, model=b)
        two_ = d.send("say", text="#long 150")
        d.until("text")
        s.process.send_signal(signal.SIGTERM)
        assert text_of(c.events(one)).endswith(" a149")
        assert text_of(d.events(two_)).endswith(" b149")
        assert s.process.wait(WAIT) == 0


def test_a_reload_that_checks_changes_nothing(tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    c = scripted(tmp_path / "c", "c")
    with two(tmp_path) as (s, a, b):
        swap(s, model=b)
        settled(s)
        before = s.log.read_text()
        done = swap(s, check=True, model=str(folder))[-1]
        assert done["event"] == "done", done
        assert set(done["used"]) == {a, b}
        s.config["model"]["adapters"] = [{"name": "c", "path": c}]
        (tmp_path / "c/adapter_config.json").write_text("{}")
        s.write_config()
        assert swap(s, model=a)[-1]["event"] == "done"
        settled(s)
        assert set(swap(s, check=True)[-1]["used"]) == {a, b, c}
        assert name(s) == "a"
        assert "loading %s" % folder not in s.log.read_text()[len(before):]


@pytest.mark.parametrize("model, code, message", [
    ("none", "bad_config", "none: No such file or directory"),
    ("file", "bad_config", "file: not a folder"),
    ("open", "bad_config", "open: others may write it (mode 0777): chmod "
     "go-w"),
    ("other", "bad_config", "other: belongs to uid 65534: it must belong to "
     "root or to uid 0"),
    ("default", "bad_field", 'model: expected a path that begins with "/", '
     'found "default"')])
def test_a_check_says_what_is_wrong_with_a_folder(tmp_path, model, code,
                                                  message):
    (tmp_path / "file").write_text("")
    for folder in "open", "other":
        (tmp_path / folder).mkdir()
    (tmp_path / "open").chmod(0o777)
    if model == "other":
        if os.geteuid() != 0:
            pytest.skip("needs root, to make a folder of another user")
        os.chown(tmp_path / "other", 65534, 65534)
    if model != "default":
        model = str(tmp_path / model)
        message = message.replace(message[:message.index(":")], model, 1)
    with two(tmp_path) as (s, _, _b):
        e = swap(s, check=True, model=model)[-1]
        assert (e["code"], e["field"]) == (code, "model")
        assert e["message"] == message


def test_ordinary_users_may_not_swap(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    with two(tmp_path, {"socket": {"mode": "0666"}}, load=1) as (s, _, b):
        with s.client_as(65534) as c:
            assert c.call("reload", model=b)["code"] == "denied"
            assert c.call("reload", model="default")["code"] == "denied"
            assert c.call("reload", check=True)["code"] == "denied"
            assert c.call("rollback")["code"] == "denied"
            with s.client() as d:
                d.send("reload", model=b)
                loading(s)
                for op in "status", "health":
                    swapping = c.call(op)["swap"]
                    assert swapping["state"] == "loading"
                    assert "path" not in swapping


# ---- before a model is loaded

def test_a_model_replaces_one_that_never_loaded(tmp_path):
    a = scripted(tmp_path / "a", "a", refuse="it is broken")
    b = scripted(tmp_path / "b", "b")
    with Service(model=a) as s:
        s.wait_model("down")
        done = swap(s, model=b)[-1]
        assert done["before"] == {"path": a}
        with s.client() as c:
            assert c.say("#long 2")[0] == words("b", 2)
        settled(s)


def test_what_waits_for_the_first_model_is_written_by_the_second(tmp_path):
    a = scripted(tmp_path / "a", "a", load=60)
    b = scripted(tmp_path / "b", "b")
    with Service(model=a) as s, s.client() as c:
        ident = c.send("say", text="#long 2")
        assert c.until("notice")["code"] == "loading"
        assert swap(s, model=b)[-1]["event"] == "done"
        assert text_of(c.events(ident)) == words("b", 2)
        assert digests(s) == ["sha256:bbbb"]
        settled(s)


# ---- chatctl, and the judge

def test_chatctl_swaps_and_rolls_back(tmp_path):
    with two(tmp_path, load=.3) as (s, a, b), s.client() as c:
        ident = c.send("say", text="#forever")
        c.until("text")
        status, out, err = chatctl(s, "reload", "--model", b)
        assert (status, err) == (0, "")
        lines = out.splitlines()
        assert lines[:2] == ["model    %s (sha256:bbbb)" % b,
                             "before   %s (sha256:aaaa)" % a]
        assert lines[2].startswith("time     ")
        assert "swap       finishing %s, replies to finish: 1" % a in \
            chatctl(s, "status")[1]
        assert "; finishing a former model;" in chatctl(s, "health")[1]
        c.send("cancel", request=ident)
        c.events(ident)
        settled(s)
        status, out, err = chatctl(s, "--json", "rollback")
        assert (status, json.loads(out)["model"]["path"]) == (0, a)
        settled(s)
        status, out, err = chatctl(s, "reload", "--model", "b")
        assert (status, out) == (2, "") and "begins with" in err
        assert chatctl(s, "--quiet", "reload", "--model", b) == (0, "", "")


def test_the_judge_goes_on_with_the_model_that_serves(tmp_path):
    judge = {"judge": {"enabled": True, "required": True, "labels": {
        "casual": "harmless", "bad": "hate"}, "prompt": "Input: {text}\nOutput:"}}
    with two(tmp_path, judge) as (s, _, b), s.client() as c:
        for _ in range(2):
            text, end = c.say("#say well #label casual;")
            assert end["event"] == "done", end
            assert swap(s, model=b)[-1]["event"] == "done"
            settled(s)
        judged = c.call("filters")["judge"]
        assert judged["model"] == b and judged["texts"] == 2


def test_swaps_under_load_lose_nothing(tmp_path):
    """Several swaps one after the other, while clients ask all the time."""
    wrong, asked, stop = [], [], threading.Event()

    def chat(s):
        with Client(s.socket) as c:
            while not stop.is_set():
                text, end = c.say("#long 40")
                asked.append(text[:1])
                if end["event"] != "done" or text not in (
                        words("a", 40), words("b", 40)):
                    wrong.append((text, end))

    with two(tmp_path) as (s, a, b):
        threads = [threading.Thread(target=chat, args=(s,))
                   for _ in range(STREAMS)]
        for t in threads:
            t.start()
        try:
            for i in range(6):
                answers = []
                s.wait(lambda: answers.append(
                    swap(s, model=(b, a)[i % 2])[-1]) or
                    answers[-1].get("code") != "busy")
                assert answers[-1]["event"] == "done", answers[-1]
        finally:
            stop.set()
            for t in threads:
                t.join()
        assert wrong == []
        assert set(asked) == {"a", "b"}
        settled(s)
        assert set(s.status()["helpers"]) == {"engine", "filter", "store"}
