# SPDX-License-Identifier: Apache-2.0
"""Exports in the hands of those who read them: Hugging Face datasets loads each
format, and one optimiser step each of TRL's SFT, DPO and KTO trainers runs on
them with the demonstration model.

It runs where datasets, trl and torch are installed: in the Python that runs
the tests, or in the one that CHATD_PYTHON names."""
import json
import os
import subprocess
import sys

import pytest

from service import BUILD, SRC, Service

MINI = SRC / "engine/mini"
ENGINE = BUILD / "chatd-engine"
PYTHON = os.environ.get("CHATD_PYTHON", sys.executable)
NEEDS = "import datasets, torch, transformers, trl"

pytestmark = pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", NEEDS], capture_output=True,
                   check=False).returncode != 0,
    reason="datasets, torch, transformers and trl are not installed "
           "(CHATD_PYTHON names a Python that has them)")

STEP = """
import json, sys
import torch
from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
import trl

kind, file, model, out = sys.argv[1:]
data = load_dataset("json", data_files=file, split="train")
keep = {"sft": ["messages"], "dpo": ["prompt", "chosen", "rejected"],
        "kto": ["prompt", "completion", "label"]}[kind]
data = data.select_columns(keep)
tok = AutoTokenizer.from_pretrained(model)
if tok.pad_token is None:
    tok.pad_token = tok.eos_token
net = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
before = [p.detach().clone() for p in net.parameters()]
name = {"sft": "SFT", "dpo": "DPO", "kto": "KTO"}[kind]
config = getattr(trl, name + "Config")(
    output_dir=out, max_steps=1, per_device_train_batch_size=2,
    learning_rate=1e-3, report_to=[], save_strategy="no", logging_steps=1,
    use_cpu=True, bf16=False, gradient_checkpointing=False)
more = {"ref_model": AutoModelForCausalLM.from_pretrained(
    model, dtype=torch.float32)} if kind != "sft" else {}
trainer = getattr(trl, name + "Trainer")(
    model=net, args=config, train_dataset=data, processing_class=tok, **more)
trainer.train()
changed = sum(not torch.equal(a, b.detach().cpu())
              for a, b in zip(before, trainer.model.parameters()))
loss = [h["loss"] for h in trainer.state.log_history if "loss" in h][0]
print(json.dumps({"rows": len(data), "changed": changed, "loss": loss}))
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Exports of a small campaign."""
    folder = tmp_path_factory.mktemp("exports")
    with Service(engine=ENGINE, model=MINI) as s:
        s.wait_model()
        with s.client() as c:
            for i in range(6):
                ask = "Hello, my name is Ada %d." % i
                _, end = c.say(ask, params={"max_tokens": 30, "seed": i})
                talk = end["conversation"]
                assert c.call("rate", exchange=end["exchange"], thumb=1)[
                    "event"] == "done"
                _, end = c.say("What is my name?", conversation=talk,
                               params={"max_tokens": 30, "seed": i})
                assert c.call("rate", exchange=end["exchange"], thumb=-1,
                              reasons=["incorrect"],
                              ideal="It is Ada %d." % i)["event"] == "done"
        for form in ("oig", "sft", "messages", "preference", "openai-dpo",
                     "kto", "oasst", "argilla", "label-studio"):
            subprocess.run(
                [BUILD / "chatctl", "-s", s.socket, "export", "--format",
                 form, "-o", folder / (form + ".jsonl")], check=True,
                timeout=120)
    return folder


@pytest.mark.parametrize("form", ["oig", "sft", "messages", "preference",
                                  "openai-dpo", "kto", "argilla",
                                  "label-studio"])
def test_datasets_loads_every_row(exports, form, tmp_path):
    path = exports / (form + ".jsonl")
    text = path.read_text("utf-8")
    # label-studio takes one array, which datasets reads as well
    rows = json.loads(text) if text.startswith("[") else [
        json.loads(x) for x in text.split("\n") if x]
    assert rows
    out = subprocess.run(
        [PYTHON, "-c", "import json, sys\nfrom datasets import load_dataset\n"
         "d = load_dataset('json', data_files=sys.argv[1], split='train')\n"
         "print(json.dumps([d.num_rows, sorted(d.column_names)]))", path],
        capture_output=True, text=True, check=True, timeout=300,
        env=dict(os.environ, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1"))
    number, columns = json.loads(out.stdout.splitlines()[-1])
    assert number == len(rows)
    assert set(columns) == {k for r in rows for k in r}


@pytest.mark.parametrize("kind, form", [("sft", "messages"),
                                        ("dpo", "preference"),
                                        ("kto", "kto")])
def test_one_step_of_a_trainer(exports, kind, form, tmp_path):
    r = subprocess.run(
        [PYTHON, "-c", STEP, kind, exports / (form + ".jsonl"), MINI,
         tmp_path / "out"], capture_output=True, text=True, timeout=600,
        env=dict(os.environ, HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1",
                 CUDA_VISIBLE_DEVICES=""))
    assert r.returncode == 0, r.stderr[-3000:]
    done = json.loads(r.stdout.splitlines()[-1])
    assert done["rows"] >= 6 and done["changed"] > 0
    assert 0 < done["loss"] < 20
