# SPDX-License-Identifier: Apache-2.0
"""chatd-engine --check and --pack, packed files, and the cost of loading."""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import struct
import subprocess
import time

import pytest

import gguf_files
import neox_random
from engine_client import (BUILD, ENGINE, TINY, WAIT, Engine, copy_model,
                           greedy, start)

SANITIZED = "#define WITH_SANITIZER 1" in (BUILD / "config.h").read_text()
MINI = pathlib.Path(__file__).resolve().parents[2] / "engine/mini"
PRECISIONS = ["fp32", "bf16", "int8", "int4"]
MIB = 1 << 20


def run(*args):
    return subprocess.run([ENGINE, *map(str, args)], capture_output=True,
                          text=True, timeout=WAIT)


def pack(model, out, precision):
    done = run("--model", model, "--pack", out, "--precision", precision)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return out


def write_large(folder, dtype="F16"):
    """A model of 67 million zeros in a sparse file: 128 MiB in F16."""
    layers, c, f, v = 4, 1024, 4096, 8192
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({
        "model_type": "gpt_neox", "hidden_size": c, "intermediate_size": f,
        "num_hidden_layers": layers, "num_attention_heads": 16,
        "vocab_size": v, "max_position_embeddings": 128,
        "eos_token_id": 0}))
    (folder / "tokenizer.json").write_bytes(
        (TINY / "tokenizer.json").read_bytes())
    shapes = {"gpt_neox.embed_in.weight": [v, c],
              "embed_out.weight": [v, c],
              "gpt_neox.final_layer_norm.weight": [c],
              "gpt_neox.final_layer_norm.bias": [c]}
    for i in range(layers):
        for name, shape in {
                "input_layernorm.weight": [c], "input_layernorm.bias": [c],
                "post_attention_layernorm.weight": [c],
                "post_attention_layernorm.bias": [c],
                "attention.query_key_value.weight": [3 * c, c],
                "attention.query_key_value.bias": [3 * c],
                "attention.dense.weight": [c, c],
                "attention.dense.bias": [c],
                "mlp.dense_h_to_4h.weight": [f, c],
                "mlp.dense_h_to_4h.bias": [f],
                "mlp.dense_4h_to_h.weight": [c, f],
                "mlp.dense_4h_to_h.bias": [c]}.items():
            shapes["gpt_neox.layers.%d.%s" % (i, name)] = shape
    header, at = {}, 0
    for name, shape in shapes.items():
        size = {"F16": 2, "F32": 4}[dtype]
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + at)
    return folder


# -- --check

def test_check_says_what_a_model_is_and_that_it_is_sound():
    done = run("--model", TINY, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (": safetensors, 230.0 KiB", "2 layers of 64 channels",
                  "4 heads of 16", "gelu_fast", "320, the tokenizer has 301",
                  "parameters  116288", "int4 ", "fits", "  sound\n"):
        assert words in done.stdout
    with start() as e:
        assert e.first["model"]["digest"] in done.stdout


def test_check_of_a_packed_file_names_its_precision(tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    done = run("--model", out, "--check")
    assert done.returncode == 0
    assert "packed in   int8" in done.stdout and "sound" in done.stdout
    assert "    bf16" not in done.stdout
    sound = out.read_bytes()
    out.write_bytes(sound.replace(b'dense.weight.scale"',
                                  b'dense.weight.scala"', 1))
    done = run("--model", out, "--check")
    assert done.returncode == 1 and "sound" not in done.stdout
    assert "dense.weight.scale: expected a tensor" in done.stderr
    data = bytearray(sound)
    data[-100] ^= 1
    out.write_bytes(data)
    done = run("--model", out, "--check")
    assert done.returncode == 1 and "sound" not in done.stdout
    assert "the file is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


def test_check_says_what_the_cache_takes():
    def lines(*args):
        done = run("--model", TINY, "--check", "--kv-tokens", "1024", *args)
        assert done.returncode == 0
        return [line.split(", ")[1].split(":")[0]
                for line in done.stdout.splitlines() if " of cache" in line]
    assert lines() == ["1.0 MiB of cache in fp32"] + \
        3 * ["512.0 KiB of cache in bf16"]
    assert lines("--kv-precision", "int8") == \
        4 * ["320.0 KiB of cache in int8"]
    assert lines("--kv-precision", "fp32", "--precision", "fp32") == \
        ["1.0 MiB of cache in fp32"]


def test_check_finds_infinity(tmp_path):
    model = copy_model(tmp_path / "m")
    data = bytearray((model / "model.safetensors").read_bytes())
    header = json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])
    name = "gpt_neox.layers.1.mlp.dense_h_to_4h.weight"
    at = 8 + struct.unpack("<Q", data[:8])[0] + \
        header[name]["data_offsets"][0] + 2 * (3 * 64 + 5)
    data[at:at + 2] = struct.pack("<e", float("inf"))
    (model / "model.safetensors").write_bytes(data)
    done = run("--model", model, "--check")
    assert done.returncode == 1
    assert done.stderr == (
        "chatd-engine: %s/model.safetensors: %s: expected finite numbers, "
        "found inf in row 3, column 5\n" % (model, name))


