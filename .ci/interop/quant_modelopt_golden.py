"""Small checkpoints in NVFP4 of ModelOpt, what it decodes from them, and what it makes of other values.

    python .ci/interop/quant_modelopt_golden.py format/quant/testdata

writes modelopt.safetensors with the quantization_config in the file's metadata under "config", modelopt.want.safetensors with the values,
modelopt-other.safetensors with other weights in the same layout, and modelopt-other.want.safetensors with those weights as they were before.
requirements-modelopt.txt has the versions. A scale of scales is by the whole tensor (NVFP4QTensor.quantize), as an export without calibration has it.
"""

import json
import os
import sys

import torch
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor
from safetensors.torch import save_file

OUT = sys.argv[1]
CONFIG = {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": {}, "ignore": []}}


def stored(name, weights, decodes):
    state, want = {}, {}
    for layer, w in weights.items():
        q, scale, scale2 = NVFP4QTensor.quantize(w.clone(), 16)
        key = f"layers.{layer}.weight"
        state |= {key: q._quantized_data, key + "_scale": scale, key + "_scale_2": scale2.reshape(())}
        want[key] = q.dequantize(dtype=torch.float32, scale=scale, double_scale=scale2, block_sizes={-1: 16}) if decodes else w
    save_file({k: v.contiguous() for k, v in state.items()}, os.path.join(OUT, f"modelopt{name}.safetensors"), {"config": json.dumps(CONFIG)})
    save_file({k: v.contiguous() for k, v in want.items()}, os.path.join(OUT, f"modelopt{name}.want.safetensors"))


torch.manual_seed(1)
stored("", {"a": torch.randn(7, 48), "b": torch.randn(3, 16) / 50}, True)
others = {"a": 3 * torch.randn(7, 48), "b": torch.randn(3, 16)}
others["a"][1, :16] = 0  # a block of zeros
others["a"][2, 16:32] *= 1e-7  # and one whose scale is below the least of its type
stored("-other", others, False)
