# SPDX-License-Identifier: Apache-2.0
"""Starts that fail, in part or for good, and the end: the messages to
clients, the checks of chatd -t, and health."""
import json
import os
import pathlib
import pwd
import select
import signal
import socket
import subprocess
import time

import pytest
from service import BUILD, SRC, WAIT, Client, Service

HERE = pathlib.Path(__file__).parent
MINI = SRC / "engine/mini"
RULES = {"name": "rules", "path": str(BUILD / ".libs/rules.so"),
         "options": {"packs": str(SRC / "etc/rules")}}
ROOT_ONLY = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


def check(service, *args):
    """chatd -t on its file."""
    return subprocess.run(
        [BUILD / "chatd", "-t", "-f", service.file, *args],
        capture_output=True, text=True, timeout=WAIT)


def scripted_store(**kw):
    """A service that has not started; its store is full or gone while the
    file s.full or s.gone exists."""
    s = Service(start=False, **kw)
    s.full, s.gone = s.dir / "full", s.dir / "gone"
    s.env.update(CHATD_STORE=str(BUILD / "chatd-store"),
                 STORE_FULL=str(s.full), STORE_GONE=str(s.gone))
    s.config["store"] = {"program": str(HERE / "scripted_store.py")}
    s.write_config()
    return s


# ---- starts that fail in part


def test_without_a_store_chatd_serves_the_rest_and_tries_again():
    with scripted_store() as s:
        s.gone.write_text("")
        s.start()
        s.wait_model()
        s.wait(lambda: s.status()["helpers"]["store"]["restarts"] > 3)
        with s.client() as c:
            for e in (c.call("say", text="x"), c.call("list"),
                      c.call("rate", exchange=1, thumb=1)):
                assert e["code"] == "store_unavailable", e
                assert "can't start: ended" in e["message"], e
            health = c.call("health")
            assert health["health"] == "down"
            assert health["why"][0].startswith("store: ended")
            assert c.call("tokenize", text="ab")["count"] == 2
            s.gone.unlink()
            s.wait(lambda: c.call("health")["health"] == "ok")
            assert c.say("#say here again")[0] == "here again"


def test_a_state_folder_that_cannot_be_made_is_waited_for():
    with Service(start=False) as s:
        block = s.dir / "block"
        block.write_text("")
        s.config["state_dir"] = str(block / "state")
        s.config["socket"]["mode"] = "0666"
        s.write_config()
        s.start()
        s.wait_model()
        s.wait(lambda: s.status()["helpers"]["store"]["restarts"] > 3)
        with s.client() as c:
            e = c.call("say", text="x")
            assert e["code"] == "store_unavailable", e
            assert "state_dir: %s: Not a directory" % (block / "state") \
                in e["message"]
            if os.geteuid() == 0:       # others see no paths
                with s.client_as(65534) as other:
                    e = other.call("say", text="x")
                    assert e["code"] == "store_unavailable", e
                    assert "/" not in e["message"]
                    assert "can't start" in e["message"]
            block.unlink()
            block.mkdir(0o700)
            s.wait(lambda: c.call("health")["health"] == "ok")
            assert c.say("#say here")[0] == "here"
            assert (block / "state").stat().st_mode & 0o777 == 0o700


def test_missing_parts_are_reported_to_systemd():
    with scripted_store() as s, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as n:
        s.gone.write_text("")
        n.bind(str(s.dir / "n"))
        n.settimeout(WAIT)
        s.process = subprocess.Popen(
            s.command(), stderr=open(s.log, "ab"),
            env=dict(s.env, NOTIFY_SOCKET=str(s.dir / "n")))
        heard = []
        while "STATUS=No store: ended" not in heard:
            heard += n.recv(4096).decode().split("\n")
        assert "READY=1" in heard
        s.gone.unlink()
        while "STATUS=Serving scripted" not in heard:
            heard += n.recv(4096).decode().split("\n")
        assert not [h for h in heard if h.startswith("EXTEND_TIMEOUT")], \
            "this would make the watchdog wait longer"
        assert s.stop() == 0


def test_chatd_ends_well_without_a_store():
    with scripted_store() as s:
        s.gone.write_text("")
        s.start()
        assert s.stop() == 0


