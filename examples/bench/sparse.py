"""Writes the shape of a 70B model in no space: headers, and holes for the weights.

    python sparse.py DIR [--layers 80]

DIR gets base/, model/ and importance/: 80 layers, hidden 8192, ffn 28672, 8 of 64
heads for keys and values, vocabulary 128256, bfloat16, 141 GB each in 30 shards. Every
weight reads as 0, so this shows that memory stays constant, and nothing else.
"""

import argparse
import json
import struct
from pathlib import Path

HIDDEN, FFN, VOCABULARY, KV = 8192, 28672, 128256, 1024
SHARD = 5_000_000_000


def tensors(layers):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(layers):
        for name, shape in [
            ("input_layernorm.weight", (HIDDEN,)),
            ("mlp.down_proj.weight", (HIDDEN, FFN)),
            ("mlp.gate_proj.weight", (FFN, HIDDEN)),
            ("mlp.up_proj.weight", (FFN, HIDDEN)),
            ("post_attention_layernorm.weight", (HIDDEN,)),
            ("self_attn.k_proj.weight", (KV, HIDDEN)),
            ("self_attn.o_proj.weight", (HIDDEN, HIDDEN)),
            ("self_attn.q_proj.weight", (HIDDEN, HIDDEN)),
            ("self_attn.v_proj.weight", (KV, HIDDEN)),
        ]:
            yield f"model.layers.{layer}.{name}", shape
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def size(shape):
    n = 2
    for d in shape:
        n *= d
    return n


def shards(layers):
    shard, used = [], 0
    for name, shape in tensors(layers):
        if shard and used + size(shape) > SHARD:
            yield shard
            shard, used = [], 0
        shard.append((name, shape))
        used += size(shape)
    yield shard


def write(directory, layers):
    directory.mkdir(parents=True, exist_ok=True)
    parts, weight_map, total = list(shards(layers)), {}, 0
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors"
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name, shape in part:
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size(shape)]}
            offset += size(shape)
            weight_map[name] = file
        raw = json.dumps(header).encode()
        raw += b" " * (-len(raw) % 8)
        with open(directory / file, "wb") as f:
            f.write(struct.pack("<Q", len(raw)) + raw)
            f.truncate(8 + len(raw) + offset)
        total += offset
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    print(directory, total, "bytes in", len(parts), "shards")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--layers", type=int, default=80)
    args = parser.parse_args()
    for name in ("base", "model", "importance"):
        write(args.dir / name, args.layers)


if __name__ == "__main__":
    main()
