# SPDX-License-Identifier: Apache-2.0
"""For tests of chatd-store: runs it over pipes, as chatd does over a socket."""
import json
import os
import queue
import sqlite3
import subprocess
import threading

BUILD = os.environ.get("CHATD_BUILD", os.getcwd())
PROGRAM = os.path.join(BUILD, "chatd-store")
MODEL = {"path": "/m", "name": "mini", "digest": "sha256:ab",
         "precision": "bf16"}


class Store:
    """A running chatd-store. `ready` is its first event (or None)."""

    def __init__(self, path, init=True, **popen):
        self.process = subprocess.Popen(
            [PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **popen)
        self.events = queue.Queue()
        self.errors = []
        self.readers = [threading.Thread(target=t, daemon=True)
                        for t in (self._read, self._read_errors)]
        for t in self.readers:
            t.start()
        self.next_id = 0
        self.ready = None
        if init:
            self.send({"op": "init", "path": str(path)})
            self.ready = self.event()

    def _read(self):
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.events.put(json.loads(line))
        self.events.put(None)

    def _read_errors(self):
        for line in self.process.stderr:
            self.errors.append(line.decode())

    def send(self, *messages):
        """Send messages (dicts, or bytes as they are) in one write."""
        data = b"".join(m if isinstance(m, bytes) else
                        json.dumps(m).encode() + b"\n" for m in messages)
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def event(self, timeout=20):
        """The next event; None at the end of output."""
        return self.events.get(timeout=timeout)

    def number(self, message):
        self.next_id += 1
        return dict(message, id=self.next_id)

    def ask(self, **message):
        """Carry out one request, slice after slice: (items, last event)."""
        items = []
        while True:
            message = self.number(message)
            self.send(message)
            while True:
                event = self.event()
                assert event is not None, "".join(self.errors)
                assert event.get("id") == message["id"], event
                if event["event"] != "item":
                    break
                items.append(event.get("exchange") or event["conversation"])
            if "next" not in event:
                return items, event
            message.update(event["next"])

    def do(self, **message):
        """Carry out a request that must succeed."""
        event = self.ask(**message)[1]
        assert event["event"] == "done", event
        return event

    def refused(self, **message):
        """Carry out a request that must fail: its error event."""
        event = self.ask(**message)[1]
        assert event["event"] == "error", event
        return event

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self):
        """The exit status, once the output has been read to its end."""
        status = self.process.wait(20)
        for t in self.readers:
            t.join(20)
        self.process.stdin.close()
        return status

    def close(self):
        """End its input. Returns the exit status."""
        self.process.stdin.close()
        return self.wait()


def begin(key, **more):
    message = {"op": "begin", "key": key, "uid": 1000, "kind": "say",
               "prompt": "prompt of " + key, "params": {"top_k": 40},
               "seed": 7, "model": MODEL, "time": 1700000000000,
               "history_bytes": 1000}
    message.update(more)
    return message


def finish(reply, text, **more):
    verdict = {"direction": "reply", "plugin": "rules", "category": "x",
               "score": 0.5, "start": 0, "end": 1, "rule": "r",
               "action": "flag"}
    message = {"op": "finish", "reply": reply, "state": "done",
               "stop": "stop", "text": text, "ids": [1, 2, 3],
               "prompt_tokens": 5, "output_tokens": 3, "dropped": 0,
               "queued_ms": 1, "first_ms": 2, "total_ms": 3,
               "time": 1700000001000, "verdicts": [verdict, verdict]}
    message.update(more)
    return message


def read(folder, sql, *args):
    db = sqlite3.connect("file:%s?mode=ro" % (folder / "chatd.db"), uri=True)
    try:
        return db.execute(sql, args).fetchall()
    finally:
        db.close()


def reply_of(key):
    return "reply to " + key * 20


def audit(folder, claimed):
    """Faults of the database: damage, and acknowledged requests that are
    lost or stored in part."""
    faults = [r[0] for r in read(folder, "PRAGMA integrity_check")
              if r[0] != "ok"]
    faults += read(folder, "PRAGMA foreign_key_check")
    rows = {}
    for row in read(folder, "SELECT r.key, e.prompt, r.state, r.text, "
                    "length(r.ids), (SELECT count(*) FROM verdict "
                    "WHERE reply = r.id), e.conversation, c.id "
                    "FROM exchange e LEFT JOIN reply r ON r.exchange = e.id "
                    "LEFT JOIN conversation c ON c.id = e.conversation"):
        rows[row[0]] = row[1:]
    for key, (prompt, state, text, ids, verdicts, conversation, there) in \
            rows.items():
        want = (reply_of(str(key)), 12, 2) if state == "done" else ("", 0, 0)
        if (key is None or prompt != "prompt of " + key or there is None or
                (text, ids, verdicts) != want):
            faults.append("half of %s" % key)
    for what, key in claimed:
        if key not in rows:
            faults.append("lost the begin of %s" % key)
        elif what == "finish" and rows[key][1] != "done":
            faults.append("lost the finish of %s" % key)
    return faults


def all_written_back(folder):
    """Can the log be emptied? Not while a reader still needs it."""
    db = sqlite3.connect(folder / "chatd.db", timeout=0)
    try:
        return db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == \
            (0, 0, 0)
    finally:
        db.close()
