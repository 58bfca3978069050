# SPDX-License-Identifier: Apache-2.0
"""The trainer's CUDA module (engine/tune/cuda), with a cuBLAS that runs on the
CPU: products in all orders, each call that fails, and whole runs of a small
recipe.  With nvcc, the module's source is compiled for a GPU too."""
import os
import subprocess

import pytest

import cuda_host
from cuda_host import CXX, HOST, NVCC, TUNE, Programs
from service import SANITIZED
from test_tune import MODEL, SFT, losses, tune, write

needs_gxx = pytest.mark.skipif(CXX is None, reason="there is no g++")
needs_nvcc = pytest.mark.skipif(NVCC is None, reason="there is no nvcc")
needs_module = pytest.mark.skipif(
    CXX is None or SANITIZED,
    reason="there is no g++, or the build has a sanitizer")


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    cuda_host.tune_module(folder)
    return folder


def recipe(folder, modules, device, *args, out="out", **env):
    """A run of a few steps on a device."""
    return tune("recipe", write(folder, MODEL + SFT, steps=6), "--out",
                folder / out, "--every", 0, "--device", device, *args,
                env={**os.environ, "CHATD_MODULES": str(modules), **env})


@needs_gxx
def test_products_and_calls_that_fail(tmp_path):
    sources = [HOST / "gpu_test.cpp", TUNE / "gpu.cu", HOST / "blas.cpp"]
    programs = Programs(tmp_path, {"gpu": sources}, modes=["plain"])
    assert cuda_host.run(programs["gpu", "plain"]) == (0, "")


@needs_module
def test_a_run_is_like_one_on_the_cpu(tmp_path, modules):
    for out, device, args in (
            ("cpu", "cpu", ["--isa", "scalar"]),
            ("one", "cuda", ["--threads", 1]),
            ("three", "cuda:0", ["--threads", 3])):
        done = recipe(tmp_path, modules, device, *args, out=out)
        assert (done.returncode, done.stderr) == (0, ""), out
    cpu, gpu = losses(tmp_path / "cpu"), losses(tmp_path / "one")
    # Products of bf16 are not those of fp32, but near.
    assert len(gpu) == 6 and gpu != cpu
    assert gpu == pytest.approx(cpu, rel=0.02)
    assert gpu[-1] < gpu[0]
    # The threads have no part in it.
    one, three = ((tmp_path / out / "model.safetensors").read_bytes()
                  for out in ("one", "three"))
    assert one == three


@needs_module
@pytest.mark.parametrize("env, device, said", [
    ({"SIMT_DEVICES": "0"}, "cuda",
     "cuda:0: no CUDA device on this machine"),
    ({}, "cuda:3", "cuda:3: expected a device up to cuda:0 on this machine"),
    ({"SIMT_CAPABILITY": "75"}, "cuda",
     "expected compute capability 8.0 or later, which multiplies bf16, found "
     "7.5"),
    ({"SIMT_FAIL": "cublasCreate 1"}, "cuda",
     "cuda:0: cublasCreate: CUBLAS_STATUS_NOT_INITIALIZED (cuBLAS status 1)"),
    ({"SIMT_FAIL": "cublasGemmEx 2"}, "cuda",
     "self-test: cublasGemmEx of 37 x 21 x 50: "
     "CUBLAS_STATUS_EXECUTION_FAILED (cuBLAS status 13)"),
    ({"SIMT_FAIL": "cublasGemmEx 50"}, "cuda",
     "CUBLAS_STATUS_EXECUTION_FAILED (cuBLAS status 13)"),
])
def test_a_device_that_fails(tmp_path, modules, env, device, said):
    done = recipe(tmp_path, modules, device, **env)
    assert done.returncode == 1
    assert " cuda:" in done.stderr
    assert done.stderr.count("\n") == 1 and said in done.stderr


@needs_module
def test_wrong_products_are_found_at_the_start(tmp_path, modules):
    text = (TUNE / "gpu.cu").read_text(encoding="utf-8")
    old = "b->across ? CUBLAS_OP_N : CUBLAS_OP_T"
    assert text.count(old) == 1
    changed = tmp_path / "gpu.cu"
    changed.write_text(text.replace(old, "CUBLAS_OP_T").replace(
        "b->ld, a->at", "b->across ? K + 6 : b->ld, a->at"), encoding="utf-8")
    cuda_host.tune_module(tmp_path, modules, changed)
    done = recipe(tmp_path, tmp_path, "cuda")
    assert done.returncode == 1
    assert "self-test: " in done.stderr
    assert "of 3108 sums of products are wrong" in done.stderr


def test_without_the_module(tmp_path):
    done = recipe(tmp_path, "/nowhere", "cuda")
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", "chatd-tune: cuda:0: the trainer's CUDA module is not "
        "installed: /nowhere/chatd-tune-cuda.so: No such file or directory\n")
    done = recipe(tmp_path, "/nowhere", "auto")
    assert done.returncode == 0
    assert "device auto: cpu: cuda:0: the trainer's CUDA module is not " \
        "installed" in done.stderr


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:0,cuda:1"])
def test_an_unknown_device(tmp_path, name):
    done = recipe(tmp_path, "/nowhere", name)
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: --device: expected auto, cpu, cuda or cuda:N, found "
        "%s\n" % name)


@needs_nvcc
def test_nvcc_compiles_the_module(tmp_path):
    done = subprocess.run(
        [NVCC, "-std=c++17", "-O2", "-arch=sm_80", "-c", "-Xcompiler",
         "-Wall,-Wextra,-fPIC", '-DCHATD_VERSION="test"', "-I",
         str(TUNE.parent), "-o", str(tmp_path / "gpu.o"),
         str(TUNE / "gpu.cu")], text=True, timeout=600,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, "")
