# SPDX-License-Identifier: Apache-2.0
"""Adapters beside the model: what the engine computes with them, which one
writes a reply, and what is kept of that."""
import hashlib
import json
import os
import shutil
import signal
import struct
import subprocess

import pytest

import lora_random
import neox_random
from engine_client import Engine, greedy
from service import BUILD, Service, text_of

IDS = [i % 300 for i in neox_random.ids("erf64")[:70]]


def engine(model, *args, precision="fp32", adapters=()):
    more = [x for name, path in adapters
            for x in ("--adapter", "%s=%s" % (name, path))]
    return Engine("--model", model, "--precision", precision, *more, *args)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    top = tmp_path_factory.mktemp("adapters")
    made = {"top": top}
    for name in ("erf64", "sequential80"):
        made[name] = neox_random.write(top / name, name)
        made[name, "one"] = lora_random.write(top / (name + "-one"), name)
        made[name, "two"] = lora_random.write(
            top / (name + "-two"), name, seed=2, rank=17, alpha=10,
            targets=["dense_4h_to_h", "query_key_value"])
        made[name, "merged"] = lora_random.write_merged(
            top / (name + "-merged"), name)
    return made


def both(folders, name="erf64"):
    return [(a, folders[name, a]) for a in ("one", "two")]


def logits(e, ids=IDS, adapter=None, **more):
    if adapter is not None:
        more["adapter"] = adapter
    done = e.ask("score", ids=ids, logits="last", **more)
    assert done["event"] == "done", done
    return done["logits"]


@pytest.mark.parametrize("name", ["erf64", "sequential80"])
def test_an_adapter_is_the_model_with_merged_weights(folders, name):
    with engine(folders[name], adapters=both(folders, name)) as e, \
            engine(folders[name, "merged"]) as merged, \
            engine(folders[name]) as plain:
        assert e.first["event"] == "ready", e.first
        assert [a["name"] for a in e.first["model"]["adapters"]] == \
            ["one", "two"]
        assert e.first["model"]["adapters"][0]["digest"] == \
            lora_random.digest(folders[name, "one"])
        got, want = logits(e, adapter="one"), logits(merged)
        base = logits(plain)
        assert logits(e) == base and logits(e, adapter="") == base
        # fp32 rounds the merged weights, and sums in another order.
        assert max(abs(a - b) for a, b in zip(got, want)) < 2e-4
        assert max(abs(a - b) for a, b in zip(got, base)) > 0.5
        text = [x.ask("generate", ids=IDS, params=greedy(40, **p))["ids"]
                for x, p in ((e, {"adapter": "one"}), (merged, {}),
                             (plain, {}), (e, {}))]
        assert text[0] == text[1] != text[2] == text[3]


def test_the_scale_may_have_the_root_of_the_rank(folders, tmp_path):
    """6 / sqrt(4) is 12 / 4."""
    root = lora_random.write(tmp_path / "root", "erf64", rank=4, alpha=6,
                             use_rslora=True)
    same = lora_random.write(tmp_path / "same", "erf64", rank=4, alpha=12,
                             use_rslora=False)
    with engine(folders["erf64"], adapters=[("root", root),
                                            ("same", same)]) as e:
        assert logits(e, adapter="root") == logits(e, adapter="same") != \
            logits(e)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "int4"])
@pytest.mark.parametrize("name", ["erf64", "sequential80"])
def test_mixed_steps_give_what_each_reply_has_alone(folders, name, precision):
    jobs = [(["", "one", "two"][i % 3], neox_random.ids(name)[i:i + 37 + i])
            for i in range(12)]

    def ask(e, adapter, ids, i):
        return e.send("generate", ids=ids, group=i, params={
            "temperature": 0.8, "seed": i, "max_tokens": 25,
            "ignore_eos": True, "adapter": adapter})

    with engine(folders[name], "--threads", 1, "--batch-tokens", 64,
                adapters=both(folders, name), precision=precision) as e:
        alone = [e.until_done(n)[n][-1]["ids"] for n in (
            ask(e, a, ids, i) for i, (a, ids) in enumerate(jobs))]
    assert len({tuple(x) for x in alone}) == len(jobs)
    for args in ((), ("--isa", "scalar"), ("--batch-tokens", 7)):
        with engine(folders[name], *args, adapters=both(folders, name),
                    precision=precision) as e:
            sent = [ask(e, a, ids, i) for i, (a, ids) in enumerate(jobs)]
            got = e.until_done(*sent)
        assert [got[n][-1]["ids"] for n in sent] == alone


