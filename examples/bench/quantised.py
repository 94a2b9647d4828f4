"""Times merges of quantised models beside those of plain ones, weight by weight.

    python quantised.py DIR --weld ./weld [--beside OTHER] [--weights 128e6] [--rounds 9] [--scheme fp8-block …] [-- --quantize none]

DIR, best in /dev/shm, gets two models a scheme, of random values, as many weights in each: plain (bfloat16), FP8 with scales of blocks of 128 by 128, of rows and of
whole tensors, MXFP4 and NVFP4 as compressed-tensors lays them out, MXFP4 as gpt-oss does, integers in groups. In every round all of them are merged by each build
(`linear`, one process each, written as the inputs are stored), in turn, so that what else the machine does falls on all alike. The table has the least and the
median of wall and of processor time (user and system), and how many weights a second that is, in parts of the plain models' in the same round: the median.
Arguments behind -- are weld's. Needs numpy alone.
"""

import argparse
import json
import shutil
import statistics
import struct
import sys
from pathlib import Path

import numpy as np
from process import run

SIDE = 4096
EXPERTS, HIDDEN = 4, 2880  # of gpt-oss
RNG = np.random.default_rng(12)
NORMAL = RNG.standard_normal(1 << 22, dtype=np.float32)
E4M3 = np.array([(1 + m / 8) * 2.0 ** (e - 7) if e else m / 8 * 2.0**-6 for e in range(16) for m in range(8)][:127])
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def nearest(values, x, sign):
    """The codes of the values that are nearest, with a bit for the sign."""
    middles = (values[1:] + values[:-1]) / 2
    return (np.searchsorted(middles, abs(x)) + sign * (x < 0)).astype(np.uint8)


def pool(codes):
    """Draws as many codes as asked for out of a pool of them."""

    def draw(n):
        at = int(RNG.integers(len(codes) // 2))
        return np.resize(np.roll(codes, -at), n)

    return draw


BF16 = pool((NORMAL * np.float32(0.02)).view(np.uint32) >> 16)
FP8 = pool(nearest(E4M3, NORMAL * 100, 128))
FP4 = pool((lambda c: c[::2] | c[1::2] << 4)(nearest(E2M1, NORMAL * 2, 8)))
BYTES = pool(np.clip(np.rint(NORMAL * 30), -127, 127).astype(np.int8))


def bf16(x):
    return (np.asarray(x, np.float32).view(np.uint32) >> 16).astype("<u2")


def scales(*shape):
    return RNG.uniform(1e-4, 2e-4, shape).astype(np.float32)


def compressed(layout, **weights):
    group = {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "float", "symmetric": True, "dynamic": False, **weights}, "format": layout}
    return {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"group_0": group}, "ignore": [], "quantization_status": "compressed", "version": "0.20.1"}


def linear(store):
    """Square matrices in the layers of a Llama; store makes of each what its module has."""

    def tensors(weights):
        for i in range(max(1, round(weights / SIDE**2))):
            for name, stored in store().items():
                yield f"model.layers.{i}.mlp.up_proj.{name}", stored

    return tensors


def experts(store):
    """Experts of gpt-oss, layer by layer."""

    def tensors(weights):
        for i in range(max(1, round(weights / (3 * EXPERTS * HIDDEN**2)))):
            for name, out in ("gate_up_proj", 2 * HIDDEN), ("down_proj", HIDDEN):
                for suffix, stored in store(out).items():
                    yield f"model.layers.{i}.mlp.experts.{name}{suffix}", stored

    return tensors


def plain():
    return {"weight": ("BF16", bf16_of(SIDE, SIDE))}


def bf16_of(*shape):
    return BF16(int(np.prod(shape))).astype("<u2").reshape(shape)


def fp8(name, dtype, *shape):
    return lambda: {"weight": ("F8_E4M3", FP8(SIDE * SIDE).reshape(SIDE, SIDE)), name: (dtype, scales(*shape) if dtype == "F32" else bf16(scales(*shape)))}


