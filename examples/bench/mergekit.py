"""Times mergekit and weld, end to end, on the same checkpoints and recipes.

    python make.py DIR --gigabytes 2 --models 2
    python mergekit.py --dir DIR --weld ../../weld --mergekit VENV/bin/mergekit-yaml \\
        [--threads 2] [--repeat 3] [--mergekit-repeat 1] [--json] [linear ties …]

What is measured is the wall time of the whole command, start-up included, into a new
directory under DIR, which lies best in /dev/shm; of --repeat runs the shortest counts, for mergekit of --mergekit-repeat.
Beside it stands the peak resident set that the system reports of the process, mapped pages included, in MiB.
Both get the checkpoints' pages from memory: they are read once before. A method that
weld does not have, as it says with exit status 2, is shown as "-".
.ci/interop/requirements-mergekit.txt says how to install mergekit.
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from process import Failed, run

RECIPES = {  # method: its base, its models, what each model and what the whole has as parameters
    "linear": (None, ("base", "model-1", "model-2"), {"weight": 0.4}, {}),
    "task_arithmetic": ("base", ("model-1", "model-2"), {"weight": 0.5}, {}),
    "slerp": ("base", ("base", "model-1"), {}, {"t": 0.4}),
    "ties": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5}, {}),
    "dare_linear": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5}, {}),
    "dare_ties": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5}, {}),
    "breadcrumbs": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5, "gamma": 0.01}, {}),
    "breadcrumbs_ties": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5, "gamma": 0.01}, {}),
    "della": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5, "epsilon": 0.1}, {}),
    "della_linear": ("base", ("model-1", "model-2"), {"weight": 0.5, "density": 0.5, "epsilon": 0.1}, {}),
    "sce": ("base", ("model-1", "model-2"), {}, {"select_topk": 0.3}),
    "nuslerp": ("base", ("model-1", "model-2"), {"weight": 0.5}, {}),
    "multislerp": ("base", ("model-1", "model-2"), {"weight": 0.5}, {}),
    "karcher": (None, ("model-1", "model-2"), {}, {}),
    "model_stock": ("base", ("model-1", "model-2"), {}, {}),
    "nearswap": ("base", ("base", "model-1"), {}, {"t": 0.001}),
    "arcee_fusion": ("base", ("base", "model-1"), {}, {}),
    "ram": ("base", ("model-1", "model-2"), {}, {}),
    "ramplus_tl": ("base", ("model-1", "model-2"), {}, {}),
    "passthrough": (None, ("model-1",), {"scale": 0.5}, {}),
}
DEFAULT = ("linear", "task_arithmetic", "slerp", "ties", "dare_ties", "breadcrumbs", "della", "sce")
WRONG_RECIPE = 2  # weld's exit status


def recipe(method, directory):
    """The recipe as YAML, of which JSON is a part."""
    base, models, each, whole = RECIPES[method]
    document = {"merge_method": method}
    if base:
        document["base_model"] = str(directory / base)
    document["models"] = [{"model": str(directory / m), **({"parameters": each} if each else {})} for m in models]
    if whole:
        document["parameters"] = whole
    return json.dumps({**document, "dtype": "bfloat16"}, indent=2) + "\n"


def best(command, out, env, repeat):
    """The shortest of some runs, each into a place where nothing is, and the largest peak."""
    runs = []
    for _ in range(repeat):
        shutil.rmtree(out, ignore_errors=True)
        runs.append(run([*command, out], env))
    shutil.rmtree(out)
    return min(took.seconds for took in runs), max(took.peak for took in runs)


def weld_runs(args, path, out):
    """Seconds and peak; None twice where weld refuses the method."""
    command = [args.weld, "merge", "--quiet", "--threads", str(args.threads), path]
    try:
        return best(command, out, dict(os.environ), args.repeat)
    except Failed as failed:
        if failed.status != WRONG_RECIPE:
            raise
        return None, None


def mergekit_runs(args, path, out):
    """mergekit with what makes it fast on a CPU, and without what only costs time."""
    command = [args.mergekit, "--quiet", "--lazy-unpickle", "--async-write", "--no-copy-tokenizer",
               "--no-write-model-card", "--num-threads", str(args.threads), path]
    env = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "HF_HUB_OFFLINE": "1"}
    return best(command, out, env, args.mergekit_repeat or args.repeat)


def measure(args, method):
    path, out = args.dir / f"{method}.yml", args.dir / "merged"
    path.write_text(recipe(method, args.dir))
    mergekit, mergekit_peak = mergekit_runs(args, path, out)
    weld, weld_peak = weld_runs(args, path, out)
    return {"method": method, "mergekit": mergekit, "weld": weld, "mergekit_mib": mergekit_peak, "weld_mib": weld_peak}


def warm(directory):
    """Brings the checkpoints into memory."""
    for path in directory.glob("*/model.safetensors"):
        with open(path, "rb") as f:
            while f.read(1 << 24):
                pass


def line(row):
    if row["weld"] is None:
        return f"{row['method']:<18}{row['mergekit']:>10.2f}{'-':>10}{'-':>8}{row['mergekit_mib']:>14.0f}{'-':>10}"
    return (f"{row['method']:<18}{row['mergekit']:>10.2f}{row['weld']:>10.2f}{row['mergekit'] / row['weld']:>8.1f}"
            f"{row['mergekit_mib']:>14.0f}{row['weld_mib']:>10.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(RECIPES))
    parser.add_argument("--dir", type=Path, required=True, help="what make.py wrote")
    parser.add_argument("--weld", default="weld")
    parser.add_argument("--mergekit", default="mergekit-yaml")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for both")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--mergekit-repeat", type=int, help="as --repeat unless given")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each method")
    args = parser.parse_args()
    args.dir, methods = args.dir.resolve(), args.methods or DEFAULT
    if unknown := set(methods) - set(RECIPES):
        parser.error(f"no recipe for {', '.join(sorted(unknown))}")
    warm(args.dir)
    if not args.json:
        print(f"{'method':<18}{'mergekit s':>10}{'weld s':>10}{'ratio':>8}{'mergekit MiB':>14}{'weld MiB':>10}")
    for method in methods:
        row = measure(args, method)
        print(json.dumps(row) if args.json else line(row), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (Failed, OSError) as error:
        sys.exit(f"mergekit.py: {error}")
