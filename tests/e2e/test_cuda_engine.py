# SPDX-License-Identifier: Apache-2.0
"""The whole engine on the CUDA backend, whose module is built for the CPU with
the stand-in of tests/cuda-host: another libcudart in front of it, so to say."""
import json
import os
import re
import signal
import subprocess

import pytest

import cuda_host
from engine_client import BUILD, ENGINE, MINI, SRC, TINY, Engine, greedy
from service import SANITIZED, Service, text_of

if cuda_host.CXX is None:
    pytest.skip("there is no g++", allow_module_level=True)
if SANITIZED:
    pytest.skip("a module without a sanitizer does not fit to this build",
                allow_module_level=True)

HELLO = {"prompt": "<human>: Are you a robot?\n<bot>:", "params": greedy(6)}


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    cuda_host.module(folder)
    os.environ["CHATD_MODULES"] = str(folder)
    yield folder
    del os.environ["CHATD_MODULES"]


def engine(*args, **env):
    """(status, standard output, standard error) of the engine on cuda:0."""
    r = subprocess.run([ENGINE, "--device", "cuda:0", *map(str, args)],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=120, env={**os.environ, **env})
    return r.returncode, r.stdout, r.stderr


def failure(*args, **env):
    """The message with which the engine gives up."""
    status, out, _ = engine("--model", TINY, *args, **env)
    last = json.loads(out.splitlines()[-1])
    assert status != 0 and last["event"] == "error", out
    return last["code"], last["message"]


def unit(name, **env):
    r = subprocess.run([BUILD / "tests/unit/engine" / name], text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       timeout=600, env={**os.environ, "srcdir": str(SRC),
                                         "CHATD_TEST_DEVICE": "cuda:0",
                                         **env})
    assert r.returncode == 0, r.stdout[-3000:]


@pytest.mark.parametrize("order", ["forward", "5"])
def test_logits_and_their_bits(order):
    unit("cuda/t_cuda", SIMT_ORDER=order)


def test_equal_bits_in_random_company():
    unit("cpu/t_equal", EQUAL_CASES="4")


def test_equal_bits_in_random_schedules():
    unit("serve/t_equal_sched", EQUAL_CASES="2")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_a_reply_is_that_of_the_cpu(precision):
    """A greedy reply of the demo model, whose choices are clear."""
    with Engine("--model", MINI, "--precision", "fp32") as cpu:
        want = cpu.generate(**HELLO)[-1]
    with Engine("--model", MINI, "--precision", precision,
                "--device", "cuda:0", "--kv-tokens", 2048) as e:
        assert e.first["model"]["device"] == "cuda:0"
        # The kind of GPU and of the arithmetic: another one has other bits.
        assert e.first["model"]["precision"] == precision + "@sm_80.1"
        got = e.generate(**HELLO)[-1]
    assert (got["ids"], got["text"]) == (want["ids"], want["text"])


def test_replies_side_by_side_are_those_alone():
    """Sampled, of several lengths: batches are padded, cut and mixed."""
    asks = [{"prompt": "ab" * (3 * i + 1), "params": {
        "temperature": 1, "seed": i, "max_tokens": 3 + 2 * i}}
        for i in range(5)]
    with Engine("--model", TINY, "--device", "cuda:0", "--batch-tokens", "24",
                "--kv-tokens", 480) as e:
        alone = [e.generate(**ask)[-1]["ids"] for ask in asks]
        idents = [e.send("generate", group=i, **ask)
                  for i, ask in enumerate(asks)]
        done = e.until_done(*idents)
        assert [done[i][-1]["ids"] for i in idents] == alone


def sampled(seed, **params):
    return {"prompt": "ab" * (seed % 4 + 1), "params": {
        "seed": seed, "max_tokens": 4 + seed % 5, "temperature": 1, **params}}


# The last three need all logits.
KINDS = [
    {"temperature": 0}, {"temperature": 0, "repetition_penalty": 1.4},
    {"top_k": 40}, {"top_k": 40, "top_p": 0.8, "repetition_penalty": 1.2},
    {"top_k": 256, "top_p": 0.9}, {"top_k": 1},
    {"top_k": 0}, {"top_k": 0, "top_p": 0.7, "repetition_penalty": 0.7},
    {"top_k": 300}]


