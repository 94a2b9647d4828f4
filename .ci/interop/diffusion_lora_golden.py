"""LoRA files of diffusion models as LyCORIS 4.1.3 (kohya-ss' names) and diffusers 0.42.1 write them, with the weights that they mean.

    python .ci/interop/diffusion_lora_golden.py format/lora/testdata/diffusion

writes base/, a tiny pipeline's U-Net and text encoders as diffusers saves them, unet_names.txt, what modules of this U-Net and of those of
Stable Diffusion 1 and XL are called in single files and in diffusers, openclip_names.txt, the same of a layer of OpenCLIP, and for each adapter a folder with one file and want.safetensors: the tensors that differ from the base,
under the names unet/…. What an adapter means is what its live module computes: a weight is taken from the module's own
forward expression, and held against the module's outputs.
"""

import json
import os
import re
import shutil
import sys

import torch
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_open_clip_checkpoint
from lycoris.kohya import LycorisNetworkKohya
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextConfig, CLIPTextModel

OUT = sys.argv[1]
TARGETS = ["Transformer2DModel", "ResnetBlock2D", "Downsample2D", "Upsample2D"]


def filled(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_((torch.randn(p.shape) / 2).half())
    return model.float().eval()


def unet():
    return filled(UNet2DConditionModel(
        sample_size=8, in_channels=2, out_channels=2, layers_per_block=2, block_out_channels=(2, 8), norm_num_groups=1, cross_attention_dim=4,
        attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D")), 1)


def text(seed):
    return filled(CLIPTextModel(CLIPTextConfig(vocab_size=5, hidden_size=4, intermediate_size=6, projection_dim=4, num_hidden_layers=1,
                                               num_attention_heads=2, max_position_embeddings=4)), seed)


def tensors(part, model):
    return {part + "/" + name: t.detach().clone().contiguous() for name, t in model.state_dict().items() if not name.endswith("position_ids")}


def noise(t, scale=0.5):
    return (torch.randn(t.shape) * scale).half().to(t.dtype)


def write(name, state, want, metadata=None, file="adapter.safetensors"):
    folder = os.path.join(OUT, "adapters", name)
    os.makedirs(folder)
    save_file({k: t.contiguous() for k, t in state.items()}, os.path.join(folder, file), metadata)
    save_file({k: t.detach().float().contiguous() for k, t in want.items()}, os.path.join(folder, "want.safetensors"))
    print("%-24s %3d tensors for %d of the base" % (name, len(state), len(want)))


def live(module, weight, bias):
    """The module's own output on random inputs, and what a plain layer with the given weight has."""
    org = module.org_module[0]
    shape = {nn.Linear: (3, weight.shape[-1]), nn.Conv2d: (1, weight.shape[1], 5, 5)}.get(type(org), (1, weight.shape[0], 5, 5) if isinstance(org, nn.GroupNorm) else (3, weight.shape[0]))
    x = torch.randn(shape)
    got = module(x)
    if isinstance(org, nn.Linear):
        return got, F.linear(x, weight, bias)
    if isinstance(org, nn.Conv2d):
        return got, F.conv2d(x, weight, bias, org.stride, org.padding, org.dilation, org.groups)
    if isinstance(org, nn.GroupNorm):
        return got, F.group_norm(x, org.num_groups, weight, bias, org.eps)
    return got, F.layer_norm(x, org.normalized_shape, weight, bias, org.eps)


def meant(module):
    """Weight and bias that a live module of LyCORIS stands for."""
    org = module.org_module[0]
    base, bias = org.weight.float(), org.bias
    if module.name in ("full", "norm") or type(module).__name__ in ("FullModule", "NormModule"):
        return module.make_weight()
    if type(module).__name__ == "LoConModule":
        diff = module.make_weight() * module.scale
    else:
        diff = module.get_weight(module.shape) * module.scalar  # has the scale
    sum = base + diff
    return (module.apply_weight_decompose(sum) if module.wd else sum), bias


def kohya(name, pipe, te, algo, dim, alpha, only, half=False, **options):
    """te is a list of text encoders, one encoder, or None. only picks modules by their lora_name."""
    parts = {}
    for part, model in pipe.items():
        for module, m in model.named_modules():
            parts[id(m)] = part + "/" + module
    LycorisNetworkKohya.apply_preset({"unet_target_module": TARGETS, "unet_target_name": ["conv_in", "conv_out", "time_embedding.linear_1"],
                                      "text_encoder_target_module": ["CLIPAttention", "CLIPSdpaAttention", "CLIPMLP"], "text_encoder_target_name": [], "enable_conv": True})
    torch.manual_seed(11)
    network = LycorisNetworkKohya(te, pipe["unet"], lora_dim=dim, alpha=alpha, network_module=algo, warn_on_unmatched=False, **options)
    state, want, worst = {}, {}, 0
    for module in network.loras:
        if not any(word in module.lora_name for word in only):
            continue
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(noise(p) if p.dim() else p)
            if getattr(module, "wd", False):
                module.dora_scale.data.abs_().add_(0.5)
        whose = parts[id(module.org_module[0])]
        weight, bias = meant(module)
        if type(module).__name__ == "FullModule":
            own = {"diff": module.weight.data}
            if module.bias is not None:
                own["diff_b"] = module.bias.data
        elif type(module).__name__ == "NormModule":
            own = module.state_dict()
        else:
            own = module.custom_state_dict()
        module.org_forward = module.org_module[0].forward
        with torch.no_grad():
            got, right = live(module, weight, bias)
        worst = max(worst, ((got - right).abs().max() / right.abs().max()).item())
        for slot, t in own.items():
            if slot != "scalar":
                state[module.lora_name + "." + slot] = t.detach().half() if half else t.detach().float()
        want[whose + ".weight"] = weight
        if bias is not None and bias is not module.org_module[0].bias:
            want[whose + ".bias"] = bias
    assert state and worst < 3e-6, (name, len(state), worst)
    write(name, state, want, {"ss_network_module": "lycoris.kohya", "modelspec.architecture": "stable-diffusion-xl-v1-base/lora"})


def diffusers_lora(name, pipe, configs, style="peft", header=True):
    """An adapter as save_lora_weights of a pipeline writes it; style is how older versions called the factors."""
    state, want, metadata = {}, {}, {}
    for part, config in configs.items():
        model = pipe[part]
        torch.manual_seed(12)
        if part == "unet":
            model.add_adapter(config)
        else:
            from peft import inject_adapter_in_model
            inject_adapter_in_model(config, model)
        from peft import get_peft_model_state_dict
        with torch.no_grad():
            for n, p in model.named_parameters():
                if ".lora_" in n:
                    p.copy_(noise(p).abs() + 0.5 if "magnitude" in n else noise(p))
        for n, t in get_peft_model_state_dict(model).items() if part == "unet" else get_peft_model_state_dict(model, adapter_name="default").items():
            state[part + "." + n] = t.detach()
        if header:
            own = config.to_dict()
            own = {k: sorted(v) if isinstance(v, set) else v for k, v in own.items()}
            metadata.update({part + "." + k: v for k, v in own.items()})
        for module_name, module in model.named_modules():
            if not isinstance(module, LoraLayer):
                continue
            before = module.get_base_layer().weight.detach().clone()
            bias = module.get_base_layer().bias
            bias = None if bias is None else bias.detach().clone()
            shape = (3, before.shape[1]) if before.dim() == 2 else (1, before.shape[1], 5, 5)
            x = torch.randn(shape)
            with torch.no_grad():
                got = module(x)
                module.merge()
                base = module.get_base_layer()
                right = base(x)
            assert (got - right).abs().max() / right.abs().max() < 3e-6, module_name
            want[part + "/" + module_name + ".weight"] = base.weight.detach().clone()
            if bias is not None and not torch.equal(bias, base.bias):
                want[part + "/" + module_name + ".bias"] = base.bias.detach().clone()
    if style != "peft":
        state = {style_of(k, style): t for k, t in state.items()}
    extra = {"format": "pt"}
    if header:
        extra["lora_adapter_metadata"] = json.dumps(metadata, indent=2, sort_keys=True, default=str)
    write(name, state, want, extra, "pytorch_lora_weights.safetensors")


def style_of(name, style):
    if style == "linear":
        return name.replace(".lora_A.weight", ".lora_linear_layer.down.weight").replace(".lora_B.weight", ".lora_linear_layer.up.weight")
    if style == "old":
        return name.replace(".lora_A.weight", ".lora.down.weight").replace(".lora_B.weight", ".lora.up.weight")
    module, slot = name.split(".lora_")  # processors'
    head, last = module.rsplit(".", 1)
    if last == "0":
        head, last = head.rsplit(".", 1)
    return head + ".processor." + last + "_lora." + {"A.weight": "down", "B.weight": "up"}[slot] + ".weight"


RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
OUTSIDE = {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
           "add_embedding.linear_2": "label_emb.0.2", "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}


def original(module, attended):
    """What the original programs call a module; convert_ldm_unet_checkpoint says below whether that is right."""
    if module in OUTSIDE:
        return OUTSIDE[module]
    way, kind, k, rest = re.match(r"(?:(down|up)_blocks\.\d+|mid_block)\.(\w+)\.(\d+)\.(.+)", module).groups()
    k = int(k)
    if way is None:
        return "middle_block.%d.%s" % ((2 * k, RESNET[rest]) if kind == "resnets" else (1, rest))
    level = int(re.match(r"\w+\.(\d+)", module).group(1))
    at = ("input_blocks.%d" % (3 * level + k + 1)) if way == "down" else ("output_blocks.%d" % (3 * level + k))
    if kind == "resnets":
        return at + ".0." + RESNET[rest]
    if kind == "attentions":
        return at + ".1." + rest
    return "input_blocks.%d.0.op" % (3 * level + 3) if way == "down" else "output_blocks.%d.%d.conv" % (3 * level + 2, 2 if attended(level) else 1)


def names(model, whole):
    """Lines of the original's name and diffusers' of each module, as diffusers converts them; without most of what is inside of transformers."""
    state = model.state_dict()
    attended = lambda level: any(n.startswith("up_blocks.%d.attentions." % level) for n in state)
    ldm = {}
    for name in state:
        module, leaf = name.rsplit(".", 1)
        ldm["model.diffusion_model.%s.%s" % (original(module, attended), leaf)] = name
    made = convert_ldm_unet_checkpoint(ldm, dict(model.config))
    assert set(made) == set(state) and len(ldm) == len(state)
    back = {name: key for key, name in ldm.items()}
    pairs = [(back[held], name) for name, held in made.items()]
    return [a[len("model.diffusion_model."):-len(".weight")] + " " + b[:-len(".weight")] for a, b in pairs
            if b.endswith(".weight") and (whole or "transformer_blocks" not in b or "attn1.to_q" in b)]


def of_size(**options):
    with torch.device("meta"):
        return UNet2DConditionModel(norm_num_groups=1, cross_attention_dim=8, attention_head_dim=4, layers_per_block=2, **options)


def openclip_names():
    """Lines of OpenCLIP's tensor, transformers' module, and the third of the tensor that it is, as diffusers converts a layer of numbered rows."""
    width, at = 4, "conditioner.embedders.1.model."
    layer = at + "transformer.resblocks.0."
    shapes = {"attn.in_proj_weight": (3 * width, width), "attn.in_proj_bias": (3 * width,), "attn.out_proj.weight": (width, width), "attn.out_proj.bias": (width,),
              "mlp.c_fc.weight": (6, width), "mlp.c_fc.bias": (6,), "mlp.c_proj.weight": (width, 6), "mlp.c_proj.bias": (width,),
              "ln_1.weight": (width,), "ln_1.bias": (width,), "ln_2.weight": (width,), "ln_2.bias": (width,)}
    torch.manual_seed(9)
    held = {layer + n: torch.randn(s) for n, s in shapes.items()}
    held[at + "text_projection"] = torch.randn(width, width)
    made = convert_open_clip_checkpoint(text(2), dict(held), prefix=at)
    lines = []
    for name, t in made.items():
        for source, whole in held.items():
            if not name.endswith(".weight") or ".layers." not in name:
                continue
            if t.shape == whole.shape and torch.equal(t, whole):
                lines.append("%s %s 0" % (source[len(at):], name[:-len(".weight")]))
            for k in range(3):
                if source.endswith("in_proj_weight") and torch.equal(t, whole[k * width:(k + 1) * width]):
                    lines.append("%s %s %d" % (source[len(at):], name[:-len(".weight")], k + 1))
    assert len(lines) == 8, lines
    return lines


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    new = lambda: {"unet": unet(), "text_encoder": text(2), "text_encoder_2": text(3)}
    os.makedirs(os.path.join(OUT, "base"))
    index = {"_class_name": "StableDiffusionXLPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
             "text_encoder": ["transformers", "CLIPTextModel"], "text_encoder_2": ["transformers", "CLIPTextModel"]}
    with open(os.path.join(OUT, "base", "model_index.json"), "w") as f:
        json.dump(index, f)
    for part, model in new().items():
        folder = os.path.join(OUT, "base", part)
        os.makedirs(folder)
        file = "diffusion_pytorch_model.safetensors" if part == "unet" else "model.safetensors"
        kept = {n.split("/", 1)[1]: t.half() for n, t in tensors(part, model).items()}
        save_file(kept, os.path.join(folder, file))
        with open(os.path.join(folder, "config.json"), "w") as f:
            json.dump({"_class_name": "UNet2DConditionModel"} if part == "unet" else {"architectures": ["CLIPTextModel"]}, f)

    sd1 = of_size(block_out_channels=(8, 8, 8, 8))
    xl = of_size(block_out_channels=(8, 8, 8), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                 up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"), transformer_layers_per_block=(1, 2, 3),
                 addition_embed_type="text_time", addition_time_embed_dim=4, projection_class_embeddings_input_dim=16, use_linear_projection=True)
    with open(os.path.join(OUT, "unet_names.txt"), "w") as f:
        f.write("\n\n".join("\n".join(names(m, whole)) for m, whole in [(new()["unet"], True), (sd1, False), (xl, False)]) + "\n")

    with open(os.path.join(OUT, "openclip_names.txt"), "w") as f:
        f.write("\n".join(openclip_names()) + "\n")

    some = ["attn1_to_q", "attn2_to_k", "attentions_0_proj_in", "resnets_0_conv1", "resnets_0_time_emb_proj", "downsamplers_0_conv", "q_proj", "fc1"]
    here = lambda *names: r"(down_blocks\.1\.attentions\.0|mid_block)\..*(%s)" % "|".join(names).replace(".", "\\.")
    pipe = new()
    kohya("lora", pipe, pipe["text_encoder"], "lora", 2, 1, ["down_blocks_1_" + w for w in some] + ["mid_block_attentions_0_proj", "up_blocks_0_resnets_2_conv_shortcut", "up_blocks_1_upsamplers", "conv_in", "q_proj", "fc1"], half=True, conv_lora_dim=3, conv_alpha=2)
    pipe = new()
    kohya("two-encoders", pipe, [pipe["text_encoder"], pipe["text_encoder_2"]], "lora", 2, 3, ["q_proj", "conv_in"], conv_lora_dim=1, conv_alpha=1)
    for name, algo, options in [
            ("tucker", "lora", {"use_tucker": True}),
            ("dora", "lora", {"weight_decompose": True}),
            ("dora-of-inputs", "lora", {"weight_decompose": True, "wd_on_out": False}),
            ("loha", "loha", {}),
            ("loha-tucker-dora", "loha", {"use_tucker": True, "weight_decompose": True}),
            ("lokr", "lokr", {"factor": 2}),
            ("lokr-both-tucker", "lokr", {"factor": 2, "use_tucker": True, "decompose_both": True}),
            ("lokr-full", "lokr", {"factor": 2, "full_matrix": True, "weight_decompose": True}),
            ("full", "full", {"train_norm": True})]:
        pipe = new()
        few = some[:5] + (["norm1", "norm2"] if algo == "full" else [])
        kohya(name, pipe, None, algo, 1 if "lokr" in name else 2, 3, ["down_blocks_1_" + w for w in few] + ["down_blocks_0_downsamplers"], conv_lora_dim=1 if "lokr" in name else 2, conv_alpha=1, **options)

    diffusers_lora("header", new(), {"unet": LoraConfig(r=2, lora_alpha=3, target_modules=here("to_q", "conv1", "proj_in"), rank_pattern={"to_q": 1}, alpha_pattern={"proj_in": 5}),
                                     "text_encoder": LoraConfig(r=2, lora_alpha=1, use_rslora=True, target_modules=["q_proj"])})
    diffusers_lora("header-dora", new(), {"unet": LoraConfig(r=2, lora_alpha=3, use_dora=True, target_modules=here("to_k"))})
    diffusers_lora("plain", new(), {"unet": LoraConfig(r=2, lora_alpha=2, lora_bias=True, target_modules=here("proj_out"))}, header=False)
    diffusers_lora("processors", new(), {"unet": LoraConfig(r=2, lora_alpha=2, target_modules=here("to_q", "to_out.0"))}, "processors", header=False)
    diffusers_lora("linear", new(), {"text_encoder_2": LoraConfig(r=2, lora_alpha=2, target_modules=["fc2"])}, "linear", header=False)
    diffusers_lora("down-up", new(), {"unet": LoraConfig(r=1, lora_alpha=1, target_modules=here("to_v"))}, "old", header=False)


main()
