# SPDX-License-Identifier: Apache-2.0
"""bootstrap, with fake programs in place of apt, make, chatd and chatctl."""
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

SRC = os.environ.get("CHATD_SRC", os.getcwd())

DPKG_QUERY = """#!/bin/sh
while [ $# -gt 0 ] && [ "$1" != "--" ]; do
	case $1 in
	-*) ;;
	*) grep -qx "$1" "$STUBS/missing" || echo "installed $1 1.0" ;;
	esac
	shift
done
"""

APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$STUBS/calls"
[ "$DEBIAN_FRONTEND" = noninteractive ] || exit 9
case "$*" in
*install*) [ -f "$STUBS/apt-fails" ] && exit 100
	cp "$STUBS/left" "$STUBS/missing" ;;
esac
cat >/dev/null		# what it could take from a chat
"""

# autoreconf makes a configure, which makes a Makefile.
AUTORECONF = """#!/bin/sh
echo autoreconf >>"$STUBS/calls"
cat >configure <<'END'
#!/bin/sh
echo configure >>"$STUBS/calls"
cat >/dev/null
: >config.status
cp "$STUBS/Makefile" Makefile
END
chmod +x configure
"""

MAKEFILE = """all:
	@echo compiled
	@echo make >>"$(STUBS)/calls"
	@cp "$(STUBS)/chatd" "$(STUBS)/chatctl" .
check:
	@cp "$(STUBS)/test-suite.log" .
	@exit $$(cat "$(STUBS)/check-status")
"""

CHATD = """#!/usr/bin/python3
import os, signal, socket, sys
conf = sys.argv[sys.argv.index("-f") + 1]
stubs = os.environ["STUBS"]
open(stubs + "/conf", "w").write(open(conf).read())
open(stubs + "/folder", "w").write(os.path.dirname(conf))
if os.path.exists(stubs + "/chatd-fails"):
    sys.exit("chatd: no luck today")
def end(*_):
    open(stubs + "/calls", "a").write("chatd got TERM\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, lambda *_: open(stubs + "/calls", "a").write(
    "chatd got INT\\n"))
s = socket.socket(socket.AF_UNIX)
s.bind(os.path.join(os.path.dirname(conf), "chatd.sock"))
s.listen()
while True:
    signal.pause()
"""

CHATCTL = """#!/bin/sh
echo "chatctl $*" >>"$STUBS/calls"
stat -c %a "$(cat "$STUBS/folder")" >"$STUBS/mode"
echo "answer to $(cat)"
[ ! -f "$STUBS/chatctl-waits" ] || { echo waiting; exec sleep 60; }
exit "$(cat "$STUBS/chat-status")"
"""

SUITE = """# TOTAL: 9
# PASS:  %d
# SKIP:  %d
# XFAIL: 0
# FAIL:  %d
# XPASS: 0
# ERROR: %d