def test_tokens_are_those_of_all_logits(tmp_path, modules, monkeypatch):
    """A device that finds the largest logits, and one whose logits are all
    read back: alone and in mixed batches."""
    asks = [sampled(i, **KINDS[i % len(KINDS)]) for i in range(14)]
    args = ["--model", TINY, "--device", "cuda:0", "--batch-tokens", "24",
            "--kv-tokens", 960]
    text = (cuda_host.CUDA / "module.cu").read_text(encoding="utf-8")
    assert text.count("best_max = BEST_MAX") == 1
    changed = tmp_path / "module.cu"
    changed.write_text(text.replace("best_max = BEST_MAX", "best_max = 0"),
                       encoding="utf-8")
    cuda_host.module(tmp_path, modules, changed)
    with monkeypatch.context() as m:
        m.setenv("CHATD_MODULES", str(tmp_path))
        with Engine(*args) as e:
            want = [e.generate(**ask)[-1]["ids"] for ask in asks]
    assert len({tuple(ids) for ids in want}) > 10
    for order in "forward", "3":
        monkeypatch.setenv("SIMT_ORDER", order)
        with Engine(*args) as e:
            assert [e.generate(**ask)[-1]["ids"] for ask in asks] == want
            idents = [e.send("generate", group=i, **ask)
                      for i, ask in enumerate(asks)]
            done = e.until_done(*idents)
            assert [done[i][-1]["ids"] for i in idents] == want


def test_check_and_pack(tmp_path):
    status, out, err = engine("--model", TINY, "--check")
    assert status == 0, err
    for precision in "fp16", "bf16", "int8", "int4":
        assert "    %s " % precision in out
    assert "fp32" not in out and "sound" in out
    packed = tmp_path / "packed"
    status, out, err = engine("--model", TINY, "--precision", "int4",
                              "--pack", packed)
    assert status == 0, err
    assert engine("--model", packed, "--check")[0] == 0
    with Engine("--model", TINY, "--device", "cuda:0", "--precision",
                "int4") as e:
        want = e.generate(**HELLO)[-1]["ids"]
    with Engine("--model", packed, "--device", "cuda:0") as e:
        assert e.first["model"]["precision"] == "int4@sm_80.1"
        assert e.generate(**HELLO)[-1]["ids"] == want
    with Engine("--model", packed) as e:
        assert "expected cpu-1 for device cpu, found cuda-1" in \
            e.first["message"]


def test_a_plan_is_one_line():
    err = engine("--model", TINY, "--kv-tokens", 960)[2]
    assert " fp16 needs " in err and "free on cuda:0: 960 tokens of cache" \
        in err


@pytest.mark.parametrize("env, args, device, words", [
    ({}, [], "cuda:0", "device auto: cuda:0"),
    ({"SIMT_DEVICES": "0"}, [], "cpu", "device auto: cpu, because of "
     "cuda:0: no CUDA device on this machine"),
    ({"CHATD_MODULES": "/nowhere"}, [], "cpu", "module is not installed"),
    ({"SIMT_MEMORY": "10000"}, [], "cpu", "are free"),
    ({}, ["--precision", "fp32"], "cpu", "expected auto, fp16")])
def test_auto_takes_the_device_that_can_be_used(env, args, device, words):
    r = subprocess.run([ENGINE, "--model", TINY, "--device", "auto", *args],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=120, env={**os.environ, **env})
    ready = json.loads(r.stdout.splitlines()[-1])
    assert (r.returncode, ready["model"]["device"]) == (0, device)
    assert words in r.stderr


