#!/usr/bin/env bash
# Guessed: transformers loads every checkpoint that compressed-tensors writes, as it is or decoded (dequantize=True).
# True (transformers 5.23.0, compressed-tensors 0.20.1): integers with zero points (pack-quantized, symmetric: false) are loaded only where
#   they are decoded. Else loading fails with a table of sizes that do not match: the layers are made with zero points of one number
#   each, while the file has them packed, eight rows in a word. ignore_mismatched_sizes=True would go on with zero points of
#   nothing. And 4-bit floats (mxfp4, nvfp4) load, but compute in bfloat16 alone: in a float32 model the first layer fails.
# Why it matters: an asymmetric int4 checkpoint that is right looks broken. Whoever holds what he wrote against transformers needs
#   CompressedTensorsConfig(dequantize=True).
# Seen: "as it is: sizes do not match; decoded: the library's values; mxfp4 in float32: loads, computes nothing"
set -euo pipefail
. "$(dirname "$0")/venv" compressed-tensors==0.20.1 torch==2.15.0 transformers==5.23.0 accelerate==1.15.0 numpy
export PYTHONPATH=$(cd "$(dirname "$0")/../.ci/interop" && pwd) TQDM_DISABLE=1 PYTHONDONTWRITEBYTECODE=1
cd "$work"
"$python" - <<'PY' 2>/dev/null
import pathlib

import compressed
import torch
from safetensors.torch import load_file

path = pathlib.Path("zeros")
compressed.save_model(path, 1, "int4_zeros")
try:
    compressed.loaded(path, dequantize=False)
    as_it_is = "loads"
except RuntimeError as error:
    as_it_is = "sizes do not match" if "mismatched" in str(error) else str(error)
codes = load_file(path / "model.safetensors")
from compressed_tensors.compressors import BaseCompressor
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

scheme = QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(**compressed.SCHEMES["int4_zeros"].weights), format="pack-quantized")
module = "model.layers.0.mlp.up_proj."
state = {k.removeprefix(module): v for k, v in codes.items() if k.startswith(module)}
want = BaseCompressor.get_value_from_registry("pack-quantized").decompress(state, scheme)["weight"]
model, info = compressed.loaded(path, dequantize=True)
decoded = "the library's values" if not info and torch.equal(model.state_dict()[module + "weight"], want) else "others"
compressed.save_model(pathlib.Path("mxfp4"), 1, "mxfp4")
model, info = compressed.loaded("mxfp4", dequantize=False)
try:
    compressed.logits(model)
    narrow = "computes"
except RuntimeError:
    narrow = "computes nothing"
print(f"as it is: {as_it_is}; decoded: {decoded}; mxfp4 in float32: loads, {narrow}")
assert (as_it_is, decoded, narrow) == ("sizes do not match", "the library's values", "computes nothing")
PY
