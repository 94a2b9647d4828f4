#!/usr/bin/env bash
# A folder with model.safetensors and an index over other shards is two models: which one depends on who reads it.
#
# Guessed: an index is there for something, so that whoever finds model.safetensors.index.json reads the shards that it
#          lists; or at least that every tool reads the same of the two.
# True:    transformers 5.23.0 takes model.safetensors and never looks at the index; mergekit 0.1.5 takes the index and never
#          looks at model.safetensors. Neither says a word. Such folders are what is left when a model is saved over
#          another one with another shard size by a tool that does not clean up, or when two downloads meet.
# Seen:    transformers 1.0, mergekit 2.0
# Matters: a merge made with mergekit is of other weights than those that were tested with transformers.
set -euo pipefail
. "$(dirname "$0")/venv" mergekit==0.1.5 transformers==5.23.0 torch==2.15.0 safetensors==0.8.0
cd "$work"
"$python" - <<'PYTHON'
import json, torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel
from mergekit.io.lazy_tensor_loader import LazyTensorLoader, ShardedTensorIndex

config = GPT2Config(vocab_size=8, n_positions=8, n_embd=8, n_layer=1, n_head=1)
model = GPT2LMHeadModel(config)
NAME = "transformer.wte.weight"
def save(name, value):
    state = {n: torch.full_like(p, value) for n, p in model.state_dict().items() if n != "lm_head.weight"}
    save_file(state, name, {"format": "pt"})
    return state
config.save_pretrained("m")
save("m/model.safetensors", 1.0)
state = save("m/model-00001-of-00001.safetensors", 2.0)
with open("m/model.safetensors.index.json", "w") as f:
    json.dump({"metadata": {}, "weight_map": {n: "model-00001-of-00001.safetensors" for n in state}}, f)
by_transformers = GPT2LMHeadModel.from_pretrained("m").state_dict()[NAME][0, 0].item()
by_mergekit = LazyTensorLoader(ShardedTensorIndex.from_disk("m")).get_tensor(NAME)[0, 0].item()
print("transformers", by_transformers)
print("mergekit", by_mergekit)
raise SystemExit((by_transformers, by_mergekit) != (1.0, 2.0))
PYTHON