@pytest.mark.parametrize("env, words", [
    ({"SIMT_DEVICES": "0"}, "cuda:0: no CUDA device on this machine"),
    ({"SIMT_FAIL": "cudaGetDeviceCount 1"},
     "cuda:0: expected a CUDA driver of at least "),
    ({"SIMT_CAPABILITY": "61"},
     "expected compute capability 7.5 or later, found 6.1"),
    ({"SIMT_FAIL": "cudaMemGetInfo 1"}, "can't be used: "),
    ({"SIMT_FAIL": "cudaEventRecord 1"}, "cuda:0: loading the weights: "),
    ({"SIMT_FAIL": "cudaMemcpy 1"}, "cuda:0: the table of positions: "),
])
def test_a_device_that_can_not_be_used_is_reported(env, words):
    code, message = failure(**env)
    assert code == "no_device" and words in message


@pytest.mark.parametrize("call, what", [
    ("cudaMalloc 1", "memory for the weights"),
    ("cudaMalloc 2", "memory for the cache"),
    ("cudaMalloc 3", "memory for a step"),
    ("cudaMallocHost 1", "pinned memory of the machine"),
    ("cudaMallocHost 3", "buffers for loading"),
    ("cudaStreamCreate 1", "a stream")])
def test_an_allocation_that_fails_is_reported(call, what):
    code, message = failure(SIMT_FAIL=call)
    assert code == "no_memory" and "cuda:0: %s: " % what in message


@pytest.mark.parametrize("size, words", [
    (570 << 10, "try int8"),
    (300 << 10, "the least is ")])
def test_what_does_not_fit_is_refused_with_advice(size, words):
    code, message = failure("--kv-tokens", "96", "--batch-tokens", "8",
                            SIMT_MEMORY=str(size))
    assert code == "no_memory" and words in message, message


def test_a_precision_of_another_device_is_refused():
    code, message = failure("--precision", "fp32")
    assert code == "bad_model"
    assert "expected auto, fp16, bf16, int8 or int4" in message
    code, message = failure("--kv-precision", "bf16")
    assert "expected auto, fp16 or int8" in message


@pytest.mark.parametrize("fail", ["kernel 40", "cudaMemcpyAsync 31",
                                  "cudaStreamSynchronize 3"])
def test_an_error_of_the_device_ends_the_process(fail):
    r = subprocess.run(
        [ENGINE, "--model", TINY, "--device", "cuda:0", "--kv-tokens", "96"],
        input=json.dumps({"op": "generate", "id": 1, **HELLO}) + "\n",
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "SIMT_FAIL": fail})
    assert r.returncode == 1
    assert "cuda:0: " in r.stderr
    assert "this process can't use the device any more" in r.stderr


# -- several devices

PAIR = {"SIMT_DEVICES": "2"}
BOTH = "cuda:0,cuda:1"
SMALL = ["--kv-tokens", "512", "--batch-tokens", "64"]


def stages(*args, model=MINI, precision="fp16", **env):
    """{device: its layers} of --check, and all that it prints."""
    r = subprocess.run([ENGINE, "--model", model, "--precision", precision,
                        "--check", *SMALL, *args], capture_output=True,
                       text=True, timeout=120, env={**os.environ, **env})
    assert r.returncode == 0, r.stderr
    found = re.findall(r"^ .* (cpu|cuda:\d): layers? (\d+)(?:-(\d+))? of",
                       r.stdout, re.M)
    return {name: int(end or first) - int(first) + 1
            for name, first, end in found}, r.stdout


@pytest.mark.parametrize("order", ["forward", "5"])
def test_random_cuts_over_two_devices_give_the_same_bits(order):
    unit("t_stages", CHATD_TEST_DEVICE=BOTH, EQUAL_CASES="2",
         SIMT_ORDER=order, **PAIR)


def test_equal_bits_in_random_company_on_two_devices():
    unit("cpu/t_equal", CHATD_TEST_DEVICE=BOTH, EQUAL_CASES="2", **PAIR)


