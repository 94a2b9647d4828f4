"""Stacks of layers load as what they hold: tiny models of architectures whose layers are of several kinds.

    V/bin/python stacks.py --weld PATH [NAME ...]        (V with requirements-torch.txt)

For each architecture a model is made by transformers from a small configuration, saved, and put together anew
by weld from some of its layers (passthrough with slices). transformers has to load the output without a missing,
unexpected or mis-shaped tensor; every layer must hold the tensors of the layer that it came from; and must be
made of the same modules, with the same settings (sliding window or not, with positions or not, …), for kinds
that no tensor shows. A configuration that weld could not make fit has to be said in a note (`noted`).
"""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import torch

SMALL = dict(vocab_size=32, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=8,
             max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
EXPERTS = dict(n_routed_experts=4, num_experts=4, num_local_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, n_shared_experts=1,
               n_group=1, topk_group=1)
LATENT = dict(head_dim=4, q_lora_rank=8, kv_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=8)


@dataclasses.dataclass(frozen=True)
class Specimen:
    kind: str  # model_type
    config: dict
    ranges: tuple
    published: dict | None = None  # what config.json says in place of what transformers writes; None takes a key away
    noted: str = ""  # a word of the note where the configuration cannot follow
    name: str = ""

    def layers(self):
        return [i for first, last in self.ranges for i in range(first, last)]


def of(kind, ranges, published=None, noted="", name="", **config):
    return Specimen(kind, {**SMALL, **config}, tuple(ranges), published, noted, name or kind)


SPECIMENS = [
    of("llama", [(0, 3), (1, 4)], num_hidden_layers=4),
    # numbers: the first layers are dense
    of("deepseek_v2", [(0, 4), (2, 6)], num_hidden_layers=6, first_k_dense_replace=1, **EXPERTS, **LATENT),
    of("deepseek_v3", [(1, 4), (2, 6)], num_hidden_layers=6, first_k_dense_replace=2, **EXPERTS, **LATENT),
    of("glm4_moe", [(0, 4), (3, 6)], num_hidden_layers=6, first_k_dense_replace=2, **EXPERTS),
    of("dots1", [(1, 6)], num_hidden_layers=6, first_k_dense_replace=2, **EXPERTS),
    of("deepseek_v3", [(0, 4), (1, 6)], num_hidden_layers=6, first_k_dense_replace=2, noted="first_k_dense_replace", name="deepseek_v3-twice",
       **EXPERTS, **LATENT),
    of("afmoe", [(0, 4), (0, 6)], num_hidden_layers=6, num_dense_layers=1, noted="num_dense_layers", name="afmoe-twice", **EXPERTS),
    of("afmoe", [(1, 4), (2, 6)], num_hidden_layers=6, num_dense_layers=2, **EXPERTS),
    of("ernie4_5_moe", [(0, 4), (2, 6)], num_hidden_layers=6, moe_layer_start_index=1, moe_layer_end_index=4, moe_num_experts=4, moe_k=2,
       moe_num_shared_experts=1, moe_intermediate_size=16),
    # steps, periods, exceptions
    of("qwen3_moe", [(0, 4), (1, 6)], num_hidden_layers=6, decoder_sparse_step=2, mlp_only_layers=[3], **EXPERTS),
    of("qwen2_moe", [(0, 6), (4, 6)], num_hidden_layers=6, decoder_sparse_step=1, mlp_only_layers=[0, 5], shared_expert_intermediate_size=16, **EXPERTS),
    of("jamba", [(1, 3), (4, 6)], num_hidden_layers=6, attn_layer_period=3, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1,
       use_mamba_kernels=False, mamba_d_state=4, mamba_dt_rank=4, num_experts=4, num_experts_per_tok=2),
    of("jamba", [(0, 6), (0, 6)], num_hidden_layers=6, attn_layer_period=3, attn_layer_offset=1, expert_layer_period=2, expert_layer_offset=1,
       use_mamba_kernels=False, mamba_d_state=4, mamba_dt_rank=4, num_experts=4, num_experts_per_tok=2, name="jamba-doubled"),
    # lists of layers, letters
    of("lfm2", [(0, 4), (2, 6)], num_hidden_layers=6, full_attn_idxs=[2, 5], conv_L_cache=3, name="lfm2-list",
       published=dict(layer_types=None)),
    of("bamba", [(0, 4), (1, 5)], num_hidden_layers=5, attn_layer_indices=[1, 4], mamba_n_heads=8, mamba_d_head=8, mamba_d_state=4, mamba_n_groups=1),
    of("nemotron_h", [(0, 4), (2, 5)], hybrid_override_pattern="M-*ME", ssm_state_size=4, mamba_num_heads=8, mamba_head_dim=8, n_groups=1,
       moe_shared_expert_intermediate_size=16, **EXPERTS),
    of("nemotron_h", [(0, 4), (2, 5)], hybrid_override_pattern="M-*ME", ssm_state_size=4, mamba_num_heads=8, mamba_head_dim=8, n_groups=1,
       moe_shared_expert_intermediate_size=16, name="nemotron_h-letters", published=dict(layers_block_type=None, layer_types=None, hybrid_override_pattern="M-*ME",
                                                                                         num_hidden_layers=5), **EXPERTS),
    of("recurrent_gemma", [(0, 4), (2, 6)], num_hidden_layers=6, lru_width=32, attention_window_size=16),
    # kinds that no tensor shows
    of("qwen3", [(0, 4), (1, 6)], num_hidden_layers=6, use_sliding_window=True, sliding_window=16, max_window_layers=2),
    of("qwen3", [(0, 4), (3, 6)], num_hidden_layers=6, use_sliding_window=True, sliding_window=16, max_window_layers=2,
       name="qwen3-number", published=dict(layer_types=None)),
    of("gemma3_text", [(0, 6), (1, 6)], num_hidden_layers=6, sliding_window=16, sliding_window_pattern=3),
    of("smollm3", [(0, 4), (2, 6)], num_hidden_layers=6, no_rope_layer_interval=3),
    of("gemma3n_text", [(0, 6), (2, 6)], num_hidden_layers=6, num_kv_shared_layers=2, laurel_rank=4, hidden_size_per_layer_input=8,
       vocab_size_per_layer_input=32, layer_types=["sliding_attention", "full_attention"] * 3, activation_sparsity_pattern=[0.0] * 6,
       intermediate_size=[48] * 6, noted="per_layer"),
]

# The ones that CI runs each time.
SELECTION = ("deepseek_v3", "deepseek_v3-twice", "ernie4_5_moe", "qwen3_moe", "jamba", "lfm2-list", "nemotron_h-letters", "qwen3-number")

# What says where a layer is, and not what it is.
PLACES = {"layer_idx", "layer_index", "layer_number", "layer_id", "block_idx", "training", "kv_shared_layer_index", "store_full_length_kv"}


def settings(module):
    """What a module is made of: the classes inside, and their plain attributes."""
    plain = (bool, int, float, str, type(None))
    return {name: (type(m).__name__, sorted((k, v) for k, v in vars(m).items() if isinstance(v, plain) and k not in PLACES and not k.startswith("_")))
            for name, m in module.named_modules()}


def layers_of(model):
    """The longest list of modules in which numbered tensors are, and its name."""
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and not re.search(r"\.\d+\.", name + ".")]
    return max(lists, key=lambda pair: sum(p.numel() for p in pair[1].parameters()))


