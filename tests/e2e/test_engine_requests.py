# SPDX-License-Identifier: Apache-2.0
"""chatd-engine: requests during other requests, and requests with faults."""
import json
import struct

import pytest

from engine_client import (
    copy_model, Engine, greedy, MINI, start)


@pytest.fixture(scope="module")
def engine():
    with start() as e:
        assert e.first["event"] == "ready", e.first
        yield e


# -- while it runs

def test_cancel_ends_with_the_text_so_far(engine):
    want = engine.ask("generate", ids=[66], params=greedy(95))["ids"]
    ident = engine.send("generate", ids=[66], params=greedy(95))
    event = engine.event()
    while event["event"] != "text":
        event = engine.event()
    cancel = engine.send("cancel", request=ident)
    got = engine.until_done(ident, cancel)
    done = got[ident][-1]
    assert got[cancel] == [{"event": "done", "id": cancel}]
    # It may have been over by the time the line was read.
    assert done["stop"] in ("cancelled", "length")
    assert done["ids"] == want[:len(done["ids"])]
    assert engine.ask("cancel", request=ident)["event"] == "done"
    assert engine.ask("cancel", request=1 << 50)["event"] == "done"


def test_cancel_before_the_first_step(engine):
    ident, cancel = engine.next_id, engine.next_id + 1
    engine.next_id += 2
    engine.raw(b'{"op":"generate","id":%d,"ids":[66]}\n'
               b'{"op":"cancel","id":%d,"request":%d}\n'
               % (ident, cancel, ident))
    got = engine.until_done(ident, cancel)
    assert got[ident][-1]["stop"] == "cancelled"


def test_pause_holds_and_continue_goes_on(engine):
    want = engine.ask("generate", ids=[67], params=greedy(95))["ids"]
    ident, pause = engine.next_id, engine.next_id + 1
    engine.next_id += 2
    # in one piece, or the reply may be done before it is paused
    engine.raw(b"".join(json.dumps(m).encode() + b"\n" for m in (
        {"op": "generate", "id": ident, "ids": [67], "params": greedy(95)},
        {"op": "pause", "id": pause, "request": ident})))
    assert engine.until_done(pause)[pause][-1]["event"] == "done"
    held = engine.send("generate", ids=[68], params=greedy(20))
    while (event := engine.event())["event"] != "done":
        assert event["id"] == held      # no event of the other
    engine.send("continue", request=ident)
    assert engine.until_done(ident)[ident][-1]["ids"] == want


def test_stats_come_back_to_rest(engine):
    before = engine.ask("stats")
    engine.ask("generate", ids=[66, 67, 68], params=greedy(10))
    after = engine.ask("stats")
    assert after["running"] == after["waiting"] == 0
    assert after["kv_blocks_free"] == after["kv_blocks"] > 0
    assert after["tokens_prompt"] == before["tokens_prompt"] + 3
    assert after["tokens_output"] == before["tokens_output"] + 10
    assert after["steps"] > before["steps"]


# -- requests with faults

@pytest.mark.parametrize("op, fields, field", [
    ("nonsense", {}, "op"),
    ("init", {"model": "x"}, "op"),
    ("ping", {"extra": 1}, "extra"),
    ("tokenize", {}, "text"),
    ("tokenize", {"text": 5}, "text"),
    ("tokenize", {"text": "a", "more": 1}, "more"),
    ("detokenize", {"ids": "a"}, "ids"),
    ("detokenize", {"ids": [320]}, "ids"),
    ("detokenize", {"ids": [-1]}, "ids"),
    ("detokenize", {"ids": [1.5]}, "ids"),
    ("score", {"ids": []}, "ids"),
    ("score", {"ids": [66] * 97}, "ids"),
    ("score", {"ids": [66], "logits": "some"}, "logits"),
    ("generate", {}, "messages"),
    ("generate", {"prompt": "a", "ids": [1]}, "messages"),
    ("generate", {"prompt": ""}, "prompt"),
    ("generate", {"prompt": "a", "preprompt": "b"}, "preprompt"),
    ("generate", {"ids": [320]}, "ids"),
    ("generate", {"messages": []}, "messages"),
    ("generate", {"messages": ["a"]}, "messages"),
    ("generate", {"messages": [{"role": "bot", "text": "a"}]}, "messages"),
    ("generate", {"messages": [{"role": "cat", "text": "a"}]}, "role"),
    ("generate", {"messages": [{"role": "human"}]}, "text"),
    ("generate", {"messages": [{"role": "human", "text": "a", "x": 1}]},
     "x"),
    ("generate", {"ids": [66], "resume": [320]}, "resume"),
    ("generate", {"ids": [66], "resume": [0, 66]}, "resume"),
    ("generate", {"ids": [66], "resume": "a"}, "resume"),
    ("cancel", {}, "request"),
    ("pause", {"request": "a"}, "request"),
])
def test_bad_requests_name_the_field(engine, op, fields, field):
    error = engine.ask(op, **fields)
    assert error["event"] == "error"
    assert (error["code"], error["field"]) == ("bad_field", field)
    assert error["message"]


