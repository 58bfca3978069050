# SPDX-License-Identifier: Apache-2.0
"""The filters of exports: what each format does with "rating", and what the
manifest says of it; and what is only in an export of all users."""
import csv
import io
import json
import os
import subprocess

import pytest

from service import BUILD, Service
from store_driver import PROGRAM, Store, begin, finish

FORMATS = ["oig", "sft", "messages", "preference", "openai-dpo", "kto",
           "oasst", "moderation", "argilla", "label-studio", "csv"]
LABELS = ["preference", "openai-dpo", "kto", "moderation"]
TEXT = {"good": "a", "bad": "b", "neutral": "c", "none": "d", "ideal": "e"}
ALL = "abcde"
ADAPTER = {"name": "crimson", "digest": "sha256:c0ffee"}
# The replies that the filter chooses; e is rated bad, and has an ideal reply.
CHOSEN = {"vouched": "ae", "good": "a", "bad": "be", "neutral": "c",
          "any": "abce", "none": "d", "ideal": "e", "all": ALL}


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filters")
    os.chmod(folder, 0o700)
    s = Store(folder / "chatd.db")
    for n, (key, text) in enumerate(TEXT.items(), 1):
        done = s.do(**begin(key))
        s.do(**finish(done["reply"], text, adapter=ADAPTER))
        rating = {"good": {"thumb": 1}, "bad": {"thumb": -1},
                  "neutral": {"thumb": 0},
                  "ideal": {"thumb": -1, "ideal": "better"}}.get(key)
        if rating is not None:
            s.do(op="rate", uid=1000, exchange=n, time=5, **rating)
    assert s.close() == 0
    return folder / "chatd.db"


def export(database, *args, status=0, whose=("--all",)):
    done = subprocess.run([PROGRAM, "export", "--db", database, *whose,
                           *args], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done


def table(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("name", LABELS)
def test_a_format_of_labels_refuses_the_filter(database, name):
    for word in CHOSEN:
        done = export(database, "-f", name, "--rating", word, status=2)
        assert done.stdout == ""
        assert done.stderr.startswith(
            "chatd-store: rating: the format %s has no such filter, because "
            "it has labels; expected the format oig, sft, messages, oasst, "
            "argilla, label-studio or csv\n" % name)
    assert export(database, "-f", name).stdout != ""
    # A reason is a filter of each format.
    assert export(database, "-f", name, "--reason", "harmful").stdout == ""


def test_chatd_refuses_it_too():
    with Service() as s:
        with s.client() as c:
            for name in LABELS:
                error = c.call("export", format=name, rating="good")
                assert (error["code"], error["field"]) == \
                    ("bad_field", "rating")
                assert "the format %s has no such filter" % name in \
                    error["message"]
                assert c.call("export", format=name)["event"] == "done"
        done = subprocess.run(
            [BUILD / "chatctl", "-s", s.socket, "export", "-f", "kto",
             "--rating", "good"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and done.stdout == ""
        assert "the format kto has no such filter" in done.stderr


@pytest.mark.parametrize("word", CHOSEN)
def test_csv_has_the_ratings_that_the_filter_chooses(database, word):
    rows = table(export(database, "-f", "csv", "--rating", word).stdout)
    assert "".join(r["reply_text"] for r in rows) == \
        CHOSEN[word].replace("d", "")


@pytest.mark.parametrize("word", CHOSEN)
def test_formats_of_records_have_the_replies_that_the_filter_chooses(
        database, word):
    for name in "argilla", "label-studio", "oasst":
        text = export(database, "-f", name, "--rating", word).stdout
        rows = json.loads(text) if name == "label-studio" else [
            json.loads(line) for line in text.splitlines()]
        got = [r["reply"] if name == "argilla" else
               r["prompt"]["replies"][0]["text"] if name == "oasst" else
               r["data"]["messages"][-1]["content"] for r in rows]
        assert "".join(got) == CHOSEN[word], name


@pytest.mark.parametrize("name, default", [
    ("oig", "vouched"), ("sft", "vouched"), ("messages", "vouched"),
    ("preference", None), ("openai-dpo", None), ("kto", None),
    ("oasst", None), ("moderation", None), ("argilla", None),
    ("label-studio", None), ("csv", None)])
def test_the_manifest_has_the_filter_that_was_applied(database, tmp_path,
                                                      name, default):
    def said(*args):
        out = tmp_path / ("x%d" % len(list(tmp_path.iterdir())))
        export(database, "-f", name, "-o", out, *args)
        return json.loads((tmp_path / (out.name + ".manifest.json"))
                          .read_text())["filters"].get("rating")

    assert said() == default
    if name not in LABELS:
        assert said("--rating", "good") == "good"


@pytest.mark.parametrize("name", FORMATS)
def test_the_variant_is_only_in_an_export_of_all_users(database, name):
    """Users rate without knowing it."""
    has = {"moderation": (False, False), "openai-dpo": (False, True),
           "oasst": (True, False)}.get(name, (True, True))
    for sidecar in range(2):
        own, everything = (export(
            database, "-f", name, *["--sidecar"] * sidecar,
            whose=whose).stdout for whose in (["--uid", "1000"], ["--all"]))
        assert own and "adapter" not in own and "crimson" not in own
        for word in ADAPTER.values():
            assert (word in everything) == has[sidecar]
