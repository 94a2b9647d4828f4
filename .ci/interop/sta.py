"""Selective Task Arithmetic in numpy: the reference weld is held against.

Written from docs/methods.md and docs/importance.md alone, tensor by tensor and with a
sort where weld streams tiles and counts bins. Every operation is one numpy
float32 operation in the order the text gives; sums over a tensor are taken in
float64 and rounded once. float64 tensors are combined in float64, but scored in
float32 like all others.

    python sta.py --selftest
"""

import math
import sys
from dataclasses import dataclass, field

import ml_dtypes
import numpy as np

f32, f64 = np.float32, np.float64

OUT_DTYPES = {
    "float64": np.dtype(f64),
    "float32": np.dtype(f32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
FLOATING = set(OUT_DTYPES.values())
# Below this, an L1 norm says nothing about a scale (docs/methods.md).
TINY_NORM = 1e-7


@dataclass
class Model:
    """A fine-tuned checkpoint and what belongs to it alone."""

    tensors: dict
    importance: dict = field(default_factory=dict)
    weight: float = 1.0
    density: float = 0.2
    statistic: str = "mean_abs_grad"


@dataclass
class Options:
    """The global parameters, with the defaults of the paper's form."""

    score: str = "weight"
    normalize_scores: str = "mean"
    scope: str = "model"
    granularity: str = "element"
    threshold: float | None = None
    lam: float = 1.0
    combine: str = "sum"
    consensus: str = "none"
    rescale: str = "none"
    contrast: bool = False
    missing_importance: str = "error"


@dataclass
class Part:
    """What one model brings to one tensor: δ, its score s, the mask m and τ."""

    delta: np.ndarray
    score: np.ndarray
    missing: bool  # no importance here: outside of the ranking
    rank: np.ndarray | None = None  # what is compared with the threshold
    mask: np.ndarray | None = None
    tau: np.ndarray | None = None


def merge(base, models, options, out_dtype=None):
    """The merged checkpoint: base's names, floating tensors as out_dtype (or base's dtype)."""
    with np.errstate(all="ignore"):
        fused = [name for name, x in base.items() if x.dtype in FLOATING]
        parts = [{name: measure(base[name], m, name, options) for name in fused} for m in models]
        rank(parts, fused, options)
        for model, own in zip(models, parts):
            select(model, own, options)
            rescale(model, own, options)
        merged = {}
        for name, x in base.items():
            if name not in parts[0]:
                merged[name] = x
                continue
            target = OUT_DTYPES[out_dtype] if out_dtype else x.dtype
            fusedx = fuse(decode(x), [own[name] for own in parts], models, options)
            merged[name] = fusedx.astype(target)
        return merged


# Scores.


def decode(x):
    """x in the type its arithmetic runs in: float64 for float64, float32 for all others."""
    return x if x.dtype == f64 else x.astype(f32)


def task_vector(theta, base):
    """δ = θ − θ₀, exactly 0 where the bits are equal (also for infinities)."""
    delta = theta - base
    bits = np.dtype(f"u{theta.dtype.itemsize}")
    same = np.asarray(theta, order="C").view(bits) == np.asarray(base, order="C").view(bits)
    return np.where(same, theta.dtype.type(0), delta)


def amplitude(x, statistic):
    """a: the mean gradient magnitude that an importance file stands for."""
    x = x.astype(f32)
    if statistic in ("mean_sq_grad", "adam_second_moment"):
        return np.sqrt(x)
    return np.abs(x)


def raw_score(theta, delta, a, score):
    """s of every element before normalisation, float32."""
    theta, delta = np.abs(theta.astype(f32)), np.abs(delta.astype(f32))
    if score == "weight":
        return theta * a
    if score == "delta":
        return delta * a
    if score == "fisher":
        p = delta * a
        return p * p
    if score == "importance":
        return a
    if score == "magnitude":
        return delta
    raise ValueError(score)


def by_unit(raw, granularity):
    """Every element's raw score, or its row's or tensor's mean."""
    if granularity == "element" or raw.size == 0 or (granularity == "row" and raw.ndim <= 1):
        return raw
    axes = tuple(range(1, raw.ndim)) if granularity == "row" else tuple(range(raw.ndim))
    count = raw[0].size if granularity == "row" else raw.size
    mean = (raw.sum(axis=axes, dtype=f64, keepdims=True) / count).astype(f32)
    return np.broadcast_to(mean, raw.shape)


def normalised(raw, how, granularity):
    """The score that is compared across tensors. The divisor comes from the elements."""
    unit = by_unit(raw, granularity)
    if how == "none" or raw.size == 0:
        return unit
    low = f32(0)
    if how == "mean":
        divisor = f32(raw.sum(dtype=f64) / raw.size)
    elif how == "max":
        divisor = raw.max()
    elif how == "minmax":
        low = raw.min()
        divisor = f32(raw.max() - low)
    elif how == "l2":
        wide = raw.astype(f64)
        divisor = f32(math.sqrt((wide * wide).sum()))
    else:
        raise ValueError(how)
    if divisor == 0 or not np.isfinite(divisor):
        return np.zeros_like(raw)
    return (unit - low) / divisor if how == "minmax" else unit / divisor


def measure(base, model, name, options):
    """δ and the normalised score of one tensor of one model."""
    theta0, theta = decode(base), decode(model.tensors[name])
    delta = task_vector(theta, theta0)
    a = None
    if options.score != "magnitude":
        x = model.importance.get(name)
        if x is None or x.shape != base.shape:
            if options.missing_importance == "error":
                raise ValueError(f"{name}: no importance")
            return Part(delta, np.ones(delta.shape, f32), missing=True)
        a = amplitude(x, model.statistic)
    raw = raw_score(theta, delta, a, options.score)
    return Part(delta, normalised(raw, options.normalize_scores, options.granularity), missing=False)


def rank(parts, fused, options):
    """What the mask is chosen by: the score, or its contrast with the other models'."""
    for name in fused:
        for t, own in enumerate(parts):
            own[name].rank = own[name].score
            if not options.contrast:
                continue
            others = [parts[u][name].score for u in range(len(parts)) if u != t]
            total = np.zeros_like(own[name].score)
            for s in others:
                total = total + s
            own[name].rank = own[name].score / (total / f32(len(others)) + f32(0.1))


# Masks.


def kth_largest(values, density):
    """The exact ⌈d·n⌉-th largest value."""
    k = math.ceil(density * values.size)
    return np.partition(values, values.size - k)[values.size - k]


def kept(values, density, threshold):
    """The mask of values under a threshold, or under the two ends of density."""
    if threshold is None and density >= 1:
        return np.ones(values.shape, bool)
    if threshold is None and density <= 0:
        return np.zeros(values.shape, bool)
    return (values >= threshold) & (values > 0)


def select(model, own, options):
    """The masks of one model."""
    ranked = [p for p in own.values() if not p.missing]
    for p in own.values():
        if p.missing:
            p.mask = np.full(p.delta.shape, options.missing_importance == "keep")
    if options.threshold is not None:
        for p in ranked:
            p.mask = kept(p.rank, None, f32(options.threshold))
        return
    groups = [[p] for p in ranked] if options.scope == "tensor" else [ranked]
    for group in groups:
        values = np.concatenate([p.rank.ravel() for p in group]) if group else np.zeros(0, f32)
        inside = 0 < model.density < 1 and values.size > 0
        threshold = kth_largest(values, model.density) if inside else f32(0)
        for p in group:
            p.mask = kept(p.rank, model.density, threshold if inside else None) if p.rank.size else np.zeros(p.rank.shape, bool)


def rescale(model, own, options):
    """τ: the masked task vector, brought back to its former size if asked for."""
    ranked = [p for p in own.values() if not p.missing]
    survivors = sum(int(p.mask.sum()) for p in ranked)
    total = sum(p.mask.size for p in ranked)
    for p in own.values():
        p.tau = np.where(p.mask, p.delta, p.delta.dtype.type(0))
        r = f32(1)
        if options.rescale == "density":
            if options.threshold is not None:
                r = f32(total / survivors) if survivors else f32(1)
            elif model.density > 0:
                r = f32(1 / model.density)
        elif options.rescale == "l1":
            before = np.abs(p.delta.astype(f64)).sum()
            after = np.abs(p.tau.astype(f64)).sum()
            r = f32(1) if before < TINY_NORM or after < TINY_NORM else f32(before / after)
        if options.rescale != "none":
            p.tau = p.delta.dtype.type(r) * p.tau


# Fusion.


def fuse(theta0, parts, models, options):
    """θ = θ₀ + λ·D of one tensor."""
    real = theta0.dtype.type
    weights = [real(m.weight) for m in models]
    d = [w * p.tau for w, p in zip(weights, parts)]
    alive = [np.ones(x.shape, bool) for x in d]
    if options.consensus == "ties":
        alive = elected(d)
    total = np.zeros_like(theta0)
    if options.combine in ("sum", "mean"):
        for x, live in zip(d, alive):
            total = total + np.where(live, x, real(0))
    if options.combine == "mean":
        votes = sum((p.mask & (p.delta != 0) & live).astype(int) for p, live in zip(parts, alive))
        total = np.where(votes > 0, total / votes.astype(real), real(0))
    if options.combine == "importance":
        share = np.zeros_like(theta0)
        for p, w, live in zip(parts, weights, alive):
            live = live & (p.tau != 0)
            s = p.score.astype(real)
            total = total + np.where(live, (s * w) * p.tau, real(0))
            share = share + np.where(live, s, real(0))
        total = np.where(share != 0, total / share, real(0))
    return theta0 + real(options.lam) * total


def elected(d):
    """Per element, the models whose step has the sign of the sum of all steps."""
    total = np.zeros_like(d[0])
    for x in d:
        total = total + x
    up = total >= 0
    return [np.where(up, x > 0, x < 0) for x in d]


# Self-test: cases small enough to be worked out on paper.


def selftest():
    """Hand-computed cases; each line is one claim of docs/methods.md."""

    def run(thetas, grads, base=None, out=None, density=1.0, weight=1.0, statistic="mean_abs_grad", **options):
        arrays = [{"t": np.array(x, f32)} for x in thetas]
        files = [{"t": np.array(x, f32)} for x in grads] if grads else [{}] * len(arrays)
        zero = {"t": np.zeros_like(arrays[0]["t"]) if base is None else np.array(base, f32)}
        several = lambda v: v if isinstance(v, list) else [v] * len(arrays)
        models = [Model(a, g, w, d, statistic) for a, g, w, d in zip(arrays, files, several(weight), several(density))]
        return merge(zero, models, Options(**options), out)["t"]

    cases = []

    def same(what, got, want):
        cases.append(what)
        want = np.array(want, got.dtype)
        if got.tobytes() != want.tobytes():
            sys.exit(f"selftest: {what}: got {got}, want {want}")

    theta, g = [1, -2, 3, 4], [4, 3, 1, 0.5]  # |θ|·a = 4 6 3 2
    same("weight, k = ⌈0.5·4⌉", run([theta], [g], density=0.5), [1, -2, 0, 0])
    same("k rounds up", run([theta], [g], density=0.3), [1, -2, 0, 0])
    same("density 0", run([theta], [g], density=0.0), [0, 0, 0, 0])
    same("density 1 keeps score 0", run([theta], [[0, 0, 0, 0]], density=1.0), theta)
    same("score 0 is never kept below 1", run([theta], [[1, 0, 0, 0]], density=0.9), [1, 0, 0, 0])
    same("ties at T all stay", run([[1, 1, 1, 2]], [[1, 1, 1, 1]], density=0.5), [1, 1, 1, 2])
    same("√x", run([theta], [[16, 9, 1, 0.25]], density=0.5, statistic="mean_sq_grad"), [1, -2, 0, 0])
    same("importance", run([theta], [[1, 2, -4, 3]], density=0.25, score="importance"), [0, 0, 3, 0])
    same("delta", run([theta], [[1, 1, 1, 1]], base=[1, -2, 0, 3], density=0.25, score="delta"), [1, -2, 3, 3])
    same("magnitude needs no file", run([theta], None, density=0.25, score="magnitude"), [0, 0, 0, 4])
    same("threshold", run([theta], [g], threshold=3.0, normalize_scores="none"), [1, -2, 3, 0])
    same("threshold on s/mean, mean 3.75", run([theta], [g], threshold=1.0), [1, -2, 0, 0])
    same("l2 of 3 4", normalised(np.array([3, 4], f32), "l2", "element"), [0.6, 0.8])
    same("max", normalised(np.array([1, 4], f32), "max", "element"), [0.25, 1])
    same("minmax", normalised(np.array([1, 2, 5], f32), "minmax", "element"), [0, 0.25, 1])
    same("minmax of a constant", normalised(np.array([2, 2], f32), "minmax", "element"), [0, 0])
    same("infinite divisor", normalised(np.array([1, np.inf], f32), "mean", "element"), [0, 0])
    same("fisher", raw_score(f32([9]), f32([-3]), f32([2]), "fisher"), [36])
    same("row means 2 and 5 over mean 3.5", normalised(np.array([[1, 3], [4, 6]], f32), "mean", "row"),
         f32([[2, 2], [5, 5]]) / f32(3.5))
    same("rows", run([[[1, 3], [2, 1]]], [[[1, 1], [1, 1]]], density=0.5, granularity="row"), [[1, 3], [0, 0]])
    same("a tie of a whole tensor", run([[1, 3]], [[1, 1]], density=0.5, granularity="tensor"), [1, 3])
    same("λ and weights", run([[1, 2], [4, 8]], [[1, 1]] * 2, base=[1, 1], weight=[1, -0.5], lam=2.0), [-2, -4])
    same("mean over those that moved", run([[2, 2], [4, 0]], [[1, 1]] * 2, combine="mean"), [3, 2])
    same("importance: (1·2 + 3·4)/4", run([[2], [4]], [[1], [3]], combine="importance", score="importance",
                                           normalize_scores="none"), [3.5])
    same("ties: 3 against −1", run([[3, 1], [-1, 2]], [[1, 1]] * 2, consensus="ties"), [3, 3])
    same("ties: a zero sum goes up", run([[1], [-1]], [[1]] * 2, consensus="ties"), [1])
    same("rescale density", run([theta], [g], density=0.5, rescale="density"), [2, -4, 0, 0])
    same("rescale l1: 10/3", run([theta], [g], density=0.5, rescale="l1"), f32([1, -2, 0, 0]) * f32(10 / 3))
    same("rescale by threshold: 4/3", run([theta], [g], threshold=3.0, normalize_scores="none", rescale="density"),
         f32([1, -2, 3, 0]) * f32(4 / 3))
    same("contrast: 2/1.1 < 3/1.1, 1/2.1", run([[1, 1, 1], [1, 1, 1]], [[2, 3, 1], [1, 1, 2]], density=[1 / 3, 0.0],
         contrast=True, score="importance", normalize_scores="none"), [0, 1, 0])
    same("equal −inf stays", run([[-np.inf, 2]], [[1, 1]], base=[-np.inf, 1]), [-np.inf, 2])
    same("bfloat16, to even", run([[1 + 2**-8, 1 + 3 * 2**-8]], [[1, 1]], out="bfloat16"), [1, 1 + 2**-6])
    same("float16, to even", run([[1 + 2**-11, 1 + 3 * 2**-11]], [[1, 1]], out="float16"), [1, 1 + 2**-9])
    same("scope model and tensor", *scopes())
    same("missing: dropped, kept", *missing())
    print(f"sta.py selftest: {len(cases)} cases passed")


def scopes():
    """Two tensors whose raw scores differ a hundredfold; unnormalised, model scope keeps one."""
    base = {"a": np.zeros(2, f32), "b": np.zeros(2, f32)}
    model = Model({"a": f32([100, 200]), "b": f32([1, 2])}, density=0.5)
    got = []
    for scope in ("model", "tensor"):
        options = Options(score="magnitude", normalize_scores="none", scope=scope)
        merged = merge(base, [model], options)
        got += [*merged["a"], *merged["b"]]
    return f32(got), [100, 200, 0, 0, 0, 200, 0, 2]


def missing():
    """b has no importance: it stays out of the ranking of a, and goes or stays whole."""
    base = {"a": np.zeros(2, f32), "b": np.zeros(2, f32)}
    model = Model({"a": f32([1, 2]), "b": f32([3, 4])}, {"a": f32([1, 1])}, density=0.5)
    got = []
    for how in ("drop", "keep"):
        merged = merge(base, [model], Options(missing_importance=how))
        got += [*merged["a"], *merged["b"]]
    return f32(got), [0, 2, 0, 0, 0, 2, 3, 4]


if __name__ == "__main__":
    if sys.argv[1:] != ["--selftest"]:
        sys.exit("usage: python sta.py --selftest")
    selftest()
