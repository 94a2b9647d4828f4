"""Names in memory and on disk: does weld find which parameter an importance file means?

transformers 5 names parameters otherwise in memory than in the files that it writes, and holds experts in
one tensor that files have one by one. For each model type this makes two tiny random models, writes them with
save_pretrained, and importance twice: under the names of named_parameters, and as the script of docs/importance.md does it, by
revert_weight_conversion. weld merges by `fisher`, whose result is an elementwise function of models and importance; transformers
loads it, and every parameter is held against numpy, computed under the names in memory. So which parameter is which is
transformers' word alone.

    python names.py --weld ./weld [--all | TYPE ...] [--table FILE]

Without arguments a dozen types whose layouts differ. A type that is merged and comes out otherwise is a failure; names in
memory that weld refuses are listed, and are one only for the dozen. What the script of docs/importance.md writes must always be taken.

--table writes the names of all types that differ, with transformers' word which is which, for format/names' tests.
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import numpy as np
import safetensors.torch
import torch
import transformers
from transformers import CONFIG_MAPPING
from transformers.core_model_loading import revert_weight_conversion
from transformers.models.auto import modeling_auto

# Each has its own way to differ: experts in one tensor, words for modules, places in a larger model, tied heads, none.
SELECTION = [
    "llama", "mixtral", "qwen3_moe", "deepseek_v3", "qwen2_vl", "gemma3", "llava", "mllama", "qwen3_vl_moe", "nemotron_h",
    "gpt_neox", "gpt_oss", "granitemoe", "ernie4_5_moe", "kimi_linear",
]

SMALL = {
    "vocab": 64, "layers": 4, "hidden": 16, "heads": 4, "kv": 2, "head_dim": 8, "inner": 24, "experts": 4, "chosen": 2, "rank": 8,
}
# What attributes of configurations are called, by what they count.
KINDS = [
    (r"(^|_)vocab_size$", "vocab"),
    (r"^(num_)?(hidden_|decoder_|encoder_|text_|language_|vision_)?layers$|^n_layers?$|^num_(hidden|encoder|decoder)_layers$|^depth$|^num_blocks$", "layers"),
    (r"(key_value|kv)_heads$|^n_kv_heads?$|^num_key_value_heads$", "kv"),
    (r"^(v|qk_nope|qk_rope|attention|linear_key|linear_value)?_?head_dim$|^kv_channels$|^index_head_dim$", "head_dim"),
    (r"heads$|^n_head$|^num_heads$", "heads"),
    (r"(n_routed|num_local|num|n)_experts$|^moe_num_experts$|^n_experts$", "experts"),
    (r"experts_per_tok|top_?k$|^moe_k$|_topk$|^num_selected_experts$", "chosen"),
    (r"lora_rank$|_rank$", "rank"),
    (r"intermediate_size$|ffn_dim$|ffn_hidden_size$|^d_ff$|^n_inner$|^mlp_dim$", "inner"),
    (r"^hidden_size$|^d_model$|^n_embd$|^embed_dim$|^hidden_dim$|^dim$|^out_hidden_size$|^projection_dim$|^emb_dim$|^width$", "hidden"),
]


def shrink(config):
    """Makes a configuration and those inside it tiny, as far as names of attributes tell how."""
    for name, value in list(vars(config).items()):
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            shrink(value)
        elif isinstance(value, bool) or name.startswith("_"):
            continue
        elif isinstance(value, int):
            for pattern, kind in KINDS:
                if re.search(pattern, name) and value > SMALL[kind]:
                    setattr(config, name, SMALL[kind])
                    break
        elif isinstance(value, list) and len(value) > SMALL["layers"] and len(value) == _layers(config, value):
            setattr(config, name, value[: SMALL["layers"]])
    for name, value in {"n_group": 1, "topk_group": 1, "image_size": 32, "patch_size": 8, "max_position_embeddings": 64, "num_position_embeddings": 16}.items():
        if isinstance(getattr(config, name, None), int):
            setattr(config, name, value)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id", "image_token_id", "video_token_id"):
        if isinstance(getattr(config, name, None), int):
            setattr(config, name, 1)


def _layers(config, value):
    kinds = ("layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers", "hybrid_layer_ids")
    return len(value) if any(getattr(config, k, None) is value for k in kinds) else -1


CLASSES = ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", "MODEL_FOR_MASKED_LM_MAPPING_NAMES", "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES")


def all_types():
    """Model types and the class of the first head that they have in CLASSES."""
    types = {}
    for mapping in CLASSES:
        for kind, cls in getattr(modeling_auto, mapping).items():
            types.setdefault(kind, cls[0] if isinstance(cls, (tuple, list)) else cls)
    return types


def build(kind, cls):
    config = CONFIG_MAPPING[kind]()
    shrink(config)
    model = getattr(transformers, cls)._from_config(config)
    if sum(p.numel() for p in model.parameters()) > 40e6:
        raise ValueError("not tiny")
    return model.float().eval()


def state(model):
    """What a file holds of a model, by the names in memory: each floating parameter and buffer once, and its names."""
    names = collections.defaultdict(list)
    for name, x in model.state_dict(keep_vars=True).items():
        if x.is_floating_point():
            names[x].append(name)
    return names


def fill(model, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for x in state(model):
            x.copy_(torch.randn(x.shape, generator=generator))


def importance(model, seed):
    """Random values of parameters' shapes by parameter; ones where it is a buffer."""
    generator = torch.Generator().manual_seed(seed)
    return {x: torch.rand(x.shape, generator=generator) + 0.1 if isinstance(x, torch.nn.Parameter) else torch.ones(x.shape) for x in state(model)}


