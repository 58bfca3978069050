# SPDX-License-Identifier: Apache-2.0
"""Exports: chatd-store --export, also while a store writes to the same
database."""
import gzip
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from service import SRC
from store_driver import PROGRAM, Store, all_written_back, begin, finish


@pytest.fixture
def folder(tmp_path):
    os.chmod(tmp_path, 0o700)
    return tmp_path


@pytest.fixture
def store(folder):
    s = Store(folder / "chatd.db")
    yield s
    if s.process.poll() is None:
        s.kill()


def export(*args, **run):
    return subprocess.run([PROGRAM, *map(str, args)], capture_output=True,
                          timeout=20, **run)


def test_exports_work_while_a_store_runs(store, folder):
    a = store.do(**begin("a"))
    store.do(**finish(a["reply"], "Hi!"))
    store.do(op="rate", uid=1000, exchange=1, thumb=-1, ideal="Hello!",
             time=5)
    db = folder / "chatd.db"
    done = export("--export", "oig", "--db", db, "--uid", 1000)
    assert done.returncode == 0 and done.stderr == b""
    row = json.loads(done.stdout)
    assert row.pop("metadata")["ideal"] is True
    assert row == {"text": "<human>: prompt of a\n<bot>: Hello!"}
    done = export("--export", "preference", "--db", db, "--all")
    assert json.loads(done.stdout)["rejected"][0]["content"] == "Hi!"
    done = export("--export", "messages", "--db", db, "--uid", 1001)
    assert (done.returncode, done.stdout) == (0, b"")
    done = export("--export", "csv", "--db", db, "--all")
    assert done.stdout.count(b"\r\n") == 2
    store.do(op="ping")


def rated_conversations(store):
    """More than one piece of each format: long texts, with ratings."""
    for n in range(12):
        a = store.do(**begin("r-%d" % n, prompt="p" * 50000))
        store.do(**finish(a["reply"], "%d " % n + "r" * 50000))
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=-1,
                 ideal="better", time=5)


def write_more(store):
    """Change the export of each conversation."""
    for n in range(1, 13):
        a = store.do(**begin("more-%d" % n, conversation=n))
        store.do(**finish(a["reply"], "more"))
        a = store.do(**begin("again-%d" % n, kind="regenerate", exchange=n,
                             prompt=None))
        store.do(**finish(a["reply"], "again"))
        store.do(op="rate", uid=1000, exchange=n, reply=a["reply"], thumb=1,
                 time=6)
        store.do(op="rate", uid=1000, exchange=n, reply=n, thumb=-1,
                 ideal="best", time=7)


@pytest.mark.parametrize("name", ["oig", "messages", "preference", "csv"])
def test_an_export_during_writes_shows_one_moment(store, folder, name):
    rated_conversations(store)
    args = [PROGRAM, "--export", name, "--db", folder / "chatd.db", "--all"]
    quiet = subprocess.run(args, capture_output=True, timeout=20).stdout
    assert len(quiet) > 4 * 256 * 1024 / 2
    with subprocess.Popen(args, stdout=subprocess.PIPE) as exporter:
        text = exporter.stdout.read(10)
        write_more(store)
        text += exporter.stdout.read()
    assert exporter.returncode == 0
    assert text == quiet
    assert subprocess.run(args, capture_output=True,
                          timeout=20).stdout != quiet


def write_much(store, folder, name="much"):
    """Write 64 MB. Returns the largest size of the log."""
    largest = 0
    for i in range(0, 256, 8):
        asked = [store.number(begin("%s-%d" % (name, n), prompt="y" * 250000,
                                    history_bytes=0))
                 for n in range(i, i + 8)]
        store.send(*asked)
        for _ in asked:
            assert store.event()["event"] == "done"
        largest = max(largest, (folder / "chatd.db-wal").stat().st_size)
    return largest


