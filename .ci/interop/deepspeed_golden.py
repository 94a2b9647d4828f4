"""Writes the goldens of format/deepspeed: checkpoints that DeepSpeed wrote from several processes after a short training, what its own zero_to_fp32 makes
of them (NAME.weights.safetensors), and the second moments that its own ds_to_universal finds in them (NAME.moments.safetensors), corrected for their bias.

    python .ci/interop/deepspeed_golden.py format/deepspeed/testdata [NAME...]

Needs requirements.txt, requirements-torch.txt and requirements-deepspeed.txt. Everything runs on a CPU, with gloo. The small model has what checkpoints
treat each in a way of its own: two groups of parameters, one that never gets a gradient, frozen ones, buffers, tied weights, sizes that no number of
ranks divides.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.update(DS_ACCELERATOR="cpu", MASTER_ADDR="127.0.0.1", MASTER_PORT="29617", OMP_NUM_THREADS="1")

# Name: ranks, ZeRO stage, and what else the configuration says. "universal" is made of another one by ds_to_universal.
CASES = {
    "zero0": (1, 0, {}),
    "zero1": (2, 1, {}),
    "zero1_bf16": (2, 1, {"data_types": {"grad_accum_dtype": "fp32"}}),
    "zero2": (3, 2, {}),
    "zero2_robin": (2, 2, {"zero_optimization": {"stage": 2, "round_robin_gradients": True}}),
    "zero3": (3, 3, {"zero_optimization": {"stage": 3, "sub_group_size": 40}}),
    "universal2": "zero2",
    "universal3": "zero3",
}
BETAS = (0.9, 0.995)
STEPS = 3
TAG = f"global_step{STEPS}"


def network():
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = torch.nn.Embedding(7, 5)
            self.up = torch.nn.Linear(5, 9, bias=False)
            self.down = torch.nn.Linear(9, 5, bias=False)
            self.fixed = torch.nn.Linear(5, 5)
            self.norm = torch.nn.LayerNorm(5, bias=False)
            self.head = torch.nn.Linear(5, 7, bias=False)
            self.head.weight = self.embed.weight
            self.scale = torch.nn.Parameter(torch.tensor([1.5]))
            self.idle = torch.nn.Parameter(torch.ones(3, 2))
            self.register_buffer("places", torch.arange(4))
            self.register_buffer("rate", torch.tensor([0.5, 0.25]))
            self.register_buffer("cache", torch.ones(3), persistent=False)
            self.fixed.weight.requires_grad_(False)

        def forward(self, ids):
            x = self.embed(ids)
            x = x + self.down(torch.relu(self.up(x)))
            return (self.head(self.norm(self.fixed(x) * self.scale)).float() ** 2).mean()

    return Net()


def train(name, stage, more, out):
    """One rank of a training, which saves the checkpoint."""
    import deepspeed
    import torch

    torch.manual_seed(len(name))
    deepspeed.init_distributed("gloo", auto_mpi_discovery=False)
    model = network()
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [
        {"params": [p for n, p in named if p.dim() > 1], "weight_decay": 0.1},
        {"params": [p for n, p in named if p.dim() <= 1], "weight_decay": 0.0},
    ]
    config = {
        "train_micro_batch_size_per_gpu": 2, "bf16": {"enabled": True}, "zero_optimization": {"stage": stage},
        "zero_force_ds_cpu_optimizer": False, "zero_allow_untested_optimizer": True, **more,
    }
    engine, *_ = deepspeed.initialize(model=model, optimizer=torch.optim.AdamW(groups, lr=1e-2, betas=BETAS), config=config)
    for step in range(STEPS):
        generator = torch.Generator().manual_seed(100 * step + engine.global_rank)
        engine.backward(engine(torch.randint(0, 7, (2, 4), generator=generator)))
        engine.step()
    engine.save_checkpoint(out, tag=TAG)


def state_dict(folder):
    from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint

    return get_fp32_state_dict_from_zero_checkpoint(str(folder), tag=TAG)


def wanted(name, stage, out):
    """What zero_to_fp32 makes of a checkpoint, its numbers in the types in which they are saved."""
    import torch
    tag = out / TAG
    if stage == 0:
        state = torch.load(tag / "mp_rank_00_model_states.pt", weights_only=False)["module"]
    else:
        if name == "zero1_bf16":  # its files do not say the stage, without which zero_to_fp32 gives up
            copied = Path(tempfile.mkdtemp())
            shutil.copytree(tag, copied / tag.name)
            for file in sorted((copied / tag.name).glob("*_optim_states.pt")):
                value = torch.load(file, weights_only=False)
                value["optimizer_state_dict"]["zero_stage"] = 1
                torch.save(value, file)
            out = copied
        state = state_dict(out)
    return {n: t.clone().contiguous() for n, t in state.items()}


def universal(source, out):
    """What ds_to_universal makes of a checkpoint."""
    from deepspeed.checkpoint import ds_to_universal

    sys.argv = ["", "--input_folder", str(source / TAG), "--output_folder", str(out / f"{TAG}_universal"),
                "--num_extract_workers", "1", "--num_merge_workers", "1", "--inject_missing_state"]
    ds_to_universal.main(ds_to_universal.parse_arguments())
    return out / f"{TAG}_universal" / "zero"


def moments(name, source, shapes):
    import torch

    correct = lambda v: (v.double() / (1 - BETAS[1] ** STEPS)).float()
    if name == "zero2_robin":  # ds_to_universal gives parameters the values of others; zero_to_fp32 does not, and is given second moments for weights
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / TAG
            shutil.copytree(source / TAG, copied)
            for file in copied.glob("*_optim_states.pt"):
                value = torch.load(file, weights_only=False)
                state = value["optimizer_state_dict"]
                state["single_partition_of_fp32_groups"] = [state["base_optimizer_state"]["state"][g]["exp_avg_sq"][: len(w)].clone() for g, w in enumerate(state["single_partition_of_fp32_groups"])]
                torch.save(value, file)
            found = state_dict(Path(folder))
        trained = {n for group in torch.load(source / TAG / "mp_rank_00_model_states.pt", weights_only=False)["param_shapes"] for n in group}
        return {n: correct(v).clone().contiguous() for n, v in found.items() if n in trained}
    with tempfile.TemporaryDirectory() as folder:
        zero, found = universal(source, Path(folder)), {}
        for file in sorted(zero.glob("*/exp_avg_sq.pt")):
            v = torch.load(file, weights_only=False)
            v = v["param"] if isinstance(v, dict) else v
            found[file.parent.name] = correct(v).reshape(shapes[file.parent.name]).contiguous()
    return found


def write(place, name):
    from safetensors.torch import save_file

    case, out = CASES[name], place / name
    shutil.rmtree(out, ignore_errors=True)
    if isinstance(case, str):
        out.mkdir()
        for file in universal(place / case, out).glob("*/exp_avg.pt"):  # nobody reads first moments
            file.unlink()
        return
    ranks, stage, more = case
    processes = [subprocess.Popen([sys.executable, __file__, "--rank", name, str(out)], env=dict(os.environ, RANK=str(r), LOCAL_RANK=str(r), WORLD_SIZE=str(ranks))) for r in range(ranks)]
    if any([p.wait() for p in processes]):
        raise SystemExit(f"{name}: a rank failed")
    for script in out.glob("zero_to_*.py"):
        script.unlink()
    weights = wanted(name, stage, out)
    save_file(weights, place / f"{name}.weights.safetensors")
    if stage > 0:
        save_file(moments(name, out, {n: t.shape for n, t in weights.items()}), place / f"{name}.moments.safetensors")


if __name__ == "__main__":
    if sys.argv[1] == "--rank":
        ranks, stage, more = CASES[sys.argv[2]]
        train(sys.argv[2], stage, more, sys.argv[3])
    else:
        place = Path(sys.argv[1])
        place.mkdir(parents=True, exist_ok=True)
        for name in sys.argv[2:] or CASES:
            write(place, name)
