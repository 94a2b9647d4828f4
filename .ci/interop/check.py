"""Does weld agree with the world it lives in: safetensors, zstd, numpy, torch, transformers?

    python check.py --weld ./weld [--only PATTERN] [--no-torch] [--keep DIR]

Each check is one function; they run in order, one line each. A merge is compared byte
for byte with sta.py, which knows the formulas and nothing of weld.
"""

import argparse
import dataclasses
import io
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import zstandard

import chat
import gguf_hub
import gguf_models
import headers
import sta
from checkpoints import (NAME_OF, Failure, Family, Skipped, bf16, expect, expect_equal, expect_sound, load, read_header,
                         save, save_dir)

f32 = np.float32
RUN_SECONDS = 120
SHOWN_FAILURES = 3
WORKERS = min(4, os.cpu_count() or 1)


class Weld:
    """The program under test, and a directory to use it in."""

    def __init__(self, binary, directory):
        self.binary = pathlib.Path(binary).resolve()
        self.directory = pathlib.Path(directory)
        self.counter = itertools.count()

    def place(self, suffix=""):
        """A path that nobody uses yet."""
        return self.directory / f"{next(self.counter):05}{suffix}"

    def run(self, *args):
        """stdout of one run; a Failure with the command line if it does not end well."""
        command = [str(self.binary), *map(str, args)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=RUN_SECONDS)
        except subprocess.TimeoutExpired:
            raise Failure(f"no end after {RUN_SECONDS} s: {shlex.join(command)}") from None
        if done.returncode != 0:
            stderr = done.stderr.decode(errors="replace").strip()[-1500:]
            raise Failure(f"exit {done.returncode}: {shlex.join(command)}\n{stderr}")
        return done.stdout

    def merge(self, *args, out=".safetensors"):
        """Merges to a new place and returns it. out is the suffix, empty for a directory."""
        target = self.place(out)
        self.run("merge", *args, target, "--quiet")
        return target

    def inspect(self, path):
        return json.loads(self.run("inspect", path, "--json"))


# 1. Containers.


def all_kinds(rng):
    """One tensor of every kind a checkpoint may hold, and shapes at the edges."""
    tensors = {
        "matrix.f32": rng.normal(size=(33, 7)).astype(f32),
        "matrix.f16": rng.normal(size=(5, 11, 3)).astype(np.float16),
        "matrix.bf16": rng.normal(size=(130, 65)).astype(bf16),
        "matrix.f64": rng.normal(size=(3, 4)),
        "scalar.f32": np.array(1.5, f32),
        "scalar.bf16": np.array(-2.5, bf16),
        "empty.f32": np.zeros((0, 5), f32),
        "empty.bf16": np.zeros((4, 0), bf16),
        "position_ids": np.arange(512, dtype=np.int64)[None],
        "causal": np.tril(np.ones((9, 9), bool)),
        "i32": np.array([-(2**31), 2**31 - 1], np.int32),
        "i16": np.array([-(2**15), 7], np.int16),
        "i8": np.array([-128, 127], np.int8),
        "u8": np.arange(256, dtype=np.uint8),
        "größe.重み.🧵": rng.normal(size=(2, 3)).astype(f32),
        'quote".back\\slash': np.ones(3, f32),
        "odd.bytes": np.array([1, 2, 3], np.uint8),
    }
    return tensors


CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "nested": {"a": [1, None]}}
TOKENIZER = {
    "tokenizer.json": '{"version": "1.0", "model": {"vocab": {"ä": 0}}}'.encode(),
    "tokenizer_config.json": b'{"model_max_length": 64}',
    "special_tokens_map.json": b"{}",
    "tokenizer.model": bytes(range(256)),
}


def hub_files(dtype_key):
    return {"config.json": json.dumps(CONFIG | {dtype_key: "bfloat16"}).encode(), **TOKENIZER}


def split(tensors, count):
    """The tensors dealt out to count shards."""
    names = list(tensors)
    return [{n: tensors[n] for n in names[i::count]} for i in range(count)]


def same_dtype(said, dtype):
    return said.upper() == NAME_OF[dtype] or said.lower() == dtype.name


def expect_inspected(report, tensors):
    """inspect names every tensor with its dtype, shape and size."""
    listed = {t["name"]: t for t in report["tensors"]}
    expect(len(listed) == len(report["tensors"]), "inspect lists a tensor twice")
    expect(listed.keys() == tensors.keys(), f"inspect lists other names: {sorted(listed.keys() ^ tensors.keys())}")
    for name, x in tensors.items():
        t = listed[name]
        expect(same_dtype(t["dtype"], x.dtype), f"{name!r}: inspect says {t['dtype']}, want {NAME_OF[x.dtype]}")
        expect(list(t["shape"] or []) == list(x.shape), f"{name!r}: inspect says shape {t['shape']}, want {x.shape}")
        expect(t["bytes"] == x.nbytes, f"{name!r}: inspect says {t['bytes']} bytes, want {x.nbytes}")


