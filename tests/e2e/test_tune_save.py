# SPDX-License-Identifier: Apache-2.0
"""chatd-tune: what a run leaves if it begins again, fails, or can't write."""
import array
import re
import resource
import signal
import struct

import pytest

from test_tune import MODEL, SFT, digest, lines, run, trained, tune, write

TEXT = MODEL + SFT
OPTIMIZER = 84          # the place of the optimizer in a checkpoint
STEP = 88


def small_files(size):
    """For a child: writing beyond size fails, as on a full disk."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    return limit


def step_of(checkpoint):
    return struct.unpack("<q", checkpoint.read_bytes()[STEP:STEP + 8])[0]


def other_talk(folder):
    lines(folder / "talk.jsonl", [{"turns": ["zebra zebra", "quick quack"]}] * 3)


def test_a_fresh_run_that_saves_nothing_is_not_the_old_one(tmp_path):
    recipe = write(tmp_path, TEXT)
    out = tmp_path / "out"
    assert tune("recipe", recipe, "--out", out, "--stop", 3).returncode == 0
    done = tune("recipe", recipe, "--out", out, "--fresh",
                preexec_fn=small_files(100000))
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/checkpoint: File too large\n" % out)
    assert not [p for p in out.iterdir() if p.name.startswith("checkpoint")]
    done = tune("recipe", recipe, "--out", out, "--stop", 6)
    assert done.returncode == 0 and "continued" not in done.stdout


@pytest.mark.parametrize("left", ["complete", "killed"])
def test_a_new_run_trains_its_own_tokenizer(tmp_path, left):
    """The file in the folder is that of an earlier run, which is complete or was
    killed before its first checkpoint."""
    out = run(tmp_path)
    old = (out / "tokenizer.json").read_bytes()
    other_talk(tmp_path)
    args = ["--fresh"]
    if left == "killed":
        (out / "checkpoint").unlink()
        args = []
    for folder in out, tmp_path / "clean":
        done = tune("recipe", tmp_path / "r.yaml", "--out", folder, *args)
        assert (done.returncode, done.stderr) == (0, "")
    new = (out / "tokenizer.json").read_bytes()
    assert new != old
    assert new == (tmp_path / "clean/tokenizer.json").read_bytes()
    assert digest(out / "model.safetensors") == \
        digest(tmp_path / "clean/model.safetensors")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_run_whose_numbers_are_lost_keeps_the_checkpoint(tmp_path, optimizer):
    recipe = write(tmp_path, TEXT + "decay: 10\n", rate=10, save_every=1,
                   steps=90, schedule="constant", optimizer=optimizer)
    out = tmp_path / "out"
    done = tune("recipe", recipe, "--out", out)
    assert done.returncode == 1
    found = re.fullmatch(r"chatd-tune: step (\d+): (the loss|the gradient|a "
                         r"weight) is not finite; the checkpoint of step (\d+) "
                         r"is kept; lower the rate\n", done.stderr)
    assert found, done.stderr
    data = (out / "checkpoint").read_bytes()
    assert step_of(out / "checkpoint") == int(found[3]) < int(found[1])
    count = struct.unpack("<q", data[STEP + 24:STEP + 32])[0]
    weights = array.array("f", data[STEP + 32:STEP + 32 + 4 * count])
    assert all(abs(x) < 1e39 for x in weights)
    assert not (out / "model.safetensors").exists()


def test_a_run_without_a_checkpoint_says_so(tmp_path):
    recipe = write(tmp_path, TEXT + "decay: 10\n", rate=10, save_every=1000,
                   steps=90, schedule="constant")
    done = tune("recipe", recipe, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "is not finite; there is no checkpoint; lower the rate\n")


@pytest.mark.parametrize("old,new", [("adamw", "adamw8"), ("muon", "adamw8"),
                                     ("adamw8", "adamw"), ("muon", "adamw")])
def test_a_checkpoint_of_another_optimizer_is_refused(tmp_path, old, new):
    recipe = write(tmp_path, TEXT, optimizer=old)
    out = tmp_path / "out"
    assert tune("recipe", recipe, "--out", out, "--stop", 3).returncode == 0
    write(tmp_path, TEXT, optimizer=new)
    done = tune("recipe", recipe, "--out", out, "--changed")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/checkpoint: of the optimizer %s; expected %s, as the "
        "recipe has\n" % (out, old, new))


def test_a_checkpoint_that_does_not_name_its_optimizer_is_continued(tmp_path,
                                                                    trained):
    recipe = write(tmp_path, TEXT)
    out = tmp_path / "out"
    assert tune("recipe", recipe, "--out", out, "--stop", 3).returncode == 0
    data = bytearray((out / "checkpoint").read_bytes())
    assert data[OPTIMIZER:STEP] == b"\1\0\0\0"
    data[OPTIMIZER:STEP] = bytes(4)
    (out / "checkpoint").write_bytes(data)
    done = tune("recipe", recipe, "--out", out)
    assert "continued after step 3\n" in done.stdout
    assert digest(out / "model.safetensors") == \
        digest(trained / "model.safetensors")


def test_a_tokenizer_that_can_not_be_written_leaves_the_old_one(tmp_path):
    (tmp_path / "a.txt").write_text("the cat and the dog\n" * 9)
    (tmp_path / "t.json").write_text("old")
    done = tune("tokenizer", "--out", tmp_path / "t.json", tmp_path / "a.txt",
                preexec_fn=small_files(1000))
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/t.json: File too large\n" % tmp_path)
    assert (tmp_path / "t.json").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", "t.json"]


def test_a_file_that_can_not_be_written_leaves_nothing(tmp_path):
    done = tune("recipe", write(tmp_path, TEXT), "--out", tmp_path / "out",
                preexec_fn=small_files(1000))
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/out/tokenizer.json: File too large\n" % tmp_path)
    assert list((tmp_path / "out").iterdir()) == []
