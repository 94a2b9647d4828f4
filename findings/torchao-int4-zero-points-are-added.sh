#!/usr/bin/env bash
# Guessed: the zero_point that torchao stores beside codes is the code that stands for zero, so that a value is (code - zero_point) * scale, as it is
#   for IntxUnpackedToInt8Tensor and Int8Tensor.
# True (torchao 0.18.0): that of Int4Tensor is a value. Codes are -8 to 7, and a value is code * scale + zero_point, zero_point in the scale's type, both of
#   [groups, rows]. The class has no dequantize, and from_hp wants kernels of a GPU; what the codes mean is seen in the library's GPTQ alone
#   (prototype/gptq/api.py). Files have the same names for both: _weight_qdata, _weight_scale, _weight_zero_point.
# Why it matters: a reader that takes all of torchao's classes alike gives weights that look like weights and are none.
# Seen: "code * scale + zero_point: off by 0.0; (code - zero_point) * scale: off by 1.7; dequantize: no"
set -euo pipefail
. "$(dirname "$0")/venv" torchao==0.18.0 torch==2.15.0 numpy
cd "$work"
"$python" - <<'PY' 2>/dev/null
import torch
from torchao.prototype.gptq.api import _int4_row_dequantize_zp, _int4_row_quantize_zp_precomputed_qparams
from torchao.quantization import Int4Tensor

torch.manual_seed(1)
weight = torch.rand(4, 32) + 1  # nothing near zero
groups = weight.reshape(4, 2, 16)
scale = (groups.amax(-1) - groups.amin(-1)).T / 15
zero = groups.amin(-1).T + 8 * scale
codes = _int4_row_quantize_zp_precomputed_qparams(weight, scale, zero, 16)
library = _int4_row_dequantize_zp(codes, scale, zero, 16)
each = torch.arange(32) // 16
added = codes * scale.T[:, each] + zero.T[:, each]
subtracted = (codes - zero.T[:, each]) * scale.T[:, each]
off = [(x - library).abs().max().item() for x in (added, subtracted)]
assert (library - weight).abs().max() < 0.04
tensor = Int4Tensor((codes[:, ::2] & 15) | (codes[:, 1::2] << 4), scale, zero, [1, 16], torch.Size([4, 32]))
try:
    tensor.dequantize()
    decodes = "yes"
except (AttributeError, NotImplementedError, RuntimeError):
    decodes = "no"
print(f"code * scale + zero_point: off by {off[0]:.1f}; (code - zero_point) * scale: off by {off[1]:.1f}; dequantize: {decodes}")
assert off[0] < 1e-5 < 0.5 < off[1] and decodes == "no"
PY
