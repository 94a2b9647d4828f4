"""Adapters of every kind that PEFT 0.21.2 writes, on tiny models, with the weights that they mean.

    PYTHONHASHSEED=0 python .ci/interop/peft_golden.py format/lora/testdata

writes BASE.safetensors for each model, and for each adapter a folder with adapter_model.safetensors,
adapter_config.json as PEFT writes them, and want.safetensors: the tensors that differ from the base.
What an adapter means is what its live model computes. merge_and_unload at float32 is taken where the merged
model computes the same; where it does not, the case says what is right instead, and that is held to the live outputs.
"""

import copy
import os
import shutil
import sys
import tempfile
import warnings

import torch
from peft import (AdaLoraConfig, IA3Config, LNTuningConfig, LoHaConfig, LoKrConfig, LoraConfig, PeftModel, TrainableTokensConfig, VeraConfig, get_peft_model)
from peft.tuners.lora import LoraLayer
from peft.utils.other import ModulesToSaveWrapper, TrainableTokensWrapper
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

warnings.filterwarnings("ignore")


class Plain(nn.Module):
    """Linear layers with and without bias, one that holds its matrix the other way round, an embedding, convolutions."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.q = nn.Linear(6, 5)
        self.k = nn.Linear(5, 8, bias=False)
        self.turned = Conv1D(6, 8)  # [8, 6]
        self.c1 = nn.Conv1d(6, 4, 3, padding=1)
        self.c2 = nn.Conv2d(4, 6, 3, padding=1)
        self.point = nn.Conv2d(6, 5, 1)
        self.c3 = nn.Conv3d(5, 4, (2, 1, 2))
        self.norm = nn.LayerNorm(4)

    def forward(self, ids):
        x = self.turned(self.k(self.q(self.embed(ids))))
        x = self.c1(x.transpose(1, 2))
        x = self.point(self.c2(x.unsqueeze(2).repeat(1, 1, 3, 1)))
        x = self.c3(x.unsqueeze(2).repeat(1, 1, 2, 1, 1)).flatten(2).transpose(1, 2)
        return self.norm(x)


class Experts(nn.Module):
    def __init__(self, turned):
        super().__init__()
        self.is_transposed = turned
        shape = (lambda e, o, i: (e, i, o)) if turned else (lambda e, o, i: (e, o, i))
        self.gate_up_proj = nn.Parameter(torch.empty(shape(3, 10, 6)))
        self.down_proj = nn.Parameter(torch.empty(shape(3, 6, 5)))

    def forward(self, x, weights):
        out = 0
        for e in range(3):
            up, down = self.gate_up_proj[e], self.down_proj[e]
            if not self.is_transposed:
                up, down = up.T, down.T
            gate, value = (x @ up).chunk(2, -1)
            out = out + weights[..., e:e + 1] * (torch.tanh(gate) * value @ down)
        return out


class Block(nn.Module):
    def __init__(self, turned):
        super().__init__()
        self.gate = nn.Linear(6, 3, bias=False)
        self.experts = Experts(turned)

    def forward(self, x):
        return x + self.experts(x, self.gate(x).softmax(-1))


class Moe(nn.Module):
    def __init__(self, turned=False):
        super().__init__()
        self.embed = nn.Embedding(7, 6)
        self.layers = nn.ModuleList([Block(turned) for _ in range(2)])

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return x


def llama(tied):
    return LlamaForCausalLM(LlamaConfig(hidden_size=8, intermediate_size=12, num_hidden_layers=3, num_attention_heads=2, num_key_value_heads=1,
                                        vocab_size=11, tie_word_embeddings=tied, attention_bias=True, max_position_embeddings=32))


MODELS = {"plain": Plain, "moe": Moe, "moe-turned": lambda: Moe(True), "llama": lambda: llama(False), "tied": lambda: llama(True)}


def new(kind):
    torch.manual_seed(3)
    model = MODELS[kind]().float().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape) / 2)
    return model


def output(model):
    torch.manual_seed(5)
    ids = torch.randint(0, 7, (2, 6))
    with torch.no_grad():
        out = model(ids)
    return getattr(out, "logits", out)


def tensors(model):
    """What save_pretrained would write: of tensors that share memory the first."""
    seen, kept = set(), {}
    for name, t in model.state_dict().items():
        if t.data_ptr() in seen and t.numel():
            continue
        seen.add(t.data_ptr())
        kept[name] = t.detach().clone().contiguous()
    return kept


def load(kind, kept):
    """A plain model with given weights; a head of its own unties it."""
    model = new(kind)
    if kind == "tied" and "lm_head.weight" in kept:
        model = llama(False).float().eval()
    if hasattr(model, "model") and "model.layers.3.mlp.up_proj.weight" in kept:
        config = copy.deepcopy(model.config)
        config.num_hidden_layers = 1 + max(int(n.split(".")[2]) for n in kept if n.startswith("model.layers."))
        config.layer_types = None
        model = LlamaForCausalLM(config).float().eval()
    missing, unexpected = model.load_state_dict(kept, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    return model


def close(a, b, what):
    err = ((a - b).abs().max() / b.abs().max()).item()
    print("    %-28s %.1e" % (what, err))
    return err < 2e-6


def apart(live):
    """The weights of each module by itself: base and delta, of no memory that another module shares."""
    kept = {}
    for name, module in live.base_model.model.named_modules():
        if name.count("base_layer") or "lora_" in name or ".original_module" in name or "modules_to_save." in name or "token_adapter" in name:
            continue
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, LoraLayer):
            own = dict(module.get_base_layer().named_parameters())
            own["weight"] = own["weight"] + module.get_delta_weight("default")
            if "default" in module.lora_magnitude_vector:
                magnitude = module.lora_magnitude_vector["default"].weight
                axis = int(isinstance(module.get_base_layer(), nn.Linear))
                factor = magnitude / own["weight"].norm(dim=axis)
                own["weight"] = own["weight"] * (factor[:, None] if axis else factor)
        elif isinstance(module, ModulesToSaveWrapper):
            own = dict(module.modules_to_save["default"].named_parameters())
        elif isinstance(module, TrainableTokensWrapper):
            own = {"weight": module.token_adapter.get_merged_weights(["default"])}
        kept.update({f"{name}.{n}": t.detach().clone().contiguous() for n, t in own.items()})
    if torch.allclose(kept["lm_head.weight"], kept["model.embed_tokens.weight"], rtol=1e-6):
        del kept["lm_head.weight"]
    return kept


CASES = []


def case(name, kind, config, right=None):
    """right(live model) gives the weights where merge_and_unload's are not what the live model computes."""
    CASES.append((name, kind, config, right))


