"""Holds measure.py to a plain forward and backward pass of transformers, for small random models of many architectures; and, with a weld, the way from a
measurement to a merge for those whose names in memory are not those in their files.

    python .ci/interop/importance_models.py [--weld ./weld] [KIND …]

Needs torch 2.15 and transformers 5.23. Without KIND all architectures are tried, and what importance_texts.py and importance_forms.py have.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types
from unittest import mock

import importance_forms
import importance_texts
import safetensors.torch
import transformers
from importance_small import heard, made, measure, measured, tensors_of, torch
from transformers.core_model_loading import revert_weight_conversion

TEXT = ("bloom cohere ernie4_5_moe exaone4 gemma gemma2 gemma3_text glm4 gpt2 gpt_bigcode gpt_neox gpt_oss granite helium llama mistral mixtral mpt nemotron_h olmo2 olmoe opt phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe smollm3 stablelm "
        "starcoder2").split()
OTHER = ["llava", "qwen2_5_vl", "gemma3", "vit"]
TOLERANCE = 1e-5  # of a tensor's largest value


def plain(folder, model, batches):
    """The means of |g| and g² by a backward pass through the whole model, under the names of its files."""
    model = type(model).from_pretrained(folder, dtype=torch.float32).eval()
    tied = model.all_tied_weights_keys
    named = [*model.named_parameters(), *model.state_dict().items()]
    sums = {s: {tied.get(n, n): torch.zeros(p.shape) for n, p in named} for s in measure.STATISTICS}
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
        for name, p in model.named_parameters():
            if p.grad is not None:
                sums["mean_abs_grad"][tied.get(name, name)] += p.grad.abs() / len(batches)
                sums["mean_sq_grad"][tied.get(name, name)] += p.grad.square() / len(batches)
    return {s: revert_weight_conversion(model, t) for s, t in sums.items()}


def equal(root, kind, tied, batch):
    """A measurement gives what a plain pass gives, layer by layer. Returns the largest difference, of a tensor's largest value, and what was noted."""
    folder, out = root / f"{kind}-{tied}", root / f"{kind}-{tied}-out"
    model = made(kind, tied)
    model.save_pretrained(folder)
    args = ["--samples", "4", "--length", "12", "--statistic", "both", "--batch", str(batch)]
    notes = measured(folder, out, *args)
    asked = measure.arguments(["--model", "", "--out", "", *args])
    drawn = (measure.random_images if kind == "vit" else measure.random_tokens)(types.SimpleNamespace(config=model.config, dtype=torch.float32), asked)
    want = plain(folder, model, measure.batched(drawn, batch, model.config))
    stored = {n: t for n, t in tensors_of(folder).items() if t.is_floating_point()}
    worst = 0.0
    for statistic in measure.STATISTICS:
        got = tensors_of(out / statistic)
        if got.keys() != stored.keys():
            raise AssertionError(f"{statistic}: other tensors than the model's files: {sorted(got.keys() ^ stored.keys())[:3]}")
        for name, x in got.items():
            if x.shape != stored[name].shape:
                raise AssertionError(f"{statistic}: {name} is {list(x.shape)}, in the files {list(stored[name].shape)}")
            y = want[statistic][name]
            worst = max(worst, ((x - y).abs().max() / y.abs().max().clamp_min(1e-30)).item())
    if worst > TOLERANCE or any("run whole" in n for n in notes):
        raise AssertionError(f"{worst:.1e} {notes}")
    return f"{worst:.1e}", *notes


