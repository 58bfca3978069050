#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a packed model takes to be ready, compared with reading its bytes.

Packs a model of zeros (with the shape of pythia-410m and the tokenizer of
GPT-NeoX-20B), or that of --model, in each precision.  Then starts the engine on
the file, which is in the page cache, and measures the time to "ready" and to
the first token.  Between the starts it measures how long it takes to read the
file once, 4 MiB at a time into one buffer.  Prints medians.  With --cold the
file is dropped from the page cache before each measurement, which then includes
the disk.
"""

import argparse
import json
import math
import os
import resource
import statistics
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("CHATD_BUILD", "build")
TOKENIZER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                         "../data/gpt-neox-20b/tokenizer.json")


def read_once(path):
    buffer = bytearray(4 << 20)
    begin = time.perf_counter()
    with open(path, "rb", buffering=0) as f:
        while f.readinto(buffer):
            pass
    return time.perf_counter() - begin


def write_410m(folder):
    """A sparse file; the numbers do not matter for loading."""
    layers, c, f, v = 24, 1024, 4096, 50304
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump({"model_type": "gpt_neox", "hidden_size": c,
                   "intermediate_size": f, "num_hidden_layers": layers,
                   "num_attention_heads": 16, "vocab_size": v,
                   "max_position_embeddings": 2048, "eos_token_id": 0}, out)
    with open(TOKENIZER, "rb") as one, \
            open(os.path.join(folder, "tokenizer.json"), "wb") as two:
        two.write(one.read())
    shapes = {"gpt_neox.embed_in.weight": [v, c],
              "embed_out.weight": [v, c],
              "gpt_neox.final_layer_norm.weight": [c],
              "gpt_neox.final_layer_norm.bias": [c]}
    for i in range(layers):
        for name, rows, cols in (
                ("attention.query_key_value", 3 * c, c),
                ("attention.dense", c, c), ("mlp.dense_h_to_4h", f, c),
                ("mlp.dense_4h_to_h", c, f), ("input_layernorm", c, 0),
                ("post_attention_layernorm", c, 0)):
            name = "gpt_neox.layers.%d.%s" % (i, name)
            shapes[name + ".weight"] = [rows, cols] if cols else [rows]
            shapes[name + ".bias"] = [rows]
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape,
                        "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.truncate(8 + len(text) + at)
    return folder


def drop(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def start(engine, path):
    """Seconds to ready, and to the first token of a two-token prompt."""
    begin = time.perf_counter()
    p = subprocess.Popen([engine, "--model", path], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    while json.loads(p.stdout.readline())["event"] != "ready":
        pass
    ready = time.perf_counter() - begin
    p.stdin.write(json.dumps({
        "op": "generate", "id": 1, "ids": [5, 6],
        "params": {"max_tokens": 1, "temperature": 0}}).encode() + b"\n")
    p.stdin.flush()
    while json.loads(p.stdout.readline())["event"] not in ("text", "done"):
        pass
    first = time.perf_counter() - begin
    p.stdin.close()
    p.wait()
    return ready, first


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--precision", default="bf16,int8,int4")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--engine", default=os.path.join(
        BUILD, "chatd-engine"))
    parser.add_argument("--folder", help="where to write packed files")
    args = parser.parse_args()
    print("%-10s %9s %9s %9s %12s %7s %7s" % (
        "precision", "MiB", "read s", "ready s", "first token s", "ready/r",
        "first/r"))
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model = args.model or write_410m(folder)
        for precision in args.precision.split(","):
            path = os.path.join(folder, "packed")
            subprocess.run([args.engine, "--model", model, "--pack", path,
                            "--precision", precision], check=True)
            read_once(path)
            rows = []
            for _ in range(args.runs):
                if args.cold:
                    drop(path)
                r = read_once(path)
                if args.cold:
                    drop(path)
                rows.append((r, *start(args.engine, path)))
            r, ready, first = map(statistics.median, zip(*rows))
            print("%-10s %9.1f %9.3f %9.3f %12.3f %7.2f %7.2f" % (
                precision, os.path.getsize(path) / 2**20, r, ready, first,
                ready / r, first / r), flush=True)
    print("peak memory of a start: %.0f MiB" % (
        resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024))


if __name__ == "__main__":
    main()
