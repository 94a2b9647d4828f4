"""Small checkpoints whose values are packed, and what the real libraries decode from them.

    python .ci/interop/quant_integers_golden.py format/quant/testdata

writes NAME.safetensors as the library has it, with what config.json says of it in the file's metadata under "config", and
NAME.want.safetensors with the values in float32. Versions are in requirements-quant.txt.
"""

import importlib.util
import json
import os
import sys

import numpy as np
import torch
from safetensors.torch import save_file

OUT = sys.argv[1]


def golden(name, stored, want, config, metadata=None):
    stored = {k: v.contiguous() for k, v in stored.items()}
    save_file(stored, os.path.join(OUT, name + ".safetensors"), {**(metadata or {}), "config": json.dumps({"quantization_config": config})})
    for k, v in want.items():
        assert v.dtype == torch.float32, k
    save_file({k: v.contiguous() for k, v in want.items()}, os.path.join(OUT, name + ".want.safetensors"))


def mxfp4():
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors

    r = torch.Generator().manual_seed(1)
    stored, want = {}, {}
    for name, (experts, out, groups) in {"gate_up_proj": (2, 6, 3), "down_proj": (2, 5, 1)}.items():
        key = "model.layers.0.mlp.experts." + name
        stored[key + "_blocks"] = torch.randint(0, 256, (experts, out, groups, 16), dtype=torch.uint8, generator=r)
        # 255 is no number in E8M0; transformers takes it for 2^128.
        stored[key + "_scales"] = torch.randint(0, 255, (experts, out, groups), dtype=torch.uint8, generator=r)
        stored[key + "_bias"] = torch.zeros(experts, out, dtype=torch.bfloat16)
        want[key] = convert_moe_packed_tensors(stored[key + "_blocks"], stored[key + "_scales"], dtype=torch.float32)
    golden("mxfp4", stored, want, {"quant_method": "mxfp4"})


def original():
    """OpenAI's own layout of the same: gpt_oss is no package that installs beside the others, and its file is loaded alone."""
    spec = importlib.util.spec_from_file_location("weights", importlib.util.find_spec("gpt_oss").submodule_search_locations[0] + "/torch/weights.py")
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    r = torch.Generator().manual_seed(9)
    stored, want = {}, {}
    for name, (experts, out, groups) in {"mlp1_weight": (2, 6, 3), "mlp2_weight": (2, 5, 1)}.items():
        key = "block.0.mlp." + name
        stored[key + ".blocks"] = torch.randint(0, 256, (experts, out, groups, 16), dtype=torch.uint8, generator=r)
        stored[key + ".scales"] = torch.randint(0, 255, (experts, out, groups), dtype=torch.uint8, generator=r)
    save_file(stored, os.path.join(OUT, "mxfp4-original.safetensors"))
    checkpoint = library.Checkpoint(OUT, torch.device("cpu"))
    for key in ("block.0.mlp.mlp1_weight", "block.0.mlp.mlp2_weight"):
        want[key] = checkpoint._get_mxfp4_tensor(key + ".blocks", key + ".scales", dtype=torch.float32)
    save_file(want, os.path.join(OUT, "mxfp4-original.want.safetensors"))


