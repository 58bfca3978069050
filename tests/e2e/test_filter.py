# SPDX-License-Identifier: Apache-2.0
"""chatd-filter alone, over pipes: start, findings, plugins that must be
refused, plugins that misbehave, and the sandbox around them."""

import ctypes
import fcntl
import hashlib
import json
import os
import random
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

BUILD = os.environ.get("CHATD_BUILD", ".")
SRC = os.environ.get("CHATD_SRC", ".")
PROGRAM = os.path.join(BUILD, "chatd-filter")
with open(os.path.join(BUILD, "config.h")) as f:
    SANITIZED = "#define WITH_SANITIZER 1" in f.read()
with open(os.path.join(BUILD, "Makefile")) as f:
    TSAN = "-fsanitize=thread" in f.read()
TIMEOUT = 60 if SANITIZED else 20

PACK = """\
pack: test
version: 1
rules:
  - name: bomb
    category: violence
    score: 0.9
    direction: prompt
    words: [build a bomb]
  - name: key
    category: confidential
    score: 1
    raw: true
    pattern: '\\bAKIA[0-9A-Z]{16}\\b'
"""


class Filter:
    """A chatd-filter process."""

    def __init__(self, env=None, user=None, program=(PROGRAM,)):
        self.proc = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=dict(os.environ, **(env or {})),
            user=user, extra_groups=[] if user is not None else None)
        self.buffer = b""

    def send(self, **message):
        self.raw(json.dumps(message).encode() + b"\n")

    def raw(self, data):
        try:
            self.proc.stdin.write(data)
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass

    def receive(self, timeout=TIMEOUT):
        """The next message, or None at the end of output."""
        end = time.monotonic() + timeout
        out = self.proc.stdout.fileno()
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise TimeoutError("no answer")
            data = os.read(out, 65536)
            if not data:
                assert self.buffer == b"", "a broken last line"
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def init(self, *plugins, **more):
        self.send(op="init", plugins=list(plugins), **more)
        return self.receive()

    def check(self, text, id=1, direction="prompt", **more):
        self.send(op="check", id=id, direction=direction, text=text, **more)
        return self.receive()

    def end(self):
        """Close the input. Returns the status and the text on stderr."""
        try:
            out, err = self.proc.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            self.proc.communicate()
            raise
        return self.proc.returncode, err.decode(errors="replace")


@pytest.fixture
def start():
    """Starts filters; whatever still runs at the end is killed."""
    running = []

    def run(**more):
        running.append(Filter(**more))
        return running[-1]

    yield run
    for f in running:
        if f.proc.poll() is None:
            f.proc.kill()
        f.proc.communicate()


@pytest.fixture
def folder(tmp_path):
    """A folder that plugins may come from, whatever the umask."""
    os.chmod(tmp_path, 0o755)
    return tmp_path


def copy(folder, source, name):
    path = str(folder / name)
    shutil.copyfile(os.path.join(BUILD, source), path)
    os.chmod(path, 0o755)
    return path


@pytest.fixture
def rules(folder):
    """The plugin rules with a small pack."""
    (folder / "test.yaml").write_text(PACK)
    return {"name": "rules", "path": copy(folder, ".libs/rules.so",
                                          "rules.so"),
            "options": {"packs": str(folder / "test.yaml")}}


@pytest.fixture
def zoo(folder):
    """The plugin that misbehaves as asked."""
    path = copy(folder, "tests/plugins/.libs/zoo.so", "zoo.so")
    return lambda **options: {"name": "zoo", "path": path,
                              "options": options}


@pytest.fixture
def parts(folder):
    """The same, judging pieces."""
    path = copy(folder, "tests/plugins/.libs/zoo-parts.so", "zoo-parts.so")
    return lambda **options: {"name": "zoo", "path": path,
                              "options": options}


@pytest.fixture
def second(folder):
    """The same as zoo, under another name."""
    path = copy(folder, "tests/plugins/.libs/zoo-second.so", "zoo-second.so")
    return lambda **options: {"name": "second", "path": path,
                              "options": options}


@pytest.fixture
def tier(folder):
    """The same as parts, under another name."""
    path = copy(folder, "tests/plugins/.libs/zoo-tier.so", "zoo-tier.so")
    return lambda **options: {"name": "tier", "path": path,
                              "options": options}


@pytest.fixture
def old(folder):
    """A plugin of version 1.0."""
    return {"name": "old", "path": copy(folder, "tests/plugins/.libs/old.so",
                                        "old.so")}


@pytest.fixture
def old_parts(folder):
    """A plugin of version 1.1."""
    return {"name": "old", "path": copy(
        folder, "tests/plugins/.libs/old-parts.so", "old-parts.so")}


def test_ready_names_each_plugin_with_version_and_rules(start, rules):
    ready = start().init(rules)
    assert ready["event"] == "ready"
    assert len(ready["plugins"]) == 1
    assert ready["plugins"][0]["name"] == "rules"
    assert ready["plugins"][0]["rules"] == 2
    assert ready["plugins"][0]["version"]


def test_a_finding_has_category_score_rule_and_byte_span(start, rules):
    f = start()
    f.init(rules)
    text = "é: how do I BUILD  a BОMB today"    # a Cyrillic O
    answer = f.check(text, id=7)
    assert answer["event"] == "done" and answer["id"] == 7
    (found,) = answer["findings"]
    span = text.encode()[found["start"]:found["end"]].decode()
    assert span == "BUILD  a BОMB"
    assert found["plugin"] == "rules" and found["rule"] == "test/bomb"
    assert found["category"] == "violence" and found["score"] == 0.9


def test_ready_lists_the_needs_of_each_plugin(start, parts, old):
    ready = start().init(parts(act="good"), old)["plugins"]
    assert [(p["name"], p["abi"], p["window"], p["context"])
            for p in ready] == [("zoo", "1.2", 10, False),
                                ("old", "1.0", None, True)]


@pytest.mark.parametrize("with_settled", [False, True])
def test_rules_judge_pieces_and_report_settled_bytes(start, rules,
                                                     with_settled):
    f = start()
    plugin, = f.init(rules)["plugins"]
    assert plugin["window"] > 0 and not plugin["context"]
    window = plugin["window"]
    text = "x " * window + "how to build a bomb today, it said"
    at = text.index("build")
    judged, settled, found = 0, [], []
    for end in list(range(100, at, 100)) + list(range(at, len(text) + 1)):
        offset = max(0, judged - window)
        answer = f.check(text[offset:end], offset=offset,
                         fresh=judged - offset, final=end == len(text),
                         settled=max(0, settled[-1] - offset)
                         if with_settled and settled else 0)
        settled.append(offset + answer["settled"])
        found += [(end, x["start"] + offset, x["end"] + offset)
                  for x in answer["findings"]]
        judged = end
    # Certain with the space after it, and settled until the word begins.
    span = (at, at + len("build a bomb"))
    assert found[0] == (span[1] + 1, *span)
    assert {x[1:] for x in found} == {span}
    assert settled == sorted(settled) and settled[-1] == len(text)
    assert {s for s in settled if at < s < span[1]} == set()
    assert settled.count(at) >= len("build a bomb")


def test_an_old_plugin_gets_whole_texts_and_the_prompt(start, old, rules):
    f = start()
    f.init(old)
    answer = f.check("a XYZZY", direction="reply", context="four",
                     final=False)
    (found,) = answer["findings"]
    assert (found["rule"], found["start"], found["end"]) == ("text-4-0", 2, 7)
    assert "settled" not in answer
    answer = f.check("a XYZZY b", direction="reply", context="four",
                     fresh=7, final=True)
    assert answer["findings"][0]["rule"] == "text-4-1"
    assert answer["settled"] == 9
    assert f.check("XYZZY")["findings"][0]["rule"] == "prompt"
    for plugins in [old], [rules, old]:
        f = start()
        f.init(*plugins)
        answer = f.check("0123456789" * 500, direction="reply", offset=1,
                         fresh=4990, final=True)
        assert (answer["event"], answer["code"]) == ("error",
                                                     "filter_unavailable")
        assert "old" in answer["message"]
        assert "settled" not in f.check("x", direction="reply", final=False)


