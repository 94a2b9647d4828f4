"""Small random models of many architectures, and measure.py in this process, for the other checks of importance."""

import contextlib
import logging
import os
import pathlib
import sys
import unittest.mock
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
os.environ["HF_HUB_OFFLINE"] = "1"
import safetensors.torch
import torch
import transformers

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "stream" / "importance"))
sys.dont_write_bytecode = True
import measure

measure.torch, measure.transformers, measure.safetensors = torch, transformers, safetensors
transformers.utils.logging.disable_progress_bar()
torch.set_num_threads(1)  # they are small

SMALL = dict(hidden_size=16, intermediate_size=24, moe_intermediate_size=24, shared_expert_intermediate_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=64, head_dim=4,
             max_position_embeddings=64, n_embd=16, n_layer=3, n_head=4, n_inner=24, d_model=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, partial_rotary_factor=1.0, num_experts=4, num_local_experts=4,
             n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, ffn_dim=24, num_layers=3, word_embed_proj_dim=16, sliding_window=4, n_shared_experts=1)
EYES = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14, depth=2, num_heads=2, out_hidden_size=16, projection_dim=16, fullatt_block_indexes=[1], num_labels=5)
PLACES = dict(image_token_id=60, image_token_index=60, video_token_id=61, vision_start_token_id=62, vision_end_token_id=63, boi_token_index=62, eoi_token_index=63)


def shrink(config, sizes):
    for key, value in sizes.items():
        if hasattr(config, key):
            setattr(config, key, value)


def made(kind, tied, **sizes):
    """A small model with random weights."""
    config = transformers.AutoConfig.for_model(kind)
    text = config.get_text_config()
    if kind == "vit":
        shrink(config, EYES)
        cls = transformers.AutoModelForImageClassification
    else:
        shrink(text, SMALL | sizes)
        if getattr(text, "layer_types", None):
            text.layer_types = ["sliding_attention" if "sliding_attention" in text.layer_types else "full_attention", "full_attention", "full_attention"]
        cls = transformers.AutoModelForCausalLM
    if kind in ("llava", "qwen2_5_vl", "gemma3"):
        shrink(config.vision_config, EYES)
        shrink(config, PLACES)
        cls = transformers.AutoModelForImageTextToText
    if kind == "qwen2_5_vl":
        text.rope_parameters = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 0]}
    if tied is not None:
        config.tie_word_embeddings = tied
    torch.manual_seed(0)
    model = cls.from_config(config, dtype=torch.float32)
    for p in model.parameters():
        if p.dim() < 2:  # norms and biases that are not all alike
            p.data += 0.1 * torch.randn_like(p)
    return model


@contextlib.contextmanager
def heard():
    """Yields what is said while it lasts, as (event, what) each."""
    events = []
    with unittest.mock.patch.object(measure, "emit", lambda event, **said: events.append((event, said))):
        yield events


def measured(folder, out, *args):
    """Runs measure.py on a model. Returns what it noted."""
    os.makedirs(out, exist_ok=True)
    with heard() as events:
        measure.measure(measure.arguments(["--model", str(folder), "--out", str(out), *map(str, args)]))
    return [said["text"] for event, said in events if event == "note"]


def tensors_of(folder):
    """The tensors in a directory's files, each of which is in one."""
    found = {}
    for part in pathlib.Path(folder).glob("*.safetensors"):
        tensors = safetensors.torch.load_file(part)
        if twice := found.keys() & tensors.keys():
            raise AssertionError(f"{part}: others have {sorted(twice)[0]} as well")
        found.update(tensors)
    return found