def passthrough(weld, model, *flags, out=".safetensors"):
    return weld.merge("--method", "passthrough", "--model", model, *flags, out=out)


def inspect_file(weld):
    tensors = all_kinds(np.random.default_rng(1))
    path = save(weld.place(".safetensors"), tensors, {"format": "pt", "weld.statistic": "mean_sq_grad", "ключ": "ä"})
    report = weld.inspect(path)
    expect_inspected(report, tensors)
    expect(report["metadata"].get("weld.statistic") == "mean_sq_grad", f"metadata: {report['metadata']}")
    expect(report["metadata"].get("ключ") == "ä", f"metadata: {report['metadata']}")


def odd_headers(weld):
    """weld reads what the reference reads, and refuses what it refuses."""
    stricter = set()
    for name, (header, data) in headers.HEADERS.items():
        path = headers.write(weld.place(".safetensors"), header, data)
        want = headers.reference(path)
        try:
            report = weld.inspect(path)
            got = sorted(t["name"] for t in report["tensors"]), report["metadata"] or {}
        except Failure as failure:
            expect(str(failure).startswith("exit 3:"), f"{name}: {failure}")
            got = None
        if want and not got:
            stricter.add(name)
            continue
        expect(got == want, f"{name}: weld reads {got}, the reference {want}")
    expect(stricter == set(headers.STRICTER), f"stricter than the reference: {sorted(stricter ^ set(headers.STRICTER))}")


def inspect_shards(weld):
    tensors = all_kinds(np.random.default_rng(2))
    shards = split(tensors, 3)
    report = weld.inspect(save_dir(weld.place(), shards, hub_files("dtype")))
    expect_inspected(report, tensors)
    names = {t["name"]: pathlib.Path(str(t["shard"])).name for t in report["tensors"]}
    for i, shard in enumerate(shards, 1):
        for name in shard:
            want = f"model-{i:05}-of-00003.safetensors"
            expect(names[name] == want, f"{name!r}: inspect says shard {names[name]}, want {want}")


def passthrough_file(weld):
    tensors = all_kinds(np.random.default_rng(3))
    out = passthrough(weld, save(weld.place(".safetensors"), tensors))
    expect_equal(load(out), tensors, "passthrough of a file")
    expect_sound(out)


def passthrough_special(weld):
    """Zeros keep their sign, infinities and subnormals are copied: no base, no arithmetic."""
    special = np.array([0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-40, 3.4e38], f32)
    half = np.array([0.0, -0.0, np.inf, -np.inf, 6e-8, 65504], np.float16)
    tensors = {"special.f32": special, "special.bf16": special.astype(bf16), "special.f16": half}
    out = passthrough(weld, save(weld.place(".safetensors"), tensors))
    expect_equal(load(out), tensors, "passthrough of special values")


def passthrough_shards(weld):
    tensors = all_kinds(np.random.default_rng(4))
    model = save_dir(weld.place(), split(tensors, 3), hub_files("dtype"))
    one = passthrough(weld, model)
    expect_equal(load(one), tensors, "passthrough of a directory to a file")
    expect_sound(one)
    out = passthrough(weld, model, out="")
    expect_equal(load(out), tensors, "passthrough of a directory to a directory")
    expect_sound(out / "model.safetensors")
    expect(not (out / "model.safetensors.index.json").exists(), "one shard, and yet an index")
    found = sorted(p.name for p in out.glob("*.safetensors"))
    expect(found == ["model.safetensors"], f"one shard is to be model.safetensors alone: {found}")


def tokenizer_files(weld):
    model = save_dir(weld.place(), [{"a": np.ones(3, f32)}], hub_files("dtype"))
    out = passthrough(weld, model, out="")
    for name, content in TOKENIZER.items():
        expect((out / name).exists(), f"{name} was not copied")
        expect((out / name).read_bytes() == content, f"{name} was changed")


def config_dtype(weld):
    """config.json says the dtype that the tensors have, under either of its two names."""
    tensors = {"a": np.ones((4, 4), bf16), "ids": np.arange(3)}
    for key, dtype in itertools.product(("dtype", "torch_dtype"), ("float32", "float16", "bfloat16")):
        model = save_dir(weld.place(), [tensors], hub_files(key))
        out = passthrough(weld, model, "--out-dtype", dtype, out="")
        config = json.loads((out / "config.json").read_text())
        said = {k: config[k] for k in ("dtype", "torch_dtype") if k in config}
        expect(said and set(said.values()) == {dtype}, f"{key}, --out-dtype {dtype}: config.json says {said}")
        lost = [k for k in CONFIG if config.get(k) != CONFIG[k]]
        expect(not lost, f"config.json lost or changed {lost}")
        expect_equal(load(out), {"a": np.ones((4, 4), sta.OUT_DTYPES[dtype]), "ids": np.arange(3)}, f"--out-dtype {dtype}")