@pytest.mark.parametrize("params, field", [
    ({"temperature": -0.1}, "temperature"), ({"temperature": 2.1},
                                             "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_k": -1}, "top_k"), ({"top_k": 321}, "top_k"),
    ({"top_k": 1.5}, "top_k"),
    ({"top_p": -0.1}, "top_p"), ({"top_p": 1.1}, "top_p"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"repetition_penalty": 11}, "repetition_penalty"),
    ({"seed": -1}, "seed"), ({"seed": 1 << 53}, "seed"),
    ({"max_tokens": 0}, "max_tokens"), ({"max_tokens": 97}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1 << 31}, "max_tokens"),
    ({"stop": "a"}, "stop"), ({"stop": [""]}, "stop"),
    ({"stop": ["a" * 65]}, "stop"), ({"stop": ["a"] * 9}, "stop"),
    ({"stop": [1]}, "stop"),
    ({"ignore_eos": 1}, "ignore_eos"), ({"best_of": 2}, "best_of"),
])
def test_bad_parameters_name_the_field(engine, params, field):
    error = engine.ask("generate", ids=[66], params=params)
    assert (error["code"], error["field"]) == ("bad_field", field)


@pytest.mark.parametrize("line, code", [
    (b"garbage", "bad_json"), (b"", "bad_json"), (b"[]", "bad_json"),
    (b"{", "bad_json"), (b'{"op":"ping","op":"ping","id":1}', "bad_json"),
    (b'{"op":"tokenize","id":1,"text":"\\u0000"}', "bad_json"),
    (b'{"op":"tokenize","id":1,"text":"\xff"}', "bad_json"),
    (b'{"op":"ping","id":1,"x":NaN}', "bad_json"),
    (b'{"a":' * 40 + b"1" + b"}" * 40, "bad_json"),
    (b'{"op":"ping"}', "bad_field"),
    (b'{"op":"ping","id":-1}', "bad_field"),
    (b'{"op":"ping","id":9007199254740992}', "bad_field"),
    (b'{"op":"ping","id":"1"}', "bad_field"),
    (b'{"id":1}', "bad_field"),
])
def test_garbage_costs_its_line_only(engine, line, code):
    engine.raw(line + b"\n")
    error = engine.event()
    assert (error["event"], error["code"]) == ("error", code)
    assert engine.ask("ping")["event"] == "done"


def test_lines_may_come_in_pieces(engine):
    ident = engine.next_id
    engine.next_id += 1
    line = b'{"op":"tokenize","id":%d,"text":"caf\xc3\xa9"}\n' % ident
    for i in range(len(line)):
        engine.raw(line[i:i + 1])
    assert engine.event()["id"] == ident


def test_an_id_in_use_is_refused(engine):
    ident = engine.next_id
    engine.next_id += 1
    line = b'{"op":"generate","id":%d,"ids":[66]}\n' % ident
    engine.raw(line * 2)
    first = engine.until_done(ident)[ident]
    second = engine.until_done(ident)[ident]
    ends = [first[-1], second[-1]]
    assert sorted(e["event"] for e in ends) == ["done", "error"]
    error = next(e for e in ends if e["event"] == "error")
    assert (error["code"], error["field"]) == ("bad_field", "id")


def test_a_full_queue_is_busy(engine):
    count = 400
    first = engine.next_id
    engine.next_id += count
    engine.raw(b"".join(
        b'{"op":"generate","id":%d,"ids":[66],"params":{"max_tokens":1}}\n'
        % i for i in range(first, first + count)))
    got = engine.until_done(*range(first, first + count))
    ends = [e[-1] for e in got.values()]
    busy = [e for e in ends if e["event"] == "error"]
    assert all(e["code"] == "busy" for e in busy)
    assert len(busy) < count - 200
    assert engine.ask("stats")["running"] == 0


def test_nan_in_weights_is_reported_at_the_start(tmp_path):
    model = copy_model(tmp_path / "nan")
    data = bytearray((model / "model.safetensors").read_bytes())
    size = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + size])
    at = 8 + size + head["gpt_neox.final_layer_norm.weight"][
        "data_offsets"][0]
    data[at:at + 2] = b"\x00\x7e"       # NaN in float16
    (model / "model.safetensors").write_bytes(data)
    with start(model) as e:
        assert e.first["event"] == "error"
        assert e.first["code"] == "bad_model"
        assert ("gpt_neox.final_layer_norm.weight: expected finite numbers, "
                "found nan in row 0, column 0") in e.first["message"]


def test_very_long_text_is_refused_or_read(engine):
    ids = engine.ask("tokenize", text="a" * (1 << 20))["ids"]
    assert len(ids) >= 1
    error = engine.ask("tokenize", text="a" * ((1 << 20) + 1))
    assert error["code"] == "too_long"
    error = engine.ask("generate", prompt="a" * (1 << 20))
    assert error["code"] == "context_full"


def test_a_second_turn_computes_only_its_new_tokens():
    """The turns before are in the cache, blocks of 32 tokens."""
    first = [{"role": "human", "text": "Hello, who are you? " * 20}]
    params = {"temperature": 0, "max_tokens": 40}
    with Engine("--model", MINI) as e:
        one = e.generate(messages=first, params=params)[-1]
        before = e.ask("stats")
        second = first + [{"role": "bot", "text": one["text"]},
                          {"role": "human", "text": "And what can you do?"}]
        two = e.generate(messages=second, params=params)[-1]
        after = e.ask("stats")
    reused = after["tokens_reused"] - before["tokens_reused"]
    computed = after["tokens_prompt"] - before["tokens_prompt"]
    assert reused + computed == two["prompt_tokens"]
    assert reused >= (one["prompt_tokens"] - 1) // 32 * 32 > 32
    assert computed < 32 + two["prompt_tokens"] - one["prompt_tokens"]
    with Engine("--model", MINI) as e:      # nothing to take over
        assert e.generate(messages=second, params=params)[-1]["ids"] == \
            two["ids"]