def test_a_name_in_a_packed_file_moves_no_terminal(tmp_path):
    model = copy_model(tmp_path / "m\x1b[2J\x7f\u009bé")
    out = pack(model, tmp_path / "p", "int4")
    done = run("--model", out, "--check")
    assert done.returncode == 0
    assert "  name        m?[2J??é\n" in done.stdout


# -- another device

def run_on(device, *args):
    """Without modules, as on a machine without CUDA."""
    return subprocess.run(
        [ENGINE, "--device", device, *map(str, args)], capture_output=True,
        text=True, timeout=WAIT,
        env={**os.environ, "CHATD_MODULES": "/nowhere"})


@pytest.mark.parametrize("device, words", [
    ("cuda:0", "cuda:0: the CUDA module is not installed: "
     "/nowhere/chatd-cuda.so"),
    ("gpu", "device: expected auto, cpu, cuda, cuda:N, or a list such as "
     "cuda:0,cuda:1 or cuda:0=30,cpu=14, found gpu")])
def test_check_pack_and_bench_refuse_a_device_that_is_not_there(
        tmp_path, device, words):
    out = tmp_path / "p"
    for args in (["--check"], ["--pack", out]):
        done = run_on(device, "--model", TINY, *args)
        assert (done.returncode, done.stdout) == (1, "")
        assert words in done.stderr and done.stderr.count("\n") == 1
    assert not out.exists()
    done = run_on(device, "--model", TINY, "--bench")
    assert done.returncode == 1 and "prefill" not in done.stdout
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["event"] == "error" and last["code"] == "no_device"
    assert words in last["message"]


def test_a_packed_file_of_another_layout_is_refused(tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    sound = out.read_bytes()
    assert b'"layout":"cpu-1"' in sound
    out.write_bytes(sound.replace(b'"layout":"cpu-1"', b'"layout":"gpu-7"'))
    want = ("%s: __metadata__: layout: expected cpu-1 for device cpu, found "
            "gpu-7: pack the model again for this device" % out)
    done = run("--model", out, "--check")
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", "chatd-engine: %s\n" % want)
    done = run("--model", out)
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["code"], last["message"]) == ("bad_model", want)


