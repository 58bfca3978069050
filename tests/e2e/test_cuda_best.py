# SPDX-License-Identifier: Apache-2.0
"""The kernel that finds the largest logits, run on the CPU by tests/cuda-host:
the same ids and bits as a sort, in each order of threads."""
import pytest

from cuda_host import (
    CUDA, CXX, HOST, NVCC, SEEDS, Programs, passes, registers, run)

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
BEST = [CUDA / "best.cu", HOST / "best_test.cpp"]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cuda"), {"best": BEST},
                    ["plain", "asan", "tsan"])


@needs_gxx
@pytest.mark.parametrize("order", ("forward", "reversed", *SEEDS[:3]))
def test_the_largest_are_those_of_a_sort(programs, order):
    passes(programs["best", "plain"], order)


@needs_gxx
@pytest.mark.parametrize("order", SEEDS)
def test_in_random_orders(programs, order):
    status, out = run(programs["best", "plain"], "races", order=order)
    assert status == 0, out


@needs_gxx
def test_with_sanitizers(programs):
    passes(programs["best", "asan"], "forward")


@needs_gxx
def test_no_warp_races_with_another(programs):
    status, out = run(programs["best", "tsan"], "races")
    if "unexpected memory mapping" in out:
        pytest.skip("TSan does not run on this machine")
    assert status == 0 and "WARNING" not in out, out


# Each of these makes a result wrong, or dependent on the order of threads.
DEFECTS = {
    "-0 below 0": ("if (b << 1 == 0)\t/* -0 equals 0 */", "if (false)"),
    "the higher id of two": ("a.id < b.id", "a.id > b.id"),
    "a denormal as if it were normal": ("e == 0 || e == 255", "e == 255"),
    "no second gathering": ("while (n > BEST_ROOM)", "while (n > in.V)"),
    "no barrier before the list is overwritten": (
        "st_shared(count, 0);\n\tSYNC_BLOCK();", "st_shared(count, 0);"),
    "the bound itself is left out": ("if (best_before(bound, v))",
                                     "if (!best_before(v, bound))"),
    "the next row's penalties": ("(size_t)seen * (size_t)best_words(b.V)",
                                 "(size_t)seen * (size_t)(b.V / 32)"),
}


@needs_gxx
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(tmp_path, programs, name):
    right, wrong = DEFECTS[name]
    text = BEST[0].read_text(encoding="utf-8")
    assert text.count(right) == 1
    planted = tmp_path / "best.cu"
    planted.write_text(text.replace(right, wrong), encoding="utf-8")
    built = Programs(tmp_path, {"planted": [planted, BEST[1]]}, ["plain"],
                     programs)
    for order in ("forward", *SEEDS):
        status, out = run(built["planted", "plain"], "races" if order in SEEDS
                          else "all", order=order)
        if status:
            break
    # 86: the stand-in itself has found an address out of range
    assert status in (1, 86) and " 0 failures" not in out, out


@needs_nvcc
@pytest.mark.parametrize("arch", ("sm_80", "sm_90"))
def test_no_kernel_spills_registers(tmp_path, arch):
    found = registers(CUDA / "best.cu", arch, tmp_path)
    assert len(found) == 2
    # two blocks in a multiprocessor
    assert [v for v in found.values() if v[1] or v[0] > 64] == []
