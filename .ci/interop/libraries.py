"""Models that transformers writes with other libraries, and the values that those make of their codes."""

import json

import compressed
import torch
from safetensors.torch import load_file, save_file


def bitsandbytes_configs():
    from transformers import BitsAndBytesConfig

    return {
        "nf4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
        "nf4_nested": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True),
        "fp4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="fp4"),
        "int8": BitsAndBytesConfig(load_in_8bit=True),
    }


def torchao_configs():
    from torchao import quantization as ao
    from transformers import TorchAoConfig

    return {
        "int8_rows": TorchAoConfig(ao.Int8WeightOnlyConfig(version=2)),
        "float8_rows": TorchAoConfig(ao.Float8WeightOnlyConfig()),
        "int8_tensor": TorchAoConfig(ao.Int8WeightOnlyConfig(version=2, granularity=ao.PerTensor())),
        "int4_groups": TorchAoConfig(ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=ao.PerGroup(32))),
        "int4_asymmetric": TorchAoConfig(ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=ao.PerGroup(32), mapping_type=ao.MappingType.ASYMMETRIC)),
    }


def torchao_narrow_configs():
    """Classes of narrow floats, which want bfloat16. Their scales are swizzled."""
    from torchao.prototype.mx_formats import inference_workflow as mx
    from transformers import TorchAoConfig

    e2m1 = torch.float4_e2m1fn_x2
    return {
        "nvfp4": TorchAoConfig(mx.NVFP4WeightOnlyConfig()),
        "mxfp8": TorchAoConfig(mx.MXDynamicActivationMXWeightConfig()),
        "mxfp4": TorchAoConfig(mx.MXDynamicActivationMXWeightConfig(weight_dtype=e2m1, activation_dtype=e2m1)),
    }


def save_quantized(plain, config, path, dtype=torch.float32):
    """Has transformers quantise a model and save it; the values that the library decodes, in float32."""
    model, _ = compressed.from_pretrained(plain, dtype, quantization_config=config, device_map="cpu")
    model.save_pretrained(path)
    return {name + ".weight": decoded(layer.weight) for name, layer in model.named_modules() if getattr(layer, "weight", None) is not None}


@torch.no_grad()
def decoded(weight):
    """What a library makes of a weight of its own class."""
    kind = type(weight).__name__
    if kind == "Params4bit":
        from bitsandbytes import functional

        state, shape = weight.quant_state, weight.quant_state.shape
        state.dtype, state.shape = torch.float32, (1, shape.numel())  # on a CPU, rows that blocks do not divide are decoded wrongly (findings)
        return functional.dequantize_4bit(weight.data, state).reshape(shape) + 0.0  # fp4 has a zero of either sign
    if kind == "Int8Params":
        from bitsandbytes import functional

        return functional.int8_vectorwise_dequant(weight.data, weight.SCB)
    if kind in ("MXTensor", "NVFP4Tensor"):
        return weight.dequantize(torch.float32)
    return (weight.dequantize() if hasattr(weight, "qdata") else weight).float()


def save_gpt_oss(path, seed):
    """A tiny gpt-oss whose experts are MXFP4."""
    from transformers import GptOssConfig, GptOssForCausalLM

    torch.manual_seed(seed)
    config = GptOssConfig(vocab_size=32, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
                          head_dim=16, num_local_experts=3, num_experts_per_tok=2)
    GptOssForCausalLM(config).to(torch.bfloat16).save_pretrained(path)
    tensors = load_file(path / "model.safetensors")
    for name in [n for n in tensors if n.endswith(("gate_up_proj", "down_proj"))]:
        experts, inputs, outputs = tensors.pop(name).shape
        tensors[name + "_blocks"] = torch.randint(0, 256, (experts, outputs, inputs // 32, 16), dtype=torch.uint8)
        tensors[name + "_scales"] = torch.randint(116, 124, (experts, outputs, inputs // 32), dtype=torch.uint8)
    save_file(tensors, path / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((path / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"]}
    (path / "config.json").write_text(json.dumps(config))


def loaded_gpt_oss(path):
    """What transformers decodes, and what it finds missing, left over or of another shape."""
    from transformers import Mxfp4Config

    return compressed.from_pretrained(path, quantization_config=Mxfp4Config(dequantize=True))
