"""Small GGUF files as gguf-py writes them, and what it decodes from them.

    python .ci/interop/gguf_golden.py format/gguf/testdata

writes NAME.gguf; types.want.safetensors has the values of types.gguf in float32. encode.want.safetensors has values, and the blocks that
gguf-py quantises them to. Versions are in requirements-gguf.txt.
"""

import os
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as T, GGUFEndian, GGUFWriter
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

OUT = sys.argv[1]

DECODED = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS, T.TQ1_0, T.TQ2_0, T.MXFP4, T.NVFP4]

# Where a block has numbers of binary16: most random bits there are no scale that anybody has.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2],
    T.Q6_K: [208], T.IQ4_NL: [0], T.IQ4_XS: [0], T.TQ1_0: [52], T.TQ2_0: [64], T.MXFP4: [], T.NVFP4: [],
}


def blocks(r, t, rows, elements):
    """Random codes, with scales as they are used, and some odd ones: zero, negative, denormal, infinite, no number."""
    size, width = GGML_QUANT_SIZES[t]
    n = rows * elements // size
    raw = r.integers(0, 256, (n, width), dtype=np.uint8)
    for at in HALVES[t]:
        scales = (r.standard_normal(n) * 2.0 ** r.integers(-12, 4, n)).astype(np.float16)
        odd = np.array([0.0, -0.0, 6e-8, -65504.0, np.inf, np.nan], np.float16)
        scales[n - len(odd):] = odd if n > 2 * len(odd) else scales[n - len(odd):]
        raw[:, at : at + 2] = scales.view(np.uint8).reshape(n, 2)
    return raw.reshape(rows, -1)


def types():
    r = np.random.default_rng(1)
    w = GGUFWriter(os.path.join(OUT, "types.gguf"), "llama")
    want = {}
    for t in DECODED:
        rows, elements = (2, 224) if GGML_QUANT_SIZES[t][0] == 32 else (2, 512)
        if t == T.NVFP4:
            elements = 576  # whose 36 scales are all kinds of bits
        raw = blocks(r, t, rows, elements)
        w.add_tensor(t.name, raw, raw_dtype=t)
        with np.errstate(invalid="ignore", over="ignore"):
            want[t.name] = np.ascontiguousarray(dequantize(raw, t), dtype=np.float32)
    x = r.standard_normal((3, 2, 5))
    plain = {"F64": x, "F32": x.astype(np.float32), "F16": x.astype(np.float16), "I64": (x * 1000).astype(np.int64), "I32": (x * 1000).astype(np.int32), "I16": (x * 1000).astype(np.int16), "I8": (x * 30).astype(np.int8)}
    for name, values in plain.items():
        w.add_tensor(name, values)
    raw = quantize(x.astype(np.float32), T.BF16)
    w.add_tensor("BF16", raw, raw_dtype=T.BF16)
    want["BF16"] = np.ascontiguousarray(dequantize(raw, T.BF16))
    want |= plain
    finish(w)
    save_file(want, os.path.join(OUT, "types.want.safetensors"))


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def small(name, **how):
    """Metadata of all types, and two tensors."""
    w = GGUFWriter(os.path.join(OUT, name), "qwen2", **how)
    w.add_custom_alignment(64)
    w.add_name("a small model")
    w.add_uint8("t.uint8", 200)
    w.add_int8("t.int8", -3)
    w.add_uint16("t.uint16", 60000)
    w.add_int16("t.int16", -30000)
    w.add_uint32("t.uint32", 4000000000)
    w.add_int32("t.int32", -2000000000)
    w.add_uint64("t.uint64", 2**64 - 1)
    w.add_int64("t.int64", -(2**63))
    w.add_float32("t.float32", 1e-6)
    w.add_float64("t.float64", 0.1)
    w.add_bool("t.bool", True)
    w.add_string("t.long", "{# a template #}\n" + "x" * 20000)
    w.add_token_list(["<s>", "</s>", "a", "ä", b"\xff", "six", "seven"])
    w.add_array("t.few", [1, 2, 3])
    w.add_array("t.floats", [0.5, -1.0, 2.0, 1e30, 3.0])
    w.add_array("t.truths", [True, False])
    w.add_tensor("token_embd.weight", np.arange(21, dtype=np.float32).reshape(3, 7))
    w.add_tensor("output_norm.weight", np.arange(7, dtype=np.float16))
    finish(w)


def splits():
    w = GGUFWriter(os.path.join(OUT, "split.gguf"), "llama", split_max_tensors=2)
    for k in range(5):
        w.add_tensor("blk.%d.weight" % k, np.full((2, 3), k, np.float32))
    finish(w)


def encode():
    """Values of all magnitudes that a block of weights has, with ties and zeros."""
    r = np.random.default_rng(2)
    x = (r.standard_normal((24, 64)) * 2.0 ** r.integers(-20, 6, (24, 1))).astype(np.float32)
    x[0] = 0
    x[1] = np.arange(64) / 4 - 8  # halves between codes
    x[2, ::2] = 0
    x[3] = -0.0
    x[4] = np.float32(2.0**-24) * r.standard_normal(64).astype(np.float32)  # scales that are denormal in binary16
    x[5] = r.integers(-8, 8, 64) * 0.25
    x[6, 7], x[6, 40] = 300, -300
    want = {"values": x}
    for t in [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.MXFP4]:
        want[t.name] = quantize(x, t)
    save_file(want, os.path.join(OUT, "encode.want.safetensors"))


os.makedirs(OUT, exist_ok=True)
types()
small("small.gguf")
small("big-endian.gguf", endianess=GGUFEndian.BIG)
splits()
encode()
