"""Writes what mergekit makes of small checkpoints, for the Go tests to compare with.

    python -m venv V; V/bin/pip install --no-deps -r requirements.txt -r requirements-mergekit.txt
    V/bin/python slim_torch.py
    V/bin/python mergekit_golden.py [--only PATTERN] [DIR]

DIR is stream/testdata/mergekit if it is not given. DIR/models is made from a seed, always
the same. mergekit runs every recipe DIR/cases/*.yml, in DIR, and its output is stored
beside the recipe as *.safetensors. A new case is a new recipe and another run.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge

from checkpoints import expect, save_dir

ROOT = pathlib.Path(__file__).resolve().parents[2]
HIDDEN, FFN, HEADS, KV_HEADS, HEAD_DIM, VOCABULARY = 16, 24, 4, 2, 4, 40
KV = KV_HEADS * HEAD_DIM
VISION, VISION_FFN = 8, 12

EQUAL_SHARE = 0.1  # of each tensor's elements are the base's
EQUAL_IN = {  # and here all are, in these models
    "model.layers.0.self_attn.k_proj.weight": "c",
    "model.layers.0.input_layernorm.weight": "ab",
}
TINY = "model.layers.1.post_attention_layernorm.weight"  # its deltas are under many an epsilon


def shapes(layers, tied, vocabulary=VOCABULARY):
    yield "model.embed_tokens.weight", (vocabulary, HIDDEN)
    for i in range(layers):
        for name, shape in [
            ("input_layernorm", (HIDDEN,)),
            ("self_attn.q_proj", (HIDDEN, HIDDEN)),
            ("self_attn.k_proj", (KV, HIDDEN)),
            ("self_attn.v_proj", (KV, HIDDEN)),
            ("self_attn.o_proj", (HIDDEN, HIDDEN)),
            ("post_attention_layernorm", (HIDDEN,)),
            ("mlp.gate_proj", (FFN, HIDDEN)),
            ("mlp.up_proj", (FFN, HIDDEN)),
            ("mlp.down_proj", (HIDDEN, FFN)),
        ]:
            yield f"model.layers.{i}.{name}.weight", shape
    yield "model.norm.weight", (HIDDEN,)
    if not tied:
        yield "lm_head.weight", (vocabulary, HIDDEN)


def config(layers, tied, vocabulary=VOCABULARY):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": layers,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "vocab_size": vocabulary,
        "max_position_embeddings": 64,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": tied,
        "torch_dtype": "float32",
    }


def pixtral_shapes(text_layers, vision_layers):
    """Mistral 3: a language model, a vision tower, and a projector between them."""
    for name, shape in shapes(text_layers, tied=False):
        yield "language_model." + name, shape
    yield "vision_tower.patch_conv.weight", (VISION, 3, 2, 2)
    yield "vision_tower.ln_pre.weight", (VISION,)
    for i in range(vision_layers):
        for name, shape in [
            ("attention_norm", (VISION,)),
            ("attention.q_proj", (VISION, VISION)),
            ("attention.k_proj", (VISION, VISION)),
            ("attention.v_proj", (VISION, VISION)),
            ("attention.o_proj", (VISION, VISION)),
            ("ffn_norm", (VISION,)),
            ("feed_forward.gate_proj", (VISION_FFN, VISION)),
            ("feed_forward.up_proj", (VISION_FFN, VISION)),
            ("feed_forward.down_proj", (VISION, VISION_FFN)),
        ]:
            yield f"vision_tower.transformer.layers.{i}.{name}.weight", shape
    yield "multi_modal_projector.norm.weight", (VISION,)
    yield "multi_modal_projector.patch_merger.merging_layer.weight", (VISION, 4 * VISION)
    yield "multi_modal_projector.linear_1.weight", (HIDDEN, VISION)
    yield "multi_modal_projector.linear_2.weight", (HIDDEN, HIDDEN)


def pixtral_config(text_layers, vision_layers):
    text = config(text_layers, tied=False)
    for key in ("architectures", "torch_dtype"):
        del text[key]
    return {
        "architectures": ["Mistral3ForConditionalGeneration"],
        "model_type": "mistral3",
        "text_config": text | {"model_type": "mistral"},
        "vision_config": {
            "model_type": "pixtral",
            "hidden_size": VISION,
            "intermediate_size": VISION_FFN,
            "num_hidden_layers": vision_layers,
            "num_attention_heads": 2,
            "head_dim": VISION // 2,
            "image_size": 8,
            "patch_size": 2,
        },
        "spatial_merge_size": 2,
        "torch_dtype": "float32",
    }


def base_tensors(rng, shapes):
    """Norms about 1, matrices about 0."""
    return {
        name: (rng.normal(1, 0.1, shape) if len(shape) == 1 else rng.normal(0, 0.25, shape)).astype(np.float32)
        for name, shape in shapes
    }


def fine_tuned(rng, base, model):
    """The base and noise, whose scale is drawn for each tensor from 0.002 to 0.3."""
    tensors = {}
    for name, x in base.items():
        scale = 3e-5 if name == TINY else 10 ** rng.uniform(-2.7, -0.5)
        noise = rng.normal(0, scale, x.shape) * (rng.random(x.shape) >= EQUAL_SHARE)
        tensors[name] = x if model in EQUAL_IN.get(name, "") else (x + noise).astype(np.float32)
        expect_distinct(abs(tensors[name] - x), f"{model}: {name}")
    return tensors


def expect_distinct(magnitudes, what):
    """No two deltas of one size, so that what a sparsifier keeps does not hang on its sort."""
    nonzero = magnitudes[magnitudes > 0]
    expect(np.unique(nonzero).size == nonzero.size, f"two deltas of the same magnitude in {what}")


def write_llamas(directory, prefix, seed, models, layers=2, tied=False):
    write_family(directory, prefix, seed, models, shapes(layers, tied), config(layers, tied))


def write_family(directory, prefix, seed, models, shapes, config):
    """A base and its fine-tunes."""
    base = base_tensors(np.random.default_rng([seed, 0]), shapes)
    members = {"base": base}
    for i, model in enumerate(models, 1):
        members[model] = fine_tuned(np.random.default_rng([seed, i]), base, model)
    files = {"config.json": (json.dumps(config, indent=2) + "\n").encode()}
    for model, tensors in members.items():
        save_dir(directory / (prefix + model), [tensors], files)


# Models of words: which of w1 … w39 each lacks, what is added, whether its head is tied. mergekit appends new tokens in
# the order of a hash, unless they are added tokens of one model, or of several in the same order.
WORDS = {
    "base": ([], [], False),
    "a": (["w5", "w6"], ["<|x|>", "<|y|>"], False),
    "tied": (["w39"], ["<|x|>", "<|y|>", "<|z|>"], True),
    "tied-b": (["w7"], ["<|x|>"], True),
}


def tokenizer(vocabulary, added):
    """tokenizer.json of the tokenizers library."""
    plain = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": len(vocabulary) + i, "content": token, **plain} for i, token in enumerate(added)],
        "normalizer": None, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(vocabulary)}, "unk_token": "<unk>"},
    }


def write_words(directory, seed):
    """Models of one layer whose vocabularies differ, in their words and in the words' order."""
    for i, (name, (lacks, added, tied)) in enumerate(WORDS.items()):
        rng = np.random.default_rng([seed, i])
        words = [w for w in map("w{}".format, range(1, VOCABULARY)) if w not in lacks]
        vocabulary = ["<unk>", *(words if name == "base" else rng.permutation(words).tolist())]
        rows = len(vocabulary) + len(added)
        files = {"config.json": config(1, tied, rows), "tokenizer.json": tokenizer(vocabulary, added),
                 "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}}
        save_dir(directory / f"words-{name}", [base_tensors(rng, shapes(1, tied, rows))],
                 {name: (json.dumps(content, indent=2) + "\n").encode() for name, content in files.items()})


def write_models(directory):
    shutil.rmtree(directory, ignore_errors=True)
    write_llamas(directory, "", 7, "abc")
    write_llamas(directory, "tied-", 12, "ab", tied=True)
    write_llamas(directory, "deep-", 13, "a", layers=5)
    write_family(directory, "vision-", 15, "ab", pixtral_shapes(2, 3), pixtral_config(2, 3))
    unknown = pixtral_config(2, 3) | {"architectures": ["UnknownForConditionalGeneration"]}
    write_family(directory, "unknown-", 17, "a", pixtral_shapes(2, 3), unknown)
    write_words(directory, 14)


def merge(recipe):
    """One run of mergekit, as mergekit-yaml does it; its only shard lands beside the recipe."""
    options = MergeOptions(lazy_unpickle=True, quiet=True, copy_tokenizer=False, write_model_card=False,
                           clone_tensors=True, random_seed=0)
    with tempfile.TemporaryDirectory() as directory:
        run_merge(MergeConfiguration.model_validate(yaml.safe_load(recipe.read_text())), directory, options)
        (merged,) = pathlib.Path(directory).glob("*.safetensors")
        shutil.copyfile(merged, recipe.with_suffix(".safetensors"))


def run(recipes):
    """Merges all; how many failed."""
    failed = 0
    for recipe in recipes:
        try:
            merge(recipe)
        except Exception as error:
            failed += 1
            print(f"FAIL  {recipe.stem}: {type(error).__name__}: {error}", file=sys.stderr)
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", nargs="?", type=pathlib.Path, default=ROOT / "stream" / "testdata" / "mergekit")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="merge these cases, and leave the models alone")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only == "*":
        write_models(args.dir / "models")
    with contextlib.chdir(args.dir):
        recipes = sorted(pathlib.Path("cases").glob(args.only + ".yml"))
        failed = run(recipes)
    print(f"{len(recipes) - failed} of {len(recipes)} cases merged; torch {torch.__version__}, "
          f"transformers {transformers.__version__}, numpy {np.__version__}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
