# SPDX-License-Identifier: Apache-2.0
"""GPT-NeoX models with random weights, made when a test needs them.

SHAPES has their names; write() makes the folder of a model with the standard
library only. The same name gives the same bytes with every version of Python:
each number comes from random.Random(seed).random(), whose sequence Python
promises not to change. Only + - * are used, and results are rounded to nearest
even. tests/data/fidelity has the expected results of these models.

Tensor i of the model with seed s draws from random.Random(1000 * s + i), in
the order of tensors(). With r the next number and d the deviation of the
tensor, each element is 1.7320508 * d * (2 * r - 1), plus a mean in the weights
of norms. The deviations are chosen so that attention is neither flat nor on a
single position, and that the deviation of the logits is about 2.
"""
import functools
import json
import pathlib
import random
import shutil
import struct

TINY = pathlib.Path(__file__).resolve().parents[1] / "data/neox-tiny"
CONTEXT = 384
TOKENS = 300        # of the input that the expected values belong to

# Sizes, and other values of the configuration.
SHAPES = {
    "erf64": {
        "seed": 1, "hidden": 128, "heads": 2, "inner": 320, "layers": 2,
        "vocab": 320, "dtype": "float16", "act": "gelu", "rotary": 0.25,
        "more": {"use_parallel_residual": True}},
    "chat96": {         # GPT-NeoX-20B's head, its words and its padding
        "seed": 2, "hidden": 192, "heads": 2, "inner": 256, "layers": 2,
        "vocab": 352, "dtype": "float16", "act": "gelu_fast", "rotary": 0.25,
        "more": {"eos_token_id": 0}},
    "sequential80": {
        "seed": 3, "hidden": 160, "heads": 2, "inner": 320, "layers": 2,
        "vocab": 304, "dtype": "bfloat16", "act": "gelu", "rotary": 1.0,
        "more": {"use_parallel_residual": False}},
    "tied128": {
        "seed": 4, "hidden": 256, "heads": 2, "inner": 192, "layers": 2,
        "vocab": 320, "dtype": "bfloat16", "act": "gelu_fast", "rotary": 1.0,
        "more": {"tie_word_embeddings": True}},
    "unbiased32": {
        "seed": 5, "hidden": 128, "heads": 4, "inner": 272, "layers": 3,
        "vocab": 331, "dtype": "float32", "act": "gelu_fast", "rotary": 0.5,
        "base": 500, "more": {
            "attention_bias": False, "use_parallel_residual": False,
            "layer_norm_eps": 1e-3}},
    "odd48": {          # nothing here is a multiple of 32
        "seed": 6, "hidden": 144, "heads": 3, "inner": 202, "layers": 3,
        "vocab": 317, "dtype": "bfloat16", "act": "gelu", "rotary": 0.25,
        "more": {"tie_word_embeddings": True, "layer_norm_eps": 1e-6}},
}


def config(name, newer=False):
    """config.json, in the older or the newer spelling of the library."""
    s = SHAPES[name]
    base = s.get("base", 10000)
    c = {"architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox",
         "vocab_size": s["vocab"], "hidden_size": s["hidden"],
         "num_hidden_layers": s["layers"],
         "num_attention_heads": s["heads"],
         "intermediate_size": s["inner"], "hidden_act": s["act"],
         "max_position_embeddings": CONTEXT, "bos_token_id": 0,
         **s["more"]}
    if newer:
        c["rope_parameters"] = {
            "rope_type": "default", "rope_theta": float(base),
            "partial_rotary_factor": s["rotary"]}
        c["dtype"] = s["dtype"]
    else:
        c.update(rotary_pct=s["rotary"], rotary_emb_base=base,
                 torch_dtype=s["dtype"])
    return c


def ids(name):
    """The input: any id of the vocabulary, also those without a text."""
    r = random.Random(1000 * SHAPES[name]["seed"] + 999)
    return [int(r.random() * SHAPES[name]["vocab"]) for _ in range(TOKENS)]


