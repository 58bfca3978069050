# SPDX-License-Identifier: Apache-2.0
"""A scripted chatd, for tests of its clients.

It listens on its own socket and speaks the line protocol. The first word of a
message decides the answer:

    slow        a piece every 20 ms until it is cancelled
    brief       thirty such pieces
    drop        one piece, then the connection is closed
    vanish      the connection is closed before "accepted"
    block       blocked by the policy
    halfblock   a piece of text, then blocked
    hostile     the text HOSTILE, one byte of JSON text per event
    notice      with a notice before the text
    near        with the notice that the quota is nearly used up, twice
    length      ends at the token limit
    empty       an empty reply
    wait        accepted at place 3
    other words "You said: ..."

By hand: python3 fake_chatd.py SOCKET [loading]
"""
import json
import os
import socket
import sys
import threading
import time

HOSTILE = ("red\x1b[31m bell\x07 back\b\b\b cr\rxx csi\u009b31m "
           "osc\x1b]52;c;aGk=\x07 bidi\u202egnp\u202c del\x7f "
           "zero\u200bwidth tag\U000e0041 ok\u00e9\U0001f600\ttab\nend")


class FakeChatd:
    """A server in a thread; use it with "with"."""

    def __init__(self, path, protocol=1, state="ready", ticks=3,
                 operator=True, hello=None, prompt_max=262144):
        self.path = path
        self.protocol = protocol
        self.state = state          # "loading" becomes ready after ticks
        self.ticks = ticks          # status requests while loading
        self.operator = operator
        self.hello = hello          # bytes sent in the place of a hello
        self.prompt_max = prompt_max
        self.requests = []          # what clients sent, in order
        self.connections = 0
        self.conversations = {}     # number -> {"title", "exchanges"}
        self.raw = {}               # number -> exchange of kind complete
        self.refusals = {}          # exchange: reply, to be decided
        self.next = {"conversation": 1, "exchange": 1, "reply": 1}
        self.changed = threading.Condition()
        self.listener = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)
        self.open = set()
        threading.Thread(target=self.accept, daemon=True).start()

    def stop(self):
        """Close everything, as chatd does when it ends."""
        if self.listener is None:
            return
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.listener = None
        os.unlink(self.path)
        for s in list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        listener = self.listener
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.add(s)
            threading.Thread(target=Client(self, s).run,
                             daemon=True).start()

    def wait_for(self, op, count=1, seconds=10):
        """Wait until that many requests of that name have come."""
        def there():
            return [r for r in self.requests if r["op"] == op]
        with self.changed:
            assert self.changed.wait_for(
                lambda: len(there()) >= count, seconds), \
                "no %s came: %r" % (op, self.requests)
        return there()

    def number(self, kind):
        n = self.next[kind]
        self.next[kind] += 1
        return n

    def model(self):
        m = {"name": "fake", "precision": "fp32", "context": 2048,
             "state": self.state, "digest": "sha256:00"}
        if self.state == "ready":
            m.update(kv_precision="int8", kv_tokens=8192, kv_bytes=3 << 29)
        if self.state == "down":
            m.update(why="config.json: bad")
        if self.state == "loading":
            m.update(bytes=1 << 30,
                     bytes_total=40 << 30)
        return m

    def add(self, conversation, prompt, text, state="done"):
        """Store an exchange; returns (conversation, exchange, reply)."""
        if conversation is None:
            conversation = self.number("conversation")
            self.conversations[conversation] = {
                "title": prompt[:60], "exchanges": []}
        x = {"exchange": self.number("exchange"), "created": 1700000000000,
             "prompt": prompt, "kind": "say",
             "replies": [{"reply": self.number("reply"), "text": text,
                          "state": state, "stop": "end", "rating": None,
                          "verdicts": []}]}
        self.conversations[conversation]["exchanges"].append(x)
        return conversation, x["exchange"], x["replies"][0]["reply"]

    def add_raw(self, prompt, text):
        """Store a raw prompt; returns (exchange, reply)."""
        n, reply = self.number("exchange"), self.number("reply")
        self.raw[n] = {"exchange": n, "created": 1700000000000,
                       "prompt": prompt, "kind": "complete",
                       "replies": [{"reply": reply, "text": text,
                                    "state": "done", "rating": None}]}
        return n, reply


