#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A helper that lies.  chatd starts it in place of a helper, by a link named
engine, filter or store.  It starts the true helper (LIAR_ENGINE, LIAR_FILTER,
LIAR_STORE), passes lines on in both directions, and changes some of them.

LIAR_SEED and the number of the start determine the lies.  LIAR_RATE is the
fraction of the lines with a lie.  The files in the folder LIAR_DIR control it
while it runs:

  truth     while this file exists, all lines are passed on unchanged
  inject    for each request, the lines in this file are sent first; $ID in them
            becomes the id of the request
  drop      a regular expression; lines of the true helper that match it are
            left out, and the file "dropped" is created
  instead   the text that is sent in place of each line of the true helper
  export    while this file exists, an export closes its output and hangs
"""
import json
import os
import pathlib
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time

NAME = pathlib.Path(sys.argv[0]).name
DIR = pathlib.Path(os.environ["LIAR_DIR"])
RATE = float(os.environ.get("LIAR_RATE", "0.05"))
EVENTS = ["ready", "progress", "started", "text", "done", "error", "item",
          "accepted", "notice", "hello", "dance", ""]
MEMBERS = ["event", "id", "ids", "text", "stop", "findings", "conversation",
           "exchange", "reply", "history", "prompt", "preprompt", "more",
           "conversations", "code", "message", "plugins", "model", "field",
           "prompt_tokens", "dropped", "interrupted", "lowered", "ns",
           "saved", "plugin"]
LONG = {"engine": 5 << 20, "filter": 5 << 20, "store": 17 << 20}


def start_number():
    """The number of earlier starts of this helper."""
    with open(DIR / ("starts-" + NAME), "ab") as f:
        f.write(b".")
        return f.tell()


def control(name):
    """The content of a control file, or None if it does not exist."""
    try:
        return (DIR / name).read_text()
    except FileNotFoundError:
        return None


class Liar:
    def __init__(self, helper):
        self.r = random.Random("%s-%s-%d" % (
            os.environ.get("LIAR_SEED", "1"), NAME, start_number()))
        self.helper = helper
        self.asked = [0]        # ids of requests, oldest first
        self.held = []          # lines that are sent later
        self.last = b"{}\n"
        self.closed = False

    # ---- bytes that are sent

    def say(self, data):
        """Write all of it. Ends if chatd has closed the channel."""
        if self.closed:
            return
        try:
            while data:
                data = data[os.write(1, data):]
        except BrokenPipeError:
            self.end()

    def send(self, **event):
        self.say(json.dumps(event).encode() + b"\n")

    def end(self):
        self.helper.kill()
        os._exit(1)

    # ---- parts of lies

    def ident(self):
        newest = self.asked[-1]
        return self.r.choice([
            self.r.randrange(8), newest, newest, self.r.choice(self.asked),
            newest + self.r.randrange(1, 4), -1, 2 ** 53, 2 ** 63 - 1,
            1.5, "1", None, [newest], True])

    def value(self):
        return self.r.choice([
            None, True, False, 0, -1, 1, 2 ** 53 + 1, -2 ** 63, 1e308, 0.5,
            "", "x", "\u202e", "a\nb\x1b[2J", "error", [], {}, [[]], [1],
            [1, "x", None], {"x": 1}, [{"text": 1}], "y" * 3000,
            ["z"] * 3000])

    def feature(self):
        return {"name": self.r.choice(["n", "", 7, "n" * 200]),
                "weight": self.r.choice([0, -1.5, "1", None, 1e308]),
                "start": self.r.choice([0, 1, -1, 2 ** 40]),
                "end": self.r.choice([0, 1, 2 ** 53])}

    def finding(self):
        return {"plugin": self.r.choice(["p", "", "q" * 200, None]),
                "rule": self.r.choice(["r", "", 7]),
                "category": self.r.choice(["violence", "hate", "dance"]),
                "score": self.r.choice([0, 0.6, 0.9, 1, -1, 2, "1"]),
                "start": self.r.choice([0, 1, 5, -1, 2 ** 40]),
                "end": self.r.choice([0, 2, 3, 9, 2 ** 53]),
                **self.r.choice([{}, {"proven": self.value()}, {
                    "detail": [self.feature() for _ in range(
                        self.r.choice([0, 1, 17]))]}])}

    # ---- lies about one line of the true helper

    def drop(self, line):
        pass

    def double(self, line):
        self.say(line * 2)

    def later(self, line):
        self.held.append(line)

    def cut(self, line):
        self.say(line[:self.r.randrange(len(line))])

    def cut_short(self, line):
        self.say(line[:self.r.randrange(len(line))] + b"\n")

    def glue(self, line):
        self.say(line[:-1])

    def flip(self, line):
        data = bytearray(line)
        data[self.r.randrange(len(data))] ^= 1 << self.r.randrange(8)
        self.say(bytes(data))

    def change(self, line, action):
        try:
            event = json.loads(line)
        except ValueError:
            event = {}
        action(event)
        self.send(**event)

    def retype(self, line):
        def action(event):
            event[self.r.choice(list(event) + MEMBERS)] = self.value()
        self.change(line, action)

    def remove(self, line):
        self.change(line, lambda event: event.pop(
            self.r.choice(list(event) or ["x"]), None))

    def other_id(self, line):
        self.change(line, lambda event: event.update(id=self.ident()))

    def other_event(self, line):
        self.change(line, lambda event: event.update(
            event=self.r.choice(EVENTS)))

    def wrong_findings(self, line):
        n = self.r.choice([1, 3, 200])
        self.change(line, lambda event: event.update(
            findings=[self.finding() for _ in range(n)]))

    def wrong_lowered(self, line):
        n = self.r.choice([1, 3, 100])
        self.change(line, lambda event: event.update(
            lowered=[{**self.finding(), "plugin": "rules"}
                     for _ in range(n)]))

    def wrong_times(self, line):
        self.change(line, lambda event: event.update(
            ns={"rules": self.value()}))

    def wrong_saved(self, line):
        self.change(line, lambda event: event.update(
            saved={self.r.choice(["rules", "p", ""]): self.r.choice(
                ["00", "0", "xx", "0" * 200000, 7, None])}))

    # ---- lines that the true helper did not send

    def invent(self, line):
        event = {"event": self.r.choice(EVENTS), "id": self.ident()}
        if event["event"] == "error" and self.r.random() < 0.5:
            event.update(code=self.r.choice(["busy", "store_unavailable",
                                             "not_found", "x"]),
                         message="invented")
        for _ in range(self.r.randrange(4)):
            event[self.r.choice(MEMBERS)] = self.value()
        if event["id"] is None:
            del event["id"]
        self.send(**event)
        self.say(line)

    def end_first(self, line):
        """The end of a request, and then its beginning."""
        self.send(event="done", id=self.asked[-1], stop="stop", findings=[],
                  ids=[1])
        self.say(line)

    def ready_again(self, line):
        self.send(event="ready", plugins=[], model={}, protocol=1)
        self.say(line)

    def bare_error(self, line):
        self.send(event="error", id=self.asked[-1])
        self.say(line)

    def endless(self, line):
        for i in range(2000):
            self.send(event=self.r.choice(["text", "item"])
                      if i % 500 == 499 else
                      "item" if NAME == "store" else "text",
                      id=self.asked[-1], text="on and on ", ids=[])
        self.say(line)

    def too_long(self, line):
        self.say(b'{"event":"text","text":"' + b"x" * LONG[NAME] + b'"}\n')

    def many(self, line):
        self.say(b'{"event":"done","id":%d,"ids":[' % self.asked[-1]
                 + b"[]," * (1 << 20) + b"0]}\n")

    def deep(self, line):
        n = self.r.choice([33, 1000, 100000])
        self.say(b'{"event":' + b"[" * n + b"]" * n + b"}\n")

    def junk(self, line):
        self.say(self.r.choice([
            b"\n", b"\0\n", b"this is no JSON\n", b"[]\n", b"{}\n", b"1\n",
            b'{"event":1}\n', b'{"event":"done","id":1,"id":2}\n',
            b"\xff\xfe\n", b'"' * 5000 + b"\n", b'{"event":"\\ud800"}\n',
            bytes(self.r.randrange(256) for _ in range(300)) + b"\n"]))

    def crash(self, line):
        self.helper.kill()
        os.kill(os.getpid(), signal.SIGKILL)

    def leave(self, line):
        self.end()

    def close(self, line):
        with socket.socket(fileno=os.dup(1)) as channel:
            channel.shutdown(socket.SHUT_WR)
        self.closed = True

    def hang(self, line):
        time.sleep(self.r.choice([0.1, 0.5, 1.5]))
        self.say(line)

    MILD = [drop, double, later, retype, remove, other_id, other_event,
            wrong_findings, wrong_lowered, wrong_times, wrong_saved, invent,
            end_first, bare_error, endless, hang]
    RARE = [cut, cut_short, glue, flip, ready_again, too_long, many, deep,
            junk, crash, leave, close]

    # ---- the two directions

    def answered(self, line):
        """Handle a line of the true helper."""
        other = control("instead")
        if other is not None:
            self.say(other.encode())
            return
        pattern = control("drop")
        if pattern is not None and re.search(pattern, line.decode()):
            (DIR / "dropped").touch()
            return
        if control("truth") is not None:
            for late in self.held:
                self.say(late)
            self.held.clear()
            self.say(line)
            return
        if self.held and self.r.random() < 0.5:
            self.say(self.held.pop())
        if self.r.random() >= RATE:
            self.say(line)
            return
        lie = self.r.choice(self.MILD if self.r.random() < 0.7 else self.RARE)
        print("liar: %s: %s" % (NAME, lie.__name__), file=sys.stderr,
              flush=True)
        lie(self, line)
        if b'"ready"' in line:      # chatd would wait for it for a minute
            time.sleep(0.2)
            self.end()

    def asks(self, line):
        """Handle a line of chatd."""
        message = json.loads(line)
        ident = message.get("id", 0)
        self.asked = (self.asked + [ident])[-50:]
        lines = control("inject")
        if lines is not None and message["op"] not in ("init", "ping"):
            self.say(lines.replace("$ID", str(ident)).encode())

    def run(self):
        pieces = {0: b"", self.helper.stdout.fileno(): b""}
        while True:
            for fd in select.select(list(pieces), [], [])[0]:
                data = os.read(fd, 1 << 20)
                if not data and fd == 0:
                    self.helper.stdin.close()
                    del pieces[0]
                    continue
                if not data:
                    sys.exit(self.helper.wait())
                *lines, pieces[fd] = (pieces[fd] + data).split(b"\n")
                for line in lines:
                    if fd == 0:
                        self.asks(line)
                        self.pass_on(line + b"\n")
                    else:
                        self.answered(line + b"\n")

    def pass_on(self, line):
        try:
            self.helper.stdin.write(line)
            self.helper.stdin.flush()
        except BrokenPipeError:
            self.end()


def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    program = os.environ["LIAR_" + NAME.upper()]
    if len(sys.argv) > 1:       # an export
        if control("export") is not None:
            os.write(1, b"\xff not\0 text \xc3")
            os.close(1)
            time.sleep(3600)
        os.execv(program, [program, *sys.argv[1:]])
    helper = subprocess.Popen([program], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)
    Liar(helper).run()


main()