def parts(name):
    """(tensor, shape, deviation, mean) in order."""
    s = SHAPES[name]
    wide, inner, vocab = s["hidden"], s["inner"], s["vocab"]
    tied = s["more"].get("tie_word_embeddings", False)
    head = 2 / wide ** 0.5

    def norm(where):
        yield where + ".weight", (wide,), 0.3, 1
        yield where + ".bias", (wide,), 0.2, 0

    def linear(where, rows, columns, deviation, bias=True):
        yield where + ".weight", (rows, columns), \
            deviation / columns ** 0.5, 0
        if bias:
            yield where + ".bias", (rows,), 0.2, 0

    yield "gpt_neox.embed_in.weight", (vocab, wide), 1, 0
    bias = s["more"].get("attention_bias", True)
    for i in range(s["layers"]):
        layer = "gpt_neox.layers.%d." % i
        yield from norm(layer + "input_layernorm")
        yield from norm(layer + "post_attention_layernorm")
        yield from linear(layer + "attention.query_key_value", 3 * wide,
                          wide, 1.2, bias)
        yield from linear(layer + "attention.dense", wide, wide, 2, bias)
        yield from linear(layer + "mlp.dense_h_to_4h", inner, wide, 1.5)
        yield from linear(layer + "mlp.dense_4h_to_h", wide, inner, 0.7)
    if tied:            # either sign, or each token would be its own best
        yield "gpt_neox.final_layer_norm.weight", (wide,), head, 0
        yield "gpt_neox.final_layer_norm.bias", (wide,), 0.2 * head, 0
    else:
        yield from norm("gpt_neox.final_layer_norm")
        yield "embed_out.weight", (vocab, wide), head, 0


def pack(dtype, values):
    """Little-endian bytes, each value rounded to nearest even."""
    if dtype == "float16":
        return struct.pack("<%de" % len(values), *values)
    single = struct.pack("<%df" % len(values), *values)
    if dtype == "float32":
        return single
    return struct.pack("<%dH" % len(values), *[
        (b + 0x7fff + (b >> 16 & 1)) >> 16
        for b in struct.unpack("<%dI" % len(values), single)])


@functools.lru_cache(maxsize=None)
def tensors(name):
    """[(tensor, shape, bytes)] in order."""
    s, made = SHAPES[name], []
    for i, (tensor, shape, deviation, mean) in enumerate(parts(name)):
        draw = random.Random(1000 * s["seed"] + i).random
        n = shape[0] * (shape[1] if len(shape) > 1 else 1)
        wide = 1.7320508 * deviation
        made.append((tensor, shape, pack(s["dtype"], [
            mean + wide * (2 * draw() - 1) for _ in range(n)])))
    return made


def safetensors(dtype, chosen):
    """The bytes of a file with these tensors."""
    word = {"float16": "F16", "bfloat16": "BF16", "float32": "F32"}[dtype]
    head, at = {"__metadata__": {"format": "pt"}}, 0
    for tensor, shape, data in chosen:
        head[tensor] = {"dtype": word, "shape": shape,
                        "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(
        data for _, _, data in chosen)


def write(folder, name, newer=False, shards=1, **changes):
    """A model's folder; changes are to its configuration."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    shutil.copyfile(TINY / "tokenizer.json", folder / "tokenizer.json")
    (folder / "config.json").write_text(
        json.dumps({**config(name, newer), **changes}, indent=1))
    every, dtype = tensors(name), SHAPES[name]["dtype"]
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors(dtype, every))
        return folder
    where = {}
    for i in range(shards):
        file = "model-%05d-of-%05d.safetensors" % (i + 1, shards)
        (folder / file).write_bytes(safetensors(dtype, every[i::shards]))
        where.update({tensor: file for tensor, _, _ in every[i::shards]})
    (folder / "model.safetensors.index.json").write_text(json.dumps({
        "metadata": {"total_size": sum(len(t[2]) for t in every)},
        "weight_map": where}, indent=1))
    return folder