def test_the_engine_raises_its_own_oom_score():
    """It is killed before chatd and the store."""
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        chatd, engine, store = (
            int(pathlib.Path("/proc/%d/oom_score_adj" % p).read_text())
            for p in (s.process.pid, s.helper_pid("engine"),
                      s.helper_pid("store")))
        assert engine == min(chatd + 500, 1000) and store == chatd


@pytest.mark.parametrize("program,fields", [
    ("chatd-store", {"path": "/nonexistent/chatd.db"}),
    ("chatd-filter", {"plugins": []}),
    ("chatd-engine", {"model": "/nonexistent"})])
def test_a_helper_of_another_version_says_so(program, fields):
    init = {"op": "init", "version": "0.0.9", **fields}
    r = subprocess.run([BUILD / program], input=json.dumps(init) + "\n",
                       capture_output=True, text=True, timeout=WAIT)
    e = json.loads(r.stdout.splitlines()[0])
    assert e["code"] == "bad_version", e
    assert "can't serve chatd 0.0.9" in e["message"]
    assert "restart it" in e["message"] and r.returncode == 1


def test_hangup_ends_no_helper():
    with Service(engine=BUILD / "chatd-engine", model=MINI,
                 filters=[RULES]) as s:
        s.wait_model()
        before = s.status()["helpers"]
        assert all(h["pid"] > 0 for h in before.values())
        for helper in before.values():
            os.kill(helper["pid"], signal.SIGHUP)
        with s.client() as c:
            assert c.say("Hello", params={"max_tokens": 2})[1]["event"] == \
                "done"
        after = s.status()["helpers"]
        assert {n: h["pid"] for n, h in after.items()} == \
            {n: h["pid"] for n, h in before.items()}


# ---- starts that fail for good


def start_with_socket(service, listener):
    """Start chatd with a socket that is there already, as systemd does."""
    script = ("import os, sys\n"
              "os.dup2(int(sys.argv[1]), 3)\n"
              "os.environ.update(LISTEN_PID=str(os.getpid()),"
              " LISTEN_FDS='1')\n"
              "os.execv(sys.argv[2], sys.argv[2:])\n")
    service.process = subprocess.Popen(
        ["/usr/bin/python3", "-c", script, str(listener.fileno()),
         *service.command()],
        pass_fds=[listener.fileno()], stderr=open(service.log, "ab"))


@pytest.mark.parametrize("clients", [0, 1, 3])
def test_waiting_clients_get_the_reason_why_chatd_cannot_start(clients):
    with Service(start=False) as s, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(s.socket))
        listener.listen()
        s.file.write_text("limits: {client: 1}\n")
        waiting = [Client(s.socket, hello=False) for _ in range(clients)]
        for c in waiting:
            c.send("say", text="Hello")
        start_with_socket(s, listener)
        for c in waiting:
            e = c.event()
            assert e["event"] == "error" and e["code"] == "bad_config"
            assert 'unknown key "client" in limits; did you mean "clients"?' \
                in e["message"]
            c.sock.close()
        assert s.process.wait(WAIT) == 78


def test_chatctl_passes_the_reason_on():
    with Service(start=False) as s, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(s.socket))
        listener.listen()
        s.file.write_text("limits: {client: 1}\n")
        with subprocess.Popen(
                [BUILD / "chatctl", "-s", s.socket, "health"],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True) as p:
            # It waits in the queue once the socket can be read.
            assert select.select([listener], [], [], WAIT)[0]
            start_with_socket(s, listener)
            text = p.communicate(timeout=WAIT)[0]
            assert p.returncode == 3, text
            assert 'did you mean "clients"?' in text


def test_every_error_of_a_file_is_reported():
    with Service(start=False) as s:
        s.file.write_text(
            "limits: {client: 1, prompt: much}\n"
            "modell: {}\n"
            "policy:\n"
            "  prompt: {hat: {block: 1}, hate: {blok: 1}}\n"
            "  replay: {}\n"
            "messages: {defalt: x}\n"
            "filters: [{name: a, paht: b}, {path: c}]\n")
        r = check(s)
        assert r.returncode == 78
        reported = [line.split(": ", 2)[2] for line in r.stderr.splitlines()]
        assert reported == [
            'unknown key "client" in limits; did you mean "clients"?',
            "prompt: expected a size such as 512KiB, 64MiB or 2GiB",
            'unknown key "modell"; did you mean "model"?',
            'unknown category "hat"; did you mean "hate"?',
            'unknown action "blok" in hate; did you mean "block"?',
            'unknown direction "replay"; did you mean "reply"?',
            'unknown category "defalt"; did you mean "default"?',
            'unknown key "paht" in filters; did you mean "path"?',
            "a plugin needs a name"], r.stderr


