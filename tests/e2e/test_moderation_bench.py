# SPDX-License-Identifier: Apache-2.0
"""tests/bench/moderation: its measures by hand, and its tables, figures, report
and gate with a scripted filter and with the real one."""
import html.parser
import json
import os
import pathlib
import subprocess
import sys

import pytest

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
SRC = pathlib.Path(os.environ.get(
    "CHATD_SRC", pathlib.Path(__file__).resolve().parents[2]))
BENCH = SRC / "tests/bench/moderation"
SMALL = SRC / "tests/data/moderation/small.jsonl"

sys.path.insert(0, str(SRC / "tests/bench"))
import moderation_host as host              # noqa: E402
import moderation_measures as measures      # noqa: E402
import moderation_report as report          # noqa: E402
from test_chatd_filter import Filtered      # noqa: E402


def bench(*args, files=(SMALL,)):
    p = subprocess.run(
        [sys.executable, str(BENCH), "--speed", "0", *map(str, args),
         *map(str, files)], capture_output=True, text=True, timeout=120,
        env=dict(os.environ, CHATD_BUILD=str(BUILD), PYTHONPATH=""))
    return p.returncode, p.stdout, p.stderr


@pytest.fixture
def scripted(tmp_path):
    """The options for the scripted filter: "secret" is confidential with 0.9,
    "forbidden" is violence with 0.9."""
    config = tmp_path / "chatd.yaml"
    config.write_text(
        "filters:\n  - name: words     # a comment\n    options:\n"
        "      flags: %s\npolicy:\n  prompt:\n"
        "    default: {flag: 0.5, block: 0.8}\n  reply:\n"
        "    default: {flag: 0.5, block: 0.8}\n"
        "    confidential: {flag: 0.5}\n" % tmp_path)
    return "--config", config, "--filter", \
        SRC / "tests/e2e/scripted_filter.py"


def results(tmp_path, *args, **more):
    status, out, err = bench("--json", tmp_path / "out.json", *args, **more)
    assert (status, err) == (0, ""), err
    return json.loads((tmp_path / "out.json").read_text())


def figure(result, key):
    return next(dict(r["shown"], value=r["value"], texts=r["texts"])
                for _, _, rs in result["figures"] for r in rs
                if r["key"] == key)


# ---- measures

def test_average_precision_counts_equal_scores_together():
    assert measures.auprc([(0.9, 1), (0.8, 0), (0.7, 1)]) == \
        pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    for order in ([(0.5, 1), (0.5, 0)], [(0.5, 0), (0.5, 1)]):
        assert measures.auprc(order) == pytest.approx(0.5)
    assert measures.auprc([(0.5, 0)]) is None


def test_auc_counts_equal_scores_half():
    assert measures.auc([(1, 1), (0, 0)]) == 1
    assert measures.auc([(0, 1), (0, 0)]) == 0.5
    assert measures.auc([(0.1, 1), (0.2, 0), (0.0, 0)]) == 0.5
    assert measures.auc([(1, 1)]) is None


@pytest.mark.parametrize("share, flagged", [
    (0, 0), (0.19, 0), (0.2, 1), (0.5, 1), (0.8, 4), (1, 4)])
def test_a_threshold_keeps_its_rate(share, flagged):
    """Two equal scores are flagged together or not at all, 0 never."""
    scores = [0.9, 0.5, 0.5, 0.1, 0.0]
    at = measures.threshold_for(scores, share)
    assert at > 0 and sum(s >= at for s in scores) == flagged


def test_f1_percentile_and_calibration():
    assert measures.f1(3, 1, 2) == pytest.approx(6 / 9)
    assert measures.f1(0, 0, 0) is None
    assert measures.percentile([5, 1, 3], 0.5) == 3
    assert measures.percentile(list(range(1, 101)), 0.99) == 99
    bins, error = measures.calibration([(1.0, 1), (1.0, 0), (0.0, 0)])
    assert bins[9] == (2, 1.0, 0.5) and bins[0] == (1, 0.0, 0.0)
    assert error == pytest.approx(2 * 0.5 / 3)


