# SPDX-License-Identifier: Apache-2.0
"""What chatd gives to plugins of interface 1.2, and takes from them: states of
texts, what they save, self-tests, tiers, details, counts; and the policy and
the words that follow."""
import grp
import hashlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from service import BUILD, Service, text_of
from test_chatd_filter import Filtered, add_rule

POLICY = {d: {"default": {"flag": 0.1, "block": 0.8}}
          for d in ("prompt", "reply")}
FILES = {"zoo": "zoo-parts.so", "tier": "zoo-tier.so"}


def plugin(name, process="shared", **options):
    return {"name": name, "process": process, "options": options,
            "path": str(BUILD / "tests/plugins/.libs" / FILES[name])}


def serve(*plugins, **more):
    return Service(filters=list(plugins), config={"policy": POLICY}, **more)


def told(verdicts):
    """What the plugin was told, from the names of its rules: dicts."""
    return [{k: float(v) for k, v in (word.split("=")
                                      for word in v["rule"].split())}
            for v in verdicts if v["rule"].startswith("sum=")]


def told_of_reply(done):
    return told(v for v in done["verdicts"] if v["direction"] == "reply")


def moderate(client, text="x", **more):
    return told(client.call("moderate", text=text, explain=True,
                            **more)["findings"])[-1]


# ---- the state of a text

def test_a_plugin_keeps_a_state_while_a_reply_grows():
    with serve(plugin("zoo", act="tell")) as s, s.client() as c:
        s.wait_model()
        words = "one two three four five"
        text, done = c.say("#say " + words)
        assert text == words
        assert max(t["sum"] for t in told_of_reply(done)) == len(words)
        # A long prompt comes in pieces; each byte is new once.
        assert moderate(c, "y" * 3000)["sum"] == 3000


@pytest.mark.parametrize("how", ["crash", "reload"])
def test_a_new_process_gets_the_text_from_its_beginning(how):
    with serve(plugin("zoo", act="tell"),
               env={"SCRIPTED_TICK": "0.2"}) as s, s.client() as c, \
            s.client() as other:
        s.wait_model()
        before = moderate(c)["begun"]
        ident = c.send("say", text="#say one two three")
        c.until("text")
        pid = s.helper_pid("filter")
        if how == "crash":
            os.kill(pid, signal.SIGKILL)
        else:
            assert other.call("reload")["event"] == "done"
        s.wait(lambda: s.helper_pid("filter") not in (0, None, pid))
        seen = c.events(ident)
        assert seen[-1]["event"] == "done", seen[-1]
        assert max(t["sum"] for t in told_of_reply(seen[-1])) == \
            len("one two three")
        # It was told that the text is not a new one: there are the two texts
        # at its start, and this one; on a slow machine, also those that the
        # old process had saved.
        assert moderate(c)["begun"] - 3 in (0, before, before + 1, before + 2)


def test_a_text_that_is_given_up_is_ended_in_the_process():
    # What the plugin does at the end of a text must not matter.
    with serve(plugin("zoo", act="good", end="fail"),
               env={"SCRIPTED_TICK": "0.05"}) as s, s.client() as c:
        s.wait_model()
        for _ in range(3):
            ident = c.send("say", text="#forever",
                           params={"max_tokens": 1000})
            c.until("text")
            c.send("cancel", request=ident)
            c.events(ident)
        assert c.say("#say fine")[0] == "fine"
        assert s.status()["helpers"]["filter"]["restarts"] == 0


def test_accounts_are_numbers_that_are_not_uids():
    with serve(plugin("zoo", act="tell")) as s, s.client() as c:
        first = moderate(c)["account"]
        assert first not in (0, os.getuid()) and first == \
            moderate(c, direction="reply")["account"]


# ---- what plugins save

def begun(client):
    return moderate(client)["begun"]


def wait_saved(service):
    """Until chatd has asked for what the plugins save."""
    time.sleep(2)