def stream(codes, bits):
    """Codes of the last axis as a stream of bits in words of 32: how GPTQ packs (AutoGPTQ 0.7.1, qlinear_cuda_old.py, pack)."""
    n = codes.shape[-1] * bits
    flat = np.zeros((*codes.shape[:-1], n), np.uint8)
    for b in range(bits):
        flat[..., b::bits] = codes >> b & 1
    words = flat.reshape(*codes.shape[:-1], n // 32, 32).astype(np.uint64)
    return torch.from_numpy((words << np.arange(32, dtype=np.uint64)).sum(-1).astype(np.uint32).view(np.int32))


def gptq(layout):
    """scale[g_idx] * (code - zero[g_idx]) in float32: BaseQuantLinear.dequantize_weight of GPTQModel 7.7, whose kernels need more than a CPU to import."""
    r = np.random.default_rng(2)
    stored, want = {}, {}
    for bits in (2, 3, 4, 8) if layout == "gptq" else (3, 4):
        inputs, outputs, groups = 32, 32, 2
        key = "model.layers.%d.q_proj" % bits
        codes = r.integers(0, 2**bits, (inputs, outputs))
        zeros = r.integers(1, 2**bits, (groups, outputs))
        scales = (r.random((groups, outputs)) + 0.1).astype(np.float16)
        order = r.integers(0, groups, inputs) if bits % 2 == 0 else np.arange(inputs) // (inputs // groups)
        stored[key + ".qweight"] = stream(codes.T, bits).T.contiguous()
        stored[key + ".qzeros"] = stream(zeros - (layout == "gptq"), bits)
        stored[key + ".scales"] = torch.from_numpy(scales)
        stored[key + ".g_idx"] = torch.from_numpy(order.astype(np.int32))
        stored[key + ".bias"] = torch.zeros(outputs, dtype=torch.float16)
        want[key + ".weight"] = torch.from_numpy((scales.astype(np.float32)[order] * (codes - zeros[order]).astype(np.float32)).T)
    golden(layout, stored, want, {"quant_method": "gptq", "bits": 4, "checkpoint_format": layout, "dynamic": {"+:.*": {}}})


def awq():
    """The library's file is loaded alone: its package wants kernels."""
    path = importlib.util.find_spec("gptqmodel").submodule_search_locations[0]
    spec = importlib.util.spec_from_file_location("packing_utils", path + "/quantization/awq/utils/packing_utils.py")
    library = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(library)
    r = torch.Generator().manual_seed(3)
    inputs, outputs, size = 70, 24, 32
    codes = torch.randint(0, 16, (inputs, outputs), generator=r)
    zeros = torch.randint(0, 16, (3, outputs), generator=r)
    scales = torch.rand(3, outputs, generator=r).half()
    weight, points = library.pack_awq(codes, zeros, 4)
    key = "model.layers.0.q_proj"
    whole = library.dequantize_gemm(torch.cat([weight, weight[:26]]), points, scales.float(), 4, size)[:inputs]
    stored = {key + ".qweight": weight, key + ".qzeros": points, key + ".scales": scales, key + ".bias": torch.zeros(outputs, dtype=torch.float16)}
    golden("awq", stored, {key + ".weight": whole.T}, {"quant_method": "awq", "bits": 4, "group_size": size, "version": "gemm", "zero_point": True})


def bitsandbytes():
    from bitsandbytes import functional as F

    torch.manual_seed(4)
    stored, want = {}, {}
    # A last block that is cut, codes in another type than U8.
    for k, (kind, shape, block, nested, storage, dtype) in enumerate([
            ("nf4", (3, 70), 64, False, torch.uint8, torch.bfloat16), ("fp4", (5, 70), 128, False, torch.uint8, torch.float16),
            ("nf4", (4, 72), 64, True, torch.uint8, torch.float16), ("fp4", (3, 64), 64, True, torch.bfloat16, torch.float32)]):
        key = "model.layers.%d.q_proj.weight" % k
        codes, state = F.quantize_4bit(torch.randn(shape).to(dtype), blocksize=block, compress_statistics=nested, quant_type=kind, quant_storage=storage)
        stored[key] = codes
        stored.update({key + "." + n: v for n, v in state.as_dict(packed=True).items()})
        state.dtype = torch.float32
        # Code 8 of fp4 is 0 in quant_map. The kernels make -0 or 0 of it, depending on where in a tensor it is.
        want[key] = F.dequantize_4bit(codes, state) + 0.0
    codes, scales, _ = F.int8_vectorwise_quant(torch.randn(10, 24).half())
    key = "model.layers.9.q_proj."
    stored.update({key + "weight": codes, key + "SCB": scales, key + "weight_format": torch.tensor(0, dtype=torch.uint8)})
    want[key + "weight"] = F.int8_vectorwise_dequant(codes, scales)
    golden("bitsandbytes", stored, want, {"quant_method": "bitsandbytes", "load_in_4bit": True})


def hqq():
    from hqq.core.quantize import BaseQuantizeConfig, HQQLinear, Quantizer

    torch.manual_seed(5)
    stored, want = {}, {}
    for k, (bits, axis, group) in enumerate([(8, 1, 16), (4, 1, 32), (4, 0, 32), (3, 1, 16), (3, 0, 16), (2, 0, 16), (1, 1, 16), (4, 1, None)]):
        linear = torch.nn.Linear(32, 8, bias=k == 0).requires_grad_(False)
        layer = HQQLinear(linear, BaseQuantizeConfig(nbits=bits, group_size=group, axis=axis, view_as_float=k == 2), compute_dtype=torch.float32, device="cpu")
        key = "model.layers.%d.q_proj." % k
        stored.update({key + n: v for n, v in layer.state_dict().items() if v is not None})
        want[key + "weight"] = Quantizer.dequantize(layer.W_q, layer.meta)
    golden("hqq", stored, want, {"quant_method": "hqq"})


def quanto():
    from optimum.quanto import freeze, qfloat8_e4m3fn, qint2, qint4, qint8, quantize

    torch.manual_seed(6)
    stored, want = {}, {}
    for k, kind in enumerate([qint8, qint4, qint2, qfloat8_e4m3fn]):
        model = torch.nn.Sequential(torch.nn.Linear(128, 5))
        quantize(model, weights=kind)
        freeze(model)
        key = "model.layers.%d.q_proj." % k
        stored.update({key + n.removeprefix("0."): v for n, v in model.state_dict().items()})
        want[key + "weight"] = model[0].weight.dequantize().detach()
    golden("quanto", stored, want, {"quant_method": "quanto"})


def torchao():
    from torchao import quantization as ao
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    torch.manual_seed(7)
    stored, want, metadata, names = {}, {}, {}, []
    for k, terms in enumerate([
            ao.Int8WeightOnlyConfig(version=2), ao.Float8WeightOnlyConfig(), ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=ao.PerGroup(32)),
            ao.IntxWeightOnlyConfig(weight_dtype=torch.int8, mapping_type=ao.MappingType.ASYMMETRIC)]):
        model = torch.nn.Sequential(torch.nn.Linear(64, 6))
        ao.quantize_(model, terms)
        key = "model.layers.%d.q_proj." % k
        state = {key + n.removeprefix("0."): v if n.endswith("weight") else v.data for n, v in model.state_dict().items()}
        tensors, said = flatten_tensor_state_dict(state)
        stored.update(tensors)
        names += json.loads(said.pop("tensor_names"))
        metadata.update(said)
        want[key + "weight"] = model[0].weight.dequantize().detach()
    golden("torchao", stored, want, {"quant_method": "torchao"}, {**metadata, "tensor_names": json.dumps(names)})


