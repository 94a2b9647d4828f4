#!/usr/bin/env bash
# Guess:  what save_pretrained writes has the keys of state_dict(), so that named_parameters() tells which tensor of the file is
#         which, and load_state_dict takes what safetensors reads.
# True:   transformers 5 renames, splits and turns tensors while it loads and undoes it while it saves. Mixtral's experts are one
#         tensor of all in memory (mlp.experts.gate_up_proj) and matrices apart in the file (block_sparse_moe.experts.0.w1.weight);
#         Gemma 3 has model.language_model.… in memory and language_model.model.… in the file. CamemBERT's tied matrix is
#         lm_head.decoder.weight among named_parameters() and roberta.embeddings.word_embeddings.weight in the file.
#         transformers.core_model_loading.revert_weight_conversion does what save_pretrained does with names.
# With:   transformers 5.23.0, torch 2.15.0.
# Seen:   mixtral: 3 names in memory are in no file, 19 of the file not in memory; camembert: 1 and 1.
# Matters: per-parameter statistics (importance, Fisher, optimizer states, LoRA targets) that are kept under the names in memory fit no file
#         that the same model is saved to, and DDP-style "strip a prefix" is not enough.
set -euo pipefail
. "$(dirname "$0")/venv" transformers==5.23.0 torch==2.15.0 safetensors==0.8.0 numpy
cd "$work"
"$python" - <<'PY'
import sys
import safetensors.torch
import transformers
from transformers import CamembertConfig, CamembertForMaskedLM, MixtralConfig, MixtralForCausalLM
from transformers.core_model_loading import revert_weight_conversion

small = dict(vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
models = {
    "mixtral": MixtralForCausalLM(MixtralConfig(**small, num_key_value_heads=2, num_local_experts=6)),
    "camembert": CamembertForMaskedLM(CamembertConfig(**small)),
}
told = True
for name, model in models.items():
    model.save_pretrained(name)
    file = set(safetensors.torch.load_file(f"{name}/model.safetensors"))
    memory = {n for n, _ in model.named_parameters()}
    reverted = set(revert_weight_conversion(model, dict(model.named_parameters())))
    tied = model.all_tied_weights_keys
    print(transformers.__version__, name, "in memory only:", len(memory - file), sorted(memory - file)[:3], "in the file only:", len(file - memory), sorted(file - memory)[:3])
    told &= bool(memory - file) and bool(file - memory) and {tied.get(n, n) for n in reverted} == file
sys.exit(0 if told else 1)
PY
