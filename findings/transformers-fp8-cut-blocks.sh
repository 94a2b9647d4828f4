#!/usr/bin/env bash
# FineGrainedFP8Config(dequantize=True) takes the size of a block from shapes, not from weight_block_size: where 128 does not
# divide a dimension, values get scales of other blocks, or the checkpoint does not load.
#
# Guessed: weights whose rows 128 does not divide are decoded as they are quantised, in blocks of 128 of which the last is
#          cut. DeepSeek-V3 has such (kv_a_proj_with_mqa, 576 rows), and weight_block_size says [128, 128].
# True:    transformers 5.23.0 divides the rows of the weight by those of the scales (core Fp8Dequantize). 192 rows with 2 scales are
#          two blocks of 96: rows 96 to 127 are multiplied with the scale of the second block, without a word. 320 rows with 3
#          scales are an error ("not divisible by scale grid").
# Seen:    256 rows: right; 192 rows: rows 96 to 127 have another scale than theirs; 320 rows: refused
# Matters: a model that is decoded to be merged, evaluated or converted is another one. Whoever compares a decoder with
#          transformers has to choose shapes that 128 divides.
set -euo pipefail
. "$(dirname "$0")/venv" torch==2.15.0 transformers==5.23.0 safetensors==0.8.0 accelerate
cat >"$work/decode.py" <<'EOF'
import json, sys, torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, FineGrainedFP8Config, Qwen3Config, Qwen3ForCausalLM

name = "model.layers.0.mlp.up_proj.weight"


def blocks(n):
    return -(-n // 128)


def decode(rows, folder):
    config = Qwen3Config(vocab_size=32, hidden_size=256, intermediate_size=rows, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=2, head_dim=64, tie_word_embeddings=False)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tensors = load_file(folder + "/model.safetensors")
    for weight in [w for w in tensors if w.endswith("proj.weight")]:
        r, c = tensors[weight].shape
        scales = 1.0 + torch.arange(float(blocks(r) * blocks(c))).reshape(blocks(r), blocks(c))
        tensors[weight] = torch.ones(r, c).to(torch.float8_e4m3fn)
        tensors[weight + "_scale_inv"] = scales
        if weight == name:
            want = scales.repeat_interleave(128, 0)[:r].repeat_interleave(128, 1)[:, :c]
    save_file(tensors, folder + "/model.safetensors", metadata={"format": "pt"})
    with open(folder + "/config.json") as f:
        config = json.load(f)
    config["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    with open(folder + "/config.json", "w") as f:
        json.dump(config, f)
    try:
        how = FineGrainedFP8Config(dequantize=True)
        got = AutoModelForCausalLM.from_pretrained(folder, quantization_config=how, dtype=torch.float32).state_dict()[name]
    except RuntimeError:
        return "refused"
    wrong = (got != want).any(1).nonzero().flatten().tolist()
    return f"rows {wrong[0]} to {wrong[-1]} have another scale than theirs" if wrong else "right"


for rows in (256, 192, 320):
    print(f"{rows} rows: {decode(rows, f'{sys.argv[1]}/{rows}')}")
EOF
got=$("$python" "$work/decode.py" "$work" 2>/dev/null)
want="256 rows: right
192 rows: rows 96 to 127 have another scale than theirs
320 rows: refused"
echo "$got"
[[ $got == "$want" ]] || { echo "expected
$want"; exit 1; }