def test_a_plugin_of_1_1_judges_pieces_as_before(start, old_parts, parts):
    f = start()
    ready = f.init(parts(act="good"), old_parts)["plugins"]
    assert [p["abi"] for p in ready] == ["1.2", "1.1"]
    assert [p["texts"] for p in ready] == [True, False]
    answer = f.check("0123456789 X", direction="reply", context="four",
                     final=False, text_id=1)
    assert (answer["findings"], answer["settled"]) == ([], 11)
    answer = f.check("0123456789 XYZZY", direction="reply", context="four",
                     fresh=12, text_id=1)
    found = {x["plugin"]: x for x in answer["findings"]}
    assert found["old"]["rule"] == "part-4-12-1"
    assert (found["old"]["start"], found["old"]["end"]) == (11, 16)
    f = start()
    f.init(old_parts)
    assert f.check("1234567 XYZZY", offset=9, fresh=7)["settled"] == 13


def test_a_piece_needs_the_window_before_it(start, old_parts):
    f = start()
    f.init(old_parts)
    text = "0123456789XYZZY"
    answer = f.check(text, direction="reply", offset=3, fresh=1)
    assert (answer["code"], answer["field"]) == ("bad_field", "fresh")
    assert "plugin old needs" in answer["message"]
    assert f.check(text, offset=0, fresh=2, final=False)["settled"] == 15


def test_the_end_of_a_text_is_kept(start, parts, old_parts):
    """A piece of a text with a number needs nothing before its new bytes.
    Places before the piece are below 0."""
    f = start()
    assert f.init(parts(act="good-detail"))["tails"] is True
    text = "\u00e9" * 3000 + "XYZZY"
    size = len(text.encode())
    for at in range(0, size - 5, 1000):
        assert f.check("\u00e9" * 500, offset=at, text_id=1,
                       final=False)["findings"] == []
    assert f.check("XY", offset=size - 5, text_id=1,
                   final=False)["findings"] == []
    answer = f.check("ZZY", offset=size - 3, text_id=1)
    (found,) = answer["findings"]
    assert answer["settled"] == 3 and found["end"] == 3
    assert found["start"] == found["detail"][0]["start"] == -10
    f = start()
    f.init(old_parts)
    f.check("1234567 XYZZ", text_id=1, final=False)
    (found,) = f.check("Y", offset=12, text_id=1)["findings"]
    assert (found["start"], found["end"]) == (-4, 1)


def test_direction_decides_which_rules_run(start, rules):
    f = start()
    f.init(rules)
    key = "AKIAIOSFODNN7EXAMPLE"
    assert len(f.check("build a bomb " + key)["findings"]) == 2
    found = f.check("build a bomb " + key, direction="reply",
                    context="hello", final=True)["findings"]
    assert [x["rule"] for x in found] == ["test/key"]
    assert f.check("plain")["findings"] == []


def test_ping_is_answered_between_checks_in_order(start, rules):
    f = start()
    f.init(rules)
    f.send(op="check", id=1, direction="prompt", text="x")
    f.send(op="ping", id=2)
    f.send(op="check", id=3, direction="prompt", text="x")
    assert [f.receive()["id"] for _ in range(3)] == [1, 2, 3]


def test_end_of_input_ends_it_with_status_0(start, rules):
    f = start()
    f.init(rules)
    assert f.end()[0] == 0


def test_sigterm_and_sigint_are_ignored(start, rules):
    f = start()
    f.init(rules)
    f.proc.send_signal(signal.SIGTERM)
    f.proc.send_signal(signal.SIGINT)
    assert f.check("x")["event"] == "done"


BAD_LINES = [
    (b"garbage\n", "bad_json", None),
    (b"\n", "bad_json", None),
    (b"[1]\n", "bad_json", None),
    (b'{"op":"check","id":1,"direction":"prompt","text":"a\\u0000b"}\n',
     "bad_json", None),
    (b'{"op":"check","id":1,"direction":"prompt","text":"\xff"}\n',
     "bad_json", None),
    (b'{"op":"nope","id":4}\n', "bad_field", 4),
    (b'{"id":4}\n', "bad_field", 4),
    (b'{"op":"ping"}\n', "bad_field", None),
    (b'{"op":"ping","id":-1}\n', "bad_field", None),
    (b'{"op":"ping","id":4,"x":1}\n', "bad_field", 4),
    (b'{"op":"init","id":4,"plugins":[]}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"text":"x"}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt"}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"up","text":"x"}\n',
     "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":7}\n',
     "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"a","fresh":2}\n',
     "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"a","fresh":-1}\n',
     "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"\xc3\xa9",'
     b'"fresh":1}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"ab","fresh":1,'
     b'"settled":2}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"\xc3\xa9",'
     b'"fresh":2,"settled":1}\n', "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"a","offset":-1}\n',
     "bad_field", 4),
    (b'{"op":"check","id":4,"direction":"prompt","text":"a","offset":"1"}\n',
     "bad_field", 4),
]


@pytest.mark.parametrize("line,code,id", BAD_LINES)
def test_a_bad_line_costs_its_request_only(start, rules, line, code, id):
    f = start()
    f.init(rules)
    f.raw(line)
    answer = f.receive()
    assert (answer["event"], answer["code"]) == ("error", code)
    assert answer.get("id") == id
    assert f.check("build a bomb")["findings"]


def test_a_text_over_the_limit_is_refused(start, rules):
    f = start()
    f.init(rules)
    answer = f.check("a" * (1024 * 1024 + 1))
    assert (answer["event"], answer["code"]) == ("error", "too_long")
    assert f.check("a" * 1024 * 1024)["event"] == "done"


def refused(f, plugin, *words, **more):
    """The filter refuses to start and says why, once: chatd reports it."""
    answer = f.init(plugin, **more)
    assert answer["event"] == "error" and "id" not in answer
    for word in words:
        assert word in answer["message"]
    assert f.receive() is None
    status, err = f.end()
    assert status == 1
    assert answer["message"] not in err


MISFITS = [
    ("major", ["misfit-major.so", "2.0", "1.2"]),
    ("minor", ["misfit-minor.so", "1.99", "1.2"]),
    ("size", ["misfit-size.so", "40 bytes"]),
    ("name", ["misfit-name.so", '"other"', '"misfit"']),
    ("null", ["misfit-null.so", '"text" is NULL']),
    ("symbol", ["misfit-symbol.so", "chat_filter"]),
]


@pytest.mark.parametrize("kind,words", MISFITS)
def test_a_plugin_that_does_not_fit_is_refused(start, folder, kind, words):
    name = "misfit-%s.so" % kind
    path = copy(folder, "tests/plugins/.libs/" + name, name)
    refused(start(), {"name": "misfit", "path": path}, *words)


def test_a_file_that_is_not_a_library_is_refused(start, folder):
    path = folder / "plugin.so"
    path.write_text("not a library")
    os.chmod(path, 0o755)
    refused(start(), {"name": "x", "path": str(path)}, "plugin.so")


def test_a_plugin_writable_by_others_is_refused(start, rules):
    for mode in 0o666, 0o775:
        os.chmod(rules["path"], mode)
        refused(start(), rules, "rules.so", "the file", "%04o" % mode)
    os.chmod(rules["path"], 0o755)
    assert start().init(rules)["event"] == "ready"


def test_a_plugin_in_a_folder_writable_by_others_is_refused(start, rules,
                                                            folder):
    for mode in 0o777, 0o1777, 0o775:
        os.chmod(folder, mode)
        refused(start(), rules, "rules.so", "folder", "%04o" % mode)


