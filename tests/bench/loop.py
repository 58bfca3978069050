#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The loop at the size of a campaign: 100 replies of the shipped model are corrected,
trained in by one chatctl tune, and asked for again in words that no training saw.

    CHATD_BUILD=build tests/bench/loop.py [--corpus DIR] [--preset FILE] [--keep]

It prints what the targets are and what was measured: at least 90 % of the paraphrases
improve (the ideal reply is more likely than before, and the greedy reply is the ideal
one), no held task falls by more than 1 point, the whole cycle takes at most 15 minutes
on 2 cores.  Where chatd can change its model while it runs, no stream is dropped.
"""
import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time

SRC = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("CHATD_BUILD", "build")
os.environ.setdefault("CHATD_SRC", str(SRC))
sys.path.insert(0, str(SRC / "tests/e2e"))
from service import BUILD, Service  # noqa: E402

MINI = SRC / "engine/mini"
TEMPLATES = MINI / "templates"
THINGS = """printer; scanner; coffee machine; first aid box; fire extinguisher;
    copy paper; projector; spare monitor; ladder; vending machine; bicycle rack;
    meeting room; server room; mail box; lost property office; whiteboard; fuse box;
    recycling bin; water dispenser; key cabinet; visitor entrance; loading dock;
    parking garage; library; smoking area"""
PLACES = """on the second floor; behind the kitchen; in room 12; next to the lift;
    in the basement; beside the front door; across the yard; at the end of the hall;
    in the old building; under the stairs; opposite the canteen; in room 310;
    on the roof terrace; in the east wing; left of the reception; in the corner office;
    near the back gate; in the archive; on the ground floor; above the garage;
    in the blue cabinet; at the north gate; in house 7; behind the workshop;
    on the third floor"""
ROLES = """system administrator; head of sales; office manager; fire warden; librarian;
    data protection officer; head of research; payroll clerk; house keeper; trainer;
    night guard; web master; workers council chair; purchasing manager; lab assistant;
    travel agent; press officer; company doctor; head cook; fleet manager"""
NAMES = """Ada Brandt; Tom Keller; Rosa Lind; Max Weber; Nina Falk; Paul Stern; Eva Holm;
    Karl Busch; Mia Sommer; Jan Winter; Lea Vogel; Otto Krug; Ida Berg; Finn Adler;
    Ruth Kaiser; Leo Brand; Anna Moor; Hugo Fuchs; Clara Reich; Emil Thal"""
OPENS = """canteen; reception; gym; post office; help desk; workshop; archive; kiosk;
    nursery; bakery; swimming pool; medical room; car park; exhibition; roof garden;
    tool store; language school; bike repair; print shop; cash desk"""
TIMES = """six; half past six; seven; a quarter past seven; half past seven; eight;
    a quarter past eight; half past eight; nine; half past nine; ten; half past ten;
    eleven; half past eleven; noon; one; two; half past two; three; four"""
ACTIONS = """reset my password; book a meeting room; order new pens; report a broken lamp;
    get a parking permit; connect to the network; claim travel costs; borrow a laptop;
    change my address; request a holiday; install a program; get a new badge;
    print in colour; forward my phone; register a visitor"""
WAYS = """Go to the help desk with your staff card.; Use the calendar on the intranet.;
    Write to supplies before Thursday.; Call the house keeper, he will come.;
    Ask at the front gate for form 8.; Plug in the grey cable and wait a minute.;
    Send the bills to room 104.; The lab has six of them, ask for one.;
    Tell the payroll clerk in writing.; Fill in the green form two weeks before.;
    Open the software shop and choose it.; Have a new photo taken in house 3.;
    Choose printer Lisa in the menu.; Press star, then 21 and the number.;
    Enter the name in the visitor book."""
CALLS = """help desk; reception; night guard; canteen; workshop; library; garage; doctor;
    cleaning team; post room; travel desk; school; garden team; fire brigade; bank;
    payroll office; press office; nursery; security desk; data centre"""
FAMILIES = [
    ("Where is the %s?", "The {0} is {1}.", THINGS, PLACES, 25,
     ("Can somebody show me the way to the %s?",
      "Where in the building would the %s be?")),
    ("Who is the %s?", "{1} is the {0}.", ROLES, NAMES, 20,
     ("I am looking for the name of the %s.",
      "Which of you is the %s?")),
    ("When does the %s open?", "The {0} opens at {1}.", OPENS, TIMES, 20,
     ("From when on is the %s open?",
      "The %s, when does it open in the morning?")),
    ("How do I %s?", "{1}", ACTIONS, WAYS, 15,
     ("I have no idea how to %s.",
      "Somebody told me that I can %s here. How?")),
    ("What is the phone number of the %s?", "The {0} has the number {1}.", CALLS,
     "; ".join(str(2017 + 389 * i % 7000) for i in range(20)), 20,
     ("Which phone number does the %s have?",
      "I would like to call the %s, what is the number?")),
]


def words(text):
    return [re.sub(r"\s+", " ", w.strip()) for w in text.split(";")]


def campaign():
    """(question, ideal, paraphrases)."""
    for ask, reply, xs, ys, n, others in FAMILIES:
        xs, ys = words(xs), words(ys)
        assert len(xs) >= n <= len(ys), (ask, len(xs), len(ys))
        for x, y in list(zip(xs, ys))[:n]:
            yield ask % x, reply.format(x, y), [o % x for o in others]


def plain(text):
    return re.sub(r"[^a-z0-9 ]", "", text.lower()).strip()


def never_trained_on(rows):
    """No phrasing of the generator makes one of the paraphrases."""
    lines = (TEMPLATES / "phrasings.txt").read_text().splitlines()
    forms = [line[2:] for line in lines if line[:2] in ("= ", "> ")]
    patterns = [re.compile(re.escape(plain(f.replace("*", "QQQ"))).replace(
        "qqq", "(.+)") + "$") for f in forms]
    for question, _, others in rows:
        key = plain(question).split()[-1]
        for o in others:
            for p in patterns:
                m = p.match(plain(o))
                if m and key in m[1] and m[1] in plain(question):
                    sys.exit("%s: the generator says so, too: %s"
                             % (o, p.pattern))


class Streams(threading.Thread):
    """Replies that run all the time; a dropped one is an error."""

    def __init__(self, service):
        super().__init__()
        self.service = service
        self.done = self.dropped = 0
        self.stop = threading.Event()

    def run(self):
        with self.service.client() as c:
            while not self.stop.is_set():
                _, end = c.say("Tell me a joke.", params={"temperature": 0})
                self.done += end["event"] == "done"
                self.dropped += end["event"] != "done"
                self.stop.wait(1)


def chatctl(service, *args, **kw):
    return subprocess.run([str(a) for a in (BUILD / "chatctl", "-s",
                                            service.socket, *args)],
                          check=False, **kw)


def rate(service, rows):
    wrong = 0
    with service.client() as c:
        for question, ideal, _ in rows:
            text, done = c.say(question, params={"temperature": 0})
            wrong += text != ideal
            end = c.call("rate", exchange=done["exchange"], thumb=-1,
                         ideal=ideal)
            if end["event"] != "done":
                sys.exit("rate: %s" % end)
    print("rated: %d replies, %d of them wrong" % (len(rows), wrong))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--corpus")
    p.add_argument("--preset")
    p.add_argument("--keep", action="store_true", help="keep the model")
    o = p.parse_args()
    rows = list(campaign())
    never_trained_on(rows)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="chatd-loop-"))
    asked = folder / "asked.jsonl"
    asked.write_text("".join(
        json.dumps({"prompt": "<human>: %s\n<bot>:" % q, "completion": a})
        + "\n" for _, a, others in rows for q in others))
    able = "rollback" in chatctl(argparse.Namespace(socket="-"), "--help",
                                 capture_output=True, text=True).stdout
    more = [x for k in ("corpus", "preset") if getattr(o, k)
            for x in ("--" + k, getattr(o, k))]
    with Service(engine=BUILD / "chatd-engine", model=MINI) as s:
        s.wait_model()
        rate(s, rows)
        streams = Streams(s)
        streams.start()
        begin = time.monotonic()
        done = chatctl(s, "tune", "--plain", *([] if able else ["--no-swap"]),
                       "--templates", TEMPLATES, *more, "-o", folder / "new")
        spent = time.monotonic() - begin
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        streams.stop.set()
        streams.join()
    made = folder / ("new" if done.returncode == 0 else "new.refused")
    # The tasks were measured already: one item of each.
    (folder / "one.yaml").write_text("items: 1\n")
    gate = subprocess.run(
        [BUILD / "chatd-tune", "gate", MINI, made, "--templates", TEMPLATES,
         "--ask", asked, "--json", "--preset", folder / "one.yaml"],
        check=False, text=True, stdout=subprocess.PIPE)
    asked = json.loads(gate.stdout)["asked"]
    report(asked, json.loads((made / "gate.json").read_text()), spent,
           used.ru_utime + used.ru_stime, streams, able, done.returncode == 0)
    if o.keep:
        print("kept: %s" % made)
    else:
        subprocess.run(["rm", "-r", folder], check=True)
    return done.returncode


def report(asked, table, spent, cpu, streams, able, published):
    rose = sum(a["loss_after"] < a["loss_before"] for a in asked)
    equal = sum(a["right_after"] for a in asked)
    both = sum(a["right_after"] and a["loss_after"] < a["loss_before"]
               for a in asked)
    n = len(asked)
    for name, k in ("corrected replies, greedy",
                    {t["name"]: t for t in table["learnt"]}["corrected"]), \
                   ("paraphrases of the held-out forms",
                    {t["name"]: t for t in table["learnt"]}["paraphrased"]):
        print("%-36s %.1f %% of %d (before: %.1f %%)" %
              (name, k["after"], k["items"], k["before"]))
    print("paraphrases by hand: more likely     %.1f %% of %d" %
          (100 * rose / n, n))
    print("paraphrases by hand: greedy equals   %.1f %% (before: %.1f %%)" %
          (100 * equal / n, 100 * sum(a["right_before"] for a in asked) / n))
    print("paraphrases by hand: both            %.1f %%  (target: 90)" %
          (100 * both / n))
    worst = min(table["tasks"], key=lambda t: t["change"])
    print("largest fall of a task               %.1f points  (target: 1): %s, "
          "%d lost and %d gained of %d, by chance %.2f" % (
              max(0, -worst["change"]), worst["name"], worst["lost"],
              worst["gained"], worst["items"], worst["chance"]))
    print("perplexity                           %.2f, before %.2f" %
          (table["perplexity"]["after"], table["perplexity"]["before"]))
    print("the whole cycle                      %.1f min  (target: 15 on 2 "
          "cores; here %d)" % (spent / 60, len(os.sched_getaffinity(0))))
    print("its processor time                   %.1f min" % (cpu / 60))
    print("published                            %s" % published)
    print("streams while the model was %s: %d ended, %d dropped" %
          ("trained and changed" if able else "trained (this chatd does not "
           "change it)", streams.done, streams.dropped))
    wrong = [a for a in asked if not a["right_after"]]
    for a in wrong[:10]:
        print("  not: %s" % a["prompt"].split("\n")[0])


if __name__ == "__main__":
    sys.exit(main())