@pytest.mark.parametrize("how", ["crash", "reload"])
def test_what_a_plugin_saves_goes_to_the_next_process(how):
    with serve(plugin("zoo", act="tell")) as s, s.client() as c:
        s.wait_model()
        assert begun(c) == 3            # two texts at the start, and this
        for _ in range(4):
            last = begun(c)
        assert last == 7
        wait_saved(s)
        pid = s.helper_pid("filter")
        if how == "crash":
            os.kill(pid, signal.SIGKILL)
            assert s.wait(lambda: s.helper_pid("filter") not in (0, pid))
        else:
            assert c.call("reload")["event"] == "done"
        # Those two texts again, and one.
        assert s.wait(lambda: begun(c) >= 10)
        assert begun(c) < 20


@pytest.mark.parametrize("how", ["crash", "reload"])
def test_the_plugin_abuse_counts_on_in_the_next_process(how):
    text = ("Write a friendly mail to our customers that asks them to confirm "
            "the account within one day")

    def rules(client):
        return [(v["rule"], v["action"]) for v in client.call(
            "moderate", text=text, explain=True)["findings"]]

    with Service(filters=[{"name": "abuse", "process": "shared",
                           "path": str(BUILD / ".libs/abuse.so"),
                           "options": {"repeats": 3}}],
                 config={"policy": {"prompt": {"default": {
                     "flag": 0.5, "block": 0.8}}}}) as s, s.client() as c:
        assert rules(c) == rules(c) == []
        wait_saved(s)
        pid = s.helper_pid("filter")
        if how == "crash":
            os.kill(pid, signal.SIGKILL)
        else:
            assert c.call("reload")["event"] == "done"
        assert s.wait(lambda: s.helper_pid("filter") not in (0, None, pid))
        assert rules(c) == [("abuse/repeats", "flag")]


def test_a_state_on_which_the_plugin_crashes_is_dropped():
    with serve(plugin("zoo", act="tell", restore="abort")) as s, \
            s.client() as c:
        s.wait_model()
        assert begun(c) == 3
        wait_saved(s)
        pid = s.helper_pid("filter")
        os.kill(pid, signal.SIGKILL)
        assert s.wait(lambda: s.restarted("filter", pid))
        assert begun(c) == 3
        assert "is dropped" in s.log.read_text()
        # ... and a reload does not fail because of it.
        wait_saved(s)
        assert c.call("reload")["event"] == "done"
        assert begun(c) == 3


def test_a_state_that_is_too_large_ends_the_process_only():
    with serve(plugin("zoo", process="own", act="tell",
                      save="too-large")) as s, s.client() as c:
        s.wait_model()
        assert begun(c) == 3
        assert s.wait(lambda: "saved 65537 bytes" in s.log.read_text())
        assert s.wait(lambda: s.status()["filters"][0]["state"] == "ready")


def test_a_plugin_that_hangs_while_it_saves_is_ended():
    with serve(plugin("zoo", process="own", act="good", save="loop")) as s, \
            s.client() as c:
        c.call("moderate", text="x")
        assert s.wait(lambda: "hung" in s.log.read_text())
        assert s.wait(lambda: c.call("moderate", text="x")["event"]
                      == "done")


# ---- self-tests

def test_a_failed_selftest_lets_no_text_pass_and_is_worded():
    with serve(plugin("zoo", act="good", selftest="fail")) as s, \
            s.client() as c:
        s.wait(lambda: s.status()["helpers"]["filter"]["restarts"] > 3)
        e = c.call("moderate", text="x")
        assert e["code"] == "filter_unavailable"
        assert "plugin zoo: its self-test has failed: out of ideas" in \
            e["message"]


def test_a_failed_selftest_at_a_reload_keeps_the_old_process():
    with serve(plugin("zoo", act="tell")) as s, s.client() as c:
        pid = s.helper_pid("filter")
        s.config["filters"] = [plugin("zoo", act="tell", selftest="fail")]
        s.write_config()
        e = c.call("reload")
        assert e["code"] == "bad_config"
        assert "zoo: its self-test has failed: out of ideas" in e["message"]
        assert s.helper_pid("filter") == pid and begun(c) == 3


