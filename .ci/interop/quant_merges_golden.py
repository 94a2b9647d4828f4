"""Merges of quantised models, computed by numpy alone: importance, sweeps, and adapters, which PEFT merges.

    PYTHONHASHSEED=0 python .ci/interop/quant_merges_golden.py stream/testdata/quantised

writes a base and a model of FP8 blocks, a model of compressed-tensors' packed integers, importance files of floats and of codes, adapters, and for each
recipe in cases/ the values that it gives, NAME.safetensors in float32. The formulas are those of docs/methods.md; every product, sum and quotient is rounded
to float32, as weld does, so that the values agree to the bit. Those of adapters are PEFT's (merge_and_unload of float32), and agree to 1e-6.
Versions are in requirements-torch.txt.
"""

import json
import os
import sys

import ml_dtypes
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from torch import nn

OUT = sys.argv[1]
F32 = np.float32
BLOCK, GROUP = 16, 8
SHAPES = {"model.layers.0.self_attn.q_proj": (12, 40), "model.layers.0.mlp.up_proj": (20, 24)}
NORM = "model.norm.weight"


def save(path, tensors, config=None):
    path = os.path.join(OUT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    save_file(tensors, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    if config:
        with open(os.path.join(os.path.dirname(path), "config.json"), "w") as f:
            f.write(json.dumps({"num_hidden_layers": 1, "quantization_config": config}) + "\n")


def spread(scales, block, shape):
    """Each scale as often as there are elements in its block; the blocks at the edges are cut."""
    return np.repeat(np.repeat(scales, block[0], 0), block[1], 1)[:shape[0], :shape[1]]


def fp8(r, positive=False):
    """Codes with scales of blocks, and what they stand for: code * scale."""
    stored, values = {}, {}
    for module, shape in SHAPES.items():
        codes = r.normal(size=shape) * 60
        codes = (np.abs(codes) + 1 if positive else codes).astype(ml_dtypes.float8_e4m3fn)
        scales = r.uniform(0.001, 0.003, [-(-n // BLOCK) for n in shape]).astype(F32)
        stored[module + ".weight"], stored[module + ".weight_scale_inv"] = codes, scales
        values[module + ".weight"] = codes.astype(F32) * spread(scales, (BLOCK, BLOCK), shape)
    return stored, values


def int4(r):
    """Integers of four bits, eight in a word, stored with 8 added, and what they stand for: code * scale of a group of columns."""
    stored, values = {}, {}
    for module, shape in SHAPES.items():
        codes = r.integers(-8, 8, shape)
        scales = r.uniform(0.01, 0.03, (shape[0], shape[1] // GROUP)).astype(F32)
        words = ((codes + 8).astype(np.uint32).reshape(shape[0], -1, 8) << np.arange(0, 32, 4, dtype=np.uint32)).sum(-1).astype(np.uint32)
        stored[module + ".weight_packed"], stored[module + ".weight_scale"] = words.view(np.int32), scales
        stored[module + ".weight_shape"] = np.array(shape, np.int64)
        values[module + ".weight"] = codes.astype(F32) * spread(scales, (1, GROUP), shape)
    return stored, values


def norm(r, stored, values):
    values[NORM] = r.normal(size=24).astype(ml_dtypes.bfloat16).astype(F32)
    stored[NORM] = values[NORM].astype(ml_dtypes.bfloat16)
    return stored, values


def case(name, text, values):
    os.makedirs(os.path.join(OUT, "cases"), exist_ok=True)
    if text:
        with open(os.path.join(OUT, "cases", name + ".yml"), "w") as f:
            f.write(text)
    for k, v in values.items():
        assert v.dtype == F32 and np.isfinite(v).all(), k
    save(f"cases/{name}.safetensors", values)


def per_tensor(f):
    return {k: f(k) for k in base}


r = np.random.default_rng(1)
FP8 = {"quant_method": "fp8", "weight_block_size": [BLOCK, BLOCK]}
stored, base = norm(r, *fp8(r))
save("base/model.safetensors", stored, FP8)
stored, a = norm(r, *fp8(r))
save("a/model.safetensors", stored, FP8)
stored, b = norm(r, *int4(r))
save("b/model.safetensors", stored, {
    "quant_method": "compressed-tensors", "format": "pack-quantized", "version": "0.20.1",
    "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": True, "strategy": "group", "group_size": GROUP}}}})

# Importance: of a as floats, of b as codes.
of_a = {k: np.abs(r.normal(size=v.shape)).astype(F32) for k, v in a.items()}
save("importance-a.safetensors", of_a)
stored, of_b = fp8(r, positive=True)
stored[NORM] = of_b[NORM] = np.abs(r.normal(size=24)).astype(F32)
save("importance-b/model.safetensors", stored, FP8)

MODELS = """models:
  - model: a
    parameters: {weight: %s, importance: importance-a.safetensors%s}
  - model: b
    parameters: {weight: %s, importance: importance-b%s}
"""


def fisher(k):
    num = den = np.zeros_like(base[k])
    for w, theta, importance in ((F32(0.7), a[k], of_a[k]), (F32(1.3), b[k], of_b[k])):
        weight = w * (importance * importance)
        num, den = num + weight * theta, den + weight
    return num / den


case("fisher", "merge_method: fisher\nout_dtype: float32\n" + MODELS % (0.7, "", 1.3, ""), per_tensor(fisher))


def sta(models, score, lam):
    """Keeps the elements of the highest scores of the whole model, each tensor's divided by their mean."""
    merged = {k: np.zeros_like(v) for k, v in base.items()}
    for w, density, theta, importance in models:
        scores = {}
        for k in base:
            s = np.abs((theta[k] if score == "weight" else theta[k] - base[k]) * importance[k])
            scores[k] = s / F32(s.astype(np.float64).sum() / s.size)
        ranked = np.sort(np.concatenate([s.ravel() for s in scores.values()]))[::-1]
        least = ranked[int(np.ceil(density * ranked.size)) - 1]
        for k in base:
            merged[k] = merged[k] + F32(w) * np.where((scores[k] >= least) & (scores[k] > 0), theta[k] - base[k], F32(0))
    return {k: base[k] + F32(lam) * merged[k] for k in base}


for score in ("weight", "delta"):
    case("sta-" + score, f"merge_method: sta\nbase_model: base\nout_dtype: float32\nparameters: {{preset: paper, score: {score}, lambda: 0.8}}\n" + MODELS % (0.7, ", density: 0.25", 1.3, ", density: 0.4"),
         sta([(0.7, 0.25, a, of_a), (1.3, 0.4, b, of_b)], score, 0.8))

# A sweep of the weight of b: one plan for each, and one walk over the inputs.
with open(os.path.join(OUT, "sweep.yml"), "w") as f:
    f.write("merge_method: task_arithmetic\nbase_model: base\nout_dtype: float32\nmodels:\n  - {model: a, parameters: {weight: 0.6}}\n  - {model: b, parameters: {weight: WEIGHT}}\n")
for w in (0.3, -0.5):
    case(f"sweep{w}", "", per_tensor(lambda k: base[k] + ((a[k] - base[k]) * F32(0.6) + (b[k] - base[k]) * F32(w))))


def with_adapter(name, values, seed, **options):
    """An adapter on the decoded weights, as PEFT adds it."""
    torch.manual_seed(seed)
    root = nn.Module()
    for key, value in values.items():
        *path, last = key.removesuffix(".weight").split(".")
        at = root
        for part in path:
            if not hasattr(at, part):
                at.add_module(part, nn.Module())
            at = getattr(at, part)
        if value.ndim == 2:
            layer = nn.Linear(value.shape[1], value.shape[0], bias=False)
        else:
            layer = nn.LayerNorm(value.shape[0], bias=False)
        layer.weight = nn.Parameter(torch.from_numpy(value.copy()))
        at.add_module(last, layer)
    model = get_peft_model(root, LoraConfig(r=3, lora_alpha=5, target_modules=["q_proj", "up_proj"], **options))
    for n, p in model.named_parameters():
        if "lora_" in n:
            p.data = torch.randn(p.shape) * 0.1 + (p.data if "magnitude" in n else 0)
    path = os.path.join(OUT, "adapter-" + name)
    model.save_pretrained(path)
    os.remove(os.path.join(path, "README.md"))
    os.chmod(os.path.join(path, "adapter_model.safetensors"), 0o644)
    merged = {n: p.detach().numpy() for n, p in model.merge_and_unload().named_parameters()}
    assert merged.keys() == values.keys()
    of = "base" if values is base else "b"
    case("adapter-" + name, f"merge_method: linear\nout_dtype: float32\nmodels:\n  - {{model: {of}+adapter-{name}, parameters: {{weight: 1}}}}\n", merged)


with_adapter("lora", base, 2)
with_adapter("dora", b, 3, use_dora=True)