def shard_sizes(weld):
    """--shard-size counts decimal: two tensors of 100,200 bytes fit 200 KiB and not 200 KB."""
    rng = np.random.default_rng(5)
    tensors = {f"layers.{i}.weight": rng.normal(size=(3, 8350)).astype(f32) for i in range(9)}
    tensors = {name: x if i % 3 else x[:1] for i, (name, x) in enumerate(tensors.items())}
    tensors |= {"big": rng.normal(size=(300, 300)).astype(f32), "ids": np.arange(5), "zero": np.zeros((0,), f32)}
    model = save_dir(weld.place(), split(tensors, 2), hub_files("dtype"))
    for size, limit in (("200KB", 200_000), ("0.25MB", 250_000), ("120000", 120_000), ("1KB", 1000)):
        out = passthrough(weld, model, "--shard-size", size, out="")
        expect_shards(out, tensors, limit, f"--shard-size {size}")
    out = passthrough(weld, model, "--shard-size", "1GB", out="")
    expect((out / "model.safetensors").exists(), "--shard-size 1GB: no model.safetensors")


def expect_shards(out, tensors, limit, what):
    """Shards, their names and their index agree with each other, and keep the limit."""
    index = json.loads((out / "model.safetensors.index.json").read_text())
    found = sorted(p.name for p in out.glob("*.safetensors"))
    want = [f"model-{i:05}-of-{len(found):05}.safetensors" for i in range(1, len(found) + 1)]
    expect(found == want, f"{what}: shards are named {found}")
    expect(len(found) > 1, f"{what}: one shard with an index")
    total = sum(x.nbytes for x in tensors.values())
    expect(index["metadata"]["total_size"] == total, f"{what}: total_size {index['metadata'].get('total_size')}, want {total}")
    really = {}
    for shard in found:
        expect_sound(out / shard)
        header, _ = read_header(out / shard)
        names = [n for n in header if n != "__metadata__"]
        really |= dict.fromkeys(names, shard)
        size = sum(tensors[n].nbytes for n in names)
        expect(names, f"{what}: {shard} is empty")
        occupied = sum(tensors[n].nbytes > 0 for n in names)
        expect(size <= limit or occupied == 1, f"{what}: {shard} holds {size} bytes in {len(names)} tensors")
    expect(index["weight_map"] == really, f"{what}: weight_map is not what the shards hold")
    expect_equal(load(out), tensors, what)


# 2. STA, against sta.py.


@dataclasses.dataclass
class Case:
    """One merge: which models with what of their own, and the global options."""

    family: Family
    weights: tuple = (1.0, 1.0, 1.0)
    densities: tuple = (0.2, 0.2, 0.2)
    statistics: tuple = ("mean_abs_grad",) * 3
    options: sta.Options = dataclasses.field(default_factory=sta.Options)
    out_dtype: str = "float32"
    as_recipe: bool = False
    extra: tuple = ()
    importance: tuple = ()  # other paths than the family's

    @property
    def count(self):
        return len(self.weights)

    def importance_of(self, t):
        squares = self.statistics[t] in ("mean_sq_grad", "adam_second_moment")
        return (self.family.squares if squares else self.family.signed)[t], ("squares" if squares else "signed", t)

    def importance_path(self, t):
        if self.options.score == "magnitude":
            return None
        return self.importance[t] if self.importance else self.family.paths[self.importance_of(t)[1]]

    def global_keys(self):
        o = self.options
        keys = {"preset": "paper", "score": o.score, "normalize_scores": o.normalize_scores, "scope": o.scope, "granularity": o.granularity,
                "lambda": o.lam, "combine": o.combine, "consensus": o.consensus, "rescale": o.rescale}
        if o.contrast:
            keys["contrast"] = True
        if o.threshold is not None:
            keys["threshold"] = o.threshold
        if o.missing_importance != "error":
            keys["missing_importance"] = o.missing_importance
        return keys

    def flags(self):
        """The case as a command line. One statistic serves all models there."""
        args = ["--method", "sta", "--base", self.family.paths["base"], "--out-dtype", self.out_dtype]
        for t in range(self.count):
            # The = form: a negative weight is a value, not a flag.
            args += ["--model", self.family.paths["models", t], f"--weight={self.weights[t]!r}"]
            if self.options.threshold is None:
                args += [f"--density={self.densities[t]!r}"]
            if self.importance_path(t):
                args += ["--importance", self.importance_path(t)]
        if self.options.score != "magnitude":
            args += ["--statistic", self.statistics[0]]
        for key, value in self.global_keys().items():
            name = "--" + key.replace("_", "-")
            args += [name] if value is True else [f"{name}={value}"]
        return args

    def recipe(self):
        """The case as YAML. Strings are JSON strings, which YAML reads the same way."""
        quoted = lambda x: json.dumps(str(x))
        lines = ["merge_method: sta", f"base_model: {quoted(self.family.paths['base'])}", "models:"]
        for t in range(self.count):
            lines += [f"  - model: {quoted(self.family.paths['models', t])}", "    parameters:",
                      f"      weight: {self.weights[t]!r}"]
            if self.options.threshold is None:
                lines += [f"      density: {self.densities[t]!r}"]
            if self.importance_path(t):
                lines += [f"      importance: {quoted(self.importance_path(t))}", f"      statistic: {self.statistics[t]}"]
        lines += ["parameters:"]
        for key, value in self.global_keys().items():
            lines += [f"  {key}: {str(value).lower() if isinstance(value, bool) else value}"]
        return "\n".join([*lines, f"out_dtype: {self.out_dtype}", ""])

    def reference(self):
        models = []
        for t in range(self.count):
            importance = self.importance_of(t)[0]
            if self.importance:
                importance = load(self.importance[t])
            models.append(sta.Model(self.family.models[t], importance, self.weights[t], self.densities[t], self.statistics[t]))
        return sta.merge(self.family.base, models, self.options, self.out_dtype)


