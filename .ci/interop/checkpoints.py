"""Checkpoints for the checks: made with the stock safetensors library, read back with it
and, where bytes and header matter, with a reader of the container's few rules.
"""

import json
import pathlib
import struct

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

bf16 = np.dtype(ml_dtypes.bfloat16)
f32 = np.float32

DTYPE_NAMES = {
    "F64": np.dtype("f8"), "F32": np.dtype("f4"), "F16": np.dtype("f2"), "BF16": bf16,
    "I64": np.dtype("i8"), "I32": np.dtype("i4"), "I16": np.dtype("i2"), "I8": np.dtype("i1"),
    "U8": np.dtype("u1"), "BOOL": np.dtype("?"),
}
NAME_OF = {dtype: name for name, dtype in DTYPE_NAMES.items()}


class Failure(Exception):
    """A check that does not hold, with all that is known about it."""


class Skipped(Exception):
    """A check that cannot run here; the reason is printed."""


# Writing.


def save(path, tensors, metadata=None):
    """One file as safetensors.numpy writes it."""
    safetensors.numpy.save_file({k: np.asarray(v, order="C") for k, v in tensors.items()}, path, metadata)
    return path


def save_dir(path, shards, files=None):
    """A Hub-like directory: shards with an index (or one file), and files beside them."""
    path = pathlib.Path(path)
    path.mkdir(parents=True)
    if len(shards) == 1:
        save(path / "model.safetensors", shards[0], {"format": "pt"})
    else:
        names = [f"model-{i:05}-of-{len(shards):05}.safetensors" for i in range(1, len(shards) + 1)]
        for name, tensors in zip(names, shards):
            save(path / name, tensors, {"format": "pt"})
        index = {
            "metadata": {"total_size": sum(x.nbytes for s in shards for x in s.values())},
            "weight_map": {key: name for name, s in zip(names, shards) for key in s},
        }
        (path / "model.safetensors.index.json").write_text(json.dumps(index, indent=2))
    for name, content in (files or {}).items():
        (path / name).write_bytes(content)
    return path


# Reading.


def read_header(path):
    """The header of a safetensors file, its length, and the offset of the data."""
    with open(path, "rb") as f:
        (length,) = struct.unpack("<Q", f.read(8))
        return json.loads(f.read(length)), 8 + length


def load_file(path):
    """All tensors of one file, through the stock library."""
    return safetensors.numpy.load_file(path)


def load_metadata(path):
    with safetensors.safe_open(path, framework="np") as f:
        return f.metadata() or {}


def load(path):
    """All tensors of a file or of a directory, by its index if it has one."""
    path = pathlib.Path(path)
    if path.is_file():
        return load_file(path)
    index = path / "model.safetensors.index.json"
    if not index.exists():
        return load_file(path / "model.safetensors")
    tensors = {}
    for shard in sorted(set(json.loads(index.read_text())["weight_map"].values())):
        tensors |= load_file(path / shard)
    return tensors


# Comparing.


def first_difference(got, want):
    """Where and how two tensors of one dtype and shape differ, as a line."""
    bits = np.dtype(f"u{want.dtype.itemsize}")
    a, b = (np.asarray(x, order="C").view(bits).ravel() for x in (got, want))
    (where,) = np.nonzero(a != b)
    i = int(where[0])
    digits = 2 * want.dtype.itemsize
    return (f"{len(where)} of {want.size} elements differ, first at {i}: got {got.ravel()[i]} (0x{int(a[i]):0{digits}x}), "
            f"want {want.ravel()[i]} (0x{int(b[i]):0{digits}x})")


def differences(got, want):
    """Every tensor of want that got has not, or not byte for byte; one line each."""
    lines = [f"{name!r}: missing" for name in want.keys() - got.keys()]
    lines += [f"{name!r}: not expected" for name in got.keys() - want.keys()]
    for name in sorted(want.keys() & got.keys()):
        g, w = got[name], want[name]
        if (g.dtype, g.shape) != (w.dtype, w.shape):
            lines.append(f"{name!r}: got {g.dtype}{g.shape}, want {w.dtype}{w.shape}")
        elif g.tobytes() != w.tobytes():
            lines.append(f"{name!r} {w.dtype}{w.shape}: {first_difference(g, w)}")
    return lines


def expect_equal(got, want, what):
    lines = differences(got, want)
    if lines:
        raise Failure("\n".join([what, *lines[:6]]))


