#!/usr/bin/env bash
# LoKr of a Conv1d in PEFT multiplies its axes in another order than the weight has them.
#
# Guessed: a LoKr of a convolution [out, in, kernel] is kron(w1, w2) over out and in for every place of the kernel, in one dimension as in two.
# True: make_kron gives w1 the kernel's axes for four dimensions alone. With w1 [a, c] and a whole w2 [b, d, k], torch.kron aligns the
#   last axes: the result is [b, a·d, c·k], which is then called [a·b, c·d, k]. It has the right number of elements and another order; the
#   layer trains and merges with it. Where w1 is no single row or column the call may fail, for the strides.
# Version: peft 0.21.2, torch 2.15.0.
# Seen: shape (3, 4, 6) where (6, 4, 3) is the weight's; not equal after reshape.
# Why it matters: an adapter of LyCORIS with the same names and shapes means something else, and so does any reader that does what is documented.
set -euo pipefail
. "$(dirname "$0")/venv" peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy
"$python" - <<'PY'
import sys
import torch
from peft.tuners.lokr.layer import make_kron

torch.manual_seed(1)
a, b, c, d, k = 2, 3, 2, 2, 3
w1, w2 = torch.randn(a, c), torch.randn(b, d, k)
try:
    made = make_kron(w1, w2)
except RuntimeError as e:
    made = torch.kron(w1.contiguous(), w2.contiguous())
    print("make_kron fails:", str(e)[:60])
right = torch.stack([torch.kron(w1, w2[:, :, i].contiguous()) for i in range(k)], -1)
print(tuple(made.shape), tuple(right.shape), torch.equal(made.reshape(right.shape), right))
in_two = make_kron(w1, w2[..., None])
print("with a fourth axis:", torch.equal(in_two.reshape(right.shape), right))
sys.exit(0 if tuple(made.shape) == (b, a * d, c * k) and not torch.equal(made.reshape(right.shape), right) and torch.equal(in_two.reshape(right.shape), right) else 1)
PY
