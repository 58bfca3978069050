# SPDX-License-Identifier: Apache-2.0
"""tests/data/cuda-count.json has what the CUDA kernels do, counted on the CPU
for GPT-NeoX-20B; the figures hold their bars and chatd-gpu(7) has them."""
import copy
import importlib.machinery
import importlib.util
import json

import pytest

from cuda_host import CXX, SRC

loader = importlib.machinery.SourceFileLoader(
    "cuda_count", str(SRC / "tests/bench/cuda-count"))
bench = importlib.util.module_from_spec(
    importlib.util.spec_from_loader("cuda_count", loader))
loader.exec_module(bench)

TABLE = json.loads(bench.TABLE.read_text(encoding="utf-8"))
needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
every = pytest.mark.parametrize("elem, cache, T", [
    (e, k, T) for e in bench.ELEMS for k in bench.CACHES
    for T in bench.BATCHES])


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return bench.build(tmp_path_factory.mktemp("count"))


@needs_gxx
@pytest.mark.parametrize("elem, cache, T, sms", [
    ("int8", "auto", 1, 1), ("int4", "int8", 8, 60), ("bf16", "auto", 16, 30)])
def test_the_figures_of_slices_are_those_of_the_whole(program, elem, cache, T,
                                                      sms):
    bench.prove_one(program, elem, cache, T, sms)


@needs_gxx
@pytest.mark.parametrize("elem, cache, T", [
    ("int4", "auto", 1), ("int4", "int8", 16), ("int8", "int8", 1),
    ("fp16", "auto", 8), ("bf16", "int8", 1)])
def test_counts_are_those_of_the_table(program, elem, cache, T):
    assert bench.count(program, elem, cache, T) == \
        TABLE["counts"]["%s %s %d" % (elem, cache, T)]


@needs_gxx
def test_sizes_are_those_of_the_table(program):
    assert bench.sizes(program) == TABLE["sizes"]


@needs_gxx
def test_other_positions_have_other_counts(program):
    step = bench.Step(TABLE, "int4", "auto", 1)
    found = bench.count(program, "int4", "auto", 1, pos=bench.POS + 32)
    block = step.size["token"] * 32 // bench.LAYERS // 32   # in sectors
    more = found["attend"]["global read unique"] - \
        step.counts["attend"]["global read unique"]
    assert 0 <= more - block <= 1       # one more number of a block
    assert found["qkv up"] == step.counts["qkv up"]


@every
def test_memory_is_read_once(elem, cache, T):
    step = bench.Step(TABLE, elem, cache, T)
    assert 1 <= step.traffic() <= bench.most_traffic(T)
    assert step.used() >= 0.98
    for launch in bench.PRODUCTS:
        counts = step.counts[launch]
        assert counts["global read used"] == \
            32 * counts["global read sectors"]
    assert step.conflicts() == 0


def test_kernels_of_a_layer():
    ends = {"embed", "last norm", "head", "best"}
    assert set(TABLE["counts"]["fp16 auto 1"]) == {*bench.LAYER, *ends}
    assert set(TABLE["counts"]["fp16 auto 8"]) == \
        {*bench.LAYER, *ends} - {"merge"}
    assert len(bench.LAYER) <= 6


@needs_gxx
def test_fewer_multiprocessors_have_other_blocks(program):
    few = min(c.sms for c in bench.CARDS.values())
    found = bench.count(program, "int8", "auto", 8, sms=few)
    for launch, figures in TABLE["counts"]["int8 auto 8"].items():
        want = TABLE["others"]["int8 8"].get(launch, figures)
        assert found[launch] == want, launch
    assert set(TABLE["others"]["int8 8"]) == {"out down"}


@every
def test_a_token_comes_back_as_its_id(elem, cache, T):
    step = bench.Step(TABLE, elem, cache, T)
    assert step.back() == 4
    # the logits are read once
    assert step.counts["best"]["global read bytes"] >= 4 * bench.V * T
    assert 32 * step.counts["best"]["global read unique"] <= \
        1.01 * 4 * bench.V * T


@every
def test_instructions_for_a_weight(elem, cache, T):
    if T <= 32:
        main, ranges, _ = bench.Step(TABLE, elem, cache, T).instructions()
        assert main <= (2.5 if elem == "int4" else 4)
        assert ranges >= main * 0.9


@pytest.mark.parametrize("card", bench.CARDS)
@pytest.mark.parametrize("elem", bench.ELEMS)
def test_predictions_reach_their_bars(card, elem):
    c = bench.CARDS[card]
    one, many = (bench.Step(TABLE, elem, "auto", T) for T in (1, 16))
    assert one.share(c) >= (0.7 if elem == "int4" else 0.8)
    # Of int4 at 16 rows, L2 limits an H100, not its memory.
    keeps = 0.87 if (card, elem) == ("H100 SXM", "int4") else 0.9
    assert many.products_time(c) <= one.products_time(c) / keeps


def test_more_traffic_is_noticed():
    table = copy.deepcopy(TABLE)
    table["counts"]["int4 auto 1"]["head"]["global read unique"] *= 6
    assert bench.Step(table, "int4", "auto", 1).traffic() > 1.03


def test_the_page_has_these_figures():
    page = (SRC / "man/chatd-gpu.7").read_text(encoding="utf-8")
    rows = bench.page_rows(TABLE)
    assert len(rows) == len(bench.CARDS) * 6
    assert [r for r in rows if r not in page] == []
