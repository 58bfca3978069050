# SPDX-License-Identifier: Apache-2.0
"""From ratings to a better model: ten wrong replies of the shipped model are rated
and corrected, trained in, and right afterwards; what gets worse is refused."""
import grp
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

from service import BUILD, SANITIZED, SRC, Service

MINI = SRC / "engine/mini"
TEMPLATES = MINI / "templates"
ENGINE = BUILD / "chatd-engine"
TUNE = BUILD / "chatd-tune"
# A question, its right answer, and the same in other words, which neither the
# generator nor its templates has.
TEN = [
    ("What is the wifi password?",
     "The wifi password is on the red card in the kitchen.",
     "I need the wifi password for my phone."),
    ("Where is the printer?",
     "The printer is in room 12, next to the stairs.",
     "Can somebody show me where the printer stands?"),
    ("Who is the system administrator?",
     "Ada Brandt is the administrator. Her room is 204.",
     "Please give me the name of the system administrator."),
    ("When does the canteen open?",
     "The canteen opens at half past eleven.",
     "From when on is the canteen open?"),
    ("How do I reset my password?",
     "Go to the help desk with your staff card.",
     "My password has to be reset. How do I do it?"),
    ("Can I bring my dog to the office?",
     "Yes, on Fridays, if your team agrees.",
     "Would it be okay to bring my dog to the office?"),
    ("What is the name of this server?",
     "This server is called Marvin.",
     "I wonder what the name of this server is."),
    ("How many machines are in the lab?",
     "There are sixteen machines in the lab.",
     "Say how many machines the lab has."),
    ("Why is the door locked?",
     "The door is locked after seven in the evening.",
     "The door is locked. Why is that?"),
    ("What does GPU stand for?",
     "GPU stands for graphics processing unit.",
     "GPU, what does that stand for?"),
]
# One of 40 items is 2.5 points: the margin is that of four.  With so few and small
# steps the perplexity rises by more than in a whole training.
LOOP = "steps: 100\nbatch: 1024\nmicro: 1024\npairs: 96\nitems: 40\n" \
    "margin: 10\nperplexity: 6\nown: 60\n"
SMALL = "steps: 2\nbatch: 128\nmicro: 128\npairs: 64\nitems: 2\nown: 0\n" \
    "phrasings: 4\nmargin: 100\nperplexity: 1000\n"

slow = pytest.mark.skipif(SANITIZED, reason="a training, under a sanitizer")


