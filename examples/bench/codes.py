"""How far codes compress: packs, *.safetensors.zst and patches of quantised models, as parts of their plain files.

    python codes.py DIR --weld ./weld [--matrices 6] [--scheme fp8 …]

DIR, best in /dev/shm, gets three models a scheme: matrices of 4096 × 4096 of normal values whose rows have sizes of their own, and two fine-tunes that moved every
value a little; each stored in the scheme, with scales. Every result is restored (apply, unpack) and compared with the directory of the same merge.
Needs torch and safetensors.
"""

import argparse
import filecmp
import json
import subprocess
from pathlib import Path

import torch
from safetensors.torch import save_file

SIDE = 4096


def weights(matrix, tune):
    at = lambda seed: torch.Generator().manual_seed(seed)
    g = at(matrix)
    w = torch.randn(SIDE, SIDE, generator=g) * 0.02 * torch.exp(torch.randn(SIDE, 1, generator=g) * 0.3)
    return w + torch.randn(SIDE, SIDE, generator=at(1000 * tune + matrix)) * 0.0004 if tune else w


def e2m1(x):
    middles = torch.tensor([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0])
    return torch.bucketize(x.abs(), middles).to(torch.uint8) | (x < 0).to(torch.uint8) * 8


def pairs(codes):
    codes = codes.reshape(SIDE, SIDE)
    return (codes[:, 0::2] | codes[:, 1::2] << 4).contiguous()


def fp8(w):
    scales = w.reshape(SIDE // 128, 128, SIDE // 128, 128).abs().amax((1, 3)) / 448
    wide = scales.repeat_interleave(128, 0).repeat_interleave(128, 1)
    return {"weight": (w / wide).to(torch.float8_e4m3fn), "weight_scale_inv": scales}


def int4(w):
    x = w.reshape(-1, 128)
    scales = (x.abs().amax(1, keepdim=True) / 7.5).to(torch.bfloat16)
    codes = ((x / scales.float()).round().clamp(-8, 7) + 8).to(torch.uint8)
    return {"weight_packed": pairs(codes).view(torch.int32), "weight_scale": scales.reshape(SIDE, -1), "weight_shape": torch.tensor([SIDE, SIDE])}


def mxfp4(w):
    x = w.reshape(-1, 32)
    exponents = torch.floor(torch.log2(x.abs().amax(1, keepdim=True))) - 2
    return {"weight_packed": pairs(e2m1((x / 2**exponents).clamp(-6, 6))), "weight_scale": (exponents + 127).to(torch.uint8).reshape(SIDE, -1)}


def nvfp4(w):
    x, whole = w.reshape(-1, 16), 448 * 6 / w.abs().max()
    scales = (x.abs().amax(1, keepdim=True) / 6 * whole).to(torch.float8_e4m3fn)
    return {"weight_packed": pairs(e2m1(x / (scales.float() / whole))), "weight_scale": scales.reshape(SIDE, -1), "weight_global_scale": whole.reshape(1)}


def compressed(layout, kind, strategy, size):
    group = {"num_bits": 4, "type": kind, "symmetric": True, "strategy": strategy, "group_size": size}
    return {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"all": {"targets": ["Linear"], "weights": group}}}


SCHEMES = {
    "fp8": (fp8, {"quant_method": "fp8", "weight_block_size": [128, 128]}),
    "int4": (int4, compressed("pack-quantized", "int", "group", 128)),
    "mxfp4": (mxfp4, compressed("mxfp4-pack-quantized", "float", "group", 32)),
    "nvfp4": (nvfp4, compressed("nvfp4-pack-quantized", "float", "tensor_group", 16)),
}


def save(path, scheme, matrices, tune):
    encode, config = SCHEMES[scheme]
    tensors = {f"model.layers.{i}.mlp.up_proj.{name}": x for i in range(matrices) for name, x in encode(weights(i, tune)).items()}
    path.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path / "model.safetensors", {"format": "pt"})
    (path / "config.json").write_text(json.dumps({"quantization_config": config}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--weld", default="./weld")
    parser.add_argument("--matrices", type=int, default=6)
    parser.add_argument("--scheme", nargs="+", choices=SCHEMES, default=list(SCHEMES))
    args = parser.parse_args()

    def weld(*words):
        subprocess.run([args.weld, words[0], "-q", "--force", *map(str, words[1:])], check=True, stdout=subprocess.DEVNULL)

    for scheme in args.scheme:
        at = args.dir / scheme
        base, a, b = at / "base", at / "a", at / "b"
        for tune, path in enumerate((base, a, b)):
            save(path, scheme, args.matrices, tune)
        linear = ["merge", "--method", "linear", "--base", base, "--model", a, "--model", b]
        ties = ["merge", "--method", "ties", "--density", "0.2", "--base", base, "--model", a, "--model", b]
        plain = (base / "model.safetensors").stat().st_size
        for name, words, out in (
            ("pack", ["pack", base], "base.weld"),
            ("zst", ["convert", base], "base.safetensors.zst"),
            ("patch, a fine-tune", ["patch", base, a], "a.weldpatch"),
            ("patch, linear", linear, "linear.weldpatch"),
            ("patch, ties", ties, "ties.weldpatch"),
            ("pack, linear", linear, "linear.weld"),
        ):
            weld(*words, at / out)
            print(f"{scheme:6} {name:20} {(at / out).stat().st_size / plain:6.1%}", flush=True)
        for words, out, want in (
            (["apply", base, at / "a.weldpatch"], "applied", a),
            (["unpack", at / "base.weld"], "unpacked", base),
            (linear, "linear", None),
            (["unpack", at / "linear.weld"], "unpacked", at / "linear"),
            (["apply", base, at / "linear.weldpatch"], "applied", at / "linear"),
        ):
            weld(*words, at / out)
            if want and not filecmp.cmp(at / out / "model.safetensors", want / "model.safetensors", shallow=False):
                raise SystemExit(f"{scheme}: {out} is not {want}")


if __name__ == "__main__":
    main()
