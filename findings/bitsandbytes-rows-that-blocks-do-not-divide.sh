#!/usr/bin/env bash
# bitsandbytes on a CPU decodes 4-bit weights wrongly whose rows no whole number of blocks makes.
#
# Guessed: dequantize_4bit depends on codes, scales and block size; the shape only says how the result is cut into rows.
# True: on a CPU, scales are found by row: where the block size does not divide the columns and 16 does (blocks run through rows in C
#   order), values have a wrong scale from the second row on. One long row of the same codes is right, and so are columns that
#   16 does not divide, which other kernels decode.
# Version: bitsandbytes 0.50.2, torch 2.15.0, on a machine with AVX-512.
# Seen: [17, 32] in blocks of 64: 0.5 of the largest value off; [64, 96]: 0.6; [64, 192]: 0; [64, 90]: 0; any as one row: 0.
# Why it matters: a golden of such a shape would hold a wrong decoder to be right, and a right one to be wrong; a model with such layers
#   computes something else on a CPU. weld takes what quant_map and absmax say, which is what bitsandbytes gives for every other shape.
set -euo pipefail
. "$(dirname "$0")/venv" bitsandbytes==0.50.2 torch==2.15.0 numpy
"$python" - <<'PY' 2>/dev/null
import sys
import torch
from bitsandbytes import functional as F

torch.manual_seed(1)


def off(rows, cols, shape):
    """How far values are from code × scale of the block, in parts of the largest."""
    codes, state = F.quantize_4bit(torch.randn(rows, cols), blocksize=64, quant_type="nf4")
    raw = codes.flatten()
    by = state.code[torch.stack([raw >> 4, raw & 15], 1).flatten().long()] * state.absmax.repeat_interleave(64)[: rows * cols]
    state.shape = torch.Size(shape)
    return ((F.dequantize_4bit(codes, state).flatten() - by).abs().max() / by.abs().max()).item()


ok = True
for rows, cols, wrong in (17, 32, True), (64, 96, True), (64, 192, False), (64, 90, False):
    as_is, one_row = off(rows, cols, (rows, cols)), off(rows, cols, (1, rows * cols))
    print("%-9s %.1f, as one row %.1f" % ([rows, cols], as_is, one_row))
    ok = ok and (as_is > 0.1) == wrong and one_row == 0
sys.exit(0 if ok else 1)
PY
