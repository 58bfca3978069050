# SPDX-License-Identifier: Apache-2.0
"""The stand-in that runs CUDA kernels on the CPU (tests/cuda-host) finds what
it says it finds, and the words of engine/cuda/device.h mean what they say."""
import concurrent.futures
import pathlib
import re
import subprocess

import pytest

from cuda_host import CUDA, CXX, HOST, MODES, NVCC, SEEDS, Programs, run, tool

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
RANDOM = ["1", "2", "3"]
CHECKS = ("wrappers", "checks", "checks_device")

# What each mode shows of the wrong form of a planted defect: in order, in
# reversed order, in every random order, with ASan and UBSan, with TSan.
#   pass   nothing: the result is right      value  a wrong result
#   fault  the stand-in ends the program     else   a report with these words
RACE = "data race"
POISON = "use-after-poison"
FINDS = {
    "write_read":       ("value", "value", "value", "value", RACE),
    "read_write":       ("pass", "pass", "value", "pass", RACE),
    "two_barriers":     ("fault", "fault", "fault", "fault", "fault"),
    "warp_memory":      ("value", "pass", "value", "value", RACE),
    "shuffle_barrier":  ("pass", "pass", "pass", "pass", RACE),
    "half_warp":        ("fault", "fault", "fault", "fault", "fault"),
    "early_return":     ("fault", "fault", "fault", "fault", "fault"),
    "shared_small":     ("pass", "pass", "pass", POISON, "pass"),
    "dynamic_small":    ("pass", "pass", "pass", POISON, "pass"),
    "global_end":       ("pass", "pass", "pass", POISON, "pass"),
    "async_wait":       ("value", "value", "value", "value", "value"),
    "add_blocks":       ("pass", "pass", "pass", "pass", RACE),
    "shared_unwritten": ("value", "value", "value", "value", "value"),
    "misaligned":       ("pass", "pass", "pass", "misaligned address",
                         "pass"),
    "misaligned_wrapper": ("fault", "fault", "fault", "fault", "fault"),
    "host_reads":       ("fault", "fault", "fault", "SEGV", "SEGV"),
    "after_free":       ("fault", "fault", "fault", "SEGV", "SEGV"),
    "host_pointer":     ("fault", "fault", "fault", "fault", "fault"),
    "host_pointer_in_struct": ("pass", "pass", "pass", "fault", "pass"),
    "copy_not_waited":  ("value", "value", "value", "value", "value"),
    "no_event":         ("value", "value", "value", "value", "value"),
    "block_2048":       ("value", "value", "value", "value", "value"),
    "shared_limit":     ("value", "value", "value", "value", "value"),
}
STATUS = {"pass": 0, "value": 1, "fault": 86}
# What a report must name besides: a pattern of each line.
LINES = {
    ("write_read", "tsan"): ["s[i] = in[i]", "out[i] = s[N - 1 - i]"],
    ("read_write", "tsan"): ["all += s[w]", "s[i / 32] = sum"],
    ("warp_memory", "tsan"): ["s[i] = (float)i", "out[i] = s[min"],
    ("shuffle_barrier", "tsan"): ["s[i] = (float)i", "out[i] = s[min"],
    ("add_blocks", "tsan"): ["*total += 1"],
    ("shared_small", "asan"): ["p[i] = (float)i"],
    ("dynamic_small", "asan"): ["s[i] = (float)i"],
    ("global_end", "asan"): ["out[i] = in[i]"],
    ("misaligned", "asan"): ["p[threadIdx.x].y"],
    ("two_barriers", "plain"): ["SYNC_BLOCK()"],
    ("half_warp", "plain"): ["v = shfl_xor(v, 1)"],
    ("early_return", "plain"): ["v += shfl_xor(v, mask)"],
    ("misaligned_wrapper", "plain"): ["load_once(in"],
}
PLANTED = {name: (HOST / name).read_text(encoding="utf-8").splitlines()
           for name in ("planted.cpp", "planted_kernels.h")}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cuda"), {
        name: [HOST / (name + ".cpp")]
        for name in ("planted", *CHECKS)})


@pytest.fixture(scope="module")
def tsan(programs):
    """TSan can't run under every kernel."""
    status, out = run(programs["planted", "tsan"], "list")
    if "unexpected memory mapping" in out:
        pytest.skip("TSan does not run on this machine")
    assert status == 0, out


def orders_of(mode):
    return ["forward", "reversed", *SEEDS] if mode == "plain" else ["forward"]


def planted(programs, mode, name, form):
    """{order: status} of a case, and all it printed."""
    out = run(programs["planted", mode], name, form, *orders_of(mode))[1]
    ends = dict(re.findall(r"^(\w+): (-?\d+)$", out, re.M))
    assert list(ends) == orders_of(mode), out
    return {order: int(n) for order, n in ends.items()}, out