.. contents:: :depth: 2
"""


class Tree:
    """A tree with nothing in it but bootstrap, and a PATH of stand-ins."""

    def __init__(self, folder):
        self.top = folder / "a tree"
        self.stubs = folder / "stubs"
        self.run_dir = folder / "run"
        for d in (self.top / "etc", self.top / "engine" / "mini",
                  self.stubs, self.run_dir):
            d.mkdir(parents=True)
        shutil.copy(os.path.join(SRC, "bootstrap"), self.top)
        shutil.copy(os.path.join(SRC, "etc", "chatd.yaml.in"),
                    self.top / "etc")
        for name, text in (("dpkg-query", DPKG_QUERY), ("apt-get", APT_GET),
                           ("apt-cache", "#!/bin/sh\nexit 0\n"),
                           ("autoreconf", AUTORECONF), ("chatd", CHATD),
                           ("chatctl", CHATCTL),
                           ("id", "#!/bin/sh\necho 0\n")):
            self.stub(name, text)
        self.put("Makefile", MAKEFILE)
        for name in ("missing", "left", "calls"):
            self.put(name, "")
        self.put("chat-status", "0\n")
        self.put("check-status", "0\n")
        self.env = {"PATH": "%s:/usr/bin:/bin" % self.stubs,
                    "STUBS": str(self.stubs), "HOME": str(folder),
                    "XDG_RUNTIME_DIR": str(self.run_dir), "LC_ALL": "C"}

    def put(self, name, text):
        (self.stubs / name).write_text(text, encoding="utf-8")

    def stub(self, name, text):
        self.put(name, text)
        (self.stubs / name).chmod(0o755)

    def run(self, *args, text="", cwd="/", user=None, **env):
        return subprocess.run([str(self.top / "bootstrap"), *args],
                              input=text, cwd=cwd, text=True, timeout=60,
                              capture_output=True, env={**self.env, **env},
                              user=user, check=False)

    def calls(self):
        return (self.stubs / "calls").read_text(
            encoding="utf-8").splitlines()


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_alone_it_is_help(tree):
    r = tree.run()
    assert r.returncode == 0 and r.stderr == ""
    assert "./bootstrap chat" in r.stdout and "check" in r.stdout
    assert tree.calls() == []


@pytest.mark.parametrize("args", [["chad"], ["chat", "--fast"],
                                  ["chat", "Hello"], ["build", "x"]])
def test_mistakes_are_usage_errors(tree, args):
    r = tree.run(*args)
    assert r.returncode == 2 and r.stdout == ""
    assert "usage: ./bootstrap" in r.stderr


def test_nothing_is_installed_if_nothing_is_missing(tree):
    r = tree.run("build")
    assert r.returncode == 0, r.stderr
    assert tree.calls() == ["autoreconf", "configure", "make"]


def test_only_missing_packages_are_installed(tree):
    tree.put("missing", "libjansson-dev\nmake\n")
    r = tree.run("build")
    assert r.returncode == 0, r.stderr
    assert "installing: make libjansson-dev" in r.stderr
    assert tree.calls()[0].endswith(
        "install -y --no-install-recommends make libjansson-dev")


def test_lists_are_fetched_if_a_package_is_unknown(tree):
    tree.put("missing", "make\n")
    tree.stub("apt-cache", "#!/bin/sh\nexit 100\n")
    assert tree.run("build").returncode == 0
    assert tree.calls()[0].endswith("update")
    assert "install" in tree.calls()[1]


def test_a_failing_installation_is_tried_once_more(tree):
    tree.put("missing", "make\n")
    tree.put("apt-fails", "")
    r = tree.run("build")
    assert r.returncode == 1
    assert "can't be installed: make" in r.stderr
    assert [c.split()[-1] for c in tree.calls()] == ["make", "update",
                                                     "make"]


def test_tests_take_more_packages(tree):
    tree.put("missing", "libcmocka-dev\n")
    assert tree.run("build").returncode == 0
    assert not [c for c in tree.calls() if "apt-get" in c]
    tree.put("test-suite.log", SUITE % (1, 0, 0, 0))
    assert tree.run("check").returncode == 0
    assert [c for c in tree.calls() if c.endswith("libcmocka-dev")]


def test_without_root_and_sudo_it_prints_the_command(tree):
    tree.put("missing", "make\n")
    tree.stub("id", "#!/bin/sh\necho 1000\n")
    for name in ("sh", "dirname", "mkdir", "awk", "sort", "grep", "nproc",
                 "pwd", "cat"):
        (tree.stubs / name).symlink_to(shutil.which(name))
    r = tree.run("build", PATH=str(tree.stubs))
    assert r.returncode == 1
    assert "as root, run: apt-get install make" in r.stderr
    assert tree.calls() == []


def test_without_root_it_uses_sudo(tree):
    tree.put("missing", "make\n")
    tree.stub("id", "#!/bin/sh\necho 1000\n")
    tree.stub("sudo", '#!/bin/sh\necho sudo >>"$STUBS/calls"\nexec "$@"\n')
    assert tree.run("build").returncode == 0
    assert tree.calls()[0] == "sudo"


def test_configure_runs_again_after_packages_have_changed(tree):
    assert tree.run("build").returncode == 0
    assert tree.run("build").returncode == 0
    assert tree.calls() == ["autoreconf", "configure", "make", "make"]
    tree.stub("dpkg-query", DPKG_QUERY.replace("1.0", "1.1"))
    assert tree.run("build").returncode == 0
    assert tree.calls()[4:] == ["configure", "make"]


def test_a_chat_is_only_the_answer_on_standard_output(tree):
    r = tree.run("chat", text="Hello")
    assert (r.returncode, r.stdout) == (0, "answer to Hello\n")
    assert "compiled" not in r.stderr
    assert (tree.stubs / "mode").read_text() == "700\n"
    assert "chatd got TERM" in tree.calls()
    assert list(tree.run_dir.iterdir()) == []


def test_a_chat_installs_without_taking_its_input(tree):
    tree.put("missing", "make\n")
    assert tree.run("chat", text="Hello").stdout == "answer to Hello\n"


def test_a_chat_ends_as_chatctl_ends(tree):
    tree.put("chat-status", "3\n")
    assert tree.run("chat").returncode == 3
    assert list(tree.run_dir.iterdir()) == []


def test_the_private_configuration(tree):
    (tree.top / "it's a model").mkdir()
    r = tree.run("chat", "--model", "it's a model", cwd=tree.top)
    assert r.returncode == 0, r.stderr
    conf = (tree.stubs / "conf").read_text()
    folder = (tree.stubs / "folder").read_text()
    assert "state_dir: '%s/state'" % folder in conf
    assert "path: '%s/it''s a model'" % tree.top in conf
    assert "program: '%s/build/chatd-engine'" % tree.top in conf
    assert "packs: '%s/etc/rules'" % tree.top in conf
    assert "\npolicy:\n" in conf


def test_a_wrong_word_of_chat_is_named(tree):
    for words, what in ((["--modle", "x"], "unknown argument: --modle"),
                        (["--model"], "--model needs a path")):
        r = tree.run("chat", *words)
        assert r.returncode == 2 and what in r.stderr, r.stderr
    assert tree.calls() == []


def test_options_after_two_dashes_are_for_chatctl(tree):
    assert tree.run("chat", "--keep", "--", "--temperature", "0",
                    "a b").returncode == 0
    assert "--temperature 0 a b" in "".join(tree.calls())


def test_with_keep_a_second_terminal_can_join(tree):
    r = tree.run("chat", "--keep")
    assert "in a second terminal: %s/build/chatctl --socket " % tree.top \
        in r.stderr


def test_a_tree_that_cannot_be_written_is_used_as_it_is():
    """Root may write everywhere, so this runs as another user."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chatd-test-"))
    user = 65534 if os.geteuid() == 0 else None
    try:
        tree = Tree(folder)
        assert tree.run("chat").returncode == 0
        build = tree.top / "build"
        for path in folder, tree.top, build:
            path.chmod(0o555)
        for path in [tree.stubs, tree.run_dir, *tree.stubs.iterdir()]:
            path.chmod(0o777)
        before = tree.calls()
        r = tree.run("chat", user=user)
        assert r.returncode == 0, r.stderr
        calls = tree.calls()[len(before):]
        assert any(c.startswith("chatctl") for c in calls)
        assert [c for c in calls
                if c.startswith(("make", "configure", "apt"))] == []
        build.chmod(0o755)
        (build / "chatd").unlink()
        build.chmod(0o555)
        r = tree.run("chat", user=user)
        assert r.returncode == 1 and "no finished build" in r.stderr
    finally:
        for path in folder, folder / "a tree", folder / "a tree/build":
            path.chmod(0o755)
        shutil.rmtree(folder)


