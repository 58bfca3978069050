# SPDX-License-Identifier: Apache-2.0
"""Exports, imports and consent through chatd: chatctl export gives what
chatd-store export gives."""
import hashlib
import json
import os
import signal
import subprocess

import pytest

from service import BUILD, Service

FORMATS = ["oig", "sft", "messages", "preference", "openai-dpo", "kto",
           "oasst", "moderation", "argilla", "label-studio", "csv"]


@pytest.fixture(scope="module")
def service():
    with Service(start=False) as s:
        # A rule that blocks and one that flags, for the format moderation.
        pack = s.dir / "pack.yaml"
        pack.write_text("pack: t\nversion: 1\nrules:\n"
                        "  - {name: x, category: hate, score: 0.95, "
                        "words: [xyzzy]}\n"
                        "  - {name: y, category: hate, score: 0.6, "
                        "words: [plugh]}\n")
        s.config["filters"] = [{
            "name": "rules", "path": str(BUILD / ".libs/rules.so"),
            "options": {"packs": str(pack)}}]
        s.write_config()
        s.start()
        s.wait_model()
        with s.client() as c:
            for n in range(6):
                x = c.say("#say reply \u2028 %d" % n)[1]
                c.call("rate", exchange=x["exchange"], thumb=1)
                if n % 2:
                    c.call("rate", exchange=x["exchange"], thumb=-1,
                           reasons=["incorrect"], ideal="better")
            c.say("#say xyzzy")
            c.say("#say plugh")
        yield s


def chatctl(s, *args, **more):
    done = subprocess.run([BUILD / "chatctl", "--socket", s.socket, *args],
                          capture_output=True, timeout=60, **more)
    return done.returncode, done.stdout, done.stderr.decode()


def offline(s, *args):
    done = subprocess.run([BUILD / "chatd-store", "export", "--db",
                           s.state / "chatd.db", *args], capture_output=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_both_ways_give_the_same(service, name):
    uid = str(os.getuid())
    status, out, err = chatctl(service, "export", "-f", name)
    assert (status, err) == (0, "")
    assert out == offline(service, "-f", name, "--uid", uid)
    assert out.count(b"\n") > 1
    more = ["--all", "--bare", "--unique"]
    if name not in ("preference", "openai-dpo", "kto", "moderation"):
        more += ["--rating", "all"]
    status, out, _ = chatctl(service, "export", "-f", name, *more)
    assert out == offline(service, "-f", name, *more)


def test_a_file_has_a_manifest_and_a_template(service, tmp_path):
    out = tmp_path / "chats.jsonl.gz"
    assert chatctl(service, "export", "--all", "-o", out) == (0, b"", "")
    made = json.loads((tmp_path / "chats.jsonl.gz.manifest.json").read_text())
    assert made["rows"] > 2 and made["format"] == "messages"
    assert made["files"][0]["sha256"] == \
        hashlib.sha256(out.read_bytes()).hexdigest()
    assert made["models"] and made["filters"]["users"] == "all"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "chats.jsonl.gz", "chats.jsonl.gz.chat_template.jinja",
        "chats.jsonl.gz.manifest.json"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP])
def test_no_part_of_a_file_is_left_after_a_signal(tmp_path, number):
    with Service(start=False) as s:
        wait = s.dir / "store"      # its exports do not come
        wait.write_text("#!/bin/sh\ncase \"$*\" in *--export*) while :; do "
                        "sleep 1; done;; esac\nexec %s \"$@\"\n" %
                        (BUILD / "chatd-store"))
        wait.chmod(0o755)
        s.config["store"]["program"] = str(wait)
        s.write_config()
        s.start()
        ctl = subprocess.Popen(
            [BUILD / "chatctl", "-s", s.socket, "export", "-o",
             tmp_path / "out.gz"], stderr=subprocess.DEVNULL)
        s.wait(s.exporters)
        ctl.send_signal(number)
        assert ctl.wait(60) == 128 + number
        assert list(tmp_path.iterdir()) == []


def test_a_dash_is_standard_output(service, tmp_path):
    status, out, err = chatctl(service, "export", "-o", "-", cwd=tmp_path)
    assert (status, err) == (0, "") and out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fields, field", [
    ({"rating": "god"}, "rating"), ({"reason": "x"}, "reason"),
    ({"category": "x"}, "category"), ({"split": "x"}, "split"),
    ({"heldout": 101}, "heldout"), ({"format": "x"}, "format")])
def test_a_wrong_word_is_named(service, fields, field):
    with service.client() as c:
        e = c.call("export", **dict({"format": "oig"}, **fields))
        assert (e["code"], e["field"]) == ("bad_field", field)


def test_consent_is_kept_and_shown(service):
    assert chatctl(service, "consent") == (0, b"unset\n", "")
    assert chatctl(service, "consent", "no")[1] == b"no\n"
    assert chatctl(service, "export", "--all", "-f", "sft")[1] == b""
    assert chatctl(service, "export", "-f", "sft")[1] != b""
    assert chatctl(service, "consent", "yes", "1", "2")[1] == \
        b"conversation 1: yes\nconversation 2: yes\n"
    assert chatctl(service, "export", "--all", "-f", "sft",
                   "--consent")[1].count(b"\n") == 2
    assert chatctl(service, "consent", "unset", "1", "2")[0] == 0
    assert chatctl(service, "consent", "unset")[1] == b"unset\n"
    assert chatctl(service, "consent", "maybe")[0] == 2
    assert chatctl(service, "consent", "yes", "999")[0] == 1


def test_an_import_through_chatd(service, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": "<human>: a\n<bot>: b"}) + "\n"
                    "nonsense\n" + json.dumps({"text": "x"}) + "\n")
    status, out, err = chatctl(service, "import", rows)
    assert status == 1
    assert out == b"1 rows: 1 replies stored, 0 known, 0 conversations " \
        b"deleted here, 2 bad rows\n"
    assert "rows.jsonl:2: row" in err and "rows.jsonl:3: row" in err
    status, out, _ = chatctl(service, "import", "--json", rows)
    assert json.loads(out)["known"] == 1
    assert b"<human>: a\\n<bot>: b" in chatctl(
        service, "export", "--all", "-f", "oig")[1]
    assert b"<human>: a\\n<bot>: b" not in chatctl(
        service, "export", "-f", "oig")[1]
    assert chatctl(service, "import", tmp_path / "none")[0] == 1
    assert chatctl(service, "import", tmp_path)[0] == 1
    rows.write_text(
        json.dumps({"text": "<human>: a\n<bot>: " + "b" * 2000000}) + "\n" +
        json.dumps({"text": "<human>: c\n<bot>: d"}) + "\n")
    status, out, err = chatctl(service, "import", rows)
    assert status == 1 and out.startswith(b"1 rows: 1 replies stored, 0 known")
    assert "rows.jsonl:1: the request has" in err
