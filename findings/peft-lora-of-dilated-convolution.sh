#!/usr/bin/env bash
# A LoRA of a dilated convolution in PEFT runs without the dilation; merged, it runs with it.
#
# Guessed: lora_A of a Conv2d takes over the geometry of the layer that it wraps: kernel, stride, padding, dilation.
# True: it takes kernel, stride and padding, and leaves dilation (and padding_mode) at their defaults. Where padding makes up for the
#   dilation, as in "same" convolutions, the shapes differ and the layer fails; where they agree the live adapter sees other
#   pixels than its merged weights do.
# Version: peft 0.21.2, torch 2.15.0.
# Seen: relative difference 3.0 with dilation 2, 2e-07 without.
# Why it matters: B·A is what the file holds, but no weight of the dilated layer gives the function that was trained: merging
#   such an adapter is wrong whoever does it, and a checkpoint does not say that a layer is dilated.
set -euo pipefail
. "$(dirname "$0")/venv" peft==0.21.2 transformers==5.23.0 torch==2.15.0 numpy
"$python" - <<'PY'
import sys, warnings
warnings.filterwarnings("ignore")
import torch
from torch import nn
from peft import LoraConfig, get_peft_model

class Net(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        # Stride and size are such that both geometries have one output.
        self.conv = nn.Conv2d(3, 4, 3, stride=8, dilation=dilation)
    def forward(self, x):
        return self.conv(x)

def difference(dilation):
    torch.manual_seed(1)
    live = get_peft_model(Net(dilation), LoraConfig(r=2, target_modules=["conv"])).eval()
    with torch.no_grad():
        for p in live.parameters():
            if p.requires_grad:
                p.normal_()
        x = torch.randn(1, 3, 5, 5)
        before = live(x)
        after = live.merge_and_unload()(x)
    return ((after - before).abs().max() / before.abs().max()).item()

with_, without = difference(2), difference(1)
print("dilation 2: %.1e, dilation 1: %.1e" % (with_, without))
sys.exit(0 if with_ > 0.05 and without < 1e-5 else 1)
PY
