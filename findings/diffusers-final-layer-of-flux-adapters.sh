#!/usr/bin/env bash
# diffusers changes the last modulation of Flux otherwise than the adapter means, when it converts the adapter's names.
#
# Guessed: an adapter in the original's names, converted, does to a converted model what it did to the original.
# True: not for final_layer. Of sd-scripts' names the converter drops alpha there, and names the result without "transformer.", which the
#   loader looks for, as it does those of img_in, txt_in and the embedders. Of Black Forest Labs' names it swaps the halves of both factors of
#   final_layer.adaLN_modulation.1, though only the second has a row for each output: the ranks of the first no longer meet those of the second.
# Version: diffusers 0.42.1, torch 2.15.0.
# Seen: with alpha a quarter of the rank what the final layer gets is four times as much; of the blocks it is the same. With both factors swapped
#   the product is another.
# Why it matters: who takes the converters of adapters for the rule merges a wrong final layer; that of the weights is right.
set -euo pipefail
. "$(dirname "$0")/venv" diffusers==0.42.1 torch==2.15.0 numpy transformers==5.23.0 peft==0.21.2 pillow
"$python" - <<'PY'
import sys
import torch
from diffusers.loaders import lora_conversion_utils as conversion

torch.manual_seed(1)
name = "lora_unet_final_layer_adaLN_modulation_1"
state = {}
for module, out in [(name, 8), ("lora_unet_double_blocks_0_img_mod_lin", 24)]:
    state[module + ".lora_down.weight"], state[module + ".lora_up.weight"] = torch.randn(4, 4), torch.randn(out, 4)
    state[module + ".alpha"] = torch.tensor(1.0)
made = conversion._convert_kohya_flux_lora_to_diffusers(dict(state))
product = lambda a, b: b @ a
meant = product(state[name + ".lora_down.weight"], state[name + ".lora_up.weight"]) / 4
rows = conversion.swap_scale_shift(meant)
got = product(made["norm_out.linear.lora_A.weight"], made["norm_out.linear.lora_B.weight"])
block = product(made["transformer.transformer_blocks.0.norm1.linear.lora_A.weight"], made["transformer.transformer_blocks.0.norm1.linear.lora_B.weight"])
want = product(state["lora_unet_double_blocks_0_img_mod_lin.lora_down.weight"], state["lora_unet_double_blocks_0_img_mod_lin.lora_up.weight"]) / 4
print("a block / meant: %.2f; the final layer / meant: %.2f" % ((block.norm() / want.norm()).item(), (got.norm() / rows.norm()).item()))
ok = torch.allclose(block, want, atol=1e-5) and torch.allclose(got, 4 * rows, atol=1e-5)

a, b = torch.randn(4, 4), torch.randn(8, 4)


class Whole(dict):
    """An adapter that has every tensor that is asked for; only the last modulation's matter here."""

    def pop(self, key):
        if "final_layer.adaLN" in key:
            return a if "lora_A" in key else b
        return torch.zeros(21504 if "linear1.lora_B" in key else 12, 4)


made = conversion._convert_bfl_flux_control_lora_to_diffusers(Whole())
got = product(made["transformer.norm_out.linear.lora_A.weight"], made["transformer.norm_out.linear.lora_B.weight"])
right = conversion.swap_scale_shift(product(a, b))
off = ((got - right).norm() / right.norm()).item()
both = torch.equal(made["transformer.norm_out.linear.lora_A.weight"], conversion.swap_scale_shift(a))
print("both factors are swapped: %s; by that the product is off by %.2f of itself" % (both, off))
sys.exit(0 if ok and both and off > 0.1 else 1)
PY
