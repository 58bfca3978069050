# SPDX-License-Identifier: Apache-2.0
"""Every manual page is clean, and has the sections readers look for."""
import glob
import os
import re
import shutil
import subprocess

import pytest

SRC = os.environ.get("CHATD_SRC", os.getcwd())
PAGES = sorted(glob.glob(os.path.join(SRC, "man", "*.[1-9]")))
SECTIONS = {
    "1": ("SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES",
          "DIAGNOSTICS", "SECURITY CONSIDERATIONS"),
    "3": ("SYNOPSIS", "RETURN VALUES", "EXAMPLES", "DIAGNOSTICS",
          "SECURITY CONSIDERATIONS"),
    "5": ("FILES", "EXAMPLES", "SECURITY CONSIDERATIONS"),
    "7": ("EXAMPLES", "DIAGNOSTICS", "SECURITY CONSIDERATIONS"),
    "8": ("SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES",
          "DIAGNOSTICS", "SECURITY CONSIDERATIONS"),
}

pages = pytest.mark.parametrize("page", PAGES, ids=os.path.basename)
needs_mandoc = pytest.mark.skipif(
    shutil.which("mandoc") is None,
    reason="mandoc is missing: install mandoc")


def lint(path):
    return subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path],
                          text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def test_there_are_pages():
    assert len(PAGES) >= 6


@needs_mandoc
@pages
def test_page_is_lint_clean(page):
    r = lint(page)
    assert (r.returncode, r.stdout) == (0, "")


@needs_mandoc
def test_lint_would_tell_a_mistake(tmp_path):
    bad = tmp_path / "bad.1"
    bad.write_text(".Dd $Mdocdate$\n.Dt BAD 1\n.Os\n.Sh NAME\n.Nm bad\n"
                   ".Nd bad\n.Sh DESCRIPTION\n.Bl -tag\n.It Fl x\n")
    assert lint(str(bad)).stdout != ""


@pages
def test_page_has_its_sections(page):
    found = re.findall(r"^\.Sh (.*)$", read(page), flags=re.M)
    wanted = ("NAME", "DESCRIPTION") + SECTIONS[page[-1]] + ("SEE ALSO",)
    assert [s for s in wanted if s not in found] == []


@pages
def test_page_refers_only_to_pages_that_exist(page):
    ours = {os.path.basename(p) for p in PAGES}
    for name, section in re.findall(r"^\.Xr (\S+) (\d)", read(page),
                                    flags=re.M):
        if name.startswith("chat"):
            assert name + "." + section in ours