def test_a_reload_says_how_many_errors_there_are():
    with Service() as s, s.client() as c:
        s.file.write_text("a: 1\nb: 2\nc: 3\n")
        e = c.call("reload")
        assert e["code"] == "bad_config"
        assert e["message"].endswith('unknown key "a" (2 more)'), e


# ---- permissions of files


def test_a_file_that_others_may_write_is_refused():
    with Service(start=False) as s:
        s.file.chmod(0o664)
        r = check(s)
        assert r.returncode == 78
        assert "others may write it (mode 0664): chmod go-w" in r.stderr


def test_a_link_is_judged_where_it_leads():
    with Service(start=False) as s:
        loose = s.dir / "loose"
        loose.mkdir()
        real = loose / "real.yaml"
        real.write_text(s.file.read_text())
        s.file.unlink()
        s.file.symlink_to(real)
        assert check(s).returncode == 0
        loose.chmod(0o777)      # a writer of the folder can replace the file
        r = check(s)
        assert r.returncode == 78 and str(loose) in r.stderr
        loose.chmod(0o1777)     # nobody can: it is sticky
        assert check(s).returncode == 0


@ROOT_ONLY
def test_a_file_of_another_user_is_refused():
    with Service(start=False) as s:
        os.chown(s.file, 12345, -1)
        r = check(s)
        assert r.returncode == 78
        assert "belongs to uid 12345" in r.stderr


def test_a_state_folder_that_others_may_write_is_refused():
    with Service(start=False) as s:
        s.state.mkdir()
        s.state.chmod(0o770)
        r = check(s)
        assert r.returncode == 78
        assert "%s: others may write it" % s.state in r.stderr


# ---- chatd -t


@pytest.mark.parametrize("options,words", [
    ({"packs": str(SRC / "etc/rules"), "pakcs": "x"}, "pakcs"),
    ({"packs": "/nonexistent"}, "/nonexistent: No such file")])
def test_a_plugins_options_are_tried(options, words):
    with Service(start=False, filters=[dict(RULES, options=options)]) as s:
        r = check(s)
        assert r.returncode == 78
        assert "filters: " in r.stderr and words in r.stderr
        assert r.stderr.count(words) == 1, r.stderr


@pytest.mark.parametrize("name,options", [
    ("classifier", {"min_score": [0.5, 0.6]}), ("abuse", {"rate": [5, 6]}),
    ("pii", {"private": [True, False]})])
def test_a_list_for_one_value_is_refused(name, options):
    with Service(start=False, filters=[{
            "name": name, "options": options,
            "path": str(BUILD / (".libs/%s.so" % name))}]) as s:
        r = check(s)
        assert r.returncode == 78
        assert "plugin %s: %s: a list, expected one value\n" % (
            name, list(options)[0]) in r.stderr


def test_a_damaged_model_is_reported_once(tmp_path):
    data = bytearray((SRC / "plugins/classifier/classifier.model")
                     .read_bytes())
    data[1000] ^= 0xff
    (tmp_path / "bad.model").write_bytes(data)
    words = "bad.model: damaged: its digest is another"
    with Service(start=False, filters=[{
            "name": "classifier", "options": {
                "model": str(tmp_path / "bad.model")},
            "path": str(BUILD / ".libs/classifier.so")}]) as s:
        assert check(s).stderr.count(words) == 1
        s.start()
        s.wait(lambda: s.status()["helpers"]["filter"]["restarts"] >= 4)
        assert s.log.read_text().count(words) == 1
        assert "Killed" not in s.log.read_text()


@pytest.mark.parametrize("option,value,words", [
    ("max_tokens", 2048,
     "defaults.max_tokens: 2048 is more than the model's context: 1024 is"),
    ("top_k", 5000,
     "defaults.top_k: 5000 is more than the model's vocab: 4096 is used")])