def test_two_devices_reply_as_one(monkeypatch):
    """Sampled, side by side, in a model that is cut in the middle."""
    monkeypatch.setenv("SIMT_DEVICES", "2")
    asks = [{"prompt": "ab" * (3 * i + 1), "params": {
        "temperature": 1, "seed": i, "max_tokens": 3 + 2 * i,
        **KINDS[2 * i + 1]}} for i in range(4)]
    names = ["cuda:0", BOTH, "cuda:1=1,cuda:0=1", "cuda"]
    seen = []
    for device in names:
        with Engine("--model", TINY, "--device", device, "--kv-tokens", 480,
                    "--batch-tokens", "24") as e:
            model = e.first["model"]
            assert model["precision"] == "fp16@sm_80.1"
            assert model["layers"] == 2
            last = e.progress[-1]
            assert last["bytes"] == last["bytes_total"]
            idents = [e.send("generate", group=i, **ask)
                      for i, ask in enumerate(asks)]
            done = e.until_done(*idents)
            seen.append([done[i][-1]["ids"] for i in idents])
            assert model["device"] == {"cuda": BOTH,
                "cuda:1=1,cuda:0=1": "cuda:1,cuda:0"}.get(device, device)
            assert model["kv_tokens"] == 480
    assert seen == [seen[0]] * len(names)


@pytest.mark.parametrize("device, precision", [
    ("cuda:0=2,cpu=4", "fp16@sm_80.1[0-1]+bf16[2-5]"),
    ("cpu=5,cuda:0=1", "bf16[0-4]+fp16@sm_80.1[5-5]")])
def test_a_gpu_and_the_cpu_share_a_model(device, precision):
    with Engine("--model", MINI, "--precision", "fp32") as cpu:
        want = cpu.generate(**HELLO)[-1]
    with Engine("--model", MINI, "--device", device, *SMALL) as e:
        assert e.first["model"]["precision"] == precision
        assert e.first["model"]["kv_precision"] in ("fp16,bf16", "bf16,fp16")
        assert e.generate(**HELLO)[-1]["ids"] == want["ids"]


@pytest.mark.parametrize("capability, precision", [
    ("80,80,80", "int8+kv8@sm_80.1"),
    ("80,90,90", "int8+kv8@sm_80.1[0-1]+int8+kv8@sm_90.1[2-5]"),
    ("80,86,120", None)])
def test_the_precision_names_each_kind_of_device(capability, precision,
                                                 monkeypatch):
    """A name that is too long for the store becomes a digest."""
    monkeypatch.setenv("SIMT_DEVICES", "3")
    monkeypatch.setenv("SIMT_CAPABILITY", capability)
    with Engine("--model", MINI, "--device", "cuda:0=2,cuda:1=2,cuda:2=2",
                "--precision", "int8", "--kv-precision", "int8",
                *SMALL) as e:
        name = e.first["model"]["precision"]
    if precision is not None:
        assert name == precision
    else:
        assert re.fullmatch(r"int8\+stages\.[0-9a-f]{32}", name)
    assert len(name) <= 64


@pytest.mark.parametrize("memory, device, want", [
    # as much for each
    ("12000000,12000000", BOTH, {"cuda:0": 3, "cuda:1": 3}),
    # in proportion, after the embeddings and the output matrix
    ("20000000,9000000", BOTH, {"cuda:0": 5, "cuda:1": 1}),
    ("9000000,20000000", BOTH, {"cuda:0": 1, "cuda:1": 5}),
    # the CPU is not needed
    ("12000000,12000000", BOTH + ",cpu", {"cuda:0": 3, "cuda:1": 3}),
    # it takes what does not fit
    ("10000000,6000000", BOTH + ",cpu", {"cuda:0": 3, "cuda:1": 2, "cpu": 1}),
    ("6000000,10000000", "cpu," + BOTH, {"cpu": 2, "cuda:0": 2, "cuda:1": 2}),
    # a device without room for one layer is left out
    ("2000000,20000000", BOTH, {"cuda:1": 6}),
    ("2000000,2000000", BOTH + ",cpu", {"cpu": 6}),
    # as they are asked for
    ("20000000,20000000", "cuda:1=1,cuda:0=5", {"cuda:1": 1, "cuda:0": 5})])
