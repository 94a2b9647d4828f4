#!/usr/bin/env bash
# Guessed: param_slice_mappings say where each parameter lies in a rank's partition. They are written for that, and ds_to_universal goes by nothing else.
# True (DeepSpeed 0.19.8): with round_robin_gradients, of ZeRO 1 and 2, parameters lie in the partitions in another order than that of the mappings, which have
#   the order in which the optimizer was given them. Sizes and names agree, and nothing fails: ds_to_universal writes parameters with the values of
#   others. zero_to_fp32 goes by param_shapes, which have the right order.
# Why it matters: training goes on from a universal checkpoint with exchanged weights and moments, and a reader that trusts the mappings does the same.
# Seen: "norm.weight began as ones: 0.97 in the model, 0.97 by zero_to_fp32, -0.26 by ds_to_universal"
set -euo pipefail
checkpoint=$(cd "$(dirname "$0")/.." && pwd)/format/deepspeed/testdata/zero2_robin # two ranks of a training with DeepSpeed, .ci/interop/deepspeed_golden.py
. "$(dirname "$0")/venv" deepspeed==0.19.8 torch==2.15.0 numpy
cd "$work"
export DS_ACCELERATOR=cpu
"$python" -m deepspeed.checkpoint.ds_to_universal --input_folder "$checkpoint/global_step3" --output_folder "$work/universal" --num_extract_workers 1 --num_merge_workers 1 --inject_missing_state >/dev/null 2>&1
CHECKPOINT=$checkpoint "$python" - <<'PY' 2>/dev/null | tail -n 1
import os
import torch
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

checkpoint, name = os.environ["CHECKPOINT"], "norm.weight"
model = torch.load(f"{checkpoint}/global_step3/mp_rank_00_model_states.pt", weights_only=False)["module"][name].float()
fp32 = get_fp32_state_dict_from_zero_checkpoint(checkpoint)[name]
universal = torch.load(f"universal/zero/{name}/fp32.pt", weights_only=False)["param"]
print(f"{name} began as ones: {model[0]:.2f} in the model, {fp32[0]:.2f} by zero_to_fp32, {universal[0]:.2f} by ds_to_universal")
assert torch.allclose(model, fp32, rtol=1e-2) and not torch.allclose(model, universal, rtol=0.1)
PY
