#!/usr/bin/env bash
# transformers reads a model in GGUF without the stretching of its rotations, and Qwen3's without the size of its heads.
#
# Guessed: from_pretrained(gguf_file=…) makes the configuration that the file's metadata says; what it does not understand is an error.
# True: rope.scaling.* and rope_freqs.weight (Llama 3) are passed over without a word, for all architectures but gpt-oss: rotations are those of
#   before, and texts beyond the first training are read wrongly. attention.key_length is passed over for qwen3, whose head_dim is then the
#   default, 128, whatever the file has.
# Version: transformers 5.23.0, gguf 0.19.0.
# Seen: qwen2 with yarn and factor 4, llama with linear and factor 2: rope_type default; qwen3 with heads of 64: head_dim 128.
# Why it matters: it cannot be what a conversion of GGUF is held to, nor loads it such models as llama.cpp computes them. weld writes rope_scaling and
#   head_dim, and refuses what it has no word for.
set -euo pipefail
. "$(dirname "$0")/venv" transformers==5.23.0 torch==2.15.0 gguf==0.19.0 numpy
"$python" - <<'PY' 2>/dev/null
import os
import sys
import tempfile

import numpy as np
import transformers
from gguf import GGUFWriter, RopeScalingType

ok = True
for name, kind in ("qwen2", RopeScalingType.YARN), ("llama", RopeScalingType.LINEAR), ("qwen3", None):
    with tempfile.TemporaryDirectory() as folder:
        w = GGUFWriter(os.path.join(folder, "m.gguf"), name)
        w.add_name("small")
        w.add_block_count(1)
        w.add_context_length(4096)
        w.add_embedding_length(512)
        w.add_feed_forward_length(512)
        w.add_head_count(4)
        w.add_head_count_kv(4)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_rope_freq_base(10000.0)
        w.add_token_list(["a", "b"])
        if kind is None:
            w.add_key_length(64)
            w.add_value_length(64)
        else:
            w.add_rope_scaling_type(kind)
            w.add_rope_scaling_factor(4.0)
            w.add_rope_scaling_orig_ctx_len(1024)
        w.add_tensor("token_embd.weight", np.zeros((2, 512), np.float32))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        config = transformers.AutoConfig.from_pretrained(folder, gguf_file="m.gguf")
    said = config.rope_parameters["rope_type"] if kind else config.head_dim
    print(name, "in the file:", kind.value if kind else "heads of 64", "in the configuration:", said)
    ok = ok and said == ("default" if kind else 128)
sys.exit(0 if ok else 1)
PY