@pytest.mark.parametrize("reader", ["export", "transaction"])
def test_the_log_stays_small_beside_an_export_that_never_ends(
        store, folder, reader):
    rated_conversations(store)
    if reader == "transaction":         # it lets the log grow
        db = sqlite3.connect(folder / "chatd.db", isolation_level=None)
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM exchange").fetchone()
        assert write_much(store, folder) > 60 << 20
        db.close()
        return
    exporter = subprocess.Popen(
        [PROGRAM, "--export", "oig", "--db", folder / "chatd.db", "--all"],
        stdout=subprocess.PIPE)
    assert exporter.stdout.read(10) == b'{"text":"<'
    exporter.send_signal(signal.SIGSTOP)
    end = time.monotonic() + 10     # the store itself may be writing back
    while not all_written_back(folder):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert write_much(store, folder) < 48 << 20
    exporter.kill()
    exporter.wait(20)
    exporter.stdout.close()


READER = """
import sqlite3, sys, time
dbs = [sqlite3.connect(sys.argv[1], isolation_level=None) for _ in "ab"]
print("ready", flush=True)
while True:
    for db in dbs:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM exchange").fetchone()
        time.sleep(float(sys.argv[2]))
"""


@pytest.mark.parametrize("pause, stays", [(0.008, True), (3, False)])
def test_readers_whose_transactions_overlap_do_not_let_the_log_grow(
        store, folder, pause, stays):
    """At each moment some transaction uses the log, as beside a program that
    reads all the time. With long transactions it can't be helped."""
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, folder / "chatd.db", str(pause)],
        stdout=subprocess.PIPE)
    try:
        assert reader.stdout.readline() == b"ready\n"
        time.sleep(0.1)
        largest = max(write_much(store, folder, n) for n in "ab")
    finally:
        reader.kill()
        reader.wait(20)
        reader.stdout.close()
    print("%d MB" % (largest >> 20))
    assert (largest < 110 << 20) == stays