def test_a_default_that_the_model_cannot_hold_is_lowered_and_logged(
        option, value, words):
    with Service(start=False, engine=BUILD / "chatd-engine", model=MINI,
                 config={"defaults": {option: value}}) as s:
        r = check(s)
        assert r.returncode == 0 and words in r.stderr, r.stderr
        s.start()
        s.wait_model()
        with s.client() as c:
            params = {} if option == "max_tokens" else {"max_tokens": 2}
            assert c.say("Hello", params=params)[1]["event"] == "done"
            # A value from a client is not lowered silently.
            e = c.call("say", text="Hello", params={option: value + 1})
            assert e["code"] == "bad_field", e
        assert s.log.read_text().count("defaults.%s: %d is more than"
                                       % (option, value)) == 1


def test_a_context_that_the_model_cannot_hold_is_an_error():
    with Service(start=False, model=MINI,
                 config={"model": {"context": 4096}}) as s:
        r = check(s)
        assert r.returncode == 78
        assert "the model was made for 1024 at most" in r.stderr


UNIT = """[Service]
# User=nobody-here
ExecStart=/usr/sbin/chatd
ProtectHome=%s
PrivateTmp=%s
ProtectSystem=strict
StateDirectory=chatd
"""


def test_paths_that_the_unit_hides_are_reported():
    with Service(start=False) as s:
        unit = s.dir / "chatd.service"
        unit.write_text(UNIT % ("yes", "no"))
        home = pathlib.Path("/home/nobody-here/model")
        r = check(s, "--unit", str(unit))
        assert r.returncode == 0
        assert "state_dir: %s: %s does not let chatd write there; add " \
            "ReadWritePaths=%s" % (s.state, unit, s.state) in r.stderr
        drop_in = s.dir / "chatd.service.d"
        drop_in.mkdir()
        (drop_in / "a.conf").write_text(
            "[Service]\nReadWritePaths=%s\n" % s.dir)
        assert "warning" not in check(s, "--unit", str(unit)).stderr
        unit.write_text(UNIT % ("yes", "yes"))
        assert "a /tmp of its own" in check(s, "--unit", str(unit)).stderr
        assert "of its own" not in check(s).stderr
        r = check(s, "--unit", str(unit), "-m", str(home))
        assert r.returncode == 78   # it is not even there


@ROOT_ONLY
def test_a_model_in_a_home_folder_is_reported():
    home = pathlib.Path("/home") / ("chatd-test-%d" % os.getpid())
    home.mkdir(parents=True)
    try:
        (home / "config.json").write_text("{}")
        with Service(start=False) as s:
            unit = s.dir / "chatd.service"
            unit.write_text(UNIT % ("yes", "no"))
            (s.dir / "link").symlink_to(home)
            for path in home, s.dir / "link":
                r = check(s, "--unit", str(unit), "-m", str(path))
                assert "model.path: %s: %s hides home folders" \
                    % (home, unit) in r.stderr
    finally:
        (home / "config.json").unlink()
        home.rmdir()


@ROOT_ONLY
def test_files_that_the_units_user_cannot_read_are_reported():
    with Service(start=False) as s:
        unit = s.dir / "chatd.service"
        unit.write_text("[Service]\nUser=nobody\n")
        r = check(s, "--unit", str(unit))
        assert r.returncode == 78 and "Permission denied" in r.stderr


@pytest.mark.parametrize("option", ["-h", "--help", "-V", "--version"])
def test_help_and_version_have_letters(option):
    r = subprocess.run([BUILD / "chatd", option], capture_output=True,
                       text=True, timeout=WAIT)
    assert r.returncode == 0 and r.stderr == ""
    assert r.stdout.startswith("usage: chatd" if "h" in option
                               else "chatd ")


# ---- health


def chatctl(service, *args):
    r = subprocess.run([BUILD / "chatctl", "-s", service.socket, *args],
                       stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=WAIT)
    return r.returncode, r.stdout


