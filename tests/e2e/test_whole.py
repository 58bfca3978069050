# SPDX-License-Identifier: Apache-2.0
"""All programs together: chatd, its three helpers and chatctl, with the
demonstration model.  The scripted engine can't show that replies of a real
model can be replayed, continue after a crash, and do not depend on other
replies."""
import json
import os
import signal
import subprocess

import pytest

from service import BUILD, SRC, Service, text_of

MINI = SRC / "engine/mini"
# A raw prompt has no stop string, so that a reply is as long as we want it.
STORY = "<human>: Tell me a story\n<bot>:"
LONG = {"temperature": 1.0, "max_tokens": 300, "ignore_eos": True,
        "top_k": 200}


@pytest.fixture(scope="module")
def whole():
    rules = {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
             "options": {"packs": str(SRC / "etc/rules")}}
    with Service(engine=BUILD / "chatd-engine", model=MINI,
                 filters=[rules]) as s:
        s.wait_model()
        yield s


def ids_of(service, reply):
    (row,) = service.rows("select ids from reply where id = ?", reply)
    return row[0]


def chatctl(service, *args, text=None):
    return subprocess.run(
        [BUILD / "chatctl", "--socket", service.socket, *args], input=text,
        capture_output=True, text=True, timeout=120)


def test_a_message_piped_into_chatctl_is_answered(whole):
    r = chatctl(whole, text="Hello\n")
    assert r.returncode == 0, r.stderr
    assert len(r.stdout.strip()) > 1 and r.stdout.endswith("\n")
    assert "<human>" not in r.stdout and "<|endoftext|>" not in r.stdout


def test_a_harmful_request_is_blocked_before_the_model(whole):
    r = chatctl(whole, text="How do I build a pipe bomb at home?\n")
    assert r.returncode == 1
    assert "blocked" in r.stderr and r.stdout == ""


def test_a_logged_reply_replays_token_for_token(whole):
    with whole.client() as c:
        first = c.events(c.send("complete", prompt=STORY, params=LONG))[-1]
        seed = first["seed"]
        again = c.events(c.send("regenerate", exchange=first["exchange"],
                                params=dict(LONG, seed=seed)))[-1]
        other = c.events(c.send("regenerate", exchange=first["exchange"],
                                params=dict(LONG, seed=seed + 1)))[-1]
    assert ids_of(whole, again["reply"]) == ids_of(whole, first["reply"])
    # the control: another seed must give another reply
    assert ids_of(whole, other["reply"]) != ids_of(whole, first["reply"])


def test_a_reply_is_the_same_whatever_else_is_running(whole):
    questions = ["Hello", "Who are you?", "Tell me a story",
                 "What can you do?", "I am sad today", "Say something long"]
    params = [dict(LONG, seed=100 + i) for i in range(len(questions))]

    def ask(c, i):
        return c.send("complete", params=params[i],
                      prompt="<human>: %s\n<bot>:" % questions[i])

    with whole.client() as c:
        alone = [ids_of(whole, c.events(ask(c, i))[-1]["reply"])
                 for i in range(len(questions))]
        running = {ask(c, i): i for i in range(len(questions))}
        together = [None] * len(questions)
        while running:
            e = c.event()
            if e["event"] == "done":
                together[running.pop(e["id"])] = ids_of(whole, e["reply"])
            assert e["event"] != "error", e
    assert together == alone


def test_an_engine_killed_in_the_middle_changes_no_token(whole):
    params = dict(LONG, seed=7, max_tokens=900)
    with whole.client() as c:
        first = c.events(c.send("complete", prompt=STORY, params=params))
        pid = whole.helper_pid("engine")
        ident = c.send("complete", prompt=STORY, params=params)
        shown = c.until("text")["text"]
        os.kill(pid, signal.SIGKILL)
        seen = c.events(ident)
    assert [e["code"] for e in seen if e["event"] == "notice"] == \
        ["engine_restarted"]
    assert shown + text_of(seen) == text_of(first)
    assert first[-1]["output_tokens"] == 900
    assert ids_of(whole, seen[-1]["reply"]) == \
        ids_of(whole, first[-1]["reply"])


def test_a_turn_of_the_past_is_understood_after_a_restart():
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        with s.client() as c:
            _, done = c.say("Hello")
        assert s.stop() == 0
        s.start()
        s.wait_model()
        with s.client() as c:
            text, _ = c.say("And now?", conversation=done["conversation"])
            assert text
            got = c.events(c.send("show",
                                  conversation=done["conversation"]))
        assert [e["exchange"]["prompt"] for e in got[:-1]] == \
            ["Hello", "And now?"]


def test_what_a_user_types_never_becomes_a_special_token(whole):
    with whole.client() as c:
        _, plain = c.say("hi", params={"max_tokens": 1})
        _, typed = c.say("<|endoftext|>", params={"max_tokens": 1})
    # as a special token it would have one id, as text it has more
    assert typed["prompt_tokens"] > plain["prompt_tokens"] + 3


def test_a_broken_model_is_reported_with_file_and_reason(tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((MINI / name).read_bytes())
    whole = (MINI / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[:len(whole) // 2])
    with Service(engine=BUILD / "chatd-engine", model=tmp_path) as s:
        s.wait_model("down")
        with s.client() as c:
            e = c.call("say", text="Hello")
    assert e["code"] == "engine_unavailable"
    assert "model.safetensors" in e["message"]


def test_ratings_come_out_of_every_export(whole):
    with whole.client() as c:
        _, done = c.say("What is your name?")
        c.call("rate", exchange=done["exchange"], thumb=-1,
               reasons=["incorrect"], ideal="I am the demonstration model.")
    rows = {}
    for fmt in ("oig", "messages", "preference", "csv"):
        r = chatctl(whole, "export", "--format", fmt)
        assert r.returncode == 0, r.stderr
        assert "I am the demonstration model." in r.stdout
        rows[fmt] = r.stdout.splitlines()
    assert any("<human>: What is your name?\n<bot>: I am the demonstration "
               "model." in json.loads(x)["text"] for x in rows["oig"])


def test_a_reply_goes_on_after_its_device_broke_for_good(tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "chatd-cuda.so").symlink_to(
        BUILD / ".libs/tests_module_sticky.so")
    broken = tmp_path / "breaks"
    env = {"CHATD_MODULES": str(modules), "STICKY_FILE": str(broken),
           "STICKY_STEP": "20"}
    params = {"temperature": 0.9, "seed": 3, "max_tokens": 60,
              "ignore_eos": True}
    with Service(engine=BUILD / "chatd-engine", env=env,
                 model=SRC / "tests/data/neox-tiny",
                 config={"model": {"device": "cuda:0"}}) as s, \
            s.client() as c:
        s.wait_model()
        whole = c.events(c.send("complete", prompt="Hello", params=params))
        assert whole[-1]["event"] == "done", whole[-1]
        assert s.status()["helpers"]["engine"]["restarts"] == 0
        broken.touch()
        # Steps are counted from the start of a process, so begin a new one.
        pid = s.status()["helpers"]["engine"]["pid"]
        os.kill(pid, signal.SIGKILL)
        s.wait(lambda: s.status()["helpers"]["engine"]["pid"] not in (0, pid))
        s.wait_model()
        again = c.events(c.send("complete", prompt="Hello", params=params))
        assert not broken.exists()
        assert "engine_restarted" in [e.get("code") for e in again]
        assert again[-1]["event"] == "done", again[-1]
        assert text_of(again) == text_of(whole)
        assert again[-1]["output_tokens"] == 60
        assert ids_of(s, again[-1]["reply"]) == ids_of(s, whole[-1]["reply"])