def merge_case(weld, case):
    """weld's output for a case."""
    if not case.as_recipe:
        return weld.merge(*case.flags(), *case.extra)
    recipe = weld.place(".yml")
    recipe.write_text(case.recipe(), encoding="utf-8")
    return weld.merge(recipe, *case.extra)


def hold(weld, case):
    """Runs a case and compares it. The output is removed where it is right."""
    out = merge_case(weld, case)
    expect_equal(load(out), case.reference(), describe(weld, case))
    out.unlink()


def describe(weld, case):
    if case.as_recipe:
        return "recipe\n" + case.recipe().rstrip()
    return shlex.join([str(weld.binary), "merge", *map(str, case.flags()), *case.extra, "OUT"])


def hold_all(weld, cases):
    """Holds every case, a few at a time; the first few failures are told in full."""

    def attempt(case):
        try:
            hold(weld, case)
        except Failure as failure:
            return str(failure)
        return None

    cases = list(cases)
    with ThreadPoolExecutor(WORKERS) as pool:
        failures = [f for f in pool.map(attempt, cases) if f]
    if failures:
        more = [f"… and {len(failures) - SHOWN_FAILURES} more"] if len(failures) > SHOWN_FAILURES else []
        raise Failure("\n".join([f"{len(failures)} of {len(cases)} merges differ", *failures[:SHOWN_FAILURES], *more]))
    return f"{len(cases)} merges"


def family(weld, name, **kind):
    """The random checkpoints called name, made once."""
    known = weld.__dict__.setdefault("families", {})
    if name not in known:
        known[name] = Family(weld.place(f"-{name}"), sum(name.encode()), **kind)
    return known[name]


def plain_family(weld):
    return family(weld, "f32")


def half_family(weld):
    """Models in bfloat16, importance in float16: what a GPU leaves behind."""
    return family(weld, "bf16", dtype=bf16, importance_dtype=np.float16)


SCORES = ("weight", "delta", "fisher", "importance", "magnitude")
STATISTICS = ("mean_abs_grad", "mean_grad", "mean_sq_grad", "adam_second_moment", "score")
NORMALISATIONS = ("mean", "none", "max", "minmax", "l2")
SCOPES = ("model", "tensor")
GRANULARITIES = ("element", "row", "tensor")
DTYPES = ("float32", "float16", "bfloat16")


