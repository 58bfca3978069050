# SPDX-License-Identifier: Apache-2.0
"""chatd-tune feedback and the folders around it: what was made already is not made
again, a run that was stopped goes on, and nobody else's folder is used.  The parent
is a model of one layer, made by hand: it writes one token and ends."""
import fcntl
import json
import os
import shutil
import signal
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


# ---- what was made already

def test_a_model_is_not_made_again_beside_itself(parent, exports, tmp_path):
    """As the timer would, after an operator has changed back."""
    run(*args(parent, tmp_path / "one", exports))
    done = run(*args(parent, tmp_path / "two", exports), status=4)
    assert "nothing to learn: these ratings made %s already, which does not " \
        "serve any more or not yet; --again trains it again\n" % (
            tmp_path / "one") in done.stdout
    assert not list(tmp_path.glob("two*"))
    # A dry run says the same; another preset or other ratings are new.
    run(*args(parent, tmp_path / "two", exports, "--dry-run"), status=4)
    run(*args(parent, tmp_path / "two", exports[:1], "--dry-run"))
    run(*args(parent, tmp_path / "two", exports, "--dry-run",
              text=PRESET + "rate: 0.1\n"))
    run(*args(parent, tmp_path / "two", exports, "--again"))
    assert (tmp_path / "two/lineage.json").exists()


def test_a_model_that_was_refused_is_not_made_again(parent, exports,
                                                    tmp_path):
    run(*args(parent, tmp_path / "one", exports, text=WORSE), status=3)
    done = run(*args(parent, tmp_path / "two", exports, text=WORSE), status=4)
    assert "these ratings made %s already, which was refused by the gate" % (
        tmp_path / "one.refused") in done.stdout
    assert not list(tmp_path.glob("two*"))


def test_the_parent_knows_its_ratings_in_any_order(parent, exports,
                                                   tmp_path):
    run(*args(parent, tmp_path / "one", exports))
    other = tmp_path / "other"
    other.mkdir()
    done = run(*args(tmp_path / "one", other / "two", exports[::-1]),
               status=4)
    assert "nothing to learn: %s was made with these ratings; --again" % (
        tmp_path / "one") in done.stdout
    run(*args(tmp_path / "one", other / "two", exports, "--dry-run",
              "--again"))


# ---- the folder of files

def test_only_a_folder_of_our_own_is_used(parent, exports, tmp_path):
    part = tmp_path / "new.part"

    def refused(text):
        done = run(*args(parent, tmp_path / "new", exports), status=1)
        assert done.stderr == "chatd-tune: %s: %s\n" % (part, text)

    (tmp_path / "elsewhere").mkdir(mode=0o700)
    part.symlink_to(tmp_path / "elsewhere")
    refused("is a symbolic link; expected a folder, or nothing")
    part.unlink()
    part.write_text("")
    refused("is no folder; expected a folder, or nothing")
    part.unlink()
    part.mkdir()
    part.chmod(0o750)
    refused("has the mode 0750; expected 0700")
    part.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(part, 65534, 65534)
        refused("belongs to uid 65534; expected 0")
        os.chown(part, 0, 0)
    fd = os.open(part, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    refused("another chatd-tune works there")
    os.close(fd)
    assert not list((tmp_path / "elsewhere").iterdir())


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


# ---- runs that were stopped

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


def test_a_training_is_not_lost_if_its_name_is_taken(parent, exports,
                                                     tmp_path):
    command = args(parent, tmp_path / "new", exports)
    blocked(command, tmp_path / "new")
    assert (tmp_path / "new.part/model/checkpoint").exists()
    done = events(run(*command, "--json"))
    assert not [e for e in done if e["event"] == "step"]
    assert done[-1]["published"]
    assert not (tmp_path / "new/checkpoint").exists()
    lineage = json.loads((tmp_path / "new/lineage.json").read_text())
    # No step was made: what the losses were is not known.
    assert lineage["first_loss"] is lineage["last_loss"] is None


def test_a_run_that_was_killed_before_publishing_goes_on(parent, exports,
                                                         tmp_path):
    command = args(parent, tmp_path / "new", exports)
    blocked(command, tmp_path / "new")
    part = tmp_path / "new.part"
    (part / "model/checkpoint").rename(part / "checkpoint")
    assert not [e for e in events(run(*command, "--json"))
                if e["event"] == "step"]


def test_a_run_that_was_killed_after_publishing_is_cleared_up(
        parent, exports, tmp_path):
    command = args(parent, tmp_path / "new", exports)
    run(*command)
    part = tmp_path / "new.part"
    part.mkdir(mode=0o700)
    (part / "said.jsonl").write_text("{}\n")
    (part / "whole").mkdir()
    assert "new already exists" in run(*command, status=1).stderr
    assert not part.exists()
    # Nothing that may be somebody's own is removed.
    (part / "model").mkdir(parents=True, mode=0o700)
    run(*command, status=1)
    assert part.exists()


def test_with_other_ratings_a_run_begins_anew_and_says_so(parent, exports,
                                                          tmp_path):
    command = args(parent, tmp_path / "new", exports)
    blocked(command, tmp_path / "new")
    checkpoint = tmp_path / "new.part/model/checkpoint"
    assert checkpoint.exists()
    other = rows(tmp_path / "c.jsonl", good("What is new?", "This is."))
    done = run(*command[:-1], other)
    assert "train: begins anew: the ratings, the preset or the templates " \
        "have changed since it was stopped\n" in done.stdout
    lineage = json.loads((tmp_path / "new/lineage.json").read_text())
    assert lineage["last_loss"] > 0


def killed(command, when):
    """Kill a training when an event comes for which `when` is true."""
    with subprocess.Popen([*map(str, command), "--json"],
                          stdout=subprocess.PIPE, text=True) as p:
        for line in p.stdout:
            if when(json.loads(line)):
                p.kill()
                break
    assert p.returncode == -signal.SIGKILL


def test_a_checkpoint_is_never_left_beside_another_recipe(parent, exports,
                                                          tmp_path):
    """The second run is killed before it has saved anything."""
    checkpoint = tmp_path / "new.part/model/checkpoint"
    killed(args(parent, tmp_path / "new", exports, text=PRESET.replace(
        "steps: 2", "steps: 4000")), lambda e: checkpoint.exists())
    command = args(parent, tmp_path / "new", exports, text=PRESET.replace(
        "steps: 2", "steps: 40"))
    killed(command, lambda e: "40 steps on" in e.get("text", ""))
    run(*command)


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
