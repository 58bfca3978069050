# SPDX-License-Identifier: Apache-2.0
"""Every kind of model file with chatd and the real engine: files that work,
the messages about files that are refused, and files that change during use."""
import os
import shutil
import subprocess

import pytest

import gguf_files
from service import BUILD, SRC, Service, WAIT

MINI = SRC / "engine/mini"
ENGINE = BUILD / "chatd-engine"
PROMPT = "<human>: Hello\n<bot>:"


def pack(out, precision):
    subprocess.run([ENGINE, "--model", MINI, "--precision", precision,
                    "--pack", out], check=True, timeout=WAIT)
    return out


def serve(model, **keys):
    return Service(engine=ENGINE, model=model, config={"model": keys})


def complete(client, **params):
    params = {"temperature": 0, "max_tokens": 24, **params}
    return client.events(client.send("complete", prompt=PROMPT,
                                     params=params))[-1]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    return {p: pack(folder / p, p) for p in ("bf16", "int8")}


def test_a_packed_file_serves_under_the_digest_of_its_source(packed):
    seen = []
    for model in MINI, packed["bf16"]:
        with serve(model) as s:
            s.wait_model()
            with s.client() as c:
                done = complete(c)
            seen.append((s.status()["model"]["digest"], s.rows(
                "select digest, precision, name, text from reply "
                "join model on model.id = reply.model where reply.id = ?",
                done["reply"])))
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[0][1][0][0]


def test_a_gguf_file_serves(tmp_path):
    model = tmp_path / "mini.gguf"
    gguf_files.convert(MINI, model, "Q8_0")
    with serve(model, precision="int8") as s:
        s.wait_model()
        with s.client() as c:
            assert complete(c)["event"] == "done"
        assert s.status()["model"]["name"] == "mini"


def test_a_packed_file_of_another_precision_is_reported(packed):
    with serve(packed["int8"], precision="int4") as s:
        s.wait_model("down")
        why = s.status()["model"]["why"]
    assert why == ("%s: is packed in int8, not in int4: set precision to auto, "
                   "or load the model it was packed from" % packed["int8"])


def test_a_cache_in_int8_is_part_of_the_precision(packed):
    with serve(packed["int8"], kv_precision="int8", kv_tokens=2048) as s:
        s.wait_model()
        with s.client() as c:
            done = complete(c)
        model = s.status()["model"]
        assert (model["precision"], model["kv_precision"]) == \
            ("int8+kv8", "int8")
        assert model["kv_tokens"] == 2048 and model["kv_bytes"] > 0
        assert s.rows("select precision from reply join model "
                      "on model.id = reply.model where reply.id = ?",
                      done["reply"]) == [("int8+kv8",)]


def test_a_cache_that_does_not_fit_the_precision_is_reported(packed):
    with serve(packed["int8"], kv_precision="fp32") as s:
        s.wait_model("down")
        assert s.status()["model"]["why"] == (
            "kv_precision: fp32 needs weights in fp32, but they are in int8")


def start_long(s, c):
    """A running reply."""
    ident = c.send("complete", prompt=PROMPT, params={
        "max_tokens": 900, "ignore_eos": True, "seed": 1})
    c.until("text")
    return ident


def test_a_file_cut_in_use_ends_the_reply_with_the_reason(packed, tmp_path):
    model = tmp_path / "p"
    shutil.copyfile(packed["bf16"], model)
    with serve(model) as s:
        s.wait_model()
        with s.client() as c:
            ident = start_long(s, c)
            os.truncate(model, 1 << 20)
            lost = c.events(ident)[-1]
            assert lost["code"] == "engine_lost"
            assert "does not come back: %s: " % model in lost["message"]
        assert "was cut, or its disk failed" in s.log.read_text()
        fresh = tmp_path / "fresh"      # and chatd accepts new requests
        shutil.copyfile(packed["bf16"], fresh)
        os.replace(fresh, model)
        s.wait_model()
        with s.client() as c:
            assert complete(c)["event"] == "done"


def test_no_reply_goes_on_in_another_precision(packed, tmp_path):
    model = tmp_path / "p"
    shutil.copyfile(packed["bf16"], model)
    with serve(model) as s:
        s.wait_model()
        with s.client() as c:
            ident = start_long(s, c)
            fresh = tmp_path / "fresh"
            shutil.copyfile(packed["int8"], fresh)
            os.replace(fresh, model)
            os.kill(s.helper_pid("engine"), 9)
            lost = c.events(ident)[-1]
            assert lost["code"] == "engine_lost"
            assert "another model took" in lost["message"]
            assert complete(c)["event"] == "done"
        assert s.status()["model"]["precision"] == "int8"


def test_no_reply_goes_on_with_another_cache(tmp_path):
    engine = tmp_path / "engine"        # from its second start on, in int8
    engine.write_text(
        "#!/bin/sh\n"
        "mkdir %s/started 2>/dev/null && exec %s\n"
        'sed -u \'1s/"kv_precision":"auto"/"kv_precision":"int8"/\' | %s\n'
        % (tmp_path, ENGINE, ENGINE))
    engine.chmod(0o755)
    with Service(engine=engine, model=MINI) as s:
        s.wait_model()
        assert s.status()["model"]["precision"] == "bf16"
        with s.client() as c:
            ident = start_long(s, c)
            os.kill(s.helper_pid("engine"), 9)
            lost = c.events(ident)[-1]
            assert lost["code"] == "engine_lost"
            assert "another model took" in lost["message"]
            assert complete(c)["event"] == "done"
        assert s.status()["model"]["precision"] == "bf16+kv8"


@pytest.mark.parametrize("name, words", [
    ("nothing", "model.path: %s: No such file or directory"),
    ("folder", "model.path: %s/config.json: No such file or directory"),
])
def test_chatd_does_not_start_without_a_model(name, words, tmp_path):
    (tmp_path / "folder").mkdir()
    with Service(model=tmp_path / name, start=False) as s:
        done = subprocess.run(s.command("-t"), capture_output=True,
                              text=True, timeout=WAIT)
    assert done.returncode == 78
    assert done.stderr == "chatd: %s: %s\n" % (
        s.file, words % (tmp_path / name))