def test_layers_are_divided_by_memory(memory, device, want):
    got, out = stages("--device", device, SIMT_MEMORY=memory, **PAIR)
    assert got == want, out
    assert out.count("1024 bytes a row come from") == len(want) - 1


def test_the_stages_are_planned_as_they_are_loaded():
    """One line a stage in the log, and it fits."""
    env = {"SIMT_MEMORY": "20000000,20000000", **PAIR}
    r = subprocess.run([ENGINE, "--model", MINI, "--device", BOTH],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=120, env={**os.environ, **env})
    assert r.returncode == 0, r.stdout
    lines = [line for line in r.stderr.splitlines() if "layers" in line]
    assert len(lines) == 2
    for line, words in zip(lines, ["cuda:0: layers 0-3 of 0-5 in fp16: ",
                                   "cuda:1: layers 4-5 of 0-5 in fp16: "]):
        assert words in line and " of cache for 1024 tokens" in line


@pytest.mark.parametrize("env, args, words", [
    ({"SIMT_MEMORY": "8000000,8000000"}, ["--device", BOTH],
     "on each device; free are 7.6 MiB on cuda:0, 7.6 MiB on cuda:1: try "
     "int8, or add cpu to the devices"),
    ({"SIMT_MEMORY": "3000000,3000000"}, ["--device", BOTH, "--precision",
                                          "int4"], ": add cpu to the devices"),
    ({"SIMT_MEMORY": "6000000"}, ["--device", "cuda:0=4,cpu=2"],
     "cuda:0: 4 layers need "),
    ({}, ["--device", "cuda:0=4,cuda:1=1"],
     "expected 6 layers in all, found 5 in cuda:0=4,cuda:1=1"),
    ({}, ["--device", "cuda:0,cuda:2"], "expected a device up to cuda:1"),
    ({}, ["--device", "cuda:0,cuda:0"], "found cuda:0 twice"),
    ({}, ["--device", BOTH, "--precision", "fp32"], "expected auto, fp16"),
    ({"SIMT_DEVICES": "0"}, ["--device", "cuda"], "no CUDA device"),
    ({"SIMT_CAPABILITY": "61,61"}, ["--device", "cuda"], "found 6.1"),
    ({"SIMT_FAIL": "cudaMalloc 5"}, ["--device", BOTH],
     "cuda:1: memory for the cache"),
    ({"SIMT_FAIL": "cudaStreamCreate 2"}, ["--device", BOTH],
     "cuda:1: a stream"),
    ({"SIMT_FAIL": "cudaEventRecord 5"}, ["--device", BOTH],
     ": loading the weights: "),
    ({"SIMT_FAIL": "cudaMemcpy 2"}, ["--device", BOTH],
     "cuda:0: the table of positions: ")])
def test_devices_that_can_not_be_used_together(env, args, words):
    r = subprocess.run([ENGINE, "--model", MINI, *SMALL, *args],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=120, env={**os.environ, **PAIR,
                                                    **env})
    last = json.loads(r.stdout.splitlines()[-1])
    assert r.returncode != 0 and last["event"] == "error"
    assert words in last["message"], last["message"]


@pytest.mark.parametrize("env, device, words", [
    ({"SIMT_MEMORY": "12000000,12000000"}, BOTH, "device auto: cuda"),
    ({"SIMT_MEMORY": "40000000,12000000"}, "cuda:0", "device auto: cuda:0"),
    ({"SIMT_CAPABILITY": "61,80"}, "cuda:1", "device auto: cuda"),
    ({"SIMT_MEMORY": "8000000,8000000"}, "cpu",
     "free are 7.6 MiB on cuda:0, 7.6 MiB on cuda:1: try int8"),
    ({"SIMT_MEMORY": "6000000", "SIMT_DEVICES": "1"}, "cpu",
     'the device "cpu,cuda:0" would use both')])
def test_auto_takes_all_devices_before_the_cpu(env, device, words):
    r = subprocess.run([ENGINE, "--model", MINI, "--device", "auto", *SMALL],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=120, env={**os.environ, **PAIR,
                                                    **env})
    ready = json.loads(r.stdout.splitlines()[-1])
    assert (r.returncode, ready["model"]["device"]) == (0, device)
    assert words in r.stderr


