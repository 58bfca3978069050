# SPDX-License-Identifier: Apache-2.0
"""The CUDA backend on the CPU (tests/cuda-host) under sanitizers: whole steps
of small models, and each kernel's own tests.  AddressSanitizer and
UndefinedBehaviorSanitizer see each byte outside of the rows, pieces and blocks
that a step may touch, ThreadSanitizer two CUDA threads at one address."""
import concurrent.futures
import os
import re

import pytest

from cuda_host import (CUDA, CXX, HOST, MODES, MODULE_C, SRC, Programs, run,
                       tool)

if CXX is None:
    pytest.skip("there is no g++", allow_module_level=True)

MODULE = [*sorted(CUDA.glob("*.cu")), *(SRC / p for p in MODULE_C)]
FORWARD = [HOST / "forward_test.cpp", *MODULE]
CASES = ("fp16", "bf16", "int8", "int4")
WORDS = {"asan": "use-after-poison", "tsan": "data race"}
RACES = "unexpected memory mapping"     # TSan can't run under every kernel

# Faults that only a whole step has: each kernel does what it is told.
FAULTS = {
    "rows after the last have norms": (
        "asan", "n.T = T;", "n.T = T + 8;"),
    "each layer has the cache of the next": (
        "asan", "c->sizes.layer * (size_t)layer;",
        "c->sizes.layer * (size_t)(layer + 1);"),
    "an item has a row too many": (
        "asan", "item[fw->nitems].count = n;",
        "item[fw->nitems].count = n + (n > 1);"),
    "the queries lie where others are still read": (
        "tsan", "a.q = c->work + c->sizes.q;",
        "a.q = c->work + c->sizes.qkv;"),
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("sanitizers"), {
        "forward": FORWARD,
        "norm": [CUDA / "norm.cu", HOST / "norm_test.cpp"],
        "attention": [CUDA / "attention.cu", CUDA / "cuda_rotary.cu",
                      HOST / "attention_test.cpp"],
        "product": [HOST / "product_test.cpp", HOST / "product_case.cpp",
                    CUDA / "product.cu"]}, ["asan", "tsan"])


def side_by_side(program, argss):
    """(status, output) of runs of a program."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return list(pool.map(lambda args: run(program, *args), argss))


def clean(results):
    for status, out in results:
        if RACES in out:
            pytest.skip("TSan does not run on this machine")
        assert status == 0 and "WARNING" not in out, out
        assert re.fullmatch(r"[1-9]\d* checks, 0 failures\n|", out), out


def test_whole_steps_touch_only_what_is_theirs(programs):
    clean(side_by_side(programs["forward", "asan"],
                       [(c, "long") for c in (*CASES, "wide")]))


def test_no_race_in_whole_steps(programs):
    clean(side_by_side(programs["forward", "tsan"],
                       [(c, "short") for c in CASES]))


@pytest.mark.parametrize("name, args", [
    ("norm", []), ("attention", ["small"]), ("product", ["values"])])
def test_each_kernel_touches_only_what_is_its(programs, name, args):
    clean([run(programs[name, "asan"], *args)])


@pytest.mark.parametrize("name", ["norm", "attention", "product"])
def test_no_race_in_a_kernel(programs, name):
    clean([run(programs[name, "tsan"], "races")])


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_a_step_is_found(programs, tmp_path, name):
    mode, right, wrong = FAULTS[name]
    source = CUDA / "cuda_forward.cu"
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1
    planted = tmp_path / source.name
    planted.write_text(text.replace(right, wrong), encoding="utf-8")
    made = programs.compile(planted, "planted-%d" % list(FAULTS).index(name),
                            MODES[mode])
    tool(CXX, *MODES[mode], made,
         *(programs.made[s, mode] for s in FORWARD if s != source),
         *programs.objects, "-o", tmp_path / "planted")
    status, out = run(tmp_path / "planted", "int8",
                      "long" if mode == "asan" else "short")
    if RACES in out:
        pytest.skip("TSan does not run on this machine")
    assert status != 0 and WORDS[mode] in out, (status, out)
