"""Holds measure.py to a plain forward and backward pass of transformers, for small random models of many architectures; and, with a weld, the way from a
measurement to a merge for those whose names in memory are not those in their files.

    python .ci/interop/importance_models.py [--weld ./weld] [KIND …]

Needs torch 2.15 and transformers 5.23. Without KIND all architectures are tried, which takes some minutes.
"""

import argparse
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)
os.environ["HF_HUB_OFFLINE"] = "1"
import safetensors.torch
import torch
import transformers
from transformers.core_model_loading import revert_weight_conversion

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "stream" / "importance"))
sys.dont_write_bytecode = True
import measure

measure.torch, measure.transformers, measure.safetensors = torch, transformers, safetensors
transformers.utils.logging.disable_progress_bar()

TEXT = ("bloom cohere ernie4_5_moe exaone4 gemma gemma2 gemma3_text glm4 gpt2 gpt_bigcode gpt_neox gpt_oss granite helium llama mistral mixtral mpt nemotron_h olmo2 olmoe opt phi phi3 qwen2 qwen2_moe qwen3 qwen3_moe smollm3 stablelm "
        "starcoder2").split()
OTHER = ["llava", "qwen2_5_vl", "gemma3", "vit"]
RENAMED = ["mixtral", "qwen3_moe", "gpt_neox", "nemotron_h", *OTHER]  # other names in memory than in files
TOLERANCE = 1e-5  # of a tensor's largest value

SMALL = dict(hidden_size=16, intermediate_size=24, moe_intermediate_size=24, shared_expert_intermediate_size=24, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2, vocab_size=64, head_dim=4,
             max_position_embeddings=64, n_embd=16, n_layer=3, n_head=4, n_inner=24, d_model=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, partial_rotary_factor=1.0, num_experts=4, num_local_experts=4,
             n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1, ffn_dim=24, num_layers=3, word_embed_proj_dim=16, sliding_window=4, n_shared_experts=1)
EYES = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14, depth=2, num_heads=2, out_hidden_size=16, projection_dim=16, fullatt_block_indexes=[1], num_labels=5)
PLACES = dict(image_token_id=60, image_token_index=60, video_token_id=61, vision_start_token_id=62, vision_end_token_id=63, boi_token_index=62, eoi_token_index=63)


def shrink(config, sizes):
    for key, value in sizes.items():
        if hasattr(config, key):
            setattr(config, key, value)


def made(kind, tied):
    """A small model with random weights."""
    config = transformers.AutoConfig.for_model(kind)
    text = config.get_text_config()
    if kind == "vit":
        shrink(config, EYES)
        cls = transformers.AutoModelForImageClassification
    else:
        shrink(text, SMALL)
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


def compare(root, kind, tied, batch):
    """The largest difference, of a tensor's largest value, and what measure.py noted."""
    folder = str(root / f"{kind}-{tied}")
    model = made(kind, tied)
    model.save_pretrained(folder)
    notes = []
    measure.emit = lambda event, **said: notes.append(said["text"]) if event == "note" else None
    out = root / f"{kind}-{tied}-out"
    out.mkdir()
    asked = measure.arguments(["--model", folder, "--out", str(out), "--samples", "4", "--length", "12", "--statistic", "both", "--batch", str(batch)])
    measure.measure(asked)
    checkpoint = measure.Checkpoint(folder, "auto", "cpu")
    samples = measure.random_images(checkpoint, asked) if kind == "vit" else measure.random_tokens(checkpoint, asked)
    want = plain(folder, model, measure.batched(samples, batch, checkpoint.config))
    stored = {n: t for n, t in safetensors.torch.load_file(folder + "/model.safetensors").items() if t.is_floating_point()}
    worst = 0.0
    for statistic in measure.STATISTICS:
        got = {}
        for part in (out / statistic).glob("*.safetensors"):
            got.update(safetensors.torch.load_file(part))
        if got.keys() != stored.keys():
            raise AssertionError(f"{statistic}: other tensors than the model's files: {sorted(got.keys() ^ stored.keys())[:3]}")
        for name, x in got.items():
            if x.shape != stored[name].shape:
                raise AssertionError(f"{statistic}: {name} is {list(x.shape)}, in the files {list(stored[name].shape)}")
            y = want[statistic][name]
            worst = max(worst, ((x - y).abs().max() / y.abs().max().clamp_min(1e-30)).item())
    return worst, notes


