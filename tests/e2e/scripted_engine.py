#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""An engine without a model: it speaks the lines of chatd-engine, and the
prompt determines its reply.  A token is one character and its id is the code
point.  So a reply that continues after a restart can be compared with an
undisturbed one.

Commands at the start of the last human turn, or of a raw prompt:

  #say TEXT        the reply is TEXT
  #long N          N words "w0 w1 w2 ..."
  #forever         words without end
  #wait            nothing until it is cancelled
  #die N           the process dies after N tokens, unless the reply is resumed
  #die-always N    the same, also if the reply is resumed
  #lie             a line that is not JSON
  #error CODE      the error event CODE
  #history         the number of earlier turns, and their texts
  other texts      "You said: ..."

For score, a text in the ids with "#label NAME;" makes the label NAME probable
(.9 for the label, and the rest for each of the others); "#stall" is never
answered, and "#crash" ends the process.

If the model is a folder with a file scripted.json, its keys count: "digest" and
"name"; "load", the seconds of loading, and "silent", the same without progress;
"word", the letter of the words of #long and #forever; "refuse", a reason not to
load; "die", to be killed while loading; "linger", the seconds that its end takes.

For tokenize, a text that begins with "#slow N" takes N seconds. "#asked" has
one id: the number of texts so far, with this one.
"""
import json
import math
import os
import select
import signal
import sys
import time

TICK = float(os.environ.get("SCRIPTED_TICK", "0.002"))   # seconds a token
LOAD = float(os.environ.get("SCRIPTED_LOAD", "0"))       # seconds of loading
CONTEXT = int(os.environ.get("SCRIPTED_CONTEXT", 1 << 20))   # tokens
DIGEST = os.environ.get("SCRIPTED_DIGEST", "sha256:0")
NAME = os.environ.get("SCRIPTED_NAME", "scripted")

SCRIPT = {}         # of the model: its scripted.json

ASKED = []          # groups of the texts to be tokenized


def send(**event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def endless():
    i = 0
    while True:
        yield from "%s%d " % (SCRIPT.get("word", "w"), i)
        i += 1


def reply_of(messages, prompt):
    text = prompt if prompt is not None else messages[-1]["text"]
    word, _, rest = text.partition(" ")
    if word == "#say":
        return rest
    if word == "#long":
        return " ".join(SCRIPT.get("word", "w") + str(i)
                        for i in range(int(rest)))
    if word in ("#die", "#die-always"):
        return " ".join("w%d" % i for i in range(200))
    if word == "#forever":
        return endless()
    if word == "#history":
        return "%d turns before: %s" % (
            len(messages) - 1, " | ".join(m["text"] for m in messages[:-1]))
    return "You said: " + text


class Generation:
    def __init__(self, msg):
        self.id = msg["id"]
        self.messages = msg.get("messages")
        self.prompt = msg.get("prompt")
        text = self.prompt if self.prompt is not None \
            else self.messages[-1]["text"]
        self.command, _, self.rest = text.partition(" ")
        self.resumed = len(msg.get("resume", []))
        self.source = iter(reply_of(self.messages, self.prompt))
        for _ in range(self.resumed):
            next(self.source)
        self.ids = list(msg.get("resume", []))
        self.retell = msg.get("retell", False)
        self.max = msg["params"]["max_tokens"]
        self.paused = False
        self.started = False

    def end(self, stop):
        send(event="done", id=self.id, ids=self.ids, stop=stop,
             text="".join(map(chr, self.ids)), prompt_tokens=7,
             output_tokens=len(self.ids))

    def step(self):
        """One token; False once it has ended."""
        if not self.started:
            self.started = True
            send(event="started", id=self.id, prompt_tokens=7, dropped=0)
        if self.command == "#error":
            send(event="error", id=self.id, code=self.rest,
                 message="scripted " + self.rest)
            return False
        if self.command == "#lie":
            print("this is no JSON", flush=True)
            time.sleep(5)
        if self.paused or self.command == "#wait":
            return True
        if self.command == "#die-always" or \
                (self.command == "#die" and self.resumed == 0):
            if len(self.ids) - self.resumed >= int(self.rest):
                os.kill(os.getpid(), signal.SIGKILL)
        if len(self.ids) >= self.max:
            self.end("length")
            return False
        char = next(self.source, None)
        if char is not None and self.retell:
            self.retell = False
            send(event="text", id=self.id, ids=list(self.ids),
                 text="".join(map(chr, self.ids)))
        if char is None:
            self.end("stop")
            return False
        self.ids.append(ord(char))
        send(event="text", id=self.id, text=char, ids=[ord(char)])
        return True


def score(msg, ident):
    text = "".join(map(chr, msg["ids"]))
    prompt, label = text[:msg["from"]], text[msg["from"]:].strip()
    if "#stall" in prompt:
        return
    if "#crash" in prompt:
        os.kill(os.getpid(), signal.SIGKILL)
    wanted = prompt.partition("#label ")[2].partition(";")[0]
    p = math.log(.9 if label == wanted else .1)
    n = len(text) - msg["from"]
    send(event="done", id=ident, logprobs=[p / n] * n)


def answer(msg, running):
    op, ident = msg.get("op"), msg.get("id")
    if op == "generate":
        running[ident] = Generation(msg)
        return
    if op == "cancel" and msg["request"] in running:
        running.pop(msg["request"]).end("cancelled")
    elif op in ("pause", "continue") and msg["request"] in running:
        running[msg["request"]].paused = op == "pause"
    elif op == "score":
        score(msg, ident)
        return
    elif op == "tokenize":
        ASKED.append(msg["group"])
        if msg["text"].startswith("#slow "):
            time.sleep(float(msg["text"][6:]))
        if msg["text"] == "#asked":
            send(event="done", id=ident, ids=[len(ASKED)])
            return
        send(event="done", id=ident, ids=[ord(c) for c in msg["text"]])
        return
    send(event="done", id=ident, running=len(running))


def main():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    model = json.loads(sys.stdin.readline()).get("model", "/")
    try:
        with open(os.path.join(model, "scripted.json")) as f:
            SCRIPT.update(json.load(f))
    except OSError:
        pass
    time.sleep(SCRIPT.get("silent", 0))
    for i in range(5):
        send(event="progress", bytes=i << 30, bytes_total=4 << 30)
        time.sleep(SCRIPT.get("load", LOAD) / 5)
    if SCRIPT.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("SCRIPTED_REFUSE") or "refuse" in SCRIPT:
        send(event="error", code="bad_model", message=SCRIPT.get(
            "refuse", "model.safetensors: scripted refusal"))
        sys.exit(1)
    if os.environ.get("SCRIPTED_NO_MODEL"):
        send(event="ready", protocol=1)
    send(event="ready", protocol=1, model={
        "path": "/scripted", "name": SCRIPT.get("name", NAME),
        "digest": SCRIPT.get("digest", DIGEST),
        "precision": "bf16", "device": "cpu", "isa": "scalar", "threads": 1,
        "context": CONTEXT, "vocab": 1114112, "parameters": 0, "layers": 4})
    running, partial = {}, b""
    while True:
        if select.select([0], [], [], TICK if running else None)[0]:
            piece = os.read(0, 65536)
            if not piece:
                time.sleep(SCRIPT.get("linger", 0))
                return
            *lines, partial = (partial + piece).split(b"\n")
            for line in lines:
                answer(json.loads(line), running)
        for ident in list(running):
            if ident in running and not running[ident].step():
                running.pop(ident, None)


main()
