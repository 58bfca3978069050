# SPDX-License-Identifier: Apache-2.0
"""Shell completions: their syntax is valid, they have every command and option
that chatctl --help lists, and Tab in bash offers the right words."""
import os
import re
import shutil
import subprocess

import pytest

BUILD = os.environ.get("CHATD_BUILD", os.getcwd())
SRC = os.environ.get("CHATD_SRC", os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", ".."))
CHATCTL = os.path.join(BUILD, "chatctl")
FOLDER = os.path.join(SRC, "etc", "completions")
FILES = {"bash": "chatctl.bash", "zsh": "_chatctl", "fish": "chatctl.fish"}


def read(shell):
    with open(os.path.join(FOLDER, FILES[shell])) as f:
        return f.read()


def help_of(*args):
    return subprocess.run([CHATCTL, *args, "--help"], text=True, timeout=20,
                          capture_output=True, check=True).stdout


def commands():
    listed = help_of().split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in listed.splitlines()]


def options(text):
    return set(re.findall(r"^  +(?:-., )?--([a-z-]+)", text, re.M))


def complete(*words, env=None):
    """The words that bash offers in place of the last one."""
    script = ('source "$1"; shift\nCOMP_WORDS=("$@")\n'
              'COMP_CWORD=$(($# - 1))\n_chatctl\n'
              'printf "%s\\n" "${COMPREPLY[@]}"\n')
    p = subprocess.run(
        ["bash", "-c", script, "bash", os.path.join(FOLDER, FILES["bash"]),
         "chatctl", *words], text=True, capture_output=True, timeout=20,
        env={"PATH": BUILD + ":" + os.environ["PATH"], **(env or {})})
    assert (p.returncode, p.stderr) == (0, "")
    return p.stdout.split()


@pytest.mark.parametrize("shell", FILES)
def test_the_file_parses(shell):
    if shutil.which(shell) is None:
        pytest.skip("%s is not installed" % shell)
    flag = "--no-execute" if shell == "fish" else "-n"
    subprocess.run([shell, flag, os.path.join(FOLDER, FILES[shell])],
                   check=True, timeout=20)


@pytest.mark.parametrize("shell", FILES)
def test_every_command_and_option_is_known(shell):
    text = read(shell)
    dashes = "-l " if shell == "fish" else "--"
    missing = [c for c in commands() if not re.search(r"\b%s\b" % c, text)]
    for command in commands():
        missing += [command + " --" + o for o in options(help_of(command))
                    if not re.search(re.escape(dashes + o) + r"\b", text)]
    assert missing == []


@pytest.mark.parametrize("command", [
    "ask", "list", "show", "rate", "review", "delete", "export", "status",
    "reload", "moderate", "tokenize"])
def test_bash_offers_the_options_of_a_command_and_no_others(command):
    assert set(complete(command, "--")) == \
        {"--" + o for o in options(help_of(command))}


@pytest.mark.parametrize("words, offered", [
    (["sh"], ["show"]),
    (["ex"], ["export"]),
    (["--temp"], ["--temperature"]),
    (["--socket", "/s", "mod"], ["moderate"]),
    (["-c", "as"], ["ask"]),
    (["export", "--format", "m"], ["messages", "moderation"]),
    (["moderate", "-d", ""], ["prompt", "reply"]),
    (["rate", "3", "g"], ["good"]),
    (["rate", "3", "bad", "--reason", "w"], ["wrong_refusal"]),
    (["--color", "n"], ["never"]),
    (["help", "tok"], ["tokenize"]),
    (["ask", "what is"], []),
    (["show", ""], []),         # no chatd there: nothing, and no noise
])
def test_bash_completes(words, offered):
    assert complete(*words, env={"CHATD_SOCKET": "/nonexistent"}) == offered
