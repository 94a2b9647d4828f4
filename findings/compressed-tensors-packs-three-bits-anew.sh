#!/usr/bin/env bash
# Guessed: pack-quantized is one layout. A checkpoint of three-bit weights that one release of compressed-tensors packed is decoded by
#   another to the same values; were the layout to change, tensors or configuration would have another name.
# True (compressed-tensors 0.12.2 and 0.20.1): until 0.15 at least, as many codes as fit whole stand in each word of 32 bits (ten of three
#   bits); 0.20 lets codes go over the border of two words. Names, types, quant_method and format are the same; only the width of
#   weight_packed tells, and not where both come to as many words. 0.20.1 does not look at it: it decodes the older file without a word
#   to other values, from the eleventh of each row on. It is so for 3, 5, 6 and 7 bits.
# Why it matters: whoever packed such a model with an earlier release and loads it with today's computes with noise. Whoever decodes
#   pack-quantized by itself has to compare weight_packed with weight_shape, and read version where they do not say.
# Seen: "shapes [4, 7] and [4, 6]; 0.20.1 decodes what it packed exactly, and of the older file 65 of 256 codes as they were, the first 10 of each row, largest error 7"
set -euo pipefail
. "$(dirname "$0")/venv" compressed-tensors==0.20.1 torch==2.15.0 numpy
cd "$work"
"$python" -m pip install -q --disable-pip-version-check --no-deps --target old compressed-tensors==0.12.2
cat >pack.py <<'PY'
import sys
import torch
from safetensors.torch import save_file

if sys.argv[1] == "old":
    from compressed_tensors.compressors import pack_to_int32
else:
    from compressed_tensors.compressors.pack_quantized import pack_to_int32
codes = torch.randint(-4, 4, (4, 64), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
save_file({"codes": codes, "packed": pack_to_int32(codes, 3).contiguous()}, sys.argv[1] + ".safetensors")
PY
PYTHONPATH=old "$python" pack.py old
"$python" pack.py new
"$python" - <<'PY'
import torch
from compressed_tensors.compressors.pack_quantized import unpack_from_int32
from safetensors.torch import load_file

old, new = load_file("old.safetensors"), load_file("new.safetensors")
codes = old["codes"]
assert torch.equal(codes, new["codes"])
right = unpack_from_int32(new["packed"], 3, codes.shape)
wrong = unpack_from_int32(old["packed"], 3, codes.shape)  # neither refuses nor warns
off = (wrong.int() - codes.int()).abs()
print(f"shapes {list(old['packed'].shape)} and {list(new['packed'].shape)}; 0.20.1 decodes what it packed {'exactly' if torch.equal(right, codes) else 'wrongly'}, "
      f"and of the older file {int((off == 0).sum())} of {codes.numel()} codes as they were, the first {int((off.amax(0) > 0).nonzero()[0])} of each row, largest error {int(off.max())}")
assert torch.equal(right, codes) and off[:, :10].max() == 0 and off.max() > 3, "the layouts are told apart by now"
PY