def test_the_prefix_cache_is_apart_for_each_adapter(folders):
    """An account's own prompt is read again for another adapter, and taken
    from the cache for the same one."""
    ids = IDS + [3]
    with engine(folders["erf64"], adapters=both(folders)) as e:
        want = {a: logits(e, ids, a, group=1) for a in ("", "one", "two")}
    assert len({tuple(x) for x in want.values()}) == 3
    with engine(folders["erf64"], adapters=both(folders)) as e:
        reused = 0
        for again in (0, 64):
            for a in ("", "one", "two"):
                assert logits(e, ids, a, group=1, **{"from": 70}) == want[a]
                now = e.ask("stats")["tokens_reused"]
                assert now - reused == again, (a, again)
                reused = now


def refused(folders, path, name="new"):
    with engine(folders["erf64"], adapters=[(name, path)]) as e:
        assert e.first["event"] == "error", e.first
        return e.first["code"], e.first["message"]


def drop_last(made):
    return made[:-1]


def other_shape(made):
    name, (rows, columns), data = made[1]
    return [made[0], (name, (columns, rows), data), *made[2:]]


def stray(made):
    return made + [("base_model.model.embed_out.lora_A.weight", (1, 1),
                    struct.pack("<f", 0))]


def infinite(made):
    name, shape, data = made[2]
    return [*made[:2], (name, shape, struct.pack("<f", float("inf")) +
                        data[4:]), *made[3:]]


def huge(made):
    name, shape, data = made[1]
    return [made[0], (name, shape, struct.pack("<f", 3e38) + data[4:]),
            *made[2:]]


