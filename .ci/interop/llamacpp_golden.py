"""Small models of every architecture that format/llamacpp knows: as transformers saves them, and as llama.cpp converts them.

    python .ci/interop/llamacpp_golden.py LLAMA_CPP format/llamacpp/testdata

LLAMA_CPP is a checkout of llama.cpp, or the folder vendor/llama.cpp of the source of llama-cpp-python 0.3.36. NAME.gguf is what its
convert_hf_to_gguf.py writes; NAME.want.json has the configuration that transformers saved, type, shape and a digest of each tensor,
and texts and the tokens that the tokenizer makes of them. NAME.model is a vocabulary of SentencePiece. NAME.lora.safetensors is an adapter
of PEFT's, NAME.lora.gguf what convert_lora_to_gguf.py makes of it. Versions are in requirements-gguf.txt.
"""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

TEXT = ["the quick brown fox jumps over the lazy dog", "Hello World! 12345 it's   spaced\n\nnew lines\t tabs", "naive cafe", "def f(x): return x**2 + 1 # code"]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = "{% for m in messages %}<{{ m.role }}> {{ m.content }}\n{% endfor %}"

# What stands for a model: how it cuts text, and what is special about it.
SIZES = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5)
GEMMA = {**SIZES, "rms_norm_eps": 1e-6, "head_dim": 4}
LLAMA31 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
MODELS = {
    "llama": ("spm", "Llama", dict(SIZES, tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    "llama3": ("llama-bpe", "Llama", dict(SIZES, head_dim=8, tie_word_embeddings=True, rope_theta=500000.0, rope_scaling=LLAMA31, max_position_embeddings=131072)),
    "mixtral": ("spm", "Mixtral", dict(SIZES, num_local_experts=3, num_experts_per_tok=2, rope_theta=1e6, sliding_window=None)),
    "qwen2": ("qwen2", "Qwen2", dict(SIZES, rms_norm_eps=1e-6, rope_theta=1e6, tie_word_embeddings=True, rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64))),
    "qwen3": ("qwen2", "Qwen3", dict(SIZES, head_dim=4, rope_theta=1e6, rope_scaling=dict(rope_type="linear", factor=2.0))),
    "qwen2moe": ("qwen2", "Qwen2Moe", dict(SIZES, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=4, shared_expert_intermediate_size=6)),
    "qwen3moe": ("qwen2", "Qwen3Moe", dict(SIZES, head_dim=4, num_experts=3, num_experts_per_tok=2, moe_intermediate_size=4, norm_topk_prob=True)),
    "gemma": ("gemma", "Gemma", GEMMA),
    "gemma2": ("gemma", "Gemma2", dict(GEMMA, sliding_window=16, query_pre_attn_scalar=4)),
    "gemma3": ("gemma", "Gemma3Text", dict(GEMMA, num_hidden_layers=7, sliding_window=16, query_pre_attn_scalar=4, rope_theta=1e6, rope_local_base_freq=10000.0, rope_scaling=dict(rope_type="linear", factor=8.0))),
}


def byte_level(folder, kind):
    """A byte-level tokenizer, trained on a few texts."""
    import transformers
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    llama = kind == "llama-bpe"
    t = Tokenizer(models.BPE(ignore_merges=llama))
    if not llama:
        t.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(LLAMA3 if llama else QWEN2), "isolated")
    t.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=90, special_tokens=[]))
    t.add_special_tokens([AddedToken("<|bos|>", special=True, normalized=False), AddedToken("<|eos|>", special=True, normalized=False)])
    t.add_tokens([AddedToken("<think>", special=False, normalized=False)])
    bos, eos = t.token_to_id("<|bos|>"), t.token_to_id("<|eos|>")
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    if llama:
        t.post_processor = processors.TemplateProcessing(single="<|bos|> $A", pair="<|bos|> $A <|bos|>:1 $B:1", special_tokens=[("<|bos|>", bos)])
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|bos|>", eos_token="<|eos|>", chat_template=TEMPLATE)
    fast.save_pretrained(folder)
    texts = ["the quick brown fox", " it's 12345   spaced\n\n", "<think> x<|eos|> new", "Hello World!"]
    return t.get_vocab_size() + 3, bos, eos, {text: fast(text).input_ids for text in texts}