def resumed(root, kind, tied):
    """A measurement that is ended anywhere, and begun again, gives the same bits."""
    folder = str(root / f"{kind}-{tied}-again")
    made(kind, tied).save_pretrained(folder)

    def measured(out, steps):
        left = [steps]

        def advance(size, at_once=False):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        measure.emit, measure.advance = lambda *a, **k: None, advance
        os.makedirs(out, exist_ok=True)
        measure.measure(measure.arguments(["--model", folder, "--out", out, "--samples", "3", "--length", "10"]))
        return {k: t for part in (pathlib.Path(out) / "mean_abs_grad").glob("*.safetensors") for k, t in safetensors.torch.load_file(part).items()}

    want = measured(folder + "-whole", 0)
    for steps in (1, 5, 9, 10, 11, 13, 15, 17, 19, 21):
        out = f"{folder}-{steps}"
        try:
            measured(out, steps)
            raise AssertionError(f"it was through before step {steps}")
        except KeyboardInterrupt:
            got = measured(out, 0)
        if got.keys() != want.keys() or not all(torch.equal(got[k], want[k]) for k in want):
            raise AssertionError(f"ended at step {steps} and begun again, it gives something else")


def damaged(root, kind):
    """What an earlier run left, and somebody damaged, is not taken."""
    folder, out = str(root / f"{kind}-damaged"), root / "damaged"
    made(kind, None).save_pretrained(folder)
    measure.emit = lambda *a, **k: None
    asked = measure.arguments(["--model", folder, "--out", str(out), "--samples", "2", "--length", "8"])

    def again(says):
        try:
            measure.measure(asked)
            raise AssertionError(f"nobody says: {says}")
        except measure.Failed as e:
            assert says in str(e), e

    out.mkdir()
    measure.measure(asked)
    (out / "mean_abs_grad" / "layer-00001.safetensors").unlink()
    again("has lost what was measured of model.layers.1.")
    content = (out / "back-00000").read_bytes()
    (out / "back-00000").write_bytes(content[:-1])
    again("was cut: remove its folder, and begin anew")
    (out / "turn.json").write_text("{")
    again("turn.json is damaged: remove its folder, and begin anew")


