# SPDX-License-Identifier: Apache-2.0
"""chatd-tune with its products on a GPU (engine/tune/cuda), whose module is
built for the CPU with the stand-in of tests/cuda-host."""
import os
import re
import subprocess

import pytest

import cuda_host
from cuda_host import (BUILD, CXX, FLAGS, HOST, NVCC, SRC, TUNE,
                       Programs, run, tool)
from service import SANITIZED
from test_tune import MODEL, SFT, losses, tune, write

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
needs_plain = pytest.mark.skipif(
    SANITIZED, reason="a module without a sanitizer does not fit to this build")
LORA = SFT + "lora: {rank: 4, alpha: 8}\n"

# A change of gpu.cu that gpu_test should find.
BROKEN = {
    "B is transposed the wrong way": (
        "b->across ? CUBLAS_OP_N : CUBLAS_OP_T",
        "b->across ? CUBLAS_OP_T : CUBLAS_OP_N"),
    "A is transposed the wrong way": (
        "a->across ? CUBLAS_OP_T : CUBLAS_OP_N",
        "a->across ? CUBLAS_OP_N : CUBLAS_OP_T"),
    "rows and columns are exchanged": ("N, M, K, &one", "M, N, K, &one"),
    "the lines of an operand are as long as its rows": (
        "CUDA_R_16BF, b->ld", "CUDA_R_16BF, b->across ? N : K"),
    "the result has other lines": ("CUDA_R_32F, N,", "CUDA_R_32F, M,"),
    "the result is added to what was there": ("zero = 0", "zero = 1"),
    "the workspace is set before the stream": (
        "gpu_blas(cublasSetStream(g->blas, g->stream), why,\n"
        "	    \"cublasSetStream\") != 0 ||\n", ""),
    "sums may be in bf16": ("g->blas, (cublasMath_t)math",
                            "g->blas, CUBLAS_DEFAULT_MATH"),
    "the result is not waited for": (
        "gpu_cuda(cudaStreamSynchronize(g->stream), why,\n"
        "	    \"cudaStreamSynchronize after a product",
        "gpu_cuda(cudaSuccess, why,\n"
        "	    \"cudaStreamSynchronize after a product"),
    "the workspace is not released": ("(void)cudaFree(g->work);", ""),
    "a failed copy goes unseen": (
        "cudaMemcpyDeviceToHost, g->stream), why,",
        "cudaMemcpyDeviceToHost, g->stream) == 0 ? cudaSuccess : "
        "cudaSuccess, why,"),
}


# ---- the module by itself

@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    return Programs(tmp_path_factory.mktemp("gpu"), {
        "gpu": [HOST / "gpu_test.cpp", HOST / "blas.cpp", TUNE / "gpu.cu"]},
        modes=["plain", "asan"])


@needs_gxx
@pytest.mark.parametrize("mode", ["plain", "asan"])
def test_products_and_the_failure_of_each_call(programs, mode):
    assert run(programs["gpu", mode]) == (0, "")


@needs_gxx
@pytest.mark.parametrize("name", BROKEN)
def test_a_wrong_module_is_found(programs, tmp_path, name):
    old, new = BROKEN[name]
    text = (TUNE / "gpu.cu").read_text(encoding="utf-8")
    assert text.count(old) == 1, name
    (tmp_path / "gpu.cu").write_text(text.replace(old, new), encoding="utf-8")
    tool(CXX, *FLAGS, "-Wno-error", "-w", '-DCHATD_VERSION="test"', "-x",
         "c++", "-c", tmp_path / "gpu.cu", "-o", tmp_path / "gpu.o")
    tool(CXX, tmp_path / "gpu.o", *(programs.made[HOST / n, "plain"]
                                    for n in ("gpu_test.cpp", "blas.cpp")),
         *programs.objects, "-o", tmp_path / "broken")
    status, out = run(tmp_path / "broken")
    assert status in (1, 86) and out != "", (status, out)