def test_the_wait_for_a_model_has_the_default_limit(tree):
    """How long chatctl waits by itself knows loading from down."""
    assert tree.run("chat").returncode == 0
    assert "--wait" not in "".join(tree.calls())


def test_the_model_may_come_from_the_environment(tree):
    (tree.top / "big").mkdir()
    assert tree.run("chat", CHATD_MODEL=str(tree.top / "big")).returncode == 0
    assert "path: '%s/big'" % tree.top in (tree.stubs / "conf").read_text()
    r = tree.run("chat", CHATD_MODEL="/nowhere/big")
    assert r.returncode == 1 and "no model at /nowhere/big" in r.stderr


def test_keep_keeps_the_state(tree):
    r = tree.run("chat", "--keep", XDG_STATE_HOME=str(tree.top / "state"))
    assert r.returncode == 0, r.stderr
    kept = tree.top / "state" / "chatd-private"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert "state_dir: '%s'" % kept in (tree.stubs / "conf").read_text()
    assert list(tree.run_dir.iterdir()) == []


def test_a_chatd_that_does_not_start_is_reported(tree):
    tree.put("chatd-fails", "")
    r = tree.run("chat")
    assert r.returncode == 1 and r.stdout == ""
    assert "no luck today" in r.stderr
    assert list(tree.run_dir.iterdir()) == []


