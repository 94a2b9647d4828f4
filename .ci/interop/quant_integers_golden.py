"""Small checkpoints whose values are packed, and what the real libraries decode from them.

    python .ci/interop/quant_integers_golden.py format/quant/testdata

writes NAME.safetensors as the library has it, with what config.json says of it in the file's metadata under "config", and
NAME.want.safetensors with the values in float32. Versions are in requirements-quant.txt.
"""

import json
import os
import sys

import torch
from safetensors.torch import save_file

OUT = sys.argv[1]


def golden(name, stored, want, config, metadata=None):
    stored = {k: v.contiguous() for k, v in stored.items()}
    save_file(stored, os.path.join(OUT, name + ".safetensors"), {**(metadata or {}), "config": json.dumps({"quantization_config": config})})
    for k, v in want.items():
        assert v.dtype == torch.float32, k
    save_file({k: v.contiguous() for k, v in want.items()}, os.path.join(OUT, name + ".want.safetensors"))


def mxfp4():
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    r = torch.Generator().manual_seed(1)
    stored, want = {}, {}
    for name, (experts, out, groups) in {"gate_up_proj": (2, 6, 3), "down_proj": (2, 5, 1)}.items():
        key = "model.layers.0.mlp.experts." + name
        stored[key + "_blocks"] = torch.randint(0, 256, (experts, out, groups, 16), dtype=torch.uint8, generator=r)
        # 255 is no number in E8M0; transformers takes it for 2^128.
        stored[key + "_scales"] = torch.randint(0, 255, (experts, out, groups), dtype=torch.uint8, generator=r)
        stored[key + "_bias"] = torch.zeros(experts, out, dtype=torch.bfloat16)
        want[key] = convert_moe_packed_tensors(stored[key + "_blocks"], stored[key + "_scales"], dtype=torch.float32)
    golden("mxfp4", stored, want, {"quant_method": "mxfp4"})


for make in (mxfp4,):
    make()