def test_chatd_t_runs_the_selftests():
    with serve(plugin("zoo", act="good"), start=False) as s:
        def run():
            return subprocess.run(s.command("-t"), capture_output=True,
                                  text=True, timeout=60)
        assert run().returncode == 0
        s.config["filters"] = [plugin("zoo", act="good", selftest="fail")]
        s.write_config()
        got = run()
        assert got.returncode != 0
        assert "its self-test has failed: out of ideas" in got.stderr


# ---- tiers and details

def test_a_later_plugin_lowers_findings_through_chatd():
    with serve(plugin("zoo", act="good"), plugin("tier", act="lower")) as s, \
            s.client() as c:
        for text in "XYZZY", "a " * 600 + "XYZZY" + " b" * 600:
            e = c.call("moderate", text=text)
            assert e["action"] == "flag"
            v = e["categories"]["hate"]
            assert (v["score"], v["lowered"]) == (0.1, 0.1), e


def test_each_plugin_of_another_process_stands_alone():
    with serve(plugin("zoo", process="own", act="good"),
               plugin("tier", process="own", act="lower")) as s, \
            s.client() as c:
        v = c.call("moderate", text="XYZZY")["categories"]["hate"]
        assert v["score"] == 0.5 and "lowered" not in v


def test_moderate_explains_a_verdict():
    with serve(plugin("zoo", act="good-detail")) as s, s.client() as c:
        text = "p" * 700 + " XYZZY"
        e = c.call("moderate", text=text, explain=True)
        (found,) = [f for f in e["findings"] if f["end"] == len(text)]
        assert found["action"] == "flag"
        # Places are those of the whole text, also in later pieces.
        assert found["detail"] == [{
            "name": "XYZZY", "weight": 1.5, "start": found["start"],
            "end": len(text)}]
        assert found["start"] > 0 and e["us"] > 0
        assert "findings" not in c.call("moderate", text=text)
        _, done = c.say("XYZZY")
        assert all("detail" not in v for v in done["verdicts"])


@pytest.mark.parametrize("act", ["bad-detail", "nan-detail", "lower-span"])
def test_a_plugin_that_breaks_a_rule_of_1_2_is_named_in_the_log(act):
    with serve(plugin("zoo", process="own", act=act)) as s, s.client() as c:
        assert c.call("moderate", text="XYZZY")["code"] == \
            "filter_unavailable"
        assert s.wait(lambda: "plugin zoo: " in s.log.read_text())
        assert s.wait(lambda: c.call("moderate", text="x")["event"]
                      == "done")


# ---- the list of plugins

def test_operators_see_what_each_plugin_has_done():
    with serve(plugin("zoo", act="good"),
               plugin("tier", process="own", act="fail")) as s, \
            s.client() as c:
        for text in "x", "a XYZZY", "y" * 2000:
            c.call("moderate", text=text)
        e = c.call("filters")
        assert [p["name"] for p in e["filters"]] == ["zoo", "tier"]
        zoo, tier = e["filters"]
        # The text that the tier failed on may have ended before the verdict
        # of the other.
        assert (zoo["texts"], zoo["findings"], zoo["errors"]) in \
            ((2, 0, 0), (3, 1, 0))
        assert (tier["texts"], tier["errors"]) == (2, 1)
        assert 0 < zoo["us_mean"] <= zoo["us_max"]
        assert zoo["path"].endswith("zoo-parts.so") and zoo["abi"] == "1.2"
        assert re.fullmatch("[0-9a-f]{64}", zoo["digest"])
        assert zoo["process"] == "filter" and zoo["pid"] > 0
        assert tier["process"] == "filter tier"
        assert abs(e["since"] / 1000 - time.time()) < 600


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to be two users")
def test_users_see_which_plugins_judge_but_no_paths_and_counts():
    with Service(filters=[plugin("zoo", act="good")],
                 config={"socket": {"mode": "0666"}}) as s, \
            s.client_as(65534) as c:
        e = c.call("filters")
        assert set(e["filters"][0]) == {"name", "version", "abi", "rules",
                                        "digest", "state"}
        assert str(BUILD) not in json.dumps(e) and "since" not in e


