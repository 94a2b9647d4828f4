"""Measures how fast a checkpoint of ZeRO-3 becomes safetensors: by weld, beside a plain copy of as many bytes, and by DeepSpeed.

    python deepspeed.py DIR --weld ../../weld [--size 1] [--ranks 8] [--rounds 9] [--threads 2] [--zero-to-fp32 PYTHON]

DIR gets run/, as a training with DeepSpeed leaves it: SIZE GB of float32 weights in partitions of RANKS ranks, sizes that they do not divide, shapes as in a
model. All are run in turn, each as a process of its own. What is printed is the least and the median of the seconds, of the processor's seconds, and
the peak resident set. A copy of what was written (cat) reads as many bytes as there are weights, and writes as many as the output has. Needs torch, which this
process does not import, and for --zero-to-fp32 a Python that has deepspeed.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from process import run

MAKE = """
import collections, os, sys, torch
place, size, ranks = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
width, shapes = 1536, collections.OrderedDict()
shapes["model.embed_tokens.weight"] = torch.Size([32003, width])
layer = {"self_attn.q_proj.weight": (width, width), "self_attn.k_proj.weight": (width // 4, width), "self_attn.o_proj.weight": (width, width),
         "mlp.up_proj.weight": (4 * width + 1, width), "mlp.down_proj.weight": (width, 4 * width + 1), "mlp.up_proj.bias": (4 * width + 1,), "input_layernorm.weight": (width,)}
i = 0
while sum(s.numel() for s in shapes.values()) < size * 1e9 / 4:
    for name, shape in layer.items():
        shapes[f"model.layers.{i}.{name}"] = torch.Size(shape)
    i += 1
tag = f"{place}/global_step7"
os.makedirs(tag)
share = lambda s: -(-s.numel() // ranks)
total = sum(map(share, shapes.values()))
torch.manual_seed(0)
for rank in range(ranks):
    optim = {"zero_stage": 3, "partition_count": ranks, "fp32_flat_groups": [torch.randn(total) * 0.02],
             "optimizer_state_dict": {"state": {}, "param_groups": []}}
    torch.save({"optimizer_state_dict": optim, "ds_config": {}, "ds_version": "0.19.8"}, f"{tag}/bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    torch.save({"module": {}, "buffer_names": [], "param_shapes": [shapes], "frozen_param_shapes": None, "frozen_param_fragments": None, "shared_params": {},
                "global_steps": 7, "mp_world_size": 1, "ds_version": "0.19.8"}, f"{tag}/zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
open(f"{place}/latest", "w").write("global_step7")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--weld", required=True)
    parser.add_argument("--size", type=float, default=1)
    parser.add_argument("--ranks", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--zero-to-fp32", metavar="PYTHON")
    args = parser.parse_args()
    training, copy, out = args.dir / "run", args.dir / "copied.safetensors", args.dir / "out.safetensors"
    args.dir.mkdir(parents=True, exist_ok=True)
    if not training.exists():
        subprocess.run([sys.executable, "-c", MAKE, training, str(args.size), str(args.ranks)], check=True)
    weld = [args.weld, "convert", training, out, "--threads", args.threads]
    copy.unlink(missing_ok=True)
    run([*weld[:3], copy])
    cases = {
        "cat (reads and writes as much)": ["sh", "-c", 'cat "$0" >"$1"', copy, out],
        "weld convert": weld,
        "weld convert --dtype bfloat16": [*weld, "--dtype", "bfloat16"],
    }
    if args.zero_to_fp32:
        cases["zero_to_fp32"] = [args.zero_to_fp32, "-m", "deepspeed.utils.zero_to_fp32", training, args.dir / "theirs", "--safe_serialization"]
    figures = {name: [] for name in cases}
    for _ in range(args.rounds):
        for name, command in cases.items():
            figures[name].append(run(command))
            out.unlink(missing_ok=True)
            shutil.rmtree(args.dir / "theirs", ignore_errors=True)
    copy.unlink()
    for name, rows in figures.items():
        seconds, processor, peak = zip(*((took.seconds, took.processor, took.peak) for took in rows))
        print(f"{name:32} {min(seconds):6.2f} {statistics.median(seconds):6.2f} s   {min(processor):6.2f} {statistics.median(processor):6.2f} s of the processor   {max(peak):7.0f} MiB")


if __name__ == "__main__":
    main()
