#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes reference.txt: losses and gradients of small models by torch and transformers.

    python tests/data/tune/reference.py >tests/data/tune/reference.txt

t_net.c makes the same weights: element i of tensor number k (in the order of
engine/tune/net.c) is 0.2 sin(0.7 i^2 + k), plus 1 for the scales of norms.  The
tokens are (7 i + 3) mod vocab in documents of 5, 37 and 70 tokens; every third token
has weight 0.3, the others 1.  Each line of a model has the sum of the gradient of a
tensor, the sum of its absolute values, and its elements 0 and n - 1.
The last part has the losses of 50 steps of torch.optim.AdamW without decay on the first model.
"""
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

BASE = dict(vocab_size=50, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=64,
            max_position_embeddings=128, layer_norm_eps=1e-5, attention_bias=True, attention_dropout=0.0, hidden_dropout=0.0)
MODELS = [dict(hidden_act="gelu", use_parallel_residual=True, rotary_pct=0.25, tie_word_embeddings=False),
          dict(hidden_act="gelu_fast", use_parallel_residual=True, rotary_pct=1.0, tie_word_embeddings=True),
          dict(hidden_act="gelu", use_parallel_residual=False, rotary_pct=0.5, tie_word_embeddings=True),
          dict(hidden_act="gelu_fast", use_parallel_residual=False, rotary_pct=0.25, tie_word_embeddings=False)]
LAYER = ["input_layernorm.weight", "input_layernorm.bias", "post_attention_layernorm.weight", "post_attention_layernorm.bias",
         "attention.query_key_value.weight", "attention.query_key_value.bias", "attention.dense.weight", "attention.dense.bias",
         "mlp.dense_h_to_4h.weight", "mlp.dense_h_to_4h.bias", "mlp.dense_4h_to_h.weight", "mlp.dense_4h_to_h.bias"]
DOCUMENTS = [5, 37, 70]


def names(config):
    out = ["gpt_neox.embed_in.weight"]
    out += [f"gpt_neox.layers.{i}.{n}" for i in range(config.num_hidden_layers) for n in LAYER]
    out += ["gpt_neox.final_layer_norm.weight", "gpt_neox.final_layer_norm.bias"]
    return out + ([] if config.tie_word_embeddings else ["embed_out.weight"])


def make(extra):
    config = GPTNeoXConfig(**BASE, **extra)
    rope = getattr(config, "rope_parameters", None)        # how newer releases store rotary_pct
    assert rope is None or rope["partial_rotary_factor"] == extra["rotary_pct"], rope
    model = GPTNeoXForCausalLM(config).float().eval()
    params = dict(model.named_parameters())
    params["embed_out.weight"] = model.get_output_embeddings().weight
    for k, name in enumerate(names(config)):
        p = params[name]
        i = torch.arange(p.numel(), dtype=torch.float64)
        x = 0.2 * torch.sin(0.7 * i * i + k) + (1 if "norm.weight" in name else 0)
        p.data.copy_(x.float().view(p.shape))
    return model, [(n, params[n]) for n in names(config)]


def loss(model):
    total, weights, at = 0, 0, 0
    for n in DOCUMENTS:
        ids = torch.tensor([[(7 * i + 3) % BASE["vocab_size"] for i in range(at, at + n)]])
        w = torch.tensor([0.3 if i % 3 == 0 else 1.0 for i in range(at, at + n)])[1:]
        each = torch.nn.functional.cross_entropy(model(ids).logits[0, :-1], ids[0, 1:], reduction="none")
        total, weights, at = total + (each * w).sum(), weights + w.sum(), at + n
    return total / weights


def main():
    torch.set_num_threads(1)
    for extra in MODELS:
        model, params = make(extra)
        value = loss(model)
        value.backward()
        print("model", extra["hidden_act"], int(extra["use_parallel_residual"]), extra["rotary_pct"],
              int(extra["tie_word_embeddings"]), "%.7f" % value.item())
        for name, p in params:
            g = p.grad.double().flatten()
            print("%s %.6e %.6e %.6e %.6e" % (name, g.sum(), g.abs().sum(), g[0], g[-1]))
    model, params = make(MODELS[0])
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.0)
    print("adamw", end="")
    for _ in range(50):
        value = loss(model)
        adam.zero_grad()
        value.backward()
        adam.step()
        print(" %.6f" % value.item(), end="")
    print()


if __name__ == "__main__":
    main()