@needs_gxx
def test_every_planted_case_has_its_line(programs):
    out = run(programs["planted", "plain"], "list")[1]
    assert out.split() == list(FINDS)


@needs_gxx
@pytest.mark.parametrize("name", FINDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_right_form_passes(programs, request, mode, name):
    if mode == "tsan":
        request.getfixturevalue("tsan")
    ends, out = planted(programs, mode, name, "right")
    assert set(ends.values()) == {0}, out
    assert "WARNING" not in out and "ERROR" not in out, out


def names_lines(out, patterns):
    """Does out name a line of the cases with each of patterns?"""
    lines = [PLANTED[name][int(n) - 1] for name, n in
             re.findall(r"(planted\.cpp|planted_kernels\.h):(\d+)", out)]
    return all(any(p in line for line in lines) for p in patterns)


@needs_gxx
@pytest.mark.parametrize("name", FINDS)
@pytest.mark.parametrize("mode", MODES)
def test_a_wrong_form_is_found_where_it_can_be(programs, request, mode, name):
    if mode == "tsan":
        request.getfixturevalue("tsan")
    ends, out = planted(programs, mode, name, "wrong")
    forward, backward, scattered, asan, race = FINDS[name]
    want = {"forward": forward, "reversed": backward}
    if mode != "plain":
        want = {"forward": asan if mode == "asan" else race}
    for order, status in ends.items():
        found = want.get(order, scattered)
        if found in STATUS:
            assert status == STATUS[found], (order, out)
            assert "Sanitizer" not in out, out
        else:
            assert status != 0 and found in out, (order, out)
    assert names_lines(out, LINES.get((name, mode), [])), out


@needs_gxx
@pytest.mark.parametrize("order", ["forward", "reversed", *RANDOM])
@pytest.mark.parametrize("name", CHECKS)
def test_in_every_order(programs, name, order):
    """The wrappers' definitions and the runtime's promises."""
    assert run(programs[name, "plain"], order=order) == (0, "")


@needs_gxx
@pytest.mark.parametrize("name", CHECKS)
def test_with_asan(programs, name):
    assert run(programs[name, "asan"]) == (0, "")


@needs_gxx
@pytest.mark.parametrize("name", CHECKS)
def test_with_tsan(programs, tsan, name):
    assert run(programs[name, "tsan"]) == (0, "")


@needs_gxx
def test_a_wrong_definition_is_found(programs, tmp_path):
    """One operand of the matrix product is taken from another lane."""
    for name in ("device.h", "device_mma.h"):
        text = (CUDA / name).read_text(encoding="utf-8")
        broken = text.replace("all + row;", "all + (row ^ 4);")
        (tmp_path / name).write_text(broken, encoding="utf-8")
    assert broken != text
    source = tmp_path / "wrappers.cpp"
    source.write_text((HOST / "wrappers.cpp").read_text(encoding="utf-8"),
                      encoding="utf-8")
    wrong = Programs(tmp_path, {"broken": [source]}, ["plain"], programs)
    status, out = run(wrong["broken", "plain"])
    assert status == 1 and "mma_f16[" in out and "mma_s8[" in out, out
    assert "lop3" not in out, out


# ---- with a CUDA toolkit

@needs_gxx
@needs_nvcc
def test_16_bit_types_agree_with_those_of_the_toolkit(programs, tmp_path):
    include = pathlib.Path(NVCC).resolve().parent.parent / "include"
    if not (include / "cuda_fp16.h").exists():
        pytest.skip("the toolkit has no headers beside nvcc")
    source = HOST / "arithmetic.cpp"
    ours = Programs(tmp_path, {"ours": [source]}, ["plain"], programs)
    tool(CXX, "-std=c++17", "-O1", "-isystem", include, source,
         "-o", tmp_path / "theirs")
    a, b = run(ours["ours", "plain"]), run(tmp_path / "theirs")
    assert a == b
    assert a[0] == 0 and len(a[1].splitlines()) == 3


def compiled(arch, folder):
    return subprocess.run(
        [NVCC, "-x", "cu", "-std=c++17", "-arch=" + arch, "-c",
         "-Xptxas", "-v", "-Xcompiler", "-Wall,-Wextra", "-I" + str(CUDA),
         "-o", str(folder / (arch + ".o")), str(HOST / "wrappers.cpp")],
        text=True, timeout=300, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


@needs_nvcc
def test_device_compiles_without_a_warning_for_old_and_new_gpus(tmp_path):
    archs = ["sm_75", "sm_80", "sm_90"]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda a: compiled(a, tmp_path), archs))
    for arch, r in zip(archs, results):
        assert r.returncode == 0, (arch, r.stdout)
        assert "warning" not in r.stdout, (arch, r.stdout)
        kernels = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill "
                             "loads", r.stdout)
        assert len(kernels) >= 8, (arch, r.stdout)
        assert set(kernels) == {("0", "0")}, (arch, r.stdout)