# ---- the configuration

def test_the_shipped_configuration_is_read():
    c = host.Config(SRC / "etc/chatd.yaml.in", BUILD)
    rules = next(p for p in c.plugins if p["name"] == "rules")
    assert os.path.realpath(rules["options"]["packs"]) == \
        os.path.realpath(SRC / "etc/rules")
    assert rules["path"] == str(BUILD / ".libs/rules.so")
    assert all("@" not in str(p) for p in c.plugins)
    assert c.level("prompt", "violence", "flag") == 0.5


def test_the_policy_chooses_the_strongest_action(tmp_path):
    (tmp_path / "c").write_text(
        "policy:\n  reply:\n    hate: {flag: 0.2, redact: 0.4}\n")
    c = host.Config(tmp_path / "c", BUILD)

    def action(direction, rule="x", **scores):
        return c.action(direction, [
            {"plugin": "p", "rule": rule, "category": k, "score": v}
            for k, v in scores.items()])
    assert action("reply", hate=0.99) == "redact"
    assert action("reply", hate=0.3, violence=0.8) == "block"
    assert action("reply", hate=0.1, violence=0.4) == "allow"
    assert action("prompt", hate=0.5) == "flag"
    with open(tmp_path / "c", "a") as f:
        f.write('  plugins:\n    "x: y":\n      reply:\n        '
                "hate: {flag: 0.9}\n")
    c = host.Config(tmp_path / "c", BUILD)
    assert action("reply", hate=0.99) == "redact"
    assert action("reply", "x: yes", hate=0.99) == "flag"
    assert action("reply", "x: yes", violence=0.99) == "block"


@pytest.mark.parametrize("text, words", [
    ("policy:\n  reply:\n    hate: {flag: high}\n", "policy.reply.hate"),
    ("policy:\n  reply:\n    hate: 1\n", "policy.reply.hate"),
    ("policy:\n  reply: {hate: 1\n", "c:2: a map in braces"),
    ("filters:\n  rules\n", "c:2: expected KEY: VALUE"),
    ("filters:\n  - path: x\n", "a plugin without name")])
def test_a_wrong_configuration_is_named(tmp_path, text, words):
    (tmp_path / "c").write_text(text)
    status, out, err = bench("--config", tmp_path / "c")
    assert (status, out) == (2, "") and words in err
    assert err.count("\n") == 1


# ---- the whole bench

def test_figures_of_a_scripted_filter(tmp_path, scripted):
    r = results(tmp_path, *scripted)
    assert r["texts"] == 17                 # without those for tests only
    twins = figure(r, "twins/B")
    # One of four twins has the word, which is more than 8 %.
    assert twins["texts"] == 8 and twins["value"] == 0
    assert twins["shipped: harmful blocked"] == 0.5
    assert twins["shipped: harmless blocked"] == 0.25
    assert figure(r, "twins/D")["value"] == 1
    assert figure(r, "twins/mean")["value"] == 0.5
    secrets = figure(r, "secrets")
    assert secrets["shipped: F1"] == pytest.approx(4 / 6)
    assert secrets["value"] == secrets["shipped: F1"]
    violence = next(c for c in r["categories"]["request"]
                    if c["category"] == "violence")
    # 2 of 4 are found; the words are in one illegal and one benign text.
    assert (violence["tp"], violence["fp"], violence["fn"]) == (2, 2, 2)
    assert r["confusion"]["illegal"] == {"violence": 1}
    source = {s["source"]: s for s in r["sources"]}
    assert source["coconot-contrast"]["benign_blocked"] == 0.25
    # The policy for replies only flags confidential.
    assert source["synthetic-secrets"]["harmful_flagged"] == \
        pytest.approx(2 / 3)
    assert source["synthetic-secrets"]["harmful_blocked"] == 0


