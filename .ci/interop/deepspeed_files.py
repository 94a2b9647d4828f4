"""Checkpoints as DeepSpeed lays them out, of random parameters, groups and numbers of ranks, read by weld and by DeepSpeed's own zero_to_fp32, which is
fetched for the check and kept nowhere: of the package that one module is run, for which torch is enough. deepspeed_golden.py makes the checkpoints in the
tree with the whole of DeepSpeed."""

import collections
import dataclasses
import importlib.util
import logging
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import types

import safetensors.torch
import torch

from checkpoints import Skipped, expect

PACKAGE = "deepspeed==0.19.8"
INSTALL_SECONDS = 240
TAG = "global_step7"


@dataclasses.dataclass
class fragment_address:
    numel: int
    start: int


fragment_address.__module__ = "deepspeed.utils.tensor_fragment"


def module(name, **members):
    made = sys.modules[name] = types.ModuleType(name)
    made.__path__ = []
    vars(made).update(members)


def zero_to_fp32(directory):
    """That function of the package, without what the rest of it imports."""
    module("deepspeed")
    module("deepspeed.utils", logger=logging.getLogger("deepspeed"))
    module("deepspeed.utils.tensor_fragment", fragment_address=fragment_address)
    module("deepspeed.checkpoint")
    for name in ("deepspeed.checkpoint.constants", "deepspeed.utils.zero_to_fp32"):
        spec = importlib.util.spec_from_file_location(name, directory / f"{name.replace('.', '/')}.py")
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules["deepspeed.utils.zero_to_fp32"].get_fp32_state_dict_from_zero_checkpoint


def parameters(r, prefix, least):
    shapes = collections.OrderedDict()
    for i in range(r.randrange(least, 6)):
        shapes[f"{prefix}.{i}.weight"] = torch.Size(r.choice([(1,), (5,), (3, 7), (8, 4), (2, 3, 4), (1, 1), (64, 9)]))
    return shapes


def common(r, shapes):
    frozen = parameters(r, "frozen", 0)
    first = next(iter(shapes[0]))
    return {"buffer_names": ["places", "rate"], "param_shapes": shapes, "shared_params": {"head.weight": first} if r.random() < 0.5 else {}, "frozen_param_shapes": frozen,
            "global_steps": 7, "mp_world_size": 1, "ds_version": "0.19.8", "module": {"places": torch.arange(4), "rate": torch.rand(3)}}


def behind(r, folder, stage, ranks):
    """Stages 1 and 2: the parameters of a group in one row, which is cut."""
    shapes = [parameters(r, f"group{g}", 1) for g in range(r.randrange(1, 4))]
    paddings = [[r.choice([0, 0, 0, 2]) for _ in group] for group in shapes] if r.random() < 0.5 else None
    rows, maps = [[] for _ in range(ranks)], [[] for _ in range(ranks)]
    for g, group in enumerate(shapes):
        places, at = {}, 0
        for i, (name, shape) in enumerate(group.items()):
            places[name], at = (at, at + shape.numel()), at + shape.numel() + (paddings[g][i] if paddings else 0)
        share = -(-at // (2 * ranks)) * 2
        row = torch.randn(share * ranks)
        for rank in range(ranks):
            low, high = rank * share, (rank + 1) * share
            rows[rank].append(row[low : min(high, max(low, at))] if rank == ranks - 1 else row[low:high])
            maps[rank].append(collections.OrderedDict((n, fragment_address(min(e, high) - max(b, low), max(b, low) - low)) for n, (b, e) in places.items() if b < high and e > low))
    said = common(r, shapes)
    said["frozen_param_fragments"] = {n: torch.randn(s).bfloat16() for n, s in said["frozen_param_shapes"].items()}
    torch.save(said, folder / "mp_rank_00_model_states.pt")
    mapped = r.random() < 0.5
    for rank in range(ranks):
        state = {"zero_stage": stage, "partition_count": [ranks] * len(shapes), "single_partition_of_fp32_groups": rows[rank], "base_optimizer_state": {}}
        if paddings:
            state["param_alignment_paddings"] = paddings
        if mapped:
            state["param_slice_mappings"] = maps[rank]
        torch.save({"optimizer_state_dict": state}, folder / f"zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")


def each(r, folder, _, ranks):
    """Stage 3: each parameter is cut by itself."""
    shapes = [parameters(r, f"group{g}", 1) for g in range(r.randrange(1, 4))]
    share = lambda shape: -(-shape.numel() // ranks)
    said = common(r, shapes)
    for rank in range(ranks):
        said["frozen_param_fragments"] = {n: torch.randn(share(s)).half() for n, s in said["frozen_param_shapes"].items()}
        torch.save(said, folder / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
        flats = [torch.randn(sum(map(share, group.values()))) for group in shapes]
        state = {"zero_stage": 3, "partition_count": ranks, "fp32_flat_groups": flats, "optimizer_state_dict": {}}
        torch.save({"optimizer_state_dict": state}, folder / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")


def deepspeed_checkpoints_read(weld):
    """Checkpoints in DeepSpeed's layout, read by weld and by zero_to_fp32. What stands for the package goes again: others look whether it is installed."""
    try:
        return checkpoints_read(weld)
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "deepspeed"]:
            del sys.modules[name]


def checkpoints_read(weld):
    """What weld makes of partitions of ZeRO is what DeepSpeed's zero_to_fp32 does."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "--target", directory, PACKAGE]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS, env={**os.environ, "DS_BUILD_OPS": "0"})
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            raise Skipped(f"{PACKAGE} cannot be fetched") from None
        theirs = zero_to_fp32(pathlib.Path(directory))
        count = 0
        for seed in range(40):
            r = random.Random(seed)
            torch.manual_seed(seed)
            stage, ranks = r.choice([1, 2, 3, 3]), r.choice([1, 2, 3, 5, 8])
            place = weld.place()
            (place / TAG).mkdir(parents=True)
            (place / "latest").write_text(TAG)
            (each if stage == 3 else behind)(r, place / TAG, stage, ranks)
            with open(os.devnull, "w") as quiet:
                stdout, stderr, sys.stdout, sys.stderr = sys.stdout, sys.stderr, quiet, quiet
                try:
                    want = theirs(str(place))
                finally:
                    sys.stdout, sys.stderr = stdout, stderr
            out = weld.place(".safetensors")
            weld.run("convert", place, out)
            got = safetensors.torch.load_file(out)
            expect(got.keys() == want.keys(), f"{place}: other names: {sorted(got.keys() ^ want.keys())[:5]}")
            for name, x in want.items():
                y = got[name]
                expect(y.shape == x.shape and torch.equal(y.to(x.dtype), x), f"{place}, stage {stage}, {ranks} ranks: {name} differs")
                count += 1
            out.unlink()
    return f"{count} tensors"


CHECKS = [deepspeed_checkpoints_read]