class Wrong(Exception):
    pass


def merged(weld, tmp, how, files):
    """The state of the merge that weld makes with importance files, by the names in memory; None where it refuses."""
    out = tmp / f"out-{how}"
    args = [weld, "merge", "--method", "fisher", "--quiet"]
    for path, file in zip((tmp / "a", tmp / "b"), files):
        args += ["--model", path, "--importance", file]
    run = subprocess.run([*args, out], capture_output=True, text=True)
    if run.returncode == 3:
        return None, run.stderr
    if run.returncode:
        raise Wrong(run.stderr)
    return out, run.stderr


def check(weld, kind, cls):
    """("meets" or "refused", what weld says) of one type."""
    model = build(kind, cls)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = pathlib.Path(tmp)
        values, weights, kept = [], [], set(model.state_dict())
        for seed, name in enumerate("ab"):
            fill(model, seed)
            model.save_pretrained(tmp / name)
            values.append({x: x.detach().clone() for x in state(model)})
            weights.append(importance(model, 10 + seed))
            in_memory = {names[0]: weights[-1][x] for x, names in state(model).items()}
            safetensors.torch.save_file(in_memory, tmp / f"{name}-memory.safetensors")
            from_file = type(model).from_pretrained(tmp / name)
            # What transformers itself does not load as it saved it (a buffer that it makes anew) says nothing of a merge.
            kept &= {n for n, x in from_file.state_dict().items() if torch.equal(x, model.state_dict()[n])}
            tied = from_file.all_tied_weights_keys
            means = {tied.get(n, n): x for n, x in in_memory.items()}
            saved = {n: x.contiguous() for n, x in revert_weight_conversion(from_file, means).items()}
            safetensors.torch.save_file(saved, tmp / f"{name}-saved.safetensors")
        want = {}
        for x, names in state(model).items():
            (a, b), (ga, gb) = (v[x].double() for v in values), (w[x].double() for w in weights)
            for name in names:
                want[name] = (ga**2 * a + gb**2 * b) / (ga**2 + gb**2)
        if len(kept) < len(want) / 2:
            raise ValueError("transformers does not load what it saves")
        results = {}
        for how in ("saved", "memory"):
            out, said = merged(weld, tmp, how, [tmp / f"{n}-{how}.safetensors" for n in "ab"])
            results[how] = ("refused" if out is None else "meets", said)
            if out is None:
                if how == "saved":
                    raise Wrong(f"what the the script of docs/importance.md writes is refused: {said}")
                continue
            loaded, info = type(model).from_pretrained(out, output_loading_info=True)
            if info["missing_keys"] or info["unexpected_keys"]:
                raise Wrong(f"{how}: {info}")
            for name, x in loaded.state_dict().items():
                if name in want and name in kept and not torch.allclose(x.double(), want[name], rtol=1e-5, atol=1e-6):
                    raise Wrong(f"{how}: {name} is off by {(x.double() - want[name]).abs().max():.3g}; {said}")
        return results["memory"]


