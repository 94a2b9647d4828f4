#!/usr/bin/env bash
# PEFT's merge_and_unload under layer_replication adds the adapters of all copies of a layer to each of them.
#
# Guessed: copies of a layer are layers of their own once they are merged: layer 1 of [[0, 2], [1, 3]] becomes two layers with a
#   product each.
# True: the copies share their weights, and merging adds in place, so that both products end up in both copies. The merged model
#   is not the live one.
# Version: peft 0.21.2, transformers 5.23.0, torch 2.15.0.
# Seen: relative difference of the logits 1.0 with layer 1 twice, 5e-07 without a layer that is repeated.
# Why it matters: layer_replication exists to train a deeper model from shared layers; the checkpoint that people publish of it is
#   another model. What the live model computes needs every copy written by itself.
set -euo pipefail
. "$(dirname "$0")/venv" peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy
"$python" - <<'PY'
import sys, warnings
warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

def difference(runs):
    torch.manual_seed(1)
    base = LlamaForCausalLM(LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=3, num_attention_heads=2, vocab_size=19, tie_word_embeddings=False)).eval()
    live = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj", "up_proj"], layer_replication=runs)).eval()
    with torch.no_grad():
        for p in live.parameters():
            if p.requires_grad:
                p.normal_()
        ids = torch.arange(19)[None]
        before = live(input_ids=ids).logits
        after = live.merge_and_unload()(input_ids=ids).logits
    return ((after - before).abs().max() / before.abs().max()).item()

twice, once = difference([[0, 2], [1, 3]]), difference([[0, 2], [2, 3]])
print("layer 1 twice %.1e, every layer once %.1e" % (twice, once))
sys.exit(0 if twice > 0.05 and once < 1e-5 else 1)
PY
