"""Writes checkpoints for measuring: random weights in the shape of a small Llama.

    python make.py DIR [--gigabytes 2] [--models 2] [--seed 1]

DIR gets base/, model-1/ … and importance-1/ …, each a safetensors directory of
that size in bfloat16; the models have a config.json. Needs numpy alone; the header is
written by hand.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np

HIDDEN, FFN, VOCABULARY = 2048, 8192, 32000
HEADS, KV_HEADS = 32, 8


def tensors(size):
    """Names and shapes, layer by layer until size bytes are reached."""
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    left = size // 2 - 2 * VOCABULARY * HIDDEN
    layer = 0
    while left > 0:
        prefix = f"model.layers.{layer}."
        for name, shape in [
            ("input_layernorm.weight", (HIDDEN,)),
            ("self_attn.q_proj.weight", (HIDDEN, HIDDEN)),
            ("self_attn.k_proj.weight", (HIDDEN // 4, HIDDEN)),
            ("self_attn.v_proj.weight", (HIDDEN // 4, HIDDEN)),
            ("self_attn.o_proj.weight", (HIDDEN, HIDDEN)),
            ("mlp.gate_proj.weight", (FFN, HIDDEN)),
            ("mlp.up_proj.weight", (FFN, HIDDEN)),
            ("mlp.down_proj.weight", (HIDDEN, FFN)),
        ]:
            yield prefix + name, shape
            left -= int(np.prod(shape))
        layer += 1
    yield "lm_head.weight", (VOCABULARY, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)  # the small ones that make it a Llama: last, so that
    for i in range(layer):  # the numbers of the tensors above, and so their values, stay as they were
        yield f"model.layers.{i}.post_attention_layernorm.weight", (HIDDEN,)


def config(size):
    """What transformers and mergekit want to know."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": sum("mlp.down_proj" in name for name, _ in tensors(size)),
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }


def bfloat16(x):
    """The leading half of float32, truncated: exact enough for weights made up anyway."""
    return (x.view(np.uint32) >> 16).astype("<u2")


def write(directory, size, values, metadata):
    directory.mkdir(parents=True, exist_ok=True)
    header, offset, shapes = {"__metadata__": metadata}, 0, list(tensors(size))
    for name, shape in shapes:
        end = offset + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with open(directory / "model.safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(raw)) + raw)
        for i, (_, shape) in enumerate(shapes):
            f.write(bfloat16(values(i, int(np.prod(shape)))).tobytes())
    print(directory, 8 + len(raw) + offset, "bytes")


def write_model(directory, size, values):
    write(directory, size, values, {"format": "pt"})
    (directory / "config.json").write_text(json.dumps(config(size), indent=2) + "\n")


def normal(seed, scale):
    return lambda i, n: np.float32(scale) * np.random.default_rng([seed, i]).standard_normal(n, dtype=np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--models", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    size = int(args.gigabytes * 1e9)
    base = normal(args.seed, 0.02)
    write_model(args.dir / "base", size, base)
    for m in range(1, args.models + 1):
        delta, grad = normal(args.seed + 100 * m, 0.001), normal(args.seed + 100 * m + 1, 1e-4)
        write_model(args.dir / f"model-{m}", size, lambda i, n: base(i, n) + delta(i, n))
        write(args.dir / f"importance-{m}", size, lambda i, n: abs(grad(i, n)), {"weld.statistic": "mean_abs_grad"})


if __name__ == "__main__":
    main()
