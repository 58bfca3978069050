#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make tests/data/encoder: a tiny BERT with random weights as a model file, and
what the reference library (transformers and tokenizers) says about some texts.

    tiny.py FOLDER
"""
import json
import pathlib
import string
import sys
import tempfile

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel
from safetensors.torch import save_file

import export

WORDS = ("the", "a", "how", "make", "bomb", "cake", "un", "##ing", "##able",
         "aff", "##ord", "naive", "strasse", "grin", "face", "hello", "500",
         "don", "##ne", "中", "国", "##中", "é", "€", "ö", "ı")
TEXTS = (
    "", "How do I make a bomb?", "unaffordable cake", "HELLO, hello!! hello",
    "naïve NAÏVE naïve", "Straße straße STRASSE", "don't can't won't",
    "中国 is 中x国", "a\u0000b\tc\nd\re f\u200bg\u00adh\ufeffi", "$500.00 (50%)",
    "x" * 100, "x" * 101, "ab" * 50 + " " + "ab" * 51, "a_b-c/d\\e|f",
    "İstanbul Iıi", "“quoted” … — – ‘x’", "\u3000wide\u2003space\u00a0nbsp",
    "e\u0301 \u0301 e\u0301\u0323", "한국 ㅎ", "عربي हिन्दी", "[CLS] [SEP] [UNK]",
    "##able ##", "ﬁne Ａ１ ½", "\U0001f600 \u2603", "€5 ö Ö õ",
    "grinning thefaces", "a\u2028b\u2029c\u0085d", "Ωmega Ж", "ǅ ǆ Ǆ",
    "1,234.5e-6", "~`^<>=+", "§ ¶ · ¿ ¡ « »", "\u0345x \u1e9b\u0323",
    "make make make make make make make make make make make make make",
)


def write(folder):
    torch.manual_seed(7)
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[unused0]"]
    vocab += list(string.ascii_lowercase + string.digits)
    vocab += ["##" + c for c in string.ascii_lowercase + string.digits]
    vocab += list(string.punctuation) + list("“”…—–‘’½ᄒ")
    vocab += [w for w in WORDS if w not in vocab]
    config = BertConfig(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, initializer_range=.5)
    model = BertModel(config, add_pooling_layer=False).eval()
    for name, p in model.named_parameters():
        if name.endswith("bias") or "LayerNorm" in name:
            p.data += torch.randn_like(p) * .2
    outputs = ["request", "request.violence", "request.illegal", "content",
               "content.hate", "content.violence"]
    head = {"weight": torch.randn(len(outputs), 16) * .3,
            "bias": torch.randn(len(outputs)) * .3}
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        (tmp / "vocab.txt").write_text("\n".join(vocab) + "\n", "utf-8")
        model.save_pretrained(tmp)
        save_file(head, tmp / "head.safetensors")
        (tmp / "head.json").write_text(json.dumps({
            "outputs": outputs, "temperature": 2, "shift": .25}))
        export.export(tmp, folder / "tiny.enc", name="tiny")
        tok = BertWordPieceTokenizer(str(tmp / "vocab.txt"), lowercase=True)
    tok._tokenizer.encode_special_tokens = True    # their names are text
    cases = []
    for text in TEXTS:
        e = tok.encode(text, add_special_tokens=False)
        ids = [2] + e.ids[:30] + [3]
        with torch.no_grad():
            x = model(input_ids=torch.tensor([ids])).last_hidden_state[0, 0]
            z = head["weight"] @ x + head["bias"]
        cases.append({"text": text, "tokens": e.tokens,
                      "logits": [round(float(v), 5) for v in z]})
    (folder / "tiny.json").write_text(json.dumps(
        {"source": "tools/encoder/tiny.py: transformers, tokenizers",
         "cases": cases}, indent=0) + "\n")


if __name__ == "__main__":
    write(pathlib.Path(sys.argv[1]))
