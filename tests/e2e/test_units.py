# SPDX-License-Identifier: Apache-2.0
"""systemd accepts the units without a warning, and they are hardened."""
import os
import re
import shutil
import subprocess

import pytest

BUILD = os.environ.get("CHATD_BUILD", os.getcwd())
SRC = os.environ.get("CHATD_SRC", os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", ".."))
UNITS = ("chatd.service", "chatd.socket", "chatd-tune.service",
         "chatd-tune.timer")

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is missing: install systemd")


@pytest.fixture
def units(tmp_path):
    """The generated units; programs that are not installed yet stand for
    by one that is everywhere."""
    for name in UNITS:
        with open(os.path.join(BUILD, "etc", name), encoding="utf-8") as f:
            text = f.read()
        text = re.sub(r"^(ExecStart|ExecReload)=\S+", r"\1=/bin/true", text,
                      flags=re.M)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def analyze(folder, *arguments):
    return subprocess.run(["systemd-analyze", *arguments], cwd=folder,
                          text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=60, check=False)


def verify(folder):
    return analyze(folder, "verify", "--man=no",
                   *("./" + name for name in UNITS))


def test_nothing_is_left_to_substitute(units):
    for name in UNITS:
        text = (units / name).read_text(encoding="utf-8")
        assert not re.search(r"@[a-z]+@", text), name


def test_verify_is_silent(units):
    """verify prints its complaints, but its exit status is 0."""
    r = verify(units)
    assert (r.returncode, r.stdout) == (0, "")


def test_verify_finds_a_typo(units):
    path = units / "chatd.service"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("LimitCORE=", "LimitKORE="),
                    encoding="utf-8")
    assert "LimitKORE" in verify(units).stdout


def test_exposure_is_below_one(units):
    r = analyze(units, "security", "--offline=yes", "--threshold=10",
                "./chatd.service")
    assert r.returncode == 0, r.stdout


def test_exposure_finds_a_missing_line(units):
    path = units / "chatd.service"
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^(CapabilityBoundingSet|ProtectSystem|User)=.*\n", "",
                  text, flags=re.M)
    path.write_text(text, encoding="utf-8")
    r = analyze(units, "security", "--offline=yes", "--threshold=10",
                "./chatd.service")
    assert r.returncode != 0


@pytest.fixture
def cpu_only(units):
    """The service with the drop-in for machines without a GPU."""
    folder = units / "chatd.service.d"
    folder.mkdir()
    shutil.copy(os.path.join(SRC, "etc/cpu-only.conf"), folder)
    return units


def test_without_a_gpu_exposure_is_lower(cpu_only):
    assert verify(cpu_only).stdout == ""
    r = analyze(cpu_only, "security", "--offline=yes", "--threshold=4",
                "./chatd.service")
    assert r.returncode == 0, r.stdout


def test_lower_exposure_finds_a_missing_line(cpu_only):
    path = cpu_only / "chatd.service.d/cpu-only.conf"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub("^(ProcSubset|MemoryDeny|PrivateDev).*\n", "",
                           text, flags=re.M), encoding="utf-8")
    r = analyze(cpu_only, "security", "--offline=yes", "--threshold=4",
                "./chatd.service")
    assert r.returncode != 0


def test_exposure_of_the_trainer_is_low(units):
    r = analyze(units, "security", "--offline=yes", "--threshold=5",
                "./chatd-tune.service")
    assert r.returncode == 0, r.stdout


def test_exposure_of_the_trainer_finds_a_missing_line(units):
    path = units / "chatd-tune.service"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub("^(ProcSubset|MemoryDeny|PrivateDev|User).*\n",
                           "", text, flags=re.M), encoding="utf-8")
    r = analyze(units, "security", "--offline=yes", "--threshold=5",
                "./chatd-tune.service")
    assert r.returncode != 0


def test_the_trainer_is_off_and_asks_for_consent(units):
    """Only the timer starts it, and nothing starts the timer by itself."""
    service = (units / "chatd-tune.service").read_text(encoding="utf-8")
    assert "[Install]" not in service
    with open(os.path.join(SRC, "etc/chatd-tune.service.in"),
              encoding="utf-8") as f:
        text = f.read()
    assert re.search("^ExecStart=.* tune .*--consent$", text, flags=re.M)
    # The folder is the same at each start, so that a stopped run goes on.
    models = re.search("^ExecStart=.* --models %S/(\\S+) ", text,
                       flags=re.M)[1]
    assert models in re.search("^StateDirectory=(.*)$", text,
                               flags=re.M)[1].split()
    for name in ("chatd.service", "chatd.socket"):
        text = (units / name).read_text(encoding="utf-8")
        assert "chatd-tune" not in text, name


def test_nothing_ends_the_service_for_good(units):
    """A start limit would, and take the socket with it."""
    text = (units / "chatd.service").read_text(encoding="utf-8")
    assert re.search("^StartLimitIntervalSec=0$", text, flags=re.M)
    assert re.search("^RestartPreventExitStatus=78$", text, flags=re.M)
    assert re.search("^OOMPolicy=continue$", text, flags=re.M)


def test_peers_keep_their_uids(units):
    """With PrivateUsers= SO_PEERCRED would read as nobody for everyone."""
    text = (units / "chatd.service").read_text(encoding="utf-8")
    assert not re.search(r"^PrivateUsers=", text, flags=re.M)
