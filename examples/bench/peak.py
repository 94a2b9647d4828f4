"""Measures the peak memory of merges of one large tensor.

    python peak.py DIR --weld ../../weld [--rows 128256] [--columns 8192] [--threads 2] [ties sce …]

DIR gets base/, model-1/ and model-2/ of one bfloat16 tensor each, unless they are there. The recipes are those of mergekit.py. What is printed is
the peak resident set that the system reports of the process (VmHWM), which counts mapped pages. Needs numpy.
"""

import argparse
import json
import multiprocessing
import shutil
from pathlib import Path

from mergekit import RECIPES, recipe
from process import run

NAME = "model.embed_tokens.weight"
BLOCK = 1 << 22  # values that are drawn at a time, and repeated


def write(directory, rows, columns, seed):
    """Weights of a normal distribution, the same block over and over, with a change of its own in each model."""
    import numpy as np  # here alone: see process.run

    directory.mkdir(parents=True)
    count = rows * columns
    header = json.dumps({NAME: {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [0, 2 * count]}}).encode()
    header += b" " * (-len(header) % 8)
    weights = np.random.default_rng(0).normal(0, 0.02, BLOCK) + np.random.default_rng(seed).normal(0, 0.001 * (seed > 0), BLOCK)
    block = (weights.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()  # bfloat16, cut off
    with open(directory / "model.safetensors", "wb") as f:
        f.write(len(header).to_bytes(8, "little") + header)
        for left in range(2 * count, 0, -len(block)):
            f.write(block[:left])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help=", ".join(RECIPES))
    parser.add_argument("--weld", required=True)
    parser.add_argument("--rows", type=int, default=128256)
    parser.add_argument("--columns", type=int, default=8192)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_intermixed_args()
    directory = args.dir.resolve()
    for seed, name in enumerate(("base", "model-1", "model-2")):
        if not (directory / name).exists():
            writer = multiprocessing.get_context("spawn").Process(target=write, args=(directory / name, args.rows, args.columns, seed))
            writer.start()
            writer.join()
    for method in args.methods or RECIPES:
        path, out = directory / f"{method}.yml", directory / "merged"
        path.write_text(recipe(method, directory))
        shutil.rmtree(out, ignore_errors=True)
        took = run([args.weld, "merge", "--quiet", "--threads", str(args.threads), path, out])
        shutil.rmtree(out)
        print(f"{method:18}{took.peak:6.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
