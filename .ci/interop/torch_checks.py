"""The checks that need torch and transformers: what users load weld's output with."""

import itertools
import json
import os
import pathlib
import re
import subprocess
import sys
import textwrap

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
import safetensors.torch
import torch

import chat
import compressed
import deepspeed_files
import fp8
import hub_cache
import libraries
import sta
import stacks
import torch_files
from checkpoints import Failure, Family, Skipped, bf16, expect, expect_equal, load, save

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "importance.md"
SCRIPT_SECONDS = 300
WORDS = "the cat sat on a mat and saw two dogs run by".split()


def to_numpy(x):
    """A torch tensor with its own bits: numpy knows no bfloat16."""
    x = x.detach().contiguous().cpu()
    return x.view(torch.int16).numpy().view(bf16) if x.dtype == torch.bfloat16 else x.numpy()


def numpy_state(model):
    return {name: to_numpy(x) for name, x in model.state_dict().items()}


# torch alone.


def torch_load_file(weld):
    """safetensors.torch reads every output dtype with the values that numpy computes."""
    kin = Family(weld.place("-torch"), 61, dtype=bf16)
    args = ["--method", "sta", "--preset", "paper", "--base", kin.paths["base"]]
    for t in range(2):
        args += ["--model", kin.paths["models", t], "--importance", kin.paths["signed", t]]
    models = [sta.Model(kin.models[t], kin.signed[t]) for t in range(2)]
    for dtype in ("float32", "float16", "bfloat16"):
        out = weld.merge(*args, "--out-dtype", dtype)
        loaded = safetensors.torch.load_file(out)
        floating = {x.dtype for x in loaded.values() if x.is_floating_point()}
        expect(floating == {getattr(torch, dtype)}, f"--out-dtype {dtype}: torch sees {floating}")
        want = sta.merge(kin.base, models, sta.Options(), dtype)
        expect_equal({k: to_numpy(x) for k, x in loaded.items()}, want, f"torch, {dtype}")


# transformers.


def llama(seed):
    """A Llama of two layers and some twenty thousand weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=False,
                         bos_token_id=1, eos_token_id=2, pad_token_id=0)
    return LlamaForCausalLM(config)


def tuned(base, seed):
    """base after some steps that nobody needs to know."""
    model = llama(0)
    model.load_state_dict(base.state_dict())
    torch.manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.02 * torch.randn_like(p)
    return model


def save_tokenizer(path):
    """A tokenizer of a dozen words, so that a script can ask for one."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocab = {w: i for i, w in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocab, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
                            unk_token="<unk>").save_pretrained(path)


def tiny_llamas(weld):
    """A base and two tuned models as transformers saves them, made once; paths and weights."""
    if "llamas" not in weld.__dict__:
        base = llama(0)
        weld.llamas = []
        for model in (base, tuned(base, 1), tuned(base, 2)):
            path = weld.place("-llama")
            model.save_pretrained(path)
            save_tokenizer(path)
            weld.llamas.append((path, load(path)))
    return weld.llamas


def transformers_load(weld):
    """from_pretrained takes a merged directory, and the model in it is the computed one."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    (base, theta0), *tasks = tiny_llamas(weld)
    rng = np.random.default_rng(7)
    args, models = ["--method", "sta", "--preset", "paper", "--base", base, "--density", "0.3"], []
    for path, tensors in tasks:
        importance = {k: np.abs(rng.normal(size=x.shape)).astype(np.float32) for k, x in tensors.items()}
        args += ["--model", path, "--importance", save(weld.place(".safetensors"), importance)]
        models.append(sta.Model(tensors, importance, density=0.3))
    for dtype, flags in (("float32", ()), ("bfloat16", ("--shard-size", "50KB"))):
        out = weld.merge(*args, "--out-dtype", dtype, *flags, out="")
        config = AutoConfig.from_pretrained(out)
        said = getattr(config, "dtype", None) or config.torch_dtype
        expect(said == getattr(torch, dtype), f"AutoConfig: dtype {said}, want {dtype}")
        model = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
        expect_equal(numpy_state(model), sta.merge(theta0, models, sta.Options(), dtype), f"state dict, {dtype}")
        ids = AutoTokenizer.from_pretrained(out)("the cat sat on a mat", return_tensors="pt").input_ids
        with torch.no_grad():
            logits = model(ids).logits
        expect(bool(torch.isfinite(logits).all()), f"{dtype}: logits are not finite")


def sharded_by_transformers(weld):
    """A sharded directory in the tiny model's own dtypes goes through unchanged."""
    _, (path, tensors), _ = tiny_llamas(weld)
    from transformers import AutoModelForCausalLM

    source = weld.place("-sharded")
    AutoModelForCausalLM.from_pretrained(path).save_pretrained(source, max_shard_size="40KB")
    expect((source / "model.safetensors.index.json").exists(), "transformers did not shard: the check needs mending")
    out = weld.merge("--method", "passthrough", "--model", source)
    expect_equal(load(out), tensors, "passthrough of transformers' shards")


