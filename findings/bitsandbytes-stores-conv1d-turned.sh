#!/usr/bin/env bash
# A GPT-2 that transformers quantised with bitsandbytes holds its layers as the transposes of those of the plain model.
#
# Guessed: a quantised weight has the shape of the plain model's weight, and decodes to it.
# True: transformers turns layers of the kind Conv1D [in, out] before it quantises them, since bitsandbytes has Linear [out, in] only, and
#   loads them turned; the file does not say so. c_attn shows it by its shape, c_proj of attention is square and does not.
# Version: transformers 5.23.0, bitsandbytes 0.50.2, accelerate 1.15.0, torch 2.15.0.
# Seen: decoded, attn.c_proj is the transpose of the plain one within 1% of its largest value, and as it stands off by all of it.
# Why it matters: merged element by element with a plain GPT-2, square layers would be mixed with their transposes without a word.
#   weld refuses such layers.
set -euo pipefail
. "$(dirname "$0")/venv" bitsandbytes==0.50.2 transformers==5.23.0 accelerate==1.15.0 torch==2.15.0 numpy
"$python" - "$work" <<'PY'
import sys, warnings
warnings.filterwarnings("ignore")
import torch
from bitsandbytes.functional import int8_vectorwise_dequant
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GPT2Config, GPT2LMHeadModel

torch.manual_seed(1)
plain = GPT2LMHeadModel(GPT2Config(n_embd=32, n_head=2, n_layer=1, vocab_size=20, n_positions=16))
plain.save_pretrained(sys.argv[1] + "/plain")
AutoModelForCausalLM.from_pretrained(sys.argv[1] + "/plain", quantization_config=BitsAndBytesConfig(load_in_8bit=True), device_map="cpu").save_pretrained(sys.argv[1] + "/int8")
stored = load_file(sys.argv[1] + "/int8/model.safetensors")
key = next(k for k in stored if k.endswith("attn.c_proj.weight"))
print(key, stored[key].dtype, list(stored[key.replace("c_proj", "c_attn")].shape), "for", list(plain.transformer.h[0].attn.c_attn.weight.shape))
decoded, want = int8_vectorwise_dequant(stored[key], stored[key.replace("weight", "SCB")]), plain.transformer.h[0].attn.c_proj.weight
off = lambda x: ((x - want).abs().max() / want.abs().max()).item()
print("turned %.3f, as it stands %.3f" % (off(decoded.T), off(decoded)))
sys.exit(0 if off(decoded.T) < 0.02 < 0.5 < off(decoded) else 1)
PY