def grid(weld, score):
    """Every statistic, normalisation and scope. A merge carries three densities: one per model."""
    statistics = ("mean_abs_grad",) if score == "magnitude" else STATISTICS
    turns = itertools.count()
    for statistic, how, scope in itertools.product(statistics, NORMALISATIONS, SCOPES):
        for densities, dtype in (((0.003, 0.2, 0.5), "float32"), ((1.0, 0.0, 0.2), None)):
            turn = next(turns)
            yield Case(family=half_family(weld) if turn % 3 == 2 else plain_family(weld),
                       densities=densities, statistics=(statistic,) * 3, weights=(1.0, 0.5, 0.25),
                       options=sta.Options(score=score, normalize_scores=how, scope=scope),
                       out_dtype=dtype or DTYPES[turn // 2 % 3], as_recipe=turn % 5 == 0)


def sta_grid(score):
    def check(weld):
        return hold_all(weld, grid(weld, score))

    check.__name__ = f"sta_grid_{score}"
    return check


def sta_defaults(weld):
    """Nothing but paths: weights 1, density 0.2, λ 1, a mean weighted by |δ|·a, the base's dtype; and the paper's preset."""
    for kin in (plain_family(weld), half_family(weld)):
        args = ["--method", "sta", "--base", kin.paths["base"]]
        for t in range(2):
            args += ["--model", kin.paths["models", t], "--importance", kin.paths["signed", t]]
        models = [sta.Model(kin.models[t], kin.signed[t]) for t in range(2)]
        for preset, options in ([], sta.Options(score="delta", combine="importance")), (["--preset", "paper"], sta.Options()):
            expect_equal(load(weld.merge(*args, *preset)), sta.merge(kin.base, models, options), f"defaults {preset}")
        both = [*args, "--preset", "paper", "--density", "0.4", "--weight", "0.5"]
        models = [sta.Model(kin.models[t], kin.signed[t], 0.5, 0.4) for t in range(2)]
        expect_equal(load(weld.merge(*both)), sta.merge(kin.base, models, sta.Options()), "one density for all models")


def sta_options(weld):
    """The other options, one at a time, in all three output dtypes."""
    single = [dict(granularity="row"), dict(granularity="tensor"), dict(combine="mean"), dict(combine="importance"),
              dict(consensus="ties"), dict(rescale="density"), dict(rescale="l1"), dict(contrast=True),
              dict(threshold=1.0), dict(threshold=0.0), dict(threshold=1e9), dict(lam=0.3), dict(lam=-1.0), dict(lam=0.0)]
    cases = []
    for change, dtype in itertools.product(single, DTYPES):
        cases.append(Case(family=plain_family(weld), densities=(0.2, 0.5, 0.03), options=sta.Options(**change), out_dtype=dtype))
    for weights in ((-1.0, 0.7, 0.1), (0.3, -0.6), (-1.0,), (0.0, 1.0)):
        cases.append(Case(family=plain_family(weld), weights=weights))
        cases.append(Case(family=half_family(weld), weights=weights, options=sta.Options(combine="mean"), as_recipe=True))
    return hold_all(weld, cases)


def sta_granularity(weld):
    """Rows and tensors in both scopes under every normalisation; they also weigh by their row's score."""
    cases = []
    for granularity, how, scope in itertools.product(("row", "tensor"), NORMALISATIONS, SCOPES):
        options = sta.Options(granularity=granularity, normalize_scores=how, scope=scope, combine="importance")
        cases.append(Case(family=plain_family(weld), densities=(0.1, 0.5, 0.9), options=options))
    return hold_all(weld, cases)


def sta_pairs(weld):
    """Options that meet in one formula: rescale with every combine and consensus, contrast with rows."""
    cases = []
    for rescale, combine, consensus in itertools.product(("none", "density", "l1"), ("sum", "mean", "importance"), ("none", "ties")):
        for threshold in (None, 0.8):
            options = sta.Options(rescale=rescale, combine=combine, consensus=consensus, threshold=threshold, lam=0.7)
            cases.append(Case(family=plain_family(weld), weights=(0.9, 1.1, -0.4), densities=(0.3, 0.6, 0.15), options=options))
    for granularity, scope, combine in itertools.product(GRANULARITIES, SCOPES, ("sum", "importance")):
        options = sta.Options(contrast=True, granularity=granularity, scope=scope, combine=combine)
        cases.append(Case(family=plain_family(weld), weights=(-1.0, 1.0, 0.5), densities=(0.3, 0.6, 0.1), options=options))
    return hold_all(weld, cases)


def sta_random(weld):
    """Random combinations of everything, from a fixed seed."""
    rng = np.random.default_rng(20241116)
    pick = lambda *choices: choices[rng.integers(len(choices))]
    cases = []
    for _ in range(60):
        count = int(pick(2, 3))
        options = sta.Options(
            score=pick(*SCORES), normalize_scores=pick(*NORMALISATIONS), scope=pick(*SCOPES),
            granularity=pick(*GRANULARITIES), threshold=pick(None, None, None, 0.5, 1.25), lam=pick(1.0, 0.3, 1.7),
            combine=pick("sum", "mean", "importance"), consensus=pick("none", "ties"),
            rescale=pick("none", "density", "l1"), contrast=bool(pick(False, False, True)))
        cases.append(Case(
            family=pick(plain_family, half_family)(weld), weights=tuple(pick(1.0, 0.4, -0.7, 2.0) for _ in range(count)),
            densities=tuple(pick(0.01, 0.1, 0.35, 0.8, 1.0) for _ in range(count)),
            statistics=tuple(pick(*STATISTICS) for _ in range(count)), options=options,
            out_dtype=pick(*DTYPES), as_recipe=True))
    return hold_all(weld, cases)


def sta_statistic_metadata(weld):
    """The statistic stands in the importance file's metadata; the parameter wins over it."""
    kin = plain_family(weld)
    marked = [save(weld.place(".safetensors"), kin.squares[t], {"weld.statistic": "mean_sq_grad"}) for t in range(2)]
    case = Case(kin, weights=(1.0, 1.0), statistics=("mean_sq_grad",) * 2, importance=tuple(marked))
    args = case.flags()
    at = args.index("--statistic")
    silent = weld.merge(*args[:at], *args[at + 2:])
    expect_equal(load(silent), case.reference(), "weld.statistic in the metadata")
    hold(weld, dataclasses.replace(case, statistics=("mean_abs_grad",) * 2))
    mixed = dataclasses.replace(case, statistics=("mean_abs_grad", "mean_sq_grad"), as_recipe=True)
    hold(weld, mixed)


def sta_missing_importance(weld):
    kin = plain_family(weld)
    gone = ("embed.weight", "layers.0.norm.weight")
    poor = [save(weld.place(".safetensors"), {k: v for k, v in kin.signed[t].items() if t == 0 or k not in gone})
            for t in range(2)]
    cases = []
    for how, scope, combine in itertools.product(("drop", "keep"), SCOPES, ("sum", "mean", "importance")):
        options = sta.Options(missing_importance=how, scope=scope, combine=combine)
        cases.append(Case(kin, weights=(1.0, 0.5), options=options, importance=tuple(poor)))
    counted = hold_all(weld, cases)
    try:
        merge_case(weld, dataclasses.replace(cases[0], options=sta.Options()))
    except Failure as failure:
        silent = [name for name in gone if name not in str(failure)]
        expect(not silent, f"the error does not name {silent}: {failure}")
        return counted
    raise Failure("missing importance is no error")


def sta_infinite_buffers(weld):
    """A −inf mask that no model changed comes out as it went in."""
    kin = family(weld, "infinite", infinite=True)
    options = [sta.Options(), sta.Options(combine="importance"), sta.Options(normalize_scores="max", consensus="ties")]
    return hold_all(weld, [Case(kin, options=o, densities=d) for o in options for d in ((0.2,) * 3, (1.0,) * 3)])


def sta_same_bytes(weld):
    """Threads change nothing, the output file's bytes included."""
    case = Case(plain_family(weld), options=sta.Options(combine="importance", rescale="l1", consensus="ties"))
    outs = [merge_case(weld, dataclasses.replace(case, extra=("--threads", n))).read_bytes() for n in ("1", "2", "7")]
    expect(len(set(outs)) == 1, "the output depends on --threads")


# 3. Linear and task arithmetic.


def linear(weld):
    """Σ wθ in recipe order, then divided by Σ w unless the recipe says otherwise."""
    kin, weights = plain_family(weld), (0.5, 0.3, 0.7)
    args = ["--method", "linear", "--out-dtype", "float32"]
    for t, w in enumerate(weights):
        args += ["--model", kin.paths["models", t], f"--weight={w}"]
    expect_equal(load(weld.merge(*args)), weighted_sum(kin, weights, True), "linear")
    recipe = weld.place(".yml")
    models = "".join(f"  - {{model: {json.dumps(str(kin.paths['models', t]))}, parameters: {{weight: {w}}}}}\n"
                     for t, w in enumerate(weights))
    recipe.write_text(f"merge_method: linear\nmodels:\n{models}parameters: {{normalize: false}}\nout_dtype: float32\n")
    expect_equal(load(weld.merge(recipe)), weighted_sum(kin, weights, False), "linear, normalize: false")


def weighted_sum(kin, weights, normalize):
    merged = {}
    for name, x in kin.base.items():
        if x.dtype not in sta.FLOATING:
            merged[name] = kin.models[0][name]
            continue
        total = np.zeros(x.shape, f32)
        for t, w in enumerate(weights):
            total = total + f32(w) * kin.models[t][name].astype(f32)
        merged[name] = total / f32(sum(weights)) if normalize else total
    return merged


def task_arithmetic(weld):
    kin, weights, lam = half_family(weld), (0.4, -0.3, 0.9), 0.7
    args = ["--method", "task_arithmetic", "--base", kin.paths["base"], f"--lambda={lam}", "--out-dtype", "float32"]
    for t, w in enumerate(weights):
        args += ["--model", kin.paths["models", t], f"--weight={w}"]
    merged = {}
    for name, x in kin.base.items():
        if x.dtype not in sta.FLOATING:
            merged[name] = x
            continue
        theta0, total = x.astype(f32), np.zeros(x.shape, f32)
        for t, w in enumerate(weights):
            total = total + f32(w) * (kin.models[t][name].astype(f32) - theta0)
        merged[name] = theta0 + f32(lam) * total
    expect_equal(load(weld.merge(*args)), merged, "task_arithmetic")


# 4. float64.


def sta_float64(weld):
    """float64 tensors beside float32 ones: combined wide, scored narrow, ranked together."""
    kin = family(weld, "f64", wide=tuple(n for n in Family.shapes if n.startswith("layers.")))
    changes = [dict(), dict(scope="tensor"), dict(combine="mean"), dict(combine="importance"), dict(consensus="ties"),
               dict(score="fisher"), dict(score="magnitude", normalize_scores="none"), dict(granularity="row")]
    cases = [Case(kin, weights=(0.5, 0.3, -0.7), densities=(0.2, 0.6, 1.0), options=sta.Options(lam=0.9, **c), out_dtype=d)
             for c in changes for d in ("float64", "float32")]
    return hold_all(weld, cases)


# 5. zstd.


def zstd_output(weld):
    """OUT.safetensors.zst is OUT.safetensors for everyone who knows zstd."""
    case = Case(plain_family(weld))
    bare = merge_case(weld, case)
    packed = weld.merge(*case.flags(), out=".safetensors.zst")
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(packed.read_bytes()), read_across_frames=True) as stream:
        expect(stream.read() == bare.read_bytes(), "python zstandard restores other bytes than the .safetensors has")
    expect_inspected(weld.inspect(packed), load(bare))
    expect_equal(load(passthrough(weld, packed)), load(bare), "passthrough of a .safetensors.zst")
    if not shutil.which("zstd"):
        return "no zstd tool here: python only"
    done = subprocess.run(["zstd", "-d", "-q", "-c", packed], capture_output=True)
    expect(done.returncode == 0, f"zstd -d: {done.stderr.decode(errors='replace')}")
    expect(done.stdout == bare.read_bytes(), "zstd -d restores other bytes than the .safetensors has")
    return None


# 6. Packs.


def packs(weld):
    """A reader that was written after docs/format-pack.md, and knows nothing of weld, reads packs; unpack restores the bytes."""
    import importlib.util
    spec = importlib.util.spec_from_file_location("read_pack", pathlib.Path(__file__).parents[2] / "examples/pack/read_pack.py")
    read_pack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(read_pack)
    rng = np.random.default_rng(1)
    arrays = {"i64": np.arange(3000), "scalar": np.array(3, np.int32), "mask": rng.random(5000) < 0.3, "constant": np.full(7000, 2.5, f32)}
    for name, dtype in (("f16", np.float16), ("f32", f32), ("f64", np.float64), ("bf16", bf16)):
        sparse = np.where(rng.random((300, 200)) < 0.1, rng.normal(size=(300, 200)), 0)
        for kind, x in (("weights", rng.normal(size=(300, 400)) * 0.02), ("gradients", np.exp(rng.normal(size=30000) * 3 - 9)),
                        ("sparse", sparse), ("runs", np.repeat(rng.normal(size=60), 500)), ("odd", rng.normal(size=77))):
            arrays[f"{kind}.{name}"] = x.astype(dtype)
    directory = weld.place()
    directory.mkdir()
    path = directory / "model.safetensors"
    save(path, arrays)
    (directory / "config.json").write_text("{}")
    pack, out = weld.place(".weld"), weld.place()
    weld.run("pack", directory, pack, "--quiet")
    weld.run("unpack", pack, out, "--quiet")
    expect((out / "model.safetensors").read_bytes() == path.read_bytes(), "unpack restores other bytes")
    raw, read = path.read_bytes(), read_pack.Pack(pack)
    size = int.from_bytes(raw[:8], "little")
    header, codings = json.loads(raw[8 : 8 + size]), {b[4] for b in read.blocks}
    for name, (_, _, begin, end) in read.tensors().items():
        lo, hi = (8 + size + x for x in header[name]["data_offsets"])
        expect(read.read(begin, end) == raw[lo:hi], f"read_pack.py reads other bytes of {name}")
    expect(codings >= {0, 1, 3, 4}, f"only the codings {sorted(codings)} were met")
    return f"codings {sorted(codings)}"


# 7. Conversions.


def wide(rng):
    """Values of every size that float16 holds, subnormals of both half types, zeros of either sign, infinities and ties."""
    x = rng.normal(size=20_000).astype(f32) * np.exp2(rng.integers(-40, 15, 20_000)).astype(f32)
    ties = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 2.0**-25, 3 * 2.0**-25, 65519.0, -0.0, 0.0, np.inf, -np.inf], f32)
    return np.concatenate([x, ties])