def chatctl(service, *args, env=None):
    got = subprocess.run(
        [str(BUILD / "chatctl"), "--socket", str(service.socket), *args],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
        env=dict(os.environ, **(env or {})))
    return got.returncode, got.stdout, got.stderr


def test_chatctl_says_that_the_configuration_was_read_again():
    with serve(plugin("zoo", act="good")) as s:
        master, slave = os.openpty()
        done = subprocess.run(
            [BUILD / "chatctl", "--socket", str(s.socket), "reload"],
            stdout=slave, stderr=subprocess.PIPE, text=True, timeout=60)
        os.close(slave)
        os.close(master)
        assert (done.returncode, done.stderr) == (
            0, "chatctl: [configuration read again]\n")
        for _ in range(100):  # the first one may still be running
            got = chatctl(s, "reload")
            if got[0] == 0:
                break
            time.sleep(.1)
        assert got == (0, "", "")


def test_chatctl_show_has_the_findings_as_explain_has_them():
    """The strongest first, and the plugin once."""
    with Service() as s:
        packs = s.dir / "p.yaml"
        packs.write_text(
            "pack: t\nversion: 1\nrules:\n" +
            "".join("  - {name: %s, category: %s, score: %s, words: [%s]}\n"
                    % x for x in [("a", "hate", .6, "aa"),
                                  ("b", "illegal", .9, "bb"),
                                  ("c", "violence", .7, "cc")]))
        s.config["filters"] = [{
            "name": "rules", "path": str(BUILD / ".libs/rules.so"),
            "options": {"packs": str(packs)}},
            {"name": "pii", "path": str(BUILD / ".libs/pii.so")}]
        s.write_config()
        with s.client() as c:
            assert s.reload(c)["event"] == "done"
        text = "aa bb cc and my card is 4539578763621486"
        explained = [line.split(",")[0].split(None, 3)[3] for line in chatctl(
            s, "moderate", "-e", text)[1].splitlines() if ", bytes" in line]
        assert explained[:2] == ["pii/card", "rules t/b"]
        with s.client() as c:
            number = c.call("say", text=text)["exchange"]
        shown = [line.rstrip("]").split("; ")[1] for line in chatctl(
            s, "show", "--exchange", str(number))[1].splitlines()
            if "(prompt; " in line]
        assert [x.rstrip(")") for x in shown] == explained


def test_chatctl_says_that_an_export_is_empty():
    with serve(plugin("zoo", act="good")) as s:
        status, out, err = chatctl(s, "export", "--format", "moderation")
        assert (status, out) == (0, "")
        assert "nothing to export among your own texts" in err
        assert "--all" in err
        assert chatctl(s, "export", "--all", "--format", "moderation") == (
            0, "", "chatctl: [nothing to export]\n")


def test_chatctl_lists_what_plugins_read(tmp_path):
    os.chmod(tmp_path, 0o755)
    pack = tmp_path / "a.yaml"
    pack.write_text("pack: a\nversion: 1\nrules:\n  - {name: x, category: "
                    "hate, score: 1, words: [xyzzy]}\n")
    with Service(filters=[{"name": "rules", "path": str(
            BUILD / ".libs/rules.so"), "options": {"packs": str(pack)}},
            plugin("zoo", act="good")]) as s:
        out = chatctl(s, "filters")[1]
    digest = hashlib.sha256(pack.read_bytes()).hexdigest()
    assert "           reads %s\n           sha256 %s\n" % (
        pack, digest) in out
    assert ", 1 rules or features: " in out and " 0 rules" not in out


def test_chatctl_lists_filters():
    with serve(plugin("zoo", act="good")) as s:
        chatctl(s, "moderate", "XYZZY")
        status, out, _ = chatctl(s, "filters")
        assert status == 0
        assert re.match(r"zoo +1, interface 1\.2: ready\n", out)
        assert "1 texts, 1 findings, 0 errors; " in out
        assert "sha256 " in out and "zoo-parts.so" in out
        status, out, _ = chatctl(s, "filters", "--json")
        assert json.loads(out)["filters"][0]["texts"] == 1
        s.config["filters"] = []
        s.write_config()
        chatctl(s, "reload")
        assert chatctl(s, "filters")[1] == "no filters: every text passes\n"


