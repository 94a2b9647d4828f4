"""A weight, and what compressed-tensors 0.20.1 stores of it in each scheme that has a name in weld.

    python .ci/interop/quant_named_golden.py format/quant/testdata

writes named.want.safetensors, the weight, and named.safetensors: NAME.weight… as the library has it, and in the metadata under NAME the quantization_config that it
writes. fp8_block is by torch alone, in the formula of DeepSeek-V3's kernels (inference/kernel.py), which run on GPUs: the library for it is transformers, whose
configuration is FineGrainedFP8Config's (5.23.0) without what is said of loading. requirements-compressed.txt has what this needs.
"""

import json
import os
import sys
import tempfile

import torch
from compressed import NAMED, compress
from fp8 import quantize
from safetensors.torch import save_file

OUT = sys.argv[1]

torch.manual_seed(5)
weight = torch.randn(5, 256) * torch.logspace(-3, 2, 5)[:, None]
weight[2, 16:160] = 0
weight[3] = 0
stored, configs = {}, {}
for name in NAMED:
    model = torch.nn.Module()
    model.config = None
    model.layer = torch.nn.Linear(256, 5, bias=False)
    model.layer.weight.data = weight.clone()
    model.lm_head = torch.nn.Linear(256, 5, bias=False)
    compressor = compress(model, name)
    with tempfile.TemporaryDirectory() as path:
        compressor.update_config(path)
        with open(path + "/config.json") as f:
            configs[name] = json.load(f)["quantization_config"]
    stored |= {f"{name}.{k.removeprefix('layer.')}": v.detach().contiguous() for k, v in model.state_dict().items() if k.startswith("layer.")}
stored["fp8_block.weight"], stored["fp8_block.weight_scale_inv"] = quantize(weight)
configs["fp8_block"] = {"activation_scheme": "dynamic", "fmt": "e4m3", "modules_to_not_convert": ["lm_head"], "quant_method": "fp8", "weight_block_size": [128, 128]}
save_file(stored, os.path.join(OUT, "named.safetensors"), {k: json.dumps(v) for k, v in configs.items()})
save_file({"weight": weight}, os.path.join(OUT, "named.want.safetensors"))