def test_a_build_that_fails_is_shown(tree):
    tree.put("Makefile", "all:\n\t@echo no such header; exit 2\n")
    r = tree.run("chat")
    assert r.returncode == 1 and r.stdout == ""
    assert "no such header" in r.stderr
    assert "build/bootstrap.log" in r.stderr
    log = (tree.top / "build" / "bootstrap.log").read_text()
    assert "no such header" in log


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_nothing_remains_after(tree, sig):
    """As a terminal does it: to the whole foreground group."""
    def foreground():       # though we may run in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    tree.put("chatctl-waits", "")
    with subprocess.Popen([str(tree.top / "bootstrap"), "chat"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, cwd="/",
                          env=tree.env, start_new_session=True,
                          preexec_fn=foreground) as p:
        while p.stdout.readline() != "waiting\n":
            pass
        os.killpg(p.pid, sig)
        assert p.wait(30) == 128 + sig
    assert "chatd got TERM" in tree.calls()
    assert "chatd got INT" not in tree.calls()
    assert list(tree.run_dir.iterdir()) == []


@pytest.mark.parametrize("suite,status,last,rc", [
    (SUITE % (7, 2, 0, 0), 0, "7 passed, 0 failed, 2 skipped", 0),
    (SUITE % (5, 1, 2, 1), 2, "5 passed, 3 failed, 1 skipped", 1),
    # make failed but no test did, so the build has failed
    (SUITE % (7, 0, 0, 0), 2, "7 passed, 1 failed, 0 skipped", 1),
    ("", 2, "0 passed, 1 failed, 0 skipped", 1),
    # nothing was run
    (SUITE % (0, 0, 0, 0), 0, "0 passed, 1 failed, 0 skipped", 1),
    (SUITE % (0, 9, 0, 0), 0, "0 passed, 1 failed, 9 skipped", 1),
])
def test_check_ends_with_the_sums(tree, suite, status, last, rc):
    tree.put("test-suite.log", suite)
    tree.put("check-status", "%d\n" % status)
    r = tree.run("check")
    assert r.stdout.splitlines()[-1] == last
    assert r.returncode == rc


def test_an_old_summary_does_not_count(tree):
    (tree.top / "build").mkdir()
    (tree.top / "build" / "test-suite.log").write_text(SUITE % (7, 0, 0, 0))
    tree.put("Makefile", "all:\n\t@exit 2\n")
    r = tree.run("check")
    assert r.stdout.splitlines()[-1] == "0 passed, 1 failed, 0 skipped"
    assert r.returncode == 1


def test_ci_calls_exactly_check():
    text = pathlib.Path(SRC, ".ci", "run").read_text(encoding="utf-8")
    assert text.splitlines()[-1].endswith("exec ./bootstrap check")
