# SPDX-License-Identifier: Apache-2.0
"""chatctl tune, beside a chatd-tune that plays a training within no time."""
import fcntl
import os
import shutil
import signal
import subprocess

import pytest

from fake_chatd import FakeChatd
from service import BUILD, Service, WAIT
from test_model_swap import two
from test_screen import WIDE, Screen

TRAINING = r"""#!/bin/sh
# Play 60 steps, and publish the folder of --out.
for word; do
	[ "$last" = --out ] && out=$word
	last=$word
done
i=0
while [ $i -lt 60 ]; do
	i=$((i + 1))
	echo "{\"event\":\"step\",\"step\":$i,\"steps\":60,\"loss\":$((99 - i)),"\
"\"left\":7200}"
done
%s
mkdir "$out"
echo "{\"event\":\"done\",\"published\":true,\"kind\":\"model\","\
"\"path\":\"$out\"}"
"""


def program(folder, then=":"):
    """chatctl in a folder with such a chatd-tune."""
    shutil.copy(BUILD / "chatctl", folder / "chatctl")
    (folder / "chatd-tune").write_text(TRAINING % then)
    (folder / "chatd-tune").chmod(0o755)
    return folder / "chatctl"


def tune(chatctl, socket, *args):
    return subprocess.run([chatctl, "-s", str(socket), "tune", *args],
                          capture_output=True, text=True, timeout=WAIT,
                          cwd=chatctl.parent, check=False)


@pytest.fixture
def service():
    """A chatd with a rated reply."""
    with Service() as s:
        s.wait_model()
        with s.client() as c:
            _, done = c.say("#say hello")
            done = c.call("rate", exchange=done["exchange"], thumb=1)
            assert done["event"] == "done", done
        yield s


def test_what_was_made_is_named_by_a_path_that_reload_takes(service, tmp_path):
    done = tune(program(tmp_path), service.socket, "--no-swap", "-o", "new")
    assert done.returncode == 0, done.stderr
    assert "made     %s; to use it: chatctl reload --model %s\n" % (
        tmp_path / "new", tmp_path / "new") in done.stdout


def test_a_model_that_was_made_is_not_lost_with_the_connection(service,
                                                               tmp_path):
    chatctl = program(tmp_path, "kill -KILL %d" % service.process.pid)
    done = tune(chatctl, service.socket, "-o", "new")
    assert done.returncode == 3, done.stderr
    assert "tune: new is complete; to use it when chatd is up: " \
        "chatctl reload --model %s\n" % (tmp_path / "new") in done.stderr


NOTHING = r"""#!/bin/sh
# Say that a model was made already, unless --again is given.
for word; do
	[ "$word" = --again ] && exit 7
done
echo '{"event":"stage","stage":"end","text":"these ratings made one already"}'
exit 4
"""


def test_why_there_is_nothing_to_learn_is_printed_once(service, tmp_path):
    chatctl = program(tmp_path)
    (tmp_path / "chatd-tune").write_text(NOTHING)
    done = tune(chatctl, service.socket, "--no-swap", "-o", "new")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("end      these ratings made one already\n")
    done = tune(chatctl, service.socket, "--no-swap", "--again", "-o", "new")
    assert done.returncode == 1


def test_a_slash_at_the_end_of_a_name_is_no_part_of_it(service, tmp_path):
    done = tune(program(tmp_path), service.socket, "--no-swap", "-o", "new/")
    assert done.returncode == 0, done.stderr
    assert "made     %s; to use it" % (tmp_path / "new") in done.stdout
    assert {p.name for p in tmp_path.iterdir()} == {"chatctl", "chatd-tune",
                                                    "new"}
    done = tune(tmp_path / "chatctl", service.socket, "-o", "")
    assert done.returncode == 2
    assert "tune: --output: is empty" in done.stderr


def test_a_run_that_was_killed_after_publishing_blocks_no_other(service,
                                                                tmp_path):
    """Its folder is complete, and what it left beside it is removed."""
    models = tmp_path / "models"
    for name in "tuned-20260101-000000", "tuned-20260101-000000.part":
        (models / name).mkdir(parents=True)
    done = tune(program(tmp_path), service.socket, "--no-swap", "--models",
                models)
    assert done.returncode == 0, done.stderr
    names = sorted(p.name for p in models.iterdir())
    assert len(names) == 2 and names[0] == "tuned-20260101-000000"
    assert not names[1].endswith(".part")