def test_health_is_one_line_and_a_status():
    with Service() as s:
        s.wait_model()
        status, text = chatctl(s, "health")
        assert status == 0 and text.startswith("ok; 0 running, 0 waiting; ")
        assert text.count("\n") == 1
        with s.client() as c:
            c.say("#say x")
        status, text = chatctl(s, "health", "--json")
        health = json.loads(text)
        assert status == 0 and health["health"] == "ok"
        assert health["why"] == []
        assert health["disk"]["free"] > 0
        assert abs(health["last_commit"] / 1000 - time.time()) < WAIT
        assert health["model"] == {"name": "scripted", "state": "ready"}
        assert {n: h["state"] for n, h in health["helpers"].items()} == \
            {"engine": "ready", "filter": "ready", "store": "ready"}
    assert chatctl(s, "health")[0] == 3


def test_health_of_a_loading_and_of_a_missing_model():
    with Service(env={"SCRIPTED_LOAD": "1000"}) as s:
        status, text = chatctl(s, "health")
        assert status == 3 and text.startswith("starting: engine: starting")
    with Service(env={"SCRIPTED_REFUSE": "1"}) as s:
        s.wait_model("down")
        status, text = chatctl(s, "health")
        assert status == 3
        assert text.startswith("down: engine: model.safetensors: scripted")


def test_status_and_health_are_true_with_a_full_disk():
    with scripted_store() as s:
        s.start()
        s.wait_model()
        with s.client() as c:
            s.full.write_text("")
            assert c.call("say", text="x")["code"] == "store_unavailable"
            store = c.call("status")["helpers"]["store"]
            assert store["state"] == "failing"
            assert store["why"] == "scripted: full"
            assert abs(store["since"] / 1000 - time.time()) < WAIT
            assert chatctl(s, "health")[0] == 3
            text = chatctl(s, "status")[1]
            assert "store      failing" in text
            assert "scripted: full" in text and "since 20" in text
            s.full.unlink()
            # Nobody writes anything: chatd itself finds out.
            s.wait(lambda: c.call("status")["helpers"]["store"]["state"]
                   == "ready")
            assert chatctl(s, "health")[0] == 0


@ROOT_ONLY
def test_health_reveals_nothing_about_other_users():
    nobody = pwd.getpwnam("nobody")
    with Service(config={"socket": {"mode": "0666"}}) as s:
        s.wait_model()
        with s.client() as c:
            c.say("#say x")
        s.dir.chmod(0o711)
        script = ("import socket, sys\n"
                  "s = socket.socket(socket.AF_UNIX)\n"
                  "s.connect(sys.argv[1])\n"
                  "s.sendall(b'{\"op\":\"health\",\"id\":1}\\n')\n"
                  "f = s.makefile()\n"
                  "f.readline()\n"
                  "print(f.readline())\n")
        r = subprocess.run(["/usr/bin/python3", "-c", script, str(s.socket)],
                           capture_output=True, text=True, timeout=WAIT,
                           user=nobody.pw_uid, group=nobody.pw_gid,
                           extra_groups=[])
        health = json.loads(r.stdout)
        assert health["health"] == "ok"
        assert "disk" not in health and "last_commit" not in health
        assert "total" not in health["exchanges"]
        assert str(s.dir) not in r.stdout


# ---- the end


def streams(service, n):
    """Begin that many endless replies, each on its own connection."""
    clients = [service.client() for _ in range(n)]
    for c in clients:
        c.send("say", text="#forever", params={"max_tokens": 1000000})
    for c in clients:
        c.until("text")
    return clients


@pytest.mark.parametrize("again", [False, True])
def test_sigterm_with_many_streams_ends_in_time_and_with_everything_stored(
        again):
    with Service(config={"limits": {
            "clients_per_uid": 300, "requests_per_uid": 300,
            "drain_time": "1h" if again else "500ms"}},
            env={"SCRIPTED_TICK": "0.02"}) as s:
        s.wait_model()
        clients = streams(s, 100)
        s.process.send_signal(signal.SIGTERM)
        s.wait(lambda: not s.socket.exists())
        if again:
            s.process.send_signal(signal.SIGTERM)
        # Each gets its last event, and only after it was stored.
        ends = [c.events(1)[-1] for c in clients]
        assert {e["event"] for e in ends} == {"done"}
        assert {e["stop"] for e in ends} == {"cancelled"}
        assert s.process.wait(WAIT) == 0
        wal = s.state / "chatd.db-wal"
        assert not wal.exists() or wal.stat().st_size == 0
        assert s.rows("select state, count(*) from reply group by 1") == \
            [("cancelled", 100)]
        for c in clients:
            c.sock.close()