# The table for format/names' tests.

TABLE = SELECTION + [
    "afmoe", "aria_text", "bailing_hybrid", "beit", "cohere2_moe", "dinov2", "flex_olmo", "flint", "fuyu", "glm4v_moe", "hrm_text",
    "hy_v3", "jamba", "laguna", "lfm3", "longcat_flash", "mimo_v2_flash", "minimax", "minimax_m3_vl", "mistral_large4", "olmo_hybrid",
    "olmoe", "paddleocr_vl", "phimoe", "qwen2_audio", "qwen3_next", "t5gemma2", "vit", "voxtral",
]


def numbers(name):
    return [int(part) for part in name.split(".") if part.isdigit()]


def thin(names):
    """The first layer that has a tensor, and of other numbers 0 and 1."""
    layers = collections.defaultdict(set)
    family = lambda name: re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name)
    for name in names:
        layers[family(name)].update(numbers(name)[:1])
    first = {f: sorted(n)[:1] for f, n in layers.items()}
    return [n for n in names if not numbers(n) or numbers(n)[0] in first[family(n)] and max(numbers(n)[1:], default=0) <= 1]


def names_of(kind, cls):
    """The names and shapes of one type in memory and on disk, and for each name in memory those that it becomes."""
    with torch.device("meta"):
        model = getattr(transformers, cls)._from_config(CONFIG_MAPPING[kind]())
    kept = set(model.state_dict())
    tensors = dict(model.named_parameters()) | {n: b for n, b in model.named_buffers() if n in kept and b.is_floating_point()}
    disk = {n: list(x.shape) for n, x in revert_weight_conversion(model, dict(tensors)).items()}
    memory, truth = {}, {}
    for name in thin(tensors):
        shape, becomes = list(tensors[name].shape), list(revert_weight_conversion(model, {name: tensors[name]}))
        if len(shape) == 3 and len(becomes) > 3:  # experts, of which two are kept
            shape[0], becomes = 2, [n for n in becomes if numbers(n)[-1] < 2]
        memory[name], truth[name] = shape, becomes
    return {"memory": memory, "disk": {n: disk[n] for n in thin(disk)}, "becomes": {n: t for n, t in truth.items() if t != [n]}}


def write_table(path, types):
    table = {kind: names_of(kind, types[kind]) for kind in sorted(set(TABLE))}
    rows = ",\n".join(f"{json.dumps(kind)}: {json.dumps(v, separators=(',', ':'))}" for kind, v in table.items())
    pathlib.Path(path).write_text("{\n" + rows + "\n}\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weld", required=True)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--table")
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    transformers.utils.logging.disable_progress_bar()
    types = all_types()
    if args.table:
        write_table(args.table, types)
        return
    chosen = args.types or (types if args.all else SELECTION)
    count, failed = collections.Counter(), []
    for kind in chosen:
        try:
            result, said = check(args.weld, kind, types[kind])
        except Wrong as error:
            result, said = "WRONG", str(error)
            failed.append(kind)
        except Exception as error:  # a type whose configuration does not shrink, or that wants other packages
            result, said = "not built", f"{type(error).__name__}: {error}"
        if result == "refused" and not args.all and not args.types:
            failed.append(kind)
        count[result] += 1
        print(f"{result:10} {kind:30} {' '.join(said.split())[:300]}", flush=True)
    print(dict(count))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
