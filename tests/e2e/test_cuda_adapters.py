# SPDX-License-Identifier: Apache-2.0
"""Adapters on the CUDA backend: their kernels, and the engine with a module
that is built for the CPU, with the stand-in of tests/cuda-host."""
import os

import pytest

import cuda_host
import lora_random
import neox_random
from cuda_host import (
    CUDA as SOURCES, HOST, SEEDS, Programs, passes, registers, run)
from engine_client import Engine
from service import SANITIZED

if cuda_host.CXX is None:
    pytest.skip("there is no g++", allow_module_level=True)
ADAPT = [SOURCES / "adapt.cu", HOST / "adapt_test.cpp"]

NAMES = ("erf64", "sequential80")       # with the parallel residual, without
CUDA = ("--device", "cuda:0", "--kv-tokens", 2048)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The models, and of each the folders of two adapters."""
    if SANITIZED:
        pytest.skip("a module without a sanitizer does not fit to this build")
    top = tmp_path_factory.mktemp("cuda-adapters")
    cuda_host.module(top)
    os.environ["CHATD_MODULES"] = str(top)
    yield {name: (
        neox_random.write(top / name, name),
        [("one", lora_random.write(top / (name + "-one"), name)),
         ("two", lora_random.write(
             top / (name + "-two"), name, seed=2, rank=17, alpha=10,
             targets=["dense_4h_to_h", "query_key_value"]))])
        for name in NAMES}
    del os.environ["CHATD_MODULES"]


def engine(made, name, *args, adapters=True):
    model, folders = made[name]
    more = [x for pair in folders if adapters
            for x in ("--adapter", "%s=%s" % pair)]
    return Engine("--model", model, *more, *args)


def logits(e, adapter, ids):
    done = e.ask("score", ids=ids, logits="last", adapter=adapter)
    assert done["event"] == "done", done
    return done["logits"]


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_logits_are_those_of_the_cpu(made, name, precision):
    ids = neox_random.ids(name)[:40]
    with engine(made, name, "--precision", "fp32") as cpu, \
            engine(made, name, "--precision", precision, *CUDA) as e, \
            engine(made, name, "--precision", precision, *CUDA,
                   adapters=False) as plain:
        assert [a["name"] for a in e.first["model"]["adapters"]] == \
            ["one", "two"]
        base = logits(cpu, "", ids)
        limit = 0.05 * (max(base) - min(base))
        for adapter in "", "one", "two":
            want, got = logits(cpu, adapter, ids), logits(e, adapter, ids)
            assert max(abs(a - b) for a, b in zip(want, got)) < limit
            if adapter:
                assert max(abs(a - b) for a, b in zip(want, base)) > 3 * limit
        assert logits(e, "", ids) == logits(plain, "", ids)


@pytest.mark.parametrize("name", NAMES)
def test_mixed_steps_give_what_each_reply_has_alone(made, name):
    jobs = [(["", "one", "two"][i % 3], neox_random.ids(name)[i:i + 9 + 5 * i])
            for i in range(7)]

    def ask(e, i):
        adapter, ids = jobs[i]
        return e.send("generate", ids=ids, group=i, params={
            "temperature": 0.8, "seed": i, "max_tokens": 6,
            "ignore_eos": True, "adapter": adapter})

    def all_of(e, sent):
        done = e.until_done(*sent)
        return [done[n][-1]["ids"] for n in sent]

    with engine(made, name, *CUDA, "--batch-tokens", 24) as e:
        alone = [all_of(e, [ask(e, i)])[0] for i in range(len(jobs))]
        assert len({tuple(x) for x in alone}) == len(jobs)
        assert all_of(e, [ask(e, i) for i in range(len(jobs))]) == alone
    with engine(made, name, *CUDA, adapters=False) as e:
        assert [all_of(e, [ask(e, i)])[0] for i in range(0, len(jobs), 3)] \
            == alone[::3]


@pytest.mark.parametrize("fail, code, what", [
    ("cudaMalloc 4", "no_memory", "memory for the adapters"),
    ("cudaMemcpy 1", "no_device", "loading the adapters")])
def test_failures_while_they_load(made, monkeypatch, fail, code, what):
    monkeypatch.setenv("SIMT_FAIL", fail)
    with engine(made, "erf64", *CUDA) as e:
        assert (e.first["event"], e.first["code"]) == ("error", code)
        assert e.first["message"].startswith("cuda:0: %s: " % what)


def test_they_are_a_part_of_the_memory_that_is_needed(made, monkeypatch,
                                                      tmp_path):
    """A model that fits alone, and not with an adapter of a large rank."""
    model = made["erf64"][0]
    large = lora_random.write(tmp_path / "large", "erf64", rank=256)
    monkeypatch.setenv("SIMT_MEMORY", str(6 << 20))
    args = ["--model", model, "--device", "cuda:0", "--kv-tokens", 128]
    with Engine(*args) as e:
        assert e.first["event"] == "ready", e.first
    with Engine(*args, "--adapter", "large=%s" % large) as e:
        assert e.first["code"] == "no_memory", e.first
        assert ": needs " in e.first["message"]


# ---- the kernels

@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cuda"), {"adapt": ADAPT},
                    ["plain", "asan", "tsan"])


@pytest.mark.parametrize("order", ("forward", "reversed", *SEEDS[:3]))
def test_kernels(programs, order):
    passes(programs["adapt", "plain"], order)


@pytest.mark.parametrize("order", SEEDS)
def test_kernels_in_random_orders(programs, order):
    status, out = run(programs["adapt", "plain"], "races", order=order)
    assert status == 0, out


def test_kernels_with_sanitizers(programs):
    passes(programs["adapt", "asan"], "forward")


def test_no_warp_races_with_another(programs):
    status, out = run(programs["adapt", "tsan"], "races")
    if "unexpected memory mapping" in out:
        pytest.skip("TSan does not run on this machine")
    assert status == 0 and "WARNING" not in out, out


DEFECTS = {
    "rows of others": ("if (own[k] == own[i])", "if (true)"),
    "an odd K": ("if (k + 1 < d.K)", "if (true)"),
    "the rank of the widest": ("r >= ldg(&d.pair[own - 1].rank)",
                               "r >= d.ldz"),
    "twice, for two rows": ("before == 0 &&", "before < 2 &&"),
    "the first row's z": ("ldg(z + (size_t)i *", "ldg(z + (size_t)0 *"),
    "the padding is not written": ("if (n >= Kp)", "if (n >= g.N)"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(tmp_path, programs, name):
    right, wrong = DEFECTS[name]
    text = ADAPT[0].read_text(encoding="utf-8")
    assert text.count(right) == 1
    planted = tmp_path / "adapt.cu"
    planted.write_text(text.replace(right, wrong), encoding="utf-8")
    built = Programs(tmp_path, {"planted": [planted, ADAPT[1]]}, ["plain"],
                     programs)
    status, out = run(built["planted", "plain"], order="forward")
    # 86: the stand-in itself has found an address out of range
    assert status in (1, 86) and " 0 failures" not in out, out


@pytest.mark.skipif(cuda_host.NVCC is None, reason="there is no nvcc")
@pytest.mark.parametrize("arch", ("sm_80", "sm_90"))
def test_no_kernel_spills_registers(tmp_path, arch):
    found = registers(ADAPT[0], arch, tmp_path)
    assert len(found) == 5
    # two blocks in a multiprocessor
    assert [v for v in found.values() if v[1] or v[0] > 128] == []
