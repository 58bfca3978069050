# SPDX-License-Identifier: Apache-2.0
"""chatd-modtrain generate, and the contrast files that come with chatd."""
import collections
import json
import os
import pathlib
import subprocess

import pytest

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()
BUILD = pathlib.Path(os.environ["CHATD_BUILD"]).resolve()
FILES = sorted((SRC / "plugins/classifier/contrast").glob("*.txt"))
FIELDS = ["id", "text", "category", "also", "severity", "kind", "source",
          "label", "quality", "fold"]


def modtrain(*args):
    """Run the program."""
    return subprocess.run([BUILD / "chatd-modtrain", *map(str, args)],
                          capture_output=True, text=True)


def rows_of(*args):
    done = modtrain("generate", *args)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def shipped():
    assert FILES
    return rows_of(*FILES)


def test_rows_have_their_fields(shipped):
    assert len(shipped) > 30000
    for row in shipped:
        assert [f for f in FIELDS if f not in row] == []
        assert row["text"].strip() == row["text"] != ""
        assert len(row["text"].encode()) <= 2000
        assert (row["category"] == "benign") == (row["severity"] == 0)
    ids = collections.Counter(row["id"] for row in shipped)
    assert [i for i, n in ids.items() if n > 1] == []


def test_no_text_is_harmful_and_harmless(shipped):
    kinds = collections.defaultdict(set)
    for row in shipped:
        kinds[row["kind"], row["text"]].add(row["category"] == "benign")
    assert [t for t, k in kinds.items() if len(k) > 1] == []


def test_no_bracket_is_left_over(shipped):
    """A forgotten bracket or brace would show in the requests, which have no
    code."""
    assert [row["text"] for row in shipped if row["kind"] == "request" and
            row["source"].startswith("contrast-request-") and
            set(row["text"]) & set("{}[]|")] == []


def test_a_part_is_left_out_of_training(shipped):
    left = sum(row["fold"] == "tune" for row in shipped)
    assert 0.05 < left / len(shipped) < 0.25


def test_each_harmful_block_of_requests_has_a_twin_as_large():
    rows = {}
    twins = {}
    for file in FILES:
        for line in file.read_text().splitlines():
            if not line.startswith("frames ") or "kind=request" not in line \
                    or not file.name.startswith("request-"):
                continue
            name, *keys = line.split()[1:]
            keys = dict(k.split("=", 1) for k in keys)
            rows[file, name] = int(keys["rows"])
            if keys["category"] != "benign":
                twins[file, name] = (file, keys["twin"])
    assert twins
    assert [name for name, twin in twins.items()
            if rows[twin] < rows[name]] == []


def test_the_same_input_gives_the_same_bytes(tmp_path):
    outs = [tmp_path / n for n in "abc"]
    for out, seed in zip(outs, ("7", "7", "8")):
        done = modtrain("generate", "-s", seed, "--noise", "0.3", "-o", out,
                        *FILES)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    a, b, c = (out.read_bytes() for out in outs)
    assert a == b != c


def test_noised_copies_keep_the_label(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("list thing\ngarden\nriver\nmountain\nbridge\n\n"
                    "frames f kind=content category=hate,violence rows=4\n"
                    "I really hate every single {thing}.\n")
    rows = rows_of("--noise", "1", file)
    plain = {r["id"]: r for r in rows if not r["id"].endswith("n")}
    noised = [r for r in rows if r["id"].endswith("n")]
    assert len(plain) == 4 and len(noised) > 0
    for row in noised:
        origin = plain[row["id"][:-1]]
        assert row["text"] != origin["text"]
        assert {k: v for k, v in row.items() if k not in ("id", "text")} == \
            {k: v for k, v in origin.items() if k not in ("id", "text")}


def test_the_report_counts(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("list thing\na\nb\n\nframes f kind=content "
                    "category=hate rows=9\n{thing}\n")
    done = modtrain("generate", "-v", "-o", tmp_path / "out", file)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        'x: frames "f" have only 2 of 9 rows',
        "1 lists, 2 members, 1 blocks of frames, 1 templates",
        "2 rows, 0 of them left out of training; 0 noised copies",
        "  benign           0", "  hate             2"]


@pytest.mark.parametrize("args, status, words", [
    ([], 2, "usage: chatd-modtrain COMMAND"),
    (["dance"], 2, 'unknown command "dance"'),
    (["generate"], 2, "usage: chatd-modtrain generate"),
    (["generate", "-x"], 2, "usage: chatd-modtrain generate"),
    (["generate", "-s", "one", "f"], 2, '-s: expected a number from 0 to '
     '2^64-1, found "one"'),
    (["generate", "--noise", "2", "f"], 2, "--noise: expected a number from "
     '0 to 1, found "2"'),
    (["generate", "/nonexistent.txt"], 1, "/nonexistent.txt: No such file"),
])
def test_wrong_arguments_are_named(args, status, words):
    done = modtrain(*args)
    assert done.returncode == status
    assert done.stdout == ""
    assert words in done.stderr


def test_faults_name_file_and_line(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("frames f kind=request category=benign\n{gone}\n")
    done = modtrain("generate", file)
    assert done.returncode == 1
    assert done.stderr == 'chatd-modtrain: %s(2): there is no list "gone"\n' \
        % file


def test_an_output_that_cannot_be_written_is_reported(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("frames f kind=request category=benign\nhello\n")
    done = modtrain("generate", "-o", "/dev/full", file)
    assert done.returncode == 1
    assert done.stderr == "chatd-modtrain: /dev/full: No space left on " \
        "device\n"
    done = modtrain("generate", "-o", tmp_path / "no" / "out", file)
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_help_and_version():
    done = modtrain("--help")
    assert done.returncode == 0 and "generate" in done.stdout
    done = modtrain("--version")
    assert done.returncode == 0 and done.stdout.startswith("chatd-modtrain ")


@pytest.mark.parametrize("text,message", [
    ("- a\n", "1:1: expected keys and values"),
    ("sources: [a]\n", "1:10: sources: expected no list")])
def test_a_recipe_is_keys_and_values(tmp_path, text, message):
    (tmp_path / "r.yaml").write_text(text)
    (tmp_path / "rows.jsonl").write_text("")
    done = modtrain("train", "-r", tmp_path / "r.yaml", "-o", tmp_path / "m",
                    tmp_path / "rows.jsonl")
    assert (done.returncode, done.stderr) == (
        1, "chatd-modtrain: %s/r.yaml:%s\n" % (tmp_path, message))
