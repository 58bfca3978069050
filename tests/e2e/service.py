# SPDX-License-Identifier: Apache-2.0
"""For tests: a private chatd, and a client of it."""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
SRC = pathlib.Path(os.environ.get(
    "CHATD_SRC", pathlib.Path(__file__).resolve().parents[2]))
SCRIPTED = SRC / "tests/e2e/scripted_engine.py"
SANITIZED = "#define WITH_SANITIZER 1" in (BUILD / "config.h").read_text()
WAIT = 60           # seconds: a hang, not a slow machine


class Lost(Exception):
    """The connection has ended."""


class Client:
    """One connection; events in the order they came."""

    def __init__(self, path, hello=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(WAIT)
        self.sock.connect(str(path))
        self.buffer = b""
        self.next_id = 1
        self.hello = self.event() if hello else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def raw(self, data):
        self.sock.sendall(data)

    def send(self, op, ident=None, **fields):
        if ident is None:
            ident = self.next_id
            self.next_id += 1
        self.raw(json.dumps({"op": op, "id": ident, **fields}).encode()
                 + b"\n")
        return ident

    def event(self):
        while b"\n" not in self.buffer:
            piece = self.sock.recv(65536)
            if not piece:
                raise Lost
            self.buffer += piece
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def events(self, ident):
        """All events of a request up to its last one."""
        seen = []
        while True:
            e = self.event()
            if e.get("id") != ident:
                continue
            seen.append(e)
            if e["event"] in ("done", "error"):
                return seen

    def call(self, op, **fields):
        """The last event of a request."""
        return self.events(self.send(op, **fields))[-1]

    def say(self, text, **fields):
        """Send a say. Returns its text and its last event."""
        seen = self.events(self.send("say", text=text, **fields))
        return text_of(seen), seen[-1]

    def until(self, name):
        while True:
            e = self.event()
            if e["event"] == name:
                return e
            assert e["event"] != "error", e


def text_of(events):
    return "".join(e["text"] for e in events if e["event"] == "text")


class Service:
    """chatd in the foreground with all of its state in one folder."""

    def __init__(self, engine=SCRIPTED, config=None, env=None, filters=None,
                 model=None, start=True):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="chatd-test-"))
        self.socket = self.dir / "s"
        self.state = self.dir / "state"
        self.log = self.dir / "log"
        self.env = dict(os.environ, **(env or {}))
        self.env.pop("NOTIFY_SOCKET", None)
        self.process = None
        if model is None:
            model = self.dir / "model"
            model.mkdir()
            (model / "config.json").write_text("{}")
        self.config = {
            "state_dir": str(self.state),
            "socket": {"path": str(self.socket)},
            "model": {"path": str(model)},
            "engine": {"program": str(engine), "timeout": "30s"},
            "filter": {"program": str(BUILD / "chatd-filter")},
            "store": {"program": str(BUILD / "chatd-store")},
            "filters": filters or [],
        }
        for section, keys in (config or {}).items():
            if isinstance(keys, dict) and section in self.config:
                self.config[section].update(keys)
            else:
                self.config[section] = keys
        self.file = self.dir / "chatd.yaml"
        self.write_config()
        if start:
            self.start()

    def write_config(self):
        # JSON is YAML too, flow style.
        self.file.write_text(json.dumps(self.config, indent=1))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.kill()
        if kind is not None and self.log.exists():
            print(self.log.read_text()[-4000:])
        shutil.rmtree(self.dir, ignore_errors=True)

    def command(self, *args):
        return [str(BUILD / "chatd"), "-d", "-f", str(self.file), *args]

    def start(self, *args):
        """Start, and wait until it reports that it is ready."""
        notify = self.dir / "notify"
        with contextlib.suppress(FileNotFoundError):
            notify.unlink()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(str(notify))
            s.settimeout(1)
            self.process = subprocess.Popen(
                self.command(*args), stderr=open(self.log, "ab"),
                stdin=subprocess.DEVNULL,
                env=dict(self.env, NOTIFY_SOCKET=str(notify)))
            end = time.monotonic() + WAIT
            while time.monotonic() < end:
                try:
                    if b"READY=1" in s.recv(4096).split(b"\n"):
                        return self
                except TimeoutError:
                    pass
                if self.process.poll() is not None:
                    break
        raise AssertionError("chatd did not start:\n" + self.log.read_text())

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        if self.process is not None:
            self.process.wait()
        self.process = None

    def stop(self):
        """Send SIGTERM. Returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT)

    def client(self):
        return Client(self.socket)

    def client_as(self, uid):
        """A connection of another account; the caller is root, and the
        configuration has socket.mode 0666."""
        self.dir.chmod(0o711)
        os.seteuid(uid)
        try:
            return Client(self.socket)
        finally:
            os.seteuid(0)

    def status(self):
        with self.client() as c:
            return c.call("status")

    def wait_model(self, state="ready"):
        return self.wait(lambda: self.status()["model"]["state"] == state)

    def wait(self, condition):
        """Poll until condition() is true."""
        end = time.monotonic() + WAIT
        while not condition():
            assert time.monotonic() < end, "waited too long"
            time.sleep(0.01)
        return self

    def reload(self, client):
        """Reload by client; try again while an earlier reload still runs.
        Returns the answer."""
        answers = []
        self.wait(lambda: answers.append(client.call("reload")) or
                  answers[-1].get("code") != "busy")
        return answers[-1]

    def helper_pid(self, name):
        return self.status()["helpers"][name]["pid"]

    def restarted(self, name, pid):
        """Does another process than pid serve?  One answer tells both."""
        helper = self.status()["helpers"][name]
        return helper["state"] == "ready" and helper["pid"] != pid

    def exporters(self):
        """The processes that export."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            children = f.read().split()
        found = []
        for child in children:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                with open("/proc/%s/cmdline" % child, "rb") as f:
                    if b"--export" in f.read():
                        found.append(int(child))
        return found

    def rows(self, sql, *args):
        db = sqlite3.connect("file:%s?mode=ro" % (self.state / "chatd.db"),
                             uri=True)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()
