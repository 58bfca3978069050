# SPDX-License-Identifier: Apache-2.0
"""The dialogues the demonstration model is trained on.

A document is a list of (role, text) pairs: "human", "bot", "context" (a bot turn
that is read but not learnt) or "plain" (ordinary text).  Most documents are sessions
put together from short exchanges: small talk from the corpus, questions about the
program itself, facts the user tells and asks for later, copying, small tables,
sentiment.  What the model says about itself is written here, not in the corpus.
train.py calls Dialogues(folder, seed).document(kind); everything is drawn from one
random generator, so a seed gives the same documents again.
"""
import collections
import json
import pathlib
import random
import re

import phrases as P


def rows(folder, name):
    """The rows of a corpus file, without the rude ones (chitchat is filtered by question)."""
    with open(pathlib.Path(folder) / name, encoding="utf-8") as f:
        return [json.loads(line) for line in f if name == "chitchat.jsonl" or not P.RUDE.search(line)]


def capital(s):
    return s[:1].upper() + s[1:]


def article(noun):
    return ("an " if noun[:1].lower() in "aeiou" else "a ") + noun


class Dialogues:
    def __init__(self, folder, seed=1):
        self.r = random.Random(seed)
        with open(pathlib.Path(folder) / "wordlists.json", encoding="utf-8") as f:
            words = json.load(f)
        plain = re.compile(r"^[A-Za-z][A-Za-z' -]{1,18}$")
        self.words = {k: [w for w in v if plain.match(w)] for k, v in words.items()}
        self.load_chitchat(rows(folder, "chitchat.jsonl"))
        self.load_intents(rows(folder, "intents-clinc150.jsonl"))
        self.load_persona(rows(folder, "persona-chat.jsonl"))
        self.load_rest(folder)

    # ---- corpus ---------------------------------------------------------

    def load_chitchat(self, data):
        """Topics by their set of questions; our own answers where P.TOPICS has some."""
        topics = collections.OrderedDict()
        for row in data:
            q = [x for x in row["questions"] if "editorial" not in x and "'" * 2 not in x]
            for key in list(topics):
                if len(topics[key][0] & set(q)) * 2 > min(len(topics[key][0]), len(q)):
                    topics[key][0].update(q)
                    topics[key][1].update(row["answers"])
                    break
            else:
                topics[row["topic"]] = (set(q), dict(row["answers"]))
        self.small = []
        for name, (questions, answers) in topics.items():
            own = next((a for key, a in P.TOPICS.items() if key in questions), None)
            if own == []:
                continue
            keep = own or [answers[k].replace("’", "'") for k in ("friendly", "professional", "caring")
                           if k in answers and not P.DOUBTFUL.search(answers[k])]
            qs = sorted(x for x in questions if not P.RUDE.search(x))
            if keep and qs:
                self.small.append((qs, keep))
        # Large topics count more, but not in proportion.
        self.small_weights = [len(q) ** 0.5 for q, _ in self.small]

    def load_intents(self, data):
        by = collections.defaultdict(list)
        for row in data:
            by[row["intent"]].append(row["text"])
        self.intents = by

    def load_persona(self, data):
        """Bot turns that react or ask and say nothing about a human life."""
        often = collections.Counter()
        self.reactions, self.talks, self.lines, self.personal = [], [], [], []
        for row in data:
            t = row["turns"]
            self.talks.append(t)
            for i in range(1, len(t)):
                if (3 <= len(t[i].split()) <= 20 and "?" not in t[i - 1] and len(t[i - 1].split()) >= 4
                        and not P.FIRST_PERSON.search(t[i]) and "you too" not in t[i]
                        and often[t[i]] < 8 and "welcome" not in t[i].lower()):
                    often[t[i]] += 1
                    self.reactions.append((t[max(0, i - 5):i], t[i]))
                if 3 <= len(t[i].split()) <= 9:
                    self.lines.append(t[i])
                last = re.split(r"(?<=[.!?]) ", t[i])[-1]
                if last.endswith("?") and re.search(r"\byou", last) and len(last) < 90:
                    answers = next((a for r, a in P.PERSONAL if r.search(last)), None)
                    if answers:
                        after = t[i + 1] if i + 1 < len(t) and "?" not in t[i + 1] else None
                        react = t[i + 2] if i + 2 < len(t) and not P.FIRST_PERSON.search(t[i + 2]) else None
                        self.personal.append((last, answers, after, react))

    def load_rest(self, folder):
        self.sentiment = []
        for row in rows(folder, "sentiment-uci.jsonl"):
            self.sentiment.append((row["text"], row["label"]))
        for row in rows(folder, "sentiment-vader.jsonl"):
            if abs(row["score"]) > 1.3 and len(row["text"]) < 120 and row["source"] != "nyt":
                self.sentiment.append((row["text"], row["label"]))
        # Every tenth sentence is kept for check.py.
        self.sentiment_test = self.sentiment[::10]
        self.sentiment = [x for i, x in enumerate(self.sentiment) if i % 10]
        self.hard = []
        for name in ("open-assistant-100.jsonl", "instructions.jsonl"):
            self.hard += [r["turns"][0] for r in rows(folder, name) if len(r["turns"][0]) < 350]
        self.tech = collections.OrderedDict()
        for row in rows(folder, "chatterbot.jsonl"):
            if row["topic"] == "tech_support":
                self.tech.setdefault(row["turns"][0], []).append(row["turns"][1].replace("’", "'"))
            elif row["topic"] in ("trivia", "science", "history", "sports", "literature", "money"):
                self.hard.append(row["turns"][0])
        self.fables = rows(folder, "fables.jsonl")
        self.known = []
        for row in rows(folder, "topical-chat.jsonl"):
            for t in row["turns"]:
                last = re.split(r"(?<=[.!?]) ", t)[-1]
                if re.match(r"(who|what|when|where|why|how|which|is|are|does|did) [^?]{12,80}\?$", last, re.I) and not re.search(
                        r"\b(you|your|I|it|that|they|he|she|him|them|this|right|we|those|his|about|yourself)\b", last, re.I):
                    self.hard.append(last)
                m = re.search(r"[Dd]id you know [^?]{10,90}\?", t)
                if m:
                    self.known.append(capital(m.group()))
        self.topical = [r["turns"] for r in rows(folder, "topical-chat.jsonl")]
        self.orders = [r["turns"] for r in rows(folder, "taskmaster4.jsonl")]
        self.lines += [x["text"] for x in rows(folder, "intents-clinc150.jsonl")
                       if 3 <= len(x["text"].split()) <= 8]

    # ---- small helpers --------------------------------------------------

    def pick(self, seq):
        return seq[self.r.randrange(len(seq))]

    def chance(self, p):
        return self.r.random() < p

    def typed(self, s):
        """The same text as people type it: lower case, no full stop, slips."""
        x = self.r.random()
        if x < 0.35:
            s = s.lower()
        elif x < 0.40:
            s = capital(s.lower())
        elif x < 0.42 and len(s) < 30:
            s = s.upper()
        elif x < 0.60:
            s = capital(s)
        if self.chance(0.35):
            s = s.rstrip(".!?")
        elif self.chance(0.03):
            s = s + self.pick(["!", "!!", "...", " :)", "?", " pls", " please"])
        if self.chance(0.12):
            s = s.replace("'", "")
        if self.chance(0.10):
            for _ in range(1 + len(s) // 40):
                s = self.slip(s)
        return s

    def ask(self, s):
        """A question or request as typed, now and then with words around it."""
        x = self.r.random()
        if x < 0.22 and len(s) > 3:
            b = self.pick(P.BEFORE)
            s = b + (s if s[:2] in ("I ", "I'") else s[:1].lower() + s[1:])
            s = capital(s) if self.chance(0.5) else s
        elif x < 0.32 and len(s) > 6:
            s = re.sub(r"([.!?]?)$", lambda m: self.pick(P.AFTER) + m.group(1), s, count=1)
        elif x < 0.37 and len(s) > 8:
            s = self.pick(["I want to know: ", "I'd like to know, ", "can you tell me, ", "Could you tell me: ", "Do you know this: ",
                           "my question is: ", "I wonder, ", "answer this: "]) + s[:1].lower() + s[1:]
        return self.typed(s)

    def slip(self, s):
        if len(s) < 4:
            return s
        i = self.r.randrange(1, len(s) - 1)
        if not (s[i].isalpha() and s[i + 1].isalpha()):
            return s
        kind = self.r.randrange(4)
        if kind == 0:
            return s[:i] + s[i + 1] + s[i] + s[i + 2:]
        if kind == 1:
            return s[:i] + s[i + 1:]
        if kind == 2:
            return s[:i] + s[i] + s[i:]
        return s[:i] + self.pick("abcdefghijklmnoprstuvwy") + s[i + 1:]

    def name(self):
        if self.chance(0.5):
            return self.pick(self.words["first_names"])
        n = self.pick([2, 2, 3])
        s = "".join(self.pick("b d f g h j k l m n p r s t v w z br tr st kl sh th".split())
                    + self.pick("a e i o u a e i o ai ee".split()) for _ in range(n))
        return capital(s + self.pick(["", "", "n", "r", "l", "s", "x", "m"]))

    def place(self):
        x = self.r.random()
        return (self.pick(self.words["us_cities"]) if x < 0.5 else
                self.pick(self.words["countries"]) if x < 0.8 else self.name())

    def thing(self):
        k = self.pick(["fruits", "vegetables", "common_animals", "objects", "sports",
                       "instruments", "flowers", "common_nouns", "menuItems"])
        return self.pick(self.words[k])

    def hobby(self):
        x = self.r.random()
        return (self.pick(P.HOBBIES) if x < 0.55 else "playing " + self.pick(P.GAMES) if x < 0.75 else
                "playing the " + self.pick(self.words["instruments"]).lower())

    def word(self):
        k = self.pick(["common_nouns", "nouns", "adjs", "verbs", "moods", "objects"])
        w = self.pick(self.words[k])
        return w if self.chance(0.8) else self.name().lower()

    def unknown(self):
        return self.pick(P.UNKNOWN)

    # ---- exchanges: each returns a list of (human, bot) -------------------

    def e_smalltalk(self, s):
        q, a = self.r.choices(self.small, self.small_weights)[0]
        return [(self.ask(self.pick(q)), self.pick(a))]

    def e_written(self, s):
        q, a = self.pick(P.WRITTEN)
        return [(self.ask(self.pick(q)), self.pick(a))]

    def e_about(self, s):
        q, a = self.pick(P.ABOUT)
        return [(self.ask(self.pick(q)), self.pick(a))]

    def e_greet(self, s):
        g = self.pick(P.GREETINGS)
        if self.chance(0.15):
            g += self.pick([" there", " bot", " chatd", " computer", " my friend", " again", " everyone"])
        if self.chance(0.15):
            return [(self.typed(g + self.pick([", ", " ", "! "]) + self.pick(P.HOW)), self.pick(P.FINE))]
        return [(self.typed(g), self.pick(P.HELLO))]

    def e_how(self, s):
        return [(self.ask(self.pick(P.HOW)), self.pick(P.FINE))]

    def e_thanks(self, s):
        q = self.pick(P.THANKS) if self.chance(0.7) else self.pick(self.intents["thank_you"])
        return [(self.typed(q), self.pick(P.WELCOME))]

    def e_bye(self, s):
        q = self.pick(P.BYE) if self.chance(0.7) else self.pick(self.intents["goodbye"])
        a = self.pick(P.GOODBYE)
        if s.get("name") and self.chance(0.5):
            a = self.pick(["Goodbye, {}!", "Bye, {}! Take care.", "See you, {}!"]).format(s["name"])
        return [(self.typed(q), a)]

    def e_joke(self, s):
        told = s.setdefault("jokes", [])
        q = self.pick(P.ASK_JOKE) if self.chance(0.7) else self.pick(self.intents["tell_joke"])
        out = []
        for n in range(self.pick([1, 1, 2, 3])):
            left = [j for j in P.JOKES if j not in told]
            if not left:
                break
            told.append(self.pick(left))
            out.append((self.ask(q), told[-1]))
            q = self.pick(P.ANOTHER)
            if self.chance(0.3):
                out.append((self.ask(self.pick(P.LAUGH)), self.pick(P.LAUGHED)))
        return out

    def e_intent(self, s):
        """Requests the program cannot carry out: it says which, and that it cannot."""
        k = self.pick(P.INTENT_KEYS)
        a = self.pick(P.CANNOT).format(P.CANNOT_DO[k])
        return [(self.ask(self.pick(self.intents[k])), a)]

    def e_intent_own(self, s):
        k = self.pick(list(P.INTENT_ANSWERS))
        return [(self.ask(self.pick(self.intents[k])), self.pick(P.INTENT_ANSWERS[k]))]

    def e_unknown(self, s):
        x = self.r.random()
        if x < 0.3:
            q = self.pick(self.intents["oos"])
        elif x < 0.45:
            q = self.pick(self.hard)
        else:
            q = self.pick(P.FACT_QUESTIONS).format(
                thing=self.thing(), name=self.name() + " " + self.pick(self.words["last_names"]),
                place=self.place(), noun=self.pick(self.words["common_nouns"]),
                animal=self.pick(self.words["common_animals"]), job=self.pick(self.words["occupations"]),
                n=self.r.randrange(3, 400), year=self.r.randrange(1500, 2025))
        out = [(self.ask(q), self.unknown())]
        if self.chance(0.15):
            out.append((self.ask(self.pick(P.WHY)), self.pick(P.BECAUSE)))
        return out

    def e_capital(self, s):
        if self.chance(0.5):
            c = self.pick(list(P.CAPITALS))
            a = self.pick(["The capital of {} is {}.", "The capital of {} is {}."]).format(c, P.CAPITALS[c])
        else:
            c = self.pick(self.words["countries"]) if self.chance(0.7) else self.name()
            a = (f"The capital of {c} is {P.CAPITALS[c]}." if c in P.CAPITALS else
                 f"I don't know the capital of {c}. I know only very few facts.")
        q = self.pick(["What is the capital of {}?", "What's the capital of {}?", "capital of {}",
                       "Do you know the capital of {}?", "Tell me the capital of {}.",
                       "Which city is the capital of {}?", "What is the capital city of {}?"]).format(c)
        return [(self.ask(q), a)]

    def e_fact(self, s):
        q, a = self.pick(P.FACTS)
        return [(self.ask(self.pick(q)), self.pick(a))]

    def e_sum(self, s):
        a, b = self.r.randrange(0, 11), self.r.randrange(0, 11)
        if self.chance(0.25):
            n = self.r.randrange(12, 1000)
            q = self.pick(["What is {} times {}?", "{} plus {}", "how much is {} divided by {}", "{} * {} = ?"])
            return [(self.ask(q.format(n, self.r.randrange(3, 200))), self.pick(P.NO_SUMS))]
        words = self.chance(0.2)
        f = (lambda n: P.NUMBERS[n]) if words else str
        if self.chance(0.6) or b > a:
            q = self.pick(["What is {} plus {}?", "{}+{}", "What's {} + {}?", "{} + {}", "how much is {} plus {}?",
                           "{} plus {}", "what is {}+{}", "what's {}+{}", "{}+{}=", "{} + {} = ?", "{}+{}=?", "{} and {} makes?", "sum of {} and {}", "Add {} and {}.", "calculate {} + {}"])
            t = f"{f(a)} plus {f(b)} is {P.NUMBERS[a + b] if words else a + b}."
        else:
            q = self.pick(["What is {} minus {}?", "{}-{}", "{} - {}", "how much is {} minus {}?", "what's {} minus {}"])
            t = f"{f(a)} minus {f(b)} is {f(a - b)}."
        return [(self.ask(q.format(f(a), f(b))), capital(t))]

    def e_count(self, s):
        n = self.r.randrange(2, 21)
        q = self.pick(["Count to {}.", "Can you count to {}?", "count up to {}", "Please count to {}."])
        n_text = str(n) if self.chance(0.6) or n > 20 else P.NUMBERS[n]
        return [(self.ask(q.format(n_text)), ", ".join(map(str, range(1, n + 1))) + ".")]

    def e_name_it(self, s):
        """Name one, or a few, of a kind."""
        kind, plural, items = self.pick(P.KINDS)
        n = self.pick([1, 1, 2, 3, 3, 4, 5])
        got = self.r.sample(items, n)
        if n == 1:
            q = self.pick(["Name {}.", "Tell me {}.", "Can you name {}?", "Give me {}.", "Think of {}."]).format(article(kind))
            return [(self.ask(q), capital(got[0]) + ".")]
        num = self.pick([str(n), P.NUMBERS[n]])
        q = self.pick(["Name {} {}.", "List {} {}.", "Give me {} {}.", "Tell me {} {}.", "Can you name {} {}?"]).format(num, plural)
        return [(self.ask(q), capital(", ".join(got[:-1]) + " and " + got[-1] + "."))]

    def e_kind_of(self, s):
        kind, plural, items = self.pick(P.KINDS)
        other = self.pick([k for k in P.KINDS if k[0] != kind])[0]
        x = self.pick(items)
        if self.chance(0.5):
            a, b = (kind, other) if self.chance(0.5) else (other, kind)
            q = self.pick(["Is {} {} or {}?", "{}: {} or {}?"]).format(x, article(a), article(b))
        else:
            q = self.pick(["What is {}?", "What kind of thing is {}?"]).format(x)
        return [(self.ask(q), f"{capital(x)} is {article(kind)}.")]

    def e_repeat(self, s):
        q = self.pick(P.REPEAT)
        if "word" in q or ("sentence" not in q and self.chance(0.3)):
            w = self.word()
            return [(q.format(w), w)]
        w = self.pick(self.lines) if self.chance(0.7) else " ".join(self.word() for _ in range(self.r.randrange(2, 6)))
        if self.chance(0.4):
            w = w.lower()
        return [(q.format(w), w)]

    def e_again(self, s):
        if not s["turns"] or len(s["turns"][-1][1]) > 90:
            return self.e_smalltalk(s)
        q = self.pick(self.intents["repeat"]) if self.chance(0.5) else self.pick(P.AGAIN)
        return [(self.typed(q), "I said: " + s["turns"][-1][1])]

    def e_tell(self, s):
        """The user tells something about himself; asked for later in the session."""
        key = self.pick(list(P.TELL) + ["name", "name", "name"])
        if key in s:
            return self.recall(s, key)
        v, w = self.value(key)
        said, replies = P.TELL[key][0], P.TELL[key][1]
        s[key] = v
        if w:
            s[key + "2"] = w
        said = self.pick(said).format(v, w)
        more = self.pick(["city", "age", "job", "pet", "colour", "hobby", "friend"])
        if more not in s and self.chance(0.15):        # two things at once
            s[more], w2 = self.value(more)
            if w2:
                s[more + "2"] = w2
            second = self.pick(P.TELL[more][0]).format(s[more], w2)
            joint = self.pick([" and ", ". ", ", "])
            second = second if joint == ". " or second[:1] == "I" else second[:1].lower() + second[1:]
            said = said.rstrip(".!") + joint + second
        out = [(self.typed_keep(said), capital(self.pick(replies).format(v, w)))]
        if key == "name" and self.chance(0.15):
            s[key] = v = self.name()
            out.append((self.pick(["Actually, my name is {}.", "Sorry, I meant {}.", "Please call me {} instead."]).format(v),
                        self.pick(["All right, {}.", "Okay, I'll call you {}."]).format(v)))
        return out

    def typed_keep(self, s):
        """As typed(), but keeps what has to be copied readable."""
        x = self.r.random()
        if x < 0.25:
            s = s[:1].lower() + s[1:]
        if self.chance(0.35):
            s = s.rstrip(".!")
        if self.chance(0.1):
            s = s.replace("'", "")
        return s

    def value(self, key):
        if key in ("name", "friend"):
            return self.name(), self.pick(P.RELATIVES)
        if key == "pet":
            return self.name(), self.pick(P.PETS)
        if key == "city":
            return self.place(), ""
        if key == "age":
            return str(self.r.randrange(8, 95)), ""
        if key == "job":
            return self.pick(self.words["occupations"]), ""
        if key == "colour":
            return self.pick(P.COLOURS), ""
        if key == "food":
            return self.pick(self.words[self.pick(["fruits", "vegetables", "menuItems"])]).lower(), ""
        if key == "hobby":
            return self.hobby(), ""
        if key == "number":
            return str(self.r.randrange(2, 1000)), ""
        return self.word(), ""          # key == "secret"

    def recall(self, s, key=None):
        if key is None:
            known = [k for k in P.TELL if k in s]
            if not known and self.chance(0.6):
                return self.e_tell(s)
            key = self.pick(known) if known and self.chance(0.85) else self.pick(list(P.TELL))
        if key in s:
            v, w = s[key], s.get(key + "2", "")
            return [(self.ask(self.pick(P.TELL[key][2]).format(v, w)), capital(self.pick(P.TELL[key][3]).format(v, w)))]
        w = self.value(key)[1]
        if not P.TELL[key][4]:
            return self.e_smalltalk(s)
        return [(self.ask(self.pick(P.TELL[key][2]).format("", w)), self.pick(P.TELL[key][4]).format("", w))]

    def e_recall(self, s):
        if self.chance(0.08):
            known = [k for k in P.TELL if k in s and k not in ("secret", "number")][:3]
            a = " ".join(P.TELL[k][3][0].format(s[k], s.get(k + "2", "")) for k in known)
            return [(self.ask(self.pick(P.KNOW_ME)), a or self.pick(P.KNOW_NOTHING))]
        return self.recall(s)

    def e_react(self, s):
        """What people say of themselves, and a short reaction to it."""
        before, reply = self.pick(self.reactions)
        return [(self.typed(before[-1]), reply)]

    def e_life(self, s):
        q, a = self.pick(P.LIFE)
        t = {"thing": self.thing(), "name": self.name(), "place": self.place(), "hobby": self.hobby(),
             "kin": self.pick(P.RELATIVES if self.chance(0.6) else P.PETS), "lost": self.pick(P.LOST)}
        return [(self.typed_keep(self.pick(q).format(**t)), capital(self.pick(a).format(**t)))]

    def e_personal(self, s):
        """A question as to a person, and perhaps what the user says of it himself."""
        q, answers, after, react = self.pick(self.personal)
        if q.startswith("So, ") and self.chance(0.5):
            q = capital(q[4:])
        out = [(self.ask(q) if self.chance(0.5) else self.typed(q), self.pick(answers))]
        if after and len(after) < 150 and out[0][1].endswith("?") and self.chance(0.4):
            ok = react and 3 <= len(react.split()) <= 20
            out.append((self.typed(after), react if ok else self.pick(["I see. Thanks for telling me!", "That's interesting!"])))
        return out

    def e_known(self, s):
        return [(self.typed(self.pick(self.known)), self.pick(P.DID_YOU_KNOW))]

    def e_long(self, s):
        """A pasted text."""
        x = self.r.random()
        text = (self.pick(self.fables)["text"] if x < 0.4 else " ".join(self.pick(self.topical)[2:6]) if x < 0.7 else
                " ".join(self.pick(self.sentiment)[0] for _ in range(self.r.randrange(4, 9))))
        text = text[:self.r.randrange(250, 900)].rsplit(" ", 1)[0]
        return [(self.pick(P.LONG_ASK).format(text), self.pick(P.LONG))]

    def follow(self, s, part):
        """What the user may say to a question of the bot."""
        fit = [f for f in P.FOLLOW if f[0].search(part[-1][1])]
        if not fit:
            return []
        _, said, replies = self.pick(fit)
        q = self.pick(said)
        if q == "*topic":
            x = self.pick(P.TALK_TOPICS) if self.chance(0.6) else self.thing()
            q = self.pick(["{}", "about {}", "let's talk about {}", "I want to talk about {}", "{} please", "Maybe {}."]).format(x)
        elif q == "*name" or q == "*who":
            x = self.name() if q == "*name" or self.chance(0.5) else capital(self.thing())
            if q == "*name":
                s["name"] = x
            q = self.pick(["{}", "{}", "I'm {}", "it's {}", "My name is {}."]).format(x) if q == "*name" else x
        elif q == "*job":
            s["job"] = x = self.pick(self.words["occupations"])
            q = self.pick(["I'm a {}", "I work as a {}.", "{}", "I am a {}"]).format(x)
        elif q == "*place":
            s["city"] = x = self.place()
            q = self.pick(["{}", "in {}", "I live in {}.", "I'm from {}"]).format(x)
        else:
            return [(self.typed(q), self.pick(replies))]
        return [(self.typed_keep(q), capital(self.pick(replies).format(x)))]

    def e_poem(self, s):
        if self.chance(0.5):
            x = self.thing().lower() if self.chance(0.6) else self.pick(P.TALK_TOPICS)
            return [(self.typed_keep(self.pick(P.POEM_ASK).format(x)), self.pick(P.POEM).format(x))]
        x = self.pick(self.words["common_animals"]).lower()
        x = article(x) if self.chance(0.6) else article(self.pick(self.words["objects"]).lower())
        return [(self.typed_keep(self.pick(P.STORY_ASK).format(x)),
                 self.pick(P.STORY).format(x, self.pick("mouse fox bear bird dog cat frog hare".split())))]

    def e_tech(self, s):
        q = self.pick(list(self.tech))
        return [(self.ask(q), self.tech[q][0])]

    def e_gibberish(self, s):
        q = self.pick(P.ODD) if self.chance(0.4) else "".join(
            self.pick("asdfghjklqwertzuiop nmvbc") for _ in range(self.r.randrange(3, 20))).strip() or "hm"
        return [(q, self.pick(P.NOT_UNDERSTOOD))]

    def e_foreign(self, s):
        q, a = self.pick(P.FOREIGN)
        return [(self.typed(self.pick(q)), self.pick(a))]

    def e_sentiment(self, s):
        text, label = self.pick(self.sentiment)
        while label == "Neutral":
            text, label = self.pick(self.sentiment)
        if self.chance(0.3):
            text, label = self.pick(P.SENT_OF)
            text = text.format(self.pick(P.SENT_THINGS), self.pick(P.GOOD if label == "Positive" else P.BAD))
        return [(self.pick(P.SENT_ASK).format(text), label)]

    def e_spans(self, s):
        """A few facts and a question about one of them."""
        n = self.r.randrange(1, 6)
        people = []
        while len(people) < n:
            p = self.name()
            if p not in people:
                people.append(p)
        rel = [self.pick(P.RELATIONS) for _ in people]
        vals = [self.span_value(k[0]) for k in rel]
        text = " ".join(k[1].format(p, v) for k, p, v in zip(rel, people, vals))
        i = self.r.randrange(n)
        q = rel[i][2].format(people[i])
        a = rel[i][3].format(people[i], vals[i])
        if self.chance(0.3):                      # who ...?
            q, a = rel[i][4].format(vals[i]), people[i] + "."
            if sum(v == vals[i] for v in vals) > 1:
                return self.e_spans(s)
        out = [(text + self.pick([" ", "\n"]) + q, a)]
        if self.chance(0.4):
            j = self.r.randrange(n)
            out.append((rel[j][2].format(people[j]), rel[j][3].format(people[j], vals[j])))
        return out

    def span_value(self, kind):
        return {"place": self.place, "age": lambda: str(self.r.randrange(5, 99)),
                "job": lambda: self.pick(self.words["occupations"]),
                "thing": lambda: article(self.pick(self.words["objects"]).lower()),
                "food": lambda: self.pick(self.words["fruits"]).lower(),
                "colour": lambda: self.pick(P.COLOURS)}[kind]()

    def e_table(self, s):
        heads = self.pick(P.TABLES)
        n = self.r.randrange(2, 5)
        body = [[self.name()] + [self.span_value(k) if k != "thing" else self.pick(self.words["objects"]).lower()
                                 for _, k in heads[1:]] for _ in range(n)]
        lines = ["; ".join(", ".join(b) for b in body), "\n".join(", ".join(b) for b in body)]
        q = self.pick(["Make a table of this: {}", "Make a table: {}", "Put this in a table: {}", "table: {}",
                       "Please make a table with the columns " + ", ".join(h[0] for h in heads) + ": {}"]).format(self.pick(lines))
        rowf = lambda c: "| " + " | ".join(c) + " |"
        a = "\n".join([rowf([h[0] for h in heads]), rowf(["---"] * len(heads))] + [rowf(b) for b in body])
        return [(q, a)]

    # ---- documents --------------------------------------------------------

    EXCHANGES = [  # weight, function
        (15, "e_smalltalk"), (11, "e_written"), (9, "e_about"), (6, "e_greet"), (5, "e_how"),
        (3, "e_thanks"), (3, "e_bye"), (4, "e_joke"), (7, "e_intent"), (4, "e_intent_own"),
        (10, "e_unknown"), (2, "e_capital"), (4, "e_fact"), (4.5, "e_sum"), (1, "e_count"),
        (4, "e_name_it"), (1, "e_kind_of"), (5, "e_repeat"), (1.5, "e_again"), (11, "e_tell"),
        (9, "e_recall"), (8, "e_react"), (6, "e_life"),
        (8, "e_personal"), (1, "e_known"), (2, "e_poem"), (0.7, "e_long"), (0.6, "e_tech"), (2, "e_gibberish"),
        (1, "e_foreign"), (4, "e_sentiment"), (4, "e_spans"), (2.5, "e_table"),
    ]

    def session(self, fits):
        """Exchanges as long as the document fits."""
        s = {"turns": []}
        names = [n for _, n in self.EXCHANGES]
        weights = [w for w, _ in self.EXCHANGES]
        if self.chance(0.25):                  # a session about what the user told
            weights = [w * {"e_tell": 3, "e_recall": 5}.get(n, 1) for w, n in self.EXCHANGES]
        first = self.chance(0.35)
        misses = 0
        while True:
            kind = "e_greet" if first else self.r.choices(names, weights)[0]
            first = False
            before = {k: list(v) if isinstance(v, list) else v for k, v in s.items()}
            part = getattr(self, kind)(s)
            for _ in range(3):
                if part[-1][1].endswith(("?", "Tell me!")) and self.chance(0.5):
                    part = part + self.follow(s, part)
                else:
                    break
            if not fits(s["turns"] + part):
                misses += 1
                if misses > 3:                 # what a missed part told is not in the document
                    return s["turns"]
                s = {"turns": s["turns"], **{k: v for k, v in before.items() if k != "turns"}}
                continue
            s["turns"] += part
            if kind == "e_bye" and self.chance(0.7):
                return s["turns"]

    def date(self):
        r = self.r
        return "Current Date: %04d-%02d-%02d\nCurrent Time: %02d:%02d:%02d %s UTC\n\n" % (
            r.randrange(2022, 2032), r.randrange(1, 13), r.randrange(1, 29), r.randrange(0, 13),
            r.randrange(60), r.randrange(60), self.pick(["AM", "PM"]))

    def document(self, kind, fits):
        """kind: "session", "talk" or "plain".  Returns a list of (role, text)."""
        if kind == "session":
            out = []
            if self.chance(0.06):
                d = self.date()
                out.append(("plain", d))
                day = re.search(r"\d{4}-\d\d-\d\d", d).group()
                q = self.pick(["What is the date today?", "What day is it?", "date?", "What's today's date?"])
                today = (self.typed(q), f"Today is {day}.")
                turns = self.session(lambda t: fits([today] + t))
                turns.insert(0 if self.chance(0.6) else len(turns), today)
            else:
                turns = self.session(fits)
            for q, a in turns:
                out += [("human", q), ("bot", a)]
            return out
        if kind == "talk":                     # a stretch of talk; only reactions are learnt
            while True:
                before, reply = self.pick(self.reactions)
                before = before[-self.pick([1, 3, 3, 5]):]
                if len(before) % 2 == 0:
                    before = before[1:]
                out = [("human" if i % 2 == 0 else "context", t) for i, t in enumerate(before)]
                out.append(("bot", reply))
                if fits([(a, b) for (_, a), (_, b) in zip(out[::2], out[1::2])]):
                    return out
        x = self.r.random()
        if x < 0.12:
            f = self.pick(self.fables)
            return [("plain", f["title"] + "\n" + f["text"] + "\n" + f["moral"] + "\n")]
        talk = self.pick(self.talks if x < 0.5 else self.topical if x < 0.85 else self.orders)
        i = self.r.randrange(max(1, len(talk) - 5))
        a, b = self.name(), self.name()
        return [("plain", "".join(f"{(a, b)[j % 2]}: {t}\n" for j, t in enumerate(talk[i:])))]
