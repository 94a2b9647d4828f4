"""Writes format/dcp/testdata: checkpoints that torch.distributed.checkpoint wrote from several processes, and what its own dcp_to_torch_save makes of
them (NAME.want.safetensors, of the state dict under a key: NAME.KEY.want.safetensors); and the safetensors of each rank (ranks), with what
consolidate_safetensors_files makes of them. Run it from the top of the tree, with requirements.txt and
requirements-torch.txt installed: python .ci/interop/dcp_golden.py"""

import os
import pathlib
import shutil
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torch.distributed.checkpoint._consolidate_hf_safetensors import consolidate_safetensors_files
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict, get_optimizer_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

OUT = pathlib.Path("format/dcp/testdata")


def boxes(mesh):
    """Tensors cut along one dimension and two, unevenly, not at all, and for more ranks than they have rows."""
    cut = lambda x, *how: distribute_tensor(x, mesh, list(how))
    return {
        "rows": cut(torch.arange(70.0).reshape(10, 7), Shard(0), Replicate()),
        "columns": cut(torch.randn(3, 9).bfloat16(), Replicate(), Shard(1)),
        "both": cut(torch.randn(7, 6).half(), Shard(0), Shard(1)),
        "twice": cut(torch.arange(11), Shard(0), Shard(0)),
        "few": cut(torch.randn(1, 5), Shard(0), Shard(1)),
        "cube": cut(torch.randint(0, 99, (3, 4, 5), dtype=torch.int32), Shard(2), Shard(1)),
        "whole": cut(torch.randn(2, 3), Replicate(), Replicate()),
        "plain": torch.randn(4, 2).t(),
        "fp8": torch.randn(4, 4).to(torch.float8_e4m3fn),
        "scalar": torch.tensor(4.5),
        "empty": torch.empty(0, 3),
    }


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([torch.nn.Linear(5, 5) for _ in range(1)])
        self.head = torch.nn.Linear(5, 3, bias=False)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def trained(mesh):
    """A model of FSDP2 and its optimizer, after a step."""
    net = Net()
    for layer in net.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(2, 5)).sum().backward()
    optimizer.step()
    return net, optimizer


def save_boxes():
    dcp.save(boxes(init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))), checkpoint_id=OUT / "boxes")


def save_training():
    net, optimizer = trained(init_device_mesh("cpu", (2,)))
    model = get_model_state_dict(net)
    nested = {"model": model, "optim": get_optimizer_state_dict(net, optimizer), "step": 7, "lr": {"last": [0.1, 0.2]}}
    dcp.save(nested, checkpoint_id=OUT / "fsdp")
    flat = get_optimizer_state_dict(net, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True))
    flat = {k: v for k, v in flat.items() if k.startswith("state.") or k.endswith(".lr")}  # each value is a file of its own
    dcp.save({"app": {"model": model, "optimizer": flat}}, checkpoint_id=OUT / "flat")
    dcp.save({"optimizer": {"state": {"w": {"exp_avg_sq": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}}, checkpoint_id=OUT / "optimizer")
    dcp.save({"model": {"w": torch.ones(2)}, "ema": {"w": torch.zeros(2)}}, checkpoint_id=OUT / "pair")


def save_ranks():
    """What HuggingFaceStorageWriter writes of each rank, in two files; no integers, which consolidation does not read, nor strides."""
    state = {k: v for k, v in boxes(init_device_mesh("cpu", (2, 2), mesh_dim_names=("a", "b"))).items() if k not in ("twice", "cube", "plain", "empty", "fp8")}
    mapping = {k: 1 + (i % 2) for i, k in enumerate(state)}
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(str(OUT / "ranks"), fqn_to_index_mapping=mapping, save_distributed=True))


def run(rank, save, world):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29513")
    dist.init_process_group("gloo", rank=rank, world_size=world)
    torch.manual_seed(13)
    save()
    dist.destroy_process_group()


def tensors(value, trail=""):
    """The tensors of nested dictionaries and lists, under joined names."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {}
    for key, x in items:
        name = f"{trail}.{key}" if trail else str(key)
        if isinstance(x, torch.Tensor):
            found[name] = x.clone().contiguous()
        else:
            found.update(tensors(x, name))
    return found


def want_ranks():
    with tempfile.TemporaryDirectory() as directory:
        consolidate_safetensors_files(str(OUT / "ranks"), directory, fqn_to_index_mapping=dict.fromkeys(("rows", "columns", "both", "few", "whole", "scalar"), 1))
        whole = {k: v for f in sorted(pathlib.Path(directory).glob("*.safetensors")) for k, v in load_file(f).items()}
    whole["scalar"] = torch.tensor(4.5)  # of which consolidation makes 0: findings/torch-consolidates-scalars-to-zero.sh
    save_file(whole, OUT / "ranks.want.safetensors")


def want(name, *keys):
    with tempfile.TemporaryDirectory() as directory:
        dcp_to_torch_save(OUT / name, f"{directory}/whole.pt")
        value = torch.load(f"{directory}/whole.pt", weights_only=False)
    for key in keys:
        value = value[key]
    save_file(tensors(value), OUT / f"{'.'.join([name, *keys])}.want.safetensors")


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    mp.spawn(run, (save_boxes, 4), nprocs=4)
    mp.spawn(run, (save_training, 2), nprocs=2)
    mp.spawn(run, (save_ranks, 4), nprocs=4)
    want("boxes")
    want_ranks()
    want("fsdp", "model")
    want("fsdp")
    want("flat", "app", "model")
    want("pair", "ema")