def test_a_packed_file_of_an_older_chatd_is_refused(tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    out.write_bytes(out.read_bytes().replace(
        b'"chatd_packed":"2","layout":"cpu-1",', b'"chatd_packed":"1",' +
        17 * b" "))
    done = run("--model", out, "--check")
    assert (done.returncode, done.stderr) == (
        1, "chatd-engine: %s: expected a packed file of version 2, found 1, "
        "of an older chatd: pack the model again\n" % out)


@pytest.mark.parametrize("args, words", [
    (["--check"], "need --model"),
    (["--bench"], "need --model"),
    (["--pack", "x"], "need --model"),
    (["--model", str(TINY), "--check", "--pack", "x"],
     "one of --check, --pack and --bench"),
    (["--model", str(TINY), "--check", "x"], 'unexpected argument "x"'),
    (["--model", str(TINY), "--check", "--precision", "fp16"],
     "expected auto, fp32, bf16, int8 or int4, found \"fp16\""),
    (["--model", str(TINY), "--check", "--kv-precision", "int4"],
     "expected auto, fp32, bf16 or int8, found \"int4\""),
    (["--model", str(TINY), "--check", "--kv-precision", "fp32"],
     "fp32 needs weights in fp32, but they are in bf16"),
    (["--model", str(TINY), "--threads", "-1"],
     '--threads: expected a number from 0 to 4096, found "-1"'),
    (["--model", "/nowhere", "--check"], "/nowhere: No such file"),
    (["--model", "/dev/null", "--check"], "not a regular file"),
    (["--model", str(ENGINE), "--check"], "expected a folder with "
     "config.json, a GGUF file or a packed file, found another kind of file"),
    (["--model", "empty", "--check"], "found an empty file"),
    (["--model", str(TINY / "model.safetensors"), "--check"],
     "a safetensors file: give its folder"),
    (["--model", str(TINY / "pytorch_model.bin"), "--check"],
     "one of PyTorch: give its folder"),
    (["--model", str(TINY), "--pack", "/nowhere/x"], "/nowhere/x"),
    (["--model", str(TINY), "--pack", "/dev/null"],
     "/dev/null: expected the name of a file to write, found a device"),
    (["--model", str(TINY), "--pack", "."],
     ".: expected the name of a file to write, found a folder"),
    (["--model", str(TINY), "--pack", ""],
     "expected the name of a file to write, found none"),
    (["--model", str(TINY), "--pack", "x", "--precision", "int3"],
     'found "int3"'),
])
def test_an_impossible_call_is_reported_in_one_line(args, words, tmp_path):
    (tmp_path / "empty").touch()
    done = subprocess.run([ENGINE, *args], capture_output=True, text=True,
                          cwd=tmp_path, timeout=WAIT)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


# Models of every form, and the files that each consists of.
FILES = {"m": ["config.json", "tokenizer.json", "model.safetensors", "."],
         "shards": ["model.safetensors.index.json",
                    "model-00002-of-00003.safetensors"],
         "bin": ["pytorch_model.bin"],
         "file.gguf": ["", ".."], "packed": ["", ".."]}


@pytest.fixture(scope="module")
def every_form(tmp_path_factory):
    top = tmp_path_factory.mktemp("forms")
    copy_model(top / "m")
    neox_random.write(top / "shards", "erf64", shards=3)
    (top / "bin").mkdir()
    for name in "config.json", "tokenizer.json", "pytorch_model.bin":
        shutil.copyfile(TINY / name, top / "bin" / name)
    gguf_files.convert(TINY, top / "file.gguf")
    pack(TINY, top / "packed", "int8")
    return top


@pytest.mark.parametrize("model, name", [
    (m, f) for m, names in FILES.items() for f in names])
def test_files_that_others_may_write_are_refused(every_form, model, name):
    model = every_form / model
    file = pathlib.Path(os.path.normpath(model / name))
    was = file.stat().st_mode & 0o7777
    file.chmod(was | 0o002)
    try:
        done = run("--model", model, "--check")
    finally:
        file.chmod(was)
    assert done.returncode == 1
    assert done.stderr == (
        "chatd-engine: %s: may be written by anybody (mode %04o): chmod o-w "
        "it\n" % (file, was | 0o002))
    assert run("--model", model, "--check").returncode == 0


@pytest.mark.parametrize("model, name", [
    (m, f) for m, names in FILES.items() for f in names
    if f not in (".", "..")])
def test_git_lfs_is_named_where_it_left_a_pointer(every_form, tmp_path, model,
                                                  name):
    if name == "":
        shutil.copyfile(every_form / model, tmp_path / model)
    else:
        shutil.copytree(every_form / model, tmp_path / model)
    file = tmp_path / model / name
    file.write_text("version https://git-lfs.github.com/spec/v1\n"
                    "oid sha256:%064d\nsize 5\n" % 0)
    done = run("--model", tmp_path / model, "--check")
    assert done.returncode == 1
    assert done.stderr == (
        "chatd-engine: %s: a Git LFS pointer, not the file itself: fetch it "
        "with git lfs pull\n" % file)


# -- --pack

@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_packed_model_replies_as_the_folder_does(precision, tmp_path):
    out = pack(TINY, tmp_path / "p", precision)
    prompt = {"prompt": "the quick brown fox", "params": greedy(40)}
    with Engine("--model", TINY, "--precision", precision) as e:
        digest = e.first["model"]["digest"]
        want = e.generate(**prompt)[-1]
    with Engine("--model", out) as e:
        model = e.first["model"]
        assert (model["precision"], model["digest"]) == (precision, digest)
        assert (model["name"], model["path"]) == ("neox-tiny", str(out))
        assert e.progress[-1]["bytes"] == e.progress[-1]["bytes_total"] > 0
        assert e.generate(**prompt)[-1] == want
    assert os.stat(out).st_mode & 0o777 == 0o644


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["odd48", "sequential80"])
def test_packing_gives_the_same_bytes_with_any_threads(name, precision,
                                                       tmp_path):
    model = neox_random.write(tmp_path / "m", name)
    seen = set()
    for threads in 1, 2, 7:
        assert run("--model", model, "--pack", tmp_path / "p", "--precision",
                   precision, "--threads", threads).returncode == 0
        seen.add((tmp_path / "p").read_bytes())
    assert len(seen) == 1


