# SPDX-License-Identifier: Apache-2.0
"""Adapters beside the model: what the engine computes with them."""
import os
import struct

import pytest

import lora_random
import neox_random
from engine_client import Engine, greedy

IDS = [i % 300 for i in neox_random.ids("erf64")[:70]]


def engine(model, *args, precision="fp32", adapters=()):
    more = [x for name, path in adapters
            for x in ("--adapter", "%s=%s" % (name, path))]
    return Engine("--model", model, "--precision", precision, *more, *args)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("adapters")
    made = {"top": top}
    for name in ("erf64", "sequential80"):
        made[name] = neox_random.write(top / name, name)
        made[name, "one"] = lora_random.write(top / (name + "-one"), name)
        made[name, "two"] = lora_random.write(
            top / (name + "-two"), name, seed=2, rank=17, alpha=10,
            targets=["dense_4h_to_h", "query_key_value"])
        made[name, "merged"] = lora_random.write_merged(
            top / (name + "-merged"), name)
    return made


def both(folders, name="erf64"):
    return [(a, folders[name, a]) for a in ("one", "two")]


def logits(e, ids=IDS, adapter=None, **more):
    if adapter is not None:
        more["adapter"] = adapter
    done = e.ask("score", ids=ids, logits="last", **more)
    assert done["event"] == "done", done
    return done["logits"]


@pytest.mark.parametrize("name", ["erf64", "sequential80"])
def test_an_adapter_is_the_model_with_merged_weights(folders, name):
    with engine(folders[name], adapters=both(folders, name)) as e, \
            engine(folders[name, "merged"]) as merged, \
            engine(folders[name]) as plain:
        assert e.first["event"] == "ready", e.first
        assert [a["name"] for a in e.first["model"]["adapters"]] == \
            ["one", "two"]
        assert e.first["model"]["adapters"][0]["digest"] == \
            lora_random.digest(folders[name, "one"])
        got, want = logits(e, adapter="one"), logits(merged)
        base = logits(plain)
        assert logits(e) == base and logits(e, adapter="") == base
        # fp32 rounds the merged weights, and sums in another order.
        assert max(abs(a - b) for a, b in zip(got, want)) < 2e-4
        assert max(abs(a - b) for a, b in zip(got, base)) > 0.5
        text = [x.ask("generate", ids=IDS, params=greedy(40, **p))["ids"]
                for x, p in ((e, {"adapter": "one"}), (merged, {}),
                             (plain, {}), (e, {}))]
        assert text[0] == text[1] != text[2] == text[3]


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
@pytest.mark.parametrize("name", ["erf64", "sequential80"])
def test_mixed_steps_give_what_each_reply_has_alone(folders, name, precision):
    jobs = [(["", "one", "two"][i % 3], neox_random.ids(name)[i:i + 37 + i])
            for i in range(12)]

    def ask(e, adapter, ids, i):
        return e.send("generate", ids=ids, group=i, params={
            "temperature": 0.8, "seed": i, "max_tokens": 25,
            "ignore_eos": True, "adapter": adapter})

    with engine(folders[name], "--threads", 1, "--batch-tokens", 64,
                adapters=both(folders, name), precision=precision) as e:
        alone = [e.until_done(n)[n][-1]["ids"] for n in (
            ask(e, a, ids, i) for i, (a, ids) in enumerate(jobs))]
    assert len({tuple(x) for x in alone}) == len(jobs)
    for args in ((), ("--isa", "scalar"), ("--batch-tokens", 7)):
        with engine(folders[name], *args, adapters=both(folders, name),
                    precision=precision) as e:
            sent = [ask(e, a, ids, i) for i, (a, ids) in enumerate(jobs)]
            got = e.until_done(*sent)
        assert [got[n][-1]["ids"] for n in sent] == alone


def test_the_prefix_cache_is_apart_for_each_adapter(folders):
    """An account's own prompt is read again for another adapter, and taken
    from the cache for the same one."""
    ids = IDS + [3]
    with engine(folders["erf64"], adapters=both(folders)) as e:
        want = {a: logits(e, ids, a, group=1) for a in ("", "one", "two")}
    assert len({tuple(x) for x in want.values()}) == 3
    with engine(folders["erf64"], adapters=both(folders)) as e:
        reused = 0
        for again in (0, 64):
            for a in ("", "one", "two"):
                assert logits(e, ids, a, group=1, **{"from": 70}) == want[a]
                now = e.ask("stats")["tokens_reused"]
                assert now - reused == again, (a, again)
                reused = now


