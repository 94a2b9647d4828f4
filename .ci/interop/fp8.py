"""FP8 checkpoints in blocks of 128, and what a merge of them must be: by torch, without weld."""

import json
import types

import torch
from safetensors.torch import load_file, save_file

BLOCK = 128
LARGEST = 448  # of E4M3


def blocks(shape):
    rows, cols = shape
    return [(slice(i, i + BLOCK), slice(j, j + BLOCK)) for i in range(0, rows, BLOCK) for j in range(0, cols, BLOCK)]


def quantize(w):
    """Codes and scales of a float32 matrix: each block by its own scale."""
    codes = torch.empty(w.shape, dtype=torch.float8_e4m3fn)
    scales = torch.empty(-(-w.shape[0] // BLOCK), -(-w.shape[1] // BLOCK))
    for rows, cols in blocks(w.shape):
        largest = w[rows, cols].abs().max()
        scale = largest / LARGEST if largest > 0 else torch.tensor(1.0)
        scales[rows.start // BLOCK, cols.start // BLOCK] = scale
        codes[rows, cols] = (w[rows, cols] / scale).to(torch.float8_e4m3fn)
    return codes, scales


def dequantize(codes, scales):
    values = codes.float()
    for rows, cols in blocks(codes.shape):
        values[rows, cols] *= scales[rows.start // BLOCK, cols.start // BLOCK]
    return values


def save_model(path, seed):
    """A tiny Qwen3 whose projections are codes. 128 divides its sides: transformers 5.23 decodes no others (findings)."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    config = Qwen3Config(vocab_size=32, hidden_size=256, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, head_dim=64, tie_word_embeddings=False, max_position_embeddings=64)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    tensors = load_file(path / "model.safetensors")
    for name in [n for n in tensors if n.endswith("proj.weight")]:
        tensors[name], tensors[name + "_scale_inv"] = quantize(tensors[name].float())
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
                                     "modules_to_not_convert": ["lm_head"]}
    (path / "config.json").write_text(json.dumps(config))
    return tensors


def values(tensors):
    """What the tensors of a file stand for, in float32."""
    companions = {n for n in tensors if n.endswith("_scale_inv")}
    return {n: dequantize(x, tensors[n + "_scale_inv"]) if n + "_scale_inv" in companions else x.float()
            for n, x in tensors.items() if n not in companions}


def loaded(path):
    """What transformers decodes, and what it finds missing, left over or of another shape."""
    from transformers import AutoModelForCausalLM, FineGrainedFP8Config

    model, info = AutoModelForCausalLM.from_pretrained(path, quantization_config=FineGrainedFP8Config(dequantize=True), dtype=torch.float32,
                                                       output_loading_info=True)
    return model.state_dict(), {k: v for k, v in info.items() if v}


def qwen(seed):
    """A tiny Qwen3 with tied embeddings."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(seed)
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=32, hidden_size=256, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=64,
                                        tie_word_embeddings=True, max_position_embeddings=64))


def deepseek(seed):
    """A tiny DeepSeek-V3: a dense layer, and one of experts with a router. 128 divides its sides but those of its latent attention."""
    from transformers import DeepseekV3Config, DeepseekV3ForCausalLM

    torch.manual_seed(seed)
    return DeepseekV3ForCausalLM(DeepseekV3Config(vocab_size=32, hidden_size=256, intermediate_size=384, moe_intermediate_size=128, n_routed_experts=4, n_group=1, topk_group=1,
                                                  num_experts_per_tok=2, n_shared_experts=1, first_k_dense_replace=1, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
                                                  q_lora_rank=128, kv_lora_rank=128, qk_rope_head_dim=128, qk_nope_head_dim=128, v_head_dim=128, max_position_embeddings=64))


KINDS = {"qwen3": qwen, "deepseek_v3": deepseek}


def converted(path):
    """The modules in whose place transformers, where it has a GPU, puts those that compute with codes."""
    from transformers import AutoConfig, AutoModelForCausalLM, FineGrainedFP8Config
    from transformers.integrations.finegrained_fp8 import FP8Experts, FP8Linear, replace_with_fp8_linear

    config = AutoConfig.from_pretrained(path)
    how = FineGrainedFP8Config(**config.quantization_config)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    replace_with_fp8_linear(model, how.modules_to_not_convert, how, pre_quantized=True)
    return {name for name, module in model.named_modules() if isinstance(module, (FP8Experts, FP8Linear))}


def quantized_by_transformers(w):
    """Codes and scales that transformers makes of a weight. It rounds 448 over the largest magnitude, and the inverse of that."""
    from transformers import FineGrainedFP8Config
    from transformers.integrations.finegrained_fp8 import Fp8Quantize

    made = Fp8Quantize(types.SimpleNamespace(quantization_config=FineGrainedFP8Config())).convert({"x.weight": w})
    return made["x.weight"], made["x.weight_scale_inv"]


def as_near(w, scales, codes, others):
    """Whether codes that differ are as near to the weight: it lies halfway between them."""
    exact = w / scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)[: w.shape[0], : w.shape[1]]
    return torch.allclose((exact - codes.float()).abs(), (exact - others.float()).abs(), rtol=1e-5)