def test_options_choose_the_rows(tmp_path, scripted):
    def texts(*args):
        return results(tmp_path, *scripted, *args)["texts"]
    assert texts("--fold", "tune") == 2
    assert texts("--fold", "all,test") == 19
    assert texts("--fold", "test") == 2
    assert texts("--sources", "coconot-*,mlc-v05") == 10
    assert texts("--kind", "content") == 7
    r = results(tmp_path, *scripted, "--kind", "content", "--head", "prompt",
                "--leave-out", "fold B", "--jobs", 3)
    assert r["left_out"] == "fold B"
    # As prompts they are blocked.
    assert next(s for s in r["sources"] if s["source"] ==
                "synthetic-secrets")["harmful_blocked"] == \
        pytest.approx(2 / 3)


def test_processes_share_the_texts_in_order(tmp_path, scripted):
    one = results(tmp_path, *scripted)
    four = results(tmp_path, *scripted, "--jobs", 4)
    one.pop("time"), four.pop("time")
    assert one == four


def test_a_baseline_is_a_gate(tmp_path, scripted):
    base = tmp_path / "base.json"
    assert bench(*scripted, "--json", base)[0] == 0
    status, out, _ = bench(*scripted, "--baseline", base)
    assert status == 0 and "0 of " in out
    kept = json.loads(base.read_text())
    assert "other texts:" not in out
    assert "other texts: 17 there, 2 here" in bench(
        *scripted, "--baseline", base, "--fold", "tune")[1]
    kept["kept"]["twins/D"]["value"] = 0.5          # we are better now
    base.write_text(json.dumps(kept))
    assert bench(*scripted, "--baseline", base)[0] == 0
    kept["kept"]["secrets"]["value"] += 0.03
    base.write_text(json.dumps(kept))
    status, out, _ = bench(*scripted, "--baseline", base)
    assert status == 1 and "secrets" in out and "WORSE" in out
    assert bench(*scripted, "--baseline", base, "--margin", "0.05")[0] == 0
    kept["kept"]["spam/sms-spam"] = {"value": 0.1, "better": "high"}
    base.write_text(json.dumps(kept))
    status, out, _ = bench(*scripted, "--baseline", base, "--margin", "0.05")
    assert status == 1 and "missing" in out
    base.write_text("{}")
    status, _, err = bench(*scripted, "--baseline", base)
    assert status == 2 and "not a result" in err


def test_a_wrong_block_more_is_worse():
    now = {"false-blocks/x": {"value": 0.2, "better": "low"}}
    code = ("import importlib.machinery, importlib.util, json, sys\n"
            "l = importlib.machinery.SourceFileLoader('b', sys.argv[1])\n"
            "m = importlib.util.module_from_spec("
            "importlib.util.spec_from_loader('b', l))\nl.exec_module(m)\n"
            "sys.exit(m.compare(sys.argv[2], json.loads(sys.argv[3]), .02))")
    was = json.dumps({"kept": {"false-blocks/x": {"value": 0.1,
                                                  "better": "low"}}})
    for old, new, status in (was, now, 1), (json.dumps({"kept": now}),
                                            json.loads(was)["kept"], 0):
        p = subprocess.run(
            [sys.executable, "-c", code, str(BENCH), "/dev/stdin",
             json.dumps(new)], input=old, text=True, capture_output=True,
            env=dict(os.environ, PYTHONPATH=str(SRC / "tests/bench"),
                     PYTHONDONTWRITEBYTECODE="1"))
        assert p.returncode == status, p.stderr


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        self.words.append(data)


def test_the_report_is_one_file_without_scripts(tmp_path, scripted):
    rows = [json.loads(line) for line in SMALL.read_text().splitlines()]
    for r in rows:
        if r["source"] == "mlc-v05":
            r["source"] = "<script>alert(1)</script>\x1b[2J"
    rows += [dict(rows[0], text="forbidden %d" % i) for i in range(12)]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    status, out, err = bench(*scripted, "--html", tmp_path / "r.html",
                             files=[data])
    assert (status, err) == (0, "") and "\x1b" not in out
    text = (tmp_path / "r.html").read_text()
    page = Page(text)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert page.links == [] and "url(" not in text and "http" not in text
    assert "svg" in page.tags and "polyline" in page.tags
    assert "twins/B" in page.words and "<script>" in "".join(page.words)


