# SPDX-License-Identifier: Apache-2.0
"""Texts through the filters: chatd-filter over a pipe, or a running chatd.

Also the part of chatd.yaml that says which plugins there are and from which
score on a finding flags, redacts or blocks a text.
"""
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

SRC = pathlib.Path(__file__).resolve().parents[2]
DIRECTIONS = "prompt", "reply"
ACTIONS = "allow", "flag", "redact", "block"
# What makes a plugin tell also scores below those that the policy uses.
RAW = {"classifier": {"min_score": "0"}, "encoder": {"min_score": "0"},
       "injection": {"min_score": "0"}}


class Trouble(Exception):
    """What the user is told in one line."""


# ---- the configuration

def scalar(text):
    """A scalar as a string, without quotes."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def value(text, where):
    """A value on one line: {key: scalar, ...} or a scalar."""
    text = text.strip()
    if not text.startswith("{"):
        return scalar(text)
    if not text.endswith("}"):
        raise Trouble("%s: a map in braces must end on its line, found %.60r"
                      % (where, text))
    out = {}
    for item in filter(None, map(str.strip, text[1:-1].split(","))):
        key, colon, rest = item.partition(":")
        if not colon:
            raise Trouble("%s: expected KEY: VALUE in braces, found %.60r"
                          % (where, item))
        out[scalar(key)] = scalar(rest)
    return out


def block(lines, at, indent, name):
    """The map or list whose lines have this indent; the line after it."""
    out = [] if lines[at][1].startswith("- ") else {}
    while at < len(lines) and lines[at][0] == indent:
        number, text = lines[at][2], lines[at][1]
        where = "%s:%d" % (name, number)
        if text.startswith("- ") != isinstance(out, list):
            raise Trouble("%s: a list and a map at the same indent" % where)
        if isinstance(out, list):
            inner = indent + 2
            lines[at] = (inner, text[2:].lstrip(), number)
            item, at = block(lines, at, inner, name)
            out.append(item)
            continue
        found = re.fullmatch(r"""("[^"]*"|'[^']*'|[^:]*):(.*)""", text)
        if not found:
            raise Trouble("%s: expected KEY: VALUE, found %.60r"
                          % (where, text))
        key, rest = found.groups()
        at += 1
        if rest.strip():
            out[scalar(key)] = value(rest, where)
        elif at < len(lines) and lines[at][0] > indent:
            out[scalar(key)], at = block(lines, at, lines[at][0], name)
        else:
            out[scalar(key)] = None
    if at < len(lines) and lines[at][0] > indent:
        raise Trouble("%s:%d: indented too far" % (name, lines[at][2]))
    return out, at


def read_yaml(path):
    """Maps, lists and scalars by indentation, as chatd.yaml has them."""
    lines = []
    for number, line in enumerate(
            pathlib.Path(path).read_text(encoding="utf-8").split("\n"), 1):
        line = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if line:
            text = line.lstrip(" ")
            lines.append((len(line) - len(text), text, number))
    return block(lines, 0, lines[0][0], str(path))[0] if lines else {}


class Config:
    """The plugins and the policy of chatd.yaml(5)."""

    def __init__(self, path, build):
        build = pathlib.Path(build).resolve()
        places = {"@plugindir@": str(build / ".libs"),
                  "@rulesdir@": str(SRC / "etc/rules")}
        self.path, self.plugins = str(path), []
        self.levels = {}
        config = read_yaml(path)
        for p in config.get("filters") or []:
            if not isinstance(p, dict) or "name" not in p:
                raise Trouble("%s: filters: a plugin without name" % path)
            where = p.get("path") or "@plugindir@/%s.so" % p["name"]
            options = {}
            for key, text in (p.get("options") or {}).items():
                options[key] = place(text, places)
            self.plugins.append({"name": p["name"],
                                 "path": place(where, places),
                                 "options": options})
        policy = config.get("policy") or {}
        for d in DIRECTIONS:
            self.levels[d] = self.read_levels(d, policy.get(d) or {})
            self.levels[d].setdefault("default", {"flag": 0.5, "block": 0.8})
        self.first = [(name, {d: self.read_levels(d, (given or {}).get(d)
                                                  or {})
                              for d in DIRECTIONS})
                      for name, given in (policy.get("plugins")
                                          or {}).items()]

    def read_levels(self, d, given):
        """The levels that are given, by category."""
        out = {}
        for category, at in given.items():
            bad = not isinstance(at, dict) or set(at) - set(ACTIONS[1:])
            try:
                out[category] = {k: float(v) for k, v in at.items()}
            except (ValueError, AttributeError):
                bad = True
            if bad:
                raise Trouble("%s: policy.%s.%s: expected numbers for flag, "
                              "redact and block, found %s" % (
                                  self.path, d, category, at))
        return out

    def level(self, direction, category, action):
        """The lowest score for the action, or infinity."""
        levels = self.levels[direction]
        at = levels.get(category, levels["default"])
        return at.get(action, float("inf"))

    def levels_of(self, direction, finding):
        """The levels that count for a finding, as policy.plugins says."""
        for name, levels in self.first:
            at = levels[direction].get(finding["category"],
                                       levels[direction].get("default"))
            if at is not None and (finding["rule"].startswith(name)
                                   if ":" in name or "/" in name
                                   else finding["plugin"] == name):
                return at
        levels = self.levels[direction]
        return levels.get(finding["category"], levels["default"])

    def action(self, direction, findings):
        """The strongest action that findings lead to."""
        best = 0
        for f in findings:
            at = self.levels_of(direction, f)
            for i in range(3, best, -1):
                if f["score"] >= at.get(ACTIONS[i], float("inf")):
                    best = i
                    break
        return ACTIONS[best]