@pytest.mark.parametrize("args, status, word", [
    (["--export", "xml", "--db", "x", "--all"], 2, "format"),
    (["--export", "oig", "--all"], 2, "--db"),
    (["--export", "oig", "--db", "x"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--all", "--uid", "1"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--uid", "me"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--uid", "-1"], 2, "--uid"),
    (["--export", "oig", "--db", "x", "--uid", "1", "--user", "a"], 2,
     "user"),
    (["export", "--db", "x", "--all", "-f", "oig", "--rating", "god"], 2,
     "good"),
    (["export", "--db", "x", "--all", "-f", "oig", "--split", "x"], 2,
     "heldout"),
    (["export", "--db", "x", "--all", "-f", "oig", "--since", "now"], 2,
     "--since"),
    (["export", "--db", "x", "--all", "-f", "oig", "--heldout", "101"], 2,
     "percentage"),
    (["--db", "x"], 2, "--export"), (["x"], 2, "arguments"),
    (["--fly"], 2, "--help"),
    (["--export", "oig", "--db", "/nowhere/x.db", "--all"], 1, "/nowhere")])
def test_a_wrong_call_is_reported(args, status, word):
    done = export(*args)
    assert done.returncode == status and done.stdout == b""
    assert word in done.stderr.decode()


def test_help_and_version_go_to_stdout():
    assert export("--help").stdout.startswith(b"usage: chatd-store")
    assert export("--version").stdout.startswith(b"chatd-store ")


def test_a_reader_that_leaves_ends_an_export_quietly(store, folder):
    a = store.do(**begin("a"))
    store.do(**finish(a["reply"], "y" * 1000000))
    exporter = subprocess.Popen(
        [PROGRAM, "--export", "oig", "--rating", "all", "--db",
         folder / "chatd.db", "--all"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert exporter.stdout.read(10) == b'{"text":"<'
    exporter.stdout.close()
    assert exporter.wait(20) == 1
    assert exporter.stderr.read() == b""
    exporter.stderr.close()


def campaign(store):
    """Ratings of every kind. Returns the database."""
    for n in range(40):
        a = store.do(**begin("c-%d" % n, prompt="question %d" % (n // 2),
                             name="anna"))
        store.do(**finish(a["reply"], "answer %d" % (n % 4)))
        if n % 4 == 0:
            store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=1,
                     time=5, name="anna")
        elif n % 4 == 1:
            store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=-1,
                     reasons=["incorrect"], ideal="better %d" % n, time=5)
        elif n % 4 == 2:
            store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=-1,
                     reasons=["harmful"], time=5)


def rows(*args):
    done = export("export", *args)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_files_come_with_a_manifest(store, folder):
    campaign(store)
    db = folder / "chatd.db"
    out = folder / "kto.jsonl"
    args = ["--db", db, "--all", "--format", "kto"]
    assert export("export", *args, "-o", out).returncode == 0
    text = out.read_bytes()
    assert text == export("export", *args).stdout
    assert os.stat(out).st_mode & 0o777 == 0o600
    made = json.loads((folder / "kto.jsonl.manifest.json").read_text())
    assert made["rows"] == text.count(b"\n") == 40
    assert made["ratings"] == {
        "good": 10, "neutral": 0, "bad": 20, "unrated": 10, "ideal": 10,
        "reasons": {"incorrect": 10, "unhelpful": 0, "harmful": 10,
                    "wrong_refusal": 0}}
    assert made["kto"] == {"true": 20, "false": 20, "desirable_weight": 1.0,
                           "undesirable_weight": 1.0}
    assert made["files"] == [{"name": "kto.jsonl", "bytes": len(text),
                              "sha256": hashlib.sha256(text).hexdigest()}]
    assert made["schema"] == 4 and made["models"][0]["replies"] == 40
    assert sum(made["tokens"].values()) == 40
    # A second one does not take its place, nor that of its companions.
    again = export("export", *args, "-o", out)
    assert again.returncode == 1 and b"manifest.json" in again.stderr
    assert out.read_bytes() == text
    assert sorted(p.name for p in folder.iterdir() if "kto" in p.name) == \
        ["kto.jsonl", "kto.jsonl.manifest.json"]
    (folder / "kto.jsonl.manifest.json").unlink()
    again = export("export", *args, "-o", out)
    assert again.returncode == 1 and b"already exists" in again.stderr
    assert export("export", *args, "-o", "-").stdout == text
    assert not (folder / "-").exists()


def test_files_are_compressed_by_their_names(store, folder):
    campaign(store)
    args = ["--db", folder / "chatd.db", "--all", "--format", "messages"]
    plain = export("export", *args).stdout
    assert export("export", *args, "-o", folder / "m.gz").returncode == 0
    packed = (folder / "m.gz").read_bytes()
    assert gzip.decompress(packed) == plain
    made = json.loads((folder / "m.gz.manifest.json").read_text())
    assert made["files"][0]["sha256"] == hashlib.sha256(packed).hexdigest()
    assert (folder / "m.gz.chat_template.jinja").exists()
    done = export("export", *args, "-o", folder / "m.zst")
    if b"can't write .zst" in done.stderr:
        pytest.skip("built without libzstd")
    assert done.returncode == 0
    assert (folder / "m.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"
    try:
        unpacked = subprocess.run(["zstd", "-dc", folder / "m.zst"],
                                  capture_output=True, timeout=20)
    except FileNotFoundError:
        pytest.skip("no program zstd")
    assert unpacked.stdout == plain


def test_filters_choose_rows(store, folder):
    campaign(store)
    db = ["--db", folder / "chatd.db", "--all"]
    sft = db + ["--format", "sft"]
    assert len(rows(*sft)) == 20
    assert len(rows(*sft, "--rating", "good")) == 10
    assert len(rows(*sft, "--rating", "ideal")) == 10
    assert len(rows(*sft, "--rating", "none")) == 10
    assert len(rows(*sft, "--rating", "all")) == 30
    assert len(rows(*sft, "--reason", "incorrect")) == 10
    assert len(rows(*sft, "--user", "anna")) == 20
    assert len(rows(*sft, "--user", "1000")) == 20
    assert rows(*sft, "--user", "bert") == []
    assert rows(*sft, "--model", "other") == []
    assert rows(*sft, "--until", "2001-01-01") == []
    assert len(rows(*sft, "--since", "2001-01-01")) == 20
    # "better N" differs, "answer 0" to "question N" does not.
    assert len(rows(*sft, "--rating", "all", "--unique")) == 30
    csv = export("export", *db, "--format", "csv", "--rating", "bad").stdout
    assert csv.count(b"\r\n") == 21


FORMATS = ("oig", "sft", "messages", "preference", "openai-dpo", "kto",
           "oasst", "moderation", "argilla", "label-studio", "csv")
LABELS = ("preference", "openai-dpo", "kto", "moderation")


@pytest.mark.parametrize("name", FORMATS)
def test_an_own_export_has_nothing_that_operators_have_said(
        store, folder, name):
    """It is the same before and after an operator has rated."""
    done = store.do(**begin("done", prompt="one"))
    store.do(**finish(done["reply"], "answer"))
    own = store.do(**begin("own", prompt="two"))
    store.do(**finish(own["reply"], "reply"))
    store.do(op="rate", uid=1000, exchange=own["exchange"], thumb=1, time=5)
    stopped = store.do(**begin("stopped", prompt="three"))
    store.do(**finish(stopped["reply"], "hidden", state="blocked"))
    store.do(op="rate", uid=1000, exchange=stopped["exchange"], thumb=-1,
             reasons=["wrong_refusal"], ideal="wish", time=5)
    calls = [("export", "--db", folder / "chatd.db", "--uid", "1000",
              "--format", name, *more) for more in (
                  ["--rating", "all"], ["--reason", "harmful"], [],
                  ["--rating", "bad"], ["--sidecar"],
                  ["--reason", "wrong_refusal", "--rating", "all"])]
    labels = name in LABELS
    calls = [c for c in calls if not labels or "--rating" not in c]
    before = [export(*c) for c in calls]
    for a, thumb, reasons in ((done, -1, ["harmful"]),
                              (own, -1, ["harmful", "incorrect"])):
        store.do(op="rate", uid=7, exchange=a["exchange"], thumb=thumb,
                 reasons=reasons, ideal="operator's", admin=True,
                 comment="operator's", name="olga", time=6)
    store.do(op="rate", uid=7, exchange=stopped["exchange"], thumb=0,
             comment="operator's", admin=True, name="olga", time=6)
    after = [export(*c) for c in calls]
    assert [x.returncode for x in before + after] == [0] * len(calls) * 2
    assert [x.stdout for x in after] == [x.stdout for x in before]
    everything = export("export", "--db", folder / "chatd.db", "--all",
                        "--format", name,
                        *([] if labels else ["--rating", "all"])).stdout
    assert (b"operator's" in everything) == (name != "moderation")


def manifest(folder, name, *args):
    """Export to a file: its bytes and its manifest."""
    out = folder / name
    done = export("export", "--db", folder / "chatd.db", "-o", out, *args)
    assert done.returncode == 0, done.stderr
    made = json.loads((folder / (name + ".manifest.json")).read_text())
    return out.read_bytes(), made


def test_equal_rows_are_left_out_of_file_and_manifest(store, folder):
    for n in range(4):
        a = store.do(**begin("same-%d" % n, prompt="same"))
        store.do(**finish(a["reply"], "same", verdicts=[]))
        store.do(op="rate", uid=1000, exchange=a["exchange"], time=5,
                 thumb=1 if n < 3 else -1)
    text, made = manifest(folder, "kto", "--all", "--format", "kto",
                          "--unique")
    assert made["rows"] == text.count(b"\n") == 2
    assert (made["kto"]["true"], made["kto"]["false"]) == (1, 1)
    assert made["left_out"]["duplicate"] == 2
    for n in range(3):
        a = store.do(**begin("other-%d" % n, prompt="other", uid=2000))
        store.do(**finish(a["reply"], "other", verdicts=[]))
    args = ["--uid", "2000", "--format", "label-studio", "--unique"]
    text, made = manifest(folder, "tasks", *args, "--bare")
    assert made["rows"] == len(json.loads(text)) == 1
    text, made = manifest(folder, "side", *args, "--sidecar")
    (row,) = json.loads(text)
    assert (row["row"], row["reply"]) == (0, "other-0")


@pytest.mark.parametrize("name, cut", [
    ("messages", 1), ("sft", 1), ("kto", 1), ("preference", 1),
    ("oasst", 0), ("argilla", 0), ("label-studio", 0)])
def test_the_manifest_has_the_cut_replies_that_are_missing(
        store, folder, name, cut):
    for thumb in (1, 0, -1, None):
        a = store.do(**begin("cut%s" % thumb))
        store.do(**finish(a["reply"], "and then", stop="length"))
        if thumb is not None:
            store.do(op="rate", uid=1000, exchange=a["exchange"], time=5,
                     thumb=thumb)
    made = manifest(folder, "out", "--all", "--format", name)[1]
    assert made["left_out"]["cut"] == cut
    assert made["rows"] == {"oasst": 4, "argilla": 4, "label-studio": 4,
                            "kto": 1}.get(name, 0)


def test_the_manifest_of_csv_counts_its_rows(store, folder):
    campaign(store)
    made = manifest(folder, "csv", "--all", "--format", "csv")[1]
    assert made["rows"] == 30 and "conversations" not in made
    assert made["ratings"] == {
        "good": 10, "neutral": 0, "bad": 20, "unrated": 0, "ideal": 10,
        "reasons": {"incorrect": 10, "unhelpful": 0, "harmful": 10,
                    "wrong_refusal": 0}}
    made = manifest(folder, "texts", "--all", "--format", "moderation")[1]
    assert made["rows"] == 40 and "ratings" not in made


def test_a_redacted_text_has_no_places(store, folder):
    """They would be places in the text before."""
    verdict = {"direction": "reply", "plugin": "pii", "category": "x",
               "score": 0.5, "start": 9, "end": 24, "rule": "r"}
    for key, actions in ("redacted", ("redact", "flag")), ("not", ("flag",)):
        a = store.do(**begin(key))
        store.do(**finish(a["reply"], "My card: [card].", verdicts=[
            dict(verdict, action=x) for x in actions]))
    one, two = rows("--db", folder / "chatd.db", "--all", "--format",
                    "moderation")
    assert [v["action"] for v in one["verdicts"]] == ["redact", "flag"]
    assert not any("start" in v or "end" in v for v in one["verdicts"])
    assert [(v["start"], v["end"]) for v in two["verdicts"]] == [(9, 24)]


HELD = 2199023255552        # what is held has numbers from here on


def names_another(store):
    """The number 1000 goes from anna to bert."""
    a = store.do(**begin("one", prompt="said by one", name="anna"))
    store.do(**finish(a["reply"], "answer"))
    store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=1,
             reasons=[], comment="fine", time=5, name="anna")
    b = store.do(**begin("two", prompt="said by two", name="bert"))
    store.do(**finish(b["reply"], "answer"))


@pytest.mark.parametrize("name", FORMATS)
def test_a_held_account_has_a_pseudonym(store, folder, name):
    names_another(store)
    args = ["export", "--db", folder / "chatd.db", "--all", "--rating", "all",
            "--format", name]
    assert b"anna" not in export(*args).stdout
    held = export(*args, "--user", HELD + 1000)
    if name in ("sft", "oasst", "argilla"):
        assert b"said by one" in held.stdout
    assert b"said by two" not in held.stdout


@pytest.mark.parametrize("held, other, both", [
    ("no", "yes", "no"), ("yes", "no", "no"), ("no", None, "no"),
    ("yes", None, "yes"), (None, "no", "no"), (None, None, "unset")])
def test_who_said_no_is_left_out_after_an_adoption(store, folder, held,
                                                   other, both):
    for name, word in ("anna", held), ("bert", other):
        a = store.do(**begin("of " + name, name=name))
        store.do(**finish(a["reply"], "answer"))
        if word is not None:
            store.do(op="consent", uid=1000, consent=word, name=name)
    store.do(op="adopt", uid=0, **{"from": "anna", "to": "bert"})
    assert store.do(op="consent", uid=1000)["consent"] == both
    assert len(rows("--db", folder / "chatd.db", "--all", "--format", "sft",
                    "--rating", "all")) == (0 if both == "no" else 2)


def test_what_an_older_chatd_holds_gets_another_number(store, folder):
    """It had a number that an imported user could have."""
    names_another(store)
    store.do(op="import", row=json.dumps({"messages": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"}]}))
    assert store.close() == 0
    db = sqlite3.connect(folder / "chatd.db")
    for table in "account", "size", "exchange", "conversation", "rating":
        db.execute("UPDATE %s SET uid = uid - ? + 4294967296 "
                   "WHERE uid >= ?" % table, (HELD, HELD))
    users = "SELECT uid, name, conversations FROM account ORDER BY uid"
    old = db.execute(users).fetchall()
    db.commit()
    db.close()
    again = Store(folder / "chatd.db")
    assert again.close() == 0
    db = sqlite3.connect(folder / "chatd.db")
    new = db.execute(users).fetchall()
    assert [x for x in new if x[0] < HELD] == \
        [x for x in old if x[0] != 4294967296 + 1000]
    assert [x for x in new if x[0] >= HELD] == [(HELD + 1000, "anna", 1)]
    for table in "size", "exchange", "conversation", "rating":
        assert db.execute("SELECT count(*) FROM %s WHERE uid = ?" % table,
                          (HELD + 1000,)).fetchone() == (1,)
    db.close()
    assert "is held as account %d now" % (HELD + 1000) in \
        "".join(again.errors)


def test_a_split_is_stable_and_complete(store, folder):
    campaign(store)
    args = ["--db", folder / "chatd.db", "--all", "--format", "kto",
            "--heldout", "30"]
    parts = {name: rows(*args, "--split", name)
             for name in ("train", "heldout")}
    whole = rows(*args)
    assert len(parts["train"]) + len(parts["heldout"]) == len(whole)
    assert parts["heldout"]
    for name, some in parts.items():
        assert all(r["metadata"]["split"] == name for r in some)
        assert [r for r in whole if r["metadata"]["split"] == name] == some


def test_a_sidecar_has_the_metadata_of_bare_rows(store, folder):
    campaign(store)
    args = ["--db", folder / "chatd.db", "--all", "--format", "preference"]
    bare = rows(*args, "--bare")
    side = rows(*args, "--sidecar")
    whole = rows(*args)
    assert len(whole) == 10
    for n, (b, s, w) in enumerate(zip(bare, side, whole)):
        assert s.pop("row") == n
        assert w == dict(b, metadata=s)
    assert "metadata" not in bare[0]
    dpo = args[:-1] + ["openai-dpo"]
    assert rows(*dpo) == rows(*dpo, "--bare")
    assert [s["reply"] for s in rows(*dpo, "--sidecar")] == \
        [s["reply"] for s in side]


def test_who_said_no_is_left_out(store, folder):
    for uid in (1000, 1001, 1002):
        a = store.do(**begin("c-%d" % uid, uid=uid))
        store.do(**finish(a["reply"], "answer"))
        store.do(op="rate", uid=uid, exchange=a["exchange"], thumb=1, time=5)
    store.do(op="consent", uid=1001, consent="no")
    store.do(op="consent", uid=1002, consent="yes")
    args = ["--db", folder / "chatd.db", "--format", "sft"]
    users = [r["metadata"]["user"] for r in rows(*args, "--all")]
    assert len(set(users)) == 2
    assert all(u.startswith("user-") and "100" not in u[:8] for u in users)
    assert len(rows(*args, "--all", "--consent")) == 1
    assert len(rows(*args, "--uid", 1001)) == 1     # own data
    store.do(op="consent", uid=1001, conversation=2, consent="yes")
    assert len(rows(*args, "--all")) == 3
    store.do(op="consent", uid=1001, conversation=2, consent="unset")
    assert len(rows(*args, "--all")) == 2
    assert store.refused(op="consent", uid=1000, conversation=2,
                         consent="yes")["code"] == "not_found"


def generation_tags(jinja2):
    """The tag that trainers add to the language of templates."""
    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"],
                                           drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)
    return Generation


def test_the_template_makes_the_text_of_oig(store, folder):
    jinja2 = pytest.importorskip("jinja2")
    pytest.importorskip("jinja2.ext")
    for n, (prompt, reply) in enumerate([
            ("  hi <bot>: x ", "a"), ("", "b"), ("x\ny", "<human>")]):
        a = store.do(**begin("t-%d" % n, prompt=prompt or "?",
                             conversation=1 if n else None,
                             preprompt="Be kind."))
        store.do(**finish(a["reply"], reply))
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=1, time=5)
    args = ["--db", folder / "chatd.db", "--all"]
    text = [r["text"] for r in rows(*args, "--format", "oig")]
    out = folder / "m.jsonl"
    assert export("export", *args, "-f", "messages", "-o", out).returncode == 0
    template = (folder / "m.jsonl.chat_template.jinja").read_text()
    assert template == (SRC / "engine/mini/chat_template.jinja").read_text()
    render = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[generation_tags(jinja2)]).from_string(template).render
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [render(messages=r["messages"]) for r in lines] == text
    assert text[0].startswith("Be kind.\n<human>: hi (bot): x\n<bot>: a")
    prompt = render(messages=lines[0]["messages"][:-1],
                    add_generation_prompt=True)
    assert prompt.endswith("\n<human>: x\ny\n<bot>:")
    assert prompt == rows(*args, "--format", "sft")[-1]["prompt"]


def test_other_formats_are_complete(store, folder):
    campaign(store)
    again = store.do(**begin("again", kind="regenerate", exchange=1,
                             prompt=None))
    store.do(**finish(again["reply"], "another"))
    follow = store.do(**begin("next", conversation=1))
    store.do(**finish(follow["reply"], "third"))
    args = ["--db", folder / "chatd.db", "--all", "--format"]
    trees = rows(*args, "oasst")
    assert len(trees) == 40
    root = trees[0]["prompt"]
    assert trees[0]["message_tree_id"] == root["message_id"]
    assert root["role"] == "prompter" and "parent_id" not in root
    assert [r["text"] for r in root["replies"]] == ["answer 0", "another"]
    first, second = root["replies"]
    assert first["parent_id"] == root["message_id"]
    assert first["events"]["score"][0]["score"] == 1
    assert second["replies"][0]["replies"][0]["text"] == "third"
    ideal = trees[1]["prompt"]["replies"][1]
    assert (ideal["text"], ideal["synthetic"], ideal["rank"]) == \
        ("better 1", False, 0)
    report = trees[1]["prompt"]["replies"][0]["events"]["report"][0]
    assert report["reasons"] == ["incorrect"]
    records = rows(*args, "argilla")
    assert len(records) == 42
    assert {r["rating.response"] for r in records} == {"good", "bad", None}
    assert records[0]["id"] == records[0]["metadata"]["reply"]
    tasks = json.loads(export("export", *args, "label-studio").stdout)
    assert len(tasks) == 42
    ids = [x["id"] for t in tasks for a in t.get("annotations", [])
           for x in a["result"]]
    assert len(ids) == len(set(ids)) == 10 + 30 + 20
    assert tasks[0]["data"]["messages"][-1]["role"] == "assistant"


def test_long_conversations_are_not_written_again_and_again(store, folder):
    for n in range(300):
        a = store.do(**begin("l-%d" % n, conversation=1 if n else None,
                             prompt="p" * 500))
        done = finish(a["reply"], "r" * 500)
        done["dropped"] = max(0, 2 * (n - 4))
        store.do(**done)
        store.do(op="rate", uid=1000, exchange=a["exchange"], thumb=-1,
                 ideal="i" * 400, time=5)
    done = export("export", "--db", folder / "chatd.db", "--all", "--format",
                  "preference", "--bare")
    assert done.stdout.count(b"\n") == 300
    assert len(done.stdout) < 300 * 8000