@pytest.mark.parametrize("whole_folder", [False, True])
def test_packs_writable_by_others_are_refused(start, rules, folder,
                                              whole_folder):
    packs = folder / "packs"
    packs.mkdir()
    os.chmod(packs, 0o755)
    file = packs / "a.yaml"
    file.write_text(PACK)
    rules["options"]["packs"] = str(packs if whole_folder else file)
    for mode in 0o666, 0o646:
        os.chmod(file, mode)
        refused(start(), rules, "a.yaml", "%04o" % mode, "chmod go-w")
    os.chmod(file, 0o644)
    os.chmod(packs, 0o777)
    refused(start(), rules, str(packs), "0777", "chmod go-w")
    os.chmod(packs, 0o755)
    assert start().init(rules)["event"] == "ready"


def test_the_private_group_of_the_owner_may_write_packs(start, rules, folder):
    file = folder / "test.yaml"
    os.chmod(file, 0o664)
    st = file.stat()
    if st.st_uid == st.st_gid:
        assert start().init(rules)["event"] == "ready"
    else:
        refused(start(), rules, "test.yaml", "0664")


def test_ready_names_what_a_plugin_reads(start, rules, folder):
    (read,) = start().init(rules)["plugins"][0]["reads"]
    assert read == {"path": rules["options"]["packs"], "digest":
                    hashlib.sha256(PACK.encode()).hexdigest()}
    rules["options"]["packs"] = str(folder)
    before, = start().init(rules)["plugins"][0]["reads"]
    assert before["path"] == str(folder) and before != read
    os.rename(folder / "test.yaml", folder / "tset.yaml")
    after, = start().init(rules)["plugins"][0]["reads"]
    assert after["digest"] != before["digest"]


def test_a_symbolic_link_is_refused(start, rules, folder):
    os.symlink("rules.so", folder / "link.so")
    rules["path"] = str(folder / "link.so")
    refused(start(), rules, "link.so", "symbolic link")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_a_plugin_of_another_user_is_refused(start, rules, folder):
    os.chown(rules["path"], 65534, 65534)
    refused(start(), rules, "rules.so", "uid 65534")
    os.chown(rules["path"], 0, 0)
    os.chown(folder, 65534, 65534)
    refused(start(), rules, "rules.so", "folder", "uid 65534")


def test_a_missing_plugin_and_a_relative_path_are_refused(start, folder):
    path = str(folder / "none.so")
    refused(start(), {"name": "x", "path": path}, path)
    refused(start(), {"name": "x", "path": "none.so"}, "none.so", "absolute")


BAD_PACKS = [
    ("category: violence", "category: weather", ":5:", "weather", "bomb"),
    ("score: 0.9", "score: 1.5", ":6:", "bomb"),
    ("direction: prompt", "direction: up", ":7:", "bomb"),
    ("words: [build a bomb]", "words: []", ":8:", "bomb", "empty"),
    ("words: [build a bomb]", "wordz: [x]", ":8:", "wordz"),
    ("words: [build a bomb]", "pattern: 'a('", ":8:", "bomb", "byte 2"),
    ("words: [build a bomb]", "pattern: 'a*'", ":8:", "bomb", "empty text"),
    ("words: [build a bomb]", "near: 5", "bomb", "expected one of"),
    ("name: key", "name: bomb", ":9:", "second rule"),
    ("name: bomb", "name: Bomb!", ":4:", "expected a name"),
    ("version: 1", "version: [", ":"),
    ("pack: test", "title: test", ":1:", "title"),
    ("version: 1", "version: one", ":2:", '"version": expected a number'),
    ("rules:", "rules: 7 #", "list of rules"),
]


@pytest.mark.parametrize("bad", BAD_PACKS, ids=lambda b: b[1])
def test_a_bad_pack_is_reported_with_line_and_rule(start, rules, folder, bad):
    old, new, *words = bad
    assert old in PACK
    text = PACK.replace(old, new)
    if new.startswith("rules: 7"):
        text = text.split("rules:")[0] + "rules: 7\n"
    (folder / "test.yaml").write_text(text)
    refused(start(), rules, "test.yaml:", *words)


def test_packs_come_from_files_and_folders(start, rules, folder):
    (folder / "sub").mkdir()
    (folder / "sub" / "b.yaml").write_text(
        PACK.replace("pack: test", "pack: b"))
    (folder / "sub" / "notes.txt").write_text("not a pack")
    both = [str(folder / "test.yaml"), str(folder / "sub")]
    for packs in both, ":".join(both):
        rules["options"] = {"packs": packs}
        assert start().init(rules)["plugins"][0]["rules"] == 4
    rules["options"] = {"packs": [both[0], both[0]]}
    refused(start(), rules, "test.yaml:", "second pack")


@pytest.mark.parametrize("rule, why", [
    ("words: [pl*n]", '"pl*n": a "*" may stand at the end only'),
    ("raw: true, words: ['a*b*']", '"a*b*": a "*" may stand at the end'),
    ("pattern: 'make{{object}}bombs?'", None),
    ("pattern: 'make {{object}}bombs?'", "a space beside {{object}}"),
    ("pattern: 'make{{object}} bombs?'", "a space beside {{object}}")])
def test_what_would_never_match_is_refused(start, rules, folder, rule, why):
    (folder / "test.yaml").write_text(
        "pack: t\nversion: 1\nrules:\n  - {name: n, category: violence, "
        "score: 1, %s}\n" % rule)
    if why is not None:
        refused(start(), rules, "test.yaml:4:", 'rule "n"', why)
        return
    f = start()
    f.init(rules)
    for text in "make bombs", "make some cheap bombs":
        assert f.check(text)["findings"], text


def test_a_pack_that_is_not_read_is_mentioned(start, rules, folder):
    rules["options"]["packs"] = str(folder)
    f = start()
    assert f.init(rules)["event"] == "ready"
    assert "is not read" not in f.end()[1]
    (folder / "local.yml").write_text(PACK)
    f = start()
    assert f.init(rules)["event"] == "ready"
    assert "%s is not read: the name of a pack ends in .yaml" % (
        folder / "local.yml") in f.end()[1]


def test_missing_packs_and_unknown_options_are_refused(start, rules, folder):
    rules["options"] = {}
    refused(start(), rules, "packs", "missing")
    rules["options"] = {"packs": str(folder / "none.yaml")}
    refused(start(), rules, "none.yaml")
    rules["options"] = {"packs": "test.yaml"}
    refused(start(), rules, "test.yaml", "absolute")
    rules["options"] = {"packs": str(folder / "test.yaml"), "pax": 1}
    refused(start(), rules, "pax")


def test_rules_find_only_the_categories_of_the_host(start, rules):
    refused(start(), rules, "weather", categories=["violence", "weather"])
    refused(start(), rules, "confidential", categories=["violence"])
    ready = start().init(rules, categories=["violence", "confidential"])
    assert ready["event"] == "ready"


def test_a_rule_that_meets_its_limit_gives_no_verdict(start, rules, folder):
    (folder / "test.yaml").write_text(
        "pack: slow\nrules:\n- {name: slow, category: hate, score: 1, "
        "pattern: '(?:a+)+[bc]'}\n")
    f = start()
    f.init(rules)
    answer = f.check("a" * 5000)
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert "slow/slow" in answer["message"] and "findings" not in answer
    assert f.check("aab")["findings"]      # and it continues


def test_a_good_zoo_plugin_shows_that_the_zoo_works(start, zoo):
    f = start()
    assert f.init(zoo(act="good"))["event"] == "ready"
    assert f.check("nothing")["findings"] == []
    (found,) = f.check("é XYZZY")["findings"]
    assert (found["start"], found["end"]) == (0, 8)
    assert f.end()[0] == 0


GARBAGE = ["bad-category", "null-category", "bad-span", "backward-span",
           "split-span", "bad-score", "nan-score", "short-finding",
           "no-rule", "bad-rule"]