def conversions(weld):
    """Every container and type is numpy's cast, names are those of Python's re, and what no flag speaks of is the same bytes."""
    tensors = all_kinds(np.random.default_rng(10)) | {"module.layers.0.wide": wide(np.random.default_rng(11)), "module.layers.10.b": np.ones(3, bf16)}
    del tensors["matrix.f64"]  # ml_dtypes rounds it twice on the way to bfloat16
    floating = [f32, np.float16, bf16]
    model = save_dir(weld.place(), split(tensors, 3), hub_files("dtype"))
    for dtype in (None, "float32", "float16", "bfloat16"):
        flags = ["--dtype", dtype] if dtype else []
        want = {k: x.astype(sta.OUT_DTYPES[dtype]) if dtype and x.dtype in floating else x for k, x in tensors.items()}
        for suffix in ("", ".safetensors", ".safetensors.zst", ".weld"):
            out = weld.place(suffix)
            weld.run("convert", model, out, *flags, "--shard-size", "30KB", "--quiet")
            if suffix == ".safetensors.zst":
                raw = zstandard.ZstdDecompressor().stream_reader(out.read_bytes(), read_across_frames=True).read()
                out = out.with_suffix("")
                out.write_bytes(raw)
            if suffix == ".weld":
                folder = weld.place()
                weld.run("unpack", out, folder, "--quiet")
                out = folder
            expect_equal(load(out), want, f"convert to {dtype}, {suffix or 'a directory'}")
            if suffix in ("", ".weld"):
                config = json.loads((out / "config.json").read_text())
                expect(config["dtype"] == (dtype or "bfloat16"), f"config.json says {config['dtype']}")
    rules = [("^module\\.", "", 1), ("layers\\.([0-9]+)\\.", "h.\\1.", 1), ("[aeiou]", "<\\g<0>>", 0), ("\\.F(\\d)", ".f\\1", 1)]
    flags = ["--rename", "s/^module\\.//", "--rename", "s/layers\\.([0-9]+)\\./h.\\1./", "--rename", "s/[aeiou]/<&>/g", "--rename", "s/\\.F([0-9])/.f\\1/"]
    want = {}
    for name, x in tensors.items():
        if re.search("^matrix|^module", name) and not re.search("f16", name):
            for rule, text, count in rules:
                name = re.sub(rule, text, name, count=count)
            want[name] = x
    out = weld.place(".safetensors")
    weld.run("convert", model, out, "--only", "^matrix", "--only", "^module", "--drop", "f16", *flags, "--quiet")
    expect_equal(load(out), want, "convert with other names")
    expect_sound(out)


