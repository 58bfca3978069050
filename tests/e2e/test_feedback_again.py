# SPDX-License-Identifier: Apache-2.0
"""chatd-tune feedback and the folders around it: what was made already is not made
again, a run that was stopped goes on, and nobody else's folder is used.  The parent
is a model of one layer, made by hand: it writes one token and ends."""
import json
import shutil
import struct
import subprocess

import pytest

from service import BUILD, SRC

MINI = SRC / "engine/mini"
TEMPLATES = MINI / "templates"
TUNE = BUILD / "chatd-tune"
CHANNELS = 16
PRESET = "steps: 2\nbatch: 128\nmicro: 128\npairs: 64\nitems: 2\nown: 0\n" \
    "phrasings: 4\nmargin: 100\nperplexity: 1000\n"
# The training raises the perplexity: such a model is refused.
WORSE = PRESET.replace("perplexity: 1000", "perplexity: 0") + \
    "rate: 10\nembed_rate: 10\nclip: 0\n"


def run(*args, status=0, **kw):
    done = subprocess.run([*map(str, args)], capture_output=True,
                          text=True, timeout=600, check=False, **kw)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def model(folder, token):
    """A model that replies this token to everything, and ends."""
    folder.mkdir()
    for name in "tokenizer.json", "tokenizer_config.json":
        shutil.copy(MINI / name, folder / name)
    config = json.loads((MINI / "config.json").read_text())
    config.update(hidden_size=CHANNELS, num_hidden_layers=1,
                  num_attention_heads=1, intermediate_size=CHANNELS,
                  rotary_pct=0.5, torch_dtype="float32",
                  tie_word_embeddings=False)
    (folder / "config.json").write_text(json.dumps(config))
    vocab = config["vocab_size"]
    ids = json.loads((MINI / "tokenizer.json").read_text())["model"]["vocab"]
    embed = [[1.0] + [0.0] * (CHANNELS - 1) for _ in range(vocab)]
    embed[ids[token]] = [0.0, 1.0] + [0.0] * (CHANNELS - 2)
    head = [[0.0] * CHANNELS for _ in range(vocab)]
    head[ids[token]][0] = head[config["eos_token_id"]][1] = 1.0
    layer = "gpt_neox.layers.0."
    tensors = {"gpt_neox.embed_in.weight": embed, "embed_out.weight": head}
    for name, rows in (("attention.query_key_value", 3 * CHANNELS),
                       ("attention.dense", CHANNELS),
                       ("mlp.dense_h_to_4h", CHANNELS),
                       ("mlp.dense_4h_to_h", CHANNELS)):
        tensors[layer + name + ".weight"] = [[0.0] * CHANNELS] * rows
        tensors[layer + name + ".bias"] = [0.0] * rows
    for name in (layer + "input_layernorm", "gpt_neox.final_layer_norm",
                 layer + "post_attention_layernorm"):
        tensors[name + ".weight"] = [1.0] * CHANNELS
        tensors[name + ".bias"] = [0.0] * CHANNELS
    header, data = {}, b""
    for name, rows in tensors.items():
        nested = isinstance(rows[0], list)
        flat = [x for row in rows for x in row] if nested else rows
        part = struct.pack("<%df" % len(flat), *flat)
        header[name] = {"dtype": "F32", "data_offsets":
                        [len(data), len(data) + len(part)],
                        "shape": [len(rows), CHANNELS] if nested else
                        [len(rows)]}
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + data)
    return folder


def rows(path, *items):
    path.write_text("".join(json.dumps(r) + "\n" for r in items))
    return path


def good(question, reply):
    return {"prompt": "<human>: %s\n<bot>:" % question, "completion": reply}


@pytest.fixture(scope="module", name="parent")
def _parent(tmp_path_factory):
    return model(tmp_path_factory.mktemp("parent") / "model", "a")


@pytest.fixture(name="exports")
def _exports(tmp_path):
    return [rows(tmp_path / "a.jsonl", good("Where is the printer?", "Here.")),
            rows(tmp_path / "b.jsonl", good("Who are you?", "Marvin."))]


def args(parent, out, exports, *more, text=PRESET):
    preset = out.parent / "preset.yaml"
    preset.write_text(text)
    return [TUNE, "feedback", parent, "--templates", TEMPLATES, "--preset",
            preset, "--out", out, "--threads", 1, *more, *exports]


def events(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def blocked(command, out):
    """Run a training whose name is taken before it ends."""
    with subprocess.Popen([*map(str, command), "--json"], text=True,
                          stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        for line in p.stdout:
            if '"event":"gate"' not in line and '"step"' in line and \
                    not out.exists():
                out.mkdir()
        error = p.stderr.read()
    assert p.returncode == 1, error
    assert "can't get the name %s: File exists" % out in error
    out.rmdir()


@pytest.mark.parametrize("name", ["new/", "new///"])
def test_a_slash_at_the_end_of_a_name_is_no_part_of_it(parent, exports,
                                                       tmp_path, name):
    command = args(parent, tmp_path / "new", exports)
    command[command.index("--out") + 1] = name
    run(*command, cwd=tmp_path)
    assert (tmp_path / "new/lineage.json").exists()
    assert not (tmp_path / "new.part").exists()


def test_a_name_is_needed(parent, exports, tmp_path):
    command = args(parent, tmp_path / "new", exports)
    command[command.index("--out") + 1] = ""
    assert "--out: is empty" in run(*command, status=2).stderr


# ---- odd ratings and odd parents

def test_replies_of_the_parent_that_are_no_text_are_left_out(exports,
                                                             tmp_path):
    """The parent's reply is the first byte of a character, and no more."""
    parent = model(tmp_path / "parent", "\u00c3")
    text = PRESET.replace("own: 0", "own: 3")
    done = run(*args(parent, tmp_path / "new", exports, text=text))
    assert " 0 replies of the parent" in done.stdout


@pytest.mark.parametrize("phrasings, rows_wanted", [(1, 1), (8, 8)])
def test_a_bad_reply_also_follows_the_message_as_it_was(
        parent, tmp_path, phrasings, rows_wanted):
    bad = rows(tmp_path / "bad.jsonl", dict(
        good("Where is the printer?", "On the moon."), label=False))
    command = args(parent, tmp_path / "new", [bad], text=PRESET.replace(
        "phrasings: 4", "phrasings: %d" % phrasings))
    blocked(command, tmp_path / "new")
    compared = [json.loads(line) for line in open(
        tmp_path / "new.part/compared.jsonl", encoding="utf-8")]
    assert len(compared) == rows_wanted
    assert not any(r["label"] for r in compared)
    assert sum(r["prompt"] == "<human>: Where is the printer?\n<bot>:"
               for r in compared) >= max(1, phrasings // 4)
