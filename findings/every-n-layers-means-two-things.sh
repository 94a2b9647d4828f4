#!/usr/bin/env bash
# Guess:  global_attn_every_n_layers: 3 in a config.json says which layers have global attention: the same ones in every architecture.
# True:   in ModernBERT they are layers 0, 3, 6, … (i % n == 0), in AFMoE layers 2, 5, 8, … ((i + 1) % n == 0): one key, two meanings.
# Seen:   modernbert [0, 3, 6], afmoe [2, 5, 8] of 9 layers (transformers 5.23.0).
# Why it matters: a tool that stacks or prunes layers, or converts a model to another runtime, by the key alone gives the wrong layers a
#         sliding window, which no missing tensor and no error shows. Stacks whose slices begin at multiples of n are right in both.
set -euo pipefail
. "$(dirname "$0")/venv" transformers==5.23.0
"$python" - <<'PY'
import sys

from transformers import AutoConfig

found = {}
for kind in ("modernbert", "afmoe"):
    config = AutoConfig.for_model(kind, num_hidden_layers=9, global_attn_every_n_layers=3)
    found[kind] = [i for i, name in enumerate(config.layer_types) if name == "full_attention"]
    print(kind, found[kind])
sys.exit(found != {"modernbert": [0, 3, 6], "afmoe": [2, 5, 8]})
PY