every = ["q", "k"]
case("lora", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["q", "k", "turned", "embed"]))
case("lora-named", "plain", lambda: LoraConfig(r=2, target_modules=every, rank_pattern={"k": 3}, alpha_pattern={"q": 5}, use_rslora=True))
case("lora-conv", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["c1", "c2", "point", "c3"]))
case("lora-bias", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["q", "c1", "turned"], lora_bias=True))
case("bias-all", "plain", lambda: LoraConfig(r=2, target_modules=["q", "k"], bias="all"))
case("bias-lora-only", "plain", lambda: LoraConfig(r=2, target_modules=["q", "c2"], bias="lora_only"))
case("dora", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["q", "k"], use_dora=True))
case("dora-turned", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["turned"], use_dora=True))
case("dora-embedding", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["embed", "q"], use_dora=True))
case("dora-conv", "plain", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=["c1", "c2", "point", "c3"], use_dora=True))
case("tokens", "llama", lambda: LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[1, 4, 9]))
case("tokens-two", "llama", lambda: LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [1, 4], "lm_head": [4, 2, 8]}))
case("tokens-tied", "tied", lambda: LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[1, 4, 9]))
case("tokens-alone", "llama", lambda: TrainableTokensConfig(token_indices=[3, 0], target_modules=["embed_tokens"]))
case("tokens-alone-tied", "tied", lambda: TrainableTokensConfig(token_indices=[3, 0], target_modules=["embed_tokens"]))
case("replication", "llama", lambda: LoraConfig(r=2, target_modules=["q_proj", "up_proj"], layer_replication=[[0, 2], [1, 3]]), apart)
case("experts", "moe", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=[], target_parameters=["experts.gate_up_proj", "experts.down_proj", "gate.weight"]))
case("experts-one", "moe", lambda: LoraConfig(r=2, lora_alpha=3, target_modules=[], target_parameters=["0.experts.down_proj"]))
case("experts-turned", "moe-turned", lambda: LoraConfig(r=2, target_modules=["gate"], target_parameters=["experts.gate_up_proj", "experts.down_proj"], rank_pattern={"experts.down_proj": 3}))
case("loha", "plain", lambda: LoHaConfig(r=2, alpha=3, target_modules=["q", "k", "c1", "c2"]))
case("loha-conv", "plain", lambda: LoHaConfig(r=2, alpha=3, target_modules=["c1", "c2", "point"], use_effective_conv2d=True))
case("lokr", "plain", lambda: LoKrConfig(r=2, alpha=3, target_modules=["q", "k", "c2"]))
case("lokr-both", "llama", lambda: LoKrConfig(r=1, alpha=3, target_modules=["up_proj", "q_proj"], decompose_both=True, decompose_factor=4))
case("lokr-low", "llama", lambda: LoKrConfig(r=1, alpha=3, target_modules=["up_proj", "o_proj"], decompose_factor=2, rank_pattern={"o_proj": 1}))
case("lokr-conv", "plain", lambda: LoKrConfig(r=1, alpha=3, target_modules=["c2", "point"], use_effective_conv2d=True, decompose_factor=2))
case("lokr-conv-flat", "plain", lambda: LoKrConfig(r=1, alpha=3, target_modules=["c1", "c2"], decompose_factor=2))
case("ia3", "plain", lambda: IA3Config(target_modules=["q", "k", "c2", "point"], feedforward_modules=["k", "point"]))
case("ia3-turned", "plain", lambda: IA3Config(target_modules=["turned"], feedforward_modules=[], fan_in_fan_out=True))
case("ia3-turned-fed", "plain", lambda: IA3Config(target_modules=["turned", "c3"], feedforward_modules=["turned", "c3"], fan_in_fan_out=True))
case("vera", "llama", lambda: VeraConfig(r=3, target_modules=["q_proj", "up_proj", "down_proj"]))
case("vera-turned", "plain", lambda: VeraConfig(r=3, target_modules=["turned"], fan_in_fan_out=True))
case("adalora", "plain", lambda: AdaLoraConfig(r=2, init_r=3, lora_alpha=3, target_modules=["q", "k"], total_step=10))
case("ln-tuning", "plain", lambda: LNTuningConfig(target_modules=["norm"]))
for tying in (False, True):
    end = "-ensured" if tying else ""
    case("tied-saved-embedding" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"], ensure_weight_tying=t))
    case("tied-saved-head" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["lm_head"], ensure_weight_tying=t))
    case("tied-saved-both" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"], ensure_weight_tying=t))
    case("tied-lora-embedding" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=t), apart)
    case("tied-lora-head" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj", "lm_head"], ensure_weight_tying=t), apart)
    case("tied-lora-both" + end, "tied", lambda t=tying: LoraConfig(r=2, target_modules=["q_proj", "embed_tokens", "lm_head"], ensure_weight_tying=t), apart)
case("tied-dora-embedding-ensured", "tied", lambda: LoraConfig(r=2, target_modules=["q_proj", "embed_tokens"], ensure_weight_tying=True, use_dora=True), apart)
case("tied-tokens-two", "tied", lambda: LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices={"embed_tokens": [1, 4], "lm_head": [4, 2, 8]}), apart)
case("tied-tokens-head", "tied", lambda: LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices={"lm_head": [4, 2, 8]}), apart)


