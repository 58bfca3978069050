#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Talk to the exported model with transformers (fp32) and report what it does.

    python tools/mini/check.py [--model DIR] [--corpus DIR] [--expected FILE]

It plays conversations greedy and sampled (temperature 0.6, top-k 40), prints them, and
counts the replies that end by themselves.  Some sentences of TALKS are in the training
data, or were a reason to add phrases to it.  FRESH has no such sentences.  With --corpus
it also counts exact answers to generated tasks with new names and words.  --expected
writes greedy continuations for tests.  Each continuation ends before the first step whose
two largest logits differ by less than 0.01.
"""
import argparse
import json
import pathlib
import random

MODEL = pathlib.Path(__file__).resolve().parents[2] / "engine/mini"

TALKS = [  # each is a list of turns; the model replies after each turn
    "Hello", "hi there!", "helo", "good mornign", "Hey, how are you doing today?|pretty good, thanks", "hows it goin|not so well|I lost my wallet",
    "who are you", "What are you, exactly?", "whats ur name??", "are you a human being?", "is there a real person typing this?", "who made u",
    "Which company built you?", "what can you do for me?", "help", "what is chatd", "can you tell me what chatd is for?", "are you chatgpt?",
    "can you search the internet for me", "thank you so much for your help", "ok thanks bye", "I gotta run, see you tomorrow!",
    "tell me a joke|haha nice, another one|lol", "do you know something funny", "I feel really sad today|my dog is sick",
    "I am so bored right now", "I had a great day today!|I went hiking with my brother",
    "Hi, I'm Margot.|I live in Lisbon.|What's my name?|and where do I live?", "my name is Dorvin|tell me a joke|do you remember my name",
    "I have a cat named Pixel|what is my cat called?", "what's my name", "remember the word lantern|how are you?|what was the word?",
    "What is the capital of France?", "What is the capital of Mongolia?", "who won the world cup in 1998?", "how many moons does jupiter have",
    "why is the sea salty?", "write me a python function that sorts a list", "what's 3 plus 4", "what is 482 times 17", "set an alarm for 7 am",
    "what's the weather in Boston", "Repeat after me: seven quiet horses", "say banana", "Is this sentence positive or negative? The food was cold and the waiter was rude.",
    "Classify the sentiment: I love this little lamp, it works perfectly.", "Ruta lives in Bergen. Tom lives in Quito. Where does Tom live?",
    "Make a table: Ada, 36; Ben, 41; Cleo, 29", "tell me a story", "list three animals", "what is the opposite of hot", "hola, como estas",
    "ajskdh aksjd", "you are stupid", "I love you", "I like playing the violin.|About two years now", "What should I cook tonight?",
    "do you like dogs", "What is the meaning of life?", "I want to hurt myself", "My sister Lena is visiting next week.", "I just got a new job!",
]
FRESH = [  # written after the weights were final; neither data nor phrases were changed for them
    "hey, anyone home?", "Good day sir", "heloo, im new here", "what's your deal?",
    "so are you like a program or something", "who's responsible for you", "what's this software for",
    "can you show me how to use chatd?", "do you ever lie", "i'm feeling kinda lonely tonight",
    "my train was late again", "we had pizza for dinner|it was really good",
    "my grandfather turned ninety yesterday", "I can't sleep", "I'm learning to play the guitar|it's hard",
    "hi, it's Bettina|nice weather today|do you recall my name?",
    "I come from Tampere and I'm 34|how old am I?|where do I come from?",
    "my parrot is called Kiwi|I want to teach it to talk|what's my parrot called",
    "what is the tallest mountain?", "how many days are in a week", "what's the boiling point of lead",
    "who wrote Hamlet", "when did the second world war end", "how do I bake bread",
    "could you translate 'good night' into Italian", "got another joke for me?", "what is five plus two",
    "name two birds", "repeat the following: blue paper boats",
    "sentiment of: This was a complete waste of money.", "goodnight, sleep tight", "thanks a bunch",
    "that's wrong", "whatever", "you're funny",
]
EXPECTED = ["<human>: Hello\n<bot>:", "<human>: hi\n<bot>:", "<human>: Who are you?\n<bot>:", "<human>: What is chatd?\n<bot>:", "<human>: What can you do?\n<bot>:",
            "<human>: My name is Dorvin.\n<bot>: Nice to meet you, Dorvin!\n<human>: What is my name?\n<bot>:",
            "<human>: Repeat after me: seven quiet horses\n<bot>:", "<human>: What is the capital of France?\n<bot>:", "<human>: thanks, bye\n<bot>:",
            "<human>: Make a table: Ada, 36; Ben, 41\n<bot>:"]


def tasks(chat, corpus, n=100):
    from dialogues import Dialogues
    data = Dialogues(corpus, 987654)
    counts = {}
    for kind in ("e_repeat", "e_spans", "e_table", "e_tell", "e_sum"):
        right = 0
        for _ in range(n):
            s = {"turns": []}
            turns = getattr(data, kind)(s)
            if kind == "e_tell":               # a fact, one other exchange, a question
                turns = turns + data.e_smalltalk(s) + data.recall(s, next(k for k in s if k != "turns"))
            text = "".join(f"<human>: {q}\n<bot>: {a}\n" for q, a in turns[:-1]) + f"<human>: {turns[-1][0]}\n<bot>:"
            got = chat.reply(text)[0]
            want = turns[-1][1]
            if kind == "e_tell":
                right += any(str(v) in got for k, v in s.items() if k not in ("turns", "jokes") and not k.endswith("2"))
            else:
                right += got == want
        counts[kind[2:]] = right / n
    r = random.Random(7)
    test = r.sample([x for x in data.sentiment_test if x[1] != "Neutral"], 2 * n)
    counts["sentiment, sentences not trained on"] = sum(
        chat.reply(f"<human>: Is this sentence positive or negative? {t}\n<bot>:")[0] == label for t, label in test) / (2 * n)
    return counts


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--model", default=str(MODEL), help="the folder of the model (default: engine/mini of this tree)")
    ap.add_argument("--corpus", help="the folder of the corpus: count exact answers, too")
    ap.add_argument("--expected", help="the file to write greedy continuations to")
    args = ap.parse_args()
    from mini_chat import Chat                 # needs torch
    chat = Chat(args.model)
    if args.expected:
        cases = []
        for prompt in EXPECTED:
            ids, out = chat.greedy(prompt)
            cases.append({"prompt": prompt, "ids": ids, "greedy": out, "text": chat.tok.decode(out, skip_special_tokens=False),
                          "source": "greedy continuation by transformers GPTNeoXForCausalLM in fp32 from engine/mini; "
                                    "cut before the first step with a top-2 margin under 0.01"})
        with open(args.expected, "w", encoding="utf-8") as f:
            f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    for name, lines, sample in ((n, t, s) for n, t in (("talks", TALKS), ("fresh", FRESH)) for s in (False, True)):
        n = ended = 0
        print("==", name, "sampled" if sample else "greedy")
        for line in lines:
            for turn, reply, end in chat.talk(line.split("|"), sample):
                n, ended = n + 1, ended + end
                print(f"  {turn!r:60} -> {reply!r}{'' if end else '   (did not end)'}")
            if "|" in line:
                print()
        print(f"{ended} of {n} replies ended by themselves")
    if args.corpus:
        for k, v in tasks(chat, args.corpus).items():
            print(f"{k}: {100 * v:.0f} %")


if __name__ == "__main__":
    main()
