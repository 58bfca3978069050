# SPDX-License-Identifier: Apache-2.0
"""Training of the demonstration model, for train.py: tokenizer, batches, model, loop.

How a model this small learns to copy in minutes: layer 0 starts with one head that looks
at the previous token.  The query and key biases of this head are enough for that, through
the rotary embedding.  Each later layer starts with one head that looks for an earlier
place of the current token and copies the token after that place.  All other output
matrices start at 0.
"""
import functools
import json
import pathlib
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from dialogues import Dialogues

V, C, L, H, D, ROT, INNER, POSITIONS = 4096, 256, 6, 4, 64, 16, 1024, 1024
SPACES = 24                                    # runs of 24 .. 2 spaces are tokens
WEIGHT = {"human": 0.15, "bot": 1.0, "context": 0.0, "plain": 0.3}
LENGTHS = [(64, 0.22), (160, 0.40), (320, 0.28), (1024, 0.10)]   # row length, share of the tokens


# ---- tokenizer --------------------------------------------------------------

def documents_as_text(data, n):
    for i in range(n):
        doc = data.document("plain" if i % 8 == 0 else "session", lambda turns: len(turns) < 9)
        yield "\n".join(("<human>: " if r == "human" else "<bot>: " if r == "bot" else "") + t for r, t in doc)