@pytest.mark.parametrize("act", GARBAGE)
@pytest.mark.parametrize("direction", ["prompt", "reply"])
def test_garbage_ends_the_filter_naming_the_plugin(start, zoo, act,
                                                   direction):
    f = start()
    assert f.init(zoo(act=act))["event"] == "ready"
    answer = f.check("é XYZZY", direction=direction)
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert "zoo" in answer["message"] and answer["id"] == 1
    assert f.receive() is None
    status, err = f.end()
    assert status == 1 and "zoo" in err
    if act == "bad-category":
        assert '"weather"' in err


@pytest.mark.parametrize("act", GARBAGE + ["bad-unsettled",
                                           "split-unsettled"])
def test_garbage_about_a_piece_ends_the_filter(start, parts, act):
    f = start()
    assert f.init(parts(act=act))["event"] == "ready"
    answer = f.check("é XYZZY", direction="reply", final=False)
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert f.receive() is None
    status, err = f.end()
    assert status == 1 and "zoo" in err


def test_unsettled_text_outside_a_piece_ends_the_filter(start, zoo):
    f = start()
    f.init(zoo(act="bad-unsettled"))
    assert "outside part" in f.check("XYZZY")["message"]
    assert f.receive() is None


def test_a_window_above_the_maximum_is_refused(start, parts):
    refused(start(), parts(act="large-window"), "zoo", "65537", "65536")
    refused(start(), parts(act="early-report"), "zoo", "finding outside")


def test_an_orderly_failure_is_an_error_and_not_the_end(start, zoo):
    for act, why in ("fail", "out of ideas"), ("silent-fail", "no verdict"):
        f = start()
        f.init(zoo(act=act))
        answer = f.check("XYZZY")
        assert answer["event"] == "error" and why in answer["message"]
        assert f.check("nothing")["event"] == "done"


CRASHES = [
    ("crash", "SIGSEGV"), ("recurse", "SIGSEGV"), ("abort", "SIGABRT"),
]


def over_the_bound(answer, plugin):
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert "plugin %s: more than 4096 findings" % plugin in answer["message"]
    assert "findings" not in answer


@pytest.mark.parametrize("direction", ["prompt", "reply"])
def test_the_findings_of_all_plugins_have_one_bound(start, zoo, second,
                                                    direction):
    f = start()
    f.init(zoo(act="half-flood"), second(act="half-flood"))
    answer = f.check("XYZZY", direction=direction)
    assert answer["event"] == "done" and len(answer["findings"]) == 4096
    for plugins in [(zoo(act="half-flood"), second(act="above-half")),
                    (zoo(act="above-half"), second(act="half-flood"))]:
        f = start()
        f.init(*plugins)
        over_the_bound(f.check("XYZZY", id=1, direction=direction), "second")
        assert f.check("fine", id=2)["findings"] == []
        over_the_bound(f.check("XYZZY", id=3, direction=direction), "second")
        assert f.end()[0] == 0


def test_a_flood_of_findings_costs_its_check_only(start, zoo, second):
    f = start()
    f.init(zoo(act="flood"), second(act="good"))
    over_the_bound(f.check("XYZZY"), "zoo")
    assert f.check("fine")["event"] == "done"
    assert f.end()[0] == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has the last word")
def test_a_crash_in_a_piece_is_named(start, parts):
    f = start()
    f.init(parts(act="crash"))
    f.send(op="check", id=1, direction="reply", text="XYZZY")
    assert f.receive() is None
    assert "plugin zoo: crashed (SIGSEGV) in part" in f.end()[1]


@pytest.mark.parametrize("act,word", CRASHES)
def test_a_crash_ends_it_without_an_answer(start, zoo, act, word):
    f = start()
    assert f.init(zoo(act=act))["event"] == "ready"
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    assert f.receive() is None
    status, err = f.end()
    assert status != 0
    if not SANITIZED:
        assert "plugin zoo" in err and word in err and "in prompt" in err
        assert status == -getattr(signal, word)


def test_a_plugin_that_exits_gives_no_answer(start, zoo):
    f = start()
    f.init(zoo(act="exit"))
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    assert f.receive() is None


def test_an_endless_loop_gives_no_answer_and_can_be_killed(start, zoo):
    f = start()
    f.init(zoo(act="loop"))
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    f.send(op="ping", id=2)
    with pytest.raises(TimeoutError):
        f.receive(timeout=0.5)
    f.proc.kill()
    assert f.receive() is None


@pytest.mark.skipif(SANITIZED, reason="no memory limit under a sanitizer")
def test_a_leak_meets_the_memory_limit(start, zoo):
    f = start()
    f.init(zoo(act="leak"))
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    assert f.receive() is None
    assert f.end()[0] == -signal.SIGSEGV


# The system call at which each act is caught: its own call, one that the C
# library uses for it, or the blocking of signals before it.
HOSTILE = {
    "fork": "clone fork rt_sigprocmask", "exec": "execve",
    "system": "clone rt_sigprocmask rt_sigaction", "socket": "socket",
    "open": "open openat", "create": "open openat",
    "unlink": "unlink unlinkat",
    "thread": "clone rt_sigprocmask rt_sigaction mprotect mmap",
    "rwx": "mmap", "signal": "rt_sigaction",
    # tests/plugins/acts.c: other processes
    "prlimit": "prlimit64", "prlimit_self": "prlimit64",
    "prlimit_high": "prlimit64", "affinity": "sched_setaffinity",
    "ioprio": "ioprio_set", "priority": "setpriority",
    "scheduler": "sched_setscheduler", "schedattr": "sched_setattr",
    "setown": "fcntl", "setsig": "fcntl", "async": "fcntl",
    "nonblock": "fcntl", "vmread": "process_vm_readv",
    "vmwrite": "process_vm_writev", "ptrace": "ptrace", "kill": "kill",
    "kill_all": "kill", "kill_group": "kill", "tkill": "tkill",
    "tgkill": "tgkill", "sigqueue": "rt_sigqueueinfo", "pidfd": "pidfd_open",
    "pidfd_signal": "pidfd_send_signal", "pidfd_getfd": "pidfd_getfd",
    "kcmp": "kcmp", "setpgid": "setpgid", "setsid": "setsid",
    # the log and other files
    "truncate": "ftruncate", "fallocate": "fallocate", "pwrite": "pwrite64",
    "lseek": "lseek", "lseek_high": "lseek", "read_log": "read",
    "map_log": "mmap", "dup": "dup", "dup2": "dup3", "dupfd": "fcntl",
    "lock": "flock", "chmod": "fchmod", "chown": "fchown",
    "splice": "splice", "tee": "tee", "vmsplice": "vmsplice",
    "sendfile": "sendfile", "copy": "copy_file_range", "sync": "sync",
    "terminal": "ioctl", "unblocking": "ioctl", "write_other": "write",
    "write_high": "write", "mkdir": "mkdirat", "rename": "renameat2",
    "watch": "inotify_init1", "memfd": "memfd_create",
    # the sandbox itself
    "seccomp": "seccomp", "seccomp_strict": "seccomp",
    "seccomp_listen": "seccomp", "prctl_filter": "prctl",
    "dumpable": "prctl", "orphan": "prctl", "dispatch": "prctl",
    "landlock": "landlock_create_ruleset", "sigsys_high": "rt_sigaction",
    "block": "rt_sigprocmask", "unmap_list": "munmap",
    "open_list": "mprotect", "drop_list": "madvise", "over_list": "mmap",
    "move_list": "mremap",
    # the rest of the kernel
    "userfaultfd": "userfaultfd", "keyctl": "keyctl", "add_key": "add_key",
    "io_uring": "io_uring_setup", "aio": "io_setup", "mq": "mq_open",
    "shm": "shmget", "msg": "msgget", "sem": "semget", "bpf": "bpf",
    "perf": "perf_event_open", "unshare": "unshare", "setns": "setns",
    "mount": "mount", "chroot": "chroot", "setuid": "setuid",
    "capset": "capset", "personality": "personality", "timer": "setitimer",
    "timerfd": "timerfd_create", "pipe": "pipe2", "connect": "connect",
    "sendmsg": "sendmsg", "sendto": "sendto", "recvmsg": "recvmsg",
    "vhangup": "vhangup", "syslog": "syslog", "acct": "acct",
}