@needs_nvcc
def test_nvcc_builds_the_module_without_a_warning(tmp_path):
    """With the real headers and libraries, and every symbol found."""
    tool(NVCC, "-std=c++17", "-O2", "-cudart", "shared", "-shared",
         "-Xcompiler", "-fPIC,-Wall,-Wextra,-iquote," + str(SRC / "engine/tune"),
         '-DCHATD_VERSION="test"', "-Xlinker", "-zdefs", TUNE / "gpu.cu",
         "-lcublas", "-o", tmp_path / "chatd-tune-cuda.so")


# ---- the trainer with it

@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    if CXX is None:
        pytest.skip("there is no g++")
    folder = tmp_path_factory.mktemp("modules")
    cuda_host.tune_module(folder)
    return folder


def train(folder, out, device, modules, text=MODEL + SFT, every=0, threads=2,
          **env):
    return tune("recipe", write(folder, text, steps=6), "--out", folder / out,
                "--every", every, "--device", device, "--threads", threads,
                "--isa", "scalar",
                env={**os.environ, "CHATD_MODULES": str(modules), **env})


@needs_plain
def test_products_of_all_shapes(modules):
    r = subprocess.run([BUILD / "tests/unit/engine/tune/t_mat"], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=600, env={**os.environ,
                                         "CHATD_MODULES": str(modules),
                                         "CHATD_TEST_DEVICE": "cuda"})
    assert r.returncode == 0 and "SKIP" not in r.stdout, r.stdout[-3000:]


@needs_plain
@pytest.mark.parametrize("text", [MODEL + SFT, MODEL + LORA],
                         ids=["all", "adapters"])
def test_a_run_learns_as_on_the_cpu_and_has_the_same_bits_again(
        tmp_path, modules, text):
    results = {}
    for out, device, threads in (("cpu", "cpu", 2), ("a", "cuda", 1),
                                 ("b", "cuda:0", 3)):
        done = train(tmp_path, out, device, modules, text, threads=threads)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        results[out] = losses(tmp_path / out)
    files = [p.name for p in (tmp_path / "a").glob("*.safetensors")]
    assert len(files) == 1
    for name in (*files, "loss.csv"):
        assert (tmp_path / "a" / name).read_bytes() == \
            (tmp_path / "b" / name).read_bytes()
    assert results["a"] != results["cpu"]       # bf16 is not fp32
    assert results["a"] == pytest.approx(results["cpu"], rel=0.02)


@needs_plain
def test_the_first_line_names_the_device(tmp_path, modules):
    done = train(tmp_path, "out", "auto", modules, every=6)
    assert done.returncode == 0, done.stderr
    assert re.match(r"\d+ parameters, scalar, 2 threads, products on "
                    r"cuda:0 \(.+\)\n", done.stdout), done.stdout


@needs_plain
@pytest.mark.parametrize("env, device, words", [
    ({"SIMT_DEVICES": "0"}, "cuda", "cuda:0: no CUDA device on this machine"),
    ({"SIMT_FAIL": "cudaGetDeviceCount 1"}, "cuda:0",
     "cuda:0: no CUDA driver on this machine, or one that is older than CUDA "),
    ({}, "cuda:1", "cuda:1: expected a device up to cuda:0 on this machine"),
    ({"SIMT_CAPABILITY": "75"}, "cuda", "expected compute capability 8.0 or "
     "later, which multiplies bf16, found 7.5"),
    ({"SIMT_FAIL": "cublasSetWorkspace 1"}, "cuda", "cuda:0: "
     "cublasSetWorkspace of 33554432 bytes: CUBLAS_STATUS_INVALID_VALUE "
     "(cuBLAS status 7)"),
    ({"SIMT_FAIL": "cublasGemmEx 1"}, "cuda", "self-test: cublasGemmEx of "
     "37 x 21 x 50: CUBLAS_STATUS_EXECUTION_FAILED (cuBLAS status 13)")])
