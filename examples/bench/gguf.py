"""Measures how fast models in GGUF are converted and merged, beside plain copies of as many bytes.

    python gguf.py DIR OUT --weld ../../weld [--size 1.8e9] [--rounds 5] [--threads 1]

DIR gets model.gguf with SIZE values in bfloat16, and from it, by weld, a model in Q4_K, one in Q8_0 and another in Q8_0, unless they are there. OUT is a folder
that is written to and emptied again. All cases are run in turn, each as a process of its own. What is printed is the least and the median of the seconds, the least
of the processor's seconds in the program, how many values a second that is, and in the system, which writes the output; and the peak resident set. Needs numpy to make the model.
"""

import argparse
import shutil
import statistics
import struct
import subprocess
import sys
from pathlib import Path

from process import run

ROWS, COLUMNS = 8192, 4096


def make(path, size, seed):
    """Matrices of bfloat16 with normally distributed values, written by hand as docs/gguf.md of ggml says."""
    import numpy as np

    def text(s):
        return struct.pack("<Q", len(s)) + s.encode()

    count, each = max(1, round(size / (ROWS * COLUMNS))), 2 * ROWS * COLUMNS
    head = b"GGUF" + struct.pack("<IQQ", 3, count, 1) + text("general.architecture") + struct.pack("<I", 8) + text("llama")
    for k in range(count):
        head += text(f"blk.{k}.ffn_up.weight") + struct.pack("<IQQIQ", 2, COLUMNS, ROWS, 30, k * each)
    values = np.random.default_rng(seed).normal(0, 0.02, ROWS * COLUMNS).astype(np.float32)
    matrix = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    with open(path, "wb") as f:
        f.write(head + bytes(-len(head) % 32))
        for _ in range(count):
            f.write(matrix)
    return count * ROWS * COLUMNS


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weld", required=True)
    parser.add_argument("--size", type=float, default=1.8e9)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    args.out.mkdir(parents=True, exist_ok=True)
    plain, q4, a, b = (args.dir / f"{name}.gguf" for name in ("model", "q4_k", "q8_0-a", "q8_0-b"))

    def convert(source, out, *flags):
        return [args.weld, "convert", source, out, *flags, "--quiet", "--threads", str(args.threads)]

    for path, seed, kind in ((b, 1, "q8_0"), (a, 0, "q8_0"), (q4, 0, "q4_k")):
        if not path.exists():
            if not plain.exists() or seed:
                plain.unlink(missing_ok=True)
                subprocess.run([sys.executable, __file__, "--make", plain, str(args.size), str(seed)], check=True)
            subprocess.run(convert(plain, path, "--quantize", kind), check=True)
            if seed:
                plain.unlink()
    elements = plain.stat().st_size // 2
    merged, out = args.out / "merged.gguf", args.out / "out.gguf"
    cases = {
        "copy of model.gguf (cp)": ["cp", plain, out],
        "Q4_K into bfloat16": convert(q4, out, "--dtype", "bfloat16"),
        "Q4_K into bfloat16, safetensors": convert(q4, args.out / "out.safetensors"),
        "bfloat16 into Q4_K": convert(plain, out, "--quantize", "q4_k"),
        "bfloat16 into Q6_K": convert(plain, out, "--quantize", "q6_k"),
        "bfloat16 into Q8_0": convert(plain, out, "--quantize", "q8_0"),
        "copy of q8_0-a.gguf (cp)": ["cp", a, out],
        "linear merge of two Q8_0 into Q8_0": [args.weld, "merge", "--method", "linear", "--model", a, "--model", b, "--weight", "0.5", merged, "--quiet", "--threads", str(args.threads)],
    }
    figures = {name: [] for name in cases}
    for _ in range(args.rounds):
        for name, command in cases.items():
            figures[name].append(run(command))
            shutil.rmtree(args.out)
            args.out.mkdir()
    for name, rows in figures.items():
        seconds, program, system, peak, _ = zip(*rows)
        rate = elements / min(program) / 1e9 if min(program) > 0.05 else float("inf")
        print(f"{name:36} {min(seconds):6.2f} {statistics.median(seconds):6.2f} s   processor: program {min(program):5.2f} s ({rate:5.2f} G values/s), system {min(system):5.2f} s   {max(peak):5.0f} MiB", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
