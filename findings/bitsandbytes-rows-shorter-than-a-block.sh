#!/usr/bin/env bash
# bitsandbytes on a CPU decodes 4-bit weights wrongly whose rows are shorter than a block.
#
# Guessed: dequantize_4bit depends on codes, scales and block size; the shape only says how the result is cut into rows.
# True: the CPU's kernels take the scale of an element's block by another way where a row is shorter than a block (blocks run
#   through rows in C order): from the second block on, values have a wrong scale. One long row of the same codes is right.
# Version: bitsandbytes 0.50.2, torch 2.15.0, on a machine with AVX-512.
# Seen: [17, 32] in blocks of 64: 0.5 of the largest value off; the same codes as [1, 544]: 0.
# Why it matters: a golden of such a shape would hold a wrong decoder to be right, and a right one to be wrong. weld takes what
#   quant_map and absmax say, which is what bitsandbytes gives for every other shape.
set -euo pipefail
. "$(dirname "$0")/venv" bitsandbytes==0.50.2 torch==2.15.0 numpy
"$python" - <<'PY' 2>/dev/null
import sys
import torch
from bitsandbytes import functional as F

torch.manual_seed(1)
codes, state = F.quantize_4bit(torch.randn(17, 32), blocksize=64, quant_type="nf4")
raw = codes.flatten()
by = state.code[torch.stack([raw >> 4, raw & 15], 1).flatten().long()] * state.absmax.repeat_interleave(64)[:544]
seen = {}
for shape in ((17, 32), (1, 544)):
    state.shape = torch.Size(shape)
    got = F.dequantize_4bit(codes, state).flatten()
    seen[shape] = ((got - by).abs().max() / by.abs().max()).item()
    print("%-9s %.1f" % (list(shape), seen[shape]))
sys.exit(0 if seen[17, 32] > 0.1 and seen[1, 544] == 0 else 1)
PY