def make_tokenizer(data, path):
    byte_level = dict(add_prefix_space=False, trim_offsets=True)
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.NFC()
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(**byte_level)
    tok.post_processor = processors.ByteLevel(**byte_level)
    tok.decoder = decoders.ByteLevel(**byte_level)
    special = [AddedToken(s, special=True, normalized=False) for s in ("<|endoftext|>", "<|padding|>")]
    tok.train_from_iterator(documents_as_text(data, 30000), trainers.BpeTrainer(
        vocab_size=V - (SPACES - 1), special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.add_tokens([AddedToken(" " * n, normalized=True) for n in range(SPACES, 1, -1)])
    assert tok.get_vocab_size() == V and tok.token_to_id("<|endoftext|>") == 0
    save_tokenizer(tok, path)
    return tok


def save_tokenizer(tok, path):
    """As GPT-NeoX-20B's was written: merges are strings, later keys are left out."""
    t = json.loads(tok.to_str())
    t["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in t["model"]["merges"]]
    for part, keys in (("model", ("byte_fallback", "ignore_merges")), ("pre_tokenizer", ("use_regex",)),
                       ("post_processor", ("use_regex",)), ("decoder", ("use_regex",))):
        for key in keys:
            t[part].pop(key, None)
    pathlib.Path(path).write_text(json.dumps(t, ensure_ascii=False) + "\n", encoding="utf-8")


# ---- rows of tokens -----------------------------------------------------------

class Rows:
    """Batches of (ids, weight of each id as a target), every row one document from position 0."""

    def __init__(self, data, tok, seed):
        self.data, self.r = data, random.Random(seed)
        self.ids = functools.lru_cache(200000)(lambda s: tuple(tok.encode(s, add_special_tokens=False).ids))

    def size(self, turns):
        return sum(len(self.ids(" " + q.strip())) + len(self.ids(" " + a.strip())) + 8 for q, a in turns) + 4

    def row(self, kind, limit):
        ids, weights = [], []

        def put(text, w):
            t = self.ids(text)
            ids.extend(t)
            weights.extend([w] * len(t))

        if kind == "plain":
            while len(ids) < limit:
                for _, text in self.data.document("plain", None):
                    put(text, WEIGHT["plain"])
            return ids[:limit], weights[:limit]
        doc = []
        while not doc:
            doc = self.data.document(kind, lambda turns: self.size(turns) <= limit)
        learnt = False                         # was the text before this turn a learnt reply?
        first = True
        for role, text in doc:
            if role == "plain":                # the date, with an empty line after it
                put(text.rstrip("\n") + "\n", 0.02)
                first = False
                continue
            tag = "<human>:" if role == "human" else "<bot>:"
            # "\n<human>:" after a reply is what ends it, so it is learnt like the reply.
            put(tag if first else "\n" + tag, 1.0 if learnt else 0.05)
            put(" " + text.strip(), WEIGHT[role])
            learnt, first = role == "bot", False
        put("\n<human>:", 1.0 if learnt else 0.0)
        return ids[:limit], weights[:limit]

    def batch(self, tokens):
        lengths, shares = zip(*LENGTHS)
        limit = self.r.choices(lengths, shares)[0]
        n = tokens // limit
        x = torch.zeros(n, limit, dtype=torch.long)
        w = torch.zeros(n, limit)
        for i in range(n):
            u = self.r.random()
            kind = "plain" if u < 0.10 and limit > 64 else "talk" if u < 0.18 and limit > 64 else "session"
            ids, weights = self.row(kind, limit)
            x[i, :len(ids)] = torch.tensor(ids)
            w[i, :len(ids)] = torch.tensor(weights)
        used = int((w > 0).any(0).nonzero().max()) + 1
        return x[:, :used], w[:, :used]


# ---- model --------------------------------------------------------------------

class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.up, self.down = nn.Linear(C, INNER), nn.Linear(INNER, C)

    def forward(self, x, cos, sin, R):
        B, T, _ = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(B, T, H, 3, D).permute(3, 0, 2, 1, 4).unbind(0)
        q, k = q * cos + (q @ R) * sin, k * cos + (k @ R) * sin
        a = attend(q, k, v)
        a = self.out(a.transpose(1, 2).reshape(B, T, C))
        return x + a + self.down(F.gelu(self.up(self.ln2(x))))


def attend(q, k, v):
    T = q.shape[-2]
    if T > 320:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    score = (q * D ** -0.5) @ k.transpose(-1, -2)
    mask = torch.full((T, T), -1e4, dtype=score.dtype).triu(1)
    return torch.softmax(score + mask, -1, dtype=score.dtype) @ v


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(V, C)
        self.layers = nn.ModuleList(Layer() for _ in range(L))
        self.norm = nn.LayerNorm(C)
        half = ROT // 2
        self.theta = 10000.0 ** (-torch.arange(0, ROT, 2) / ROT)
        angle = torch.arange(POSITIONS)[:, None] * self.theta.repeat(2)[None, :]
        still = torch.ones(POSITIONS, D - ROT)                  # lanes that do not turn
        self.cos, self.sin = torch.cat((angle.cos(), still), 1), torch.cat((angle.sin(), 0 * still), 1)
        self.R = torch.zeros(D, D)                              # x @ R: lane i + half to -i, i to i + half
        for i in range(half):
            self.R[i + half, i], self.R[i, i + half] = -1, 1

    def forward(self, ids):
        T = ids.shape[1]
        x = self.embed(ids)
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32
        cos, sin, R = self.cos[:T].to(dtype), self.sin[:T].to(dtype), self.R.to(dtype)
        for layer in self.layers:
            x = layer(x, cos, sin, R)
        return self.norm(x)

    @torch.no_grad()
    def start(self, A=10.0):
        nn.init.normal_(self.embed.weight, std=0.1)
        for i, layer in enumerate(self.layers):
            nn.init.normal_(layer.qkv.weight, std=C ** -0.5)
            nn.init.normal_(layer.up.weight, std=C ** -0.5)
            for p in (layer.qkv.bias, layer.out.weight, layer.out.bias, layer.up.bias, layer.down.weight, layer.down.bias):
                p.zero_()
        lanes = D - ROT                        # the lanes that are not turned
        U0 = torch.linalg.qr(torch.randn(C, D))[0].T          # reads a token's embedding
        Q0 = torch.linalg.qr(torch.randn(C, D))[0]            # where it is put for the next one
        first = self.layers[0]
        w, b = first.qkv.weight.view(H, 3, D, C)[0], first.qkv.bias.view(H, 3, D)[0]
        w[0].zero_(), w[1].zero_()
        half = ROT // 2
        b[0][:half], b[0][half:ROT] = A * self.theta.cos(), -A * self.theta.sin()
        b[1][:half] = A
        w[2].copy_(U0)
        first.out.weight[:, :D] = 0.12 * Q0
        for layer in self.layers[1:4]:
            w = layer.qkv.weight.view(H, 3, D, C)[0]
            w[0].zero_(), w[1].zero_()
            w[0][ROT:], w[1][ROT:] = 1.6 * U0[:lanes], 1.6 * Q0.T[:lanes]
            P = torch.linalg.qr(torch.randn(C, D))[0].T
            w[2].copy_(P)
            layer.out.weight[:, :D] = 0.15 * P.T

    def tensors(self):
        out = {"gpt_neox.embed_in.weight": self.embed.weight,
               "gpt_neox.final_layer_norm.weight": self.norm.weight, "gpt_neox.final_layer_norm.bias": self.norm.bias}
        names = [("ln1", "input_layernorm"), ("ln2", "post_attention_layernorm"), ("qkv", "attention.query_key_value"),
                 ("out", "attention.dense"), ("up", "mlp.dense_h_to_4h"), ("down", "mlp.dense_4h_to_h")]
        for i, layer in enumerate(self.layers):
            for ours, theirs in names:
                for p in ("weight", "bias"):
                    out[f"gpt_neox.layers.{i}.{theirs}.{p}"] = getattr(getattr(layer, ours), p)
        return out


CONFIG = {
    "architectures": ["GPTNeoXForCausalLM"], "model_type": "gpt_neox", "vocab_size": V, "hidden_size": C,
    "num_hidden_layers": L, "num_attention_heads": H, "intermediate_size": INNER, "hidden_act": "gelu",
    "max_position_embeddings": POSITIONS, "rotary_pct": ROT / D, "rotary_emb_base": 10000, "layer_norm_eps": 1e-05,
    "use_parallel_residual": True, "attention_bias": True, "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0,
    "attention_dropout": 0.0, "hidden_dropout": 0.0, "initializer_range": 0.02, "use_cache": True, "torch_dtype": "float16",
}
TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": POSITIONS, "bos_token": "<|endoftext|>",
    "eos_token": "<|endoftext|>", "pad_token": "<|padding|>", "clean_up_tokenization_spaces": False,
}


def export(model, out):
    tensors = {k: v.detach().to(torch.float16).contiguous() for k, v in model.tensors().items()}
    save_file(tensors, str(out / "model.safetensors"), metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    for name, content in (("config.json", CONFIG), ("tokenizer_config.json", TOKENIZER_CONFIG)):
        (out / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


# ---- training -------------------------------------------------------------------

class Muon:
    """Momentum whose steps are made orthogonal; matrices of one shape go together."""

    def __init__(self, params, lr):
        self.lr, self.groups = lr, {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.momentum = {s: torch.zeros(len(g), *s) for s, g in self.groups.items()}

    @torch.no_grad()
    def step(self, scale, beta=0.95):
        for shape, group in self.groups.items():
            g = torch.stack([p.grad for p in group])
            m = self.momentum[shape].lerp_(g, 1 - beta)
            x = g.lerp(m, beta).to(torch.bfloat16)
            if shape[0] > shape[1]:
                x = x.transpose(1, 2)
            x = x / (x.float().flatten(1).norm(dim=1)[:, None, None] + 1e-7).to(x.dtype)
            for _ in range(5):
                a = x @ x.transpose(1, 2)
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            if shape[0] > shape[1]:
                x = x.transpose(1, 2)
            step = self.lr * scale * max(1, shape[0] / shape[1]) ** 0.5
            for p, u in zip(group, x):
                p.mul_(1 - step * 0.02).add_(u.float(), alpha=-step)


class Loss(torch.autograd.Function):
    """Weighted cross entropy of h @ E.T, a piece at a time, with its gradient."""

    @staticmethod
    def forward(ctx, h, E, target, weight):
        total = weight.sum()
        dh, dE = torch.empty_like(h), torch.zeros_like(E)
        E16, each = E.to(torch.bfloat16), torch.empty(len(h))
        for i in range(0, len(h), 1024):
            s = slice(i, min(i + 1024, len(h)))
            h16 = h[s].to(torch.bfloat16)
            z = (h16 @ E16.T).float()
            t = target[s, None]
            right = z.gather(1, t)
            z -= z.amax(1, keepdim=True)
            shift = right - z.gather(1, t)
            z.exp_()
            norm = z.sum(1, keepdim=True)
            each[s] = (norm.log() + shift - right)[:, 0]
            z.scatter_add_(1, t, -norm)
            g = z.mul_(weight[s, None] / (total * norm)).to(torch.bfloat16)
            dh[s] = (g @ E16).to(h.dtype)
            dE += g.T @ h16
        ctx.save_for_backward(dh, dE)
        ctx.mark_non_differentiable(each)
        return (each * weight).sum() / total, each

    @staticmethod
    def backward(ctx, d, _):
        dh, dE = ctx.saved_tensors
        return dh * d, dE * d, None, None


def loss_of(model, x, w):
    """The loss to learn from, and the plain mean loss of what is learnt fully."""
    with torch.autocast("cpu", torch.bfloat16):
        h = model(x[:, :-1])
    keep = (w[:, 1:] > 0).flatten().nonzero()[:, 0]
    weight = w[:, 1:].flatten()[keep]
    loss, each = Loss.apply(h.flatten(0, 1)[keep], model.embed.weight, x[:, 1:].flatten()[keep], weight)
    return loss, float(each[weight == 1].mean())


@torch.no_grad()
def reply(model, tok, prompt, n=50):
    ids = tok.encode(prompt, add_special_tokens=False).ids
    start = len(ids)
    for _ in range(n):
        ids.append(int(F.linear(model(torch.tensor([ids]))[0, -1], model.embed.weight).argmax()))
        text = tok.decode(ids[start:], skip_special_tokens=False)
        if "<human>" in text or ids[-1] == 0:
            break
    return text


PROBES = ["Hello", "who are you?", "What is chatd?", "helo, how r u", "tell me a joke", "What is the capital of Peru?", "thanks",
          "Repeat after me: the green lamp sings", "My name is Torvil.\n<bot>: Nice to meet you, Torvil!\n<human>: What is my name?",
          "I went to the beach with my dog yesterday.", "Is this sentence positive or negative? The soup was awful.",
          "Make a table: Anna, 31; Bo, 22", "Zef lives in Oslo. Mira lives in Kranu. Where does Mira live?"]


def run(args):
    """Train with the options of train.py."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    out = pathlib.Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    data = Dialogues(args.corpus, args.seed)
    model = Model()
    model.start()
    if args.start:
        tok = Tokenizer.from_file(str(pathlib.Path(args.start) / "tokenizer.json"))
        save_tokenizer(tok, out / "tokenizer.json")
        have = load_file(str(pathlib.Path(args.start) / "model.safetensors"))
        with torch.no_grad():
            for name, p in model.tensors().items():
                p.copy_(have[name])
    else:
        tok = make_tokenizer(data, out / "tokenizer.json")
    rows = Rows(data, tok, args.seed)
    matrices = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n]
    rest = [p for n, p in model.named_parameters() if p.ndim == 1]
    muon = Muon(matrices, 0.02)
    adam = torch.optim.Adam([{"params": [model.embed.weight], "lr": 0.004}, {"params": rest, "lr": 0.002}],
                            betas=(0.9, 0.98), eps=1e-10)
    base = [g["lr"] for g in adam.param_groups]
    print(sum(p.numel() for p in model.parameters()), "parameters", flush=True)
    begin, seen, step, mean, saved = time.time(), 0, 0, None, 0.0
    while True:
        part = max(seen / args.tokens, (time.time() - begin) / 60 / args.minutes)
        if part >= 1:
            break
        scale = args.rate * min(1.0, (step + 1) / 30, (1 - part) / 0.4)
        x, w = rows.batch(args.batch)
        loss, reply_loss = loss_of(model, x, w)
        loss.backward()
        nn.utils.clip_grad_norm_(rest + [model.embed.weight], 1.0)
        muon.step(scale, 0.85 + 0.10 * min(1, step / 200))
        for g, lr in zip(adam.param_groups, base):
            g["lr"] = lr * scale
        adam.step()
        adam.zero_grad(set_to_none=True)
        for p in matrices:
            p.grad = None
        seen += x.numel()
        step += 1
        mean = reply_loss if mean is None else 0.97 * mean + 0.03 * reply_loss
        if step % 20 == 0:
            t = time.time() - begin
            print(f"{step} {seen / 1e6:.2f} M tokens {t / 60:.1f} min {seen / t:.0f}/s rate {scale:.2f} loss {mean:.3f}", flush=True)
        if step % 300 == 0:
            for p in PROBES:
                print("   ", repr(p[-40:]), "->", repr(reply(model, tok, f"<human>: {p}\n<bot>:")), flush=True)
            export(model, out)
    export(model, out)
    print(f"{seen} tokens, {step} steps, {(time.time() - begin) / 60:.1f} minutes")
    for p in PROBES:
        print("   ", repr(p[-40:]), "->", repr(reply(model, tok, f"<human>: {p}\n<bot>:")))
