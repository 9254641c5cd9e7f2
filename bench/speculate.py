#!/usr/bin/env python3
"""What speculative decoding gains: decodes the same answers with and without it, in turn.

    bench/speculate.py MODEL [--draft MODEL] [--program zhiyin] [--repeat 5] [--tokens 160]
                       [--only edit --only "quote: bridge"]

Prints tokens a second without it (median) and, for look-up in the text and with --draft for look-up
and draft model, the ratio of the medians and how many of the proposed tokens were right: for tasks
that repeat much of their prompt (edit, quote) and for some that do not (plain). Greedy, so that all
must give the same tokens; an answer that differs ends it with status 1.
"""
import argparse
import json
import statistics
import subprocess
import sys

CODE = '''class Inventory:
    def __init__(self, path):
        self.path = path
        self.items = {}
        self.log = []

    def load(self):
        with open(self.path, encoding="utf-8") as handle:
            for line in handle:
                name, count, price = line.rstrip("\\n").split("\\t")
                self.items[name] = (int(count), float(price))
        self.log.append("loaded %d items from %s" % (len(self.items), self.path))

    def total(self):
        total = 0.0
        for name, (count, price) in self.items.items():
            total += count * price
        return total

    def remove(self, name, count):
        if name not in self.items:
            raise KeyError("no item %s in %s" % (name, self.path))
        left, price = self.items[name]
        if left < count:
            raise ValueError("only %d of %s are left" % (left, name))
        self.items[name] = (left - count, price)
        self.log.append("removed %d of %s" % (count, name))
'''

LETTER = '''The committee met on the third of March to discuss the repair of the old stone bridge. Mr. Harrison said that the northern arch had been weakened by last winter's floods. Mrs. Lin reported that the masons had asked for another forty days and a further sum of nine thousand pounds. The committee agreed to close the bridge to carts and waggons until the work is done. It was decided to write to the county for a share of the cost.'''

CONFIG = '''server:
  name: archive
  listen: 0.0.0.0:8080
  timeout_seconds: 30
  log_level: info
storage:
  path: /srv/archive/data
  max_size_gb: 200
  compress: true
  keep_days: 365
mirrors:
  - url: https://mirror-one.example.org/archive
    region: north
    weight: 10
  - url: https://mirror-two.example.org/archive
    region: south
    weight: 5
'''

GARDEN = '''The garden behind the school was planted forty years ago by a teacher of botany. Every spring the oldest pupils dig the beds and sow beans, peas and sunflowers. In summer the gate stays open, and people from the street come in to sit under the pear tree. Last year a storm broke two of its branches, and the pupils made a bench of the wood.'''

MANUAL = '''Switch the machine off before you open the cover. Remove the filter by turning it to the left. Wash the filter with warm water and let it dry for one hour. Put the filter back and close the cover until it clicks. If the red lamp still blinks, call the service.'''


def quoted(text, language):
    return (f"Translate this text into {language}, sentence by sentence. For each sentence first quote the "
            "English original, then give the translation on the next line.\n\n" + text)


def edited(what, kind, text):
    return f"{what} Answer with the whole file in one code block and nothing else.\n\n```{kind}\n{text}```"


TASKS = {
    "edit: rename": edited("Rewrite this Python file with the attribute `items` renamed to `stock`.", "python", CODE),
    "edit: add a method": edited("Add a method `add(self, name, count, price)` to the end of this Python class.",
                                 "python", CODE),
    "edit: configuration": edited("Change the log level to debug and the port to 9090 in this file.", "yaml", CONFIG),
    "edit: proof-read": "Repeat this text word for word, correcting spelling mistakes if there are any.\n\n" + LETTER,
    "quote: bridge": quoted(LETTER, "Chinese"),
    "quote: garden": quoted(GARDEN, "Chinese"),
    "quote: manual": quoted(MANUAL, "French"),
    "plain: story": "Write a story about a lighthouse keeper who finds a letter in a bottle.",
    "plain: explain": "Explain how a hash table works and what happens when two keys collide.",
    "plain: chinese": "写一篇关于秋天的散文。",
    "plain: code": "Write a Python function that parses an ISO 8601 date without any library, with tests.",
    "plain: letter": "Write a letter to a friend who has moved to another city, about what has changed here since.",
}


def run(args, task, speculate, draft=None):
    command = [args.program, "run", args.model, task, "--json", "--temp", "0", "--max-tokens",
               str(args.tokens), "--ctx", "2048", "--speculate", speculate]
    if draft:
        command += ["--draft", draft]
    out = subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return json.loads(out.stdout)


def speed(answer):
    timings = answer["timings"]
    return timings["predicted_n"] * 1000 / timings["predicted_ms"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--draft")
    parser.add_argument("--program", default="zhiyin")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=160)
    parser.add_argument("--speculate", default="auto", choices=["auto", "always"])
    parser.add_argument("--only", action="append", default=[], metavar="TASK",
                        help="only tasks whose name begins so; may be repeated")
    args = parser.parse_args()
    names = [name for name in TASKS if not args.only or any(map(name.startswith, args.only))]
    if not names:
        parser.error(f"no task begins with {args.only}; there are {list(TASKS)}")
    ways = {"plain": ("off", None), "look-up": (args.speculate, None)}
    if args.draft:
        ways["draft"] = (args.speculate, args.draft)
    print(f"{'task':22}{'tokens':>7}{'plain':>8}" +
          "".join(f"{way:>9}{'ratio':>7}{'right':>10}" for way in list(ways)[1:]), flush=True)
    same = True
    for name in names:
        answers = {way: [] for way in ways}
        for _ in range(args.repeat):
            for way, how in ways.items():
                answers[way].append(run(args, TASKS[name], *how))
        medians = {way: statistics.median(map(speed, runs)) for way, runs in answers.items()}
        plain = answers.pop("plain")[0]
        line = f"{name:22}{len(plain['ids']):7}{medians['plain']:8.1f}"
        for way, runs in answers.items():
            if any(run["ids"] != plain["ids"] for run in runs):
                same = False
                print(f"{name}: the answers differ", file=sys.stderr)
            timings = runs[0]["timings"]
            right = f"{timings['draft_n_accepted']}/{timings['draft_n']}"
            line += f"{medians[way]:9.1f}{medians[way] / medians['plain']:7.2f}{right:>10}"
        print(line, flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