class Client:
    """One connection."""

    def __init__(self, server, s):
        self.server = server
        self.s = s
        self.lock = threading.Lock()
        self.cancelled = set()

    def send(self, message):
        line = json.dumps(message, ensure_ascii=False) + "\n"
        with self.lock:
            try:
                self.s.sendall(line.encode())
            except OSError:
                pass

    def run(self):
        try:
            if self.server.hello is not None:
                self.s.sendall(self.server.hello)
            else:
                self.send({
                    "event": "hello", "protocol": self.server.protocol,
                    "server": "chatd 0.0.fake",
                    "model": self.server.model(),
                    "limits": {"line": 1048576, "depth": 32, "requests": 16,
                               "requests_per_uid": 32,
                               "prompt": self.server.prompt_max},
                    "user": {"uid": os.getuid(), "name": "tester",
                             "operator": self.server.operator}})
            for line in self.s.makefile("rb"):
                self.take(json.loads(line))
        except (OSError, ValueError):
            pass
        finally:
            self.server.open.discard(self.s)
            self.s.close()

    def take(self, r):
        with self.server.changed:
            self.server.requests.append(r)
            self.server.changed.notify_all()
        if r.get("text") == "nameless":
            self.send({"event": "error", "code": "bad_json",
                       "message": "which line was that?"})
            return
        fn = getattr(self, "op_" + r["op"], None)
        if fn is None:
            self.error(r, "bad_field", "unknown op", field="op")
        elif r["op"] in ("say", "complete", "regenerate"):
            threading.Thread(target=fn, args=(r,), daemon=True).start()
        else:
            fn(r)

    def done(self, r, **more):
        self.send({"event": "done", "id": r["id"], **more})

    def error(self, r, code, message, **more):
        self.send({"event": "error", "id": r["id"], "code": code,
                   "message": message, **more})

    def item(self, r, **more):
        self.send({"event": "item", "id": r["id"], **more})

    def op_hello(self, r):
        self.done(r, protocol=1)

    # ---- replies

    def op_say(self, r):
        conversation = r.get("conversation")
        if conversation is not None and \
                conversation not in self.server.conversations:
            self.error(r, "not_found", "no conversation %d" % conversation)
            return
        self.reply(r, r["text"], conversation)

    def op_complete(self, r):
        self.reply(r, r["prompt"], None, stored=False)

    def op_regenerate(self, r):
        for n, c in self.server.conversations.items():
            for x in c["exchanges"]:
                if x["exchange"] == r["exchange"]:
                    self.reply(r, "again " + x["prompt"], n)
                    return
        self.error(r, "not_found", "no exchange %d" % r["exchange"])

    def reply(self, r, text, conversation, stored=True):
        word = text.split()[0] if text.split() else ""
        if word == "vanish":
            self.s.shutdown(socket.SHUT_RDWR)
            return
        whole = {"hostile": HOSTILE, "empty": ""}.get(
            word, "You said: " + text)
        if word in ("slow", "brief"):
            whole = ""
        if stored:
            conversation, exchange, reply = self.server.add(
                conversation, text, whole)
        else:
            conversation, exchange, reply = None, \
                self.server.number("exchange"), self.server.number("reply")
        ids = {"exchange": exchange, "conversation": conversation,
               "reply": reply}
        if word == "block":
            self.error(r, "blocked", "This was blocked by policy.",
                       exchange=exchange, verdicts=[])
            return
        self.send({"event": "accepted", "id": r["id"],
                   "place": 3 if word == "wait" else 0, **ids})
        stop = "length" if word == "length" else "end"
        if word in ("slow", "brief"):
            for i in range(1000 if word == "slow" else 30):
                if r["id"] in self.cancelled:
                    stop = "cancelled"
                    break
                self.text(r, "piece%d " % i)
                time.sleep(0.02)
        for _ in range(2 if word == "near" else 0):
            self.send({"event": "notice", "id": r["id"],
                       "code": "quota_near", "field": "conversations",
                       "used": 9, "limit": 10,
                       "message": "9 of at most 10 are stored"})
        if word == "drop":
            self.text(r, "half a re")
            self.s.shutdown(socket.SHUT_RDWR)
            return
        elif word == "halfblock":
            self.text(r, "half a re")
            self.error(r, "blocked", "The reply was blocked.",
                       exchange=exchange, verdicts=[])
            return
        else:
            if word == "notice":
                self.send({"event": "notice", "id": r["id"],
                           "code": "truncated",
                           "message": "2 oldest turns left out"})
            for piece in whole if word == "hostile" else [whole]:
                self.text(r, piece)
        self.done(r, stop=stop, prompt_tokens=3, output_tokens=5, seed=7,
                  times={"queued_ms": 0, "first_ms": 1, "total_ms": 2},
                  verdicts=[], **ids)

    def text(self, r, piece):
        self.send({"event": "text", "id": r["id"], "text": piece})

    def op_cancel(self, r):
        self.cancelled.add(r["request"])
        self.done(r)

    # ---- conversations

    def op_new(self, r):
        n = self.server.number("conversation")
        self.server.conversations[n] = {"title": r.get("title", ""),
                                        "exchanges": []}
        self.done(r, conversation=n)

    def op_list(self, r):
        if r.get("limit", 50) > 200:
            self.error(r, "bad_field", "limit: 1 to 200", field="limit")
            return
        if r.get("all") and not self.server.operator:
            self.error(r, "denied", "all: operators only", field="all")
            return
        if r.get("kind") == "refusal":
            if not self.server.operator:
                self.error(r, "denied", "refusal: for operators only")
                return
            numbers = [n for n in sorted(self.server.refusals, reverse=True)
                       if n < r.get("before", 1 << 53)]
            for n in numbers[:r.get("limit", 50)]:
                self.item(r, exchange={
                    "exchange": n, "kind": "say", "created": 1700000000000,
                    "title": "x", "uid": 1, "reply": self.server.refusals[n]})
            self.done(r, more=len(numbers) > r.get("limit", 50))
            return
        raw = r.get("kind") == "complete"
        numbers = [n for n in sorted(self.server.raw if raw else
                                     self.server.conversations, reverse=True)
                   if n < r.get("before", 1 << 53)]
        limit = r.get("limit", 50)
        for n in numbers[:limit]:
            if raw:
                self.item(r, exchange={
                    "exchange": n, "kind": "complete",
                    "title": self.server.raw[n]["prompt"],
                    "created": 1700000000000, "uid": os.getuid()})
                continue
            c = self.server.conversations[n]
            self.item(r, conversation={
                "conversation": n, "title": c["title"],
                "created": 1700000000000, "updated": 1700000000000,
                "exchanges": len(c["exchanges"]), "uid": os.getuid()})
        self.done(r, more=len(numbers) > limit)

    def op_show(self, r):
        if "exchange" in r:
            of_all = [*self.server.raw.values()] + [
                x for c in self.server.conversations.values()
                for x in c["exchanges"]]
            found = [x for x in of_all if x["exchange"] == r["exchange"]]
            if not found:
                self.error(r, "not_found", "no exchange %d" % r["exchange"])
                return
            self.item(r, exchange=found[0])
            self.done(r, conversation=None, created=1700000000000,
                      more=False)
            return
        c = self.server.conversations.get(r["conversation"])
        if c is None:
            self.error(r, "not_found",
                       "no conversation %d" % r["conversation"])
            return
        left = [x for x in c["exchanges"]
                if x["exchange"] > r.get("after", 0)]
        limit = r.get("limit", 50)
        for x in left[:limit]:
            self.item(r, exchange=x)
        self.done(r, conversation=r["conversation"], title=c["title"],
                  created=1700000000000, more=len(left) > limit)

    def op_delete(self, r):
        kind = "exchange" if "exchange" in r else "conversation"
        store = self.server.raw if kind == "exchange" else \
            self.server.conversations
        if store.pop(r[kind], None) is None:
            self.error(r, "not_found", "no %s %d" % (kind, r[kind]))
        else:
            self.done(r)

    def rated(self, r, reply):
        self.done(r, rating=1, exchange=r["exchange"], reply=reply,
                  thumb=r.get("thumb", 0), reasons=r.get("reasons", []),
                  ideal="ideal" in r, comment="comment" in r)

    def op_rate(self, r):
        if r.get("review"):
            if self.server.refusals.pop(r["exchange"], None) is None:
                self.error(r, "not_found", "no exchange %d" % r["exchange"])
            else:
                self.rated(r, r["reply"])
            return
        for c in self.server.conversations.values():
            for x in c["exchanges"]:
                if x["exchange"] == r["exchange"]:
                    x["replies"][-1]["rating"] = {
                        k: r.get(k) for k in ("thumb", "reasons", "ideal",
                                              "comment")}
                    self.rated(r, x["replies"][-1]["reply"])
                    return
        self.error(r, "not_found", "no exchange %d" % r["exchange"])

    # ---- the rest

    def op_tokenize(self, r):
        ids = list(r["text"].encode())
        self.done(r, ids=ids, count=len(ids))

    def op_moderate(self, r):
        text = r["text"]
        at = text.encode().find(b"attack")
        if at < 0:
            self.done(r, action="allow", categories={})
        else:
            self.done(r, action="block", message="No.", categories={
                "violence": {"score": 0.9, "rule": "threat/attack",
                             "plugin": "rules", "start": at, "end": at + 6,
                             "action": "block"}})

    def op_status(self, r):
        server = self.server
        if server.state == "loading":
            server.ticks -= 1
            if server.ticks <= 0:
                server.state = "ready"
        self.done(r, server="chatd 0.0.fake", pid=os.getpid(),
                  uptime_s=93784, model=server.model(), clients=1,
                  exchanges={"running": 1, "waiting": 0, "total": 9},
                  helpers={"engine": {"state": "ready", "pid": 11,
                                      "restarts": 2},
                           "filter": {"state": "ready", "pid": 12,
                                      "restarts": 0},
                           "store": {"state": "ready", "pid": 13,
                                     "restarts": 0}},
                  store={"conversations": 2, "exchanges": 9, "ratings": 1,
                         "bytes": 4096})

    def op_export(self, r):
        if r.get("all") and not self.server.operator:
            self.error(r, "denied", "all: operators only", field="all")
            return
        for n in range(2):
            self.text(r, json.dumps({"format": r["format"], "n": n}) + "\n")
        self.done(r)

    def op_reload(self, r):
        if not self.server.operator:
            self.error(r, "denied", "operators only")
        else:
            self.error(r, "bad_config",
                       "chatd.yaml:3:7: model: expected a path")


if __name__ == "__main__":
    with FakeChatd(sys.argv[1], state=sys.argv[2] if len(sys.argv) > 2
                   else "ready"):
        threading.Event().wait()
