# SPDX-License-Identifier: Apache-2.0
"""The test driver counts cases, and a test without a result fails."""
import os
import pathlib
import subprocess

import pytest

SRC = os.environ.get("CHATD_SRC", os.getcwd())
BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", os.getcwd()))
DRIVER = os.path.join(SRC, "build-aux", "run-test")

PROGRAMS = {
    "passes": ("echo 1..2; echo 'ok 1 - a'; echo 'ok 2 - b'",
               ["PASS a", "PASS b"], "PASS"),
    "fails": ("echo 1..2; echo 'ok 1 - a'; echo 'not ok 2 - b'; exit 1",
              ["PASS a", "FAIL b"], "FAIL"),
    "skips_one": ("echo 1..2; echo 'ok 1 - a'; echo 'not ok 2 # SKIP b'",
                  ["PASS a", "SKIP b"], "PASS"),
    "two_groups": ("echo 1..1; echo 'ok 1 - a'; echo 1..1; echo 'ok 1 - b'",
                   ["PASS a", "PASS b"], "PASS"),
    "says_nothing": ("exit 0", ["FAIL t: reported no case (exit status 0)"],
                     "FAIL"),
    "crashes_at_once": ("kill -ABRT $$", ["FAIL t: reported no case "
                                          "(exit status 134)"], "FAIL"),
    "crashes_midway": ("echo 1..3; echo 'ok 1 - a'; kill -SEGV $$",
                       ["PASS a", "FAIL a case that never ran",
                        "FAIL a case that never ran"], "FAIL"),
    "bad_exit": ("echo 1..1; echo 'ok 1 - a'; exit 3",
                 ["PASS a", "FAIL t: exit status 3"], "FAIL"),
    "skips_all": ("echo no such thing here; exit 77",
                  ["SKIP t: no such thing here"], "SKIP"),
    "hangs": ("echo 1..1; exec sleep 60",
              ["FAIL a case that never ran", "FAIL t: no end within 1 s"],
              "FAIL"),
}

PYTESTS = {
    "passes": ("def test_a(): pass\n", ["PASS t.py::test_a"], "PASS"),
    "fails": ("def test_a(): assert 0\n", ["FAIL t.py::test_a"], "FAIL"),
    "parameters": ("import pytest\n"
                   "@pytest.mark.parametrize('x', ['a b', 'PASSED'])\n"
                   "def test_a(x): assert x == 'a b'\n",
                   ["PASS t.py::test_a[a b]", "FAIL t.py::test_a[PASSED]"],
                   "FAIL"),
    "skips": ("import pytest\ndef test_a(): pytest.skip('no moon')\n",
              ["SKIP t.py::test_a SKIPPED (no moon)"], "SKIP"),
    "holds_no_test": ("x = 1\n",
                      ["FAIL t.py: reported no case (exit status 5)"],
                      "FAIL"),
    "can_not_be_read": ("def test_a(:\n",
                        ["FAIL t.py: reported no case (exit status 2)"],
                        "FAIL"),
    "fails_at_the_end": ("import pytest\n@pytest.fixture\ndef f():\n"
                         "    yield 1\n    assert 0\n"
                         "def test_a(f): pass\n",
                         ["PASS t.py::test_a", "FAIL t.py::test_a"],
                         "FAIL"),
}


def drive(folder, name, **environment):
    """Run the driver. Returns the cases and the whole test's result."""
    env = dict(os.environ, TMPDIR=str(folder), **environment)
    subprocess.run(["sh", DRIVER, "--test-name", name, "--log-file",
                    "t.log", "--trs-file", "t.trs", "--color-tests", "no",
                    "--", "./" + name], cwd=folder, env=env, timeout=60,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   check=True)
    fields = [line[1:].split(": ", 1) for line in
              (folder / "t.trs").read_text(encoding="utf-8").splitlines()]
    return ([v for k, v in fields if k == "test-result"],
            dict(fields)["global-test-result"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_that(name, tmp_path):
    script, cases, result = PROGRAMS[name]
    path = tmp_path / "t"
    path.write_text("#!/bin/sh\n" + script + "\n", encoding="utf-8")
    path.chmod(0o755)
    limit = "1" if name == "hangs" else "30"
    assert drive(tmp_path, "t", TEST_TIMEOUT=limit) == (cases, result)


@pytest.mark.parametrize("name", PYTESTS)
def test_pytest_file_that(name, tmp_path):
    text, cases, result = PYTESTS[name]
    (tmp_path / "t.py").write_text(text, encoding="utf-8")
    assert drive(tmp_path, "t.py") == (cases, result)


def test_missing_pytest_skips(tmp_path):
    (tmp_path / "t.py").write_text("def test_a(): pass\n", encoding="utf-8")
    assert drive(tmp_path, "t.py", PYTHON="/nowhere/python3") == (
        ["SKIP t.py: pytest is missing: install python3-pytest"], "SKIP")


def fuzz(folder, *files, src=SRC):
    """Run the fuzz target that has faults, found inputs into folder."""
    if not (BUILD / "libfuzzdriver.la").exists():
        pytest.skip("built with --enable-fuzzers")
    (folder / "tests/fuzz").mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [BUILD / "tests/fuzz/fuzz_broken", *files],
        env=dict(os.environ, CHATD_BUILD=str(folder), CHATD_SRC=str(src)),
        capture_output=True, text=True, timeout=60, check=False)


def test_the_fuzz_driver_keeps_an_input_that_crashes(tmp_path):
    run = fuzz(tmp_path)
    assert run.returncode == 1
    assert "not ok 3 - broken: mutations" in run.stdout
    assert "ok 1 - broken: seeds" in run.stdout
    found, = (tmp_path / "tests/fuzz").iterdir()
    assert str(found) in run.stdout
    assert b"boom" in found.read_bytes()
    assert fuzz(tmp_path, found).returncode == -6


def test_the_fuzz_driver_makes_the_same_inputs_each_time(tmp_path):
    found = []
    for name in ("a", "b"):
        fuzz(tmp_path / name)
        path, = (tmp_path / name / "tests/fuzz").iterdir()
        found.append((path.name, path.read_bytes()))
    assert found[0] == found[1]


def test_the_fuzz_driver_takes_seeds_and_bounds_memory(tmp_path):
    config = (BUILD / "config.h").read_text(encoding="utf-8")
    sanitizer = "#define WITH_SANITIZER 1" in config
    for word, bad in (("boom", True), ("huge", not sanitizer),
                      ("none", False)):
        folder = tmp_path / word / "tests/fuzz"
        seeds = folder / "seeds/broken"
        seeds.mkdir(parents=True)
        (seeds / "one").write_text(word, encoding="utf-8")
        run = fuzz(tmp_path / word, src=tmp_path / word)
        assert ("not ok 1 - broken: seeds" in run.stdout) == bad, word
        found = sorted(p.name for p in folder.glob("found-*"))
        assert ("found-broken-1-0" in found) == bad
