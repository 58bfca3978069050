#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Precision and recall of the rule packs on labelled texts.

Runs chatd-filter over a pipe.  --data DIR has JSON Lines files with the fields
text, category ("benign" or a category), also, kind ("request" or "content") and
fold.  Requests are checked as prompts, content as replies.

A text counts as flagged for a category if a finding of that category reaches
the threshold.  Texts with the label other_unsafe are not used as negatives of
hate, harassment and violence, because the label does not exclude these.
"""

import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import threading

SRC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
UNSURE = {"hate", "harassment", "violence"}


def read_rows(folder, fold, files):
    rows = []
    for name in sorted(glob.glob(os.path.join(folder, files))):
        with open(name, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                if fold in ("all", row["fold"]):
                    rows.append(row)
    return rows


def run_filter(args, rows):
    """The findings of each row, in order."""
    proc = subprocess.Popen([args.filter], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True,
                            encoding="utf-8")

    def feed():
        proc.stdin.write(json.dumps({"op": "init", "plugins": [{
            "name": "rules", "path": os.path.abspath(args.plugin),
            "options": {"packs": os.path.abspath(args.packs)}}]}) + "\n")
        for i, row in enumerate(rows):
            proc.stdin.write(json.dumps({
                "op": "check", "id": i, "text": row["text"],
                "direction": "prompt" if row["kind"] == "request"
                else "reply"}) + "\n")
        proc.stdin.close()

    feeder = threading.Thread(target=feed)
    feeder.start()
    ready = json.loads(proc.stdout.readline() or "{}")
    if ready.get("event") != "ready":
        sys.exit("chatd-filter: %s" % ready.get("message", "no answer"))
    print("%d rules" % sum(p["rules"] for p in ready["plugins"]))
    results = [json.loads(proc.stdout.readline()) for _ in rows]
    feeder.join()
    proc.wait()
    for i, answer in enumerate(results):
        if answer["event"] != "done" or answer["id"] != i:
            sys.exit("row %s: %s" % (rows[i]["id"], answer))
    return [answer["findings"] for answer in results]


def measure(kind, rows, findings, args):
    """Print the table of one kind of rows."""
    counts = collections.defaultdict(collections.Counter)
    hits = collections.defaultdict(collections.Counter)
    benign = harmful = wrong = caught = 0
    for row, found in zip(rows, findings):
        flagged = {f["category"] for f in found
                   if f["score"] >= args.threshold}
        labels = {row["category"], *row["also"]} - {"benign"}
        if row["category"] == "benign":
            benign += 1
            wrong += bool(flagged)
            if flagged and args.show == "benign":
                print("  %s %s: %.150r" % (row["id"], [
                    (f["rule"], row["text"].encode()[
                        f["start"]:f["end"]].decode())
                    for f in found][:3], row["text"]))
        elif row["category"] != "other_unsafe":
            harmful += 1
            caught += bool(flagged)
        if args.show and args.show in labels and not flagged:
            print("  missed %s: %.200r" % (row["id"], row["text"]))
        for c in flagged | labels:
            if c in flagged and c not in labels and c in UNSURE and \
                    row["category"] == "other_unsafe":
                continue
            counts[c]["tp"] += c in flagged and c in labels
            counts[c]["fp"] += c in flagged and c not in labels
            counts[c]["fn"] += c not in flagged and c in labels
        for f in found:
            hits[f["rule"]]["right" if f["category"] in labels else
                            "benign" if row["category"] == "benign" else
                            "other"] += 1
    print("\n%s (%d rows)\n%-16s %9s %9s %7s %7s %7s" % (
        kind, len(rows), "category", "precision", "recall", "tp", "fp",
        "fn"))
    for c, n in sorted(counts.items()):
        tp, fp, fn = n["tp"], n["fp"], n["fn"]
        print("%-16s %9s %9s %7d %7d %7d" % (
            c, "%.3f" % (tp / (tp + fp)) if tp + fp else "-",
            "%.3f" % (tp / (tp + fn)) if tp + fn else "-", tp, fp, fn))
    if harmful:
        print("harmful rows with any finding: %d of %d (%.1f %%)" % (
            caught, harmful, 100 * caught / harmful))
    if benign:
        print("benign rows with any finding:  %d of %d (%.2f %%)" % (
            wrong, benign, 100 * wrong / benign))
    if args.rules:
        print("\n%-40s %7s %7s %7s" % ("rule", "right", "other", "benign"))
        for rule, n in sorted(hits.items()):
            print("%-40s %7d %7d %7d" % (rule, n["right"], n["other"],
                                         n["benign"]))


def main():
    build = os.environ.get("CHATD_BUILD", ".")
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--files", default="*.jsonl", metavar="GLOB")
    parser.add_argument("--fold", default="all",
                        choices=["train", "tune", "all"])
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--packs", default=os.path.join(SRC, "etc", "rules"))
    parser.add_argument("--filter", metavar="PROGRAM",
                        default=os.path.join(build, "chatd-filter"))
    parser.add_argument("--plugin", metavar="FILE",
                        default=os.path.join(build, ".libs", "rules.so"))
    parser.add_argument("--rules", action="store_true",
                        help="count for each rule")
    parser.add_argument("--show", metavar="CATEGORY",
                        help="print benign rows flagged, or rows missed")
    args = parser.parse_args()
    rows = read_rows(args.data, args.fold, args.files)
    if not rows:
        sys.exit("%s: no rows in %s" % (args.data, args.files))
    findings = run_filter(args, rows)
    for kind in "request", "content":
        picked = [i for i, row in enumerate(rows) if row["kind"] == kind]
        if picked:
            measure(kind, [rows[i] for i in picked],
                    [findings[i] for i in picked], args)


if __name__ == "__main__":
    main()
