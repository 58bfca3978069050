# SPDX-License-Identifier: Apache-2.0
"""chatd-store on a disk that fails, and on one that loses power;
tests/fault/store_faults.py has how.

STORE_FAULTS=all tries every point and 2,500 power cuts (minutes) instead of
some of each.
"""
import os
import pathlib
import sys

import pytest

SRC = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SRC / "tests/fault"))
from store_faults import (  # noqa: E402
    compile_shim, cut_migration, record, run, survey, sweep)

ALL = os.environ.get("STORE_FAULTS") == "all"


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    try:
        return compile_shim(tmp_path_factory.mktemp("shim") / "shim.so")
    except FileNotFoundError:
        pytest.skip("no C compiler for the shim")


@pytest.mark.parametrize("sticky", ["once", "for good"])
@pytest.mark.parametrize("call, step", [
    ("write", 13), ("sync", 1), ("read", 5), ("truncate", 1)])
def test_a_failing_disk_loses_nothing_acknowledged(shim, tmp_path, call, step,
                                                   sticky):
    points = sweep(shim, tmp_path, call, sticky == "for good",
                   1 if ALL else step)
    print("%s %s: %d points" % (call, sticky, points))
    assert points >= 2


def test_a_disk_that_drops_writes_is_detected(shim, tmp_path):
    found = [n for n in range(60, 700, 40)
             if run(shim, tmp_path / str(n), SHIM_CALL="write",
                    SHIM_AT=str(n), SHIM_LIE="1", SHIM_STICKY="1")[1]]
    assert found


# ---- power loss

@pytest.fixture(scope="module")
def recording(shim, tmp_path_factory):
    return record(shim, tmp_path_factory.mktemp("power"))


def test_power_loss_loses_nothing_acknowledged(recording, tmp_path):
    assert {kind for kind, _, _, _ in recording} == {"W", "S", "T", "O"}
    assert survey(recording, tmp_path / "disk", 2500 if ALL else 300,
                  True) == []


def test_without_syncs_power_loss_is_detected(recording, tmp_path):
    assert len(survey(recording, tmp_path / "disk", 100, False)) > 10


def test_with_a_sync_now_and_then_power_loss_is_detected(shim, tmp_path):
    """The control: synchronous = NORMAL loses what it has acknowledged."""
    (tmp_path / "log").mkdir()
    log = record(shim, tmp_path / "log", SHIM_NORMAL="1")
    found = survey(log, tmp_path / "disk", 100, True)
    assert any("lost" in str(f) for _, f in found)


# ---- an old file

@pytest.mark.parametrize("call, step", [("write", 9), ("sync", 1)])
def test_a_migration_that_is_killed_anywhere_loses_nothing(shim, tmp_path,
                                                           call, step):
    script = (SRC / "tests/data/store-v1.sql").read_text()
    versions = cut_migration(shim, tmp_path, script, call,
                             1 if ALL else step)
    print(versions)
    assert versions == sorted(versions)
    assert set(versions) >= ({1, 3} if call == "write" else {1, 2})