# 8. Chat templates.


def chat_templates(weld):
    """A template that a recipe names renders what mergekit's of that name does, but for what chat.py mends in those."""
    model = save_dir(weld.place(), [{"a": np.ones(3, f32)}], hub_files("dtype"))
    golden = chat.golden()
    for name, want in golden["rendered"].items():
        recipe = weld.place(".yml")
        recipe.write_text(f"merge_method: linear\nmodels: [{{model: {json.dumps(str(model))}}}]\nchat_template: {name}\n")
        out = weld.merge(recipe, out="")
        template = (out / "chat_template.jinja").read_text(encoding="utf-8")
        config = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
        expect(config["chat_template"] == template, f"{name}: tokenizer_config.json has another template")
        for case, text in zip(golden["cases"], want, strict=True):
            got, want_text = chat.render(template, case), chat.mended(name, text)
            expect(got == want_text, f"{name}, {case}:\ngot  {got!r}\nwant {want_text!r}")
        bare = chat.render(template, golden["cases"][0], bos_token=None, eos_token=None)
        expect(bare is not None and "None" not in bare, f"{name} without bos_token and eos_token: {bare!r}")
    return f"{', '.join(golden['rendered'])}; {len(golden['cases'])} conversations each"


CHECKS = [
    inspect_file, odd_headers, inspect_shards, passthrough_file, passthrough_special, passthrough_shards, tokenizer_files, config_dtype,
    shard_sizes, sta_defaults, *map(sta_grid, SCORES), sta_options, sta_granularity, sta_pairs, sta_random,
    sta_statistic_metadata, sta_missing_importance, sta_infinite_buffers, sta_same_bytes, linear, task_arithmetic,
    sta_float64, zstd_output, packs, conversions, chat_templates, *gguf_models.CHECKS, *gguf_hub.CHECKS,
]


