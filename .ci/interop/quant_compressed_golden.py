"""Small checkpoints of compressed-tensors, and what the library decodes from them.

    python .ci/interop/quant_compressed_golden.py format/quant/testdata

writes compressed-NAME.safetensors as the library has it, with the quantization_config that it writes in the file's metadata under "config", and
compressed-NAME.want.safetensors with the values. Release 0.20.1 writes the layouts of today, 0.12.2 those that it no longer knows.
Both are in requirements-compressed.txt. Values are those of the library in float32; of a bfloat16 model they are bfloat16, as the library rounds them.
compressed-NAME-other.safetensors is a model of other weights in the schemes of NAME, and compressed-NAME-other.want.safetensors those weights as they were
before the library stored them.
"""

import json
import math
import os
import sys
import tempfile

import compressed_tensors
import torch
from compressed_tensors.quantization import QuantizationArgs
from safetensors.torch import save_file

OUT = sys.argv[1]


def golden(name, stored, want, config):
    stored = {k: v.detach().contiguous() for k, v in stored.items()}
    want = {k: v.detach().contiguous() for k, v in want.items()}
    metadata = {"config": json.dumps({"quantization_config": config}, sort_keys=True)}
    save_file(stored, os.path.join(OUT, f"compressed-{name}.safetensors"), metadata)
    save_file(want, os.path.join(OUT, f"compressed-{name}.want.safetensors"))


def minmax(w, args):
    """The least and the greatest value of every block that has a scale."""
    strategy, rows, cols = args.strategy, *w.shape
    if strategy == "tensor":
        return w.min().reshape(1), w.max().reshape(1)
    if strategy == "channel":
        return w.amin(-1, keepdim=True), w.amax(-1, keepdim=True)
    if strategy == "block":
        h, b = args.block_structure
        w = torch.nn.functional.pad(w, (0, -cols % b, 0, -rows % h)).unflatten(0, (-1, h)).unflatten(-1, (-1, b)).transpose(1, 2)
        return w.amin((-1, -2)), w.amax((-1, -2))
    w = w.unflatten(-1, (-1, args.group_size))
    return w.amin(-1), w.amax(-1)