def resumed(root, kind, tied):
    """A measurement that is ended anywhere, and begun again, gives the same bits."""
    folder = root / f"{kind}-{tied}-again"
    made(kind, tied).save_pretrained(folder)

    def run(out, steps):
        left = [steps]

        def advance(size, at_once=False):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        with mock.patch.object(measure, "advance", advance):
            measured(folder, out, "--samples", 3, "--length", 10)
        return tensors_of(out / "mean_abs_grad")

    want = run(root / f"{folder.name}-whole", 0)
    for steps in (1, 5, 9, 10, 11, 13, 15, 17, 19, 21):
        out = root / f"{folder.name}-{steps}"
        try:
            run(out, steps)
            raise AssertionError(f"it was through before step {steps}")
        except KeyboardInterrupt:
            got = run(out, 0)
        if got.keys() != want.keys() or not all(torch.equal(got[k], want[k]) for k in want):
            raise AssertionError(f"ended at step {steps} and begun again, it gives something else")


def damaged(root):
    """What an earlier run left, and somebody damaged, is not taken."""
    folder, out = root / "damaged", root / "damaged-out"
    made("llama", None).save_pretrained(folder)

    def again(says):
        try:
            measured(folder, out, "--samples", 2, "--length", 8)
        except measure.Failed as e:
            assert says in str(e), e
        else:
            raise AssertionError(f"nobody says: {says}")

    measured(folder, out, "--samples", 2, "--length", 8)
    (out / "mean_abs_grad" / "layer-00001.safetensors").unlink()
    again("has lost what was measured of model.layers.1.")
    content = (out / "back-00000").read_bytes()
    (out / "back-00000").write_bytes(content[:-1])
    again("was cut: remove its folder, and begin anew")
    (out / "turn.json").write_text("{")
    again("turn.json is damaged: remove its folder, and begin anew")


