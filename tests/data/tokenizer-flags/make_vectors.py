#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make vectors.jsonl: small tokenizer.json variants, each with one option or
flag changed, and what the reference tokenizer makes of texts.

usage: make_vectors.py >vectors.jsonl      (needs the "tokenizers" library)
"""
import copy
import itertools
import json
import random
import sys

from tokenizers import Tokenizer

WORDS = ["hello", " hello", "ab", "abc", "aa", "aaaa", " the", "the", "\n\n",
         "é", "日", " 12", "'s", "  "]
FLAGS = ["single_word", "lstrip", "rstrip", "normalized", "special"]
TEXTS = [
    "", " ", "hello", " hello", "hello hello\thello", "  hello  the\n\nend ",
    "it's the aaaaaaaaa", "\u00a0hello\u3000the", "e\u0301 \u00e9 \u65e5",
    "<|end|>", "<|end|> hello <|end|>", "a<|end|>b", "ab abc abcd xab",
    "12 123\u00b2 x", "\U0001f600\U0001f44d\U0001f3fd", "\x00\x01\x7f",
    "a\u0323\u0307b\u0307\u0323", "\u1100\u1161\u11a8 \u212b",
    "aa" * 40, "hello" * 20, " " * 40, "\u0301" * 5,
]


def char_of_byte():
    chars, n = {}, 256
    for b in range(256):
        if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174:
            chars[b] = chr(b)
        else:
            chars[b] = chr(n)
            n += 1
    return chars


CHARS = char_of_byte()


def mapped(text):
    return "".join(CHARS[b] for b in text.encode())


def make_base():
    vocab = {CHARS[b]: b for b in range(256)}
    merges = []
    for word in WORDS:
        part = ""
        for c in mapped(word):
            if part and part + c not in vocab:
                vocab[part + c] = len(vocab)
                merges.append(f"{part} {c}")
            part += c
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [], "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False,
                          "trim_offsets": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False,
                    "trim_offsets": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocab, "merges": merges}}


BASE = make_base()


def token(content, id, *flags):
    t = {"id": id, "content": content}
    t.update({f: f in flags for f in FLAGS})
    return t


def tokens(*list):
    """Added tokens with the ids that the library will give them."""
    vocab, out, n = BASE["model"]["vocab"], [], len(BASE["model"]["vocab"])
    for content, *flags in list:
        id = vocab.get(content)
        if id is None:
            id, n = n, n + 1
        out.append(token(content, id, *flags))
    return {"added_tokens": out}


def update(dst, patch):
    for k, v in patch.items():
        if isinstance(v, dict) and isinstance(dst.get(k), dict):
            update(dst[k], v)
        else:
            dst[k] = copy.deepcopy(v)


def build(patch, drop):
    """What tests/unit/engine/text/t_tokenizer_flags.c does."""
    t = copy.deepcopy(BASE)
    update(t, patch)
    for name in drop:
        del t["model"]["vocab"][name]
    return t


def ids_of_new(*names):
    n = len(BASE["model"]["vocab"])
    return {name: n + i for i, name in enumerate(names)}


def byte_names(text):
    return [f"<0x{b:02X}>" for b in text.encode()]


def variants():
    pre = {"type": "ByteLevel", "trim_offsets": True}
    for norm in (None, {"type": "NFC"}, {"type": "Sequence",
                 "normalizers": []}, {"type": "Sequence", "normalizers": [
                     {"type": "NFC"}, {"type": "Sequence", "normalizers": [
                         {"type": "NFC"}]}]}):
        yield "normalizer", {"normalizer": norm}, [], []
    for prefix, regex, deep in itertools.product((False, True), repeat=3):
        p = dict(pre, add_prefix_space=prefix, use_regex=regex)
        if deep:
            p = {"type": "Sequence", "pretokenizers": [p]}
        patch = {"pre_tokenizer": p}
        patch.update(tokens(("<|end|>", "special"), ("QQ", "normalized")))
        yield "pre_tokenizer", patch, [], ["QQ", "<|end|>"]
    for n in range(32):
        flags = [f for i, f in enumerate(FLAGS) if n >> i & 1]
        yield "flags", tokens(("kk", *flags), ("<|t|>", *flags)), [], \
            ["kk", "<|t|>", "_", "x", "\u00e9", "\u3000"]
    some = [(f"q{n:02d}", *[f for i, f in enumerate(FLAGS) if n >> i & 1])
            for n in range(32)]
    yield "all flags", tokens(*some), [], [t[0] for t in some]
    yield "overlap", tokens(("ab",), ("abcd",), ("bcde",), ("cd",),
                            ("abcdef", "single_word")), [], \
        ["abcdef", "bcde", "cd", "abcde", "x", "abcdefg"]
    yield "special overlap", tokens(("<s>", "special"), ("s>x",),
                                    ("<s>xy", "special")), [], \
        ["<s>", "s>x", "<s>x", "xy", "y"]
    yield "spaces", tokens(("<r>", "rstrip"), ("  ",), ("   ",),
                           ("<l>", "lstrip"), (" z",)), [], \
        ["<r>", "<l>", " ", "  ", "z", "\n"]
    yield "normalized spaces", tokens(
        ("<r>", "rstrip", "normalized"), ("  ", "normalized"),
        ("<l>", "lstrip", "normalized"), (" z", "normalized"),
        ("\n", "lstrip", "rstrip", "normalized")), [], \
        ["<r>", "<l>", " ", "  ", "z", "\n"]
    yield "normalized content", tokens(
        ("na\u00efve", "normalized"), ("\u65e5\u672c", "normalized"),
        ("e\u0301!",)), [], ["nai\u0308ve", "e\u0301!", "\u00e9!"]
    yield "content of bytes", tokens(("\u00e9",), ("\u0120x",), (" ",)), [], \
        ["\u00e9", "\u0120x", " ", "x"]
    model = BASE["model"]
    yield "merge pairs", {"model": {"merges": [
        m.split(" ") for m in model["merges"]]}}, [], []
    yield "merges reversed", {"model": {"merges": model["merges"][::-1]}}, \
        [], []
    yield "merge twice", {"model": {"merges": model["merges"] +
                                    model["merges"][:3]}}, [], []
    yield "version line", {"model": {"merges": ["#version: 0.2"] +
                                     model["merges"]}}, [], []
    yield "no merges", {"model": {"merges": []}}, [], []
    yield "dropout 0", {"model": {"dropout": 0.0}}, [], []
    yield "empty affixes", {"model": {"continuing_subword_prefix": "",
                                      "end_of_word_suffix": ""}}, [], []
    for post in ({"type": "ByteLevel", "add_prefix_space": True,
                  "trim_offsets": False},
                 {"type": "Sequence", "processors": []},
                 {"type": "TemplateProcessing", "single": [
                     {"Sequence": {"id": "A", "type_id": 0}}], "pair": [
                     {"Sequence": {"id": "A", "type_id": 0}},
                     {"Sequence": {"id": "B", "type_id": 1}}],
                  "special_tokens": {}}):
        yield "post_processor", {"post_processor": post}, [], []
    yield "decoder", {"decoder": {"type": "Sequence", "decoders": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False,
         "use_regex": False}]}}, [], []
    whole = ids_of_new("zzz", "\u0120zzz", mapped("xy \u00e9"))
    for on in (False, True):
        yield "ignore_merges", {"model": {"ignore_merges": on,
                                          "vocab": whole}}, [], \
            ["zzz", " zzz", "zzzz", "xy \u00e9", " "]
        yield "ignore_merges, added word", dict(
            tokens(("qq", "single_word")), model={"ignore_merges": on}), [], \
            ["qq", "_", " "]
        yield "ignore_merges, no split", {
            "model": {"ignore_merges": on, "vocab": whole},
            "pre_tokenizer": {"use_regex": False}}, [], \
            ["zzz", " zzz", "xy \u00e9"]
    # Characters of single bytes that no merge needs.
    drop = [CHARS[b] for b in b"xyz_QX"] + [CHARS[0x9f], CHARS[0xf0]]
    more = ["x", "xx", "yx", "y z", "ax", "xQ", "X_", "\U0001f600", "xyzQa"]
    yield "bytes missing", {}, drop, more
    unk = ids_of_new("<unk>")
    for fuse in (False, True):
        yield "unk_token", {"model": {"unk_token": "<unk>", "vocab": unk,
                                      "fuse_unk": fuse}}, drop, more
        some = ids_of_new("<unk>", *byte_names("xy"), *byte_names(CHARS[0xf0]),
                          "<0x7a>", *byte_names(CHARS[0x9f])[:1])
        yield "byte_fallback", {"model": {
            "byte_fallback": True, "vocab": some, "fuse_unk": fuse,
            "unk_token": "<unk>"}}, drop, more
    some = ids_of_new(*byte_names("xyz"), "<0x78><0x79>", "a<0x78>",
                      *byte_names(CHARS[0xf0]))
    yield "byte_fallback merges", {"model": {
        "byte_fallback": True, "vocab": some, "merges": model["merges"] +
        ["<0x78> <0x79>", "a <0x78>"]}}, drop, more + ["xyxy", "axy"]
    some = ids_of_new("<unk>", "<unk>a", "<unk><unk>")
    yield "unk merges", {"model": {
        "unk_token": "<unk>", "vocab": some, "merges": model["merges"] +
        ["<unk> a", "<unk> <unk>"]}}, drop, more + ["xa", "xxa", "xxxa"]


def texts_of(rng, pieces):
    out = rng.sample(TEXTS, 9)
    for _ in range(13 if pieces else 3):
        out.append("".join(rng.choice(pieces or TEXTS) + rng.choice(
            ["", "", "", " ", "  ", "\t"]) for _ in range(rng.randint(1, 6))))
    return out


def main():
    print(json.dumps({"base": BASE}))
    rng = random.Random(20)
    for name, patch, drop, pieces in variants():
        t = Tokenizer.from_str(json.dumps(build(patch, drop)))
        special = {a["id"] for a in patch.get("added_tokens", [])
                   if a["special"]}
        cases = []
        for text in texts_of(rng, pieces):
            case = {"text": text}
            t.encode_special_tokens = False
            case["ids"] = t.encode(text).ids
            t.encode_special_tokens = True
            user = t.encode(text).ids
            # Where merges lead to a special token, chatd differs.
            assert not any(id in special for id in user), (name, text)
            if user != case["ids"]:
                case["user"] = user
            case["all"] = t.decode(case["ids"], skip_special_tokens=False)
            shown = t.decode(case["ids"])
            if shown != case["all"]:
                case["shown"] = shown
            cases.append(case)
        line = {"name": name, "patch": patch, "drop": drop, "cases": cases}
        print(json.dumps(line, separators=(",", ":")))


if __name__ == "__main__":
    sys.exit(main())
