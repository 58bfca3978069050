# SPDX-License-Identifier: Apache-2.0
"""A header is enough to use what it declares: it compiles by itself, or its
first comment names the header that comes before it ("Include after X"), or the
file that it is a part of ("A part of X")."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import cuda_host

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()
BUILD = pathlib.Path(os.environ["CHATD_BUILD"]).resolve()
CC = shutil.which("cc") or shutil.which("gcc")
ROOMS = ("daemon", "engine", "plugins", "client")
HEADERS = sorted(p.relative_to(SRC) for room in ROOMS
                 for p in (SRC / room).rglob("*.h"))
SETS = ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512vnni", "-mavx512bw",
        "-mavx512bf16",
        "-mamx-tile", "-mamx-int8", "-mamx-bf16"]


def makefile_value(name):
    r = subprocess.run(
        ["make", "-s", "--no-print-directory", "-C", str(BUILD),
         "-f", "Makefile", "-f", "/dev/stdin", "print-value"],
        input="print-value:\n\t@echo '$(%s)'\n" % name, text=True,
        stdout=subprocess.PIPE, check=True, timeout=60,
        env={k: v for k, v in os.environ.items()
             if not k.startswith("MAKE") and k != "MFLAGS"})
    return r.stdout.strip()


@pytest.fixture(scope="module")
def flags():
    if CC is None:
        pytest.skip("there is no C compiler")
    words = makefile_value("AM_CPPFLAGS").split()
    quoted = []
    for i, w in enumerate(words):
        if w == "-iquote":
            quoted += ["-iquote", str((BUILD / words[i + 1]).resolve())]
    assert quoted, words
    return ["-std=gnu17", "-D_GNU_SOURCE", "-I" + str(BUILD), *quoted]


def first_comment(text):
    """Without the line of the licence, on one line."""
    return " ".join(text.split("*/", 2)[1].replace("\n *", " ").split())


def comes_after(text):
    """The header that must be included before this one, or nothing."""
    found = re.search(r"Include after ([\w.]+\.h)", first_comment(text))
    return [found[1]] if found else []


def is_part(header, text):
    """Does it name a file that includes it?"""
    found = re.search(r"A part of ([\w.*]+\.[ch])", first_comment(text))
    if not found:
        return False
    owners = list((SRC / header.parent).glob(found[1]))
    return any('#include "%s"' % header.name in p.read_text()
               for p in owners)


def is_cuda(header):
    """Is it C++ for nvcc?"""
    return header.parent.name == "cuda" and header.name != "module.h"


@pytest.mark.skipif(cuda_host.CXX is None, reason="there is no g++")
@pytest.mark.parametrize("header", [h for h in HEADERS if is_cuda(h)], ids=str)
def test_a_header_of_cuda_stands_alone(header):
    text = (SRC / header).read_text()
    if is_part(header, text):
        return
    r = subprocess.run(
        [cuda_host.CXX, *cuda_host.FLAGS, "-fsyntax-only",
         "-Wno-unused-function", "-x", "c++", "-"],
        input='#include "%s"\n' % header.name, text=True,
        stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr


@pytest.mark.parametrize("header", [h for h in HEADERS if not is_cuda(h)],
                         ids=str)
def test_a_header_stands_alone_or_says_what_comes_first(header, flags):
    text = (SRC / header).read_text()
    if is_part(header, text):
        return
    first = comes_after(text)
    vectors = any(h.startswith(("vec_avx", "tile_amx", "mat_pack_bf16"))
                  for h in [header.name, *first])
    source = "".join('#include "%s"\n' % h for h in [*first, header.name])
    # Such headers have static functions that nobody calls.
    r = subprocess.run(
        [CC, "-x", "c", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-Wno-unused-function", *flags, *(SETS if vectors else []), "-"],
        input=source, text=True, stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr
