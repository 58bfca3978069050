# SPDX-License-Identifier: Apache-2.0
"""chatd-engine: start, tokens, scores and replies."""
import json
import os
import signal
import struct
import subprocess

import pytest

from engine_client import (
    CONTEXT, ENGINE, EXPECTED, Engine, SAMPLED, SRC, TINY, VOCAB, WAIT,
    check_whole, copy_model, greedy, pieces, start)

MINI = SRC / "engine/mini"
MINI_EXPECTED = SRC / "tests/data/mini-expected.json"
LOGIT_LIMIT = 1e-4  # fp32, as tests/data/neox-tiny/README.md suggests


@pytest.fixture(scope="module")
def engine():
    with start() as e:
        assert e.first["event"] == "ready", e.first
        yield e


def read_npy(path):
    """Rows of a two-dimensional float32 array."""
    data = path.read_bytes()
    start_of_data = 10 + struct.unpack("<H", data[8:10])[0]
    head = data[10:start_of_data].decode()
    assert "'<f4'" in head and "False" in head
    flat = struct.unpack("<%df" % ((len(data) - start_of_data) // 4),
                         data[start_of_data:])
    return [flat[i:i + VOCAB] for i in range(0, len(flat), VOCAB)]


# -- start

def test_ready_comes_first_and_says_what_is_loaded(engine):
    model = engine.first["model"]
    assert engine.first["protocol"] == 1
    assert model["path"] == str(TINY)
    assert model["name"] == "neox-tiny"
    assert model["digest"].startswith("sha256:")
    assert len(model["digest"]) == 7 + 64
    assert (model["precision"], model["device"]) == ("fp32", "cpu")
    assert (model["context"], model["vocab"], model["layers"]) == (96, 320, 2)
    assert model["parameters"] == 116288
    assert model["threads"] == 1
    assert (model["kv_precision"], model["kv_tokens"]) == ("fp32", 4 * 96)
    # keys and values of two layers of 64 channels
    assert model["kv_bytes"] == 4 * 96 * 2 * 2 * 64 * 4


def test_loading_shows_progress(engine):
    first, last = engine.progress[0], engine.progress[-1]
    assert last["bytes"] == last["bytes_total"] > 0
    assert first["bytes"] <= last["bytes"]


def test_init_starts_it_too():
    init = {"model": str(TINY), "precision": "fp32", "device": "cpu",
            "isa": "auto", "threads": 1, "context": 64, "kv_tokens": 0,
            "batch_tokens": 8}
    with Engine(init=init) as e:
        assert e.first["event"] == "ready"
        assert e.first["model"]["context"] == 64
        assert e.ask("ping") == {"event": "done", "id": 1}
        assert e.finish() == (0, [])


@pytest.mark.parametrize("init, code", [
    ({"model": "/nonexistent"}, "bad_model"),
    ({"model": str(TINY), "precision": "int3"}, None),
    ({"model": str(TINY), "kv_precision": "int4"}, "bad_field"),
    ({"model": str(TINY), "precision": "int8", "kv_precision": "fp32"},
     "bad_field"),
    ({"model": str(TINY), "kv_precision": 8}, "bad_field"),
    ({"model": str(TINY), "device": "abacus"}, None),
    ({"model": str(TINY), "context": 97}, "bad_field"),
    ({"model": str(TINY), "context": -1}, "bad_field"),
    ({"model": str(TINY), "colour": 1}, "bad_field"),
    ({"op": "ping", "model": str(TINY)}, "bad_field"),
    ({}, "bad_field"),
])
def test_a_failed_start_gives_the_reason_and_exits(init, code):
    with Engine(init=init) as e:
        assert e.first["event"] == "error"
        assert "id" not in e.first
        assert e.first["message"]
        if code is not None:
            assert e.first["code"] == code
        assert e.finish() == (1, [])


def test_a_broken_tokenizer_is_named(tmp_path):
    model = copy_model(tmp_path / "m")
    (model / "tokenizer.json").write_text("{}")
    with start(model) as e:
        assert e.first["code"] == "bad_model"
        assert "tokenizer.json" in e.first["message"]


def test_options_help_and_version():
    def run(*args):
        return subprocess.run([ENGINE, *args], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
    assert run("--help").returncode == 0
    assert "--model PATH" in run("--help").stdout
    assert run("--version").stdout.startswith("chatd-engine ")
    for bad in (["--nonsense"], ["--threads", "x"], ["--context", "-1"],
                ["stray"]):
        r = run(*bad)
        assert r.returncode == 2
        assert r.stdout == "" and "--help" in r.stderr


def test_no_input_and_no_model_is_a_quiet_end():
    r = subprocess.run([ENGINE], stdin=subprocess.DEVNULL, check=False,
                       capture_output=True)
    assert (r.returncode, r.stdout) == (0, b"")


def test_the_end_of_input_finishes_running_requests():
    with start() as e:
        e.send("generate", ids=[66], params={"max_tokens": 20})
        e.send("score", ids=[66, 67])
        paused = e.send("generate", ids=[67], params={"max_tokens": 20})
        e.send("pause", request=paused)
        status, rest = e.finish()
        done = {r["id"]: r for r in rest if r["event"] == "done"}
        assert status == 0
        assert done[1]["output_tokens"] > 0
        assert len(done[2]["logprobs"]) == 2
        assert done[paused]["stop"] == "cancelled"


def test_signals_end_it_by_hand_but_not_under_chatd():
    with start() as e:
        e.process.send_signal(signal.SIGTERM)
        assert e.process.wait(WAIT) == -signal.SIGTERM
    with Engine(init={"model": str(TINY), "precision": "fp32"}) as e:
        e.process.send_signal(signal.SIGTERM)
        e.process.send_signal(signal.SIGINT)
        e.process.send_signal(signal.SIGHUP)
        assert e.ask("ping")["event"] == "done"
        assert e.finish() == (0, [])


def test_a_reader_that_goes_away_ends_it():
    with start() as e:
        e.send("generate", ids=[66], params={"max_tokens": 90})
        e.process.stdout.close()
        try:
            e.send("ping")
        except BrokenPipeError:
            pass        # the engine has ended already
        assert e.process.wait(WAIT) == 0
        e.process.stdout = open(os.devnull, "rb")
        e.process.stdin = open(os.devnull, "wb")


# -- text and ids

@pytest.mark.parametrize("seq", [
    s for s in EXPECTED["sequences"] if s["text"] is not None],
    ids=lambda s: repr(s["text"][:12]))
def test_tokenize_and_back(engine, seq):
    assert engine.ask("tokenize", text=seq["text"])["ids"] == seq["ids"]
    assert engine.ask("detokenize", ids=seq["ids"])["text"] == seq["text"]


def test_user_text_holds_no_special_tokens(engine):
    assert engine.ask("tokenize", text="<|endoftext|>")["ids"] == [0]
    done = engine.ask("generate", prompt="<|endoftext|>",
                      params={"max_tokens": 1})
    assert done["prompt_tokens"] > 5


# -- scores

@pytest.mark.parametrize("number", range(len(EXPECTED["sequences"])))
def test_scores_equal_the_reference(engine, number):
    seq = EXPECTED["sequences"][number]
    rows = read_npy(TINY / EXPECTED["logits"])
    rows = rows[seq["first_row"]:seq["first_row"] + seq["rows"]]
    every = engine.ask("score", ids=seq["ids"], logits="all")
    assert len(every["logits"]) == len(rows)
    worst = max(abs(a - b) for got, want in zip(every["logits"], rows)
                for a, b in zip(got, want, strict=True))
    assert worst <= LOGIT_LIMIT
    assert every["logprobs"][0] is None
    for got, want in zip(every["logprobs"][1:], seq["logprob_of_next"],
                         strict=True):
        assert abs(got - want) <= LOGIT_LIMIT
    last = engine.ask("score", ids=seq["ids"], logits="last")
    assert last["logits"] == every["logits"][-1]
    assert last["logprobs"] == every["logprobs"]
    none = engine.ask("score", ids=seq["ids"])
    assert none["logprobs"] == every["logprobs"] and "logits" not in none


def test_the_end_of_a_text_is_scored_alike(engine):
    """With "from", the tokens before are not scored, and come from the cache
    if they are there."""
    ids = [i % 200 + 3 for i in range(90)]
    want = engine.ask("score", ids=ids, group=1)["logprobs"]
    for first in (0, 1, 31, 32, 33, 70, 89):
        for _ in range(2):
            before = engine.ask("stats")["tokens_reused"]
            got = engine.ask("score", ids=ids, **{"from": first}, group=1)
            assert got["logprobs"] == want[first:], first
            reused = engine.ask("stats")["tokens_reused"] - before
            assert reused == max(first - 1, 0) // 32 * 32
    last = engine.ask("score", ids=ids, logits="last", **{"from": 70})
    every = engine.ask("score", ids=ids, logits="all", **{"from": 70})
    assert last["logits"] == every["logits"][-1] and len(every["logits"]) == 90
    assert last["logprobs"] == every["logprobs"] == want[70:]
    refused = engine.ask("score", ids=ids, **{"from": 90})
    assert refused["code"] == "bad_field" and refused["field"] == "from"


def test_bf16_finds_the_best_token_where_it_is_clear():
    rows = read_npy(TINY / EXPECTED["logits"])
    clear = found = 0
    with start(TINY, "--precision", "bf16") as e:
        for seq in EXPECTED["sequences"]:
            got = e.ask("score", ids=seq["ids"], logits="all")["logits"]
            for row, want in zip(got, rows[seq["first_row"]:]):
                best, second = sorted(want)[:-3:-1]
                if best - second > 0.05:
                    clear += 1
                    found += row.index(max(row)) == want.index(best)
    assert clear > 90
    assert found >= 0.99 * clear


def test_logits_are_floats_that_come_back_exactly(engine):
    for v in engine.ask("score", ids=[66], logits="last")["logits"]:
        single = struct.unpack("<f", struct.pack("<f", v))[0]
        assert float("%.9g" % single) == v


def test_exact_gelu_is_another_function(tmp_path):
    model = copy_model(tmp_path / "gelu")
    (model / "config.json").write_bytes(
        (TINY / "config.gelu.json").read_bytes())
    expected = json.loads((TINY / "expected-gelu.json").read_text())
    rows = read_npy(TINY / expected["logits"])
    with start(model) as e:
        for seq in expected["sequences"]:
            got = e.ask("score", ids=seq["ids"], logits="all")["logits"]
            want = rows[seq["first_row"]:seq["first_row"] + seq["rows"]]
            worst = max(abs(a - b) for g, w in zip(got, want, strict=True)
                        for a, b in zip(g, w, strict=True))
            assert worst <= LOGIT_LIMIT


# -- generation

@pytest.mark.parametrize("number", range(len(EXPECTED["sequences"])))
def test_greedy_continuations_equal_the_reference(engine, number):
    seq = EXPECTED["sequences"][number]
    done = check_whole(engine.generate(
        ids=seq["ids"], params=greedy(len(seq["greedy"]))))
    assert done["ids"] == seq["greedy"]
    assert done["stop"] == "length"


@pytest.mark.skipif(not MINI_EXPECTED.exists(),
                    reason="no tests/data/mini-expected.json")
@pytest.mark.skipif(not (MINI / "model.safetensors").exists(),
                    reason="no engine/mini/model.safetensors")
def test_the_demonstration_model_continues_as_expected():
    with start(MINI) as e:
        for case in json.loads(MINI_EXPECTED.read_text()):
            ids = e.ask("tokenize", text=case["prompt"])["ids"]
            assert ids == case["ids"]
            done = e.ask("generate", prompt=case["prompt"],
                         params=greedy(len(case["greedy"])))
            assert done["ids"] == case["greedy"]
            assert done["text"] == case["text"]


def test_two_at_once_give_what_each_gives_alone(engine):
    requests = [{"ids": s["ids"], "params": {**SAMPLED, "seed": i}}
                for i, s in enumerate(EXPECTED["sequences"])]
    alone = [check_whole(engine.generate(**r)) for r in requests]
    idents = [engine.send("generate", **r) for r in requests]
    order = []
    got = {i: [] for i in idents}
    while any(not e or e[-1]["event"] != "done" for e in got.values()):
        event = engine.event()
        got[event["id"]].append(event)
        if event["event"] == "text":
            order.append(event["id"])
    for ident, want in zip(idents, alone):
        done = check_whole(got[ident])
        assert {**done, "id": 0} == {**want, "id": 0}
    switches = sum(a != b for a, b in zip(order, order[1:]))
    assert switches > 2 * len(idents)       # they did run side by side


def test_seeds_decide_and_repeat(engine):
    def ids(seed):
        return engine.ask("generate", ids=[66], params={
            **SAMPLED, "seed": seed})["ids"]
    assert ids(1) == ids(1)
    assert ids(1) != ids(2)


def test_small_steps_change_nothing(engine):
    request = {"ids": EXPECTED["sequences"][8]["ids"], "params": SAMPLED}
    want = engine.generate(**request)[-1]["ids"]
    with start(TINY, "--batch-tokens", "3", "--kv-tokens", "96") as e:
        assert e.generate(**request)[-1]["ids"] == want


def test_a_reply_continues_after_any_token(engine):
    request = {"messages": [{"role": "human", "text": "Hello!"}],
               "params": SAMPLED}
    whole = engine.generate(**request)
    want = check_whole(whole)
    texts = [e for e in whole if e["event"] == "text"]
    head_text, head_ids = "", []
    for cut in range(len(texts) + 1):
        events = engine.generate(**request, resume=head_ids)
        text, ids = pieces(events)
        assert head_ids + ids == want["ids"]
        assert head_text + text == want["text"]
        assert {**events[-1], "id": 0} == {**want, "id": 0}
        if cut < len(texts):
            head_text += texts[cut]["text"]
            head_ids = head_ids + texts[cut]["ids"]


def test_a_killed_engine_s_reply_goes_on_in_another():
    request = {"messages": [{"role": "human", "text": "Hi"}],
               "params": {**SAMPLED, "max_tokens": 60}}
    with start() as e:
        want = check_whole(e.generate(**request))
    for cut in (1, 7, 40):
        text, ids = "", []
        with start() as e:
            e.send("generate", **request)
            while len(ids) < cut:
                event = e.event()
                text += event.get("text", "")
                ids += event.get("ids", [])
            e.process.kill()
        with start(TINY, "--threads", "2", "--batch-tokens", "5") as e:
            events = e.generate(**request, resume=ids)
        more, rest = pieces(events)
        assert ids + rest == want["ids"]
        assert text + more == want["text"] == events[-1]["text"]


@pytest.mark.parametrize("precision, kv", [
    ("fp32", "auto"), ("bf16", "auto"), ("bf16", "int8"), ("int4", "int8")])
def test_replies_do_not_depend_on_threads_or_steps(precision, kv):
    requests = [{"ids": s["ids"], "params": {**SAMPLED, "seed": i}}
                for i, s in enumerate(EXPECTED["sequences"])]
    seen = set()
    for args in (["--threads", "1"], ["--threads", "3"],
                 ["--threads", "1", "--isa", "scalar"],
                 ["--threads", "2", "--batch-tokens", "7"]):
        with Engine("--model", TINY, "--precision", precision,
                    "--kv-precision", kv, *args) as e:
            idents = [e.send("generate", **r) for r in requests]
            got = e.until_done(*idents)
            seen.add(json.dumps([got[i][-1]["ids"] for i in idents]))
    assert len(seen) == 1


def test_a_cache_in_int8_says_so_and_replies_its_own_way():
    seq = EXPECTED["sequences"][7]["ids"]
    logits, sizes = [], []
    for kv in "auto", "bf16", "int8":
        with start(TINY, "--precision", "int8", "--kv-precision", kv,
                   "--kv-tokens", "192") as e:
            model, stats = e.first["model"], e.ask("stats")
            assert model["precision"] == \
                ("int8+kv8" if kv == "int8" else "int8")
            assert model["kv_precision"] == stats["kv_precision"] == \
                ("int8" if kv == "int8" else "bf16")
            assert model["kv_bytes"] == stats["kv_bytes"]
            sizes.append(model["kv_bytes"])
            logits.append(e.ask("score", ids=seq, logits="last")["logits"])
    assert logits[0] == logits[1]
    assert 0 < max(abs(a - b) for a, b in zip(*logits[1:])) < 0.5
    # a byte each instead of two, and two scales for a head of 16
    assert sizes[0] == sizes[1] == 192 * 2 * 2 * 64 * 2
    assert sizes[2] == 192 * 2 * 2 * (64 + 4 * 4)


def test_stop_strings_may_lie_across_tokens(engine):
    ids = EXPECTED["sequences"][7]["ids"]
    whole = engine.ask("generate", ids=ids, params=greedy(30))
    text, tried = whole["text"], 0
    for start_of_stop in range(len(text) - 3):
        stop = text[start_of_stop:start_of_stop + 3]
        if "\ufffd" in stop:
            continue
        tried += 1
        done = check_whole(engine.generate(
            ids=ids, params=greedy(30, stop=["never here", stop])))
        assert done["stop"] == "stop"
        assert done["text"] == text[:text.index(stop)]
        assert done["ids"] == whole["ids"][:len(done["ids"])]
    assert tried >= 5


def test_text_of_ids_is_their_detokenization(engine):
    for seq in EXPECTED["sequences"]:
        done = engine.ask("generate", ids=seq["ids"], params=greedy(25))
        ids = [i for i in done["ids"] if i > 1]
        assert done["text"] == engine.ask("detokenize", ids=ids)["text"]


def test_end_of_text_ends_and_is_not_shown(engine):
    seq = EXPECTED["sequences"][2]
    at = seq["greedy"].index(0)
    done = check_whole(engine.generate(ids=seq["ids"], params={
        "temperature": 0, "max_tokens": 30}))
    assert done["stop"] == "end"
    assert done["ids"] == seq["greedy"][:at + 1]
    assert "endoftext" not in done["text"]


def test_lengths(engine):
    for n in (1, 2, 17):
        done = engine.ask("generate", ids=[66], params=greedy(n))
        assert (done["stop"], done["output_tokens"]) == ("length", n)
    done = engine.ask("generate", ids=[66] * 90, params=greedy(96))
    assert (done["stop"], done["output_tokens"]) == ("context", CONTEXT - 90)
    done = engine.ask("generate", ids=[66] * 95, params=greedy(96))
    assert (done["stop"], done["output_tokens"]) == ("context", 1)
    for n in (96, 97, 500):
        error = engine.ask("generate", ids=[66] * n, params=greedy(1))
        assert error["code"] == "context_full"


def test_a_dialogue_is_one_prompt(engine):
    turns = [("human", "one"), ("bot", "two"), ("human", "three")]
    messages = [{"role": r, "text": t} for r, t in turns]
    events = engine.generate(messages=messages, params=greedy(8))
    want = EXPECTED["sequences"][4]
    assert want["text"] == \
        "<human>: one\n<bot>: two\n<human>: three\n<bot>:"
    assert events[0]["prompt_tokens"] == len(want["ids"])
    assert events[0]["dropped"] == 0
    assert events[-1]["ids"] == want["greedy"][:8]


def test_old_turns_are_left_out_of_a_full_context(engine):
    messages = []
    for i in range(8):
        messages += [{"role": "human", "text": "Question %d" % i},
                     {"role": "bot", "text": "Answer %d" % i}]
    messages.append({"role": "human", "text": "Last"})
    events = engine.generate(messages=messages, params=greedy(10))
    done = check_whole(events)
    assert events[0]["dropped"] % 2 == 0 and events[0]["dropped"] > 0
    rest = messages[events[0]["dropped"]:]
    again = engine.generate(messages=rest, params=greedy(10))
    assert again[0]["dropped"] == 0
    assert again[-1]["ids"] == done["ids"]
    error = engine.ask("generate", messages=[
        {"role": "human", "text": "x" * 200}], params=greedy(10))
    assert error["code"] == "context_full"