def mxfp4():
    return {"weight_packed": ("U8", FP4(SIDE * SIDE // 2).reshape(SIDE, -1)), "weight_scale": ("U8", RNG.integers(118, 122, (SIDE, SIDE // 32), np.uint8))}


def nvfp4():
    return {
        "weight_packed": ("U8", FP4(SIDE * SIDE // 2).reshape(SIDE, -1)),
        "weight_scale": ("F8_E4M3", RNG.integers(0x70, 0x7F, (SIDE, SIDE // 16), np.uint8)),
        "weight_global_scale": ("F32", np.float32([2e4])),
    }


def int4():
    return {
        "weight_packed": ("I32", FP4(SIDE * SIDE // 2).view("<i4").reshape(SIDE, -1)),
        "weight_scale": ("BF16", bf16(scales(SIDE, SIDE // 128))),
        "weight_shape": ("I64", np.int64([SIDE, SIDE])),
    }


def int8():
    return {"weight": ("I8", BYTES(SIDE * SIDE).reshape(SIDE, SIDE)), "weight_scale": ("BF16", bf16(scales(SIDE, 1)))}


def gpt_oss(out):
    return {
        "_blocks": ("U8", FP4(EXPERTS * out * HIDDEN // 2).reshape(EXPERTS, out, HIDDEN // 32, 16)),
        "_scales": ("U8", RNG.integers(118, 122, (EXPERTS, out, HIDDEN // 32), np.uint8)),
    }


SCHEMES = {  # tensors, quantization_config, model_type
    "plain": (linear(plain), None, "llama"),
    "fp8-block": (linear(fp8("weight_scale_inv", "F32", 32, 32)), {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}, "llama"),
    "fp8-channel": (linear(fp8("weight_scale", "BF16", SIDE, 1)), compressed("float-quantized", strategy="channel"), "llama"),
    "fp8-tensor": (linear(fp8("weight_scale", "F32", 1)), compressed("float-quantized", strategy="tensor"), "llama"),
    "mxfp4": (linear(mxfp4), compressed("mxfp4-pack-quantized", num_bits=4, strategy="group", group_size=32, scale_dtype="torch.uint8"), "llama"),
    "nvfp4": (linear(nvfp4), compressed("nvfp4-pack-quantized", num_bits=4, strategy="tensor_group", group_size=16, scale_dtype="torch.float8_e4m3fn"), "llama"),
    "int4": (linear(int4), compressed("pack-quantized", num_bits=4, type="int", strategy="group", group_size=128), "llama"),
    "int8": (linear(int8), compressed("int-quantized", type="int", strategy="channel"), "llama"),
    "gpt-oss": (experts(gpt_oss), {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, "gpt_oss"),
}


def write(directory, scheme, weights):
    tensors, quantization, model = SCHEMES[scheme]
    directory.mkdir(parents=True)
    stored = dict(tensors(weights))
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, data) in stored.items():
        header[name] = {"dtype": dtype, "shape": data.shape, "data_offsets": [offset, offset + data.nbytes]}
        offset += data.nbytes
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(directory / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for _, data in stored.values():
            f.write(data.tobytes())
    config = {"model_type": model, "torch_dtype": "bfloat16"}
    if quantization:
        config["quantization_config"] = quantization
    (directory / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def weights_of(scheme, weights):
    """How many weights a model has, by what is stored."""
    if scheme == "gpt-oss":
        return max(1, round(weights / (3 * EXPERTS * HIDDEN**2))) * 3 * EXPERTS * HIDDEN**2
    return max(1, round(weights / SIDE**2)) * SIDE**2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--weld", type=Path, required=True)
    parser.add_argument("--beside", type=Path, help="another build, measured in the same rounds")
    parser.add_argument("--weights", type=float, default=128e6)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scheme", action="append", choices=SCHEMES, help="some of them; plain comes on top")
    end = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    own, more = sys.argv[1:end], sys.argv[end + 1 :]  # argparse of Python 3.11 takes no positional arguments behind it here
    args = parser.parse_args(own)
    schemes = ["plain"] + [s for s in SCHEMES if s != "plain" and (not args.scheme or s in args.scheme)]
    for scheme in schemes:
        for model in "ab":
            if not (args.dir / scheme / model).exists():
                write(args.dir / scheme / model, scheme, args.weights)
    builds = {"weld": args.weld} | ({"beside": args.beside} if args.beside else {})
    runs = {(scheme, build): [] for scheme in schemes for build in builds}
    out = args.dir / "out"
    for _ in range(args.rounds):
        for scheme, build in runs:
            shutil.rmtree(out, ignore_errors=True)
            models = [arg for model in "ab" for arg in ("--model", args.dir / scheme / model)]
            behind = [] if scheme == "plain" else more
            runs[scheme, build].append(run([builds[build], "merge", "-q", "--method", "linear", *models, *behind, out]))
    shutil.rmtree(out, ignore_errors=True)
    print(f"{'':12} {'build':7} {'wall s':>13} {'ratio':>6} {'processor s':>13} {'ratio':>6} {'weights':>9}")
    for (scheme, build), times in runs.items():
        n, of = (weights_of(s, args.weights) for s in (scheme, "plain"))
        line = f"{scheme:12} {build:7}"
        for clock in "seconds", "processor":
            plain, seconds = ([getattr(took, clock) for took in some] for some in (runs["plain", build], times))
            ratio = statistics.median(p / of / (s / n) for p, s in zip(plain, seconds))
            line += f" {min(seconds):6.3f} {statistics.median(seconds):6.3f} {ratio:6.2f}"
        print(f"{line} {n / 1e6:7.0f} M")


if __name__ == "__main__":
    main()
