#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a fine-tuned BERT encoder as the model file of the plugin "encoder".

    export.py FOLDER OUT [--name NAME] [--drop-scripts] [--emoji]
              [--positions N] [--calibrate TEXTS]

FOLDER is a Hugging Face folder of a BertModel (config.json,
model.safetensors, and vocab.txt or tokenizer.json there or in --vocab) with
the head:
  head.pt, head.safetensors   weight [outputs, hidden], bias [outputs]
  head.json                   "outputs": names as request, content,
                              request.CATEGORY, content.CATEGORY;
                              "temperature", "shift": numbers, a list of
                              one for each output, or left out (1 and 0)
An output's score is sigmoid(logit / temperature + shift).
README.md in this folder describes the file.
"""
import argparse
import hashlib
import json
import pathlib
import struct
import unicodedata

import numpy as np

MAGIC = b"chatdenc"
VERSION = 1
HEADER = 256
ALIGN = 64
LAYERS_MAX = 12
GROUP_BOUND = 128       # 255 * 128 fits into 16 bits
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC")


# ---- matrices

def bounded(q):
    """Make each sum of four products fit into 16 bits: of the weights k,
    k+1, k+4, k+5 (and k+2, k+3, k+6, k+7) of each eight, the positive ones
    sum up to at most GROUP_BOUND, and the negative ones too."""
    rows, cols = q.shape
    g = q.reshape(rows, cols // 8, 2, 2, 2).transpose(0, 1, 3, 2, 4)
    g = g.reshape(rows, cols // 8, 2, 4).copy()
    for sign in (1, -1):
        part = np.maximum(g * sign, 0)
        total = part.sum(-1, keepdims=True)
        less = np.floor(part * (GROUP_BOUND / np.maximum(total, 1)))
        g = np.where((total > GROUP_BOUND) & (part > 0), less * sign, g)
    g = g.reshape(rows, cols // 8, 2, 2, 2).transpose(0, 1, 3, 2, 4)
    return g.reshape(rows, cols)


def quantize(weight):
    """int8 rows and their scales; the scale with the least error of a few."""
    top = np.maximum(np.abs(weight).max(1, keepdims=True), 1e-12)
    best = error = scale = None
    for limit in (127, 118, 110, 102, 95, 88, 82, 76, 70, 64, 58, 52, 46):
        for clip in (1, .9, .8):
            s = (top * clip / limit).astype(np.float32)
            q = bounded(np.clip(np.rint(weight / s), -limit, limit))
            e = ((q * s - weight) ** 2).sum(1, keepdims=True)
            if best is None:
                best, error, scale = q, e, s
                continue
            better = e < error
            best = np.where(better, q, best)
            scale = np.where(better, s, scale)
            error = np.minimum(e, error)
    return best.astype(np.int8), scale[:, 0].astype(np.float32)


def packed(q):
    """The kernel's order: [rows/16][cols/4][16 rows][4 cols]."""
    rows, cols = q.shape
    return np.ascontiguousarray(
        q.reshape(rows // 16, 16, cols // 4, 4).transpose(0, 2, 1, 3))


class Writer:
    """Sections, each at a multiple of ALIGN bytes."""

    def __init__(self):
        self.data = bytearray(HEADER)

    def add(self, data):
        if isinstance(data, np.ndarray):
            data = np.ascontiguousarray(data).tobytes()
        self.data += bytes(-len(self.data) % ALIGN) + data

    def floats(self, values):
        values = np.asarray(values, dtype="<f4")
        if not np.isfinite(values).all():
            raise SystemExit("export: NaN or infinity in the weights")
        self.add(values)

    def matrix(self, weight, bias):
        q, scale = quantize(weight)
        self.floats(bias)
        self.floats(scale)
        self.add(packed(q))


# ---- vocabulary and emoji

def read_vocab(folder):
    if (folder / "vocab.txt").exists():
        return (folder / "vocab.txt").read_text("utf-8").split("\n")[:-1]
    vocab = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    vocab = vocab["model"]["vocab"]
    return sorted(vocab, key=vocab.get)


def foreign(token):
    """Does a token have a letter of a script that --drop-scripts drops?"""
    return any(unicodedata.category(c)[0] in "LM" and
               not unicodedata.name(c, "").startswith(SCRIPTS) and
               unicodedata.name(c, "") != "" and ord(c) > 0xff
               for c in token)


def kept(vocab, scripts):
    """The ids of the rows that are written."""
    need = {"[UNK]", "[CLS]", "[SEP]"}
    return [i for i, t in enumerate(vocab) if t in need or not (
        t.startswith("[unused") or t in ("[PAD]", "[MASK]") or
        (scripts and foreign(t.removeprefix("##"))))]


def emoji_names():
    """{code point: English name} of the emoji that are one character."""
    import emoji
    names = {}
    for k, v in emoji.EMOJI_DATA.items():
        k = k.replace("\ufe0f", "")
        if len(k) == 1:
            names[ord(k)] = v["en"].strip(":").replace("_", " ")
    return names


def emoji_table(folder, ids):
    """[code point, first, count] rows, and the ids that they point to."""
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tok.no_padding()
    rows, flat = [], []
    for c, name in sorted(emoji_names().items()):
        if c < 128:
            continue
        got = tok.encode(name, add_special_tokens=False).ids
        got = [ids[i] for i in got if i in ids][:16]
        if got:
            rows.append((c, len(flat), len(got)))
            flat += got
    return rows, flat


# ---- the model

def read_tensors(path):
    from safetensors.numpy import load_file
    return {k.removeprefix("bert."): v.astype(np.float32)
            for k, v in load_file(str(path)).items()}


def read_head(folder):
    head = json.loads((folder / "head.json").read_text("utf-8"))
    if (folder / "head.safetensors").exists():
        t = read_tensors(folder / "head.safetensors")
    else:
        import torch
        t = {k: v.float().numpy() for k, v in
             torch.load(folder / "head.pt", map_location="cpu").items()}
    n = len(head["outputs"])

    def numbers(key, default):
        v = head.get(key, default)
        return np.broadcast_to(np.asarray(v, np.float32), (n,))

    return (head["outputs"], t["weight"], t["bias"],
            numbers("temperature", 1), numbers("shift", 0))


def ranges(folder, vocab_folder, texts):
    """The largest |x - beta| of each lane of each LayerNorm over texts."""
    import torch
    from tokenizers import Tokenizer
    from transformers import BertModel
    tok = Tokenizer.from_file(str(vocab_folder / "tokenizer.json"))
    tok.no_padding()
    tok.enable_truncation(128)
    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    top = {}

    def note(name):
        def hook(module, _, out):
            v = (out - module.bias).abs().reshape(-1, out.shape[-1])
            # not the very largest: one odd token must not count
            v = torch.quantile(v, .995, dim=0) if len(v) > 16 else v.amax(0)
            v = v.detach().numpy()
            top[name] = np.maximum(top.get(name, v), v)
        return hook

    for name, module in model.named_modules():
        if isinstance(module, torch.nn.LayerNorm):
            module.register_forward_hook(note(name))
    with torch.no_grad():
        for text in texts:
            model(input_ids=torch.tensor([tok.encode(text).ids]))
    return top


def smoothing(gamma, weight, top):
    """How much to divide each input lane by, and to multiply the weights."""
    if top is None:
        top = 3 * np.abs(gamma)
    d = np.sqrt(np.maximum(top, 1e-4) /
                np.maximum(np.abs(weight).max(0), 1e-4))
    return (d / np.exp(np.log(d).mean())).astype(np.float32)


def export(folder, out, vocab_folder=None, name="", scripts=False,
           with_emoji=False, positions=128, texts=None):
    folder, vocab_folder = pathlib.Path(folder), pathlib.Path(
        vocab_folder or folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    if config.get("hidden_act", "gelu") != "gelu":
        raise SystemExit("export: hidden_act is not gelu")
    t = read_tensors(folder / "model.safetensors")
    outputs, head_w, head_b, temperature, shift = read_head(folder)
    top = ranges(folder, vocab_folder, texts) if texts else {}
    vocab = read_vocab(vocab_folder)
    keep = kept(vocab, scripts)
    ids = {old: new for new, old in enumerate(keep)}
    token_id = {vocab[old]: new for new, old in enumerate(keep)}
    emoji, flat = emoji_table(vocab_folder, ids) if with_emoji else ([], [])
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    layers = config["num_hidden_layers"]
    positions = min(positions, config["max_position_embeddings"])
    ffn = [t["encoder.layer.%d.intermediate.dense.weight" % i].shape[0]
           for i in range(layers)]
    if layers > LAYERS_MAX or hidden % 16 or hidden // heads % 8 or any(
            n % 16 for n in ffn):
        raise SystemExit("export: sizes that the plugin can't use")

    names = b"".join(n.encode() + b"\0" for n in outputs)
    words = b"".join(vocab[i].encode() + b"\0" for i in keep)
    w = Writer()
    w.add(names)
    w.add(words)
    w.add(np.asarray(emoji, dtype="<u4").reshape(-1, 3))
    w.add(np.asarray(flat, dtype="<u4"))
    w.floats(head_w)
    w.floats(head_b)
    w.floats(1 / temperature)
    w.floats(shift)
    e = t["embeddings.word_embeddings.weight"][keep]
    scale = np.maximum(np.abs(e).max(1), 1e-12) / 127
    w.floats(scale)
    w.add(np.rint(e / scale[:, None]).astype(np.int8))
    w.floats(t["embeddings.position_embeddings.weight"][:positions] +
             t["embeddings.token_type_embeddings.weight"][0])
    w.floats(t["embeddings.LayerNorm.weight"])
    w.floats(t["embeddings.LayerNorm.bias"])
    norm = "embeddings.LayerNorm"
    for i in range(layers):
        p = "encoder.layer.%d." % i

        def both(name):
            return t[p + name + ".weight"], t[p + name + ".bias"]

        def after_norm(norm, weight, bias):
            """A matrix whose input is a LayerNorm's output x: it takes
            (x - beta) / d."""
            gamma, beta = t[norm + ".weight"], t[norm + ".bias"]
            d = smoothing(gamma, weight, top.get(norm))
            w.floats(beta)
            w.floats(1 / d)
            w.matrix(weight * d, bias + weight @ beta)

        qkv = [both("attention.self." + n) for n in ("query", "key", "value")]
        after_norm(norm, np.concatenate([m for m, _ in qkv]),
                   np.concatenate([b for _, b in qkv]))
        w.matrix(*both("attention.output.dense"))
        norm = p + "attention.output.LayerNorm"
        w.floats(t[norm + ".weight"])
        w.floats(t[norm + ".bias"])
        after_norm(norm, *both("intermediate.dense"))
        w.matrix(*both("output.dense"))
        norm = p + "output.LayerNorm"
        w.floats(t[norm + ".weight"])
        w.floats(t[norm + ".bias"])
    w.add(b"")

    size = len(w.data) + 32
    header = struct.pack(
        "<8s2IQ12If3I12I64s", MAGIC, VERSION, HEADER, size, hidden, heads,
        layers, positions, len(keep), len(outputs), len(names), len(words),
        len(emoji), len(flat), 0, 0, config.get("layer_norm_eps", 1e-12),
        token_id["[UNK]"], token_id["[CLS]"], token_id["[SEP]"],
        *(ffn + [0] * (LAYERS_MAX - layers)), name.encode()[:63])
    w.data[:len(header)] = header
    data = bytes(w.data)
    with open(out, "wb") as f:
        f.write(data + hashlib.sha256(data).digest())
    return size


def main():
    ap = argparse.ArgumentParser(description="export a BERT encoder")
    ap.add_argument("folder")
    ap.add_argument("out")
    ap.add_argument("--vocab", help="folder of vocab.txt, tokenizer.json")
    ap.add_argument("--name", default="", help="of the model, for people")
    ap.add_argument("--drop-scripts", action="store_true",
                    help="drop tokens that are not Latin, Greek, Cyrillic")
    ap.add_argument("--emoji", action="store_true",
                    help="read an emoji as its English name")
    ap.add_argument("--positions", type=int, default=128)
    ap.add_argument("--calibrate", metavar="TEXTS",
                    help="a file of JSON lines with \"text\": the largest "
                         "value of each lane")
    a = ap.parse_args()
    texts = a.calibrate and [
        json.loads(line)["text"] for line in open(a.calibrate)][:300]
    size = export(a.folder, a.out, a.vocab, a.name, a.drop_scripts, a.emoji,
                  a.positions, texts)
    print("%s: %d bytes" % (a.out, size))


if __name__ == "__main__":
    main()
