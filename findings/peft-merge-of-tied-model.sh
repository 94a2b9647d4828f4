#!/usr/bin/env bash
# PEFT's merge_and_unload of a LoRA on one of two tied layers changes both, and of one on both it adds twice.
#
# Guessed: merge_and_unload gives the model that the adapter ran as, up to rounding.
# True: in a model with tie_word_embeddings, the wrappers of embed_tokens and lm_head hold the same Parameter. A live LoRA on
#   embed_tokens alone changes the embedding and not the output layer; merging adds its product to the shared tensor, so the
#   output layer changes with it. With LoRA on both, each product is added to both. With ensure_weight_tying, where both
#   wrappers hold one product, merging adds it twice. modules_to_save, which copies the module, merges right.
# Version: peft 0.21.2, transformers 5.23.0, torch 2.15.0.
# Seen: relative difference of the merged model's logits from the live one's: embedding 890, head 2.1, both 3.5, ensured 1.0 (a LoRA on q_proj: 7e-08).
# Why it matters: the merged checkpoint is another model than the one that was evaluated, by as much as the logits themselves;
#   PEFT warns of "complications" only. What the live model computes needs two tensors and tie_word_embeddings false.
set -euo pipefail
. "$(dirname "$0")/venv" peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy
"$python" - <<'PY'
import copy, sys, warnings
warnings.filterwarnings("ignore")
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

def difference(targets, ensured=False):
    torch.manual_seed(1)
    base = LlamaForCausalLM(LlamaConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, vocab_size=19, tie_word_embeddings=True)).eval()
    live = get_peft_model(base, LoraConfig(r=2, target_modules=targets, ensure_weight_tying=ensured)).eval()
    with torch.no_grad():
        for p in live.parameters():
            if p.requires_grad:
                p.normal_()
        ids = torch.arange(19)[None]
        before = live(input_ids=ids).logits
        after = live.merge_and_unload()(input_ids=ids).logits
    return ((after - before).abs().max() / before.abs().max()).item()

seen = {"untied layer": difference(["q_proj"]), "embedding": difference(["embed_tokens"]), "head": difference(["lm_head"]),
        "both": difference(["embed_tokens", "lm_head"]), "ensured": difference(["embed_tokens"], True)}
for name, d in seen.items():
    print("%-13s %.1e" % (name, d))
sys.exit(0 if seen.pop("untied layer") < 1e-5 and min(seen.values()) > 0.1 else 1)
PY
