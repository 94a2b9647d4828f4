#!/usr/bin/env python3
"""What merging methods are worth on a real language model: held-out loss on five domains of text.

    python lab.py DIR --weld ./weld [--seeds 1 2 3] [--rows "preset weighted" …]

One base is fine-tuned on each domain, once for each seed; weld measures importance and makes every merge; torch measures held-out loss. Results are appended
to DIR/results-BASE.jsonl, and what is in it is not done again: after an interruption the same command goes on. table.py makes tables of it.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import bases
import texts
import torch
import training
from merges import ABS, FORGET, MERGES, SQ
from transformers import AutoTokenizer

SAMPLES = 24  # windows for importance


class Lab:
    def __init__(self, a):
        self.a = a
        self.dir = a.dir / a.base
        self.dir.mkdir(parents=True, exist_ok=True)
        self.results = a.dir / f"results-{a.base}.jsonl"
        self.base = self.dir / "base"
        self.domains = self.prepared()
        self.target = next(iter(self.domains))
        lines = self.results.read_text().splitlines() if self.results.exists() else []
        self.done = {(r["seed"], r["label"]) for r in map(json.loads, lines)}

    def prepared(self):
        """Makes the base and the windows, unless they are there. Returns the windows of the domains that take part."""
        path = self.dir / "windows.json"
        if not path.exists():
            shutil.rmtree(self.base, ignore_errors=True)
            whole = self.dir / "whole" if self.a.base in bases.CUT else self.base
            if not whole.exists():
                bases.BASES[self.a.base](self.dir, whole, self.weld)
            documents = texts.at_hand() if self.a.base == "tiny" else texts.documents(self.a.dir)
            domains = texts.domains(documents, AutoTokenizer.from_pretrained(whole))
            if whole != self.base:
                bases.cut(whole, domains, self.base)
            path.write_text(json.dumps(domains))
        domains = json.loads(path.read_text())
        return {name: domains[name] for name in list(domains)[: self.a.domains]}

    def weld(self, *arguments):
        """Runs weld. Returns the seconds."""
        start = time.perf_counter()
        run = subprocess.run([self.a.weld, *map(str, arguments)], capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"weld {' '.join(map(str, arguments))}: status {run.returncode}\n{run.stderr}")
        return time.perf_counter() - start

    def record(self, seed, label, **values):
        if (seed, label) in self.done:
            return
        with open(self.results, "a") as f:
            f.write(json.dumps({"seed": seed, "label": label, **values}) + "\n")
        print(seed, label, {k: {d: round(v, 3) for d, v in x.items()} if isinstance(x, dict) else round(x, 1) for k, x in values.items()}, flush=True)

    def importance(self, seed, label, model, domain, out, statistic, random_tokens=False):
        """Measures out by weld importance, on windows of domain or on tokens at random."""
        files = [pathlib.Path(f"{out}-{s}.safetensors") for s in ((ABS, SQ) if statistic == "both" else (statistic,))]
        if all(f.exists() for f in files):
            return
        rows = pathlib.Path(f"{out}-samples.jsonl")
        training.write_rows(self.domains[domain]["train"][: self.a.samples], rows)
        target = f"{out}.safetensors" if statistic == "both" else files[0]
        seconds = self.weld("importance", "-q", "--force", "--threads", self.a.threads, "--python", sys.executable, "--samples", self.a.samples, "--length", texts.WINDOW, "--statistic", statistic, model,
                            *([] if random_tokens else [rows]), target)
        self.record(seed, label, seconds=seconds)

    def fine_tune(self, seed, domain):
        """The fine-tune of a domain: a model, its optimizer, and its importance at its own weights."""
        out = self.dir / f"seed-{seed}" / domain
        if not out.exists():
            drawn = random.Random(seed).sample(self.domains[domain]["train"], 2 * self.a.steps)
            out.parent.mkdir(exist_ok=True)
            self.record(seed, f"training on {domain}", seconds=training.fine_tuned(self.base, drawn, bases.RATES[self.a.base], f"{out}-part"))
            os.rename(f"{out}-part.pt", f"{out}.pt")
            os.rename(f"{out}-part", out)
        return out

    def file(self, seed, domain, files):
        """The importance file of a domain, measured if it is not yet there."""
        if files == "optimizer":
            return self.dir / f"seed-{seed}" / f"{domain}.pt#optimizer"
        statistic, at = files
        if at == "base":
            out = self.dir / "on-base" / domain
            out.parent.mkdir(exist_ok=True)
            self.importance(0, f"importance of {domain} at the base", self.base, domain, out, "both")
        elif at == "own":
            out = self.dir / f"seed-{seed}" / domain
            self.importance(seed, f"importance of {domain} at its own weights", out, domain, out, "both")
        else:
            out = self.dir / f"seed-{seed}" / f"{domain}-random"
            self.importance(seed, f"importance of {domain} by tokens at random", self.dir / f"seed-{seed}" / domain, domain, out, statistic, random_tokens=True)
        return f"{out}-{statistic}.safetensors"

    def rows(self, seed, merge):
        """What is left to be measured of a merge: labels, and what weld calls each output."""
        key, values = merge.sweep.split("=") if merge.sweep else (None, "")
        rows = {f"{merge.label}, {'λ ' if key == 'lambda' else ''}{v}": f"m-{key}={v}" for v in values.split(",")} if key else {merge.label: "m"}
        return {label: name for label, name in rows.items() if (seed, label) not in self.done and (not self.a.rows or any(row in label for row in self.a.rows))}

    def merge(self, seed, merge, domains, held_out):
        rows = self.rows(seed, merge)
        out = self.dir / f"seed-{seed}" / "merged"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        arguments = ["merge", "-q", "--threads", self.a.threads, *merge.flags, *(["--base", self.base] if merge.base else [])]
        if merge.sweep:
            arguments += ["--sweep", f"{merge.sweep.split('=')[0]}={','.join(name.rpartition('=')[2] for name in rows.values())}"]
        for domain in domains:
            arguments += ["--model", self.dir / f"seed-{seed}" / domain]
            if merge.files:
                arguments += ["--importance", self.file(seed, domain, merge.files)]
            if merge.others is not None:
                arguments += ["--weight", -1 if domain == self.target else merge.others]
        seconds = self.weld(*arguments, out / "m")
        for label, name in rows.items():
            self.record(seed, label, loss=held_out.loss(out / name / "model.safetensors"), seconds=seconds)
        shutil.rmtree(out)

    def run(self):
        held_out = training.HeldOut(self.base, self.domains)
        if (0, "base") not in self.done:
            self.record(0, "base", loss=held_out.loss(self.base / "model.safetensors"))
        for seed in self.a.seeds:
            left = [merge for merge in MERGES + FORGET if self.rows(seed, merge)]
            if not left and all((seed, f"own {domain}") in self.done for domain in self.domains):
                continue
            for domain in self.domains:
                model = self.fine_tune(seed, domain)
                if (seed, f"own {domain}") not in self.done:
                    self.record(seed, f"own {domain}", loss=held_out.loss(model / "model.safetensors"))
            for merge in left:
                self.merge(seed, merge, [self.target] if merge in FORGET and merge.others is None else self.domains, held_out)
            if not self.a.keep:
                shutil.rmtree(self.dir / f"seed-{seed}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("--weld", type=pathlib.Path, required=True)
    p.add_argument("--base", choices=bases.BASES, default="smollm2")
    p.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    p.add_argument("--steps", type=int, default=44, help="of two windows each")
    p.add_argument("--samples", type=int, default=SAMPLES, help="windows for an importance file")
    p.add_argument("--domains", type=int, default=5, help="the first N of them")
    p.add_argument("--rows", nargs="+", help="only rows whose label has one of these in it")
    p.add_argument("--threads", type=int, default=1, help="of torch and of weld; two labs of one thread get further than one of two")
    p.add_argument("--keep", action="store_true", help="keep models and importance files of each seed")
    a = p.parse_args()
    a.weld = a.weld.resolve()
    torch.set_num_threads(a.threads)
    a.dir.mkdir(parents=True, exist_ok=True)
    Lab(a).run()


if __name__ == "__main__":
    main()
