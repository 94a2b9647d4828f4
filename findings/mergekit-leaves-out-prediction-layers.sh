#!/usr/bin/env bash
# Guess:  a linear merge of two whole GLM-4.5 models has the tensors of its inputs.
# True:   mergekit 0.1.5 leaves out the layer that predicts further tokens (model.layers.N, N = num_hidden_layers), says nothing of it,
#         ends with 0, and writes config.json with num_nextn_predict_layers: 1, as if it were there.
# Seen:   exit 0, 26 tensors of model.layers.3.… in each input and none in the output, num_nextn_predict_layers 1
#         (mergekit 0.1.5, transformers 5.23.0, torch 2.15.0).
# Why it matters: GLM-4.5 and DeepSeek-V3 ship that layer for speculative decoding; servers that are told by the configuration to use it
#         do not find it. Whoever merges such a model has to copy the layer over, or merge it apart, and set the number to 0 otherwise.
set -euo pipefail
. "$(dirname "$0")/venv" mergekit==0.1.5 transformers==5.23.0 torch==2.15.0 safetensors==0.8.0
cat >"$work/finding.py" <<'PY'
import json, os, pathlib, subprocess, sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from safetensors.torch import load_file, save_file
from transformers import Glm4MoeConfig, Glm4MoeForCausalLM

here = pathlib.Path(sys.argv[1])
layers = 3
for seed, name in enumerate("ab"):
    torch.manual_seed(seed)
    config = Glm4MoeConfig(vocab_size=32, hidden_size=16, intermediate_size=24, moe_intermediate_size=8, num_hidden_layers=layers,
                           num_attention_heads=2, num_key_value_heads=1, head_dim=8, n_routed_experts=4, num_experts_per_tok=2,
                           first_k_dense_replace=1, n_group=1, topk_group=1, num_nextn_predict_layers=1)
    Glm4MoeForCausalLM(config).save_pretrained(here / name)
    file = here / name / "model.safetensors"
    tensors = load_file(file)
    last, behind = f"model.layers.{layers - 1}.", f"model.layers.{layers}."  # as the published checkpoints name it
    tensors |= {behind + k.removeprefix(last): v.clone() for k, v in tensors.items() if k.startswith(last)}
    tensors |= {behind + "eh_proj.weight": torch.randn(16, 32), behind + "enorm.weight": torch.ones(16), behind + "hnorm.weight": torch.ones(16)}
    save_file(tensors, file, {"format": "pt"})
    said = json.loads((here / name / "config.json").read_text())
    said["num_nextn_predict_layers"] = 1
    (here / name / "config.json").write_text(json.dumps(said))
(here / "r.yml").write_text("merge_method: linear\ndtype: float32\nmodels:\n" + "".join(
    f"  - {{model: {here / m}, parameters: {{weight: 1}}}}\n" for m in "ab"))
command = [pathlib.Path(sys.executable).parent / "mergekit-yaml", here / "r.yml", here / "out", "--no-copy-tokenizer"]
done = subprocess.run(command, capture_output=True, text=True)
written = {}
for file in (here / "out").glob("*.safetensors"):
    written |= load_file(file)
lost = [k for k in load_file(here / "a" / "model.safetensors") if k.startswith(behind)]
kept = [k for k in written if k.startswith(behind)]
number = json.loads((here / "out" / "config.json").read_text())["num_nextn_predict_layers"]
print(f"exit {done.returncode}; {len(lost)} tensors of {behind}… in the inputs, {len(kept)} in the output; num_nextn_predict_layers {number}")
spoken = [line for line in (done.stdout + done.stderr).splitlines() if behind in line]
print("said of them:", spoken or "nothing")
sys.exit(not (done.returncode == 0 and lost and not kept and number == 1 and not spoken))
PY
"$python" "$work/finding.py" "$work"
