"""chatd-engine on PyTorch's own files: replies, and pickles that attack."""
import os
import re
import shutil
import subprocess
import zipfile

import pytest

from engine_client import (
    ENGINE, EXPECTED, TINY, WAIT, check_whole, greedy, start)

SHARDS = ("pytorch_model-00001-of-00002.bin",
          "pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json")


def bin_folder(folder, weights):
    """A model's folder with these files as its weights."""
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(TINY / name, folder / name)
    for path in weights:
        shutil.copyfile(path, folder / path.name)
    return folder


@pytest.mark.parametrize("weights", [
    [TINY / "pytorch_model.bin"],
    [TINY / "sharded" / name for name in SHARDS],
], ids=["whole", "sharded"])
def test_greedy_continuations_equal_the_reference(tmp_path, weights):
    with start(bin_folder(tmp_path / "m", weights)) as e:
        assert e.first["event"] == "ready", e.first
        assert e.first["model"]["parameters"] == 116288
        for seq in EXPECTED["sequences"]:
            done = check_whole(e.generate(
                ids=seq["ids"], params=greedy(len(seq["greedy"]))))
            assert done["ids"] == seq["greedy"]


def string(text):
    return b"X" + len(text).to_bytes(4, "little") + text


def attacks(canary):
    """Pickles that make Python run a command, by the way they call it."""
    command = string(b"touch " + str(canary).encode())
    python = string(b"open(%r, 'w')" % str(canary))
    for module, name, arg in ((b"os", b"system", command),
                              (b"posix", b"system", command),
                              (b"builtins", b"eval", python)):
        where = module + b"\n" + name + b"\n"
        word = "%s-%s-" % (module.decode(), name.decode())
        two = string(module) + string(name)
        yield word + "reduce", b"c" + where + arg + b"\x85R."
        yield word + "stack-global", two + b"\x93" + arg + b"\x85R."
        yield word + "inst", b"(" + arg + b"i" + where + b"."
        yield word + "obj", b"(c" + where + arg + b"o."
        yield word + "newobj", b"c" + where + arg + b"\x85\x81."
        yield word + "build", (b"ccollections\nOrderedDict\n)R}" +
                               string(b"__reduce__") + b"c" + where +
                               b"sb.")
        yield word + "in-a-table", (b"}" + string(b"embed_out.weight") +
                                    b"c" + where + arg + b"\x85Rs.")


def write_bin(folder, pickle):
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as z:
        z.writestr("archive/data.pkl", pickle)
        z.writestr("archive/version", b"3\n")


def refusal(folder):
    """What the engine says of a folder it does not take."""
    run = subprocess.run([ENGINE, "--model", folder], capture_output=True,
                         stdin=subprocess.DEVNULL, timeout=WAIT, check=False)
    assert run.returncode == 1
    return run.stdout.decode()


def test_the_attacks_are_real(tmp_path):
    """Python itself does run most of them: the canary can appear."""
    canary, ran = tmp_path / "canary", 0
    for name, pickle in attacks(canary):
        subprocess.run(["/usr/bin/python3", "-c",
                        "import pickle, sys\n"
                        "pickle.loads(sys.stdin.buffer.read())"],
                       input=b"\x80\x02" + pickle, capture_output=True,
                       timeout=WAIT, check=False)
        ran += canary.exists()
        canary.unlink(missing_ok=True)
    assert ran >= 10


def test_nothing_in_a_pickle_is_run(tmp_path):
    canary = tmp_path / "canary"
    folder = bin_folder(tmp_path / "m", [])
    for name, pickle in attacks(canary):
        write_bin(folder, b"\x80\x02" + pickle)
        said = refusal(folder)
        called = ".".join(name.split("-")[:2])
        assert 'forbidden global \\"%s\\"' % called in said, name
        assert not canary.exists(), name


def traced(trace, command, stdin=b""):
    """The programs that a command and its children start, in order."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    # The leak checker can't run below strace.
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=0")
    run = subprocess.run(
        ["strace", "-f", "-qq", "-e", "trace=execve,execveat", "-o", trace,
         "--", *command], input=stdin, env=env, capture_output=True,
        timeout=WAIT, check=False)
    found = re.findall(r'execve(?:at)?\((?:\w+, )?"([^"]*)"',
                       trace.read_text() if trace.exists() else "")
    if not found:
        pytest.skip("strace can't trace here: " + run.stderr.decode())
    return found


def test_strace_sees_what_a_pickle_starts(tmp_path):
    name, pickle = next(attacks(tmp_path / "canary"))
    started = traced(tmp_path / "trace", [
        "/usr/bin/python3", "-c", "import pickle, sys\n"
        "pickle.loads(sys.stdin.buffer.read())"], b"\x80\x02" + pickle)
    assert name == "os-system-reduce"
    assert started[0] == "/usr/bin/python3" and len(started) > 1


def test_no_pickle_starts_a_program(tmp_path):
    folder = bin_folder(tmp_path / "m", [])
    for name, pickle in attacks(tmp_path / "canary"):
        write_bin(folder, b"\x80\x02" + pickle)
        assert traced(tmp_path / "trace", [
            ENGINE, "--model", folder]) == [str(ENGINE)], name


def test_extensions_are_refused(tmp_path):
    folder = bin_folder(tmp_path / "m", [])
    write_bin(folder, b"\x80\x02\x82\x01)R.")
    assert "forbidden opcode EXT1" in refusal(folder)


def test_a_compressed_file_is_refused(tmp_path):
    folder = bin_folder(tmp_path / "m", [])
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w",
                         zipfile.ZIP_DEFLATED) as z:
        z.writestr("archive/data.pkl", b"\x80\x02}.")
    assert "a compressed member (method 8)" in refusal(folder)


def test_a_member_outside_is_refused(tmp_path):
    folder = bin_folder(tmp_path / "m", [])
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as z:
        z.writestr("archive/data.pkl", b"\x80\x02}.")
        z.writestr("../../etc/passwd", b"x")
    assert "a name that is no plain path" in refusal(folder)


def test_a_weight_with_strides_is_named(tmp_path):
    """The embedding turned around in its storage, all else as it was."""
    folder = bin_folder(tmp_path / "m", [])
    old, new = b"K@K\x01\x86q\n", b"K\x01M@\x01\x86q\n"
    with zipfile.ZipFile(TINY / "pytorch_model.bin") as a, \
            zipfile.ZipFile(folder / "pytorch_model.bin", "w") as b:
        for name in a.namelist():
            data = a.read(name)
            if name.endswith("/data.pkl"):
                at = data.index(b"gpt_neox.embed_in.weight")
                assert old in data[at:]
                data = data[:at] + data[at:].replace(old, new, 1)
            b.writestr(name, data)
    said = refusal(folder)
    assert "gpt_neox.embed_in.weight" in said
    assert "found F16 with strides" in said