def test_chatctl_explains_with_brackets_or_in_colour():
    with Filtered() as s:
        status, out, _ = chatctl(s, "moderate", "--explain",
                                 "Please make a bomb now")
        assert status == 1
        lines = out.splitlines()
        assert re.fullmatch(r"block \(\d+ us\)", lines[0])
        assert lines[1] == "Please [make a bomb] now"
        assert re.fullmatch(r"  violence +0\.90  block +rules test/bomb, "
                            r"bytes 7 to 18", lines[2])
        out = chatctl(s, "--color", "always", "moderate", "-e",
                      "Please make a bomb now")[1]
        assert "[make" not in out
        assert re.search("Please \x1b\\[[0-9;]*mmake a bomb\x1b\\[[0-9;]*m "
                         "now", out)
        # Places that overlap have numbers, or are one colour.
        add_rule(s, "{name: now, category: illegal, score: 0.3, "
                 "words: [a bomb now]}")
        assert chatctl(s, "reload")[0] == 0
        lines = chatctl(s, "moderate", "-e", "make a bomb now!")[1] \
            .splitlines()
        assert lines[1] == "[1:make [2:a bomb:1] now:2]!"
        assert len(lines) == 4
        assert lines[2].startswith("  1  violence")
        assert lines[3].startswith("  2  illegal") and " allow " in lines[3]
        assert lines[3].endswith("bytes 5 to 15")
        out = chatctl(s, "--color", "always", "moderate", "-e",
                      "make a bomb now!")[1]
        assert re.search("\x1b\\[[0-9;]*mmake a bomb now\x1b\\[[0-9;]*m!",
                         out)
    with serve(plugin("zoo", act="good-detail")) as s:
        out = chatctl(s, "moderate", "-e", "a XYZZY\x1b[2J")[1]
        assert "XYZZY +1.50" in out and "\x1b" not in out
        assert "us" in json.loads(chatctl(s, "moderate", "--json", "-e",
                                          "XYZZY")[1])


# ---- the policy, and what a blocked user sees

def test_a_blocked_user_is_told_the_category_and_how_to_object():
    with Filtered() as s, s.client() as c:
        e = c.call("say", text="make a bomb")
        assert (e["category"], e["direction"]) == ("violence", "prompt")
        e = c.call("say", text="#say the secret launch codes are 000")
        assert (e["category"], e["direction"]) == ("illegal", "reply")
        # ... and the objection is kept.
        got = c.call("rate", exchange=e["exchange"], thumb=-1,
                     reasons=["wrong_refusal"], comment="It is a story.")
        assert got["event"] == "done", got
        assert s.rows("select reasons from rating") == [
            ('["wrong_refusal"]',)]
        status, _, err = chatctl(s, "ask", "make a bomb")
        assert status == 1 and "No violence here." in err
        number = s.rows("select max(id) from exchange")[0][0]
        assert "[blocked as violence; if that is wrong: chatctl rate %d " \
            "bad --reason wrong_refusal]" % number in err
        status, _, err = chatctl(s, "rate", str(number), "bad", "--reason",
                                 "wrong_refusal")
        assert status == 0 and "not blocked" not in err


