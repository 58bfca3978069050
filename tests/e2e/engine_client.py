# SPDX-License-Identifier: Apache-2.0
"""For tests of chatd-engine: runs it over pipes, on a small model with random
weights."""
import json
import os
import pathlib
import select
import subprocess

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
SRC = pathlib.Path(os.environ.get(
    "CHATD_SRC", pathlib.Path(__file__).resolve().parents[2]))
ENGINE = BUILD / "chatd-engine"
TINY = SRC / "tests/data/neox-tiny"
MINI = SRC / "engine/mini"
EXPECTED = json.loads((TINY / "expected.json").read_text())
WAIT = 120          # seconds: a hang, not a slow machine
CONTEXT = 96        # of neox-tiny
VOCAB = 320


class Engine:
    """One engine; events in the order they came."""

    def __init__(self, *args, init=None):
        self.process = subprocess.Popen(
            [ENGINE, *map(str, args)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)
        self.buffer = b""
        self.next_id = 1
        self.progress = []
        if init is not None:
            self.raw(json.dumps({"op": "init", **init}).encode() + b"\n")
        self.first = self.event()
        while self.first["event"] == "progress":
            self.progress.append(self.first)
            self.first = self.event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, op, **fields):
        ident = self.next_id
        self.next_id += 1
        self.raw(json.dumps({"op": op, "id": ident, **fields}).encode()
                 + b"\n")
        return ident

    def event(self):
        """The next event; None at the end of output."""
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], WAIT)
            assert ready, "no event in %d s" % WAIT
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                return None
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def until_done(self, *idents):
        """Events of these requests, by id, until each is over."""
        got = {i: [] for i in idents}
        left = set(idents)
        while left:
            event = self.event()
            assert event is not None, "the engine has ended"
            if event.get("id") in got:
                got[event["id"]].append(event)
                if event["event"] in ("done", "error"):
                    left.discard(event["id"])
        return got

    def ask(self, op, **fields):
        """Send, and return the last event of the answer."""
        ident = self.send(op, **fields)
        return self.until_done(ident)[ident][-1]

    def generate(self, **fields):
        """All events of a generate."""
        ident = self.send("generate", **fields)
        return self.until_done(ident)[ident]

    def finish(self):
        """Close the input. Returns the exit status and the last events."""
        self.process.stdin.close()
        rest = []
        while (event := self.event()) is not None:
            rest.append(event)
        return self.process.wait(WAIT), rest


def copy_model(folder):
    """A copy of neox-tiny that may be changed."""
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (folder / name).write_bytes((TINY / name).read_bytes())
    return folder


def start(model=TINY, *args):
    return Engine("--model", model, "--precision", "fp32", "--threads", "1",
                  *args)


def pieces(events):
    """The text and the ids of all text events."""
    text = "".join(e["text"] for e in events if e["event"] == "text")
    ids = [i for e in events if e["event"] == "text" for i in e["ids"]]
    return text, ids


def check_whole(events):
    """Check the order of events, and that done repeats their content."""
    names = [e["event"] for e in events]
    assert names[0] == "started" and names[-1] == "done"
    assert set(names[1:-1]) <= {"text"}
    text, ids = pieces(events)
    done = events[-1]
    assert done["text"] == text
    assert done["ids"] == ids
    assert done["output_tokens"] == len(ids)
    assert done["prompt_tokens"] == events[0]["prompt_tokens"]
    return done


def greedy(n, **more):
    return {"temperature": 0, "max_tokens": n, "ignore_eos": True, **more}


SAMPLED = {"temperature": 0.9, "top_k": 50, "top_p": 0.95, "seed": 11,
           "repetition_penalty": 1.1, "max_tokens": 30, "ignore_eos": True}