def make(specimen, path):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(1)
    config = AutoConfig.for_model(specimen.kind, **specimen.config)
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(path)
    if specimen.published:
        file = path / "config.json"
        said = json.loads(file.read_text())
        said.update(specimen.published)
        file.write_text(json.dumps({k: v for k, v in said.items() if v is not None}, indent=2))
        model = AutoModelForCausalLM.from_pretrained(path).eval()  # what the shortened configuration means
    return model


def check(weld, specimen, place):
    """An error's text, or None."""
    from transformers import AutoModelForCausalLM

    source = make(specimen, place / "model")
    recipe = place / "stack.yml"
    recipe.write_text("merge_method: passthrough\nslices:\n" + "".join(
        f"  - sources: [{{model: {place / 'model'}, layer_range: [{first}, {last}]}}]\n" for first, last in specimen.ranges))
    done = subprocess.run([weld, "merge", recipe, place / "out"], capture_output=True, text=True)
    if done.returncode != 0:
        return f"weld: {done.stderr.strip()}"
    notes = [line for line in done.stderr.splitlines() if "note:" in line]
    if specimen.noted:
        return None if any(specimen.noted in line for line in notes) else f"no note says {specimen.noted}: {notes}"
    if notes:
        return f"notes: {notes}"
    out, info = AutoModelForCausalLM.from_pretrained(place / "out", output_loading_info=True)
    wrong = {k: sorted(map(str, v))[:3] for k, v in info.items() if v}
    if wrong:
        return f"loading: {wrong}"
    (_, ours), (_, theirs) = layers_of(source), layers_of(out.eval())
    if len(theirs) != len(specimen.layers()):
        return f"{len(theirs)} layers, want {len(specimen.layers())}"
    for at, i in enumerate(specimen.layers()):
        want, got = ours[i].state_dict(), theirs[at].state_dict()
        if want.keys() != got.keys() or not all(torch.equal(want[k], got[k]) for k in want):
            return f"layer {at} does not hold layer {i}"
        for name, made in settings(ours[i]).items():
            if settings(theirs[at]).get(name) != made:
                return f"layer {at} is not made as layer {i}: {name} {settings(theirs[at]).get(name)}, want {made}"
    with torch.no_grad():
        if not torch.isfinite(out(torch.tensor([[1, 5, 9, 2]])).logits).all():
            return "logits that are not finite"
    return None


def run(weld, names, directory):
    """(name, error or None) of each specimen."""
    for specimen in SPECIMENS:
        if names and specimen.name not in names:
            continue
        place = pathlib.Path(directory) / specimen.name
        place.mkdir()
        try:
            error = check(weld, specimen, place)
        except (RuntimeError, ValueError, TypeError, KeyError) as raised:
            error = f"{type(raised).__name__}: {raised}"
        yield specimen.name, error
        shutil.rmtree(place)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--weld", required=True)
    arguments.add_argument("names", nargs="*")
    a = arguments.parse_args()
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        for name, error in run(pathlib.Path(a.weld).resolve(), a.names, directory):
            failed += error is not None
            print("ok  " if error is None else "FAIL", name, error or "", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