def test_an_operator_decides_about_the_refusal_of_another_user():
    with Filtered() as s, s.client() as c:
        e = c.call("say", text="make a bomb")
        c.call("rate", exchange=e["exchange"], thumb=-1,
               reasons=["wrong_refusal"])
        # Nobody decides about their own messages.
        assert c.call("list", kind="refusal")["more"] is False
        got = c.call("rate", exchange=e["exchange"], thumb=1, review=True)
        assert got["code"] == "not_found"
        db = sqlite3.connect(s.state / "chatd.db")
        for table in "conversation", "exchange", "rating", "size":
            db.execute("update %s set uid = 65534" % table)
        db.commit()
        db.close()
        status, out, err = chatctl(s, "review", "--refusals", "--json")
        assert (status, json.loads(out)["exchange"]) == (0, e["exchange"])
        p = subprocess.run(
            [BUILD / "chatctl", "review", "--refusals"], input="o\n",
            env={"CHATD_SOCKET": str(s.socket)}, text=True,
            capture_output=True, timeout=60)
        assert p.returncode == 0 and "make a bomb" in p.stdout
        assert "0 kept, 1 overturned, 0 left" in p.stderr
        assert chatctl(s, "review", "--refusals")[1] == ""
        lines = chatctl(s, "export", "--format", "moderation", "--all")[1]
        row = json.loads(lines)
        assert (row["text"], row["category"], row["label"], row["kind"]) == \
            ("make a bomb", "benign", "overturn", "request")
        assert row["wrong_refusal"] is True
        got = c.events(c.send("show", exchange=e["exchange"]))
        reply = got[0]["exchange"]["replies"][0]
        assert reply["decision"] == "overturn"
        assert reply["rating"]["reasons"] == ["wrong_refusal"]


def test_the_default_message_names_the_category():
    with Service(filters=[plugin("zoo", act="good")], config={"policy": {
            "prompt": {"hate": {"block": 0.5}}}}) as s, s.client() as c:
        assert c.call("moderate", text="XYZZY")["message"] == \
            "This was blocked by the rules of this service: it looks like " \
            "hate speech or discrimination (hate). If that is wrong, rate " \
            "it bad with the reason wrong_refusal."


def test_a_block_in_the_middle_stores_the_whole_reply_for_operators():
    with Filtered() as s, s.client() as c:
        before = "It begins well. " * 8
        seen = c.events(c.send(
            "say", text="#say " + before + "secret launch codes and more",
            params={"max_tokens": 500}))
        assert seen[-1]["code"] == "blocked"
        shown = text_of(seen)
        assert shown and before.startswith(shown)
        (text,) = s.rows("select text from reply where id = ?",
                         seen[-1]["reply"])[0]
        assert text.startswith(before + "secret launch codes")
        got = c.events(c.send("show", exchange=seen[-1]["exchange"]))
        assert "secret launch codes" in json.dumps(got)


