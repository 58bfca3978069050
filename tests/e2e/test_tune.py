# SPDX-License-Identifier: Apache-2.0
"""chatd-tune: runs of small recipes, their checkpoints and what they write, and
what is said about bad input."""
import hashlib
import json
import os
import pathlib
import signal
import struct
import subprocess
import time
import xml.etree.ElementTree

import pytest

SRC = pathlib.Path(os.environ["CHATD_SRC"]).resolve()
BUILD = pathlib.Path(os.environ["CHATD_BUILD"]).resolve()
TEMPLATES = SRC / "engine/mini/templates"
MODEL = """\
model: {layers: 2, channels: 32, heads: 2, inner: 64, context: 64, rotary: 8, vocab: 400}
tokenizer: {documents: 20}
"""
SFT = """\
data: [{kind: dialogues, path: talk.jsonl}]
objective: sft
optimizer: adamw
rate: 0.01
schedule: linear
steps: 30
batch: 200
micro: 128
save_every: 3
dtype: F32
"""
TALK = [["Hello", "Hi there!"], ["What is your name?", "I am a test."],
        ["Say seven", "seven", "Say it again", "seven"],
        ["Good night", "Sleep well, my friend."]]


def tune(*args, **kw):
    return subprocess.run([BUILD / "chatd-tune", *map(str, args)],
                          capture_output=True, text=True, timeout=600, **kw)


def lines(path, rows):
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))


def write(folder, text, **change):
    """A recipe, with some of its lines replaced."""
    for key, value in change.items():
        text = "\n".join("%s: %s" % (key, value)
                         if line.startswith(key + ":") else line
                         for line in text.split("\n"))
    (folder / "r.yaml").write_text(text)
    lines(folder / "talk.jsonl", [{"turns": t} for t in TALK])
    return folder / "r.yaml"


def run(folder, out="out", text=MODEL + SFT, args=(), **change):
    done = tune("recipe", write(folder, text, **change), "--out",
                folder / out, "--every", 0, *args)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / out


def losses(out):
    rows = (out / "loss.csv").read_text().splitlines()
    assert rows[0] == "step,tokens,loss,norm,rate"
    return [float(r.split(",")[2]) for r in rows[1:]]


def tensors(path):
    """{name: (dtype, shape, bytes)} of a safetensors file."""
    data = path.read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__")
    return {k: (v["dtype"], v["shape"],
                data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]])
            for k, v in head.items()}


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return run(tmp_path_factory.mktemp("tune"))


def test_a_run_learns_and_writes_a_model_that_the_engine_loads(trained):
    loss = losses(trained)
    assert len(loss) == 30
    assert sum(loss[-5:]) < 0.5 * sum(loss[:5])
    config = json.loads((trained / "config.json").read_text())
    assert config["architectures"] == ["GPTNeoXForCausalLM"]
    assert (config["hidden_size"], config["num_hidden_layers"]) == (32, 2)
    done = subprocess.run([BUILD / "chatd-engine", "--check", "--model", trained],
                          capture_output=True, text=True, check=True)
    assert "sound" in done.stdout
    svg = xml.etree.ElementTree.parse(trained / "loss.svg").getroot()
    assert svg.tag.endswith("svg")
    points = [e.get("points").split() for e in svg.iter()
              if e.tag.endswith("polyline")]
    assert len(points[0]) == 30


def test_a_model_says_what_it_has_learnt(tmp_path):
    out = run(tmp_path, steps=150)
    asked = json.dumps({"op": "generate", "id": 1, "prompt": "<human>: Say seven\n<bot>:",
                        "params": {"temperature": 0, "max_tokens": 20,
                                   "stop": ["\n<human>"]}})
    done = subprocess.run([BUILD / "chatd-engine", "--model", out],
                          input=asked + "\n", capture_output=True, text=True,
                          check=True)
    text = "".join(json.loads(line).get("text", "")
                   for line in done.stdout.splitlines())
    assert text.strip().startswith("seven")


