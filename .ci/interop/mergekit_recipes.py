"""Writes what mergekit reads out of recipes, for the Go tests to compare with.

    V/bin/python mergekit_recipes.py [DIR]        (V as for mergekit_golden.py)

DIR is stream/testdata/recipes if it is not given. DIR/lab is small models, made from a seed,
always the same. DIR/values.json is, for every recipe DIR/*.yml, what mergekit's own planner
resolves: the tensors of the output, the tensor of each model that goes into one, and all
parameters there. Nothing is merged. A recipe that mergekit refuses is listed with null.

    V/bin/python mergekit_recipes.py --merge OUT  [DIR]

merges all recipes, to OUT/NAME.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import ml_dtypes
import numpy as np
import torch
import yaml
from mergekit import plan
from mergekit.architecture import arch_info_for_config
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.common import ModelReference
from mergekit.merge import MergeOptions, run_merge

from checkpoints import save, save_dir

ROOT = pathlib.Path(__file__).resolve().parents[2]
HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, LAYERS = 8, 12, 2, 1, 4, 4
KV = KV_HEADS * HEAD_DIM
RANK = 2
BF16 = np.dtype(ml_dtypes.bfloat16)

WORDS = ["<unk>", "<s>", "</s>", *"abcdefghijklmnopqr", "ab", "ac", "abc"]
MERGES = ["a b", "a c", "ab c"]
VOCABULARY = len(WORDS)


# Models: a family with an output layer, some of whose members have tokens of their own, and a
# family whose embeddings are tied, with biases.


def layer(i, bias):
    for name, shape in [
        ("input_layernorm.weight", (HIDDEN,)),
        ("self_attn.q_proj.weight", (HIDDEN, HIDDEN)),
        ("self_attn.k_proj.weight", (KV, HIDDEN)),
        ("self_attn.v_proj.weight", (KV, HIDDEN)),
        ("self_attn.o_proj.weight", (HIDDEN, HIDDEN)),
        ("post_attention_layernorm.weight", (HIDDEN,)),
        ("mlp.gate_proj.weight", (FFN, HIDDEN)),
        ("mlp.up_proj.weight", (FFN, HIDDEN)),
        ("mlp.down_proj.weight", (HIDDEN, FFN)),
    ]:
        yield f"model.layers.{i}.{name}", shape
    for name, size in [("q_proj", HIDDEN), ("k_proj", KV), ("v_proj", KV)] if bias else []:
        yield f"model.layers.{i}.self_attn.{name}.bias", (size,)


def shapes(rows, tied):
    yield "model.embed_tokens.weight", (rows, HIDDEN)
    for i in range(LAYERS):
        yield from layer(i, bias=tied)
    yield "model.norm.weight", (HIDDEN,)
    if not tied:
        yield "lm_head.weight", (rows, HIDDEN)


def config(rows, tied):
    return {
        "architectures": ["Qwen2ForCausalLM" if tied else "LlamaForCausalLM"],
        "model_type": "qwen2" if tied else "llama",
        "hidden_size": HIDDEN, "intermediate_size": FFN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM,
        "vocab_size": rows, "max_position_embeddings": 64, "hidden_act": "silu", "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied, "torch_dtype": "bfloat16", "bos_token_id": 1, "eos_token_id": 2,
    }


def tokenizer(added):
    tokens = [(i, w) for i, w in enumerate(WORDS[:3])] + [(VOCABULARY + i, w) for i, w in enumerate(added)]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": i, "content": w, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for i, w in tokens],
        "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {w: i for i, w in enumerate(WORDS)}, "merges": MERGES},
    }


def tensors(seed, model, rows, tied):
    """Norms about 1, matrices about 0; a fine-tune is the base and noise."""
    base, own = np.random.default_rng([seed, 0]), np.random.default_rng([seed, model])
    all = {}
    for name, shape in shapes(rows, tied):
        start = (VOCABULARY, HIDDEN) if rows in shape else shape
        x = base.normal(1, 0.1, start) if len(shape) == 1 else base.normal(0, 0.25, start)
        x = np.concatenate([x, own.normal(0, 0.25, (shape[0] - start[0], *shape[1:]))])
        if model:
            x = x + own.normal(0, 0.05, shape)
        all[name] = x.astype(BF16)
    return all


def write_model(directory, seed, model, added=(), rows=None, tied=False, template=None):
    rows = rows or VOCABULARY + len(added)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
                "model_max_length": 64}
    if template:
        settings["chat_template"] = template
    files = {"config.json": config(rows, tied), "tokenizer.json": tokenizer(added), "tokenizer_config.json": settings}
    save_dir(directory, [tensors(seed, model, rows, tied)],
             {name: (json.dumps(x, indent=1) + "\n").encode() for name, x in files.items()})


def write_adapter(directory, seed):
    rng = np.random.default_rng([99, seed])
    inner = {}
    for i in range(LAYERS):
        for module, size in [("q_proj", HIDDEN), ("v_proj", KV)]:
            name = f"base_model.model.model.layers.{i}.self_attn.{module}"
            inner[name + ".lora_A.weight"] = rng.normal(0, 0.2, (RANK, HIDDEN)).astype(np.float32)
            inner[name + ".lora_B.weight"] = rng.normal(0, 0.2, (size, RANK)).astype(np.float32)
    directory.mkdir()
    save(directory / "adapter_model.safetensors", inner)
    settings = {"peft_type": "LORA", "base_model_name_or_path": "lab/base", "r": RANK, "lora_alpha": 4,
                "target_modules": ["q_proj", "v_proj"], "bias": "none", "task_type": "CAUSAL_LM"}
    (directory / "adapter_config.json").write_text(json.dumps(settings, indent=1) + "\n")


TURN = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"


def write_lab(lab):
    shutil.rmtree(lab, ignore_errors=True)
    write_model(lab / "base", 1, 0)
    for i, name in enumerate(["instruct", "code", "math", "story"], 1):
        write_model(lab / name, 1, i, template=TURN if i < 3 else None)
    write_model(lab / "chatml", 1, 5, added=["<|im_start|>", "<|im_end|>"])
    write_model(lab / "llama3", 1, 6, added=["<|eot_id|>"])
    write_model(lab / "padded", 1, 7, rows=32)
    write_model(lab / "tied", 2, 0, tied=True)
    write_model(lab / "tied-code", 2, 1, tied=True)
    write_model(lab / "tied-math", 2, 2, tied=True)
    write_adapter(lab / "adapter", 1)
    write_adapter(lab / "persona", 2)


# What mergekit's planner resolves.


class Recorder(plan.MergePlanner):
    """Stops where a task would be made."""

    def values(self):
        self.resolved = []
        self.normalize_config()
        for name in self.config.modules:
            self.plan_module(name, self.config.modules[name])
        return [describe(task) for _, task in self._tensors]


def describe(task):
    """A tensor of the output, what holds for it, and what goes into it."""
    gathered = task.gather_tensors
    while not hasattr(gathered, "weight_info"):
        gathered = gathered.gather_tensors
    name = task.output_weight.name
    inputs = []
    for model in task.model_order:
        own = dict(task.input_parameters.get(model, {})) if task.input_parameters else {}
        inputs.append((str(model), gathered.weight_info[model].name, own))
    return name, dict(task.parameters or {}), inputs


def plain_loader(self, model, original=LoaderCache.get):
    """Adapters change no names."""
    return original(self, ModelReference(model=model.model))


def resolve(text):
    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    options = MergeOptions(lazy_unpickle=True, quiet=True)
    models = config.referenced_models()
    first = config.base_model or models[0]
    arch = arch_info_for_config(first.config())
    return Recorder(config, arch, options, first.config()).values()


def compact(values):
    """Equal parameters are written once."""
    sets, tensors = [], []

    def index(x):
        x = {k: x[k] for k in sorted(x)}
        if x not in sets:
            sets.append(x)
        return sets.index(x)

    for name, shared, inputs in values:
        tensors.append([name, index(shared), [[m, "" if n == name else n, index(own)] for m, n, own in inputs]])
    return {"params": sets, "tensors": tensors}


def dump(all):
    lines = []
    for name, x in all.items():
        if x is None:
            lines.append(f'"{name}": null')
            continue
        tensors = ",\n".join("  " + json.dumps(t) for t in x["tensors"])
        lines.append(f'"{name}": {{"params": {json.dumps(x["params"])}, "tensors": [\n{tensors}]}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", nargs="?", type=pathlib.Path, default=ROOT / "stream" / "testdata" / "recipes")
    parser.add_argument("--merge", type=pathlib.Path, metavar="OUT")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with contextlib.chdir(args.dir):
        if not args.merge:
            write_lab(pathlib.Path("lab"))
            LoaderCache.get = plain_loader
        all = {}
        for recipe in sorted(pathlib.Path(".").glob("*.yml")):
            try:
                if args.merge:
                    config = MergeConfiguration.model_validate(yaml.safe_load(recipe.read_text()))
                    run_merge(config, str(args.merge / recipe.stem), MergeOptions(
                        lazy_unpickle=True, quiet=True, clone_tensors=True, random_seed=0, write_model_card=False, lora_merge_cache=str(args.merge / "cache")))
                else:
                    all[recipe.stem] = compact(resolve(recipe.read_text()))
            except Exception as error:
                all[recipe.stem] = None
                print(f"refused  {recipe.stem}: {type(error).__name__}: {str(error)[:300]}", file=sys.stderr)
        if not args.merge:
            pathlib.Path("values.json").write_text(dump(all))


if __name__ == "__main__":
    main()