def torch_checks():
    """The checks that want torch, or one line that says why they are not run."""
    try:
        import torch_checks as with_torch
    except Exception as error:  # a torch that is half there raises what it likes
        print(f"skip  torch checks: {type(error).__name__}: {error}".splitlines()[0][:200], flush=True)
        return []
    return with_torch.CHECKS


def run_check(check, weld):
    """One line for one check; its outcome is pass, FAIL or skip."""
    start = time.monotonic()
    try:
        outcome, note = "pass", check(weld)
    except Skipped as reason:
        outcome, note = "skip", str(reason)
    except Failure as failure:
        outcome, note = "FAIL", str(failure)
    except Exception as error:  # a surprise in one check leaves the others their turn
        outcome, note = "FAIL", f"{type(error).__name__}: {error}"
    seconds = f"{time.monotonic() - start:.1f} s"
    note = (note or "").replace("\n", "\n      ")
    print(f"{outcome}  {check.__name__} ({seconds}){': ' + note if note else ''}", flush=True)
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weld", required=True, help="the program to check")
    parser.add_argument("--only", default="", help="run the checks whose name matches this pattern")
    parser.add_argument("--no-torch", action="store_true", help="leave out what needs torch")
    parser.add_argument("--keep", help="work in this directory and leave it there")
    args = parser.parse_args()
    sta.selftest()
    with tempfile.TemporaryDirectory(prefix="weld-interop-") as temporary:
        directory = pathlib.Path(args.keep or temporary)
        directory.mkdir(parents=True, exist_ok=True)
        weld = Weld(args.weld, directory.resolve())
        checks = [c for c in CHECKS + ([] if args.no_torch else torch_checks()) if re.search(args.only, c.__name__)]
        outcomes = [run_check(c, weld) for c in checks]
    print(f"{outcomes.count('pass')} passed, {outcomes.count('FAIL')} failed")
    return 1 if "FAIL" in outcomes or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
