# SPDX-License-Identifier: Apache-2.0
"""chatd-tune: what the sources of a recipe must hold, and what becomes of rows
that are too long or too short."""
import math

import pytest

from test_tune import MODEL, SFT, TEMPLATES, lines, losses, run, trained, tune, write

PAIR = {"prompt": "<human>: Say seven\n<bot>:", "chosen": " seven",
        "rejected": " Sleep well"}
LABEL = {"prompt": "<human>: Say seven\n<bot>:", "completion": " seven",
         "label": True}
ROWS = {"dialogues": {"turns": ["a", "b"]}, "text": {"text": "one two"},
        "preference": PAIR, "labels": LABEL}


def recipe(folder, objective, *sources, start=None):
    """A recipe with sources (kind, rows, share)."""
    data = ""
    for i, (kind, rows, share) in enumerate(sources):
        lines(folder / ("%d.jsonl" % i), rows)
        data += "  - {path: %d.jsonl, share: %g, kind: %s}\n" % (i, share, kind)
    text = SFT.replace("[{kind: dialogues, path: talk.jsonl}]\n", "\n" + data)
    return write(folder, (MODEL if start is None else "start: %s\n" % start) +
                 text, objective=objective, steps=3)


@pytest.mark.parametrize("long", ["chosen", "rejected"])
@pytest.mark.parametrize("objective", ["dpo", "sft_dpo"])
def test_a_long_reply_of_a_pair_is_cut(tmp_path, trained, objective, long):
    row = dict(PAIR)
    row[long] = " no" * 3000
    sources = [("preference", [row], 1)]
    if objective == "sft_dpo":
        sources.append(("dialogues", [ROWS["dialogues"]], 1))
    done = tune("recipe", recipe(tmp_path, objective, *sources, start=trained),
                "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(math.isfinite(x) for x in losses(tmp_path / "out"))


def test_the_rejected_reply_counts_after_many_turns(tmp_path, trained):
    """At the start both replies are as likely as in the reference."""
    prompt = [{"role": "user" if i % 2 == 0 else "assistant", "content": "a"}
              for i in range(99)]
    rows = [dict(PAIR, prompt=prompt), PAIR]
    path = recipe(tmp_path, "dpo", ("preference", rows, 1), start=trained)
    done = tune("recipe", path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert losses(tmp_path / "out")[0] == pytest.approx(math.log(2), abs=1e-4)


LEARNT = "templates, dialogues or text"


@pytest.mark.parametrize("objective,kinds,wrong,expected", [
    ("lm", ["preference"], 0, LEARNT),
    ("sft", ["dialogues", "preference"], 1, LEARNT),
    ("sft", ["text", "labels"], 1, LEARNT),
    ("dpo", ["dialogues"], 0, "preference"),
    ("dpo", ["preference", "text"], 1, "preference"),
    ("dpo", ["labels"], 0, "preference"),
    ("kto", ["labels", "dialogues"], 1, "labels"),
    ("kto", ["preference"], 0, "labels"),
    ("sft_dpo", ["dialogues", "labels"], 1,
     "templates, dialogues, text or preference"),
    ("sft_kto", ["dialogues", "preference"], 1,
     "templates, dialogues, text or labels")])
def test_a_source_that_the_objective_can_not_use(tmp_path, objective, kinds,
                                                 wrong, expected):
    path = recipe(tmp_path, objective, *((k, [ROWS[k]], 1) for k in kinds))
    done = tune("recipe", path, "--out", tmp_path / "out")
    place = [i for i, line in enumerate(path.read_text().splitlines(), 1)
             if "%d.jsonl" % wrong in line][0]
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s:%d:37: kind: the objective %s expects %s, found %s\n"
        % (path, place, objective, expected, kinds[wrong]))


def test_a_source_of_no_kind_is_of_templates(tmp_path):
    path = write(tmp_path, MODEL + SFT.replace("kind: dialogues, ", ""),
                 objective="kto")
    done = tune("recipe", path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s:3:8: the objective kto expects labels, found "
        "templates\n" % path)


@pytest.mark.parametrize("objective,sources,expected", [
    ("sft", [("dialogues", 0)], LEARNT),
    ("dpo", [("preference", 0)], "preference"),
    ("sft_dpo", [("dialogues", 1), ("text", 1)], "preference"),
    ("sft_dpo", [("dialogues", 1), ("preference", 0)], "preference"),
    ("sft_kto", [("labels", 1)], LEARNT),
    ("sft_kto", [("labels", 1), ("text", 0)], LEARNT)])
def test_a_part_without_documents(tmp_path, objective, sources, expected):
    path = recipe(tmp_path, objective, *((k, [ROWS[k]], share)
                                         for k, share in sources))
    done = tune("recipe", path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s:4:3: data: the objective %s expects a source of the "
        "kind %s with a share above 0, found none\n"
        % (path, objective, expected))


@pytest.mark.parametrize("command", ["feedback", "gate"])
def test_a_preset_is_keys_and_values(tmp_path, command):
    (tmp_path / "p.yaml").write_text("- a\n")
    done = tune(command, tmp_path, "--preset", tmp_path / "p.yaml",
                "--templates", TEMPLATES, tmp_path,
                *(["--out", tmp_path / "out"] if command == "feedback" else []))
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/p.yaml:1:1: expected keys and values\n" % tmp_path)


@pytest.mark.parametrize("kind,rows", [
    ("text", [{"text": ""}, {"text": ""}]),
    ("preference", [dict(PAIR, prompt="a")])])
def test_a_source_must_have_a_token_to_predict(tmp_path, kind, rows):
    """An empty text among others is left out."""
    objective = "dpo" if kind == "preference" else "sft"
    path = recipe(tmp_path, objective, (kind, rows, 1))
    done = tune("recipe", path, "--out", tmp_path / "out")
    if kind == "text":
        assert (done.returncode, done.stderr) == (
            1, "chatd-tune: %s/0.jsonl: expected a text of at least 2 tokens, "
            "found only empty ones\n" % tmp_path)
        path = recipe(tmp_path, "sft", ("text", rows + [ROWS["text"]], 1))
        done = tune("recipe", path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_folder_is_no_file_of_rows(tmp_path):
    recipe(tmp_path, "sft", ("dialogues", [ROWS["dialogues"]], 1))
    (tmp_path / "0.jsonl").unlink()
    (tmp_path / "0.jsonl").mkdir()
    done = tune("recipe", tmp_path / "r.yaml", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/0.jsonl: Is a directory\n" % tmp_path)