def test_the_same_bits_with_any_number_of_threads(tmp_path, trained):
    out = run(tmp_path, args=["--threads", 3])
    assert digest(out / "model.safetensors") == \
        digest(trained / "model.safetensors")


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8", "muon"])
def test_a_killed_run_goes_on_with_the_same_bits(tmp_path, optimizer):
    whole = run(tmp_path, "whole", optimizer=optimizer)
    recipe = tmp_path / "r.yaml"
    killed = tmp_path / "killed"
    p = subprocess.Popen([BUILD / "chatd-tune", "recipe", recipe, "--out",
                          killed, "--every", "0"], stdout=subprocess.PIPE)
    end = time.monotonic() + 60
    while not (killed / "checkpoint").exists() and p.poll() is None and \
            time.monotonic() < end:
        time.sleep(0.005)
    p.send_signal(signal.SIGKILL)
    p.wait()
    p.stdout.close()
    assert (killed / "checkpoint").exists()
    done = tune("recipe", recipe, "--out", killed)
    assert (done.returncode, done.stderr) == (0, "")
    assert digest(killed / "model.safetensors") == \
        digest(whole / "model.safetensors")
    assert losses(killed) == losses(whole)


def test_a_run_in_parts_is_the_same_run(tmp_path, trained):
    recipe = write(tmp_path, MODEL + SFT)
    for stop in 4, 5, 17:
        done = tune("recipe", recipe, "--out", tmp_path / "out", "--stop", stop)
        assert (done.returncode, done.stderr) == (0, "")
        assert not (tmp_path / "out/model.safetensors").exists()
    done = tune("recipe", recipe, "--out", tmp_path / "out")
    assert "continued after step 17\n" in done.stdout
    assert digest(tmp_path / "out/model.safetensors") == \
        digest(trained / "model.safetensors")


def test_a_complete_run_goes_on_after_a_restart_of_the_rate(tmp_path):
    """With the same bits as the recipe with "restart" has from the beginning."""
    text = MODEL + SFT + "warmup: 1\nrestart: 0\n"
    run(tmp_path, "out", text, steps=12)
    run(tmp_path, "out", text, args=["--changed"], steps=30, restart=12)
    whole = run(tmp_path, "whole", text, steps=30, restart=12)
    assert digest(tmp_path / "out/model.safetensors") == \
        digest(whole / "model.safetensors")
    rows = (whole / "loss.csv").read_text().splitlines()[1:]
    rates = [float(r.split(",")[4]) for r in rows]
    assert len(rates) == 30 and rates[11] < rates[8] / 2 and \
        rates[12] > 2 * rates[11] and rates[29] < rates[12] / 5


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    recipe = write(tmp_path, MODEL + SFT)
    assert tune("recipe", recipe, "--out", tmp_path / "out", "--stop",
                3).returncode == 0
    recipe = write(tmp_path, MODEL + SFT, rate=0.02)
    done = tune("recipe", recipe, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/out/checkpoint: of another recipe or corpus; --fresh "
        "begins again, --changed goes on\n" % tmp_path)
    done = tune("recipe", recipe, "--out", tmp_path / "out", "--changed")
    assert "continued after step 3\n" in done.stdout
    assert tune("recipe", recipe, "--out", tmp_path / "out",
                "--fresh").returncode == 0
    data = (tmp_path / "out/checkpoint").read_bytes()
    for n, why in (10, "too short"), (len(data) - 5, "the end is missing"):
        (tmp_path / "out/checkpoint").write_bytes(data[:n])
        done = tune("recipe", recipe, "--out", tmp_path / "out")
        assert (done.returncode, done.stderr) == (
            1, "chatd-tune: %s/out/checkpoint: %s\n" % (tmp_path, why))