BAD = {
    "no-last": ({"change": drop_last}, "layers.1.mlp.dense_4h_to_h.lora_B."
                "weight: expected this tensor, found none"),
    "shape": ({"change": other_shape}, "layers.0.attention.query_key_value."
              "lora_B.weight: expected the shape [384, 3] for this model, "
              "found [3, 384]"),
    "stray": ({"change": stray}, "base_model.model.embed_out.lora_A.weight: "
              "expected only the tensors of target_modules in the 2 layers"),
    "infinite": ({"change": infinite}, "layers.0.attention.dense.lora_A."
                 "weight: expected finite numbers, found inf as element 0"),
    "huge": ({"change": huge}, "layers.0.attention.query_key_value.lora_B."
             "weight: expected finite numbers after the scale 2, found 3e+38 "
             "as element 0"),
    "target": ({"target_modules": ["embed_in"]}, "target_modules: expected "
               "query_key_value, dense, dense_h_to_4h or dense_4h_to_h, "
               "found embed_in"),
    "no-targets": ({"target_modules": []}, "target_modules: expected a list "
                   "of names, found an empty one"),
    "rank": ({"r": 0}, "r: expected an integer from 1 to 512"),
    "alpha": ({"lora_alpha": "8"}, "lora_alpha: expected a number"),
    "kind": ({"peft_type": "IA3"}, 'peft_type: expected "LORA", found IA3'),
    "bias": ({"bias": "all"}, 'bias: expected "none", found all'),
    "dora": ({"use_dora": True}, "use_dora: expected none"),
    "rslora": ({"use_rslora": 1}, "use_rslora: expected true or false"),
    "ranks": ({"rank_pattern": {"dense": 4}}, "rank_pattern: expected none"),
    "base": ({"metadata": {"base_digest": "sha256:12"}}, "was trained on "
             "another model: expected sha256:"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_adapter_is_refused(folders, tmp_path, case):
    change, words = BAD[case]
    path = lora_random.write(tmp_path / "a", "erf64", **change)
    code, message = refused(folders, path)
    assert code == "bad_model" and words in message and str(path) in message


def test_an_adapter_of_another_model_is_refused(folders):
    code, message = refused(folders, folders["sequential80", "one"])
    assert code == "bad_model"
    assert "expected the shape [3, 128] for this model, found [3, 160]" in \
        message


def test_an_adapter_that_others_may_write_is_refused(folders, tmp_path):
    path = lora_random.write(tmp_path / "a", "erf64")
    os.chmod(path / "adapter_model.safetensors", 0o666)
    code, message = refused(folders, path)
    assert code == "bad_model" and "adapter_model.safetensors" in message
    os.chmod(path / "adapter_model.safetensors", 0o644)
    os.chmod(path, 0o777)
    assert str(path) in refused(folders, path)[1]


def test_an_adapter_is_not_a_model(folders):
    done = subprocess.run(
        [BUILD / "chatd-engine", "--model", folders["erf64", "one"],
         "--check"], capture_output=True, text=True)
    assert done.returncode != 0
    assert "expected a model, found an adapter (adapter_config.json)" in \
        done.stderr


def test_a_missing_file_and_a_bad_name_are_refused(folders, tmp_path):
    path = lora_random.write(tmp_path / "a", "erf64")
    assert "other than base" in refused(folders, path, "base")[1]
    (path / "adapter_config.json").unlink()
    assert "adapter_config.json: No such file" in refused(folders, path)[1]


def test_an_unknown_name_is_refused_with_the_known_ones(folders):
    with engine(folders["erf64"], adapters=both(folders)) as e:
        for op, more in (("generate", {"params": {"adapter": "three"}}),
                         ("score", {"adapter": "three"})):
            error = e.ask(op, ids=IDS, **more)
            assert (error["code"], error["field"]) == ("bad_field", "adapter")
            assert "one, two" in error["message"]
            assert "three" in error["message"]


def test_a_gpu_refuses_adapters_at_load(folders):
    with engine(folders["erf64"], "--device", "cuda:0",
                adapters=both(folders)) as e:
        assert e.first["code"] == "no_device", e.first
    with engine(folders["erf64"], "--device", "auto",
                adapters=both(folders)) as e:
        assert e.first["model"]["device"] == "cpu"


# -- chatd

GREEDY = {"temperature": 0, "max_tokens": 12, "ignore_eos": True}
ROWS = ("select l.name, l.digest, r.assigned from reply r left join adapter l "
        "on l.id = r.adapter where r.id = ?")


def service(folders, adapters=("one", "two"), **model):
    return Service(engine=BUILD / "chatd-engine", model=folders["erf64"],
                   config={"socket": {"mode": "0666"}, "model": {
                       "precision": "fp32", "threads": 1, "adapters": [
                           {"name": a, "path": str(folders["erf64", a])}
                           for a in adapters], **model}})


@pytest.fixture(scope="module")
def chatd(folders):
    with service(folders, ab={"two": 0.25, "one": 0.25},
                 ab_key="spring") as s:
        s.wait_model()
        yield s


def chatctl(s, *args, text=None):
    return subprocess.run([BUILD / "chatctl", "--socket", s.socket, *args],
                          input=text, capture_output=True, text=True,
                          timeout=120)


def variant(s, reply):
    return s.rows(ROWS, reply)[0]


def drawn(kind, number, key="spring"):
    """The variant that chatd.yaml(5) promises: one and two have a quarter
    each, in the order of model.adapters."""
    at = int(hashlib.sha256(("%s/%s%d" % (key, kind, number)).encode())
             .hexdigest()[:16], 16) / 2 ** 64
    return "one" if at < 0.25 else "two" if at < 0.5 else None


def test_a_request_names_its_adapter(folders, chatd):
    with chatd.client() as c:
        assert [a["name"] for a in c.hello["model"]["adapters"]] == \
            ["one", "two"]
        texts = {}
        for name in ("", "one", "two"):
            texts[name], done = c.say("Hello", params=dict(
                GREEDY, adapter=name))
            digest = name and lora_random.digest(folders["erf64", name])
            assert variant(chatd, done["reply"]) == \
                (name or None, digest or None, 0)
        assert len(set(texts.values())) == 3
        before = chatd.rows("select count(*) from reply")
        error = c.say("Hello", params={"adapter": "three"})[1]
        assert (error["code"], error["field"]) == ("bad_field", "adapter")
        assert error["message"] == 'adapter: expected "" or one of one, ' \
            'two, found "three"'
        error = c.say("Hello", params={"adapter": "x" * 65})[1]
        assert error["code"] == "too_long"
        assert chatd.rows("select count(*) from reply") == before


def test_shares_are_drawn_by_conversation(folders, chatd):
    seen = set()
    with chatd.client() as c:
        for _ in range(24):
            _, done = c.say("Hello", params=GREEDY)
            want = drawn("c", done["conversation"])
            seen.add(want)
            assert variant(chatd, done["reply"])[::2] == (want, 1)
            _, more = c.say("And now?", params=GREEDY,
                            conversation=done["conversation"])
            again = c.call("regenerate", exchange=done["exchange"],
                           params=GREEDY)
            for reply in (more, again):
                assert variant(chatd, reply["reply"])[::2] == (want, 1)
            done = c.call("complete", prompt="Hello", params=GREEDY)
            assert variant(chatd, done["reply"])[::2] == \
                (drawn("e", done["exchange"]), 1)
    assert seen == {"one", "two", None}


def test_a_drawn_reply_is_what_the_adapter_writes(chatd):
    with chatd.client() as c:
        for _ in range(12):
            text, done = c.say("Hello", params=GREEDY)
            name = variant(chatd, done["reply"])[0]
            asked, _ = c.say("Hello", params=dict(GREEDY, adapter=name or ""))
            assert asked == text


def test_replay_uses_the_adapter_of_the_reply(chatd):
    params = {"temperature": 1, "max_tokens": 40, "ignore_eos": True}
    with chatd.client() as c:
        for more in ({}, {}, {}, {"adapter": "one"}, {"adapter": ""}):
            _, done = c.say("Hello", params=dict(params, **more))
            got = c.call("replay", exchange=done["exchange"])
            assert got["identical"] and got["tokens"] == 40, got
            assert got["differs"] == []


def test_a_killed_engine_goes_on_with_the_adapter(chatd):
    params = dict(GREEDY, max_tokens=300, adapter="one")
    with chatd.client() as c:
        want, _ = c.say("Hi", params=params)
        ident = c.send("say", text="Hi", params=params)
        shown = c.until("text")["text"]
        os.kill(chatd.helper_pid("engine"), signal.SIGKILL)
        seen = c.events(ident)
    assert [e["code"] for e in seen if e["event"] == "notice"] == \
        ["engine_restarted"]
    assert shown + text_of(seen) == want
    assert variant(chatd, seen[-1]["reply"])[0] == "one"


def test_a_continued_reply_keeps_its_adapter(chatd):
    with chatd.client() as c:
        for more in ({}, {}, {}, {"adapter": "two"}):
            want, done = c.say("Hi", params=dict(GREEDY, max_tokens=30,
                                                 **more))
            name = variant(chatd, done["reply"])[0]
            part, done = c.say("Hi", params=dict(
                GREEDY, max_tokens=10, adapter=name or ""))
            rest = c.events(c.send("regenerate", exchange=done["exchange"],
                                   params={"max_tokens": 20},
                                   **{"continue": True}))
            assert text_of(rest) == want
            assert variant(chatd, rest[-1]["reply"]) == \
                variant(chatd, done["reply"])


def test_show_and_exports_tell_which_adapter_it_was(folders, chatd):
    with chatd.client() as c:
        _, done = c.say("Hello", params=dict(GREEDY, adapter="two"))
        c.call("rate", exchange=done["exchange"], thumb=-1,
               ideal="Hello to you")
        shown = c.events(c.send("show", exchange=done["exchange"]))
    reply = shown[0]["exchange"]["replies"][0]
    digest = lora_random.digest(folders["erf64", "two"])
    assert reply["adapter"] == {"name": "two", "digest": digest}
    assert reply["assigned"] is False
    assert "adapter" not in done
    rows = [json.loads(line) for line in chatctl(
        chatd, "export", "--all").stdout.splitlines()]
    last = rows[-1]["metadata"]
    assert (last["adapter"], last["adapter_digest"]) == ("two", digest)
    csv = chatctl(chatd, "export", "--all", "--format", "csv").stdout
    assert csv.splitlines()[0].endswith(",adapter,adapter_digest")
    assert '"two","%s"' % digest in csv
    tree = chatctl(chatd, "export", "--all", "--format", "oasst").stdout
    assert '"adapter_digest":"%s"' % digest in tree


def test_another_adapter_of_the_same_name_is_noticed(folders, tmp_path):
    mine = dict(folders)
    mine["erf64", "one"] = tmp_path / "one"
    shutil.copytree(folders["erf64", "one"], mine["erf64", "one"])
    with service(mine, ["one"]) as s:
        s.wait_model()
        with s.client() as c:
            _, done = c.say("Hi", params=dict(GREEDY, adapter="one"))
        user = None
        if os.geteuid() == 0:
            with s.client_as(65534) as c:
                user = c.say("Hi", params=dict(GREEDY, adapter="one"))[1][
                    "exchange"]
        old = lora_random.digest(mine["erf64", "one"])
        assert s.stop() == 0
        shutil.rmtree(mine["erf64", "one"])
        lora_random.write(mine["erf64", "one"], "erf64", seed=9)
        s.start()
        s.wait_model()
        with s.client() as c:
            got = c.call("replay", exchange=done["exchange"])
            assert not got["identical"]
            assert {"what": "adapter", "was": old, "is": lora_random.digest(
                mine["erf64", "one"])} in got["differs"]
            if user is not None:
                with s.client_as(65534) as other:
                    got = other.call("replay", exchange=user)
                assert not got["identical"]
                assert "adapter" not in [d["what"] for d in got["differs"]]
            error = c.call("regenerate", exchange=done["exchange"],
                           **{"continue": True})
            assert error["code"] == "bad_field", error
            assert "the adapter one as it was then" in error["message"]
            c.say("Hi", params=dict(GREEDY, adapter=""))
        assert s.stop() == 0
        del s.config["model"]["adapters"]
        s.write_config()
        s.start()
        s.wait_model()
        gone = 1 + (user is not None)
        out = chatctl(s, "replay", "--sample", "9", "--all")
        assert (out.returncode, out.stdout, out.stderr) == (
            0, "1 of 1 replies are identical\n"
            "%d could not be compared\n" % gone, "")
        rows = [json.loads(line) for line in chatctl(
            s, "replay", "--sample", "9", "--all", "--json")
            .stdout.splitlines()]
        assert sorted(r.get("code", "") for r in rows) == \
            [""] + ["not_found"] * gone
        assert all(r["reply"] > 0 for r in rows)
        with s.client() as c:
            error = c.call("replay", exchange=done["exchange"])
            assert error["code"] == "not_found", error
            error = c.say("Hi", params={"adapter": "one"})[1]
            assert error["message"] == 'adapter: expected "", since no ' \
                'adapter is loaded, found "one"'


BAD_CONFIGS = [
    ({"adapters": {"name": "a"}}, "expected a list of adapters"),
    ({"adapters": [{"name": "a"}]}, "an adapter needs a name and a path"),
    ({"adapters": [{"path": "/a"}]}, "an adapter needs a name and a path"),
    ({"adapters": [{"name": "base", "path": "/a"}]}, 'and not "base"'),
    ({"adapters": [{"name": "a b", "path": "/a"}]}, "expected 1 to 64"),
    ({"adapters": [{"name": "a", "path": "/a"},
                   {"name": "a", "path": "/b"}]}, '"a" is there twice'),
    ({"adapters": [{"name": "a", "path": "/a", "rank": 3}]},
     'unknown key "rank" in model.adapters'),
    ({"ab": {"a": 0.5}}, 'expected names of model.adapters, found "a"'),
    ({"ab": {"base": 0.5}}, "the model alone gets what is left"),
    ({"ab": [1]}, "expected names of adapters and their shares"),
    ({"adapters": [{"name": "a", "path": "/a"}], "ab": {"a": 1.5}}, "1.5"),
    ({"adapters": [{"name": "a", "path": "/a"}, {"name": "b", "path": "/b"}],
      "ab": {"a": 0.6, "b": 0.6}}, "shares of at most 1 together, found 1.2"),
    ({"adapters": [{"name": "a", "path": "/nowhere"}]},
     "/nowhere/adapter_config.json: No such file"),
]


@pytest.mark.parametrize("model,words", BAD_CONFIGS)
def test_a_bad_configuration_is_refused(model, words):
    with Service(config={"model": model}, start=False) as s:
        done = subprocess.run([BUILD / "chatd", "-t", "-f", s.file],
                              capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and words in done.stderr, done.stderr


def test_a_reload_changes_shares_and_loads_adapters(folders):
    with service(folders, ["one"], ab={"one": 0}) as s:
        s.wait_model()
        with s.client() as c:
            assert variant(s, c.say("Hi", params=GREEDY)[1]["reply"]) == \
                (None, None, 1)
            s.config["model"]["ab"] = {"one": 1}
            s.write_config()
            assert s.reload(c)["event"] == "done"
            assert variant(s, c.say("Hi", params=GREEDY)[1]["reply"])[0] == \
                "one"
            pid = s.helper_pid("engine")
            s.config["model"]["adapters"].append(
                {"name": "new", "path": str(folders["erf64", "two"])})
            s.config["model"]["ab"] = {"new": 1}
            s.write_config()
            assert s.reload(c)["event"] == "done"
            assert variant(s, c.say("Hi", params=GREEDY)[1]["reply"]) == \
                ("new", lora_random.digest(folders["erf64", "two"]), 1)
            assert s.helper_pid("engine") != pid
            s.config["model"]["adapters"][1]["path"] = str(
                folders["sequential80", "two"])
            s.write_config()
            error = s.reload(c)
            assert error["event"] == "error"
            assert "for this model" in error["message"]
            assert variant(s, c.say("Hi", params=GREEDY)[1]["reply"])[0] == \
                "new"


# -- chatctl

def test_ab_has_the_intervals_of_the_literature(folders):
    """56 of 70 and 48 of 80 good ratings: Newcombe 1998, table II, example
    (a), method 10, has 0.0524 to 0.3339 for the difference. Wilson's intervals
    were computed by hand from his formula."""
    with service(folders, ["one"], ab={"one": 0.5}) as s:
        s.wait_model()
        rated = {None: [56, 70], "one": [48, 80]}
        with s.client() as c:
            for _ in range(2000):
                if not any(n for _, n in rated.values()):
                    break
                done = c.call("complete", prompt="Hi", params=dict(
                    GREEDY, max_tokens=1))
                left = rated[variant(s, done["reply"])[0]]
                if left[1] == 0:
                    continue
                c.call("rate", exchange=done["exchange"],
                       thumb=1 if left[0] > 0 else -1)
                left[0] -= left[0] > 0
                left[1] -= 1
            got = c.call("ab")
            c.say("Hi", params=dict(GREEDY, adapter="one"))
            assert c.call("ab")["variants"] == got["variants"]
            more = c.call("ab", any=True)
            none = c.call("ab", since=1 << 50)
        replies = s.rows("select count(*) from reply where assigned = 1")
        base, one = got["variants"]
        assert (base["adapter"], one["adapter"]) == ("", "one")
        assert one["adapter_digest"] == lora_random.digest(
            folders["erf64", "one"])
        assert base["replies"] + one["replies"] == replies[0][0]
        assert (base["good"], base["bad"], base["rated"]) == (56, 14, 70)
        assert (one["good"], one["bad"], one["rated"]) == (48, 32, 80)
        assert [round(base[k], 4) for k in ("share", "low", "high")] == \
            [0.8, 0.6918, 0.877]
        assert [round(one[k], 4) for k in ("share", "low", "high")] == \
            [0.6, 0.4905, 0.7004]
        (d,) = got["differences"]
        assert (d["from"], d["to"]) == (0, 1)
        assert [round(d[k], 4) for k in ("difference", "low", "high")] == \
            [-0.2, -0.3339, -0.0524]
        assert more["variants"][1]["replies"] == one["replies"] + 1
        assert none["variants"] == none["differences"] == []

        printed = chatctl(s, "ab").stdout.splitlines()
        assert printed[1].split() == [
            "base", str(base["replies"]), str(base["replies"]), "70", "56", "80.0", "%", "(69.2",
            "to", "87.7)"]
        assert printed[3] == "one minus base: -20.0 points (-33.4 to -5.2)"
        assert json.loads(chatctl(s, "ab", "--json").stdout)["variants"] == \
            got["variants"]
        early = chatctl(s, "ab", "--until", "2020-01-01")
        assert early.stdout == "" and "--any" in early.stderr
        assert chatctl(s, "ab", "--since", "1d", "--json").stdout == \
            chatctl(s, "ab", "--json").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs several accounts")
def test_ab_is_for_operators_and_users_do_not_see_the_variant(folders):
    with Service(config={"socket": {"mode": "0666"}}) as s:
        s.wait_model()
        with s.client_as(65534) as c:
            assert c.call("ab")["code"] == "denied"
            _, done = c.say("Hello")
            shown = c.events(c.send("show", exchange=done["exchange"]))
            reply = shown[0]["exchange"]["replies"][0]
            assert "adapter" not in reply and "assigned" not in reply


def test_ask_and_the_editor_name_adapters(chatd):
    def last():
        return chatd.rows("select l.name, r.assigned from reply r left join "
                          "adapter l on l.id = r.adapter order by r.id desc "
                          "limit 1")[0]
    assert chatctl(chatd, "ask", "--max-tokens", "2", "--adapter", "two",
                   "Hi").returncode == 0
    assert last() == ("two", 0)
    assert chatctl(chatd, "ask", "--max-tokens", "2", "--adapter", "base",
                   "Hi").returncode == 0
    assert last() == (None, 0)
    done = chatctl(chatd, "ask", "--adapter", "three", "Hi")
    assert done.returncode == 2 and "one of one, two" in done.stderr

