#!/usr/bin/env bash
# Guessed: a checkpoint whose config.json declares a quantization method that transformers does not have is refused, since
#   without the method nobody can say what its codes stand for.
# True (transformers 5.23.0, torch 2.15, safetensors 0.8): from_pretrained logs "Unknown quantization type … we will skip the
#   quantization", casts the FP8 codes to bfloat16 as if they were weights, lists the scales as UNEXPECTED, and returns a model.
#   The largest weight is 448, the largest code of E4M3, instead of the model's own 0.8.
# Why it matters: ModelOpt's FP8 checkpoints (quant_method "modelopt") are on the Hub in numbers. Who loads one to decode it, to
#   train on it or to compare a merge with it, computes with codes. Any program that reads such files has to know schemes itself.
# Seen: "largest weight 448.0, the model's own 0.848; logits differ by 5.6"
set -euo pipefail
. "$(dirname "$0")/venv" transformers==5.23.0 torch==2.15.0 safetensors==0.8.0
cd "$work"
"$python" - <<'PY'
import json
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=2,
                                     num_key_value_heads=2, vocab_size=64, initializer_range=0.2)).to(torch.bfloat16)
model.save_pretrained("m")

# As ModelOpt writes it: codes of E4M3, one scale for each tensor.
stored = {}
for name, w in load_file("m/model.safetensors").items():
    if w.ndim == 2 and "_proj" in name:
        scale = w.abs().max().float() / 448
        stored[name], stored[name + "_scale"] = (w.float() / scale).to(torch.float8_e4m3fn), scale
    else:
        stored[name] = w
save_file(stored, "m/model.safetensors", {"format": "pt"})
config = json.load(open("m/config.json"))
config["quantization_config"] = {"quant_method": "modelopt", "quant_algo": "FP8"}
json.dump(config, open("m/config.json", "w"))

loaded = AutoModelForCausalLM.from_pretrained("m", dtype=torch.bfloat16)  # neither refuses nor decodes
own = model.model.layers[0].mlp.up_proj.weight.abs().max().item()
got = loaded.model.layers[0].mlp.up_proj.weight.abs().max().item()
ids = torch.arange(8)[None]
with torch.no_grad():
    off = (loaded(ids).logits.float() - model(ids).logits.float()).abs().max().item()
print(f"largest weight {got}, the model's own {own:.3f}; logits differ by {off:.1f}")
assert got == 448 and own < 1 and off > 1, "transformers no longer loads codes as weights"
PY
