# SPDX-License-Identifier: Apache-2.0
"""The helpers of a running chatd are in their sandboxes, and still work."""
import os

import pytest

from service import BUILD, SRC, Service

MINI = SRC / "engine/mini"
KEPT = {"store": 0b1011, "engine": 0b100}   # chown, override, fowner; search

with open(BUILD / "config.h", encoding="ascii") as f:
    SANITIZED = "#define WITH_SANITIZER 1" in f.read()


def status_of(pid):
    with open("/proc/%d/status" % pid, encoding="ascii") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """chatd with a model as tools that download models store it: a folder of
    links to files elsewhere."""
    blobs = tmp_path_factory.mktemp("blobs")
    model = tmp_path_factory.mktemp("model")
    for folder in blobs, model:
        os.chmod(folder, 0o755)
    for i, file in enumerate(sorted(
            x for x in MINI.iterdir() if x.is_file())):
        (blobs / str(i)).write_bytes(file.read_bytes())
        os.chmod(blobs / str(i), 0o644)
        os.symlink(blobs / str(i), model / file.name)
    with Service(engine=BUILD / "chatd-engine", model=model) as s:
        s.wait_model()
        yield s


@pytest.mark.parametrize("name", ["store", "engine"])
def test_a_helper_is_confined(service, name):
    status = status_of(service.helper_pid(name))
    if "Seccomp" not in status:
        pytest.skip("this kernel has no seccomp")
    assert status["Seccomp"] == "2"
    assert status["NoNewPrivs"] == "1"
    assert int(status["CapEff"], 16) & ~KEPT[name] == 0
    assert int(status["CapPrm"], 16) & ~KEPT[name] == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
@pytest.mark.skipif(SANITIZED, reason="the leak checker must look in")
@pytest.mark.parametrize("name", ["store", "engine", "filter"])
def test_others_of_the_same_user_can_not_look_in(service, name):
    with pytest.raises(PermissionError):
        os.listdir("/proc/%d/fd" % service.helper_pid(name))


def test_confined_helpers_answer_store_and_export(service):
    with service.client() as c:
        text, done = c.say("Hello", params={"seed": 1, "max_tokens": 20})
        assert done["event"] == "done" and text
        seen = c.events(c.send("export", format="oig"))
        assert seen[-1]["event"] == "done"
        assert c.call("delete", conversation=done["conversation"])["event"] \
            == "done"
    log = service.log.read_text()
    assert "sandbox" not in log or "Landlock" in log
