# SPDX-License-Identifier: Apache-2.0
"""Other engines with models of the same shapes, for tests/bench/engine
--compare.

llama.cpp runs a GGUF file of random numbers that is written here. llama-bench
measures, and llama-batched-bench if it is installed beside it.  The
transformers library runs in a Python that has it, in bfloat16.  Rates are
tokens a second, with the names that chatd-engine --bench uses.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "e2e"))
sys.dont_write_bytecode = True
import gguf_files as gguf  # noqa: E402

# Layers, channels, heads, vocabulary: of chatd-engine --synth.
SHAPES = {"pythia-160m": (12, 768, 12, 50304),
          "pythia-410m": (24, 1024, 16, 50304),
          "pythia-1.4b": (24, 2048, 16, 50304),
          "pythia-6.9b": (32, 4096, 32, 50432),
          "20b": (44, 6144, 64, 50432)}
CONTEXT = 2048
# The types of llama.cpp to compare a precision with: number of the type, bytes
# and numbers of a block.
TYPES = {"bf16": (30, 2, 1), "int8": (8, 34, 32), "int4": (2, 18, 32)}


def block(precision):
    """1 MiB or so of random blocks, all of them small numbers."""
    if precision == "bf16":
        return b"".join(bytes([x, 0x3c + (x & 1) * 0x80])
                        for x in os.urandom(1 << 19))
    size = TYPES[precision][1] - 2
    raw = os.urandom(size * 32768)
    return b"".join(b"\x00\x14" + raw[i:i + size]       # half: 0.001
                    for i in range(0, len(raw), size))


def tensors(shape, precision):
    layers, c, _, vocab = SHAPES[shape]
    for name, rows, k in [("token_embd", vocab, c), ("output", vocab, c)]:
        yield name + ".weight", (rows, k), precision
    for i in range(-1, layers):
        norms = ["output_norm"] if i < 0 else [
            "blk.%d.attn_norm" % i, "blk.%d.ffn_norm" % i]
        for name in norms:
            yield name + ".weight", (c,), None
            yield name + ".bias", (c,), None
        if i < 0:
            continue
        for name, n, k in [("attn_qkv", 3 * c, c), ("attn_output", c, c),
                           ("ffn_up", 4 * c, c), ("ffn_down", c, 4 * c)]:
            yield "blk.%d.%s.weight" % (i, name), (n, k), precision
            yield "blk.%d.%s.bias" % (i, name), (n,), None


def write_gguf(path, shape, precision):
    """A model of that shape without a vocabulary."""
    layers, c, heads, vocab = SHAPES[shape]
    keys = gguf.config_keys({
        "hidden_size": c, "num_attention_heads": heads,
        "max_position_embeddings": CONTEXT, "num_hidden_layers": layers,
        "intermediate_size": 4 * c, "layer_norm_eps": 1e-5,
        "eos_token_id": 0, "hidden_act": "gelu_new"})
    keys += [("tokenizer.ggml.model", gguf.STRING, "none"),
             ("gptneox.vocab_size", gguf.U32, vocab)]
    entries, sizes, at = b"", [], 0
    parts = list(tensors(shape, precision))
    for name, dims, kind in parts:
        number, size, each = TYPES[kind] if kind else (0, 4, 1)
        n = size
        for d in dims:
            n *= d
        entries += gguf.string(name) + b"".join(
            [len(dims).to_bytes(4, "little")] +
            [d.to_bytes(8, "little") for d in reversed(dims)] +
            [number.to_bytes(4, "little"), at.to_bytes(8, "little")])
        sizes.append(n // each)
        at += -(-(n // each) // gguf.ALIGN) * gguf.ALIGN
    head = (b"GGUF" + (3).to_bytes(4, "little") +
            len(parts).to_bytes(8, "little") + len(keys).to_bytes(8, "little")
            + b"".join(gguf.key(*k) for k in keys) + entries)
    piece = block(precision)
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % gguf.ALIGN))
        for (_, _, kind), n in zip(parts, sizes):
            data = piece if kind else bytes(1 << 16)
            for i in range(0, n, len(data)):
                f.write(data[:n - i])
            f.write(bytes(-n % gguf.ALIGN))


def llama(program, shape, precision, threads, gguf_path=None):
    """Rates of llama.cpp; {} without the shape or the program."""
    with tempfile.TemporaryDirectory() as folder:
        path = gguf_path
        if path is None:
            if shape not in SHAPES or precision not in TYPES:
                return {}
            path = os.path.join(folder, "random.gguf")
            write_gguf(path, shape, precision)
        return {**llama_bench(program, path, threads),
                **llama_batched(program, path, threads)}


def llama_bench(program, path, threads):
    run = subprocess.run(
        [program, "-m", path, "-p", "512", "-n", "32", "-r", "3", "-t",
         str(threads), "-o", "json"], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit("%s: %s" % (program, run.stderr.strip()[-300:]))
    return {"prefill_%d" % row["n_prompt"] if row["n_prompt"] else "decode_1":
            sorted(row["samples_ts"])[len(row["samples_ts"]) // 2]
            for row in json.loads(run.stdout)}


def llama_batched(program, path, threads):
    program = os.path.join(os.path.dirname(program), "llama-batched-bench")
    if not os.access(program, os.X_OK):
        return {}
    run = subprocess.run(
        [program, "-m", path, "-npp", "32", "-ntg", "16", "-npl",
         "8,8,8,32,32", "-c", "4096", "-b", "2048", "-ub", "512", "-t",
         str(threads)], capture_output=True, text=True)
    rates = {}
    for line in run.stdout.splitlines():
        cells = re.split(r"\s*\|\s*", line.strip("| \n"))
        if len(cells) > 7 and cells[2].isdigit():
            rates.setdefault("decode_" + cells[2], []).append(float(cells[7]))
    return {k: sorted(v)[len(v) // 2] for k, v in rates.items()}


TRANSFORMERS = r"""
import json, sys, time, torch, transformers
shape, threads = json.loads(sys.argv[1]), int(sys.argv[2])
layers, c, heads, vocab = shape
torch.set_num_threads(threads)
torch.set_default_dtype(torch.bfloat16)
model = transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
    hidden_size=c, num_hidden_layers=layers, num_attention_heads=heads,
    intermediate_size=4 * c, vocab_size=vocab,
    max_position_embeddings=2048)).eval()
def median(f):
    f()
    return sorted(f() for _ in range(5))[2]
@torch.inference_mode()
def prefill(n):
    ids = torch.randint(vocab, (1, n))
    start = time.monotonic()
    model(ids, use_cache=True, logits_to_keep=1)
    return n / (time.monotonic() - start)
@torch.inference_mode()
def decode(batch):
    out = model(torch.randint(vocab, (batch, 64)), use_cache=True,
                logits_to_keep=1)
    start = time.monotonic()
    for _ in range(8):
        out = model(torch.randint(vocab, (batch, 1)), use_cache=True,
                    past_key_values=out.past_key_values)
    return 8 * batch / (time.monotonic() - start)
print(json.dumps({"prefill_512": median(lambda: prefill(512)),
                  "decode_1": median(lambda: decode(1)),
                  "decode_8": median(lambda: decode(8)),
                  "decode_32": median(lambda: decode(32))}))
"""


def transformers(python, shape, precision, threads):
    """Rates of the transformers library, in bf16; {} in any other."""
    if shape not in SHAPES or precision != "bf16":
        return {}
    run = subprocess.run(
        [python, "-c", TRANSFORMERS, json.dumps(SHAPES[shape]), str(threads)],
        capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit("transformers: %s" % run.stderr.strip()[-300:])
    return json.loads(run.stdout)
