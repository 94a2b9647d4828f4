#!/usr/bin/env bash
# Guessed: CompressedTensorsDequantizer makes plain values of what is quantised, and leaves every other tensor in the checkpoint.
# True (compressed-tensors 0.20.1): it drops, without a word, every tensor whose name ends in k_scale, v_scale or q_scale, to take away the
#   scales of a key-value cache (entrypoints/convert/converters/ct_dequantizer.py). The ending is that of the whole name, not of its last part:
#   learnt parameters called mask_scale, block_scale, uv_scale or task_scale end so, too, and are gone from the copy.
# Why it matters: a tool that tells scales of a cache by an ending takes weights away. weld asks for the last part as a whole, and where no cache is
#   declared for a single number.
# Seen: "left: layer.gate_scale, model.norm.weight; gone: attn.k_scale, layer.block_scale, layer.mask_scale"
set -euo pipefail
. "$(dirname "$0")/venv" compressed-tensors==0.20.1 torch==2.15.0 transformers==5.23.0 numpy
cd "$work"
"$python" - <<'PY' 2>/dev/null
import json
import pathlib

import torch
from compressed_tensors.entrypoints.convert.converters.ct_dequantizer import CompressedTensorsDequantizer

pathlib.Path("model").mkdir()
weights = {"num_bits": 8, "type": "int", "symmetric": True, "strategy": "channel"}
pathlib.Path("model/config.json").write_text(json.dumps({"quantization_config": {
    "quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights, "format": "int-quantized"}}}}))
stored = {
    "model.norm.weight": torch.ones(4), "layer.gate_scale": torch.ones(4), "attn.k_scale": torch.ones(1), "layer.mask_scale": torch.ones(4), "layer.block_scale": torch.ones(4),
}
left = CompressedTensorsDequantizer("model").process(dict(stored))
gone = sorted(stored.keys() - left.keys())
print(f"left: {', '.join(sorted(left))}; gone: {', '.join(gone)}")
assert sorted(left) == ["layer.gate_scale", "model.norm.weight"] and gone == ["attn.k_scale", "layer.block_scale", "layer.mask_scale"]
PY