def place(text, places):
    """A path of the configuration: what is installed is looked up in the
    build folder or, for a file of a plugin, in the plugin's folder."""
    for word, path in places.items():
        text = text.replace(word, path)
    if text.startswith("@pkgdatadir@/"):
        name = text.partition("/")[2]
        found = sorted(SRC.glob("plugins/*/" + name))
        if not found:
            raise Trouble("%s: no such file in plugins/*/" % name)
        text = str(found[0])
    return text


# ---- chatd-filter

class Answer:
    """What the filters say about a text: the findings, the nanoseconds by
    plugin, and the action, if it was not this program that chose it."""
    __slots__ = "findings", "ns", "action"

    def __init__(self, findings, ns, action=None):
        self.findings, self.ns, self.action = findings, ns, action


class Filter:
    """One chatd-filter with these plugins. core: the only processor that it
    may use, or None."""

    def __init__(self, program, plugins, core=None):
        self.proc = subprocess.Popen(
            [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=None if core is None else
            lambda: os.sched_setaffinity(0, {core}))
        self.send({"op": "init", "plugins": plugins})
        self.proc.stdin.flush()
        ready = self.event()
        if ready.get("event") != "ready":
            self.close()
            raise Trouble("%s: %s" % (program, ready.get(
                "message", "expected ready, found %.80r" % ready)))
        self.plugins = ready["plugins"]

    def send(self, message):
        self.proc.stdin.write(json.dumps(message).encode() + b"\n")

    def event(self):
        line = self.proc.stdout.readline()
        return json.loads(line) if line else {
            "event": "error", "message": "the process has ended"}

    def answers(self, checks):
        """The answers to (text, direction) pairs, in their order."""
        def feed():
            try:
                for i, (text, direction) in enumerate(checks):
                    self.send({"op": "check", "id": i, "text": text,
                               "direction": direction})
                self.proc.stdin.flush()
            except BrokenPipeError:
                pass            # the reader reports it
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            for i in range(len(checks)):
                e = self.event()
                if e.get("event") != "done" or e.get("id") != i:
                    self.proc.kill()    # wakes the feeder
                    raise Trouble("text %d (%.60r): %s" % (
                        i + 1, checks[i][0], e.get("message", e)))
                yield Answer(e["findings"], e.get("ns", {}))
        finally:
            feeder.join()

    def time(self, text, direction):
        """One check by itself: the answer, and the seconds for the way there
        and back."""
        line = json.dumps({"op": "check", "id": 1, "text": text,
                           "direction": direction}).encode() + b"\n"
        began = time.perf_counter()
        self.proc.stdin.write(line)
        self.proc.stdin.flush()
        raw = self.proc.stdout.readline()
        took = time.perf_counter() - began
        e = json.loads(raw or b"{}")
        if e.get("event") != "done":
            raise Trouble(e.get("message", "chatd-filter has ended"))
        return Answer(e["findings"], e.get("ns", {})), took

    def close(self):
        try:
            self.proc.stdin.close()
        except BrokenPipeError:
            pass
        self.proc.stdout.close()
        self.proc.wait()


def run_filter(program, plugins, checks, jobs, done=lambda n: None):
    """The answers to all checks, shared out among processes. Returns them and
    what the filter says of its plugins."""
    size = -(-len(checks) // jobs) if checks else 1
    parts = [checks[i:i + size] for i in range(0, len(checks), size)] or [[]]
    results = [None] * len(parts)
    failed, about = [], []
    lock, count = threading.Lock(), [0]

    def work(k):
        try:
            f = Filter(program, plugins)
            about.append(f.plugins)
            out = results[k] = []
            try:
                for a in f.answers(parts[k]):
                    out.append(a)
                    if len(out) % 1000 == 0:
                        with lock:
                            count[0] += 1000
                            done(count[0])
            finally:
                f.close()
        except (Trouble, OSError, ValueError, KeyError) as e:
            failed.append(str(e))

    threads = [threading.Thread(target=work, args=(k,))
               for k in range(len(parts))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise Trouble(failed[0])
    return [a for part in results for a in part], about[0]


# ---- a running chatd

def run_socket(path, checks, window=8):
    """The answers of the operation moderate, at most window at a time."""
    out = [None] * len(checks)
    try:
        s = socket.socket(socket.AF_UNIX)
        s.connect(path)
    except OSError as e:
        raise Trouble("%s: %s" % (path, e.strerror)) from None
    with s, s.makefile("rb") as lines:
        lines.readline()        # hello
        sent = got = 0
        while got < len(checks):
            while sent < len(checks) and sent - got < window:
                text, direction = checks[sent]
                sent += 1
                s.sendall(json.dumps({
                    "op": "moderate", "id": sent, "text": text,
                    "direction": direction}).encode() + b"\n")
            line = lines.readline()
            if not line:
                raise Trouble("%s: chatd has closed the connection" % path)
            e = json.loads(line)
            if e["event"] == "error":
                raise Trouble("text %s: %s" % (e.get("id"), e["message"]))
            if e["event"] != "done":
                continue
            found = list(e["categories"].values())
            out[e["id"] - 1] = Answer(found, {"all": 1000 * e["us"]},
                                      e["action"])
            got += 1
    return out