def killed(f, calls, where):
    """It died of the forbidden call, and reported it."""
    assert f.receive() is None
    status, err = f.end()
    assert status == -signal.SIGSYS, err
    if TSAN:        # that run-time delays signals, so nothing is reported
        return
    assert any("plugin zoo: made a forbidden system call: %s in %s\n" %
               (call, where) in err for call in calls.split()), err


@pytest.mark.parametrize("act", sorted(HOSTILE))
def test_a_hostile_check_is_killed_and_named(start, zoo, act):
    f = start()
    assert f.init(zoo(act=act))["event"] == "ready"
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    killed(f, HOSTILE[act], "prompt")


@pytest.mark.parametrize("act", sorted(set(HOSTILE) - {"open", "rwx"}))
@pytest.mark.parametrize("where", ["its constructor", "open"])
def test_a_hostile_start_is_killed_and_named(start, zoo, act, where):
    if where == "open":
        f, plugin = start(), zoo(open=act)
    else:
        f, plugin = start(env={"CHATD_TEST_CONSTRUCTOR": act}), zoo()
    f.send(op="init", plugins=[plugin])
    killed(f, HOSTILE[act], where)


@pytest.fixture
def victim():
    """A process of the same user, and a look at what others could change."""
    proc = subprocess.Popen(["sleep", "1000"])

    def look():
        ioprio = libc().syscall(SYS_IOPRIO_GET, 1, proc.pid)
        return {"prlimit": resource.prlimit(proc.pid, resource.RLIMIT_NOFILE),
                "affinity": os.sched_getaffinity(proc.pid),
                "ioprio": ioprio,
                "priority": os.getpriority(os.PRIO_PROCESS, proc.pid),
                "scheduler": os.sched_getscheduler(proc.pid)}

    yield proc, look
    proc.kill()
    proc.wait()


def libc():
    return ctypes.CDLL(None, use_errno=True)


SYS_IOPRIO_GET = {"x86_64": 252, "aarch64": 31}.get(os.uname().machine, -1)
AT_OTHERS = ["prlimit", "affinity", "ioprio", "priority", "scheduler"]


@pytest.mark.parametrize("act", AT_OTHERS)
@pytest.mark.parametrize("where", ["its constructor", "open", "prompt"])
def test_other_processes_are_left_alone(start, zoo, victim, act, where):
    proc, look = victim
    before = look()
    env = {"CHATD_TEST_TARGET": str(proc.pid)}
    if where == "its constructor":
        env["CHATD_TEST_CONSTRUCTOR"] = act
    f = start(env=env)
    f.send(op="init", plugins=[zoo(**{"open": act} if where == "open" else
                                   {"act": act})])
    if where == "prompt":
        assert f.receive()["event"] == "ready"
        f.send(op="check", id=1, direction="prompt", text="XYZZY")
    killed(f, HOSTILE[act], where)
    assert look() == before


@pytest.mark.parametrize("act", AT_OTHERS)
def test_without_a_sandbox_the_acts_would_work(start, zoo, victim, act):
    proc, look = victim
    if act == "affinity" and len(os.sched_getaffinity(0)) < 2 or \
            act == "ioprio" and SYS_IOPRIO_GET == -1:
        pytest.skip("nothing to change here")
    before = look()
    f = start(env={"CHATD_TEST_TARGET": str(proc.pid)})
    f.init(zoo(act=act), sandbox=False)
    assert f.check("XYZZY")["event"] == "done"
    assert look()[act] != before[act]


AT_THE_LOG = ["truncate", "fallocate", "pwrite", "lseek", "lseek_high",
              "map_log", "dup", "dupfd", "copy", "chmod", "nonblock"]


@pytest.mark.parametrize("act", AT_THE_LOG)
@pytest.mark.parametrize("where", ["its constructor", "open", "prompt"])
def test_a_plugin_cannot_change_the_log(zoo, tmp_path, act, where):
    log = tmp_path / "log"
    log.write_text("what was there before\n")
    log.chmod(0o640)
    env = dict(os.environ)
    if where == "its constructor":
        env["CHATD_TEST_CONSTRUCTOR"] = act
    plugin = zoo(**{"open": act} if where == "open" else {"act": act})
    with open(log, "r+") as err:
        err.seek(0, os.SEEK_END)
        r = subprocess.run([PROGRAM], stderr=err, stdout=subprocess.PIPE,
                           env=env, timeout=TIMEOUT, text=True, check=False,
                           input='{"op":"init","plugins":[%s]}\n{"op":"check",'
                           '"id":1,"direction":"prompt","text":"XYZZY"}\n' %
                           json.dumps(plugin))
        assert r.returncode == -signal.SIGSYS
        assert fcntl.fcntl(err, fcntl.F_GETFL) & os.O_NONBLOCK == 0
    text = log.read_text()
    assert text.startswith("what was there before\n")
    assert log.stat().st_mode & 0o777 == 0o640
    if not TSAN:
        assert text.count("\n") == 2
        assert "plugin zoo: made a forbidden system call: %s in %s\n" % (
            HOSTILE[act], where) in text


# Runs a program below a filter that answers seccomp with 0 and does nothing,
# if it is called with a list at a usual address (the first) or at a very
# low one (the second).
FAKE = """\
import ctypes, os, struct, sys
def ins(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
LD, JEQ, JGE, RET = 0x20, 0x15, 0x35, 0x06
fake = [ins(RET, 0, 0, 0x50000), ins(RET, 0, 0, 0x7fff0000)]
if sys.argv[1] == "first":
    code = [ins(LD, 0, 0, 0), ins(JEQ, 0, 3, %(seccomp)d),
            ins(LD, 0, 0, 36), ins(JEQ, 1, 0, 0)]
else:
    code = [ins(LD, 0, 0, 0), ins(JEQ, 0, 6, %(seccomp)d),
            ins(LD, 0, 0, 36), ins(JEQ, 0, 4, 0),
            ins(LD, 0, 0, 32), ins(JGE, 2, 0, 0x200000),
            ins(JGE, 0, 1, 0x1000)]
code = b"".join(code + fake)
buf = ctypes.create_string_buffer(code, len(code))
prog = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.syscall(%(seccomp)d, 1, 0, prog) == 0
os.execv(sys.argv[2], sys.argv[2:])
""" % {"seccomp": 277 if os.uname().machine == "aarch64" else 317}


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"),
                    reason="the numbers of the system calls are not known")
@pytest.mark.parametrize("which", ["first", "second"])
def test_a_list_that_is_not_in_force_is_noticed(rules, which):
    r = subprocess.run(
        [sys.executable, "-c", FAKE, which, PROGRAM], text=True,
        input=json.dumps({"op": "init", "plugins": [rules]}) + "\n",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT,
        check=False)
    answer = json.loads(r.stdout)
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert "the %s list was taken but is not in force" % which in \
        answer["message"]
    assert r.returncode == 1


def test_a_verdict_can_be_forged_inside_one_process(start, zoo):
    # Why a plugin from elsewhere has a process of its own.
    f = start()
    f.init(zoo(act="forge"))
    assert f.check("XYZZY", id=7) == {"event": "done", "id": 1,
                                      "findings": []}
    assert f.receive()["id"] == 7


def namespaces():
    """May a process here have a namespace of process numbers?"""
    if TSAN:
        return False
    how = ["--pid"] if os.geteuid() == 0 else ["--user", "--pid"]
    return shutil.which("unshare") is not None and subprocess.run(
        ["unshare", "--fork", *how, "true"], stderr=subprocess.DEVNULL,
        check=False).returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no namespaces of processes")