def int4(r, rows, cols, size, dtype):
    """Int4Tensor of random codes: its own way to make them wants kernels of a GPU. code * scale + zero, which torchao's GPTQ computes in other steps."""
    from torchao.prototype.gptq.api import _int4_row_dequantize_zp
    from torchao.quantization import Int4Tensor

    codes = torch.randint(-8, 8, (rows, cols), dtype=torch.int8, generator=r)
    groups = -(-cols // size)
    scale, zero = [(torch.rand(groups, rows, generator=r) + 0.1).to(dtype) for _ in range(2)]
    packed = codes[:, ::2] & 15 | codes[:, 1::2] << 4
    each = torch.arange(cols) // size
    value = (codes.numpy().astype(np.float32) * scale.float().numpy().T[:, each]).astype(np.float32) + zero.float().numpy().T[:, each]
    library = _int4_row_dequantize_zp(codes, scale.float(), zero.float(), size).numpy()
    assert np.abs(value - library).max() <= 4 * np.spacing(np.float32(16)), np.abs(value - library).max()
    return Int4Tensor(packed, scale, zero, [1, size], torch.Size([rows, cols])), torch.from_numpy(value)


def torchao_narrow():
    """Floats of four and six bits, E5M2, integers of four bits; scales in the weight's order and swizzled."""
    from torchao.prototype.mx_formats.mx_tensor import MXTensor
    from torchao.prototype.mx_formats.nvfp4_tensor import NVFP4Tensor
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict

    r = torch.Generator().manual_seed(8)
    normal = lambda *shape: torch.randn(*shape, generator=r).bfloat16()
    state, want = {}, {}
    for k, t in enumerate([
            *[MXTensor.to_mx(normal(2, 64), element, 32) for element in (torch.float8_e4m3fn, torch.float8_e5m2, "fp6_e2m3", "fp6_e3m2", torch.float4_e2m1fn_x2)],
            MXTensor.to_mx(normal(3, 160), torch.float4_e2m1fn_x2, 32, is_swizzled_scales=True),
            NVFP4Tensor.to_nvfp4(normal(3, 32)), NVFP4Tensor.to_nvfp4(normal(34, 80), per_tensor_scale=torch.tensor(0.003), is_swizzled_scales=True),
            NVFP4Tensor.to_nvfp4(normal(2, 3, 32), per_tensor_scale=torch.tensor([0.003, 0.005]).view(2, 1, 1), act_per_tensor_scale=torch.tensor(0.5)),
            int4(r, 5, 40, 16, torch.bfloat16), int4(r, 3, 64, 32, torch.float32)]):
        key = "model.layers.%d.q_proj.weight" % k
        state[key], want[key] = t if isinstance(t, tuple) else (t, t.dequantize(torch.float32))
    tensors, said = flatten_tensor_state_dict(state)
    golden("torchao-narrow", tensors, want, {"quant_method": "torchao"}, said)


mxfp4()
original()
gptq("gptq")
gptq("gptq_v2")
awq()
bitsandbytes()
hqq()
quanto()
torchao()
torchao_narrow()
