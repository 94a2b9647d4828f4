#!/usr/bin/env bash
# Guess:  from_pretrained(save_pretrained(model)) has every persistent buffer as it was saved: the file holds it, no
#         message says that it is missing or made anew.
# True:   ZAYA's router has a float32 buffer `balancing_biases` that decides which experts are taken. from_pretrained reads it
#         and then sets its last element to -1 again: _init_weights assigns `module.balancing_biases[-1] = -1.0` beside an
#         init.zeros_ that leaves loaded tensors alone, and the assignment does not. No key is missing, nothing is warned of.
# With:   transformers 5.23.0, torch 2.15.0.
# Seen:   saved [0.5, 1.5, 2.5, 3.5, 4.5], in the file the same, loaded [0.5, 1.5, 2.5, 3.5, -1.0]
# Matters: a model whose balancing was trained routes otherwise after it was saved and loaded once; whoever checks a merge by loading it
#         finds a difference in a tensor that the merge has right.
set -euo pipefail
. "$(dirname "$0")/venv" transformers==5.23.0 torch==2.15.0 safetensors==0.8.0 numpy
cd "$work"
"$python" - <<'PY'
import sys
import safetensors.torch
import torch
import transformers
from transformers import ZayaConfig, ZayaForCausalLM

config = ZayaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                    num_experts=4, moe_intermediate_size=16, router_hidden_size=8)
model = ZayaForCausalLM._from_config(config)
name = next(n for n, _ in model.named_buffers() if n.endswith("balancing_biases"))
with torch.no_grad():
    model.get_buffer(name).copy_(torch.arange(model.get_buffer(name).numel()) + 0.5)
model.save_pretrained("saved")
saved = safetensors.torch.load_file("saved/model.safetensors")[name]
loaded, info = ZayaForCausalLM.from_pretrained("saved", output_loading_info=True)
got = loaded.get_buffer(name)
print(transformers.__version__, name)
print("saved  ", model.get_buffer(name).tolist())
print("in file", saved.tolist())
print("loaded ", got.tolist(), "missing:", sorted(info["missing_keys"]))
as_told = torch.equal(saved, model.get_buffer(name)) and torch.equal(got[:-1], saved[:-1]) and got[-1] == -1 and not info["missing_keys"]
sys.exit(0 if as_told else 1)
PY
