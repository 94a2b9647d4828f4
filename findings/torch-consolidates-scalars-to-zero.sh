#!/usr/bin/env bash
# Guess:  consolidate_safetensors_files, which torch.distributed.checkpoint has for the safetensors that each rank wrote
#         (HuggingFaceStorageWriter with save_distributed), and which enable_consolidation runs, puts every tensor together.
# True:   A tensor without dimensions becomes 0. The function that copies a part into the whole returns at once where the
#         shape is empty ("Handle empty tensors": `if not tensor_shape`), and [] is the shape of a scalar, which has one element.
# With:   torch 2.15.0.
# Seen:   saved 4.5, in the rank's file 4.5, consolidated 0.0
# Matters: learnt temperatures and scales (logit_scale of CLIP) are lost without a word. weld reads the files of ranks themselves.
set -euo pipefail
. "$(dirname "$0")/venv" torch==2.15.0 safetensors==0.8.0 numpy
cd "$work"
"$python" - <<'PY' 2> /dev/null
import sys
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from torch.distributed.checkpoint import HuggingFaceStorageWriter

saved = {"logit_scale": torch.tensor(4.5), "w": torch.tensor([4.5])}
dcp.save(saved, storage_writer=HuggingFaceStorageWriter("out", save_distributed=True, enable_consolidation=True), no_dist=True)
rank = load_file("out/sharded/shard-00001-model-00001-of-00001.safetensors")
whole = load_file("out/model-00001-of-00001.safetensors")
print("torch", torch.__version__)
for name in saved:
    print(f"{name}: saved {saved[name].tolist()}, of the rank {rank[name].tolist()}, consolidated {whole[name].tolist()}")
as_told = rank["logit_scale"] == 4.5 and whole["logit_scale"] == 0 and whole["w"].tolist() == [4.5]
sys.exit(0 if as_told else 1)
PY
