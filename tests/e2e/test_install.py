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
