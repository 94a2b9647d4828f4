"""Adapters of Flux and Stable Diffusion 3 in each set of their names, and what they make of a model in either, by diffusers 0.42.1.

    python .ci/interop/transformer_lora_golden.py format/lora/testdata/transformers

writes for each of the two models original.safetensors, its tensors as the original programs call them, transformer/, the same as diffusers'
own conversion makes it, and adapters/. Beside NAME.safetensors are NAME.original.safetensors and
NAME.diffusers.safetensors, the tensors that the adapter changes in either. An adapter is added to the model in its own names, by the plain formula W + s·B·A (or the Kronecker product). What that is in the
other names is read from diffusers' conversion of the model's weights, run on a model whose elements are numbered: no rule of its own is here.
diffusers' conversions of adapters have to give the same, but for the final layer, of which they lose alpha, or swap both factors
(findings/diffusers-final-layer-of-flux-adapters.sh).
"""

import inspect
import os
import shutil
import sys

import torch
from diffusers import FluxTransformer2DModel, SD3Transformer2DModel
from diffusers.loaders import lora_conversion_utils, single_file_utils
from safetensors.torch import save_file

OUT = sys.argv[1]
D, TEXT, POOLED, TIME, LATENT, MLP = 4, 6, 5, 3, 2, 16
torch.manual_seed(5)


def sized(module, name, sizes):
    """A function of diffusers for models of other sizes than those that are written into it."""
    source = inspect.getsource(getattr(module, name))
    for was, now in sizes.items():
        assert was in source, was
        source = source.replace(was, now)
    scope = dict(vars(module))
    exec(source, scope)
    return scope[name]


FLUX = sized(single_file_utils, "convert_flux_transformer_checkpoint_to_diffusers", {"inner_dim = 3072": "inner_dim = %d" % D})
KOHYA = sized(lora_conversion_utils, "_convert_kohya_flux_lora_to_diffusers", {"dims=[3072, 3072, 3072, 12288]": "dims=[%d, %d, %d, %d]" % (D, D, D, MLP)})
BFL = sized(lora_conversion_utils, "_convert_bfl_flux_control_lora_to_diffusers",
            {"inner_dim = 3072": "inner_dim = %d" % D, "num_layers = 19": "num_layers = 2", "num_single_layers = 38": "num_single_layers = 1"})


def linear(shapes, name, out, inner):
    shapes[name + ".weight"], shapes[name + ".bias"] = (out, inner), (out,)


def flux():
    shapes = {}
    for name, inner in [("time_in", TIME), ("vector_in", POOLED), ("guidance_in", TIME)]:
        linear(shapes, name + ".in_layer", D, inner)
        linear(shapes, name + ".out_layer", D, D)
    linear(shapes, "img_in", D, LATENT)
    linear(shapes, "txt_in", D, TEXT)
    linear(shapes, "final_layer.linear", LATENT, D)
    linear(shapes, "final_layer.adaLN_modulation.1", 2 * D, D)
    for i in range(2):
        for side in ["img", "txt"]:
            at = "double_blocks.%d.%s_" % (i, side)
            linear(shapes, at + "mod.lin", 6 * D, D)
            linear(shapes, at + "attn.qkv", 3 * D, D)
            linear(shapes, at + "attn.proj", D, D)
            linear(shapes, at + "mlp.0", MLP, D)
            linear(shapes, at + "mlp.2", D, MLP)
            shapes[at + "attn.norm.query_norm.scale"] = shapes[at + "attn.norm.key_norm.scale"] = (D,)
    for at in ["single_blocks.0."]:
        linear(shapes, at + "linear1", 3 * D + MLP, D)
        linear(shapes, at + "linear2", D, D + MLP)
        linear(shapes, at + "modulation.lin", 3 * D, D)
        shapes[at + "norm.query_norm.scale"] = shapes[at + "norm.key_norm.scale"] = (D,)
    return shapes