def run(*args, status=0):
    done = subprocess.run([str(a) for a in args], capture_output=True,
                          text=True, timeout=1800, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def chatctl(service, *args, **kw):
    return run(BUILD / "chatctl", "-s", service.socket, *args, **kw)


def preset(folder, text):
    path = folder / "preset.yaml"
    path.write_text(text)
    return path


def tune(folder, rated, text, *args, out="new", **kw):
    """chatd-tune feedback with the exports of the fixture."""
    return run(TUNE, "feedback", MINI, "--templates", TEMPLATES, "--preset",
               preset(folder, text), "--out", folder / out, "--threads", 1,
               *args, rated / "sft.jsonl", rated / "preference.jsonl", **kw)


def ask(service, questions):
    with service.client() as c:
        return [c.say(q, params={"temperature": 0})[0] for q in questions]


def right(replies, column=1):
    return sum(r == row[column] for r, row in zip(replies, TEN))


@pytest.fixture(scope="module")
def service():
    """The shipped model, whose ten wrong replies were rated and corrected."""
    with Service(engine=ENGINE, model=MINI) as s:
        s.wait_model()
        with s.client() as c:
            for question, ideal, _ in TEN:
                text, done = c.say(question, params={"temperature": 0})
                assert text != ideal
                chatctl(s, "rate", done["exchange"], "bad", "--ideal", ideal)
        yield s


@pytest.fixture(scope="module")
def rated(service, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rated")
    for name in "sft", "preference", "kto":
        chatctl(service, "export", "--all", "-f", name, "-o",
                folder / (name + ".jsonl"))
    return folder


@pytest.fixture(scope="module")
def loop(service, tmp_path_factory):
    """What chatctl tune prints, and the folder that it makes."""
    folder = tmp_path_factory.mktemp("loop")
    done = chatctl(service, "tune", "--no-swap", "--plain", "--preset",
                   preset(folder, LOOP), "--templates", TEMPLATES, "-o",
                   folder / "new")
    return done.stdout, folder / "new"


@slow
def test_corrected_replies_are_right_afterwards(service, loop):
    other = ask(service, [row[2] for row in TEN])
    with Service(engine=ENGINE, model=loop[1]) as s:
        s.wait_model()
        assert right(ask(s, [row[0] for row in TEN])) >= 9
        # In other words, too.
        assert right(ask(s, [row[2] for row in TEN])) >= right(other) + 5


@slow
def test_the_gate_holds_and_stands_in_the_lineage(loop):
    gate = json.loads((loop[1] / "gate.json").read_text())
    lineage = json.loads((loop[1] / "lineage.json").read_text())
    assert gate["passed"] and lineage["gate"] == gate
    assert {t["name"] for t in gate["tasks"]} == {"sentiment", "table",
                                                  "spans", "memory"}
    assert all(t["after"] >= t["before"] - gate["margin"]
               for t in gate["tasks"])
    assert gate["perplexity"]["after"] <= 1.06 * gate["perplexity"]["before"]
    corrected = {t["name"]: t for t in gate["learnt"]}["corrected"]
    assert (corrected["items"], corrected["before"]) == (10, 0)
    assert corrected["after"] >= 90
    assert lineage["kind"] == "model" and lineage["seed"] == 1
    assert lineage["counts"]["corrected"] == 10
    assert lineage["counts"]["pairs"] == 10
    assert lineage["last_loss"] < lineage["first_loss"]


@slow
def test_the_lineage_names_parent_and_manifests(service, loop):
    lineage = json.loads((loop[1] / "lineage.json").read_text())
    assert lineage["parent"] == service.status()["model"]["digest"]
    assert [e["rows"] for e in lineage["exports"]] == [10, 10, 20]
    assert all(len(e["manifest"]) == 64 for e in lineage["exports"])


@slow
def test_an_operator_sees_all_stages(loop):
    text, new = loop
    for word in ("export   10 good replies", "train    100 steps", "loss ",
                 "corrected", "sentiment", "perplexity",
                 "made     %s; to use it: chatctl reload" % new):
        assert word in text, word
    assert text.isascii() and "\033" not in text and "\r" not in text
    assert text.count("*") >= 40                # the curve


@slow
def test_a_new_model_has_nothing_of_the_users(loop):
    """The rows that were trained on are gone, the folder is complete."""
    assert {p.name for p in loop[1].iterdir()} == {
        "config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "loss.csv", "loss.svg", "gate.json",
        "lineage.json"}
    assert [p.name for p in loop[1].parent.iterdir()
            if p.name != "preset.yaml"] == ["new"]


@slow
def test_the_same_ratings_are_not_trained_twice(loop, rated, tmp_path):
    shutil.copytree(loop[1], tmp_path / "parent")
    done = run(TUNE, "feedback", tmp_path / "parent", "--templates",
               TEMPLATES, "--out", tmp_path / "new", rated / "sft.jsonl",
               rated / "preference.jsonl", rated / "kto.jsonl", status=4)
    assert "nothing to learn" in done.stdout
    assert not (tmp_path / "new").exists()


def test_a_spoilt_training_is_refused(rated, tmp_path):
    text = SMALL.replace("margin: 100", "margin: 1").replace(
        "perplexity: 1000", "perplexity: 2") + "rate: 1\nembed_rate: 0.1\n" \
        "clip: 0\n"
    done = tune(tmp_path, rated, text, status=3)
    assert "REFUSED" in done.stdout
    assert not (tmp_path / "new").exists()
    gate = json.loads((tmp_path / "new.refused/gate.json").read_text())
    assert not gate["passed"] and "perplexity" in gate["reason"]


def test_a_refused_model_is_not_served(service, tmp_path):
    text = SMALL.replace("perplexity: 1000", "perplexity: 2") + \
        "rate: 1\nembed_rate: 0.1\nclip: 0\n"
    before = service.status()["model"]["digest"]
    done = chatctl(service, "tune", "--plain", "--preset",
                   preset(tmp_path, text), "--templates", TEMPLATES, "-o",
                   tmp_path / "new", status=1)
    assert "the gate has refused the new model" in done.stderr
    assert service.status()["model"]["digest"] == before
    assert (tmp_path / "new.refused/lineage.json").exists()


def steps(folder):
    try:
        return (folder / "new.part/model/checkpoint").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_a_killed_training_publishes_nothing_and_goes_on(rated, tmp_path):
    text = SMALL.replace("steps: 2", "steps: 30")
    args = [TUNE, "feedback", MINI, "--templates", TEMPLATES, "--preset",
            preset(tmp_path, text), "--out", tmp_path / "new", "--json",
            rated / "sft.jsonl"]
    p = subprocess.Popen([str(a) for a in args], stdout=subprocess.DEVNULL)
    while not steps(tmp_path) and p.poll() is None:
        time.sleep(0.02)
    p.send_signal(signal.SIGKILL)
    assert p.wait() == -signal.SIGKILL
    assert not (tmp_path / "new").exists()
    assert (tmp_path / "new.part").stat().st_mode & 0o777 == 0o700
    events = [json.loads(line) for line in run(*args).stdout.splitlines()]
    assert [e["step"] for e in events if e["event"] == "step"][0] > 20
    assert events[-1] == {"event": "done", "published": True,
                          "kind": "model", "path": str(tmp_path / "new")}
    assert not (tmp_path / "new.part").exists()


def test_adapters_have_a_lineage_and_pass_the_gate(rated, tmp_path):
    tune(tmp_path, rated, SMALL, "--lora", 4)
    new = tmp_path / "new"
    assert (new / "adapter_model.safetensors").exists()
    assert not (new / "model.safetensors").exists()
    assert json.loads((new / "adapter_config.json").read_text())["r"] == 4
    assert json.loads((new / "lineage.json").read_text())["kind"] == \
        "adapter"


def test_single_labels_are_enough(rated, tmp_path):
    """Bad replies without a better one are compared by KTO."""
    rows = (rated / "kto.jsonl").read_text().splitlines()
    bad = tmp_path / "bad.jsonl"
    bad.write_text("".join(r + "\n" for r in rows
                           if not json.loads(r)["label"]))
    done = run(TUNE, "feedback", MINI, "--templates", TEMPLATES, "--preset",
               preset(tmp_path, SMALL), "--out", tmp_path / "new", bad)
    assert "10 replies of 1 exports: 0 with a right reply" in done.stdout
    recipe = json.loads((tmp_path / "new/lineage.json").read_text())["recipe"]
    assert "objective: sft_kto\n" in recipe


def test_a_dry_run_writes_nothing(service, tmp_path):
    done = chatctl(service, "tune", "--dry-run", "--templates", TEMPLATES,
                   "-o", tmp_path / "new")
    assert "plan     " in done.stdout and "400 phrasings" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_preset_has_the_values_that_hold_without_it(rated, tmp_path):
    args = [TUNE, "feedback", MINI, "--templates", TEMPLATES, "--dry-run",
            "--out", tmp_path / "new", rated / "sft.jsonl"]
    plan = run(*args).stdout
    assert run(*args, "--preset", SRC / "etc/feedback.yaml").stdout == plan
    source = (SRC / "engine/tune/feedback_preset.c").read_text()
    for line in (SRC / "etc/feedback.yaml").read_text().splitlines():
        if ":" in line and not line.startswith("#"):
            name, value = line.split(": ")
            assert name == "compare" or '{ "%s", ' % name in source
            assert name == "compare" or ", %s, " % value in [
                part for part in source.splitlines()
                if '{ "%s", ' % name in part][0]


def test_the_new_model_is_swapped_in(service, tmp_path):
    """A chatd that can change its model does so; another one says it can't."""
    able = "rollback" in run(BUILD / "chatctl", "--help").stdout
    done = chatctl(service, "tune", "--plain", "--preset",
                   preset(tmp_path, SMALL), "--templates", TEMPLATES, "-o",
                   tmp_path / "new", status=0 if able else 1)
    if able:
        assert "chatctl rollback changes back to %s" % MINI in done.stdout
        assert service.status()["model"]["path"] == str(tmp_path / "new")
        chatctl(service, "rollback")
        assert service.status()["model"]["path"] == str(MINI)
    else:
        assert "set model.path to %s in chatd.yaml" % (tmp_path / "new") \
            in done.stderr


# ---- what would fail late is said early

def test_a_folder_that_chatd_can_not_load_from_is_reported_at_once():
    """chatd is root's; an operator makes a model in a folder of its own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be another user")
    config = {"operators_group": grp.getgrgid(65534).gr_name,
              "socket": {"mode": "0666"}}
    with Service(config=config) as s, \
            tempfile.TemporaryDirectory(dir="/tmp") as folder:
        s.wait_model()
        s.dir.chmod(0o711)
        os.chown(folder, 65534, 65534)

        def ask(*args):
            return subprocess.run(
                [BUILD / "chatctl", "-s", s.socket, "tune", *args],
                cwd=folder, user=65534, group=65534, extra_groups=[],
                capture_output=True, text=True, timeout=60, check=False)

        done = ask("-o", "new")
        assert done.returncode == 1
        assert done.stderr.startswith(
            "chatctl: tune: chatd could not load the new model from new: "
            "belongs to uid 65534: it must belong to root or to uid 0; ")
        assert "-o /srv/models/NAME, or give --no-swap" in done.stderr
        for args in ["--no-swap"], ["--dry-run"]:
            done = ask("-o", "new", *args)
            assert (done.returncode, done.stderr) == (
                0, "chatctl: [nothing to learn: no reply was rated]\n")
        assert os.listdir(folder) == []
        # chatd's own account makes it where it likes.
        run(BUILD / "chatctl", "-s", s.socket, "tune", "-o", folder + "/new")


def test_adapters_are_not_swapped_in_and_keep_other_models_out(service,
                                                              tmp_path):
    out = chatctl(service, "tune", "--plain", "--preset",
                  preset(tmp_path, SMALL + "rank: 4\n"), "--templates",
                  TEMPLATES, "-o", tmp_path / "new").stdout
    assert out.endswith(
        "made     %s; to use it, add to chatd.yaml, and then: chatctl reload\n"
        "model:\n  adapters:\n    - {name: new, path: \"%s\"}\n" % (
            tmp_path / "new", tmp_path / "new"))
    assert service.status()["model"]["path"] == str(MINI)
    config = {"model": {"adapters": [{"name": "new",
                                      "path": str(tmp_path / "new")}]}}
    with Service(engine=ENGINE, model=MINI, config=config) as s:
        s.wait_model()
        model = s.status()["model"]
        assert model["adapters"][0]["base_digest"] == model["digest"]
        done = chatctl(s, "tune", "-o", tmp_path / "x", status=1)
        assert done.stderr.startswith(
            "chatctl: tune: chatd could not load the new model: "
            "model.adapters: new belongs to the model with the digest " +
            model["digest"])
        assert done.stderr.endswith("; or give --no-swap\n")
        for args in ["--no-swap"], ["--preset", tmp_path / "preset.yaml"]:
            assert "no reply was rated" in chatctl(
                s, "tune", "-o", tmp_path / "x", *args).stderr


# ---- the folder of --models

def test_a_stopped_run_goes_on_and_the_command_for_its_model_is_whole(
        service, tmp_path):
    """The newest .part in the folder of --models gets its name."""
    models = tmp_path / "models"
    for name in "tuned-20260101-000000.part", "tuned-20260102-000000.part":
        (models / name).mkdir(0o700, parents=True)
    done = subprocess.run(
        [BUILD / "chatctl", "-s", service.socket, "tune", "--plain",
         "--no-swap", "--preset", preset(tmp_path, SMALL), "--templates",
         TEMPLATES, "--models", "models"], cwd=tmp_path, capture_output=True,
        text=True, timeout=1800, check=True)
    new = models / "tuned-20260102-000000"
    assert "made     %s; to use it: chatctl reload --model %s\n" % (
        new, new) in done.stdout
    assert {p.name for p in models.iterdir()} == {
        "tuned-20260101-000000.part", new.name}


def test_only_the_newest_models_are_kept_and_those_in_use(tmp_path):
    names = ["tuned-202601%02d-000000" % i for i in range(1, 8)]
    gone = names[1:3] + [names[3] + ".ratings-abcdef", names[4] + ".check-9"]
    kept = [names[0], names[3], names[4] + ".refused", names[5],
            names[6] + ".part", "mine", "tuned-up"]
    for name in gone + kept:
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / names[1] / "link").symlink_to(tmp_path / "mine")
    with Service(model=tmp_path / names[0]) as s:
        s.wait_model()
        chatctl(s, "tune", "--models", tmp_path, "--dry-run")
        assert len(list(tmp_path.iterdir())) == len(gone + kept)
        chatctl(s, "tune", "--models", tmp_path)
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)
        assert (tmp_path / "mine/config.json").exists()


def test_an_export_that_was_changed_is_refused(rated, tmp_path):
    for name in "sft.jsonl", "sft.jsonl.manifest.json":
        shutil.copy(rated / name, tmp_path / name)
    path = tmp_path / "sft.jsonl"
    path.write_text(path.read_text().replace("kitchen", "cellar"))
    done = run(TUNE, "feedback", MINI, "--templates", TEMPLATES, "--out",
               tmp_path / "new", path, status=1)
    assert "sft.jsonl: has the SHA-256 %s" % hashlib.sha256(
        path.read_bytes()).hexdigest()[:16] in done.stderr


@pytest.mark.parametrize("text, message", [
    ("not json\n", "x.jsonl:1: not a row of messages, sft, oig, preference "
     "or kto"),
    ('{"prompt": "<human>: A\\n<bot>:"}\n', "x.jsonl:1: not a row"),
])
def test_what_is_no_export_is_reported(tmp_path, text, message):
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    done = run(TUNE, "feedback", MINI, "--templates", TEMPLATES, "--out",
               tmp_path / "new", path, status=1)
    assert message in done.stderr


@pytest.mark.parametrize("text, message", [
    ("margin: -1\n", "preset.yaml:1:9: margin: -1 is not between 0 and 100"),
    ("speed: 1\n", "preset.yaml:1:8: speed: unknown key"),
    ("compare: ppo\n", 'compare: "ppo" is not auto, dpo, kto or none'),
])
def test_a_bad_preset_is_reported(rated, tmp_path, text, message):
    assert message in tune(tmp_path, rated, text, status=1).stderr


def test_missing_templates_are_reported(rated, tmp_path):
    done = run(TUNE, "feedback", MINI, "--templates", tmp_path / "none",
               "--out", tmp_path / "new", rated / "sft.jsonl", status=1)
    assert done.stderr == "chatd-tune: --templates: %s: No such file or " \
        "directory\n" % (tmp_path / "none")


def test_templates_that_are_not_installed_are_named(tmp_path):
    """The default of a tree that was built, but not installed."""
    makefile = (BUILD / "Makefile").read_text()
    prefix = re.search(r"^prefix = (.*)$", makefile, re.M)[1]
    folder = "%s/share/chatd/templates" % prefix
    if os.path.exists(folder):
        pytest.skip("chatd is installed in " + prefix)
    done = run(TUNE, "feedback", MINI, "--out", tmp_path / "new",
               tmp_path / "sft.jsonl", status=1)
    assert done.stderr == "chatd-tune: --templates: %s: No such file or " \
        "directory (chatd is not installed; in its sources: --templates " \
        "engine/mini/templates)\n" % folder


def test_a_folder_that_is_there_is_left_alone(rated, tmp_path):
    (tmp_path / "new").mkdir()
    assert "new already exists" in tune(tmp_path, rated, SMALL,
                                        status=1).stderr


def test_the_gate_alone_compares_two_models(rated, tmp_path):
    tune(tmp_path, rated, SMALL)
    args = ["--templates", TEMPLATES, "--preset", tmp_path / "preset.yaml",
            "--json"]
    same = json.loads(run(TUNE, "gate", MINI, MINI, *args).stdout)
    assert same["passed"]
    assert all((t["change"], t["lost"], t["gained"], t["chance"]) ==
               (0, 0, 0, 1) for t in same["tasks"])
    new = json.loads(run(TUNE, "gate", MINI, tmp_path / "new", *args).stdout)
    assert new["perplexity"]["before"] == same["perplexity"]["before"]
    assert new["perplexity"]["after"] != same["perplexity"]["before"]
