#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the model in a folder as one GGUF file, for tests and by hand.

    gguf_files.py FOLDER FILE.gguf [F32|F16|BF16|Q8_0|Q4_0]

A matrix gets the type if its rows are whole blocks of it, else F16. Vectors are
F32. The rows of query_key_value are reordered, as converters do for this
architecture.
"""
import json
import math
import pathlib
import struct
import sys

ALIGN = 32
BLOCK = 32

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i",
           F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}

NORMAL, CONTROL, USER, UNUSED = 1, 3, 4, 5      # kinds of tokens

NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "attention.query_key_value": "attn_qkv",
    "attention.dense": "attn_output",
    "mlp.dense_h_to_4h": "ffn_up",
    "mlp.dense_4h_to_h": "ffn_down",
    "gpt_neox.embed_in": "token_embd",
    "gpt_neox.final_layer_norm": "output_norm",
    "embed_out": "output",
}


def string(text):
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    if kind == STRING:
        return string(v)
    return struct.pack("<" + FORMATS[kind], v)


def key(name, kind, v):
    """A key as in a file; for an array, v is (kind, values)."""
    head = string(name) + struct.pack("<I", kind)
    if kind != ARRAY:
        return head + value(kind, v)
    elem, values = v
    return (head + struct.pack("<IQ", elem, len(values)) +
            b"".join(value(elem, x) for x in values))


def write(path, keys, tensors, version=3):
    """keys: (name, kind, value); tensors: (name, number of type, shape with
    rows first, data)."""
    entries, data = b"", b""
    for name, number, shape, raw in tensors:
        data += bytes(-len(data) % ALIGN)
        entries += (string(name) + struct.pack("<I", len(shape)) +
                    struct.pack("<%dQ" % len(shape), *reversed(shape)) +
                    struct.pack("<IQ", number, len(data)))
        data += raw
    head = (b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) +
            b"".join(key(*k) for k in keys) + entries)
    pathlib.Path(path).write_bytes(head + bytes(-len(head) % ALIGN) + data +
                                   bytes(-len(data) % ALIGN))


def f32(numbers):
    return struct.pack("<%df" % len(numbers), *numbers)


def f16(numbers):
    return struct.pack("<%de" % len(numbers), *numbers)


def bf16(numbers):
    """Rounded to nearest even."""
    bits = struct.unpack("<%dI" % len(numbers), f32(numbers))
    return struct.pack("<%dH" % len(numbers),
                       *((b + 0x7fff + (b >> 16 & 1)) >> 16 for b in bits))


def half(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def nearest(x, d, low, high):
    return max(low, min(high, math.floor(x / d + 0.5))) if d else 0


def q8_0(numbers):
    out = b""
    for i in range(0, len(numbers), BLOCK):
        block = numbers[i:i + BLOCK]
        d = half(max(map(abs, block)) / 127)
        out += struct.pack("<e32b", d, *(nearest(x, d, -127, 127)
                                         for x in block))
    return out


def q4_0(numbers):
    out = b""
    for i in range(0, len(numbers), BLOCK):
        block = numbers[i:i + BLOCK]
        d = half(max(block, key=abs) / -8)
        q = [nearest(x, d, -8, 7) + 8 for x in block]
        out += struct.pack("<e16B", d, *(a | b << 4 for a, b in
                                         zip(q[:16], q[16:])))
    return out


# Number in files, how it is made, elements of a block.
TYPES = {"F32": (0, f32, 1), "F16": (1, f16, 1), "BF16": (30, bf16, 1),
         "Q8_0": (8, q8_0, BLOCK), "Q4_0": (2, q4_0, BLOCK)}


def read_safetensors(path):
    """{name: (shape, numbers)}"""
    raw = pathlib.Path(path).read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, t in json.loads(raw[8:8 + n]).items():
        if name == "__metadata__":
            continue
        letter = {"F16": "e", "F32": "f"}[t["dtype"]]
        begin, end = (8 + n + x for x in t["data_offsets"])
        size = struct.calcsize(letter)
        out[name] = t["shape"], list(struct.unpack(
            "<%d%s" % ((end - begin) // size, letter), raw[begin:end]))
    return out


def translate(name):
    base, _, suffix = name.rpartition(".")
    if base.startswith("gpt_neox.layers."):
        layer, _, base = base[len("gpt_neox.layers."):].partition(".")
        return "blk.%s.%s.%s" % (layer, NAMES[base], suffix)
    return "%s.%s" % (NAMES[base], suffix)


def split(shape, numbers, heads):
    """Rows from [H][q k v][D] to [q k v][H][D]."""
    width = len(numbers) // shape[0]
    lanes = shape[0] // 3 // heads
    rows = [numbers[i * width:(i + 1) * width] for i in range(shape[0])]
    return [x for part in range(3) for h in range(heads)
            for d in range(lanes) for x in rows[(h * 3 + part) * lanes + d]]


def tensors_of(folder, config, kind):
    for name, (shape, numbers) in read_safetensors(
            folder / "model.safetensors").items():
        if ".query_key_value." in name:
            numbers = split(shape, numbers, config["num_attention_heads"])
        use = kind
        if len(shape) == 1:
            use = "F32"
        elif shape[-1] % TYPES[kind][2] != 0:
            use = "F16"
        number, make, _ = TYPES[use]
        yield translate(name), number, shape, make(numbers)


def config_keys(config):
    lanes = config["hidden_size"] // config["num_attention_heads"]
    keys = [
        ("general.architecture", STRING, "gptneox"),
        ("general.name", STRING, "test"),
        ("general.quantization_version", U32, 2),
        ("gptneox.context_length", U32, config["max_position_embeddings"]),
        ("gptneox.embedding_length", U32, config["hidden_size"]),
        ("gptneox.block_count", U32, config["num_hidden_layers"]),
        ("gptneox.feed_forward_length", U32, config["intermediate_size"]),
        ("gptneox.rope.dimension_count", U32,
         int(config.get("rotary_pct", 0.25) * lanes)),
        ("gptneox.attention.head_count", U32, config["num_attention_heads"]),
        ("gptneox.use_parallel_residual", BOOL,
         config.get("use_parallel_residual", True)),
        ("gptneox.attention.layer_norm_epsilon", F32,
         config["layer_norm_eps"]),
        ("tokenizer.ggml.eos_token_id", U32, config["eos_token_id"]),
    ]
    if config["hidden_act"] == "gelu":
        keys.append(("gptneox.hidden_act", STRING, "gelu"))
    return keys


def tokenizer_keys(path, vocab):
    """Keys of a tokenizer.json; ids without text get "[PADn]"."""
    tokenizer = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    tokens = ["[PAD%d]" % i for i in range(vocab)]
    kinds = [UNUSED] * vocab
    for text, i in tokenizer["model"]["vocab"].items():
        tokens[i], kinds[i] = text, NORMAL
    for t in tokenizer["added_tokens"]:
        tokens[t["id"]] = t["content"]
        kinds[t["id"]] = CONTROL if t["special"] else USER
    merges = [m if isinstance(m, str) else " ".join(m)
              for m in tokenizer["model"]["merges"]]
    return [
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, "olmo"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (I32, kinds)),
        ("tokenizer.ggml.merges", ARRAY, (STRING, merges)),
    ]


def convert(folder, path, kind="F16", change=None):
    """Write the model in folder to path. change gets the lists of keys and
    tensors and may alter them."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    keys = config_keys(config) + tokenizer_keys(folder / "tokenizer.json",
                                                config["vocab_size"])
    tensors = list(tensors_of(folder, config, kind))
    if change is not None:
        change(keys, tensors)
    write(path, keys, tensors)


if __name__ == "__main__":
    convert(*sys.argv[1:])