def left_alone(root, kind):
    """The program ends when whoever began it has gone."""
    folder = root / f"{kind}-alone"
    made(kind, None).save_pretrained(folder)
    command = [sys.executable, measure.__file__, "--model", folder, "--out", root / "alone", "--samples", "10000", "--with-parent"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    time.sleep(1)
    if process.poll() is not None:
        raise AssertionError("it ended by itself")
    process.stdin.close()
    process.wait(timeout=20)


UNFIT = {  # what cannot be a sample, and what is said of it
    b'[\n{"text": "aaa"}\n]': "line 1 is no JSON: Expecting value, at character 3; rows are objects, one in each line",
    b'{"text": ' + b"9" * 5000 + b"}": "is no JSON that can be read: Exceeds the limit (4300 digits) for integer string conversion: value has 5000 digits",
    b'{"text": "a"}': "has no sample: 1 row with less than two tokens, or none in the first 512 that the loss counts",
    b'{"messages": [{"role": 1, "content": "a"}]}': "messages are no list of objects that each have a role, and content",
    b'{"messages": []}': "messages are no list of objects",
    b'{"messages": "a"}': "messages are no list of objects",
    b'{"text": "caf\xe9"}': "is no text in UTF-8",
    b'{"text": "a \\ud800"}': "half of a surrogate pair",
    b"[" * 100_000: "is no JSON",
    b'{"text": "\xc3\xa9"}': "the tokenizer gives token 99, and the model has 64",
    b'{"messages": [{"role": "assistant", "content": "a"}]}': "begins with an answer",
}
FIT = b'\xef\xbb\xbf{"text": "aaa", "input_ids": null, "messages": null}\n{"input_ids": [1, 2], "labels": null, "text": null}'


def texts(root):
    """Files of texts that are not as they should be are told for what they are; null is nothing, and a byte order mark is none of a text."""
    from tokenizers import Tokenizer, models

    folder, path = str(root / "texts"), str(root / "texts.jsonl")
    made("gpt2", False).save_pretrained(folder)
    tokenizer = Tokenizer(models.BPE(vocab={"a": 5, "\u00e9": 99, "?": 6}, merges=[], unk_token="?"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, chat_template="{% for m in messages %}{{m.content}}{% endfor %}").save_pretrained(folder)
    checkpoint = measure.Checkpoint(folder, "auto", "cpu")
    notes = []
    measure.emit = lambda event, **said: notes.append(said["text"]) if event == "note" else None

    def of(content):
        pathlib.Path(path).write_bytes(content)
        return [s["input_ids"] for s in measure.samples_from(path, checkpoint, measure.arguments(["--model", folder, "--out", folder, "--samples", "2"]))]

    assert of(FIT) == [[5, 5, 5], [1, 2]], of(FIT)
    assert of(b'{"text": "' + b"a" * 3_000_000 + b'"}') == [[5] * 512]  # in no time
    most = measure.LONGEST
    for content, says in {**UNFIT, b'{"text": "' + b"a" * 99 + b'"}': "line 1 has more than 99 characters"}.items():
        measure.LONGEST = 99 if content.startswith(b'{"text": "aaa') else most
        try:
            raise AssertionError(f"{content[:60]} gives {of(content)}")
        except measure.Unusable as e:
            assert says in str(e), f"{content[:60]}: {e}"
    (root / "texts-out").mkdir()
    measure.measure(measure.arguments(["--model", folder, "--out", str(root / "texts-out"), "--samples", "1"]))
    assert any("has 64 positions" in n for n in notes), notes  # of the 512 that are the default
    with safetensors.safe_open(root / "texts-out" / "mean_abs_grad" / "layer-00001.safetensors", framework="pt") as f:
        written = f.offset_keys()
    assert written == [n for n in checkpoint.model.state_dict() if n in written], written  # in an order that is that of every run


def refused(root):
    """Models that cannot be measured, sums that are no numbers, and a disk that is full are told for what they are."""
    events = []
    measure.emit = lambda event, **said: events.append(said.get("text")) if event in ("error", "unusable", "note") else None
    out = root / "refused-out"
    out.mkdir()
    (out / "in-00000").symlink_to("/dev/full")

    def said(change):
        folder = root / "refused"
        made("gpt2", False).save_pretrained(folder)
        config = json.loads((folder / "config.json").read_text())
        change(config)
        (folder / "config.json").write_text(json.dumps(config)) if config else (folder / "config.json").unlink()
        assert measure.main(["--model", str(folder), "--out", str(out), "--samples", "1", "--length", "8"]) == 1
        return events.pop()

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
    assert measure.main(asked) == 1
    assert re.match(r"GPT2ForSequenceClassification does not take samples of these: ValueError in \w+\.py, line \d+: ", events[-1]), events[-1]
    measure.end_with_parent, tokens = lambda: None, measure.random_tokens
    measure.random_tokens = lambda *args: {}["a fault of ours"]
    assert measure.main([*asked, "--with-parent", "--name", "model"]) == 1
    assert re.fullmatch(r"measuring model failed: KeyError in importance_models\.py, line \d+: 'a fault of ours'", events[-1]), events[-1]
    measure.random_tokens = tokens
    config = transformers.BertConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2, vocab_size=64)
    transformers.BertForMaskedLM(config).save_pretrained(root / "masked")
    assert measure.main(["--model", str(root / "masked"), *asked[2:]]) == 0
    assert "BertForMaskedLM reads the tokens that it is to give" in events[-1], events[-1]
    assert measure.zeros([], "cpu").shape == ()

    weights = safetensors.torch.load_file(root / "refused" / "model.safetensors")
    weights["transformer.ln_f.weight"] *= float("nan")
    safetensors.torch.save_file(weights, root / "refused" / "model.safetensors", {"format": "pt"})
    (root / "nan").mkdir()
    assert measure.main(["--model", str(root / "refused"), "--out", str(root / "nan"), "--samples", "1", "--length", "8"]) == 1
    assert events[-1] == f"{root / 'refused'}: the loss of sample 1 is nan", events[-1]
    assert measure.main([*asked, "--device", "meta"]) == 1
    assert events[-1].startswith("--device meta: "), events[-1]

    sums, p = measure.Sums(measure.STATISTICS), torch.nn.Parameter(torch.ones(2))
    for grad, dtype, says in ((1e30, torch.float32, "mean_sq_grad of w reaches inf: gradients are not finite, or too large"), (float("nan"), torch.bfloat16, "mean_abs_grad of w reaches nan; --dtype float32 may help")):
        p.data = p.data.to(dtype)
        p.grad = torch.full((2,), grad, dtype=dtype)
        sums.take("w", p)
        try:
            raise AssertionError([sums.means(s, 1) for s in measure.STATISTICS])
        except measure.Unusable as e:
            assert str(e) == says, e


def merged(weld, root, kind):
    """A measurement is taken by a merge."""
    model = made(kind, None)
    model.save_pretrained(root / "base")
    for p in model.parameters():
        p.data += 0.01 * torch.randn_like(p)
    model.save_pretrained(root / "tuned")
    run = lambda *args: subprocess.run([weld, *args, "--quiet", "--force"], cwd=root, check=True, capture_output=True, text=True)
    run("importance", "tuned", "importance.safetensors", "--python", sys.executable, "--samples", "3", "--length", "12")
    run("merge", "--method", "sta", "--base", "base", "--model", "tuned", "--importance", "importance.safetensors", "merged")
    type(model).from_pretrained(root / "merged")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weld")
    p.add_argument("kinds", nargs="*", metavar="KIND")
    a = p.parse_args()
    failed = 0
    root = pathlib.Path(tempfile.mkdtemp())
    try:
        for kind in a.kinds or TEXT + OTHER:
            for tied, batch in ((False, 1), (True, 2)) if kind in TEXT else ((None, 1),):
                try:
                    worst, notes = compare(root, kind, tied, batch)
                    whole = any("run whole" in n for n in notes)
                    failed += worst > TOLERANCE or whole
                    print("ok  " if worst <= TOLERANCE and not whole else "FAIL", kind, "tied" if tied else "", f"batch {batch}, {worst:.1e}", *notes, flush=True)
                except Exception as e:
                    failed += 1
                    print("FAIL", kind, type(e).__name__, e, flush=True)
        for kind, tied in (("mixtral", False), ("gemma3_text", True)):
            if kind in (a.kinds or TEXT):
                resumed(root, kind, tied)
                print("ok   ended and begun again", kind, flush=True)
        left_alone(root, "llama")
        damaged(root, "llama")
        texts(root)
        refused(root)
        print("ok   texts, and what is refused", flush=True)
        for kind in RENAMED if a.weld else ():
            if kind in (a.kinds or RENAMED):
                try:
                    (root / f"{kind}-merge").mkdir()
                    merged(os.path.abspath(a.weld), root / f"{kind}-merge", kind)
                    print("ok   merge", kind, flush=True)
                except subprocess.CalledProcessError as e:
                    failed += 1
                    print("FAIL merge", kind, e.stderr, flush=True)
    finally:
        shutil.rmtree(root)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