def test_a_phrase_across_two_pieces_is_found():
    with Filtered() as s, s.client() as c:
        for n in list(range(498, 514)) + [1018]:
            text = ("x" * 7 + " ") * (n // 8) + "x" * (n % 8) + \
                " make a bomb"
            e = c.call("moderate", text=text)
            assert e["action"] == "block", n
            v = e["categories"]["violence"]
            assert text[v["start"]:v["end"]] == "make a bomb"


def group_of_others():
    mine = set(os.getgroups()) | {os.getegid()}
    return next((g.gr_name for g in grp.getgrall() if g.gr_gid not in mine),
                None)


def test_a_plugin_can_have_a_policy_of_its_own():
    """Before that of everybody and of groups, for what it names."""
    mine = grp.getgrgid(os.getgid()).gr_name
    with serve(plugin("zoo", act="good"), plugin("tier", act="good")) as s, \
            s.client() as c:
        s.config["policy"] = {
            "prompt": {"default": {"block": 0.4}},
            "groups": {mine: {"prompt": {"hate": {"flag": 0.4}}}},
            "plugins": {"tier": {"prompt": {"hate": {"redact": 0.4}}},
                        "zoo": {"reply": {"default": {"flag": 1}},
                                "prompt": {"violence": {"flag": 1}}}}}
        s.write_config()
        assert c.call("reload")["event"] == "done"
        for direction, want in ("prompt", {"zoo": "flag", "tier": "redact"}), \
                ("reply", {"zoo": "allow", "tier": "flag"}):
            got = c.call("moderate", text="XYZZY", explain=True,
                         direction=direction)
            assert {x["plugin"]: x["action"] for x in got["findings"]} == want
        s.config["policy"]["plugins"] = {"nobody": {}, "no/rule": {}}
        s.write_config()
        r = subprocess.run([BUILD / "chatd", "-t", "-f", s.file], text=True,
                           capture_output=True, timeout=60)
        assert r.returncode == 0
        assert 'policy.plugins: there is no filter "nobody"' in r.stderr
        assert "no/rule" not in r.stderr


def test_a_policy_that_does_nothing_is_mentioned():
    """By chatd -t, which still succeeds."""
    with Service(start=False, filters=[plugin("zoo", act="good")]) as s:
        def check(**policy):
            s.config["policy"] = policy
            s.write_config()
            r = subprocess.run([BUILD / "chatd", "-t", "-f", s.file],
                               text=True, capture_output=True, timeout=60)
            assert r.returncode == 0, r.stderr
            return [x for x in r.stderr.splitlines()
                    if "never happens" in x or "everything passes" in x or
                    "no filter" in x]

        hate = {"hate": {"flag": .5}}
        assert check(prompt={"hate": {"flag": .5, "block": .5}},
                     plugins={"zoo: x": {"prompt": hate},
                              "zoo": {"prompt": hate}}) == []
        (line,) = check(prompt={"hate": {"flag": .8, "block": .3}})
        assert "hate: flag from 0.8 on never happens, because block from " \
            "0.3 on comes first" in line
        (line,) = check(prompt={"default": {"redact": .9, "block": .8}})
        assert "default: redact from 0.9 on never happens" in line
        (line,) = check(reply={"hate": {}})
        assert "hate: no action has a score, so everything passes" in line
        (line,) = check(plugins={"zooo: x": {"prompt": hate}})
        assert 'no filter "zooo"' in line and 'did you mean "zoo"?' in line
        (line,) = check(plugins={"judge": {"prompt": hate}})
        assert 'no filter "judge"' in line


@pytest.mark.parametrize("names,action", [
    (["test/b"], "flag"), (["test/bomb", "test/b"], "redact"),
    (["test/x"], "block"), (["test"], "block")])
def test_rules_whose_names_begin_alike_can_have_a_policy(names, action):
    """The first that fits counts."""
    with Filtered() as s, s.client() as c:
        what = ["redact", "flag"][-len(names):]
        s.config["policy"]["plugins"] = {
            name: {"prompt": {"violence": {w: 0.5}}}
            for name, w in zip(names, what)}
        s.write_config()
        assert c.call("reload")["event"] == "done"
        assert c.call("moderate", text="make a bomb")["action"] == action


def test_a_group_can_have_a_policy_of_its_own():
    mine = grp.getgrgid(os.getegid()).gr_name
    other = group_of_others()
    with Filtered() as s, s.client() as c:
        def policy(groups):
            s.config["policy"] = {
                "prompt": {"default": {"block": 0.8}}, "groups": groups}
            s.write_config()
            assert s.reload(c)["event"] == "done"
            return [c.call("moderate", text=t)["action"]
                    for t in ("make a bomb", "card 41111234")]

        assert policy({}) == ["block", "block"]
        # What a group does not name is as for everybody.
        weak = {"prompt": {"violence": {"flag": 0.5}}}
        assert policy({mine: weak}) == ["flag", "block"]
        _, done = c.say("make a bomb")
        assert done["verdicts"][0]["action"] == "flag"
        assert policy({mine: {"prompt": {"default": {"redact": 0.5}}}}) == \
            ["redact", "redact"]
        if other is not None:
            assert policy({other: weak}) == ["block", "block"]
            # The first group counts.
            assert policy({other: {"prompt": {"violence": {"redact": 0.5}}},
                           mine: weak}) == ["flag", "block"]


@pytest.mark.parametrize("groups,words", [
    ([], "names of groups"),
    ({"a": {"both": {}}}, "both"),
    ({"a": {"groups": {}}}, "groups"),
    ({"a": {"prompt": {"weather": {"flag": 0.5}}}}, "weather"),
    ({"a": {"prompt": {"hate": {"flag": 2}}}}, "flag"),
])
def test_a_wrong_policy_of_a_group_is_named(groups, words):
    with Service(start=False) as s:
        s.config["policy"] = {"groups": groups}
        s.write_config()
        got = subprocess.run(s.command("-t"), capture_output=True, text=True,
                             timeout=60)
        assert got.returncode != 0
        assert words in got.stderr and "chatd.yaml:" in got.stderr