def left_alone(root):
    """The program ends when whoever began it has gone."""
    folder = root / "alone"
    made("llama", None).save_pretrained(folder)
    command = [sys.executable, measure.__file__, "--model", folder, "--out", root / "alone-out", "--samples", "10000", "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    time.sleep(1)
    if process.poll() is not None:
        raise AssertionError("it ended by itself")
    process.stdin.close()
    process.wait(timeout=20)


def noted(root):
    """A model that takes less than was asked for is noted; files have one order in every run."""
    made("gpt2", False).save_pretrained(root / "noted")
    notes = measured(root / "noted", root / "noted-out", "--samples", 1)
    assert any("has 64 positions" in n for n in notes), notes  # of the 512 that are the default
    with safetensors.safe_open(root / "noted-out" / "mean_abs_grad" / "layer-00001.safetensors", framework="pt") as f:
        written = f.offset_keys()
    assert written == [n for n in made("gpt2", False).state_dict() if n in written], written


def refused(root):
    """Models that cannot be measured, sums that are no numbers, and a disk that is full are told for what they are."""
    out = root / "refused-out"
    out.mkdir()
    (out / "in-00000").symlink_to("/dev/full")

    def said(change):
        folder = root / "refused"
        made("gpt2", False).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps(config)) if config else (folder / "config.json").unlink()
        with heard() as events:
            assert measure.main(["--model", str(folder), "--out", str(out), "--samples", "1", "--length", "8"]) == 1
        return events[-1][1]["text"]

    for says, change in {
        "has no config.json": lambda c: c.clear(),
        "does not take its config.json": lambda c: c.update(model_type="none such"),
        "names none such, which transformers": lambda c: c.update(architectures=["none such"]),
        "names logging, which transformers": lambda c: c.update(architectures=["logging"]),
        "no causal language model": lambda c: c.update(architectures=None, model_type="vit"),
        "architectures are no list of names": lambda c: c.update(architectures="GPT2LMHeadModel"),
        "'n_embd': TypeError: Field 'n_embd' expected int, got str": lambda c: c.update(n_embd="wide"),
        "makes no GPT2LMHeadModel of its config.json: KeyError in activations.py": lambda c: c.update(activation_function="none such"),
        "No space left on device": lambda c: None,
    }.items():
        text = said(change)
        assert says in text, text

    (out / "in-00000").unlink()
    transformers.GPT2ForSequenceClassification(made("gpt2", False).config).save_pretrained(root / "classes")
    asked = ["--model", str(root / "classes"), "--out", str(out), "--samples", "1", "--length", "8"]

    def ends(status, args, says):
        with heard() as events:
            assert measure.main(args) == status
        texts = [said["text"] for event, said in events if "text" in said]
        assert re.match(says, texts[-1]), texts

    ends(1, asked, r"GPT2ForSequenceClassification does not take samples of these: ValueError in \w+\.py, line \d+: ")
    with mock.patch.object(measure, "end_with_parent", lambda: None), mock.patch.object(measure, "random_tokens", lambda *args: {}["a fault of ours"]):
        ends(1, [*asked, "--with-parent", "--name", "model"], r"measuring model failed: KeyError in importance_models\.py, line \d+: 'a fault of ours'$")
    config = transformers.BertConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=64)
    transformers.BertForMaskedLM(config).save_pretrained(root / "masked")
    ends(0, ["--model", str(root / "masked"), *asked[2:]], "BertForMaskedLM reads the tokens that it is to give")
    assert measure.zeros([], "cpu").shape == ()
    with mock.patch.object(measure.shutil, "disk_usage", lambda folder: types.SimpleNamespace(free=1000)):
        try:
            raise AssertionError(measured(root / "refused", root / "refused-space", "--samples", 4, "--length", 8))
        except measure.Failed as e:  # 8 tokens of 16 values in float32, 4 samples: at 3 layers, and one gradient
            assert "what goes in at 3 layers takes 0.000008 GB more, of which 0.000001 are free" in str(e), e

    weights = tensors_of(root / "refused")
    weights["transformer.ln_f.weight"] *= float("nan")
    safetensors.torch.save_file(weights, root / "refused" / "model.safetensors", {"format": "pt"})
    (root / "nan").mkdir()
    ends(1, ["--model", str(root / "refused"), "--out", str(root / "nan"), "--samples", "1", "--length", "8"], re.escape(f"{root / 'refused'}: the loss of sample 1 is nan") + "$")
    ends(1, [*asked, "--device", "meta"], "--device meta: ")

    sums, p = measure.Sums(measure.STATISTICS), torch.nn.Parameter(torch.ones(2))
    for grad, dtype, says in ((1e30, torch.float32, "mean_sq_grad of w reaches inf: gradients are not finite, or too large"), (float("nan"), torch.bfloat16, "mean_abs_grad of w reaches nan; --dtype float32 may help")):
        p.data = p.data.to(dtype)
        p.grad = torch.full((2,), grad, dtype=dtype)
        sums.take("w", p)
        try:
            raise AssertionError([sums.means(s, 1) for s in measure.STATISTICS])
        except measure.Unusable as e:
            assert str(e) == says, e


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weld")
    p.add_argument("kinds", nargs="*", metavar="KIND")
    a = p.parse_args()
    failed = 0
    memory = pathlib.Path("/dev/shm")
    root = pathlib.Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))

    def check(name, what, *args):
        nonlocal failed
        try:
            print("ok  ", name, *what(*args) or (), flush=True)
        except Exception as e:
            failed += 1
            print("FAIL", name, getattr(e, "stderr", None) or f"{type(e).__name__}: {e}", flush=True)

    try:
        for kind in a.kinds or TEXT + OTHER:
            for tied, batch in ((False, 1), (True, 2)) if kind in TEXT else ((None, 1),):
                check(f"{kind}{' tied' if tied else ''}, batch {batch}", equal, root, kind, tied, batch)
        for kind, tied in (("mixtral", False), ("gemma3_text", True)):
            if kind in (a.kinds or TEXT):
                check(f"{kind}, ended and begun again", resumed, root, kind, tied)
        for what in left_alone, damaged, refused, noted:
            check(what.__name__.replace("_", " "), what, root)
        for name, what in importance_texts.CHECKS:
            check(name, what, root)
        for name, what in importance_forms.checks(os.path.abspath(a.weld), a.kinds) if a.weld else ():
            check(name, what, root)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