def expect(condition, what):
    if not condition:
        raise Failure(what)


def expect_sound(path):
    """A safetensors file as its users want it: format=pt, header 8-aligned, data without gaps."""
    header, data = read_header(path)
    expect(data % 8 == 0, f"{path.name}: data begin at {data}, not a multiple of 8")
    expect(load_metadata(path).get("format") == "pt", f"{path.name}: metadata has no format=pt: {load_metadata(path)}")
    spans = sorted(t["data_offsets"] for name, t in header.items() if name != "__metadata__")
    end = 0
    for begin, stop in spans:
        expect(begin == end, f"{path.name}: data_offsets jump from {end} to {begin}")
        end = stop
    expect(data + end == path.stat().st_size, f"{path.name}: {path.stat().st_size} bytes, header says {data + end}")


# Random checkpoints.


def plain(x, dtype):
    """x rounded to dtype, without negative zeros: −0 + 0 is a question of its own."""
    x = np.asarray(x).astype(dtype)
    return np.where(x == 0, np.zeros((), dtype), x).astype(dtype)


class Family:
    """A base, three fine-tuned models and their importance files, all on disk.

    The shapes are those that tiles, rows and masks stumble over: a scalar, a vector,
    a matrix and a row longer than a tile, scores that are constant or full of ties,
    a tensor that no model touched, an integer buffer, values near the subnormals.
    """

    def __init__(self, directory, seed, dtype=f32, importance_dtype=f32, wide=(), infinite=False):
        rng = np.random.default_rng(seed)
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True)
        self.kind = {name: (np.float64 if name in wide else dtype) for name in self.shapes}
        self.infinite = infinite
        self.base = self.make_base(rng)
        self.models = [self.make_model(rng) for _ in range(3)]
        # Signed gradients and squares: √x wants no negative numbers, |x| wants some.
        self.signed = [self.make_importance(rng, importance_dtype, False) for _ in range(3)]
        self.squares = [self.make_importance(rng, importance_dtype, True) for _ in range(3)]
        self.paths = {"base": save(self.directory / "base.safetensors", self.base)}
        for t in range(3):
            for what in ("models", "signed", "squares"):
                path = self.directory / f"{what}-{t}.safetensors"
                metadata = {"weld.statistic": "mean_grad"} if what == "signed" else None
                self.paths[what, t] = save(path, getattr(self, what)[t], metadata)

    shapes = {
        "embed.weight": (97, 211),
        "layers.0.long_rows.weight": (3, 8209),
        "layers.0.norm.weight": (211,),
        "layers.0.constant.weight": (24, 16),
        "layers.0.untouched.weight": (32, 8),
        "layers.1.coarse.weight": (40, 5, 10),
        "layers.1.scale": (),
        "layers.1.tiny.weight": (7, 9),
    }

    def make_base(self, rng):
        base = {}
        for name, shape in self.shapes.items():
            x = rng.normal(0, 1, shape)
            if "constant" in name:
                x = np.ones(shape)
            if "coarse" in name:
                x = rng.integers(-4, 5, shape) / 4
            if "tiny" in name:
                x = x * 1e-20
            base[name] = plain(x, self.kind[name])
        base["position_ids"] = np.arange(64, dtype=np.int64)[None]
        if self.infinite:
            base["attn.mask"] = plain(np.triu(np.full((9, 9), -np.inf), 1), self.kind["embed.weight"])
        return base

    def make_model(self, rng):
        model = dict(self.base)
        for name, shape in self.shapes.items():
            step = rng.normal(0, 0.1, shape) * (rng.random(shape) < 0.9)
            if "untouched" in name:
                continue
            if "constant" in name:
                step = np.full(shape, 0.5)
            if "coarse" in name:
                step = rng.integers(-2, 3, shape) / 4
            if "tiny" in name:
                step = step * 1e-20
            wide = self.base[name].astype(np.float64)
            model[name] = plain(wide + step, self.kind[name])
        return model

    def make_importance(self, rng, dtype, squares):
        importance = {}
        for name, shape in self.shapes.items():
            x = rng.normal(0, 0.01, shape) * (rng.random(shape) < 0.95)
            if "constant" in name:
                x = np.full(shape, 0.25)
            if "coarse" in name:
                x = rng.integers(-3, 4, shape) / 8
            importance[name] = plain(x * x if squares else x, dtype)
        if self.infinite:
            importance["attn.mask"] = np.full((9, 9), 0.5, dtype)
        return importance
