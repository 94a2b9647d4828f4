"""The way from a measurement to a merge by weld: for models whose names in memory are not those in their files, and for models in all forms."""

import functools
import json
import os
import signal
import subprocess
import time
from unittest import mock

import safetensors.torch
from importance_small import made, measure, measured, tensors_of, torch

RENAMED = ["mixtral", "qwen3_moe", "gpt_neox", "nemotron_h", "llava", "qwen2_5_vl", "gemma3", "vit"]
SIZES = dict(hidden_size=64, intermediate_size=64, num_attention_heads=2, num_key_value_heads=1, head_dim=32)  # blocks of codes have 32 values


class Standin:
    """What weld runs in the place of a Python: it has this process measure, which has loaded torch."""

    def __init__(self, folder):
        folder.mkdir()
        self.program, self.asked, self.said = (folder / name for name in ("python", "asked", "said"))
        self.program.write_text(f"""#!/bin/sh
[ "$1" = -c ] && exec echo '{{"event": "done"}}'
printf '%s\\0' "$@" >'{self.asked}.part' && mv '{self.asked}.part' '{self.asked}' && exec cat '{self.said}'
""")
        self.program.chmod(0o755)
        os.mkfifo(self.said)

    def run(self, weld, *args):
        """Runs weld importance. Returns what it said."""
        process = subprocess.Popen([weld, "importance", "--python", self.program, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        try:
            said = self.serve(process)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        if process.returncode:
            raise AssertionError(f"weld importance {' '.join(map(str, args))}: exit {process.returncode}: {said}")
        return said

    def serve(self, process):
        """Measures what is asked for, until the process ends."""
        while not self.asked.exists() and process.poll() is None:
            time.sleep(0.01)
        if self.asked.exists():
            argv = self.asked.read_text().split("\0")[1:-1]  # behind the name of the program
            self.asked.unlink()
            argv.remove("--with-parent")
            with open(self.said, "w") as f, mock.patch.object(measure, "emit", lambda event, **said: print(json.dumps({"event": event, **said}), file=f, flush=True)):
                measure.main(argv)
        return process.communicate()[0]


class Way:
    """Measurements and merges in a folder."""

    def __init__(self, weld, python, folder):
        self.weld, self.python, self.folder = weld, python, folder
        folder.mkdir()

    def run(self, *args):
        return subprocess.run([self.weld, *map(str, args), "--force"], cwd=self.folder, check=True, capture_output=True, text=True).stderr

    def save_two(self, model):
        """A base, and the same model after a training."""
        model.save_pretrained(self.folder / "base")
        for p in model.parameters():
            p.data += 0.01 * torch.randn_like(p)
        model.save_pretrained(self.folder / "tuned")

    def measure(self, model, *args):
        self.python.run(self.weld, self.folder / model, self.folder / "importance.safetensors", "--force", "--samples", 3, "--length", 12, *args)
        return safetensors.torch.load_file(self.folder / "importance.safetensors")

    def merge(self, model):
        """Merges with what was measured, and demands that nothing is said of another model."""
        said = self.run("merge", "--method", "sta", "--base", "base", "--model", model, "--importance", "importance.safetensors", "merged")
        if "note: importance.safetensors" in said:
            raise AssertionError(said)


def renamed(way, kind):
    """A measurement has the names of the files, and is taken by a merge."""
    model = made(kind, None)
    way.save_two(model)
    way.measure("tuned")
    way.merge("tuned")
    type(model).from_pretrained(way.folder / "merged")


def adapter(folder, model):
    """An adapter with random factors."""
    factors = {}
    for name, p in model.named_parameters():
        if name.endswith(("q_proj.weight", "down_proj.weight")):
            name = "base_model.model." + name.removesuffix(".weight")
            factors[name + ".lora_A.weight"], factors[name + ".lora_B.weight"] = torch.randn(2, p.shape[1]), 0.1 * torch.randn(p.shape[0], 2)
    folder.mkdir()
    safetensors.torch.save_file(factors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM", "bias": "none"}))


def forms(way):
    """What is measured of models in other forms is what is measured of the plain models that they are decoded to, and merges take it."""
    model = made("llama", False, **SIZES)
    way.save_two(model)
    adapter(way.folder / "adapter", model)
    tuned, bins = way.folder / "tuned", way.folder / "bins"
    bins.mkdir()
    torch.save(model.state_dict(), bins / "pytorch_model.bin")
    (bins / "config.json").write_bytes((tuned / "config.json").read_bytes())
    way.run("convert", "tuned", "codes", "--quantize", "fp8_channel")
    way.run("convert", "tuned", "groups", "--quantize", "mxfp4")
    way.run("convert", "tuned", "blocks.gguf", "--quantize", "q8_0")
    way.run("pack", "tuned", "tuned.weld")
    seen = {}
    for form in ("tuned", "base+" + str(way.folder / "adapter"), "bins", "codes", "groups", "blocks.gguf", "tuned.weld"):
        got = way.measure(form)
        model = "decoded" if form.endswith(".gguf") else form  # GGUF has names of its own: it is merged as what it is decoded to
        way.run("convert", form, "decoded", "--quantize", "none")
        measured(way.folder / "decoded", way.folder / f"{len(seen)}-plain", "--samples", 3, "--length", 12)
        want = tensors_of(way.folder / f"{len(seen)}-plain" / "mean_abs_grad")
        if got.keys() != want.keys() or not all(torch.equal(got[k], want[k]) for k in want):
            raise AssertionError(f"{form}: not what is measured of what it is decoded to")
        seen[form] = got["model.layers.1.mlp.up_proj.weight"]
        way.merge(model)
    if not torch.equal(seen["tuned"], seen["bins"]) or not torch.equal(seen["tuned"], seen["tuned.weld"]):
        raise AssertionError("files of torch.save and packs: not what is measured of the same weights")
    rounded = [form for form in seen if not torch.equal(seen[form], seen["tuned"])]
    if rounded != ["base+" + str(way.folder / "adapter"), "codes", "groups", "blocks.gguf"]:
        raise AssertionError(f"only {rounded} are measured at other weights")
    way.measure("codes")
    said = way.run("merge", "--method", "sta", "--base", "base", "--model", "bins", "--importance", "importance.safetensors", "merged")
    if f"measured on {way.folder / 'codes'}, whose weights are not those of bins nor of base" not in said:
        raise AssertionError(said)
    return (", ".join(seen),)


def checks(weld, kinds):
    """What is to be checked: name, function of a folder."""
    standin = functools.cache(lambda root: Standin(root / "standin"))

    def within(name, what, *args):
        return name, lambda root: what(Way(weld, standin(root), root / name.replace(" ", "-")), *args)

    return [within(f"merge {kind}", renamed, kind) for kind in RENAMED if kind in (kinds or RENAMED)] + [within("forms", forms)]