@pytest.mark.parametrize("args", [[], ["--parent", "/srv/model"]])
def test_tune_is_for_operators(tmp_path, args):
    path = str(tmp_path / "s")
    with FakeChatd(path, operator=False):
        done = tune(program(tmp_path), path, *args)
    assert done.returncode == 4
    assert done.stderr == "chatctl: denied: tune: for operators only\n"
    assert not list(tmp_path.glob("*ratings*"))


@pytest.mark.skipif(shutil.which("tmux") is None,
                    reason="tmux is not installed")
def test_the_steps_are_drawn_over_each_other_on_a_narrow_terminal(service,
                                                                  tmp_path):
    chatctl = program(tmp_path, "sleep 1")
    with Screen(service, tmp_path) as s:
        s.keys("C-d")
        s.wait("end 0")
        s.type("clear; cd %s; chatctl() { ./chatctl -s %s \"$@\"; }" % (
            tmp_path, service.socket))
        s.keys("Enter")
        s.type("clear; chatctl tune --no-swap -o new; echo end")
        s.keys("Enter")
        s.wait("to use it")
        lines = s.lines()
    assert not any(x.startswith("train") for x in lines), lines
    assert len([x for x in lines if " |" in x]) == 8, lines
    assert max(len(x) for x in lines) <= WIDE


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_swap_that_is_stopped_leaves_no_rated_texts(tmp_path, signal_):
    with two(tmp_path, load=30) as (s, _, b), s.client() as c:
        done = c.say("#long 3")[1]
        assert c.call("rate", exchange=done["exchange"],
                      thumb=1)["event"] == "done"
        chatctl = program(tmp_path, 'cp -r %s "$out"' % b)
        p = subprocess.Popen([chatctl, "-s", str(s.socket), "tune", "-o",
                              "new"], cwd=tmp_path, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        s.wait(lambda: s.status().get("swap", {}).get("state") == "loading")
        assert not list(tmp_path.glob("*ratings*"))
        p.send_signal(signal_)
        _, err = p.communicate(timeout=WAIT)
        assert p.returncode == (130 if signal_ == signal.SIGINT else 143)
        assert err.endswith(    # the scripted engine calls its model so
            "chatctl: tune: new is complete, but /scripted still serves; to "
            "use it: chatctl reload --model %s\n" % (tmp_path / "new"))
        s.wait(lambda: "swap" not in s.status())
        assert s.status()["model"]["name"] == "a"


def test_one_run_at_a_time_works_in_a_folder(service, tmp_path):
    chatctl = program(tmp_path)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    for args in ["--no-swap"], ["-o", tmp_path / "x"], ["--models", tmp_path]:
        done = tune(chatctl, service.socket, *args)
        assert done.returncode == 1
        assert "another chatctl tune works there" in done.stderr
    os.close(fd)
    assert tune(chatctl, service.socket, "--no-swap").returncode == 0
    done = tune(chatctl, service.socket, "--models", tmp_path, "-o", "x")
    assert done.returncode == 2
    assert "give --output or --models, not both" in done.stderr
    done = tune(chatctl, service.socket, "--models", tmp_path / "none")
    assert done.returncode == 1
    assert "none: No such file or directory" in done.stderr


def test_the_parent_is_not_tidied_away(service, tmp_path):
    models = tmp_path / "models"
    names = ["tuned-2026010%d-000000" % i for i in range(1, 7)]
    for name in names:
        (models / name).mkdir(parents=True)
    done = tune(program(tmp_path), service.socket, "--no-swap", "--models",
                models, "--parent", models / names[0])
    assert done.returncode == 0, done.stderr
    left = sorted(p.name for p in models.iterdir())
    assert left[:4] == [names[0]] + names[3:]


def test_a_model_that_is_not_named_is_an_error(service, tmp_path):
    done = tune(program(tmp_path, "exit 0"), service.socket, "-o", "new")
    assert (done.returncode, done.stderr) == (
        1, "chatctl: tune: chatd-tune ended without an error, but named no "
        'model; expected an event "done" with a path\n')