def run(out, only):
    failed = []
    for name, kind, config, right in CASES:
        if only and name not in only:
            continue
        print(name, kind)
        with tempfile.TemporaryDirectory() as tmp:
            live = get_peft_model(new(kind), config())
            torch.manual_seed(7)
            with torch.no_grad():
                for n, p in sorted(live.named_parameters()):
                    if p.requires_grad:
                        p.copy_(torch.randn(p.shape) / 2 + (1 if "magnitude" in n or "ia3" in n else 0))
            live.eval()
            live.save_pretrained(tmp)
            try:
                first = output(live)
            except Exception as e:
                print("    the live model fails:", type(e).__name__, e)
                failed.append(name + "!")
                continue
            live = PeftModel.from_pretrained(new(kind), tmp).eval()
            second = output(live)
            base = tensors(new(kind))
            saved = load_file(os.path.join(tmp, "adapter_model.safetensors"))
            for n, t in saved.items():
                print("    ", n, tuple(t.shape))
            ok = close(second, first, "loaded against trained")
            try:
                merged = copy.deepcopy(live).merge_and_unload()
                want = tensors(merged)
                good = close(output(merged), second, "merged against live")
                plain = close(output(load(kind, want)), second, "merged, written, against live")
            except Exception as e:
                print("    merge_and_unload fails:", type(e).__name__, str(e)[:200])
                want, good, plain = {}, False, False
            if right:
                want = right(live)
                good = close(output(load(kind, want)), second, "right against live")
            elif not plain:
                good = False
            changed = {n: t for n, t in want.items() if n not in base or t.shape != base[n].shape or not torch.equal(t, base[n])}
            print("     changed:", " ".join(sorted(changed)), "| gone:", " ".join(sorted(set(base) - set(want))))
            if not (ok and good):
                failed.append(name)
            to = os.path.join(out, "adapters", name)
            shutil.rmtree(to, ignore_errors=True)
            os.makedirs(to)
            for f in ("adapter_model.safetensors", "adapter_config.json"):
                shutil.copy(os.path.join(tmp, f), to)
            save_file(changed, os.path.join(to, "want.safetensors"), metadata={"base": kind})
    for kind in MODELS:
        to = os.path.join(out, "models", kind)
        shutil.rmtree(to, ignore_errors=True)
        model = new(kind)
        if hasattr(model, "save_pretrained"):
            model.save_pretrained(to)
            os.remove(os.path.join(to, "generation_config.json"))
        else:
            os.makedirs(to)
            save_file(tensors(model), os.path.join(to, "model.safetensors"), metadata={"format": "pt"})
    print("the merged model is not the live one:", " ".join(failed) or "none")


run(sys.argv[1], sys.argv[2:])
