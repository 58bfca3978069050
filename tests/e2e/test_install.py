# SPDX-License-Identifier: Apache-2.0
"""make install puts files at the right places; make uninstall removes them."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", os.getcwd()))
ENV = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}


def make(target, root):
    subprocess.run(["make", "-s", "-C", BUILD, target, "DESTDIR=%s" % root],
                   check=True, stdout=subprocess.DEVNULL, timeout=300,
                   env=ENV)


def files(root):
    return {p for p in root.rglob("*") if not p.is_dir()}


@pytest.fixture
def installed(tmp_path):
    make("install", tmp_path)
    return tmp_path


def config(root):
    found = list(root.rglob("chatd.yaml"))
    assert len(found) == 1
    return found[0]


def test_uninstall_leaves_nothing(installed):
    assert len(files(installed)) > 30
    make("uninstall", installed)
    assert files(installed) == set()
    # Nor a folder that only chatd uses. The prefix may have chatd in its name.
    assert list(installed.rglob("chatd")) == []


def test_uninstall_leaves_a_changed_configuration(installed):
    path = config(installed)
    path.write_text(path.read_text() + "log_level: debug\n")
    make("install", installed)
    assert "log_level: debug" in path.read_text()
    make("uninstall", installed)
    assert files(installed) == {path}


def value(name):
    """A variable of the Makefile."""
    found = re.search("^%s =(.*)$" % name,
                      (BUILD / "Makefile").read_text(), re.M)
    return found[1].strip()


@pytest.mark.skipif(shutil.which("pkg-config") is None,
                    reason="needs pkg-config")
def test_a_program_is_built_with_the_installed_library(installed):
    """Only what is installed is used: the header, the library, its .pc file
    and an example."""
    pc = next(installed.rglob("libchat.pc"))
    env = dict(ENV, PKG_CONFIG_PATH=str(pc.parent),
               PKG_CONFIG_SYSROOT_DIR=str(installed),
               PKG_CONFIG_ALLOW_SYSTEM_CFLAGS="1",
               PKG_CONFIG_ALLOW_SYSTEM_LIBS="1")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libchat"],
                           env=env, check=True, text=True, timeout=20,
                           stdout=subprocess.PIPE).stdout.split()
    libs = [p.name for p in pc.parents[1].glob("libchat*")]
    assert sorted(libs) == ["libchat.la", "libchat.so", "libchat.so.0",
                            "libchat.so.0.0.0"]
    examples = next(installed.rglob("chat-say.c")).parent
    assert {p.name for p in examples.iterdir()} == {
        "chat-poll.c", "chat-say.c", "chat-say.py", "chat-say.sh"}
    assert [p.parent.name for p in installed.rglob("chat.3")] == ["man3"]
    for name in "chat-say", "chat-poll":
        program = installed / name
        subprocess.run([*value("CC").split(), *value("SAN_CFLAGS").split(),
                        "-o", program, examples / (name + ".c"), *flags],
                       check=True, timeout=60)
    r = subprocess.run([installed / "chat-say", "/nowhere/s", "x"], text=True,
                       env=dict(ENV, LD_LIBRARY_PATH=str(pc.parents[1])),
                       capture_output=True, timeout=20, check=False)
    assert (r.returncode, r.stderr) == \
        (1, "chat-say: /nowhere/s: no_socket: no such socket\n")


def test_the_completion_of_zsh_is_where_debians_zsh_looks(installed):
    found = [p for p in installed.rglob("_chatctl")]
    assert len(found) == 1
    folder = "/" + str(found[0].parent.relative_to(installed))
    prefix = re.search("^prefix = (.*)$", (BUILD / "Makefile").read_text(),
                       re.M)[1]
    if prefix == "/usr":
        assert folder == "/usr/share/zsh/vendor-completions"
    elif prefix == "/usr/local":
        assert folder == "/usr/local/share/zsh/site-functions"
    if prefix in ("/usr", "/usr/local") and shutil.which("zsh"):
        r = subprocess.run(["zsh", "-c", "print -l $fpath"], text=True,
                           capture_output=True, check=True, timeout=20)
        assert folder in r.stdout.split()