def test_packed_text(tmp_path):
    lines(tmp_path / "plain.jsonl", [{"text": "one two three four " * 9}])
    text = MODEL + SFT.replace("dialogues", "text").replace(
        "talk.jsonl", "plain.jsonl") + "pack: true\n"
    out = run(tmp_path, text=text, objective="lm")
    loss = losses(out)
    assert loss[-1] < 0.3 * loss[0]
    tokens = [int(r.split(",")[1]) for r in
              (out / "loss.csv").read_text().splitlines()[1:]]
    assert tokens[0] == 256          # 4 of 64: the first multiple above 200


def test_adapters(tmp_path, trained):
    text = ("start: %s\n" % trained) + SFT + \
        "lora: {rank: 4, alpha: 8, targets: [query_key_value, dense_4h_to_h]}\n"
    out = run(tmp_path, text=text, dtype="F16")
    config = json.loads((out / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == \
        ("LORA", 4, 8)
    assert config["target_modules"] == ["query_key_value", "dense_4h_to_h"]
    got = tensors(out / "adapter_model.safetensors")
    at = "base_model.model.gpt_neox.layers.1."
    assert {k: v[1] for k, v in got.items() if k.startswith(at)} == {
        at + "attention.query_key_value.lora_A.weight": [4, 32],
        at + "attention.query_key_value.lora_B.weight": [96, 4],
        at + "mlp.dense_4h_to_h.lora_A.weight": [4, 64],
        at + "mlp.dense_4h_to_h.lora_B.weight": [32, 4]}
    assert len(got) == 8
    assert not (out / "model.safetensors").exists()
    assert any(got[at + "mlp.dense_4h_to_h.lora_B.weight"][2])


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("objective", ["dpo", "kto"])
def test_preferences_are_learnt(tmp_path, trained, objective, lora):
    if objective == "dpo":
        kind = "preference"
        lines(tmp_path / "talk2.jsonl", [
            {"prompt": "<human>: Say seven\n<bot>:", "chosen": " seven",
             "rejected": " Sleep well"},
            {"prompt": "<human>: Good night\n<bot>:", "chosen": " Sleep",
             "rejected": " Hi there!"}])
    else:
        kind = "labels"
        lines(tmp_path / "talk2.jsonl", [
            {"prompt": "<human>: Say seven\n<bot>:", "completion": " seven",
             "label": True},
            {"prompt": "<human>: Say seven\n<bot>:", "completion": " night",
             "label": False}])
    text = ("start: %s\n" % trained) + SFT.replace("dialogues", kind).replace(
        "talk.jsonl", "talk2.jsonl")
    if lora:
        text += "lora: {rank: 4, alpha: 8}\n"
    loss = losses(run(tmp_path, text=text, objective=objective))
    # At the start the model is the reference: -log(1/2), or 1/2.
    assert loss[0] == pytest.approx(0.693147 if objective == "dpo" else 0.5,
                                    abs=1e-3)
    assert loss[-1] < 0.97 * loss[0]


def test_the_reference_library_loads_the_folder(tmp_path, trained):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.AutoModelForCausalLM.from_pretrained(trained)
    assert type(model).__name__ == "GPTNeoXForCausalLM"
    assert model.lm_head.weight.data_ptr() == \
        model.gpt_neox.embed_in.weight.data_ptr()
    want = tensors(trained / "model.safetensors")
    name = "gpt_neox.layers.0.attention.query_key_value.weight"
    got = model.state_dict()[name].to(torch.float32).numpy().tobytes()
    assert got == want[name][2]


BAD = [
    ("steps: 30", "steps: 0", "r.yaml:8:8: steps: "),
    ("rate: 0.01", "rat: 0.01", "r.yaml:6:6: rat: unknown key"),
    ("optimizer: adamw", "optimizer: sgd",
     'optimizer: "sgd" is not adamw, adamw8 or muon'),
    ("heads: 2", "heads: 5", "r.yaml:1:41: heads: expected channels / heads "
     "to be an even number, found 32 / 5\n"),
    ("channels: 32, heads: 2", "channels: 48, heads: 16",
     "r.yaml:1:41: heads: expected channels / heads to be an even number, "
     "found 48 / 16\n"),
    ("channels: 32, heads: 2", "channels: 40, heads: 2",
     "r.yaml:1:30: channels: expected a multiple of 16, found 40\n"),
    ("inner: 64", "inner: 72",
     "r.yaml:1:51: inner: expected a multiple of 16, found 72\n"),
    ("rotary: 8", "rotary: 7", "r.yaml:1:76: rotary: expected rotary to be an "
     "even number up to channels / heads, which is 16; found 7\n"),
    ("rotary: 8", "rotary: 18", "which is 16; found 18\n"),
    ("dtype: F32", "lora: {alpha: 8}",
     "r.yaml:12:7: lora: rank: expected 1 to 256, found none\n"),
    ("dtype: F32", "lora: 8",
     "r.yaml:12:7: lora: expected keys and values\n"),
    (MODEL + SFT, "- a\n", "r.yaml:1:1: expected keys and values\n"),
    (MODEL + SFT, "a\n", "r.yaml:1:1: expected keys and values\n"),
    ("kind: dialogues", "kind: talks",
     '"talks" is not templates, dialogues, text, preference or labels'),
    ("path: talk.jsonl", "path: gone.jsonl", "gone.jsonl: No such file"),
    ("context: 64", "context: 1", "r.yaml:1:64: context: "),
    ("data: [{kind: dialogues, path: talk.jsonl}]\n", "",
     "data: no source of documents"),
]


@pytest.mark.parametrize("old,new,message", BAD)
def test_bad_recipes(tmp_path, old, new, message):
    text = MODEL + SFT
    assert old in text
    done = tune("recipe", write(tmp_path, text.replace(old, new)), "--out",
                tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("chatd-tune: ")
    assert message in done.stderr


@pytest.mark.parametrize("row,message", [
    ("{", "talk.jsonl:2: not a JSON object"),
    ('{"turn": ["a"]}', 'talk.jsonl:2: expected "turns", "messages", "text" '
     'with tags, or "prompt" and "completion" with texts (chatd-tune(1)), '
     'found "turn"'),
    ('{}', '(chatd-tune(1)), found no keys')])
def test_bad_rows(tmp_path, row, message):
    recipe = write(tmp_path, MODEL + SFT)
    (tmp_path / "talk.jsonl").write_text('{"turns": ["a", "b"]}\n%s\n' % row)
    done = tune("recipe", recipe, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert message in done.stderr


@pytest.mark.parametrize("args", [
    [], ["dance"], ["recipe"], ["recipe", "x.yaml"],
    ["recipe", "x.yaml", "--out", "y", "--threads", "two"],
    ["evaluate", "x"], ["generate"], ["tokenizer", "x"]])
def test_wrong_arguments(args):
    done = tune(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: chatd-tune" in done.stderr


def test_an_unknown_instruction_set(tmp_path):
    done = tune("recipe", "x.yaml", "--out", tmp_path, "--isa", "sse")
    assert (done.returncode, done.stderr) == (
        1, 'chatd-tune: --isa: "sse" is not auto, amx, avx512fp16, '
        "avx512bf16, avx512, avx2 or scalar, or this processor can't run it\n")


def test_help_and_version():
    assert tune("--help").stdout.startswith("usage: chatd-tune COMMAND")
    assert tune("--version").stdout.split()[0] == "chatd-tune"


def test_generated_dialogues():
    one, two = (tune("generate", "--templates", TEMPLATES, "--items", 5,
                     "--seed", seed) for seed in (1, 2))
    assert (one.returncode, one.stderr) == (0, "")
    assert "<human>: " in one.stdout and "\n<bot>: " in one.stdout
    assert one.stdout != two.stdout
    table = tune("generate", "--templates", TEMPLATES, "--task", "table")
    assert "\n| --- |" in table.stdout
    done = tune("generate", "--templates", TEMPLATES, "--task", "song")
    assert (done.returncode, done.stderr) == (
        1, 'chatd-tune: no task "song"\n')


CORPUS = ["chitchat", "intents-clinc150", "sentiment-vader", "sentiment-uci",
          "persona-chat", "open-assistant-100", "instructions", "fables",
          "topical-chat", "taskmaster4"]


def corpus(folder, **rows):
    """A corpus with these rows, and nothing else."""
    (folder / "wordlists.json").write_text("{}")
    for name in CORPUS:
        lines(folder / (name + ".jsonl"), rows.get(name.split("-")[0], []))
    return folder


@pytest.mark.parametrize("text", ["It is a good day.", "It was a bad film."])
def test_a_corpus_with_one_sentence_does_not_hang(tmp_path, text):
    """It is held out or not: one of tests and training has none."""
    folder = corpus(tmp_path, sentiment=[{"text": text, "label": "Neutral"}])
    for args in [], ["--task", "opinion"], ["--task", "spans"]:
        done = tune("generate", "--templates", TEMPLATES, "--corpus", folder,
                    "--items", 40, *args)
        assert done.returncode == 0 or (
            done.stderr == "chatd-tune: no task \"opinion\"\n"), done.stderr


def test_a_corpus_of_empty_dialogues_is_refused(tmp_path):
    folder = corpus(tmp_path, persona=[{"turns": []}, {"turns": [1]}])
    done = tune("generate", "--templates", TEMPLATES, "--corpus", folder)
    assert done.stderr == "chatd-tune: %s: no dialogue of the corpus has a " \
        "turn that can be used\n" % folder


def test_evaluation_counts_exact_answers(tmp_path):
    """A model that knows one table by heart is right about it alone."""
    out = run(tmp_path, steps=5)
    done = tune("evaluate", out, "--templates", TEMPLATES, "--items", 3,
                "--tasks", "sentiment,memory")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [r[0] for r in rows if not r[0].startswith(("feeling", "examples"))] \
        == ["sentiment", "memory"]
    assert all(0 <= float(r[1]) <= 100 for r in rows)
    done = tune("evaluate", tmp_path / "gone", "--templates", TEMPLATES)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_talk_is_printed_with_replies(tmp_path):
    (tmp_path / "t.txt").write_text(
        "# a comment\nHello\nWho are you?\n\n\nThis:\\nx\n")
    done = tune("talk", SRC / "engine/mini", tmp_path / "t.txt")
    assert (done.returncode, done.stderr) == (0, "")
    one, two = done.stdout.split("\n\n")
    assert [line.split(": ")[0] for line in one.splitlines()] == [
        "<human>", "<bot>", "<human>", "<bot>"]
    assert two.startswith("<human>: This:\nx\n<bot>: ")
    (tmp_path / "n.txt").write_text("# nothing\n")
    done = tune("talk", SRC / "engine/mini", tmp_path / "n.txt")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/n.txt: no dialogue in it\n" % tmp_path)


def test_a_tokenizer_of_text_files(tmp_path):
    (tmp_path / "a.txt").write_text("the cat and the dog and the bird\n" * 9)
    done = tune("tokenizer", "--out", tmp_path / "t.json", "--vocab", 300,
                tmp_path / "a.txt")
    assert (done.returncode, done.stderr) == (0, "")
    model = json.loads((tmp_path / "t.json").read_text())["model"]
    assert model["merges"][:2] == ["h e", "t he"]
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")
    done = tune("tokenizer", "--out", tmp_path / "t.json", tmp_path / "b.txt")
    assert (done.returncode, done.stderr) == (
        1, "chatd-tune: %s/b.txt: not a text in UTF-8\n" % tmp_path)
