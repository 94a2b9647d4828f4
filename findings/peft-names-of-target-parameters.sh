#!/usr/bin/env bash
# The file of a PEFT adapter for bare parameters does not say which parameter a factor is for.
#
# Guessed: lora_A of target_parameters ["experts.gate_up_proj", "experts.down_proj"] has the parameter's name in its own, as
#   lora_A of target_modules has the module's.
# True: the wrappers are nested in the order in which the module defines its parameters, whatever the order in the configuration, and the
#   file has <module>.lora_A for the last of them and <module>.base_layer.lora_A for the one before. Only shapes tell them apart; the same
#   file applied to a class that defines them the other way round is another model, or fails.
# Version: peft 0.21.2, torch 2.15.0.
# Seen: for a class that defines gate_up_proj first, experts.lora_A (6, 5) and experts.base_layer.lora_A (6, 4).
# Why it matters: whoever reads such a file without the model's class (converters, servers, mergers) has to find the parameter by shape,
#   and cannot where two fit.
set -euo pipefail
. "$(dirname "$0")/venv" peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy
"$python" - <<'PY'
import sys, warnings
warnings.filterwarnings("ignore")
import torch
from torch import nn
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

def experts(first, second):
    shapes = {"gate_up_proj": (3, 10, 4), "down_proj": (3, 4, 5)}
    module = nn.Module()
    for name in (first, second):
        setattr(module, name, nn.Parameter(torch.randn(shapes[name])))
    module.forward = lambda x: x
    net = nn.Module()
    net.experts = module
    net.forward = lambda x: net.experts(x)
    return net

def names(first, second, targets):
    live = get_peft_model(experts(first, second), LoraConfig(r=2, target_modules=[], target_parameters=targets))
    return {n.removeprefix("base_model.model."): tuple(t.shape) for n, t in get_peft_model_state_dict(live).items() if "lora_A" in n}

order = ["experts.gate_up_proj", "experts.down_proj"]
seen = names("gate_up_proj", "down_proj", order)
print(seen)
same = names("gate_up_proj", "down_proj", order[::-1]) == seen
other = names("down_proj", "gate_up_proj", order)
print("with the parameters defined the other way round:", other)
good = seen == {"experts.lora_A.weight": (6, 5), "experts.base_layer.lora_A.weight": (6, 4)} and same and set(other) == set(seen) and other != seen
sys.exit(0 if good else 1)
PY