def today():
    from compressed_tensors.compressors import BaseCompressor, ModelCompressor
    from compressed_tensors.quantization import QuantizationConfig, QuantizationScheme, apply_quantization_config
    from compressed_tensors.quantization.lifecycle.forward import dequantize
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    def model(name, sizes, groups, ignore, dtype, seed=1):
        """A model of layers, each by a scheme of its own. Other weights are larger, and have a block of zeros."""
        torch.manual_seed(seed)
        m = torch.nn.Module()
        m.layers = torch.nn.ModuleDict({k: torch.nn.Linear(cols, rows, bias=k == "w4", dtype=dtype) for k, (rows, cols) in sizes.items()})
        weights = {}
        if seed != 1:
            for k, layer in m.layers.items():
                layer.weight.data = 3 * torch.randn(layer.weight.shape)
                if k.startswith("nv"):
                    layer.weight.data[1, :16] = 0
                weights[f"layers.{k}.weight"] = layer.weight.data.clone()
        config = QuantizationConfig(config_groups={k: QuantizationScheme(**g) for k, g in groups.items()}, ignore=ignore)
        apply_quantization_config(m, config, show_progress=False)
        for k, layer in m.layers.items():
            scheme = getattr(layer, "quantization_scheme", None)
            if scheme is None:
                continue
            args, w, g = scheme.weights, layer.weight.data, None
            low, high = minmax(w, args)
            if args.strategy == "tensor_group":
                g = generate_gparam(w.min(), w.max())
                layer.weight_global_scale.data = g
            scale, zero = calculate_qparams(low, high, args, g)
            assert scale.shape == layer.weight_scale.shape, (k, scale.shape, layer.weight_scale.shape)
            layer.weight_scale.data = scale.to(layer.weight_scale.dtype)
            layer.weight_zero_point.data = zero.to(layer.weight_zero_point.dtype)
            for end in ("input_scale", "input_global_scale"):
                if hasattr(layer, end):
                    getattr(layer, end).data.fill_(2.5)
        compressor = ModelCompressor.from_pretrained_model(m)
        compressor.compress_model(m)
        stored = {k: v.clone() for k, v in m.state_dict().items()}
        want = {}
        for k, layer in m.layers.items():
            name_ = f"layers.{k}.weight"
            scheme = getattr(layer, "quantization_scheme", None)
            if scheme is None:
                want[name_] = stored[name_]
                continue
            state = {n.rsplit(".", 1)[1]: v for n, v in stored.items() if n.startswith(f"layers.{k}.")}
            plain = BaseCompressor.get_value_from_registry(scheme.format).decompress(state, scheme)
            want[name_] = plain["weight"]
            if "weight_packed" in state and state["weight_packed"].dtype == torch.uint8:
                # Narrow floats come out in bfloat16, whatever the model has: the same in float32 first.
                bits = scheme.weights.num_bits
                codes = unpack(state["weight_packed"], bits)
                exact = dequantize(codes, plain["weight_scale"].float(), args=scheme.weights, dtype=torch.float32, global_scale=state.get("weight_global_scale"))
                assert torch.equal(exact.bfloat16(), plain["weight"]), k
                want[name_] = exact
            elif scheme.format == "mxfp8-quantized":
                want[name_] = want[name_].float()  # a power of two, which rounds nothing
        with tempfile.TemporaryDirectory() as d:
            compressor.update_config(d)
            with open(os.path.join(d, "config.json")) as f:
                config = json.load(f)["quantization_config"]
        golden(name, stored, weights or want, config)

    def unpack(packed, bits):
        from compressed_tensors.compressors.mxfp6.helpers import unpack_fp6_from_uint8
        from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8

        rows, n = packed.shape
        return (unpack_fp4_from_uint8 if bits == 4 else unpack_fp6_from_uint8)(packed, rows, n * 8 // bits, dtype=torch.float32)

    def scheme(target, format=None, inputs=None, **args):
        return {"targets": [target], "weights": QuantizationArgs(**args), "input_activations": inputs, "format": format}

    static = QuantizationArgs(num_bits=8, type="int", dynamic=False)
    schemes, sizes = {}, {}
    for bits in range(1, 9):  # words that codes go over the border of, and columns that do not fill the last one
        sizes[f"p{bits}"] = (3, 45)
        schemes[f"p{bits}"] = scheme(f"layers.p{bits}", num_bits=bits, strategy="channel", symmetric=bits % 2 == 1)
    sizes.update(z3=(35, 32), w4=(9, 64), t4=(5, 70), i8c=(9, 33), i8t=(5, 7), i8z=(3, 32), i12=(4, 12), f8t=(5, 9), f8c=(7, 20), f8b=(21, 34), f8g=(4, 32), plain=(3, 5))
    schemes["z3"] = scheme("layers.z3", num_bits=3, group_size=32, symmetric=False)
    schemes["w4"] = scheme("re:.*w4$", num_bits=4, group_size=16, symmetric=False, actorder="weight")
    schemes["t4"] = scheme("layers.t4", num_bits=4, symmetric=False)
    schemes["i8c"] = scheme("layers.i8c", inputs=static, num_bits=8, strategy="channel")
    schemes["i8t"] = scheme("layers.i8t", inputs=static, num_bits=8)
    schemes["i8z"] = scheme("layers.i8z", inputs=static, num_bits=8, group_size=16, symmetric=False)
    schemes["i12"] = scheme("layers.i12", format="naive-quantized", num_bits=12, strategy="channel")
    f8 = QuantizationArgs(num_bits=8, type="float", dynamic=True, strategy="token")
    schemes["f8t"] = scheme("layers.f8t", inputs=f8, num_bits=8, type="float")
    schemes["f8c"] = scheme("layers.f8c", inputs=f8, num_bits=8, type="float", strategy="channel")
    schemes["f8b"] = scheme("layers.f8b", inputs=f8, num_bits=8, type="float", strategy="block", block_structure=[8, 16])
    schemes["f8g"] = scheme("Linear", num_bits=8, type="float", group_size=8)
    model("mixed", sizes, schemes, ["re:.*plain"], torch.float32)
    del sizes["plain"]
    model("mixed-other", sizes, schemes, [], torch.float32, seed=2)

    mx = dict(type="float", strategy="group", group_size=32, scale_dtype=torch.uint8)
    nv = dict(num_bits=4, type="float", strategy="tensor_group", group_size=16, scale_dtype=torch.float8_e4m3fn)
    sizes = {"nv": (7, 48), "nva": (3, 32), "mx4": (5, 64), "mx6": (5, 96), "mx8": (5, 64)}
    schemes = {
        "nv": scheme("layers.nv", **nv), "nva": scheme("layers.nva", inputs=QuantizationArgs(**{**nv, "dynamic": "local"}), **nv),
        "mx4": scheme("layers.mx4", num_bits=4, **mx), "mx6": scheme("layers.mx6", num_bits=6, **mx), "mx8": scheme("layers.mx8", num_bits=8, **mx),
    }
    model("narrow", sizes, schemes, [], torch.float32)
    model("narrow-other", sizes, schemes, [], torch.float32, seed=2)

    model("bf16", {"w4": (9, 64), "i8": (6, 64), "f8": (9, 20)}, {
        "w4": scheme("layers.w4", num_bits=4, group_size=16, symmetric=False), "i8": scheme("layers.i8", inputs=static, num_bits=8, strategy="channel"),
        "f8": scheme("layers.f8", inputs=f8, num_bits=8, type="float", strategy="channel"),
    }, [], torch.bfloat16)


def earlier():
    from compressed_tensors.compressors import pack_to_int32
    from compressed_tensors.compressors.quantized_compressors.pack_quantized import PackedQuantizationCompressor
    from compressed_tensors.compressors.sparse_compressors import BitmaskCompressor, Sparse24BitMaskCompressor
    from compressed_tensors.config import BitmaskConfig, Sparse24BitMaskConfig
    from compressed_tensors.quantization.lifecycle.forward import dequantize, quantize
    from compressed_tensors.quantization.utils import calculate_qparams

    version = compressed_tensors.__version__

    def args_of(**args):
        return QuantizationArgs(**args)

    r, other = torch.Generator().manual_seed(2), torch.Generator().manual_seed(3)
    # Columns in an order of their own; words of three-bit codes that are not filled.
    stored, want, groups, others, plain = {}, {}, {}, {}, {}
    for name, rows, cols, args in (
        ("order", 6, 64, args_of(num_bits=4, group_size=16, actorder="group")),
        ("order_zero", 5, 64, args_of(num_bits=4, group_size=8, actorder="group", symmetric=False)),
        ("unfilled", 2, 32, args_of(num_bits=4, group_size=16, actorder="group")),
        ("three", 35, 32, args_of(num_bits=3, group_size=32, symmetric=False)),
        ("five", 3, 64, args_of(num_bits=5, strategy="channel")),
    ):
        w = torch.randn(rows, cols, generator=r)
        low, high = minmax(w, args)
        scale, zero = calculate_qparams(low, high, args)
        g_idx = None
        if args.actorder:
            g_idx = (torch.randperm(cols, generator=r) // args.group_size).to(torch.int32)
            if name == "unfilled":
                g_idx.fill_(-1)
        codes = quantize(w, scale, zero, args, dtype=torch.int8, g_idx=g_idx)
        key = f"layers.{name}."

        def store(to, w, scale, zero, codes):
            if args.symmetric:
                to |= {key + k: v for k, v in PackedQuantizationCompressor().compress_weight(w, scale, args, zero, g_idx).items()}
            else:
                to |= {key + "weight_packed": pack_to_int32(codes, args.num_bits), key + "weight_shape": torch.tensor(w.shape),
                       key + "weight_zero_point": pack_to_int32(zero.to(torch.int8), args.num_bits, packed_dim=0)}
            to[key + "weight_scale"] = scale
            if g_idx is not None:
                to[key + "weight_g_idx"] = g_idx

        store(stored, w, scale, zero, codes)
        w2 = 3 * torch.randn(rows, cols, generator=other)
        columns = torch.arange(cols) if g_idx is None or name == "unfilled" else g_idx.argsort(stable=True)
        scale2, zero2 = calculate_qparams(*minmax(w2[:, columns], args), args)
        store(others, w2, scale2, zero2, quantize(w2, scale2, zero2, args, dtype=torch.int8, g_idx=g_idx))
        plain[key + "weight"] = w2
        want[key + "weight"] = dequantize(codes, scale, zero if not args.symmetric else None, args, g_idx=g_idx)
        groups[name] = {"targets": [f"layers.{name}"], "weights": args.model_dump(mode="json")}
    config = {"quant_method": "compressed-tensors", "format": "pack-quantized", "version": version, "config_groups": groups, "ignore": []}
    golden("earlier", stored, want, config)
    golden("earlier-other", others, plain, config)

    for name, compressor, half in (("sparse", BitmaskCompressor(BitmaskConfig()), False), ("sparse24", Sparse24BitMaskCompressor(Sparse24BitMaskConfig()), True)):
        state, scales = {}, {}
        for k, (rows, cols), dtype in (("a", (9, 20), torch.float32), ("b", (7, 36), torch.bfloat16), ("f8", (6, 24), torch.float8_e4m3fn)):
            w = torch.randn(rows, cols, generator=r)
            if half:
                w.view(-1, 4)[torch.arange(w.numel() // 4), torch.randint(4, (w.numel() // 4,), generator=r)] = 0
                w.view(-1, 4).scatter_(1, w.view(-1, 4).abs().topk(2, largest=False).indices, 0)
            else:
                w[torch.rand(w.shape, generator=r) < 0.6] = 0
                w[2] = 0
            state[f"layers.{k}.weight"] = w.to(dtype)
        stored = compressor.compress(state)
        want = dict(compressor.decompress_from_state_dict(stored))
        assert all(torch.equal(want[k].float(), v.float()) for k, v in state.items())
        scale = torch.rand(6, 1, generator=r)
        stored["layers.f8.weight_scale"] = scale
        want["layers.f8.weight"] = want["layers.f8.weight"].float() * scale
        weights = args_of(num_bits=8, type="float", strategy="channel").model_dump(mode="json")
        golden(name, stored, want, {
            "quant_method": "compressed-tensors", "format": "float-quantized", "version": version, "ignore": ["layers.a", "layers.b"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
            "sparsity_config": compressor.config.model_dump(mode="json"),
        })


today() if compressed_tensors.__version__ == "0.20.1" else earlier()
