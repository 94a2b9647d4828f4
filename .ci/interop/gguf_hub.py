"""Models between GGUF and the Hub: transformers loads the directories that weld makes, and gguf-py reads the way back.

The models are those that llama.cpp converted (format/llamacpp/testdata, llamacpp_golden.py)."""

import hashlib
import json
import pathlib

import numpy as np
import safetensors

from checkpoints import expect
from gguf_models import needs_gguf, read
from torch_checks import needs_transformers

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "format" / "llamacpp" / "testdata"
MODELS = sorted(p.name.removesuffix(".want.json") for p in GOLDENS.glob("*.want.json"))


@needs_gguf
def gguf_there_and_back(weld):
    """By way of the Hub, every tensor is what llama.cpp wrote, to the byte, and so is what its metadata says of the model."""
    for name in MODELS:
        hub, back = weld.place(), weld.place(".gguf")
        weld.run("convert", GOLDENS / f"{name}.gguf", hub, "--quiet")
        weld.run("convert", hub, back, "--quiet")
        want, got = read(GOLDENS / f"{name}.gguf"), read(back)
        tensors = {t.name: t for t in got.tensors}
        expect(len(tensors) == len(want.tensors), f"{name}: {len(tensors)} tensors, want {len(want.tensors)}")
        for w in want.tensors:
            t = tensors.get(w.name)
            expect(t is not None and t.tensor_type == w.tensor_type and t.shape.tolist() == w.shape.tolist(), f"{name}: {w.name} is another")
            expect(np.array_equal(t.data, w.data), f"{name}: {w.name} has other values")
        architecture = want.fields["general.architecture"].contents()
        for key, field in want.fields.items():
            if key.startswith((architecture + ".", "tokenizer.ggml.tokens", "tokenizer.ggml.merges", "tokenizer.ggml.token_type", "tokenizer.chat_template")):
                expect(key in got.fields and got.fields[key].contents() == field.contents(), f"{name}: {key} is another")
    return f"{len(MODELS)} models"


@needs_transformers
def gguf_in_transformers(weld):
    """transformers loads what weld makes of GGUF without a key too many or too few, with the values that it had saved, and makes the same tokens."""
    import torch
    import transformers

    for name in MODELS:
        with open(GOLDENS / f"{name}.want.json") as f:
            want = json.load(f)
        hub = weld.place()
        weld.run("convert", GOLDENS / f"{name}.gguf", hub, "--quiet")
        model, said = transformers.AutoModelForCausalLM.from_pretrained(hub, output_loading_info=True, dtype=torch.bfloat16)
        expect(not any(said[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), f"{name}: {said}")
        saved = weld.place()
        model.save_pretrained(saved)
        with safetensors.safe_open(saved / "model.safetensors", "pt") as f:
            for key, (_, shape, digest) in want["tensors"].items():
                t = f.get_tensor(key)
                expect(list(t.shape) == shape and hashlib.sha256(t.float().numpy().tobytes()).hexdigest()[:16] == digest, f"{name}: {key} has other values")
        with torch.no_grad():
            expect(bool(torch.isfinite(model.float()(torch.arange(20)[None]).logits).all()), f"{name}: no numbers come out")
        tokenizer = transformers.AutoTokenizer.from_pretrained(hub)
        for text, tokens in want["texts"].items():
            if "<turn>" not in text:  # which SentencePiece does not match before
                expect(tokenizer(text).input_ids == tokens, f"{name}: {text!r} is {tokenizer(text).input_ids}, want {tokens}")
    return f"{len(MODELS)} models, transformers {transformers.__version__}"


CHECKS = [gguf_there_and_back, gguf_in_transformers]