def chat_templates_loaded(weld):
    """AutoTokenizer takes the template that a recipe names, and renders what chat.py does."""
    from transformers import AutoTokenizer

    (base, _), *_ = tiny_llamas(weld)
    golden = chat.golden()
    for name, want in golden["rendered"].items():
        recipe = weld.place(".yml")
        recipe.write_text(f"merge_method: linear\nmodels: [{{model: {base}}}]\nchat_template: {name}\n")
        tokenizer = AutoTokenizer.from_pretrained(weld.merge(recipe, out=""))
        for case, text in zip(golden["cases"], want, strict=True):
            if text is not None:
                got = tokenizer.apply_chat_template(case["messages"], tokenize=False, add_generation_prompt=case["add_generation_prompt"])
                expect(got == chat.mended(name, text), f"{name}, {case}:\ngot  {got!r}\nwant {chat.mended(name, text)!r}")


# docs/importance.md.


def gradient_block():
    """The python block of the page that writes an importance file."""
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    for _, block in blocks:
        if "weld.statistic" in block:
            return textwrap.dedent(block)
    raise Failure(f"{PAGE} has no python block with weld.statistic")


# What the block may count on: model, tokenizer and samples exist, and whatever name it
# gives to from_pretrained is the tiny model. It writes a .safetensors where it likes.
PRELUDE = """
import sys
import torch, transformers
TINY = {tiny!r}
sys.argv = ["gradients.py", TINY, "importance.safetensors"]
for auto in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
    def of_tiny(cls, name=None, *args, _given=auto.from_pretrained.__func__, **kwargs):
        kwargs.pop("device_map", None)
        return _given(cls, TINY, *args, **kwargs)
    auto.from_pretrained = classmethod(of_tiny)
tokenizer = transformers.AutoTokenizer.from_pretrained(TINY)
model = transformers.AutoModelForCausalLM.from_pretrained(TINY)
samples = []
for text in ("the cat sat on a mat", "a dog saw two dogs run by"):
    ids = tokenizer(text, return_tensors="pt").input_ids
    samples.append({{"input_ids": ids, "labels": ids}})
texts = ["the cat sat on a mat", "a dog saw two dogs run by"]
data = dataset = batches = samples
"""


