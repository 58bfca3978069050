# SPDX-License-Identifier: Apache-2.0
"""A conversation with the exported model in transformers (fp32), for check.py."""
import torch
from tokenizers import Tokenizer
from transformers import GPTNeoXForCausalLM


class Chat:
    def __init__(self, folder):
        self.tok = Tokenizer.from_file(folder + "/tokenizer.json")
        self.model = GPTNeoXForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        torch.manual_seed(3)

    def ids(self, text):
        return self.tok.encode(text, add_special_tokens=False).ids

    @torch.no_grad()
    def reply(self, prompt, sample=False, limit=100):
        """Return the text of the reply, and whether it ended by itself."""
        x, past, out = torch.tensor([self.ids(prompt)]), None, []
        for _ in range(limit):
            y = self.model(x, past_key_values=past, use_cache=True)
            past, z = y.past_key_values, y.logits[0, -1]
            if sample:
                top = torch.topk(z / 0.6, 40)
                t = int(top.indices[torch.multinomial(top.values.softmax(0), 1)])
            else:
                t = int(z.argmax())
            out.append(t)
            text = self.tok.decode(out, skip_special_tokens=False)
            if t == 0 or "<human>" in text:
                return text.split("<human>")[0].split("<|endoftext|>")[0].strip(), True
            x = torch.tensor([[t]])
        return text.strip(), False

    def talk(self, turns, sample):
        text, out = "", []
        for turn in turns:
            text += ("\n" if text else "") + f"<human>: {turn}\n<bot>:"
            reply, ended = self.reply(text, sample)
            text += " " + reply
            out.append((turn, reply, ended))
        return out

    @torch.no_grad()
    def greedy(self, prompt, n=40):
        ids, out = self.ids(prompt), []
        for _ in range(n):
            z = self.model(torch.tensor([ids + out])).logits[0, -1]
            top = torch.topk(z, 2)
            if float(top.values[0] - top.values[1]) < 0.01:
                break
            out.append(int(top.indices[0]))
        return ids, out