def refused(folders, path, name="new"):
    with engine(folders["erf64"], adapters=[(name, path)]) as e:
        assert e.first["event"] == "error", e.first
        return e.first["code"], e.first["message"]


def drop_last(made):
    return made[:-1]


def other_shape(made):
    name, (rows, columns), data = made[1]
    return [made[0], (name, (columns, rows), data), *made[2:]]


def stray(made):
    return made + [("base_model.model.embed_out.lora_A.weight", (1, 1),
                    struct.pack("<f", 0))]


def infinite(made):
    name, shape, data = made[2]
    return [*made[:2], (name, shape, struct.pack("<f", float("inf")) +
                        data[4:]), *made[3:]]


BAD = {
    "no-last": ({"change": drop_last}, "layers.1.mlp.dense_4h_to_h.lora_B."
                "weight: expected this tensor, found none"),
    "shape": ({"change": other_shape}, "layers.0.attention.query_key_value."
              "lora_B.weight: expected the shape [384, 3] for this model, "
              "found [3, 384]"),
    "stray": ({"change": stray}, "base_model.model.embed_out.lora_A.weight: "
              "expected only the tensors of target_modules in the 2 layers"),
    "infinite": ({"change": infinite}, "layers.0.attention.dense.lora_A."
                 "weight: expected finite numbers, found inf as element 0"),
    "target": ({"target_modules": ["embed_in"]}, "target_modules: expected "
               "query_key_value, dense, dense_h_to_4h or dense_4h_to_h, "
               "found embed_in"),
    "no-targets": ({"target_modules": []}, "target_modules: expected a list "
                   "of names, found an empty one"),
    "rank": ({"r": 0}, "r: expected an integer from 1 to 512"),
    "alpha": ({"lora_alpha": "8"}, "lora_alpha: expected a number"),
    "kind": ({"peft_type": "IA3"}, 'peft_type: expected "LORA", found IA3'),
    "bias": ({"bias": "all"}, 'bias: expected "none", found all'),
    "dora": ({"use_dora": True}, "use_dora: expected none"),
    "ranks": ({"rank_pattern": {"dense": 4}}, "rank_pattern: expected none"),
    "base": ({"metadata": {"base_digest": "sha256:12"}}, "was trained on "
             "another model: expected sha256:"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_adapter_is_refused(folders, tmp_path, case):
    change, words = BAD[case]
    path = lora_random.write(tmp_path / "a", "erf64", **change)
    code, message = refused(folders, path)
    assert code == "bad_model" and words in message and str(path) in message


def test_an_adapter_of_another_model_is_refused(folders):
    code, message = refused(folders, folders["sequential80", "one"])
    assert code == "bad_model"
    assert "expected the shape [3, 128] for this model, found [3, 160]" in \
        message


def test_an_adapter_that_others_may_write_is_refused(folders, tmp_path):
    path = lora_random.write(tmp_path / "a", "erf64")
    os.chmod(path / "adapter_model.safetensors", 0o666)
    code, message = refused(folders, path)
    assert code == "bad_model" and "adapter_model.safetensors" in message
    os.chmod(path / "adapter_model.safetensors", 0o644)
    os.chmod(path, 0o777)
    assert str(path) in refused(folders, path)[1]


def test_a_missing_file_and_a_bad_name_are_refused(folders, tmp_path):
    path = lora_random.write(tmp_path / "a", "erf64")
    assert "other than base" in refused(folders, path, "base")[1]
    (path / "adapter_config.json").unlink()
    assert "adapter_config.json: No such file" in refused(folders, path)[1]


def test_an_unknown_name_is_refused_with_the_known_ones(folders):
    with engine(folders["erf64"], adapters=both(folders)) as e:
        for op, more in (("generate", {"params": {"adapter": "three"}}),
                         ("score", {"adapter": "three"})):
            error = e.ask(op, ids=IDS, **more)
            assert (error["code"], error["field"]) == ("bad_field", "adapter")
            assert "one, two" in error["message"]
            assert "three" in error["message"]


def test_a_gpu_refuses_adapters_at_load(folders):
    with engine(folders["erf64"], "--device", "cuda:0",
                adapters=both(folders)) as e:
        assert e.first["code"] == "no_device", e.first
    with engine(folders["erf64"], "--device", "auto",
                adapters=both(folders)) as e:
        assert e.first["model"]["device"] == "cpu"