def sentence_piece(folder, kind):
    """A vocabulary of SentencePiece."""
    import sentencepiece

    gemma = kind == "gemma"
    with open(f"{folder}/texts", "w") as f:
        f.write("\n".join(TEXT * 20))
    names = dict(pad_id=0, eos_id=1, bos_id=2, unk_id=3, pad_piece="<pad>", eos_piece="<eos>", bos_piece="<bos>", user_defined_symbols=["<turn>"]) if gemma else dict(unk_id=0, bos_id=1, eos_id=2)
    sentencepiece.SentencePieceTrainer.train(
        input=f"{folder}/texts", model_prefix=f"{folder}/tokenizer", vocab_size=70, model_type="bpe", add_dummy_prefix=not gemma, remove_extra_whitespaces=False, normalization_rule_name="identity", minloglevel=2, **names
    )
    os.remove(f"{folder}/texts")
    config = {"tokenizer_class": "GemmaTokenizer" if gemma else "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "chat_template": TEMPLATE, "unk_token": "<unk>", "bos_token": "<bos>" if gemma else "<s>", "eos_token": "<eos>" if gemma else "</s>"}
    if gemma:
        config |= {"pad_token": "<pad>", "added_tokens_decoder": {"4": {"content": "<turn>", "special": True}}}
    with open(f"{folder}/tokenizer_config.json", "w") as f:
        json.dump(config, f)
    sp = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer.model")
    texts = ["the quick brown fox", " it's 12345   spaced", "Hello World!"] + ["<turn>the<turn>"] * gemma
    return 73, sp.bos_id(), sp.eos_id(), {text: [sp.bos_id()] + sp.encode(text) for text in texts}


def save(name, folder, dtype="bfloat16"):
    """A model of random weights with a tokenizer, as transformers saves it; the tokens of some texts."""
    import torch
    import transformers

    kind, family, config = MODELS[name]
    rows, bos, eos, texts = (sentence_piece if kind in ("spm", "gemma") else byte_level)(folder, kind)
    config = getattr(transformers, family + "Config")(**config, vocab_size=rows, bos_token_id=bos, eos_token_id=eos, pad_token_id=0 if kind == "gemma" else None)
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.randn_like(p) * 0.2 + (1 if "norm" in key and kind != "gemma" else 0))
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return texts


RUN = """
import runpy, sys
root, pre, *args = sys.argv[1:]
sys.path[:0] = [root, root + "/gguf-py"]
import conversion.base
if pre:  # these vocabularies are nobody's, and their digests in no list
    conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre
sys.argv = ["convert_hf_to_gguf.py", *args]
runpy.run_path(root + "/convert_hf_to_gguf.py", run_name="__main__")
"""


def convert(llama_cpp, name, folder, out, kind="bf16"):
    """Has llama.cpp convert a model."""
    pre = MODELS[name][0]
    subprocess.run([sys.executable, "-c", RUN, str(llama_cpp), "" if pre in ("spm", "gemma") else pre, str(folder), "--outfile", str(out), "--outtype", kind], check=True, capture_output=True)


RUN_LORA = """
import runpy, sys
root, *args = sys.argv[1:]
sys.path[:0] = [root, root + "/gguf-py"]
sys.argv = ["convert_lora_to_gguf.py", *args]
runpy.run_path(root + "/convert_lora_to_gguf.py", run_name="__main__")
"""


def adapter(llama_cpp, folder, out):
    """An adapter of PEFT's for every matrix of a model's layers, and what llama.cpp makes of it."""
    import torch
    from safetensors.torch import load_file, save_file

    torch.manual_seed(2)
    tensors = {}
    for key, w in load_file(f"{folder}/model.safetensors").items():
        if ".layers." in key and w.dim() == 2 and not key.endswith("moe.gate.weight"):
            module = "base_model.model." + key.removesuffix(".weight")
            tensors[module + ".lora_A.weight"] = torch.randn(2, w.shape[1]).to(torch.bfloat16).float()
            tensors[module + ".lora_B.weight"] = torch.randn(w.shape[0], 2).to(torch.bfloat16).float()
    peft = folder / "adapter"
    peft.mkdir()
    save_file(tensors, peft / "adapter_model.safetensors")
    (peft / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 6}))
    subprocess.run([sys.executable, "-c", RUN_LORA, str(llama_cpp), "--base", str(folder), "--outfile", f"{out}.lora.gguf", "--outtype", "f32", str(peft)], check=True, capture_output=True)
    save_file({k: v.to(torch.bfloat16) for k, v in tensors.items()}, f"{out}.lora.safetensors")


def described(folder):
    """What a directory says of its model, and type, shape and digest of its tensors."""
    from safetensors import safe_open

    tensors = {}
    with safe_open(f"{folder}/model.safetensors", "pt") as f:
        for key in f.keys():
            t = f.get_tensor(key)
            tensors[key] = [str(t.dtype).removeprefix("torch."), list(t.shape), hashlib.sha256(t.float().numpy().tobytes()).hexdigest()[:16]]
    with open(f"{folder}/config.json") as f:
        return {"config": json.load(f), "tensors": tensors}


def main():
    llama_cpp, out = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            model = pathlib.Path(folder) / name
            model.mkdir()
            texts = save(name, model)
            convert(llama_cpp, name, model, out / f"{name}.gguf")
            with open(out / f"{name}.want.json", "w") as f:
                json.dump(described(model) | {"texts": texts}, f, separators=(",", ":"))
                f.write("\n")
            if name in ("llama", "mixtral"):
                adapter(llama_cpp, model, out / name)
            if name in ("llama", "gemma"):
                shutil.copy(model / "tokenizer.model", out / f"{name}.model")


if __name__ == "__main__":
    main()
