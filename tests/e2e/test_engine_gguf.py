# SPDX-License-Identifier: Apache-2.0
"""chatd-engine with GGUF files: the replies are those of the model's folder."""
import os
import pathlib
import subprocess

import pytest

import gguf_files
from engine_client import ENGINE, EXPECTED, TINY, WAIT, Engine, greedy


@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0", "Q4_0"])
@pytest.mark.parametrize("precision", ["fp32", "int4"])
def test_a_gguf_file_talks(kind, precision, tmp_path):
    path = tmp_path / "neox-tiny.gguf"
    gguf_files.convert(TINY, path, kind)
    with Engine("--model", path, "--precision", precision) as e:
        model = e.first["model"]
        assert model["name"] == "neox-tiny"
        assert (model["vocab"], model["context"]) == (320, 96)
        done = e.generate(prompt="the quick", params=greedy(12))[-1]
        assert done["event"] == "done" and done["output_tokens"] == 12


@pytest.mark.parametrize("kind", ["F32", "F16"])
def test_it_computes_what_the_folder_does(kind, tmp_path):
    """The weights are F16, so that neither loses anything."""
    path = tmp_path / "m.gguf"
    gguf_files.convert(TINY, path, kind)
    text = "Hello  world, <human>: it's 42   o'clock\n\n"
    with Engine("--model", TINY, "--precision", "fp32") as folder, \
            Engine("--model", path, "--precision", "fp32") as e:
        assert e.ask("tokenize", text=text) == folder.ask(
            "tokenize", text=text)
        for seq in EXPECTED["sequences"]:
            ids = seq["ids"]
            want = folder.ask("score", ids=ids, logits="last")
            assert e.ask("score", ids=ids, logits="last")["logits"] == \
                want["logits"]


def test_the_digest_is_of_the_one_file(tmp_path):
    path = tmp_path / "m.gguf"
    gguf_files.convert(TINY, path, "Q8_0")
    line = subprocess.run("sha256sum m.gguf | sha256sum", shell=True,
                          cwd=tmp_path, capture_output=True, text=True)
    done = subprocess.run([ENGINE, "--model", path, "--check"],
                          capture_output=True, text=True, timeout=WAIT)
    assert "sha256:" + line.stdout.split()[0] in done.stdout
    assert ": GGUF, " in done.stdout and "sound" in done.stdout


def test_a_gguf_file_can_be_packed(tmp_path):
    path, out = tmp_path / "m.gguf", tmp_path / "packed"
    gguf_files.convert(TINY, path, "Q4_0")
    done = subprocess.run([ENGINE, "--model", path, "--pack", out,
                           "--precision", "int4"], timeout=WAIT)
    assert done.returncode == 0
    prompt = {"prompt": "the quick", "params": greedy(20)}
    with Engine("--model", path, "--precision", "int4") as a, \
            Engine("--model", out) as b:
        assert a.first["model"]["digest"] == b.first["model"]["digest"]
        assert a.generate(**prompt)[-1] == b.generate(**prompt)[-1]


@pytest.mark.parametrize("name", ["m.gguf", "model.safetensors"])
def test_files_that_others_may_write_are_refused(name, tmp_path):
    model = tmp_path / name
    if name == "m.gguf":
        gguf_files.convert(TINY, model, "F16")
    else:
        for part in ("config.json", "tokenizer.json", name):
            (tmp_path / part).write_bytes((TINY / part).read_bytes())
        model = tmp_path
    for path in {tmp_path / name, pathlib.Path(model)}:
        mode = path.stat().st_mode
        os.chmod(path, mode | 0o002)
        done = subprocess.run([ENGINE, "--model", model, "--check"],
                              capture_output=True, text=True, timeout=WAIT)
        os.chmod(path, mode)
        assert done.returncode == 1
        assert str(path) in done.stderr and "chmod o-w" in done.stderr
    done = subprocess.run([ENGINE, "--model", model, "--check"],
                          capture_output=True, timeout=WAIT)
    assert done.returncode == 0
