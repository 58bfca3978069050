#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fit the weights of the plugin injection.

    chatd-modtrain generate -o contrast.jsonl \\
        plugins/classifier/contrast/*.txt plugins/injection/injection-twins.txt
    tools/injection/fit.py [--out plugins/injection/weights.inc] \\
        build/plugins/injection/features dev-request.jsonl \\
        dev-request-2.jsonl dev-functional.jsonl dev-functional-2.jsonl \\
        dev-content.jsonl dev-content-2.jsonl contrast.jsonl

The features are those of the program; the weights are those of a logistic
regression (scikit-learn, liblinear: the same input gives the same weights).
The folds are those of plugins/classifier/recipe.yaml.  For each fold that is
rotated, its sources are left out, the rest is learned, and the fold is measured.
These scores calibrate the weights of all folds together, which --out writes.
Fold A is neither learned nor measured, except with --test.
"""
import argparse
import collections
import fnmatch
import hashlib
import json
import pathlib
import re
import subprocess

import numpy as np
import scipy.sparse as sparse
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

SRC = pathlib.Path(__file__).resolve().parents[2]
STRENGTH = 0.1          # inverse of the regularisation
MADE = 0.3              # the weight of a text that was made from templates
PASTED = 0.3            # and of one that a prompt may quote
PAIRS = 4               # texts that must have a word or a pair of words
SOURCES = 2             # sources that must have it
SIGN = 2                # how much more freely signs are learned than words
WEIGHTS = 3000          # that are kept
CONTENT = 8             # of so many pasted texts one is learned
# Benign texts with one of these hold a trigger word.
TRIGGER = re.compile(
    r"\b(ignor\w*|disregard\w*|forget|overrid\w*|bypass\w*|jailbreak\w*|"
    r"instructions?|prompts?|guidelines|rules|restrictions|limitations|"
    r"filters?|pretend\w*|act as|role ?play\w*|simulat\w*|secrets?|"
    r"passwords?|confidential|reveal\w*|hidden|system|admin\w*|developer|"
    r"unrestricted|unfiltered|uncensored|hypothetical\w*|persona|character|"
    r"you are|from now on|repeat|previous|above|initial)\b", re.I)

Row = collections.namedtuple("Row", "text source injected benign fold tune weight")


def matches(source, patterns):
    return any(fnmatch.fnmatchcase(source, p) for p in patterns)


def read_rows(files, folds):
    """The labelled prompts, and some of the texts that prompts may quote."""
    rows, made = [], collections.Counter()
    for name in files:
        for line in open(name, encoding="utf-8"):
            o = json.loads(line)
            source, text = o["source"], o["text"].replace("\0", " ")
            weight = 1
            labels = {o["category"], *o.get("also", ())}
            injected, benign = "terms_violation" in labels, \
                o["category"] == "benign"
            fold = next((f for f, p in folds.items() if matches(
                source, sum((p[k] for k in p if k not in (
                    "test", "rotate")), []))), "")
            if o["category"] == "other_unsafe" or source == "bipia":
                continue
            if source.startswith("contrast-"):
                weight = MADE
                if o["kind"] != "request" and not injected:
                    continue
                if not injected and "injection" not in source:
                    made[source] += 1
                    if not benign or made[source] > 40:
                        continue
            elif o.get("kind", "request") != "request":
                weight = PASTED
                h = hashlib.sha256(text.encode()).digest()[0]
                if not benign or h % CONTENT or fold:
                    continue
            rows.append(Row(text, source, injected, benign, fold,
                            o.get("fold") == "tune", weight))
    return rows


def read_features(program, rows):
    """For each stretch of each row: the row, and its features."""
    text = "".join(json.dumps({"text": r.text}) + "\n" for r in rows)
    out = subprocess.run([program], input=text, stdout=subprocess.PIPE,
                         check=True, text=True).stdout
    halves = collections.defaultdict(dict)
    for line in out.split("\n"):
        if line:
            n, half, *names = line.split("\t")
            halves[int(n) - 1][int(half)] = set(names)
    stretches = []
    for i in sorted(halves):
        h, last = halves[i], max(halves[i])
        for k in range(1, last + 1):
            stretches.append((i, h.get(k - 1, set()) | h.get(k, set())))
        if last == 0:
            stretches.append((i, h[0]))
    return stretches


def is_sign(name):
    return name[0] == "*" and len(name) > 1 and name[1] != " "


def vocabulary(rows, stretches):
    """The features that are common enough."""
    count, sources = collections.Counter(), collections.defaultdict(set)
    for i, names in stretches:
        for n in names:
            count[n] += 1
            if len(sources[n]) < SOURCES:
                sources[n].add(rows[i].source)
    return sorted(n for n in count if is_sign(n) or (
        count[n] >= PAIRS and len(sources[n]) >= SOURCES))


def matrix(stretches, names):
    index = {n: k for k, n in enumerate(names)}
    start, column = [0], []
    for _, found in stretches:
        column += sorted(index[n] for n in found if n in index)
        start.append(len(column))
    value = np.array([SIGN if is_sign(n) else 1 for n in names], float)
    return sparse.csr_matrix((value[column], column, start),
                             shape=(len(stretches), len(names)))


def learn(rows, stretches):
    """Names, weights and bias for these stretches."""
    n = collections.Counter(i for i, _ in stretches)
    weight = np.array([rows[i].weight / n[i] for i, _ in stretches])
    label = np.array([rows[i].injected for i, _ in stretches])
    names = vocabulary(rows, stretches)
    for again in False, True:
        fit = LogisticRegression(C=STRENGTH, solver="liblinear",
                                 max_iter=300, random_state=0).fit(
            matrix(stretches, names), label, sample_weight=weight)
        if not again and len(names) > WEIGHTS:
            best = np.argsort(-np.abs(fit.coef_[0]), kind="stable")[:WEIGHTS]
            names = [names[k] for k in sorted(best)]
    return names, fit.coef_[0], fit.intercept_[0]


def judge(rows, stretches, model):
    """The highest log odds of each row's stretches; -30 without words."""
    names, weights, bias = model
    odds = np.full(len(rows), -30.0)
    np.maximum.at(odds, [i for i, _ in stretches],
                  matrix(stretches, names) @ weights + bias)
    return odds


def calibrate(odds, label, weight):
    """The slope and the offset that make odds fit the labels."""
    fit = LogisticRegression(C=1e6, max_iter=1000).fit(
        odds.reshape(-1, 1), label, sample_weight=weight * len(odds))
    return fit.coef_[0, 0], fit.intercept_[0]


def parts(rows, fold, name):
    """Masks: injections, and the benign rows to set against them."""
    def of(*keys):
        return np.array([r.benign and matches(r.source, sum(
            (fold.get(k, []) for k in keys), [])) for r in rows])
    inside = np.array([r.fold == name for r in rows])
    return np.array([r.injected for r in rows]) & inside, {
        "beside": of("injection", "plain"), "hard": of("benign", "plain"),
        "trigger": np.array([r.benign and bool(TRIGGER.search(r.text))
                             for r in rows]) & inside,
        "benign": np.array([r.benign for r in rows]) & inside}


def report(name, odds, injected, benign):
    line = "%s: %d injections" % (name, injected.sum())
    for kind, mask in benign.items():
        k = mask | injected
        line += "; %s %d AUPRC %.3f, %.1f %% >= 0.5, %.1f %% >= 0.8" % (
            kind, mask.sum(), average_precision_score(injected[k], odds[k]),
            100 * (odds[mask] >= 0).mean(),
            100 * (odds[mask] >= np.log(4)).mean())
    print(line + "; found %.1f %% >= 0.5, %.1f %% >= 0.8" % (
        100 * (odds[injected] >= 0).mean(),
        100 * (odds[injected] >= np.log(4)).mean()), flush=True)


def write(path, model):
    names, weights, bias = model
    with open(path, "w", encoding="utf-8") as f:
        f.write("/* Made by tools/injection/fit.py; thousandths of log odds. "
                "*/\n{ %d, \"\" },\n" % round(1000 * bias))
        for n, w in zip(names, weights):
            w = round(1000 * w * (SIGN if is_sign(n) else 1))
            if w != 0:
                f.write("{ %d, \"%s\" },\n" % (w, n.replace(
                    "\\", "\\\\").replace('"', '\\"')))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--out", help="write the weights there")
    p.add_argument("--test", action="store_true", help="measure fold A")
    p.add_argument("program")
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    folds = yaml.safe_load((SRC / "plugins/classifier/recipe.yaml").read_text(
        encoding="utf-8"))["folds"]
    folds = {f: v for f, v in folds.items() if "rotate" in v or "test" in v}
    rows = read_rows(args.files, folds)
    stretches = read_features(args.program, rows)
    test = {f for f, v in folds.items() if v.get("test")}
    usable = [s for s in stretches if not rows[s[0]].tune and
              rows[s[0]].fold not in test]
    left, results = {}, []
    for f, v in folds.items():
        if f in test:
            continue
        model = learn(rows, [s for s in usable if rows[s[0]].fold != f])
        left[f] = judge(rows, stretches, model)
    odds, label, weight = [], [], []
    for f in left:
        injected, benign = parts(rows, folds[f], f)
        for mask in injected, benign["benign"]:
            odds.append(left[f][mask])
            label.append(injected[mask].astype(float))
            weight.append(np.full(mask.sum(), 1 / mask.sum()))
    a, b = calibrate(np.concatenate(odds), np.concatenate(label),
                     np.concatenate(weight))
    b -= np.log(20)     # one prompt of 21 is an injection
    print("calibration: slope %.3f, offset %.3f" % (a, b))
    for f in left:
        injected, benign = parts(rows, folds[f], f)
        report("fold " + f, a * left[f] + b, injected, benign)
        results.append([average_precision_score(
            injected[m | injected], left[f][m | injected])
            for m in benign.values()])
    print("mean AUPRC:", ", ".join("%s %.3f" % x for x in zip(
        benign, np.mean(results, axis=0))))
    names, weights, bias = learn(rows, usable)
    model = names, a * weights, a * bias + b
    odds = judge(rows, stretches, model)
    tune = np.array([r.tune for r in rows])
    kinds = {"benign": tune & [r.benign for r in rows],
             "trigger": tune & [r.benign and bool(TRIGGER.search(r.text))
                                for r in rows]}
    report("tune", odds, tune & [r.injected for r in rows], kinds)
    print("%d weights" % len(names))
    if args.out:
        write(args.out, model)
    for f in test if args.test else ():
        injected, benign = parts(rows, folds[f], f)
        report("fold " + f, odds, injected, benign)


if __name__ == "__main__":
    main()