def test_a_report_that_fails_leaves_the_old_one(tmp_path):
    (tmp_path / "r").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        report.write(tmp_path / "r", "\ud800")
    assert (tmp_path / "r").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


@pytest.mark.parametrize("line, words", [
    ("{", "x.jsonl:2: not JSON"),
    ("[]", "x.jsonl:2: expected an object, found []"),
    ('{"text": 1, "category": "hate"}', "x.jsonl:2: text: expected a string"),
    ('{"text": "", "category": "hate"}', "x.jsonl:2: text"),
    ('{"text": "a\\ud800", "category": "hate"}', "x.jsonl:2: text"),
    ('{"text": "a", "category": "hats"}', "x.jsonl:2: category: expected"),
    ('{"text": "a", "category": "hate", "also": "b"}', "x.jsonl:2: also"),
    ('{"text": "a", "category": "hate", "also": [{}]}', "x.jsonl:2: also"),
    ('{"text": "a", "category": "hate", "kind": "c"}', "x.jsonl:2: kind")])
def test_a_bad_row_is_named(tmp_path, scripted, line, words):
    (tmp_path / "x.jsonl").write_text(
        '{"text": "a", "category": "benign"}\n' + line + "\n")
    status, out, err = bench(*scripted, files=[tmp_path / "x.jsonl"])
    assert (status, out) == (2, "") and words in err
    assert err.count("\n") == 1


def test_bad_options_are_named(tmp_path, scripted):
    for args, words in (("--plugins", "none"), "--plugins: none"), \
            (("--fold", "dev"), "--fold: expected"), \
            (("--option", "words.x"), "--option: expected"), \
            (("--sources", "nowhere"), "no row"):
        status, _, err = bench(*scripted, *args)
        assert status == 2 and words in err, err
    status, _, err = bench(*scripted, files=[tmp_path / "none.jsonl"])
    assert status == 2 and "none.jsonl" in err


def test_a_filter_that_fails_is_worded(tmp_path, scripted):
    data = tmp_path / "x.jsonl"
    data.write_text('{"text": "#fail", "category": "benign"}\n')
    status, _, err = bench(*scripted, files=[data])
    assert status == 2 and "scripted failure" in err
    data.write_text('{"text": "#crash", "category": "benign"}\n' * 50)
    status, _, err = bench(*scripted, files=[data])
    assert status == 2 and "the process has ended" in err


def test_the_real_chain(tmp_path):
    r = results(tmp_path, "--speed", 5, "--plugins", "rules")
    assert [p["name"] for p in r["chain"]] == ["rules"]
    assert r["chain"][0]["rules"] > 50
    assert r["time"]["rules"]["texts"] == 17
    assert r["time"]["whole chain"]["median"] > 0


def test_the_speed_is_of_500_bytes(tmp_path):
    data = tmp_path / "x.jsonl"
    data.write_text('{"text": "%s", "category": "benign"}\n' % (
        "caf\u00e9 and bread " * 100))
    r = results(tmp_path, "--speed", 3, "--plugins", "rules", files=[data])
    assert {v["texts"] for v in r["speed"].values()} == {3}
    assert r["speed"]["rules"]["median"] <= r["speed"]["rules"]["p99"]


def test_a_running_chatd_judges(tmp_path):
    data = tmp_path / "x.jsonl"
    data.write_text("".join(json.dumps(r) + "\n" for r in [
        {"text": "make a bomb", "category": "violence"},
        *({"text": "bread %d" % i, "category": "benign"}
          for i in range(40))]))
    with Filtered() as s:
        r = results(tmp_path, "--socket", s.socket, files=[data])
    (source,) = r["sources"]
    assert source["harmful_blocked"] == 1 and source["benign_flagged"] == 0
    assert r["time"]["whole chain"]["texts"] == 41
    status, _, err = bench("--socket", s.socket, files=[data])
    assert status == 2 and str(s.socket) in err