def page_gradients(weld):
    """The script of docs/importance.md runs as printed, and weld takes the file that it writes."""
    block = gradient_block()
    (base, theta0), (path, tensors), _ = tiny_llamas(weld)
    place = weld.place("-page")
    place.mkdir()
    script = place / "gradients.py"
    script.write_text(PRELUDE.format(tiny=str(path)) + block, encoding="utf-8")
    done = subprocess.run([sys.executable, script], cwd=place, capture_output=True, timeout=SCRIPT_SECONDS)
    expect(done.returncode == 0, "the script fails:\n" + done.stderr.decode(errors="replace")[-1500:])
    written = sorted(place.rglob("*.safetensors"))
    expect(len(written) == 1, f"the script wrote {[p.name for p in written]}, want one .safetensors file")
    with safetensors.safe_open(written[0], framework="np") as f:
        statistic = (f.metadata() or {}).get("weld.statistic")
    expect(statistic in ("mean_abs_grad", "mean_grad", "mean_sq_grad", "adam_second_moment", "score"),
           f"weld.statistic is {statistic!r}")
    importance = load(written[0])
    lacking = sorted(tensors.keys() - importance.keys())
    expect(not lacking, f"the file lacks {lacking[:5]}")
    moved = sum(bool(np.any(x.astype(np.float32) != 0)) for x in importance.values())
    expect(moved > len(importance) // 2, f"only {moved} of {len(importance)} tensors have a gradient")
    out = weld.merge("--method", "sta", "--preset", "paper", "--base", base, "--model", path, "--importance", written[0], "--out-dtype", "float32")
    want = sta.merge(theta0, [sta.Model(tensors, importance, statistic=statistic)], sta.Options(), "float32")
    expect_equal(load(out), want, "a merge with the script's file")
    return f"statistic {statistic}"


def layer_stacks(weld):
    """Stacks of layers of several kinds load as what they hold: a selection of stacks.py."""
    place = weld.place("-stacks")
    place.mkdir()
    results = dict(stacks.run(weld.binary, stacks.SELECTION, place))
    for name, error in results.items():
        expect(error is None, f"{name}: {error}")
    return f"{len(results)} architectures"


def names_in_memory(weld):
    """Importance under the names that parameters have in memory, and in files, for a dozen layouts."""
    import names

    types = names.all_types()
    for kind in names.SELECTION:
        try:
            result, said = names.check(weld.binary, kind, types[kind])
        except names.Wrong as error:
            expect(False, f"{kind}: {error}")
        expect(result == "meets", f"{kind}: {result}: {said}")
    return f"{len(names.SELECTION)} types"


def fp8_models(weld):
    """A merge of FP8 models is one: its codes and scales are those of the merged values, and transformers loads them."""
    paths, tensors = [], []
    for seed in (1, 2):
        paths.append(weld.place("-fp8"))
        tensors.append(fp8.save_model(paths[-1], seed))
    a, b = map(fp8.values, tensors)
    args = [x for path, w in zip(paths, ("0.25", "0.75")) for x in ("--model", path, "--weight", w)]
    out = weld.merge("--method", "linear", *args, out="")
    merged = safetensors.torch.load_file(out / "model.safetensors")
    expect(set(merged) == set(tensors[0]), f"tensors {sorted(set(merged) ^ set(tensors[0]))}")
    for name, theta in a.items():
        want = 0.25 * theta + 0.75 * b[name]
        if name + "_scale_inv" not in merged:
            expect(torch.equal(merged[name], want.to(torch.bfloat16)), name)
            continue
        codes, scales = fp8.quantize(want)
        expect(torch.equal(merged[name].view(torch.uint8), codes.view(torch.uint8)) and torch.equal(merged[name + "_scale_inv"], scales), name)
    plain = safetensors.torch.load_file(weld.merge("--method", "passthrough", "--model", out, "--out-dtype", "float32"))
    state, info = fp8.loaded(out)
    expect(not info, f"transformers: {info}")
    expect(all(torch.equal(state[n], x) for n, x in plain.items()), "transformers decodes other values")
    same = weld.merge("--method", "linear", "--model", paths[0], "--model", paths[0], out="")
    for name, x in safetensors.torch.load_file(same / "model.safetensors").items():
        expect(torch.equal(x.view(torch.uint8), tensors[0][name].view(torch.uint8)), f"{name} is merged with itself, and another")
    return f"{len(merged)} tensors"


def compressed_models(weld):
    """Checkpoints of compressed-tensors: weld decodes what the library does, merges them to what the library makes of the merged values, and
    transformers loads that with the values that weld sees in it."""
    try:
        import compressed_tensors  # noqa: F401
    except ImportError as error:
        raise Skipped(str(error)) from None
    for name in compressed.SCHEMES:
        compressed_scheme(weld, name)
    return ", ".join(compressed.SCHEMES)


def compressed_scheme(weld, name):
    """One scheme of compressed_models."""
    paths = [weld.place("-" + name) for _ in range(2)]
    first = compressed.save_model(paths[0], 1, name)
    compressed.save_model(paths[1], 2, name)
    a, b = (decoded(weld, path) for path in paths)
    expect(all(x.dtype == torch.float32 for x in a.values()), f"{name}: {sorted({x.dtype for x in a.values()})}")
    compressed_values(paths[0], a, name)
    args = [x for path, w in zip(paths, ("0.25", "0.75")) for x in ("--model", path, "--weight", w)]
    out = weld.merge("--method", "linear", *args, out="")
    merged = safetensors.torch.load_file(out / "model.safetensors")
    values = {k: 0.25 * x + 0.75 * b[k] for k, x in a.items()}
    want, _ = compressed.stored(values, name, first)
    expect(set(first) == set(want), f"{name}: tensors {sorted(set(first) ^ set(want))}")
    same_tensors(merged, want, values, name)
    compressed_values(out, decoded(weld, out), name)


def same_tensors(got, want, values, name):
    """Whether weld stores of values what the library does, by a scheme. Of MXFP8, the library takes twice the scale that some blocks need."""
    expect(set(got) == set(want), f"{name}: tensors {sorted(set(got) ^ set(want))}")
    for k, x in got.items():
        y = want[k]
        if name == "mxfp8" and k + "_scale" in want:
            kept = ~compressed.widened(values[k])
            x, y = (z.view(torch.uint8).unflatten(-1, (-1, 32))[kept] for z in (x, y))
        elif name == "mxfp8" and k.endswith("_scale"):
            kept = ~compressed.widened(values[k.removesuffix("_scale")])
            expect(torch.equal(x[~kept] + 1, y[~kept]), f"{name}: the scales of {k} that were twice as large are other ones")
            x, y = x[kept], y[kept]
        expect(compressed.same_codes(x, y), f"{name}: the library stores another {k}")


def named_schemes(weld):
    """A plain model stored in a scheme by its name is what compressed-tensors makes of it, configuration and all, and has the same values in transformers."""
    try:
        import compressed_tensors  # noqa: F401
    except ImportError as error:
        raise Skipped(str(error)) from None
    plain = weld.place("-plain")
    compressed.llama(1).save_pretrained(plain)
    values = safetensors.torch.load_file(plain / "model.safetensors")
    for name in compressed.NAMED:
        out = weld.place("-" + name)
        weld.run("convert", plain, out, "--quantize", name, "--quiet")
        want, config = compressed.stored(values, name)
        same_tensors(safetensors.torch.load_file(out / "model.safetensors"), want, values, name)
        said = json.loads((out / "config.json").read_text())
        expect(said.pop("quantization_config") == config, f"{name}: {(out / 'config.json').read_text()}\nand not\n{config}")
        expect(said == json.loads((plain / "config.json").read_text()), f"{name}: the rest of config.json is another")
        compressed_values(out, decoded(weld, out), name)
    named_blocks(weld)
    return ", ".join([*compressed.NAMED, "fp8_block"])


def named_blocks(weld):
    """The same of FP8 in blocks, and FineGrainedFP8Config, of models of two kinds and types."""
    for kind, dtype in itertools.product(fp8.KINDS, (torch.float32, torch.bfloat16)):
        plain, out, back = weld.place("-plain-" + kind), weld.place("-fp8_block-" + kind), weld.place("-back-" + kind)
        fp8.KINDS[kind](1).to(dtype).save_pretrained(plain)
        weld.run("convert", plain, out, "--quantize", "fp8_block", "--quiet")
        tensors = safetensors.torch.load_file(out / "model.safetensors")
        coded = set()
        for name, x in safetensors.torch.load_file(plain / "model.safetensors").items():
            if name + "_scale_inv" not in tensors:
                expect(torch.equal(tensors[name], x), f"{kind}: {name}")
                continue
            coded.add(name.removesuffix(".weight"))
            codes, scales = fp8.quantize(x.float())
            expect(torch.equal(tensors[name].view(torch.uint8), codes.view(torch.uint8)) and torch.equal(tensors[name + "_scale_inv"], scales), f"{kind}: {name}")
            theirs, their_scales = fp8.quantized_by_transformers(x)
            expect(torch.allclose(scales, their_scales, rtol=2**-22), f"{kind}: {name}: transformers makes other scales")
            expect(fp8.as_near(x.float(), scales, codes, theirs), f"{kind}: {name}: transformers makes codes that are nearer, or further")
        expect(fp8.converted(out) == {re.sub(r"(\.experts)\..*", r"\1", name) for name in coded}, f"{kind}: transformers takes other modules for codes than {sorted(coded)}")
        weld.run("convert", out, back, "--quantize", "none", "--dtype", "float32", "--quiet")
        state, info = fp8.loaded(out)
        expect(not info, f"{kind}: transformers: {info}")
        model, info = compressed.from_pretrained(back)
        expect(not info, f"{kind}: transformers: {info}")
        want = model.state_dict()
        expect(set(state) == set(want), f"{kind}: {sorted(set(state) ^ set(want))}")
        for name, x in want.items():
            expect(torch.equal(state[name], x), f"{kind}: transformers decodes another {name}")


def decoded(weld, path):
    """A checkpoint's values, as weld decodes them."""
    return safetensors.torch.load_file(weld.merge("--method", "passthrough", "--quantize", "none", "--model", path, "--out-dtype", "float32"))


def compressed_values(path, values, name):
    """transformers loads a checkpoint of compressed-tensors with these values, and computes what a plain model of them does."""
    scheme = compressed.ALL[name]
    model, info = compressed.loaded(path, dequantize=True)
    expect(not info, f"{name}: transformers: {info}")
    state = model.state_dict()
    for k, x in values.items():
        y = state[k]
        if scheme.narrow and "_proj" in k:
            x, y = x.bfloat16(), y.bfloat16()
        expect(torch.equal(x, y), f"{name}: {k}: transformers has {y.dtype} and other values, the largest difference {(x.float() - y.float()).abs().max()}")
    if scheme.runs and not scheme.activations and not scheme.narrow:
        model, info = compressed.loaded(path, dequantize=False)
        plain = compressed.llama(0)
        plain.load_state_dict(values)
        expect(not info and torch.equal(compressed.logits(model), compressed.logits(plain)), f"{name}: other logits than a plain model of these values has")


def gpt_oss_models(weld):
    """MXFP4 of gpt-oss has the values that transformers decodes, and so has what weld makes of two such models."""
    paths = [weld.place("-gpt-oss") for _ in range(2)]
    for seed, path in enumerate(paths):
        libraries.save_gpt_oss(path, seed)
    args = [x for path in paths for x in ("--model", path)]
    merged = weld.merge("--method", "linear", *args, out="")
    for path in (paths[0], merged):
        values = decoded(weld, path)
        model, info = libraries.loaded_gpt_oss(path)
        expect(not info, f"transformers: {info}")
        state = model.state_dict()
        expect(set(state) == set(values), f"tensors {sorted(set(state) ^ set(values))}")
        for k, x in values.items():
            expect(torch.equal(x, state[k]), f"{path}: {k}: transformers decodes other values")


def values_of_libraries(weld, module, configs, dtype=torch.float32):
    """Weights that a library stored through transformers have the values in weld that the library makes of them."""
    try:
        __import__(module)
        configs = configs()
    except ImportError as error:
        raise Skipped(str(error)) from None
    plain = weld.place("-plain")
    compressed.llama(1).save_pretrained(plain)
    for name, config in configs.items():
        path = weld.place("-" + name)
        want = libraries.save_quantized(plain, config, path, dtype)
        expect_equal({k: to_numpy(x) for k, x in decoded(weld, path).items()}, {k: to_numpy(x) for k, x in want.items()}, f"{module} {name}")
        sizes = sum(f.stat().st_size for f in path.glob("*.safetensors"))
        expect(sizes < sum(f.stat().st_size for f in plain.glob("*.safetensors")) * 2 / 3, f"{module} {name}: nothing was quantised")
    return ", ".join(configs)


def bitsandbytes_models(weld):
    """nf4, fp4 and int8 as bitsandbytes stores them."""
    return values_of_libraries(weld, "bitsandbytes", libraries.bitsandbytes_configs)


def torchao_models(weld):
    """Tensors of torchao's classes, flattened."""
    return values_of_libraries(weld, "torchao", libraries.torchao_configs)


def torchao_narrow(weld):
    """Floats of four and eight bits as torchao stores them for Blackwell, with swizzled scales."""
    return values_of_libraries(weld, "torchao", libraries.torchao_narrow_configs, torch.bfloat16)


def fp8_converted(weld):
    """FP8 converted to plain values is torch's, and transformers loads it; as it is stored, it is the same model under other names and back."""
    from transformers import AutoModelForCausalLM

    path = weld.place("-fp8")
    tensors = fp8.save_model(path, 3)
    for dtype in ("bfloat16", "float32"):
        out = weld.place()
        weld.run("convert", path, out, "--quantize", "none", "--out-dtype", dtype, "--quiet")
        expect("quantization_config" not in (out / "config.json").read_text(), "the configuration still speaks of codes")
        made = safetensors.torch.load_file(out / "model.safetensors")
        want = {n: x.to(getattr(torch, dtype)) for n, x in fp8.values(tensors).items()}
        expect(made.keys() == want.keys(), f"other names: {sorted(made.keys() ^ want.keys())}")
        for name, x in want.items():
            expect(made[name].dtype == x.dtype and torch.equal(made[name], x), f"{dtype}: {name} is other than torch's")
        model = AutoModelForCausalLM.from_pretrained(out, dtype="auto")
        for name, x in model.state_dict().items():
            expect(x.dtype == getattr(torch, dtype) and torch.equal(x, want[name]), f"{dtype}: transformers loads another {name}")
    away, back = weld.place(), weld.place()
    weld.run("convert", path, away, "--rename", "s/^model\\./inner./", "--quiet")
    named = safetensors.torch.load_file(away / "model.safetensors").keys()
    expect(named == {re.sub(r"^model\.", "inner.", n) for n in tensors}, f"scales do not follow their codes: {sorted(named)[:4]}")
    weld.run("convert", away, back, "--rename", "s/^inner\\./model./", "--quiet")
    made = safetensors.torch.load_file(back / "model.safetensors")
    for name, x in tensors.items():
        expect(made[name].dtype == x.dtype and torch.equal(made[name].view(torch.uint8), x.view(torch.uint8)), f"{name} is no copy")


def needs_transformers(check):
    """check, skipped where transformers cannot be imported."""

    def guarded(weld):
        try:
            from transformers.utils.logging import disable_progress_bar
        except ImportError as error:
            raise Skipped(str(error)) from None
        disable_progress_bar()
        return check(weld)

    guarded.__name__ = check.__name__
    return guarded


def hub_environment(weld):
    """The table of format/hub says of the Hub's cache what huggingface_hub says."""
    try:
        import huggingface_hub  # noqa: F401
    except ImportError as error:
        raise Skipped(str(error)) from None
    expect(hub_cache.main() == 0, "other than in the table")


def importance_measured(weld):
    """weld importance gives what a backward pass through the whole model gives, under the names that merges want."""
    script = pathlib.Path(__file__).with_name("importance_models.py")
    done = subprocess.run([sys.executable, str(script), "--weld", str(weld.binary)], capture_output=True, text=True, timeout=4 * SCRIPT_SECONDS)
    lines = done.stdout.splitlines()
    expect(done.returncode == 0, "\n".join([x for x in lines if x.startswith("FAIL")] or [done.stderr[-1500:]]))
    return f"{len(lines)} comparisons"


def language_lab(weld):
    """examples/language, reduced: a base of two layers, two domains, every kind of merge and of importance file."""
    lab = pathlib.Path(__file__).parents[2] / "examples" / "language"
    out = weld.place()
    rows = ["linear", "task arithmetic", "ties 0.5", "sta paper", "sta contrast, optimizer", "preset weighted, at the base", "preset weighted, optimizer", "preset weighted, tokens"]
    command = [sys.executable, lab / "lab.py", out, "--weld", weld.binary, "--base", "tiny", "--domains", "2", "--seeds", "1", "--steps", "20", "--samples", "2", "--rows", *rows]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=SCRIPT_SECONDS)
    expect(done.returncode == 0, done.stderr[-1500:])
    losses = {r["label"]: r["loss"] for r in map(json.loads, (out / "results-tiny.jsonl").read_text().splitlines()) if "loss" in r}
    for domain in losses["base"]:
        expect(losses[f"own {domain}"][domain] < losses["base"][domain], f"training on {domain} does not help it")
    mean = {label: sum(loss.values()) / len(loss) for label, loss in losses.items()}
    for row in rows:
        found = [label for label in mean if label.startswith(row)]
        expect(found, f"no merge is called {row}")
    for row in "linear", "preset weighted, optimizer":
        expect(mean[row] < mean["base"], f"{row} is worse than the base")
    table = subprocess.run([sys.executable, lab / "table.py", out / "results-tiny.jsonl"], capture_output=True, text=True)
    expect(table.returncode == 0 and table.stdout.count("\n| ") > len(losses) - 2 * len(losses["base"]), table.stderr[-1500:] or table.stdout)
    return f"{len(losses)} models"


CHECKS = [
    torch_load_file, *torch_files.CHECKS, *deepspeed_files.CHECKS, hub_environment,
    *map(needs_transformers, (transformers_load, sharded_by_transformers, chat_templates_loaded, page_gradients, importance_measured, language_lab, layer_stacks, names_in_memory, fp8_models, fp8_converted, compressed_models, named_schemes,
                              gpt_oss_models, bitsandbytes_models, torchao_models, torchao_narrow)),
]