def test_a_device_that_can_not_be_used(tmp_path, modules, env, device, words):
    done = train(tmp_path, "out", device, modules, **env)
    assert done.returncode == 1 and words in done.stderr, done.stderr
    if device == "cuda":        # which auto tries too
        done = train(tmp_path, "out", "auto", modules, **env)
        assert done.returncode == 0
        assert "device auto: cpu: cuda:0" in done.stderr
        assert words.replace("cuda:0: ", "", 1) in done.stderr


@needs_plain
@pytest.mark.parametrize("fail, words", [
    ("cublasGemmEx 60", r"cuda:0: cublasGemmEx of \d+ x \d+ x \d+: "
     r"CUBLAS_STATUS_EXECUTION_FAILED \(cuBLAS status 13\)"),
    ("cudaMemcpyAsync 90", r"cuda:0: cudaMemcpyAsync of \d+ bytes \w+ the "
     r"device: invalid argument \(CUDA error 1\)"),
    ("cudaMalloc 7", r"cuda:0: cudaMalloc of \d+ bytes: out of memory "
     r"\(CUDA error 2\)")])
def test_a_device_that_is_lost_ends_the_run_and_it_continues(
        tmp_path, modules, fail, words):
    text = (MODEL + SFT).replace("save_every: 3", "save_every: 1")
    whole = train(tmp_path, "whole", "cuda", modules, text)
    assert whole.returncode == 0, whole.stderr
    done = train(tmp_path, "out", "cuda", modules, text, SIMT_FAIL=fail)
    assert done.returncode == 1
    assert re.search(words, done.stderr), done.stderr
    done = train(tmp_path, "out", "cuda", modules, text)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/model.safetensors").read_bytes() == \
        (tmp_path / "whole/model.safetensors").read_bytes()


@needs_plain
def test_a_device_that_multiplies_wrongly_is_refused(
        tmp_path, modules):
    text = (TUNE / "gpu.cu").read_text(encoding="utf-8")
    changed = tmp_path / "gpu.cu"
    changed.write_text(text.replace("one = 1,", "one = 2,"), encoding="utf-8")
    cuda_host.tune_module(tmp_path, modules, changed)
    done = train(tmp_path, "out", "cuda", tmp_path)
    assert done.returncode == 1
    assert re.search(r"cuda:0 \(.+\): self-test: \d+ of 3108 sums of products "
                     "are wrong", done.stderr), done.stderr


@needs_plain
def test_a_module_of_another_release_is_refused(tmp_path, modules):
    changed = tmp_path / "gpu.cu"
    changed.write_text((TUNE / "gpu.cu").read_text(encoding="utf-8").replace(
        "	CHATD_VERSION,", '	"0.0.0",'), encoding="utf-8")
    cuda_host.tune_module(tmp_path, modules, changed)
    done = train(tmp_path, "out", "cuda", tmp_path)
    assert done.returncode == 1
    assert "expected the trainer's CUDA module of chatd " in done.stderr and \
        "found 0.0.0, version 1, " in done.stderr, done.stderr


# ---- without it

def test_without_the_module_the_reason_is_given(tmp_path):
    done = train(tmp_path, "out", "cuda", "/nowhere")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: cuda:0: the trainer's CUDA module is not installed: "
        "/nowhere/chatd-tune-cuda.so: No such file or directory\n")
    done = train(tmp_path, "out", "auto", "/nowhere")
    assert done.returncode == 0
    assert "device auto: cpu: cuda:0: the trainer's CUDA module is not " \
        "installed: " in done.stderr
    done = train(tmp_path, "plain", "cpu", "/nowhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out/model.safetensors").read_bytes() == \
        (tmp_path / "plain/model.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:0,cuda:1"])
def test_a_device_that_there_is_not(tmp_path, name):
    done = train(tmp_path, "out", name, "/nowhere")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: --device: expected auto, cpu, cuda or cuda:N, found "
        "%s\n" % name)