def sd3():
    shapes = {"pos_embed": (1, 3, D), "x_embedder.proj.weight": (D, LATENT, 2, 2), "x_embedder.proj.bias": (D,)}
    for name, inner in [("t_embedder", TIME), ("y_embedder", POOLED)]:
        linear(shapes, name + ".mlp.0", D, inner)
        linear(shapes, name + ".mlp.2", D, D)
    linear(shapes, "context_embedder", D, TEXT)
    linear(shapes, "final_layer.linear", LATENT, D)
    linear(shapes, "final_layer.adaLN_modulation.1", 2 * D, D)
    for i in range(2):
        for side in ["x_block", "context_block"]:
            at, last = "joint_blocks.%d.%s." % (i, side), i == 1 and side == "context_block"
            for attn in ["attn", "attn2"] if i == 0 and side == "x_block" else ["attn"]:
                linear(shapes, at + attn + ".qkv", 3 * D, D)
                shapes[at + attn + ".ln_q.weight"] = shapes[at + attn + ".ln_k.weight"] = (D,)
                if not last:
                    linear(shapes, at + attn + ".proj", D, D)
            linear(shapes, at + "adaLN_modulation.1", (2 if last else 9 if i == 0 and side == "x_block" else 6) * D, D)
            if not last:
                linear(shapes, at + "mlp.fc1", MLP, D)
                linear(shapes, at + "mlp.fc2", D, MLP)
    return shapes


class Model:
    def __init__(self, shapes, convert, reference):
        self.convert = lambda state: {k: t.contiguous() for k, t in convert({k: t.clone() for k, t in state.items()}).items()}
        self.original = {k: torch.randn(s).half().float() for k, s in shapes.items()}
        self.diffusers = self.convert(self.original)
        assert set(self.diffusers) == set(reference), set(self.diffusers) ^ set(reference)
        first, self.numbers = 0, {}
        for k, s in shapes.items():
            n = torch.Size(s).numel()
            self.numbers[k] = torch.arange(first, first + n, dtype=torch.float64).reshape(s)
            first += n
        self.places = {k: t.long() for k, t in self.convert(self.numbers).items()}
        assert sum(t.numel() for t in self.places.values()) == first

    def other(self, state):
        """The original of a model in diffusers' names."""
        row = torch.empty(sum(t.numel() for t in self.numbers.values()))
        for k, t in state.items():
            row[self.places[k].flatten()] = t.flatten()
        return {k: row[t.long().flatten()].reshape(t.shape) for k, t in self.numbers.items()}


def layers(state):
    return [k[:-len(".weight")] for k, t in state.items() if k.endswith(".weight") and t.dim() >= 2]


def noise(*shape):
    return (torch.randn(shape) / 2).half().float()


def factors(weight, rank):
    return noise(rank, *weight.shape[1:]), noise(weight.shape[0], rank, *[1] * (weight.dim() - 2))


def product(a, b):
    return (b.flatten(1).double() @ a.flatten(1).double())


def write(folder, name, model, of, state, changes):
    """changes are what is added to the model in the set of names called of."""
    own = {k: t.clone() for k, t in getattr(model, of).items()}
    for module, delta in changes.items():
        w = own[module + ".weight"]
        own[module + ".weight"] = (w.double() + delta.reshape(w.shape)).float()
    both = {"original": own, "diffusers": model.convert(own)} if of == "original" else {"original": model.other(own), "diffusers": own}
    save_file({k: t.half().contiguous() for k, t in state.items()}, os.path.join(folder, "adapters", name + ".safetensors"))
    for kind, held in both.items():
        want = {k: t.contiguous() for k, t in held.items() if not torch.equal(t, getattr(model, kind)[k])}
        save_file(want, os.path.join(folder, "adapters", name + "." + kind + ".safetensors"))
        print("%-16s %3d tensors for %3d of %s" % (os.path.join(os.path.basename(folder), name), len(state), len(want), kind))
    return both["diffusers"]


def lora(folder, name, model, of, rank, alpha, key, down, up, only=None):
    """key makes the beginning of a tensor's name of a module's."""
    state, changes = {}, {}
    for module in layers(getattr(model, of)):
        if only and not any(word in module for word in only):
            continue
        a, b = factors(getattr(model, of)[module + ".weight"], rank)
        state[key(module) + down], state[key(module) + up] = a, b
        if alpha:
            state[key(module) + ".alpha"] = torch.tensor(float(alpha))
        changes[module] = product(a, b) * ((alpha or rank) / rank)
    return state, write(folder, name, model, of, state, changes)