def test_packing_replaces_no_file_but_a_packed_one(tmp_path):
    model = copy_model(tmp_path / "m")
    before = {p.name: p.read_bytes() for p in model.iterdir()}
    for name in before:
        done = run("--model", model, "--pack", model / name)
        assert done.returncode == 1
        assert done.stderr == (
            "chatd-engine: %s: expected a new name or a packed file to "
            "replace, found another file\n" % (model / name))
    assert {p.name: p.read_bytes() for p in model.iterdir()} == before


def test_a_full_disk_is_reported_before_writing(tmp_path):
    alone = ["unshare", "-rm", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=64k none "$1" && '
    words = [tmp_path, ENGINE, TINY]
    if subprocess.run([*alone, mount + "true", "sh", *words]).returncode != 0:
        pytest.skip("no mount in a name space of our own")
    done = subprocess.run(
        [*alone, mount + '"$2" --model "$3" --pack "$1/p"; ls "$1"', "sh",
         *words], capture_output=True, text=True, timeout=WAIT)
    assert re.fullmatch(r"chatd-engine: %s/p: needs \d+\.\d KiB of disk, "
                        r"64\.0 KiB are free\n" % tmp_path, done.stderr)
    assert done.stdout == ""


ODD_TEXTS = ["", " ", "a", "the quick brown fox", "<|endoftext|>", "\u00e9",
             "e\u0301\u0323", "\n\n  \t", "<human>: it's\n<bot>:",
             "\U0001f600\u200d", "x" * 300]


def change_once(path, old, new):
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))


def tokens(model):
    with Engine("--model", model) as e:
        assert e.first["event"] == "ready"
        return [e.ask("tokenize", text=text)["ids"] for text in ODD_TEXTS]


