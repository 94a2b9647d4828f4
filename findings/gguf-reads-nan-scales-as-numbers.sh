#!/usr/bin/env bash
# A scale that is no number in MXFP4 or NVFP4 is a number in GGUF.
#
# Guessed: blocks of GGUF's MXFP4 and NVFP4 are those of their specifications: a scale of 0xff in E8M0 is NaN (OCP MX 1.0), and so is one of
#          0x7f or 0xff in E4M3. All values of such a block are NaN, as transformers, compressed-tensors and torchao have it.
# True:    gguf-py 0.19.0, which follows ggml's C code, has no NaN there. E8M0 0xff is 2^128. E4M3 0x7f is 0, and the sign is no bit of the
#          number: 0xff is 480, where its other bits are those of the NaN.
# Seen:    MXFP4, 0xff: 1.7014118346046923e+38; NVFP4, 0x7f: 0.0; NVFP4, 0xff: 240.0; NVFP4, 0x80: 0.0
# Matters: a block that a trainer or a converter spoilt is not found by looking for NaN: it is zeros, or numbers of 480 times a code. Whoever
#          compares a decoder of GGUF with one of safetensors has to leave these scales out; weld has ggml's values.
set -euo pipefail
. "$(dirname "$0")/venv" gguf==0.19.0
cat >"$work/decode.py" <<'EOF'
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.quants import dequantize

half = 0x11  # two codes that stand for 0.5


def first(t, scales, codes):
    block = np.array([scales + [half] * codes], np.uint8)
    return float(dequantize(block, t)[0, 0])


print("MXFP4, 0xff:", first(T.MXFP4, [0xFF], 16))
for scale in (0x7F, 0xFF, 0x80):
    print(f"NVFP4, {scale:#x}:", first(T.NVFP4, [scale] * 4, 32))
EOF
got=$("$python" "$work/decode.py")
want="MXFP4, 0xff: 1.7014118346046923e+38
NVFP4, 0x7f: 0.0
NVFP4, 0xff: 240.0
NVFP4, 0x80: 0.0"
echo "$got"
[[ $got == "$want" ]] || { echo "expected
$want"; exit 1; }