def test_plugins_run_in_a_namespace_of_their_own(start, rules):
    f = start()
    f.init(rules)
    assert inner(f) != f.proc.pid
    assert status_of(inner(f))["NSpid"].split()[-1] == "1"
    if os.geteuid() != 0:
        return          # the rest can't be looked at
    for kind in "pid", "ipc":
        assert os.readlink("/proc/%d/ns/%s" % (inner(f), kind)) != \
            os.readlink("/proc/self/ns/%s" % kind)
    # The process that waits outside closes the channel, in its own time.
    end = time.monotonic() + TIMEOUT
    while any(os.path.exists("/proc/%d/fd/%d" % (f.proc.pid, fd))
              for fd in (0, 1)):
        assert time.monotonic() < end
        time.sleep(0.01)


# Runs a program below a filter that refuses new namespaces, as units of
# systemd with RestrictNamespaces= do.
NO_NAMESPACES = """\
import ctypes, os, struct, sys
def ins(code, jt, jf, k):
    return struct.pack("HBBI", code, jt, jf, k)
code = b"".join([ins(0x20, 0, 0, 0), ins(0x15, 0, 3, %d),
                 ins(0x20, 0, 0, 16), ins(0x45, 0, 1, 0x7e020000),
                 ins(0x06, 0, 0, 0x50001), ins(0x06, 0, 0, 0x7fff0000)])
buf = ctypes.create_string_buffer(code, len(code))
prog = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(buf))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, prog) == 0
os.execv(sys.argv[1], sys.argv[1:])
""" % {"x86_64": 56, "aarch64": 220}.get(os.uname().machine, -1)


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"),
                    reason="the numbers of the system calls are not known")
def test_it_continues_if_namespaces_are_not_allowed(start, rules, zoo):
    for plugin in rules, zoo(act="prlimit"):
        f = start(program=[sys.executable, "-c", NO_NAMESPACES, PROGRAM])
        assert f.init(plugin)["event"] == "ready"
        assert inner(f) == f.proc.pid
        if plugin is rules:
            assert len(f.check("build a bomb")["findings"]) == 1
            assert f.end()[0] == 0
    f.send(op="check", id=1, direction="prompt", text="XYZZY")
    killed(f, HOSTILE["prlimit"], "prompt")


def gone(pid):
    end = time.monotonic() + TIMEOUT
    while os.path.exists("/proc/%d" % pid) and \
            status_of(pid)["State"][0] != "Z":
        assert time.monotonic() < end
        time.sleep(0.001)
    return True


@pytest.mark.skipif(not namespaces(), reason="no namespaces of processes")
@pytest.mark.parametrize("act", ["good", "loop"])
def test_killing_the_outer_process_kills_the_inner_one(start, zoo, act):
    f = start()
    f.init(zoo(act=act))
    if act == "loop":
        f.send(op="check", id=1, direction="prompt", text="XYZZY")
    pid = inner(f)
    f.proc.kill()
    assert f.receive() is None
    assert gone(pid)


@pytest.mark.skipif(not namespaces(), reason="no namespaces of processes")
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGBUS])
def test_the_end_of_the_inner_process_is_reported(start, rules, sig):
    if SANITIZED and sig != signal.SIGKILL:
        pytest.skip("the run-time has a handler of its own")
    f = start()
    f.init(rules)
    os.kill(inner(f), sig)
    assert f.receive() is None
    assert f.end()[0] == -sig


def landlock():
    """Does this kernel have Landlock? Ask as the filter does."""
    return libc().syscall(444, None, 0, 1) > 0


@pytest.mark.skipif(not landlock(), reason="this kernel has no Landlock")
def test_files_outside_are_closed_to_a_plugin_that_opens(start, rules,
                                                         folder):
    # An option that doesn't name the folder doesn't open it either: the
    # pack is reached through a link that leads outside.
    other = folder / "other"
    other.mkdir()
    (other / "p.yaml").write_text(PACK)
    (folder / "packs").mkdir()
    os.symlink(other / "p.yaml", folder / "packs" / "p.yaml")
    lib = folder / "lib"
    lib.mkdir()
    os.chmod(lib, 0o755)
    rules["path"] = copy(lib, ".libs/rules.so", "rules.so")
    rules["options"] = {"packs": str(folder / "packs")}
    refused(start(), rules, "p.yaml", "Permission denied")
    rules["options"] = {"packs": [str(folder / "packs"), str(other)]}
    refused(start(), rules, "p.yaml", "second pack")


def test_the_sandbox_can_be_switched_off_with_a_warning(start, zoo):
    f = start()
    assert f.init(zoo(act="open"), sandbox=False)["event"] == "ready"
    assert f.check("XYZZY")["event"] == "done"      # nothing stops it
    status, err = f.end()
    assert status == 0 and "the sandbox is off" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another")
def test_it_works_for_an_unprivileged_user(rules, folder, start, tmp_path):
    for parent in [folder, *folder.parents]:
        if os.stat(parent).st_mode & 0o005 != 0o005:
            if parent.stat().st_uid != os.geteuid() or parent == \
                    parent.parent:
                pytest.skip("%s is closed to others" % parent)
            os.chmod(parent, parent.stat().st_mode & 0o7777 | 0o055)
    if subprocess.run(["test", "-x", PROGRAM], user=65534,
                      extra_groups=[]).returncode != 0:
        pytest.skip("the build folder is closed to others")
    f = start(user=65534)
    assert f.init(rules)["event"] == "ready"
    assert len(f.check("build a bomb")["findings"]) == 1
    assert f.end()[0] == 0


def inner(f):
    """The process that has the plugins: of a namespace of its own, if that
    is allowed here."""
    path = "/proc/%d/task/%d/children" % (f.proc.pid, f.proc.pid)
    with open(path) as children:
        return int((children.read().split() or [f.proc.pid])[0])


def status_of(pid):
    with open("/proc/%d/status" % pid) as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status)


def test_limits_are_on_while_it_serves(start, rules):
    f = start()
    f.init(rules)
    with open("/proc/%d/limits" % inner(f)) as limits:
        text = limits.read()
    with open("/proc/%d/status" % inner(f)) as status:
        state = status.read()
    assert [w for w in text.split("\n") if "core file" in w][0].split()[4:6] \
        == ["0", "0"]
    if not SANITIZED:
        line = [w for w in text.split("\n") if "address space" in w][0]
        assert line.split()[3] == str(1 << 30)
    assert "NoNewPrivs:\t1" in state
    assert "Seccomp:\t2" in state
    assert "Seccomp_filters" not in state or "Seccomp_filters:\t2" in state
    assert "CapEff:\t0000000000000000" in state


def test_nothing_of_a_text_reaches_the_log(start, rules):
    f = start()
    f.init(rules)
    f.check("build a bomb marker-4711")
    f.raw(b'{"op":"check","id":2,"direction":"prompt","text":"marker-4711"')
    f.raw(b"\n")
    f.receive()
    assert "marker-4711" not in f.end()[1]


def told(answer):
    """What the plugin was told about the piece: a dict."""
    (rule,) = {x["rule"] for x in answer["findings"]
               if x["category"] == "illegal"}
    return {k: float(v) for k, v in
            (word.split("=") for word in rule.split())}


def test_a_plugin_keeps_a_state_of_each_text(start, parts):
    f = start()
    f.init(parts(act="tell"))
    texts = {1: "one two three four", 2: "eins zwei drei vier"}
    for end in 3, 7, 18:
        for id, text in texts.items():
            judged = {3: 0, 7: 3, 18: 7}[end]
            got = told(f.check(text[:end], fresh=judged, text_id=id,
                               final=False))
            assert (got["sum"], got["fresh"]) == (end, judged)
    # The final piece ends it: the same number is then another text.
    assert told(f.check(texts[1], fresh=18, text_id=1))["sum"] == 18
    assert told(f.check(texts[1][:3], text_id=1, final=False))["sum"] == 3
    # So does an order to end.
    f.send(op="end", id=5, text_id=2)
    assert f.receive()["event"] == "done"
    assert told(f.check("x", text_id=2, final=False))["sum"] == 1
    # Without a number a check is a text by itself.
    assert told(f.check("four", fresh=2, final=False))["sum"] == 2
    assert told(f.check("four", fresh=2, final=False))["sum"] == 2
    assert f.end()[0] == 0