@pytest.mark.parametrize("old, new", [
    (None, None),
    (b'"tokenizer.tables"', b'"tokenizer.tobles"'),     # has none
    (b"chatdtok\x01\0\0\0", b"chatdtok\x02\0\0\0"),   # a later version
])
def test_a_packed_model_tokenizes_as_the_folder_does(old, new, tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    if old:
        change_once(out, old, new)
    assert tokens(out) == tokens(TINY)


def test_the_tables_of_a_packed_model_are_what_is_used(tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    want = tokens(out)
    change_once(out, b'"version": "1.0"', b'"version": "1.9"')
    assert tokens(out) == want


def test_broken_tables_are_reported(tmp_path):
    out = pack(TINY, tmp_path / "p", "int8")
    at = out.read_bytes().index(b"chatdtok")
    with open(out, "r+b") as f:
        f.seek(at + 12)
        f.write(b"\xff" * 4)
    done = run("--model", out, "--check")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "chatd-engine: %s: tokenizer.tables: expected " % out)


def test_packing_again_replaces_the_file(tmp_path):
    out = pack(TINY, tmp_path / "p", "fp32")
    with Engine("--model", out) as e:
        pack(TINY, out, "int4")         # the old one is still mapped
        before = e.generate(prompt="a", params=greedy(8))[-1]
        assert before["event"] == "done"
    with Engine("--model", out) as e:
        assert e.first["model"]["precision"] == "int4"
    assert [p.name for p in tmp_path.iterdir()] == ["p"]


def test_a_kill_leaves_no_half_file(tmp_path):
    model = write_large(tmp_path / "m")
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "p"
    begin = time.monotonic()
    pack(model, out, "bf16")
    took = time.monotonic() - begin
    whole = out.stat().st_size
    out.unlink()
    rng = random.Random(4)
    killed = 0
    for _ in range(6):
        p = subprocess.Popen([ENGINE, "--model", model, "--pack", out,
                              "--precision", "bf16"])
        time.sleep(rng.random() * took * 0.8)
        p.kill()
        killed += p.wait() == -signal.SIGKILL
        for path in folder.iterdir():   # created just before the kill
            assert path.stat().st_size == whole
            assert run("--model", path, "--check").returncode == 0
            path.unlink()
    assert killed > 0


def test_a_file_cut_while_it_is_mapped_ends_the_engine_in_words(tmp_path):
    out = pack(write_large(tmp_path / "m"), tmp_path / "p", "int8")
    p = subprocess.Popen([ENGINE, "--model", out], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while b'"ready"' not in p.stdout.readline():
        pass
    os.truncate(out, MIB)
    request = {"op": "generate", "id": 1, "prompt": "a",
               "params": greedy(3)}
    _, err = p.communicate(json.dumps(request).encode() + b"\n", WAIT)
    assert p.returncode == -signal.SIGBUS
    assert err == (b"chatd-engine: %s: the file was cut, or its disk failed, "
                   b"while it was in use\n" % bytes(out))
    done = run("--model", out, "--check")
    assert done.returncode == 1 and str(out) in done.stderr


def test_a_limit_of_size_is_an_error_and_no_signal(tmp_path):
    done = subprocess.run(
        [ENGINE, "--model", TINY, "--pack", tmp_path / "p"],
        capture_output=True, text=True, timeout=WAIT,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE,
                                              (4096, 4096)))
    assert done.returncode == 1
    assert done.stderr == ("chatd-engine: %s/p: reserving space: File too "
                           "large\n" % tmp_path)
    assert list(tmp_path.iterdir()) == []


# -- --bench

@pytest.mark.skipif("avx2" not in pathlib.Path("/proc/cpuinfo").read_text(),
                    reason="plain C takes minutes for it")
@pytest.mark.skipif(SANITIZED, reason="it is slow")
def test_the_bench_measures_prompts_and_replies():
    done = run("--model", MINI, "--bench", "--kv-precision", "int8")
    assert done.returncode == 0
    figures = json.loads(done.stdout.splitlines()[-1])
    assert (figures["model"], figures["precision"]) == ("mini", "bf16+kv8")
    for key in ("read_bandwidth", "fp32_peak", "int8_peak", "prefill_512",
                "decode_1", "decode_8", "decode_32", "peak_memory"):
        assert figures[key] > 0
        assert key in done.stderr


def test_the_bench_needs_a_model_of_some_length():
    done = run("--model", TINY, "--bench")
    assert done.returncode == 1
    assert "a model for at least 512 tokens, found cpu and" in done.stderr


# -- the cost of loading

def status_of(pid, key):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(key)


@pytest.mark.skipif(SANITIZED, reason="its shadow memory counts")
@pytest.mark.parametrize("precision, weights", [
    ("int8", 65), ("bf16", 128)])
def test_loading_needs_little_more_than_the_weights(precision, weights,
                                                    tmp_path):
    model = write_large(tmp_path / "m", "F32")      # 256 MiB
    with Engine("--model", model, "--precision", precision,
                "--threads", "2") as e:
        assert e.first["event"] == "ready"
        peak = status_of(e.process.pid, "VmHWM")
    assert weights * MIB < peak < (weights + 64) * MIB


@pytest.mark.skipif(SANITIZED, reason="it is slow")
def test_a_packed_file_in_the_page_cache_is_ready_at_once(tmp_path):
    """Its bytes are not converted: 128 MiB. The limit is 1 s for 800 MiB."""
    model = write_large(tmp_path / "m")
    out = pack(model, tmp_path / "p", "bf16")
    took = []
    for path in model, out, out, out:
        begin = time.monotonic()
        with Engine("--model", path) as e:
            assert e.first["event"] == "ready"
            took.append(time.monotonic() - begin)
    assert min(took[1:]) < 0.2
    assert min(took[1:]) < took[0] / 2


def test_every_byte_is_read_once(tmp_path):
    model = write_large(tmp_path / "m")
    size = (model / "model.safetensors").stat().st_size
    with Engine("--model", model, "--precision", "int4") as e:
        assert e.first["event"] == "ready"
        with open("/proc/%d/io" % e.process.pid) as f:
            read = int(f.readline().split()[1])
    assert size <= read < size + 4 * MIB


@pytest.mark.skipif(SANITIZED, reason="it needs its address space")
def test_memory_is_planned_before_anything_is_read(tmp_path):
    model = write_large(tmp_path / "m", "F32")
    limit = 240 * MIB
    p = subprocess.run(
        [ENGINE, "--model", model, "--precision", "fp32"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS,
                                              (limit, limit)))
    error = json.loads(p.stdout.splitlines()[-1])
    assert p.returncode == 1
    assert error["code"] == "no_memory"
    assert re.search(r"needs 3\d\d\.\d MiB in fp32, 2\d\d\.\d MiB are "
                     r"free: try bf16 \(1\d\d\.\d MiB\)",
                     error["message"])
    assert '"progress"' not in p.stdout
