"""Checkpoints of compressed-tensors, and what a merge of them must be: by the library, without weld."""

import contextlib
import io
import json
import tempfile
import warnings
from typing import NamedTuple

import torch
from safetensors.torch import load_file

GROUPS = {"strategy": "group", "group_size": 32}
MX = {"type": "float", "scale_dtype": torch.uint8, **GROUPS}


class Scheme(NamedTuple):
    weights: dict  # of QuantizationArgs
    activations: bool = False  # are rounded, too, so that logits are others
    narrow: bool = False  # the library decodes to bfloat16, whatever the model has, and computes nothing in float32
    runs: bool = True  # transformers computes with codes as they are (findings)


SCHEMES = {
    "int4": Scheme({"num_bits": 4, **GROUPS}),
    "int4_channels": Scheme({"num_bits": 4, "strategy": "channel"}),
    "int4_zeros": Scheme({"num_bits": 4, "symmetric": False, **GROUPS}, runs=False),
    "int8_packed": Scheme({"num_bits": 8, **GROUPS}),
    "int8": Scheme({"num_bits": 8, "strategy": "channel"}, activations=True),
    "fp8": Scheme({"num_bits": 8, "type": "float", "strategy": "channel"}, activations=True),
    "fp8_blocks": Scheme({"num_bits": 8, "type": "float", "strategy": "block", "block_structure": [16, 32]}, activations=True),
    "mxfp4": Scheme({"num_bits": 4, **MX}, narrow=True),
    "mxfp6": Scheme({"num_bits": 6, **MX}, narrow=True),
    "mxfp8": Scheme({"num_bits": 8, **MX}, narrow=True),
    "nvfp4": Scheme({"num_bits": 4, "type": "float", "strategy": "tensor_group", "group_size": 16, "scale_dtype": torch.float8_e4m3fn}, narrow=True),
}

# Those that weld stores any model in, by their names there: the library's presets of compressed_tensors/quantization/quant_scheme.py.
NAMED = {
    "fp8_channel": SCHEMES["fp8"],  # FP8_DYNAMIC
    "fp8_tensor": Scheme({"num_bits": 8, "type": "float"}, activations=True),
    "int8_channel": SCHEMES["int8"],  # INT8
    "int8_group": Scheme({"num_bits": 8, "strategy": "group", "group_size": 128}),  # W8A16, but for channels
    "int4_group": Scheme({"num_bits": 4, "strategy": "group", "group_size": 128}),  # W4A16
    "mxfp8": SCHEMES["mxfp8"],  # MXFP8A16
    "mxfp6": SCHEMES["mxfp6"],
    "mxfp4": SCHEMES["mxfp4"],  # MXFP4A16
    "nvfp4": SCHEMES["nvfp4"],  # NVFP4A16
}
ALL = SCHEMES | NAMED


def llama(seed):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    return LlamaForCausalLM(LlamaConfig(vocab_size=32, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
                                        num_key_value_heads=2, tie_word_embeddings=False, max_position_embeddings=64))


def extremes(w, args):
    """The least and the greatest value of every block that has a scale; its sizes divide the weight."""
    if args.strategy == "tensor":
        return w.amin().reshape(1), w.amax().reshape(1)
    if args.strategy == "channel":
        return w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    if args.strategy == "block":
        high, wide = args.block_structure
        w = w.unflatten(0, (-1, high)).unflatten(-1, (-1, wide)).transpose(1, 2)
        return w.amin((-1, -2)), w.amax((-1, -2))
    w = w.unflatten(-1, (-1, args.group_size))
    return w.amin(-1), w.amax(-1)


def served(whole, old):
    """A scale of scales; an old one that still does for the values stays in its place."""
    return old if old is not None and old <= whole * (1 + 2**-20) and whole <= 64 * old else whole


def compress(model, name, reference={}):
    """Rounds a model's linear layers to nearest by a scheme; the compressor that did. reference is what a model was stored as before."""
    from compressed_tensors.compressors import ModelCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationConfig, QuantizationScheme, apply_quantization_config
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    args = QuantizationArgs(**ALL[name].weights)
    inputs = QuantizationArgs(num_bits=8, type=args.type, strategy="token", dynamic=True) if ALL[name].activations else None
    scheme = QuantizationScheme(targets=["Linear"], weights=args, input_activations=inputs)
    apply_quantization_config(model, QuantizationConfig(config_groups={"group_0": scheme}, ignore=["lm_head"]), show_progress=False)
    for module, layer in model.named_modules():
        if getattr(layer, "quantization_scheme", None) is not None:
            whole = None
            if args.strategy == "tensor_group":
                whole = served(generate_gparam(layer.weight.min(), layer.weight.max()), reference.get(module + ".weight_global_scale"))
                layer.weight_global_scale.data = whole
            scale, zero = calculate_qparams(*extremes(layer.weight.data, args), args, whole)
            layer.weight_scale.data = scale.to(layer.weight_scale.dtype)
            layer.weight_zero_point.data = zero.to(layer.weight_zero_point.dtype)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    return compressor


def save_model(path, seed, name):
    model = llama(seed)
    compressor = compress(model, name)
    model.save_pretrained(path)
    compressor.update_config(path)
    return load_file(path / "model.safetensors")


def stored(values, name, reference={}):
    """What the library stores of a model's values, perhaps in the place of a model that it stored, and says of it in config.json."""
    model = llama(0)
    model.load_state_dict(values)
    compressor = compress(model, name, reference)
    with tempfile.TemporaryDirectory() as path:
        compressor.update_config(path)
        with open(path + "/config.json") as f:
            config = json.load(f)["quantization_config"]
    return {k: v.clone() for k, v in model.state_dict().items()}, config


def same_codes(got, want):
    """Whether two tensors have the same bytes. Of E2M1, two in a byte, a zero of either sign is one: the library gives −0 the code of 0."""
    if got.dtype == torch.uint8:
        got, want = (torch.stack([x & 15, x >> 4]) for x in (got, want))
        got, want = (torch.where(x == 8, 0, x) for x in (got, want))
    return got.dtype == want.dtype and torch.equal(got.view(torch.uint8), want.view(torch.uint8))


def widened(values):
    """The blocks of MXFP8 whose largest magnitude is the largest code times a power of two. The library takes twice the scale that they need."""
    largest = values.unflatten(-1, (-1, 32)).abs().amax(-1)
    return torch.frexp(largest).mantissa == 448 / 512


def loaded(path, dequantize):
    """The model that transformers makes of a checkpoint, and what it finds missing, left over or of another shape."""
    from transformers import CompressedTensorsConfig

    return from_pretrained(path, **({"quantization_config": CompressedTensorsConfig(dequantize=True)} if dequantize else {}))


def from_pretrained(path, dtype=torch.float32, **how):
    """The same of any model, without warnings and bars."""
    from transformers import AutoModelForCausalLM

    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        model, info = AutoModelForCausalLM.from_pretrained(path, dtype=dtype, output_loading_info=True, **how)
    return model.eval(), {k: v for k, v in info.items() if v}


@torch.no_grad()
def logits(model):
    """Some, which a checkpoint that is decoded on the way has bars for."""
    with contextlib.redirect_stderr(io.StringIO()):
        return model(torch.arange(12)[None]).logits
