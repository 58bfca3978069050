# SPDX-License-Identifier: Apache-2.0
"""chatd as installed, under a real systemd that is booted in a container.

This file makes the container and removes it; nspawn_probe.py runs inside.  The
tests are skipped without root, without systemd-nspawn, or if the kernel does
not allow such a container.
"""
import ast
import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import pytest

BUILD = pathlib.Path(os.environ.get("CHATD_BUILD", ".")).resolve()
HERE = pathlib.Path(__file__).resolve().parent
PROBE = HERE / "nspawn_probe.py"
SYSTEMD = "/usr/lib/systemd/systemd"
BOOT = 420          # seconds for all of it: a hang, not a slow machine
NAMES = [n.name for n in ast.parse(PROBE.read_text()).body
         if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]

UNIT = """[Unit]
Description=Tests of chatd
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
ExecStart=/usr/bin/python3 /run/probe/nspawn_probe.py
StandardOutput=append:/run/probe/out/console
StandardError=append:/run/probe/out/console
ExecStopPost=/usr/bin/systemctl --force --force poweroff
"""

# A mount namespace of its own, so that nothing is left mounted.
# Control groups of its own, so that two containers don't meet in one.
GROUPS = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")
BOOT_SCRIPT = """set -e
for top in %s; do
    test -e $top/cgroup.procs && mkdir $top/"$3" &&
        echo $$ >$top/"$3"/cgroup.procs || :
done
mount --bind / "$1"
exec systemd-nspawn -q -D "$1" --volatile=overlay --private-network \
    --register=no --keep-unit --link-journal=no --console=pipe \
    --machine="$3" --bind="$2:/run/probe" \
    --bind-ro="$2/units:/run/systemd/system" \
    -b systemd.unit=probe.service
""" % " ".join(GROUPS)


def make_environment():
    """The environment without variables of an outer make, such as -w."""
    return {k: v for k, v in os.environ.items()
            if not k.startswith("MAKE") and k != "MFLAGS"}


def makefile_value(name):
    r = subprocess.run(
        ["make", "-s", "--no-print-directory", "-C", str(BUILD),
         "-f", "Makefile", "-f", "/dev/stdin", "print-value"],
        input="print-value:\n\t@echo $(%s)\n" % name, text=True,
        stdout=subprocess.PIPE, check=True, timeout=60,
        env=make_environment())
    return r.stdout.strip()


def missing():
    if os.getuid() != 0:
        return "needs root"
    if shutil.which("systemd-nspawn") is None:
        return "systemd-nspawn is missing: install systemd-container"
    if "WITH_SANITIZER 1" in (BUILD / "config.h").read_text():
        return "a sanitizer needs more than the unit allows"
    if not os.path.exists(SYSTEMD):
        return "systemd is missing"
    units = makefile_value("systemdsystemunitdir")
    if units not in ("/usr/lib/systemd/system", "/lib/systemd/system",
                     "/usr/local/lib/systemd/system",
                     "/etc/systemd/system"):
        return "the units go to %s, where systemd does not look" % units
    return None


def prepare(folder):
    """Everything that the container is to find in /run/probe."""
    subprocess.run(["make", "-s", "-C", str(BUILD), "install",
                    "DESTDIR=%s" % (folder / "root")], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                   env=make_environment(), timeout=300)
    shutil.copy(PROBE, folder)
    for name in "units", "out":
        (folder / name).mkdir()
    (folder / "units/probe.service").write_text(UNIT)
    facts = {n: makefile_value(n) for n in ("confdir", "bindir", "sbindir")}
    facts["cpu_only"] = makefile_value("docdir") + "/cpu-only.conf"
    (folder / "facts.json").write_text(json.dumps(facts))


def sweep(name):
    """Remove the empty control groups of the container."""
    for top in GROUPS:
        for folder, _, _ in os.walk(os.path.join(top, name), topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def boot(folder):
    """Run the container to its end. Returns its output."""
    root = folder.with_name(folder.name + "-root")
    root.mkdir()
    name = "chatd-test-%d" % os.getpid()
    with subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c",
             BOOT_SCRIPT, "sh", str(root), str(folder), name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True) as p:
        try:
            text = p.communicate(timeout=BOOT)[0]
        except subprocess.TimeoutExpired:
            # The container's first process is a child of the one we began.
            os.killpg(p.pid, signal.SIGKILL)
            text = p.communicate()[0]
    root.rmdir()
    sweep(name)
    return text.decode(errors="replace")


@pytest.fixture(scope="module")
def results():
    why = missing()
    if why is not None:
        pytest.skip(why)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chatd-nspawn-"))
    folder.chmod(0o755)
    try:
        prepare(folder)
        text = boot(folder)
        out = folder / "out/results"
        if not out.exists():
            pytest.skip("no container could be booted here: "
                        + " ".join(text[-500:].split()))
        found = dict(json.loads(line) for line in out.read_text().splitlines())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert found.pop("install") is None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_under_systemd(results, name):
    assert name in results, "the container ended before: " + str(results)
    assert results[name] is None, results[name]
