# SPDX-License-Identifier: Apache-2.0
"""chatd-engine with PyTorch files: replies, and pickles that attack."""
import hashlib
import json
import os
import re
import shutil
import struct
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
    """The message of the engine about a folder that it refuses."""
    run = subprocess.run([ENGINE, "--model", folder], capture_output=True,
                         stdin=subprocess.DEVNULL, timeout=WAIT, check=False)
    assert run.returncode == 1
    return run.stdout.decode()


def test_the_attacks_are_real(tmp_path):
    """Python itself runs most of them, and the canary appears."""
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
    assert "a name that is not a plain path" in refusal(folder)


def number(n):
    return b"J" + n.to_bytes(4, "little")


def numbers(values):
    return b"(" + b"".join(number(v) for v in values) + b"t"


def pickled(tensors):
    """A table of tensors, (name, key, elements, offset, shape, strides)
    each, as torch.save writes it for F32."""
    out = b"\x80\x02}("
    for name, key, elems, offset, shape, strides in tensors:
        storage = (b"(" + string(b"storage") + b"ctorch\nFloatStorage\n" +
                   string(key.encode()) + string(b"cpu") + number(elems) +
                   b"tQ")
        out += (string(name.encode()) +
                b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage +
                number(offset) + numbers(shape) + numbers(strides) +
                b"\x89ccollections\nOrderedDict\n)RtR")
    return out + b"u."


def read_tiny():
    """name -> (shape, list of F32) of neox-tiny."""
    data = (TINY / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    out = {}
    for name, t in head.items():
        a, b = (8 + n + x for x in t["data_offsets"])
        kind = {"F16": "e", "F32": "f"}[t["dtype"]]
        out[name] = (t["shape"], struct.unpack(
            "<%d%s" % ((b - a) // struct.calcsize(kind), kind), data[a:b]))
    return out


def row_major(shape):
    strides = [1]
    for n in reversed(shape[1:]):
        strides.insert(0, strides[0] * n)
    return strides[:len(shape)]


def views(kind, shape):
    """Offset, strides and elements of a storage for a view of that shape."""
    if kind == "transposed":
        strides = row_major(shape[::-1])[::-1]
    elif kind == "spread":      # every third number, from the fifth on
        strides = [3 * s for s in row_major(shape)]
    elif kind == "far":         # more bytes between rows than one read
        strides = [s + 5000 if i == 0 and len(shape) == 2 else s
                   for i, s in enumerate(row_major(shape))]
    else:                       # a column of a wider matrix, turned around
        strides = [7 * s for s in row_major(shape[::-1])[::-1]]
    last = sum((n - 1) * s for n, s in zip(shape, strides))
    return 5, strides, last + 12


def place(values, shape, offset, strides, elems):
    out = [float("nan")] * elems    # gaps are never read
    for i, v in enumerate(values):
        row, col = divmod(i, shape[1]) if len(shape) == 2 else (i, 0)
        out[offset + row * strides[0] +
            (col * strides[1] if len(shape) == 2 else 0)] = v
    return out


@pytest.mark.parametrize("kind", ["transposed", "spread", "far", "column"])
def test_views_are_loaded_as_torch_means_them(tmp_path, kind):
    folder = bin_folder(tmp_path / "m", [])
    table, storages = [], []
    for key, (name, (shape, values)) in enumerate(read_tiny().items()):
        offset, strides, elems = views(kind, shape)
        table.append((name, str(key), elems, offset, shape, strides))
        storages.append(place(values, shape, offset, strides, elems))
    write_storages(folder, table, storages)
    check_replies(folder)


def test_views_that_share_a_storage_are_loaded(tmp_path):
    """All tensors are in one storage, one after the other, with matrices
    transposed. Two tensors of the same shape alternate number by number."""
    folder = bin_folder(tmp_path / "m", [])
    tensors = sorted(read_tiny().items(), key=lambda t: t[1][0])
    table, all_of_it = [], []
    while tensors:
        name, (shape, values) = tensors.pop(0)
        strides = row_major(shape[::-1])[::-1]
        if tensors and tensors[0][1][0] == shape:
            other = tensors.pop(0)
            strides = [2 * s for s in strides]
            part = place(values, shape, 0, strides, 2 * len(values))
            more = place(other[1][1], shape, 1, strides, 2 * len(values))
            part = [b if a != a else a for a, b in zip(part, more)]
            table.append((other[0], "0", 0, len(all_of_it) + 1, shape,
                          strides))
        else:
            part = place(values, shape, 0, strides, len(values))
        table.append((name, "0", 0, len(all_of_it), shape, strides))
        all_of_it += part
    table = [(n, k, len(all_of_it), *rest) for n, k, _, *rest in table]
    write_storages(folder, table, [all_of_it])
    check_replies(folder)


def write_storages(folder, table, storages):
    with zipfile.ZipFile(folder / "pytorch_model.bin", "w") as z:
        z.writestr("archive/data.pkl", pickled(table))
        for key, values in enumerate(storages):
            z.writestr("archive/data/%d" % key,
                       struct.pack("<%df" % len(values), *values))


def check_replies(folder):
    with start(folder) as e:
        assert e.first["event"] == "ready", e.first
        for seq in EXPECTED["sequences"]:
            done = check_whole(e.generate(
                ids=seq["ids"], params=greedy(len(seq["greedy"]))))
            assert done["ids"] == seq["greedy"]
    digest = "sha256:" + sha256_of(folder)
    assert e.first["model"]["digest"] == digest


def sha256_of(folder):
    lines = ""
    for name in ("config.json", "tokenizer.json", "pytorch_model.bin"):
        lines += "%s  %s\n" % (
            hashlib.sha256((folder / name).read_bytes()).hexdigest(), name)
    return hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("strides,words", [
    (b"K@K\x01\x86", None),
    (b"K?K\x01\x86", "found F16 with overlapping strides"),
    (b"K\0K\x01\x86", "found F16 with overlapping strides"),
    (b"J\xff\xff\xff\xffK\x01\x86", "sizes and strides"),
    (b"M@\x01K\x01\x86", "reaches past its storage"),
])
def test_strides_that_mean_no_matrix_are_refused(tmp_path, strides, words):
    """Only the strides of the embedding are changed."""
    folder = bin_folder(tmp_path / "m", [])
    old = b"K@K\x01\x86"
    with zipfile.ZipFile(TINY / "pytorch_model.bin") as a, \
            zipfile.ZipFile(folder / "pytorch_model.bin", "w") as b:
        for name in a.namelist():
            data = a.read(name)
            if name.endswith("/data.pkl"):
                at = data.index(b"gpt_neox.embed_in.weight")
                assert old in data[at:]
                data = data[:at] + data[at:].replace(old, strides, 1)
            b.writestr(name, data)
    if words is None:
        check_replies(folder)
    else:
        assert words in refusal(folder)
