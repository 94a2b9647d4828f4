"""Writes the shapes of large models in no space: headers, and holes for the weights.

    python sparse.py DIR [--layers 80]
    python sparse.py DIR --shapes deepseek-v3 [--layers 61] [--experts 256] [--width 2048]

DIR gets base/, model/ and importance/: 80 layers, hidden 8192, ffn 28672, 8 of 64
heads for keys and values, vocabulary 128256, bfloat16, 141 GB each in 30 shards. Every
weight reads as 0, so this shows what memory and time shapes take, and nothing else.

deepseek-v3 is DeepSeek-V3 without its prediction layer: FP8 in blocks of 128 by 128 with
weight_scale_inv, 91,000 tensors and 672 GB each in base/, model/ and other/. --experts are
those of a layer, --width is how wide each of them is.
"""

import argparse
import json
import struct
from pathlib import Path

HIDDEN, FFN, VOCABULARY, KV = 8192, 28672, 128256, 1024
SHARD = 5_000_000_000
BLOCK = 128
BYTES = {"BF16": 2, "F32": 4, "F8_E4M3": 1}


def deepseek(layers, experts, width):
    """The tensors of DeepSeek-V3 as its config.json and modeling_deepseek.py have them."""
    hidden, ffn, vocabulary, heads = 7168, 18432, 129280, 128

    def linear(name, rows, columns):
        yield name + ".weight", "F8_E4M3", (rows, columns)
        yield name + ".weight_scale_inv", "F32", (-(-rows // BLOCK), -(-columns // BLOCK))

    def mlp(name, wide):
        yield from linear(name + ".gate_proj", wide, hidden)
        yield from linear(name + ".up_proj", wide, hidden)
        yield from linear(name + ".down_proj", hidden, wide)

    yield "model.embed_tokens.weight", "BF16", (vocabulary, hidden)
    for layer in range(layers):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", "BF16", (hidden,)
        yield at + "post_attention_layernorm.weight", "BF16", (hidden,)
        yield from linear(at + "self_attn.q_a_proj", 1536, hidden)
        yield at + "self_attn.q_a_layernorm.weight", "BF16", (1536,)
        yield from linear(at + "self_attn.q_b_proj", heads * (128 + 64), 1536)
        yield from linear(at + "self_attn.kv_a_proj_with_mqa", 512 + 64, hidden)
        yield at + "self_attn.kv_a_layernorm.weight", "BF16", (512,)
        yield from linear(at + "self_attn.kv_b_proj", heads * (128 + 128), 512)
        yield from linear(at + "self_attn.o_proj", hidden, heads * 128)
        if layer < 3:
            yield from mlp(at + "mlp", ffn)
            continue
        yield at + "mlp.gate.weight", "BF16", (experts, hidden)
        yield at + "mlp.gate.e_score_correction_bias", "F32", (experts,)
        yield from mlp(at + "mlp.shared_experts", width)
        for expert in range(experts):
            yield from mlp(at + f"mlp.experts.{expert}", width)
    yield "model.norm.weight", "BF16", (hidden,)
    yield "lm_head.weight", "BF16", (vocabulary, hidden)


def deepseek_config(layers, experts, width):
    return {
        "architectures": ["DeepseekV3ForCausalLM"], "model_type": "deepseek_v3", "num_hidden_layers": layers, "first_k_dense_replace": 3,
        "hidden_size": 7168, "n_routed_experts": experts, "moe_intermediate_size": width, "num_nextn_predict_layers": 0, "torch_dtype": "bfloat16",
        "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK]},
    }


def llama(layers):
    for name, shape in llama_shapes(layers):
        yield name, "BF16", shape


def llama_shapes(layers):
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


def size(dtype, shape):
    n = BYTES[dtype]
    for d in shape:
        n *= d
    return n


def shards(tensors):
    shard, used = [], 0
    for name, dtype, shape in tensors:
        if shard and used + size(dtype, shape) > SHARD:
            yield shard
            shard, used = [], 0
        shard.append((name, dtype, shape))
        used += size(dtype, shape)
    yield shard


def write(directory, tensors, config):
    directory.mkdir(parents=True, exist_ok=True)
    parts, weight_map, total = list(shards(tensors)), {}, 0
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors"
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name, dtype, shape in part:
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size(dtype, shape)]}
            offset += size(dtype, shape)
            weight_map[name] = file
        raw = json.dumps(header).encode()
        raw += b" " * (-len(raw) % 8)
        with open(directory / file, "wb") as f:
            f.write(struct.pack("<Q", len(raw)) + raw)
            f.truncate(8 + len(raw) + offset)
        total += offset
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    if config:
        (directory / "config.json").write_text(json.dumps(config, indent=2))
    print(directory, len(weight_map), "tensors,", total, "bytes in", len(parts), "shards")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--shapes", choices=["llama-70b", "deepseek-v3"], default="llama-70b")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--experts", type=int, default=256)
    parser.add_argument("--width", type=int, default=2048)
    args = parser.parse_args()
    if args.shapes == "llama-70b":
        for name in ("base", "model", "importance"):
            write(args.dir / name, llama(args.layers or 80), None)
        return
    shape = (args.layers or 61, args.experts, args.width)
    for name in ("base", "model", "other"):
        write(args.dir / name, deepseek(*shape), deepseek_config(*shape))


if __name__ == "__main__":
    main()