@pytest.mark.parametrize("more,field", [
    ({"fresh": 2}, "fresh"),                    # 3 are judged
    ({"fresh": 3, "text_id": 8}, "text_id"),    # never begun
    ({"fresh": 3, "text_id": 0}, "text_id"),
    ({"fresh": 3, "account": -1}, "account"),
    ({"fresh": 3, "again": 1}, "again"),
    ({"fresh": 3, "now": "1"}, "now"),
])
def test_a_piece_must_continue_its_text(start, parts, more, field):
    f = start()
    f.init(parts(act="good"))
    f.check("one", text_id=7, final=False)
    answer = f.check("one two", **{"text_id": 7, **more})
    assert (answer["code"], answer["field"]) == ("bad_field", field)
    assert f.check("one two", text_id=7, fresh=3)["event"] == "done"


def test_a_text_with_a_state_needs_its_beginning(start, parts):
    f = start()
    f.init(parts(act="good"))
    answer = f.check("0123456789abc", offset=4, fresh=10)
    assert (answer["code"], answer["field"]) == ("filter_unavailable",
                                                 "text_id")


def test_account_and_time_reach_the_plugin(start, parts):
    f = start()
    f.init(parts(act="tell"))
    got = told(f.check("x", text_id=1, account=7, now=1234, final=False))
    assert (got["account"], got["now"]) == (7, 1234)
    before = time.monotonic() * 1000
    got = told(f.check("x"))
    assert got["account"] == 0
    assert before - 1 <= got["now"] <= time.monotonic() * 1000 + 1


def test_a_later_plugin_knows_the_scores_before_it(start, parts, tier):
    f = start()
    f.init(parts(act="good"), tier(act="tell"))
    got = told(f.check("harmless", text_id=1, final=False))
    assert (got["score"], got["hate"]) == (0, 0)
    got = told(f.check("harmless XYZZY", fresh=8, text_id=1, final=False))
    assert (got["score"], got["hate"]) == (0.5, 0.5)
    # They stay for the rest of the text, and of this text only.
    got = told(f.check("harmless XYZZY and", fresh=14, text_id=1,
                       final=False))
    assert (got["score"], got["hate"]) == (0.5, 0.5)
    assert told(f.check("harmless", text_id=2))["score"] == 0
    # The other way round it knows nothing.
    f = start()
    f.init(tier(act="tell"), parts(act="good"))
    assert told(f.check("XYZZY"))["score"] == 0


TIERS = """\
pack: tiers
version: 1
rules:
  - {name: a, category: hate, score: 0.5, words: [perhaps]}
  - {name: b, category: hate, score: 0.95, words: [surely bad]}
"""


@pytest.fixture
def tiers(rules, folder):
    """Rules that are unsure, or sure."""
    (folder / "tiers.yaml").write_text(TIERS)
    return dict(rules, options={"packs": str(folder / "tiers.yaml")})


def of_tier(f, ident, *pieces):
    """The findings about a text in pieces, but of rules: dicts of what the
    plugin was told, and the places in the text."""
    found, at = [], 0
    for i, piece in enumerate(pieces):
        answer = f.check(piece, offset=at, text_id=ident,
                         final=i == len(pieces) - 1, direction="reply")
        assert answer["event"] == "done", answer
        for x in answer["findings"]:
            if x["plugin"] == "rules":
                continue
            x["start"] += at
            x["end"] += at
            x["rule"] = re.sub(" (account|now|begun)=.*", "", x["rule"])
            found.append(x)
        at += len(piece.encode())
    return found


def test_a_plugin_in_a_band_is_asked_only_then(start, tiers, tier):
    f = start()
    f.init(tiers, tier(act="tell", band="0.4 0.6"))
    assert of_tier(f, 1, "harmless " * 20, "and more") == []
    # It is asked from the step on in which the unsure word ends, and gets
    # what came before.
    got = of_tier(f, 2, "harmless " * 5 + "perhaps so " + "and on " * 8)
    assert [x["end"] for x in got] == [64, 96, 112]
    assert [(x["rule"].split()[0], x["start"]) for x in got] == [
        ("sum=64", 0), ("sum=96", 54), ("sum=112", 86)]
    assert "fresh=0 missed=0 score=0.50 hate=0.50" in got[0]["rule"]
    # When the others are sure it is not asked any more.
    got = of_tier(f, 3, "perhaps this " + "and on " * 8 + "is surely bad "
                  + "and on " * 8)
    assert [x["end"] for x in got] == [32, 64]
    # What stood long before is missed, and so it is told.
    (first, *_) = of_tier(f, 4, "0123456 " * 1000 + "perhaps " * 4)
    assert first["end"] - first["start"] == 4096 + 10
    assert "fresh=0 missed=%d " % first["start"] in first["rule"]
    for band in "0.6 1", "0 0.4":
        f = start()
        f.init(tiers, tier(act="tell", band=band))
        assert of_tier(f, 1, "perhaps") == []
        assert bool(of_tier(f, 2, "x")) == (band == "0 0.4")


@pytest.mark.parametrize("band", ["0.4 0.6", "0 0.6", "0.4 1"])
def test_what_a_plugin_in_a_band_is_told_depends_on_the_text_only(
        start, tiers, tier, band):
    f = start()
    f.init(tiers, tier(act="tell", band=band))
    draw = random.Random(5)
    words = ["and", "so on", "perhaps", "surely", "bad", "surely bad",
             "\u00e9t\u00e9", "...", "\U0001f600", "\n"] + ["harmless"] * 9
    ident = 0
    for _ in range(30):
        text = " ".join(draw.choice(words)
                        for _ in range(draw.randrange(1, 120)))
        want = of_tier(f, ident + 1, text)
        for most in (1, 7, 200):
            pieces = []
            while sum(map(len, pieces)) < len(text):
                at = sum(map(len, pieces))
                pieces.append(text[at:at + draw.randint(1, most)])
            if draw.random() < 0.5:
                pieces.append("")       # its end is known late
            ident += 2
            assert of_tier(f, ident, *pieces) == want, (text, pieces)


def test_a_finding_carries_what_spoke_for_it(start, parts):
    f = start()
    f.init(parts(act="good-detail"))
    (found,) = f.check("a XYZZY")["findings"]
    assert found["detail"] == [{"name": "XYZZY", "weight": 1.5, "start": 0,
                                "end": 7}]
    assert "proven" not in found


def test_a_later_plugin_lowers_findings_that_are_not_proven(
        start, parts, tier):
    for act, lower, score in (("good", "lower", 0.1),
                              ("good", "lower-hate", 0.1),
                              ("proven-good", "lower", 0.5)):
        f = start()
        f.init(parts(act=act), tier(act=lower))
        answer = f.check("a XYZZY")
        (found,) = answer["findings"]
        assert found["score"] == score
        assert found.get("proven", False) == (act == "proven-good")
        assert answer["lowered"] == [{
            "plugin": "tier", "score": 0.1, "start": 0, "end": 7,
            **({"category": "hate"} if "hate" in lower else {})}]
    # Nobody lowers what comes after it.
    f = start()
    f.init(tier(act="lower"), parts(act="good"))
    assert f.check("a XYZZY")["findings"][0]["score"] == 0.5


BROKEN_1_2 = ["bad-detail", "empty-detail", "nan-detail", "span-detail",
              "null-detail", "many-detail", "lower-category", "lower-score",
              "lower-span", "lower-short", "late-band"]


