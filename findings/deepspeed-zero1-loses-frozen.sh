#!/usr/bin/env bash
# Guessed: zero_to_fp32.py, which DeepSpeed copies beside every checkpoint, makes a whole model of it in every stage of ZeRO.
# True (DeepSpeed 0.19.8): in stage 1 frozen parameters are not saved apart (frozen_param_shapes is None), and zero_to_fp32 leaves them out, without a word. They
#   are in the file of model states, under module. Stages 2 and 3 have them.
# Why it matters: what comes out loads with strict=False, and the frozen layers are random.
# Seen: "fixed.weight is in the model: True; in what zero_to_fp32 makes: stage 1 False, stage 2 True"
set -euo pipefail
goldens=$(cd "$(dirname "$0")/.." && pwd)/format/deepspeed/testdata # trainings with DeepSpeed, .ci/interop/deepspeed_golden.py
. "$(dirname "$0")/venv" deepspeed==0.19.8 torch==2.15.0 numpy
cd "$work"
export DS_ACCELERATOR=cpu
GOLDENS=$goldens "$python" - <<'PY' 2>/dev/null | tail -n 1
import os
import torch
from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

goldens, name = os.environ["GOLDENS"], "fixed.weight"
whole = torch.load(f"{goldens}/zero1/global_step3/mp_rank_00_model_states.pt", weights_only=False)["module"]
made = [name in get_fp32_state_dict_from_zero_checkpoint(f"{goldens}/zero{stage}") for stage in (1, 2)]
print(f"{name} is in the model: {name in whole}; in what zero_to_fp32 makes: stage 1 {made[0]}, stage 2 {made[1]}")
assert name in whole and made == [False, True]
PY