def agrees(converted, model, merged, but):
    """An adapter that diffusers converted gives the same model, but for some of its modules."""
    seen = 0
    for key, a in converted.items():
        if not key.endswith(".lora_A.weight"):
            continue
        module = key[:-len(".lora_A.weight")].removeprefix("transformer.")
        seen += 1
        got = model.diffusers[module + ".weight"].double() + product(a, converted[key.replace("lora_A", "lora_B")])
        same = torch.allclose(got.float(), merged[module + ".weight"], rtol=1e-5, atol=1e-5)
        assert same != (module in but), module
    assert seen == len(layers(model.diffusers)), seen


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    with torch.device("meta"):
        small = dict(num_attention_heads=1, attention_head_dim=4, pooled_projection_dim=POOLED, joint_attention_dim=TEXT)
        like = {"flux": FluxTransformer2DModel(num_layers=2, num_single_layers=1, in_channels=LATENT, guidance_embeds=True, **small),
                "sd3": SD3Transformer2DModel(num_layers=2, sample_size=4, caption_projection_dim=D, dual_attention_layers=(0,), qk_norm="rms_norm", **small)}
    models = {"flux": Model(flux(), FLUX, like["flux"].state_dict()),
              "sd3": Model(sd3(), single_file_utils.convert_sd3_transformer_checkpoint_to_diffusers, like["sd3"].state_dict())}
    flat = lambda begin: lambda module: begin + module.replace(".", "_")
    dotted = lambda begin: lambda module: begin + module
    for name, model in models.items():
        folder, few = os.path.join(OUT, name), "single_blocks.0." if name == "flux" else "blocks.1."
        os.makedirs(os.path.join(folder, "adapters"))
        os.makedirs(os.path.join(folder, "transformer"))
        for kind, file in [("original", "original.safetensors"), ("diffusers", "transformer/diffusion_pytorch_model.safetensors")]:
            save_file({k: t.half().contiguous() for k, t in getattr(model, kind).items()}, os.path.join(folder, file))
        state, merged = lora(folder, "kohya", model, "original", 2, 3, flat("lora_unet_"), ".lora_down.weight", ".lora_up.weight")
        if name == "flux":
            agrees(KOHYA(dict(state)), model, merged, {"norm_out.linear", "proj_out"})  # alpha is lost
        lora(folder, "comfy", model, "original", 1, 2, dotted("diffusion_model."), ".lora_down.weight", ".lora_up.weight", only=[few, "final_layer"])
        lora(folder, "diffusers", model, "diffusers", 2, None, dotted("transformer."), ".lora_A.weight", ".lora_B.weight")
        lora(folder, "flat", model, "diffusers", 2, 1, flat("lora_transformer_"), ".lora_down.weight", ".lora_up.weight", only=[few.replace("single_", "single_transformer_"), "norm_out"])

    folder, model = os.path.join(OUT, "flux"), models["flux"]
    state, merged = lora(folder, "bfl", model, "original", 2, None, dotted(""), ".lora_A.weight", ".lora_B.weight")
    scales = {k: t for k, t in model.original.items() if k.endswith(".scale")}
    agrees(BFL({**state, **scales}), model, merged, {"norm_out.linear"})  # both factors are swapped
    state, changes = {}, {}
    for module, w1, w2 in [("double_blocks.0.img_attn.qkv", noise(2, 2), noise(6, 2)), ("single_blocks.0.linear1", noise(7, 4), noise(4, 1))]:
        begin = "lora_unet_" + module.replace(".", "_")
        state[begin + ".lokr_w1"], state[begin + ".lokr_w2"], state[begin + ".alpha"] = w1, w2, torch.tensor(1.0)
        changes[module] = torch.kron(w1.double(), w2.double())
    write(folder, "lokr", model, "original", state, changes)


main()