@pytest.mark.parametrize("act", BROKEN_1_2)
def test_a_broken_rule_of_1_2_ends_the_process(start, parts, act):
    f = start()
    f.init(parts(act=act))
    answer = f.check("\u00e9 XYZZY")
    assert (answer["event"], answer["code"]) == ("error",
                                                 "filter_unavailable")
    assert "plugin zoo" in answer["message"]
    assert f.receive() is None
    assert f.end()[0] == 1


def test_a_bad_band_is_refused(start, parts):
    refused(start(), parts(act="good", open="bad-band"), "zoo", "band",
            "1 to 0")
    refused(start(), parts(act="good", band="0.5 nan"), "zoo", "band")


@pytest.mark.parametrize("call,act,words", [
    ("selftest", "fail", ["self-test", "out of ideas"]),
    ("selftest", "silent-fail", ["self-test", "no reason given"]),
    ("selftest", "good", ["outside prompt"]),
])
def test_a_failed_selftest_refuses_the_start(start, parts, call, act, words):
    refused(start(), parts(act="good", **{call: act}), "zoo", *words)


@pytest.mark.parametrize("call", ["begin", "end", "selftest", "save",
                                  "restore"])
@pytest.mark.parametrize("act", ["crash", "abort", "leak", "exit", "open",
                                 "fork", "socket"])
def test_a_crash_in_a_call_of_1_2_is_named(start, parts, call, act):
    if SANITIZED and act == "leak":
        pytest.skip("a sanitizer has no limit of address space")
    f = start()
    plugin = parts(act="good", **{call: act})
    if call == "restore":
        plugin["saved"] = "0100000000000000"
    f.init(plugin) if call in ("save", "restore", "selftest") else \
        f.send(op="init", plugins=[plugin])
    f.send(op="check", id=1, direction="prompt", text="x", text_id=1)
    f.send(op="save", id=2)
    while f.receive() is not None:
        pass
    status, err = f.end()
    if act == "exit":
        assert status == 0
    else:
        assert status != 0
    if act in ("crash", "abort") and not SANITIZED:
        name = call if call not in ("begin", "end") else "text_" + call
        assert "zoo: %s" % {"crash": "crashed", "abort": "aborted"}[act] \
            in err and "in %s" % name in err


def test_a_failed_text_begin_costs_only_its_text(start, parts):
    f = start()
    # The start judges a text as well, so it must fail later.
    answer = f.init(parts(act="good", begin="fail"))
    assert answer["event"] == "error" and "out of ideas" in answer["message"]


def test_a_hung_start_is_ended_and_named(start, parts):
    f = start()
    f.send(op="init", plugins=[parts(act="good", selftest="loop")])
    answer = f.receive(timeout=60)
    assert answer["event"] == "error"
    for word in "zoo", "selftest", "25 s":
        assert word in answer["message"]
    assert f.receive() is None
    assert f.end()[0] == 1


def test_a_saved_state_goes_to_the_next_process(start, parts):
    f = start()
    plugin = parts(act="tell")
    assert f.init(plugin)["plugins"][0]["keeps"]
    begun = told(f.check("x"))["begun"]
    f.send(op="save", id=2)
    saved = f.receive()["saved"]["zoo"]
    assert saved == "%02x00000000000000" % int(begun)
    f = start()
    f.init({**plugin, "saved": saved})
    # Two texts at the start, and this one; one that is judged again.
    assert told(f.check("x", again=True))["begun"] == begun + 2


def test_a_state_that_does_not_fit_is_reported_and_dropped(start, parts):
    f = start()
    assert f.init({**parts(act="good"), "saved": "01"})["event"] == "ready"
    assert f.check("XYZZY")["findings"]
    assert "not of this plugin" in f.end()[1]
    for saved in "0", "0g", "AB":
        f = start()
        answer = f.init({**parts(act="good"), "saved": saved})
        assert (answer["code"], answer["field"]) == ("bad_field", "saved")


def test_a_blob_has_a_limit(start, parts):
    f = start()
    f.init(parts(act="good", save="full-size"))
    f.send(op="save", id=2)
    assert f.receive()["saved"]["zoo"] == "a5" * 65536
    f = start()
    f.init(parts(act="good", save="too-large"))
    f.send(op="save", id=2)
    answer = f.receive()
    assert answer["event"] == "error" and "65537" in answer["message"]
    assert f.receive() is None


def test_ready_has_the_digest_of_the_file(start, parts):
    plugin = parts(act="good")
    with open(plugin["path"], "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    assert start().init(plugin)["plugins"][0]["digest"] == digest


def test_the_last_check_says_how_long_each_plugin_took(start, parts, tier,
                                                       rules):
    f = start()
    f.init(rules, parts(act="good"), tier(act="good", band="0.99 1"))
    assert "ns" not in f.check("how to", text_id=1, final=False)
    assert set(f.check("", offset=6, text_id=1)["ns"]) == {"rules", "zoo"}
    ns = f.check("build a bomb")["ns"]
    assert set(ns) == {"rules", "zoo"}
    assert all(0 < n < 1e9 for n in ns.values())


@pytest.fixture
def sample(folder):
    """The plugin of chatd-filter(3), built from the text of the page."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    with open(os.path.join(SRC, "man", "chatd-filter.3")) as page:
        text = page.read().split(".Sh EXAMPLES")[1]
    source = folder / "sample.c"
    source.write_text(text.split(".Bd -literal\n")[1].split(".Ed\n")[0])
    path = str(folder / "sample.so")
    subprocess.run(["cc", "-I", os.path.join(SRC, "plugins"), "-shared",
                    "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", path, str(source)],
                   check=True)
    os.chmod(path, 0o755)
    return {"name": "sample", "path": path, "options": {"word": "xyzzy"}}


def test_the_sample_is_the_plugin_of_the_page(sample, folder):
    with open(os.path.join(SRC, "plugins", "sample", "sample.c")) as f:
        assert f.read() == (folder / "sample.c").read_text()


def test_the_sample_finds_words_and_counts_them(start, sample):
    f = start()
    assert f.init(sample)["plugins"][0]["window"] == 4
    found = f.check("xyzzy say xyzzy")["findings"]
    assert [(x["start"], x["end"], round(x["score"], 6))
            for x in found] == [(0, 5, 0.5), (10, 15, 0.666667)]
    assert found[1]["detail"] == [{"name": "xyzzy", "weight": 2.0,
                                   "start": 10, "end": 15}]


def test_the_sample_finds_the_same_however_the_text_is_cut(start, sample):
    f = start()
    f.init(sample)
    text = "xyxyzzy\u00e9xyzzyxyzzy xyz xyzz xyzzy"
    whole = [(x["start"], x["score"]) for x in f.check(text)["findings"]]
    assert len(whole) == 4
    data = text.encode()
    for size in range(1, 9):
        ends = [n for n in range(size, len(data), size)
                if data[n] & 0xc0 != 0x80] + [len(data)]
        judged, found = 0, []
        for end in ends:
            offset = max(0, judged - 4)
            while data[offset] & 0xc0 == 0x80:
                offset -= 1
            answer = f.check(data[offset:end].decode(), offset=offset,
                             fresh=judged - offset, text_id=size,
                             final=end == len(data))
            found += [(x["start"] + offset, x["score"])
                      for x in answer["findings"]]
            # What is settled holds no part of a word to come.
            for start_, _ in whole:
                if start_ < end < start_ + 5:
                    assert offset + answer["settled"] <= start_
            judged = end
        assert found == whole, size


@pytest.mark.parametrize("options", [
    {}, {"word": ""}, {"word": "x" * 33}, {"words": "x"},
    {"word": "x", "more": "y"}])
def test_the_sample_refuses_other_options(start, sample, options):
    refused(start(), {**sample, "options": options}, "sample", "word",
            *[key for key in options if key != "word"])
