#!/usr/bin/env python3
"""What speculative decoding gains: decodes the same answers with and without it, in turn.

    bench/speculate.py MODEL [--draft MODEL] [--program zhiyin] [--repeat 5] [--tokens 200]

Prints tokens a second (median), the ratio, and how many of the proposed tokens were right, for tasks
that repeat much of their prompt (edit, translate with quotes, extract) and for some that do not.
Greedy, so that both must give the same tokens; an answer that differs ends it with status 1.
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

TASKS = {
    "edit: rename": "Rewrite this Python file with the attribute `items` renamed to `stock`. "
                    "Answer with the whole file in one code block and nothing else.\n\n```python\n"
                    + CODE + "```",
    "edit: add a method": "Add a method `add(self, name, count, price)` to the end of this Python class. "
                          "Answer with the whole file in one code block and nothing else.\n\n"
                          "```python\n" + CODE + "```",
    "translate with quotes": "Translate this letter into Chinese. Before the translation of each sentence, "
                             "quote the English sentence.\n\n" + LETTER,
    "proof-read": "Repeat this text word for word, correcting spelling mistakes if there are any.\n\n"
                  + LETTER,
    "story": "Write a story about a lighthouse keeper who finds a letter in a bottle.",
    "explain": "Explain how a hash table works and what happens when two keys collide.",
    "chinese": "写一篇关于秋天的散文。",
}


def run(args, task, speculate):
    command = [args.program, "run", args.model, task, "--json", "--temp", "0", "--max-tokens",
               str(args.tokens), "--ctx", "2048", "--speculate", speculate]
    if args.draft and speculate != "off":
        command += ["--draft", args.draft]
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
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--speculate", default="auto", choices=["auto", "always"])
    parser.add_argument("--task", action="append", choices=TASKS, help="only this one; may be repeated")
    args = parser.parse_args()
    print(f"{'task':24}{'tokens':>7}{'plain':>8}{'spec.':>8}{'ratio':>7}{'right':>12}")
    same = True
    for name in args.task or TASKS:
        plain, spec = [], []
        for _ in range(args.repeat):
            for speculate, answers in (("off", plain), (args.speculate, spec)):
                answers.append(run(args, TASKS[name], speculate))
        if plain[0]["ids"] != spec[0]["ids"]:
            same = False
            print(f"{name}: the answers differ", file=sys.stderr)
        before, after = (statistics.median(map(speed, answers)) for answers in (plain, spec))
        timings = spec[0]["timings"]
        right = f"{timings['draft_n_accepted']}/{timings['draft_n']}"
        print(f"{name:24}{timings['predicted_n']:7}{before:8.1f}{after:8.1f}{after / before:7.2f}{right:>12}",
              flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
