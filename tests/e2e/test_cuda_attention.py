# SPDX-License-Identifier: Apache-2.0
"""Norms, rotary positions and attention of the CUDA backend, run on the CPU by
tests/cuda-host: right, and the same bits for a row in each step."""
import concurrent.futures
import os
import re

import pytest

from cuda_host import CUDA, CXX, HOST, NVCC, Programs, registers, run

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
ATTENTION = [CUDA / "attention.cu", CUDA / "cuda_rotary.cu",
             HOST / "attention_test.cpp"]
# The build itself fails if a kernel spills on any architecture.
ARCHS = ("sm_80", "sm_90")
# The most registers of a thread: with these, the blocks of a kernel fit into a
# multiprocessor as its __launch_bounds__ says.
REGISTERS = {
    "embed_kernel": 64, "norms_kernel": 128, "rotary_kernel": 64,
    "attend_single_kernel": 160, "attend_whole_kernel": 128,
    "attend_kernel": 255,
    "attend_merge_kernel": 64}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("cuda"), {
        "norm": [CUDA / "norm.cu", HOST / "norm_test.cpp"],
        "attention": ATTENTION}, ["plain"])


def passes(program, *args, order="forward"):
    status, out = run(program, *args, order=order)
    assert status == 0, out
    assert re.search(r"^[1-9]\d{3,} checks, 0 failures$", out, re.M), out


@needs_gxx
def test_norms_and_embeddings(programs):
    passes(programs["norm", "plain"])


@needs_gxx
def test_attention(programs):
    passes(programs["attention", "plain"])



# Each of these makes one number of attention depend on the step, or wrong.
DEFECTS = {
    "positions after the row's own": (
        "attend_parts.h", "first + p <= limit[n][j]",
        "first + p <= limit[n][j] + 1"),
    "no barrier before sections are overwritten": (
        "attend_rows.h", "\t\t}\n\t\tSYNC_BLOCK();\n\t}\n\tfor",
        "\t\t}\n\t}\n\tfor"),
}


@needs_gxx
@pytest.mark.parametrize("name", DEFECTS)
def test_a_planted_defect_is_found(tmp_path, programs, name):
    file, right, wrong = DEFECTS[name]
    folder = tmp_path / "cuda"
    folder.mkdir()
    for path in (*CUDA.glob("*.h"), *ATTENTION[:2]):
        text = path.read_text(encoding="utf-8")
        if path.name == file:
            assert text.count(right) == 1
            text = text.replace(right, wrong)
        (folder / path.name).write_text(text, encoding="utf-8")
    built = Programs(tmp_path, {"planted": [folder / p.name
                                            for p in ATTENTION[:2]] +
                                ATTENTION[2:]}, ["plain"], programs)
    status, out = run(built["planted", "plain"], "small")
    assert status == 1 and " 0 failures" not in out, out


@needs_nvcc
def test_no_kernel_spills_registers(tmp_path):
    jobs = [(source, arch) for source in ("attention", "norm", "cuda_rotary")
            for arch in ARCHS]

    def compiled(job):
        folder = tmp_path / "-".join(job)
        folder.mkdir()
        return registers(CUDA / (job[0] + ".cu"), job[1], folder)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        results = list(pool.map(compiled, jobs))
    seen, wrong = set(), []
    for job, kernels in zip(jobs, results):
        for kernel, (used, spilled) in kernels.items():
            name = next(n for n in REGISTERS if n in kernel)
            seen.add(name)
            if spilled or used > REGISTERS[name]:
                wrong.append((*job, kernel, used, spilled))
    assert wrong == [] and seen == set(REGISTERS)
