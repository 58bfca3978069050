# SPDX-License-Identifier: Apache-2.0
"""The scripts that make and check the demonstration model."""
import os
import pathlib
import subprocess
import sys

import pytest

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()


@pytest.mark.parametrize("name", ["train.py", "check.py"])
def test_help_needs_no_torch_and_no_folder(name, tmp_path):
    for package in ("torch", "transformers", "tokenizers", "safetensors"):
        (tmp_path / (package + ".py")).write_text("raise ImportError\n")
    done = subprocess.run(
        [sys.executable, "-B", str(SRC / "tools/mini" / name), "--help"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: " + name)