def test_a_packed_file_serves_several_gpus(tmp_path):
    packed = tmp_path / "packed"
    args = ["--model", TINY, "--precision", "int8", "--pack"]
    run = lambda *args: subprocess.run(
        [ENGINE, *map(str, args)], capture_output=True, text=True,
        timeout=120, stdin=subprocess.DEVNULL, env={**os.environ, **PAIR})
    r = run(*args, packed, "--device", "cuda:0,cpu")
    assert r.returncode == 1
    assert "expected devices of one kind for a packed file" in r.stderr
    r = run(*args, packed, "--device", BOTH)
    assert r.returncode == 0, r.stderr
    r = run("--model", packed, "--check", "--device", BOTH)
    assert r.returncode == 0 and "sound" in r.stdout, r.stderr
    with Engine("--model", packed, "--device", "cuda:0") as e:
        want = e.generate(**HELLO)[-1]["ids"]
    os.environ.update(PAIR)
    try:
        with Engine("--model", packed, "--device", BOTH) as e:
            assert e.first["model"]["precision"] == "int8@sm_80.1"
            assert e.generate(**HELLO)[-1]["ids"] == want
            last = e.progress[-1]
            assert last["bytes"] == last["bytes_total"]
    finally:
        del os.environ["SIMT_DEVICES"]
    r = run("--model", packed, "--device", "cuda:0,cpu")
    assert "is packed for GPUs, but cuda:0,cpu are GPUs and the CPU" in \
        r.stdout


def test_an_error_of_the_second_device_names_it():
    """The kernels of a step on cuda:0 succeed, then one on cuda:1 fails."""
    seen = set()
    for n in range(1, 40, 3):
        r = subprocess.run(
            [ENGINE, "--model", TINY, "--device", BOTH, "--kv-tokens", "96"],
            input=json.dumps({"op": "generate", "id": 1, **HELLO}) + "\n",
            capture_output=True, text=True, timeout=120,
            env={**os.environ, **PAIR, "SIMT_FAIL": "kernel %d" % n})
        assert r.returncode == 1
        seen |= set(re.findall(r"(cuda:\d): .*this process can't use", r.stderr))
        if "cuda:1" in seen:
            break
    assert "cuda:1" in seen


def test_a_reply_continues_on_a_gpu_and_the_cpu():
    """The name of a mixed precision passes through the store."""
    config = {"model": {"path": str(MINI), "device": "cuda:0=2,cpu=4",
                        "kv_tokens": 2048}}
    params = {"temperature": 0, "max_tokens": 8}
    with Service(engine=ENGINE, config=config) as s, \
            s.wait_model().client() as c:
        want, last = c.say("Hello", params=params)
        assert last["event"] == "done"
        ident = c.send("say", text="Hello", params=params)
        first = c.until("text")["text"]
        os.kill(s.helper_pid("engine"), signal.SIGKILL)
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert first + text_of(seen) == want
        assert ("mini is ready: fp16@sm_80.1[0-1]+bf16[2-5] on cuda:0,cpu"
                in s.log.read_text())


def test_a_reply_continues_in_the_next_engine():
    """Under chatd, in its sandbox: an engine is killed in the middle."""
    config = {"model": {"path": str(MINI), "device": "cuda:0",
                        "kv_tokens": 2048}}
    params = {"temperature": 0, "max_tokens": 10}
    with Service(engine=ENGINE, config=config) as s, \
            s.wait_model().client() as c:
        want, last = c.say("Hello", params=params)
        assert last["event"] == "done"
        ident = c.send("say", text="Hello", params=params)
        first = c.until("text")["text"]
        os.kill(s.helper_pid("engine"), signal.SIGKILL)
        seen = c.events(ident)
        assert seen[-1]["event"] == "done"
        assert "engine_restarted" in [e.get("code") for e in seen]
        assert first + text_of(seen) == want
        assert "mini is ready: fp16@sm_80.1 on cuda:0" in s.log.read_text()
