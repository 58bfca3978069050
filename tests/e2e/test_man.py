# SPDX-License-Identifier: Apache-2.0
"""Every manual page is clean, and has the sections that readers look for."""
import glob
import os
import re
import shutil
import subprocess

import pytest

SRC = os.environ.get("CHATD_SRC", os.getcwd())
BUILD = os.environ.get("CHATD_BUILD", ".")
PAGES = sorted(glob.glob(os.path.join(SRC, "man", "*.[1-9]")))
SECTIONS = {
    "1": ("SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES",
          "DIAGNOSTICS", "SECURITY CONSIDERATIONS"),
    "3": ("SYNOPSIS", "RETURN VALUES", "FILES", "EXAMPLES", "DIAGNOSTICS",
          "SECURITY CONSIDERATIONS"),
    "5": ("FILES", "EXAMPLES", "SECURITY CONSIDERATIONS"),
    "7": ("FILES", "EXAMPLES", "DIAGNOSTICS", "SECURITY CONSIDERATIONS"),
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
def test_lint_reports_a_mistake(tmp_path):
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


def options(text, start, end=None):
    """The long options in a part of a page."""
    part = text[text.index(start):text.index(end) if end else None]
    return {o for line in re.findall(r"^\.It (.*-.*)$", part, flags=re.M)
            for o in re.findall(r"-([a-z][a-z-]+)", line)}


@pytest.mark.parametrize("name, page, start, end", [
    ("chatd", "chatd.8", ".Sh DESCRIPTION", ".Ss The programs"),
    ("chatd-engine", "chatd-engine.8", ".Sh DESCRIPTION", ".Ss Requests"),
])
def test_page_has_the_options_that_help_lists(name, page, start, end):
    text = subprocess.run([os.path.join(BUILD, name), "--help"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    listed = set(re.findall(r"^ .*?--([a-z][a-z-]+)", text, flags=re.M))
    found = options(read(os.path.join(SRC, "man", page)), start, end)
    both = {"help", "version"}
    assert listed - both == found - both, (listed ^ found) - both


def test_configuration_page_gives_the_range_of_each_number():
    """The bounds of limits.* in the page are those that chatd enforces."""
    page = read(os.path.join(SRC, "man", "chatd.yaml.5"))
    source = read(os.path.join(SRC, "daemon", "config.c"))
    numbers = re.findall(r'{ "(\w+)", "(\w+)", CONFIG_INT, (\w+), (\d+),',
                         source)
    assert len(numbers) > 5
    for section, key, _, most in numbers:
        item = re.search(r"^\.It Cm %s\.%s\b.*?(?=^\.(It|El))"
                         % (section, key), page, flags=re.M | re.S)
        assert item is not None, section + "." + key
        if section == "limits":
            assert re.search(r"\b%s\b" % most, item[0]), item[0]
