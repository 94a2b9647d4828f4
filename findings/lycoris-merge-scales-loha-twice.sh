#!/usr/bin/env bash
# LyCORIS merges LoHa and LoKr with their scale squared; its live modules have it once.
#
# Guessed: merge_to of a network writes the weights that the network's own forward computes.
# True: get_weight of LohaModule and LokrModule multiplies with alpha / rank already, and get_diff_weight, which merging uses, does it again. forward
#   uses get_weight. With alpha equal to the rank both are the same; LoCon has the scale in one place alone.
# Version: lycoris-lora 4.1.3, torch 2.15.0.
# Seen: alpha 1, rank 4: what the merged layer adds is a quarter of what the live module adds, for LoHa and LoKr, and the same for LoCon.
# Why it matters: an adapter that was trained with alpha below its rank nearly vanishes when LyCORIS' tool merges it; a reader that does what the merge
#   does has another model than the one that was trained.
set -euo pipefail
. "$(dirname "$0")/venv" lycoris-lora==4.1.3 torch==2.15.0 numpy
"$python" - <<'PY'
import sys
import torch
from torch import nn
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule

torch.manual_seed(1)
ok = True
for cls, ratio in [(LoConModule, 1), (LohaModule, 0.25), (LokrModule, 0.25)]:
    layer = nn.Linear(64, 64, bias=False)
    module = cls("x", layer, 1.0, 4, 1, factor=2)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape))
    module.org_forward = layer.forward
    x = torch.randn(3, 64)
    with torch.no_grad():
        live = module(x) - layer(x)
        merged = x @ (module.get_merged_weight()[0] - layer.weight).T
    seen = (merged.norm() / live.norm()).item()
    print("%-12s merged / live: %.4f" % (cls.__name__, seen))
    ok = ok and abs(seen - ratio) < 1e-3
sys.exit(0 if ok else 1)
PY
