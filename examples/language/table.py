#!/usr/bin/env python3
"""Makes the tables of README.md from what lab.py measured.

    python table.py results/results-smollm2.jsonl [results-gemma3.jsonl …]

Loss is in nats per token, held out, the mean of the domains. "Closed" is the share of the gap between the base and each domain's own fine-tune: the mean of the domains' shares, and of summed losses.
"""

import json
import pathlib
import re
import sys
from collections import defaultdict

BEST = "task arithmetic, best λ (chosen on these texts)"


def mean(values):
    values = list(values)
    return sum(values) / len(values)


class Results:
    def __init__(self, path):
        records = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
        self.loss = defaultdict(dict)  # label → seed → domain → loss
        self.seconds = defaultdict(dict)
        for r in records:
            if "loss" in r:
                self.loss[r["label"]][r["seed"]] = r["loss"]
            if "seconds" in r:
                self.seconds[r["label"]][r["seed"]] = r["seconds"]
        self.base = self.loss.pop("base")[0]
        self.domains = list(self.base)
        self.own = {seed: {d: self.loss[f"own {d}"][seed][d] for d in self.domains} for seed in self.loss[f"own {self.domains[-1]}"]}
        for d in self.domains:
            del self.loss[f"own {d}"]
        self.forget = {label: seeds for label, seeds in self.loss.items() if label.startswith("forget: ")}
        self.merges = {label: seeds for label, seeds in self.loss.items() if not label.startswith("forget: ")}
        scaled = [seeds for label, seeds in self.merges.items() if re.match(r"task arithmetic, λ", label)]
        if scaled:
            self.merges[BEST] = {seed: min((s[seed] for s in scaled if seed in s), key=lambda loss: mean(loss.values())) for seed in self.own}

    def closed(self, seed, loss):
        gaps = [(self.base[d] - loss[d], self.base[d] - self.own[seed][d]) for d in self.domains]
        return mean(got / whole for got, whole in gaps), sum(got for got, _ in gaps) / sum(whole for _, whole in gaps)

    def table(self):
        seeds = sorted(self.own)
        print(f"| merge | {' | '.join(f'seed {s}' for s in seeds)} | mean | closed | {' | '.join(self.domains)} |")
        print("|---" * (len(seeds) + len(self.domains) + 3) + "|")
        print(f"| base | {' | '.join(f'{mean(self.base.values()):.3f}' for _ in seeds)} | {mean(self.base.values()):.3f} | 0 / 0 | {' | '.join(f'{self.base[d]:.3f}' for d in self.domains)} |")
        rows = [("each its own fine-tune", {s: self.own[s] for s in seeds}), *self.merges.items()]
        for label, by_seed in sorted(rows, key=lambda row: -mean(mean(loss.values()) for loss in row[1].values())):
            cells = [f"{mean(by_seed[s].values()):.3f}" if s in by_seed else "" for s in seeds]
            shares = [self.closed(s, loss) for s, loss in by_seed.items()]
            whole = f"{mean(mean(x.values()) for x in by_seed.values()):.3f}"
            print(f"| {label} | {' | '.join(cells)} | {whole} | {100 * mean(a for a, _ in shares):.0f} / {100 * mean(b for _, b in shares):.0f} | "
                  f"{' | '.join(f'{mean(x[d] for x in by_seed.values()):.3f}' for d in self.domains)} |")

    def forgotten(self):
        target, *others = self.domains
        print(f"\n| forgetting {target} | loss on it | on the others |\n|---|---|---|\n| base | {self.base[target]:.3f} | {mean(self.base[d] for d in others):.3f} |")
        for label, by_seed in self.forget.items():
            print(f"| {label.removeprefix('forget: ')} | {mean(x[target] for x in by_seed.values()):.3f} | {mean(mean(x[d] for d in others) for x in by_seed.values()):.3f} |")

    def cost(self):
        kinds = defaultdict(list)
        for label, by_seed in self.seconds.items():
            kinds[re.sub(r" of \w+ | on \w+$", " ", label).strip()] += by_seed.values()
        print("\n| cost | seconds |\n|---|---|")
        for kind, seconds in kinds.items():
            if kind.startswith(("training", "importance")):
                print(f"| {kind} | {mean(seconds):.0f} |")


def main():
    for path in sys.argv[1:]:
        print(f"\n### {pathlib.Path(path).stem.removeprefix('results-')}\n")
        results = Results(path)
        results.table()
        if results.forget:
            results.forgotten()
        results.cost()


if __name__ == "__main__":
    main()
