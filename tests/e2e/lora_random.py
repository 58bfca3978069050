# SPDX-License-Identifier: Apache-2.0
"""Adapters with random numbers for the models of neox_random.py, in the format
of PEFT, and the same models with the adapter merged into their weights. With
the standard library only."""
import hashlib
import json
import pathlib
import random
import struct

import neox_random

TARGETS = {"query_key_value": "attention", "dense": "attention",
           "dense_h_to_4h": "mlp", "dense_4h_to_h": "mlp"}


def floats(dtype, data):
    """The numbers of packed elements."""
    if dtype == "float16":
        return list(struct.unpack("<%de" % (len(data) // 2), data))
    if dtype == "float32":
        return list(struct.unpack("<%df" % (len(data) // 4), data))
    words = struct.unpack("<%dH" % (len(data) // 2), data)
    return list(struct.unpack("<%df" % len(words), struct.pack(
        "<%dI" % len(words), *[w << 16 for w in words])))


def matrices(name, seed=1, rank=3, size=0.5, targets=TARGETS):
    """{(layer, target): (A, B)}: rows of floats that fp32 has exactly."""
    s, made = neox_random.SHAPES[name], {}
    wide, inner = s["hidden"], s["inner"]
    shape = {"query_key_value": (3 * wide, wide), "dense": (wide, wide),
             "dense_h_to_4h": (inner, wide), "dense_4h_to_h": (wide, inner)}
    draw = random.Random(seed).random

    def matrix(rows, columns, deviation):
        return [list(struct.unpack("<%df" % columns, struct.pack(
            "<%df" % columns, *[1.7320508 * deviation * (2 * draw() - 1)
                                for _ in range(columns)])))
                for _ in range(rows)]

    for layer in range(s["layers"]):
        for target in targets:
            rows, columns = shape[target]
            made[layer, target] = (
                matrix(rank, columns, columns ** -0.5),
                matrix(rows, rank, size))
    return made


def tensor(layer, target, which):
    return "base_model.model.gpt_neox.layers.%d.%s.%s.lora_%s.weight" % (
        layer, TARGETS[target], target, which)


def write(folder, name, seed=1, rank=3, alpha=6, size=0.5, targets=TARGETS,
          metadata=None, change=None, **config):
    """The folder of an adapter. change may alter the list of (tensor, shape,
    bytes); config is added to adapter_config.json."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    made = []
    for (layer, target), pair in matrices(name, seed, rank, size,
                                          targets).items():
        for which, rows in zip("AB", pair):
            flat = [x for row in rows for x in row]
            made.append((tensor(layer, target, which),
                         (len(rows), len(rows[0])),
                         struct.pack("<%df" % len(flat), *flat)))
    if change is not None:
        made = change(made)
    data = neox_random.safetensors("float32", made)
    if metadata is not None:
        n = struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8:8 + n])
        head["__metadata__"].update(metadata)
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        data = struct.pack("<Q", len(text)) + text + data[8 + n:]
    (folder / "adapter_model.safetensors").write_bytes(data)
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "base_model_name_or_path": name, "r": rank,
        "lora_alpha": alpha, "lora_dropout": 0.0, "bias": "none",
        "task_type": "CAUSAL_LM", "fan_in_fan_out": False,
        "target_modules": list(targets), **config}))
    return folder


def write_merged(folder, name, seed=1, rank=3, alpha=6, size=0.5,
                 targets=TARGETS):
    """The model in fp32 with W + alpha / rank * B A in place of W."""
    folder = neox_random.write(folder, name)
    dtype = neox_random.SHAPES[name]["dtype"]
    change = {"gpt_neox.layers.%d.%s.%s.weight" % (
        layer, TARGETS[target], target): pair
        for (layer, target), pair in matrices(name, seed, rank, size,
                                              targets).items()}
    made = []
    for tensor_name, shape, data in neox_random.tensors(name):
        w = floats(dtype, data)
        if tensor_name in change:
            a, b = change[tensor_name]
            columns = shape[1]
            for i in range(shape[0]):
                for k in range(columns):
                    w[i * columns + k] += alpha / rank * sum(
                        b[i][j] * a[j][k] for j in range(rank))
        made.append((tensor_name, shape, struct.pack("<%df" % len(w), *w)))
    (folder / "model.safetensors").write_bytes(
        neox_random.safetensors("float32", made))
    return folder


def digest(folder):
    """The digest of an adapter, from what sha256sum prints for its files."""
    lines = "".join("%s  %s\n" % (hashlib.sha256(
        (folder / name).read_bytes()).hexdigest(), name) for name in (
            "adapter_config.json", "adapter_model.safetensors"))
    return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()
