"""Measures how fast files of torch.save become safetensors: by weld, by weld from the same weights as safetensors, and by torch.

    python torch_save.py DIR OUT --weld ../../weld [--size 1] [--rounds 9] [--threads 2]

DIR gets model.bin and model.safetensors of SIZE GB of bfloat16, unless they are there; OUT is written and removed again. All three are run in turn, each
as a process of its own; torch also without what starting Python and importing torch take. What is printed is the least and the median of the seconds, of
the processor's seconds, and the peak resident set. Needs torch and safetensors, which this process does not import: a child counts what its parent has when
it is started.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

from process import run

MAKE = """
import sys, torch
from safetensors.torch import save_file
torch.manual_seed(0)
width, tensors = 2048, {}
for i in range(int(float(sys.argv[3]) * 1e9) // (2 * 4 * width * width)):
    tensors[f"model.layers.{i}.mlp.up_proj.weight"] = torch.randn(4 * width, width).bfloat16()
torch.save(tensors, sys.argv[1])
save_file(tensors, sys.argv[2], {"format": "pt"})
"""

CONVERT = """
import sys, time, torch
from safetensors.torch import save_file
torch.set_num_threads(int(sys.argv[3]))
begin, processor = time.perf_counter(), time.process_time()
save_file(torch.load(sys.argv[1], map_location="cpu", weights_only=True%s), sys.argv[2], {"format": "pt"})
print(time.perf_counter() - begin, time.process_time() - processor)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weld", required=True)
    parser.add_argument("--size", type=float, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    pickled, plain = args.dir / "model.bin", args.dir / "model.safetensors"
    args.dir.mkdir(parents=True, exist_ok=True)
    if not pickled.exists():
        subprocess.run([sys.executable, "-c", MAKE, pickled, plain, str(args.size)], check=True)

    def weld(path):
        return [args.weld, "merge", "--method", "passthrough", "--model", path, "--threads", str(args.threads), args.out]

    def torch(more):
        return [sys.executable, "-c", CONVERT % more, pickled, args.out, str(args.threads)]

    cases = {
        "weld, model.bin": weld(pickled),
        "weld, model.safetensors": weld(plain),
        "torch.load, save_file": torch(""),
        "torch.load(mmap=True), save_file": torch(", mmap=True"),
    }
    figures = {name: [] for name in cases}
    for _ in range(args.rounds):
        for name, command in cases.items():
            took = run(command)
            figures[name].append((took.seconds, took.processor, took.peak))
            if command[0] == sys.executable:
                seconds, processor = map(float, took.said.split())
                figures.setdefault(f"… {name[6:]}, once torch is imported", []).append((seconds, processor, took.peak))
            args.out.unlink()
    for name, rows in figures.items():
        seconds, processor, peak = zip(*rows)
        print(f"{name:70} {min(seconds):6.2f} {statistics.median(seconds):6.2f} s   {min(processor):6.2f} {statistics.median(processor):6.2f} s of the processor   {max(peak):7.0f} MiB")


if __name__ == "__main__":
    main()
