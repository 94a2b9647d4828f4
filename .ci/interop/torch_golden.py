"""Writes format/torch/testdata: files that torch.save wrote, and what torch reads from them (NAME.want.safetensors). Run it from the top
of the tree, with requirements.txt and requirements-torch.txt installed: python .ci/interop/torch_golden.py"""

import argparse
import collections
import json
import os
import shutil
import zipfile

import numpy
import torch
from safetensors.torch import save_file

OUT = "format/torch/testdata"
torch.manual_seed(13)


def want(name, tensors):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, f"{OUT}/{name}.want.safetensors")


def save(name, value, tensors=None, **options):
    path = f"{OUT}/{name}.pt"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(value, path, **options)
    if tensors is not None:
        want(name, tensors)
    return path


shutil.rmtree(OUT, ignore_errors=True)
os.makedirs(OUT)

# Every element type that safetensors has.
bits = torch.randint(0, 256, (4, 8), dtype=torch.uint8)
plain = ["uint8", "int8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32", "float64", "complex64",
         "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2"]
dtypes = {name: bits.clone().view(getattr(torch, name)) for name in plain}
dtypes["bool"] = bits > 127
save("dtypes", dtypes, dtypes)

# Views: strides, offsets, storages that are shared, no elements, no dimensions.
whole = torch.randn(6, 10)
cube = torch.arange(2 * 3 * 4 * 5, dtype=torch.int16).reshape(2, 3, 4, 5)
views = {
    "whole": whole, "tied": whole, "turned": whole.t(), "rows": whole[1:4], "columns": whole[:, 2:5], "steps": whole[::2, 1::3], "row": whole[5],
    "diagonal": whole.diagonal(), "expanded": torch.arange(5).expand(3, 5), "windows": torch.arange(10, dtype=torch.float16).unfold(0, 4, 2),
    "permuted": cube.permute(3, 1, 0, 2), "part": cube[1:, 1, ::2].transpose(1, 2), "channels": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "scalar": torch.tensor(2.5), "element": whole[3, 7], "empty": torch.empty(0, 4), "none": whole[:, 3:3], "one": torch.ones(1, 1, 1).transpose(0, 2),
    "fp8": bits.view(torch.float8_e4m3fn)[:, 1::2],
}
save("views", views, views)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 2)
        self.norm = torch.nn.BatchNorm1d(2)
        self.layer.weight.tag = "an attribute"
        self.register_buffer("position_ids", torch.arange(4).expand((1, -1)))
        self.buffer = torch.nn.Buffer(torch.ones(2))


net = Net()
state = net.state_dict(keep_vars=True)
for protocol in range(2, 6):
    save(f"protocol{protocol}", state, state, pickle_protocol=protocol)

# What trainers save beside weights.
optimizer = torch.optim.AdamW(net.parameters())
net.layer(torch.ones(1, 3)).sum().backward()
optimizer.step()
trainer = {
    "epoch": 3, "state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "best": torch.tensor(0.5), "loss": numpy.float64(0.25),
    "args": argparse.Namespace(lr=1e-3, device=torch.device("cpu"), dtype=torch.bfloat16, size=torch.Size([2, 3])),
    "rng_state": torch.get_rng_state()[:16], "history": numpy.arange(3), "torch": torch.torch_version.TorchVersion("2.15.0"),
    "weld.statistic": "adam_second_moment",
}
save("trainer", trainer, net.state_dict())
save("optimizer", optimizer.state_dict())
pair = {"model": {"a.b": torch.ones(2), "c": torch.zeros(1, 3)}, "ema": {"a.b": torch.full((2,), 2.0), "c": torch.ones(1, 3)}}
save("pair", pair)
want("pair.ema", pair["ema"])
want("pair.all", {f"{k}.{n}": v for k, of in pair.items() for n, v in of.items()})
save("apart", {"encoder": [{"w": torch.ones(3)}, {"w": torch.zeros(2)}], 7: {"b": torch.ones(2)}})
want("apart.all", {"encoder.0.w": torch.ones(3), "encoder.1.w": torch.zeros(2), "7.b": torch.ones(2)})

# The same archive as other programs write it: with zip64 fields, without sizes behind the data, in another order.
source = zipfile.ZipFile(f"{OUT}/protocol2.pt")
with zipfile.ZipFile(f"{OUT}/zip64.pt", "w", zipfile.ZIP_STORED) as z:
    for name in reversed(source.namelist()):
        with z.open(zipfile.ZipInfo(name), "w", force_zip64=True) as f:
            f.write(source.read(name))

# What is refused.
class Odd(torch.Tensor):
    pass


small = torch.ones(3)
save("odd-sparse", {"fine": small, "w": torch.eye(3).to_sparse()})
save("odd-csr", {"fine": small, "w": torch.eye(3).to_sparse_csr()})
save("odd-quantised", {"fine": small, "w": torch.quantize_per_channel(torch.ones(2, 3), torch.ones(2), torch.zeros(2), 0, torch.qint8)})
save("odd-meta", {"fine": small, "w": torch.empty(3, device="meta")})
save("odd-conjugate", {"fine": small, "w": torch.ones(2, dtype=torch.complex64).conj()})
save("odd-complex128", {"fine": small, "w": torch.ones(2, dtype=torch.complex128)})
save("odd-complex32", {"fine": small, "w": torch.ones(2, dtype=torch.complex32)})
save("odd-nested", {"fine": small, "w": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])})
save("odd-array", {"fine": small, "w": numpy.ones(3)})
save("forbidden-subclass", {"fine": small, "w": small.as_subclass(Odd)})
save("forbidden-module", net)
save("forbidden-function", {"w": small, "run": os.getcwd})
save("old", {"w": small}, _use_new_zipfile_serialization=False)
torch.serialization.set_crc32_options(False)
torch.save({"w": torch.arange(6.0)}, f"{OUT}/unsummed.pt")
torch.serialization.set_crc32_options(True)
torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), f"{OUT}/script.pt")
save("tensor", small)
save("list", [1, 2])
with zipfile.ZipFile(f"{OUT}/big.pt", "w") as z:
    for name in source.namelist():
        z.writestr(name, b"big" if name.endswith("byteorder") else source.read(name))

# Folders: shards with an index, and a model in two parts as Llama 2 and Llama 3 are released.
os.makedirs(f"{OUT}/sharded")
shards = {"pytorch_model-00001-of-00002.bin": {"a": torch.ones(2, 3), "b": torch.arange(3)}, "pytorch_model-00002-of-00002.bin": {"c": torch.zeros(4).bfloat16()}}
for name, tensors in shards.items():
    torch.save(tensors, f"{OUT}/sharded/{name}")
with open(f"{OUT}/sharded/pytorch_model.bin.index.json", "w") as f:
    json.dump({"metadata": {"total_size": 56}, "weight_map": {k: name for name, tensors in shards.items() for k in tensors}}, f)
want("sharded", {k: v for tensors in shards.values() for k, v in tensors.items()})

dim, heads, kv, hidden, vocab = 8, 4, 2, 12, 10
llama = {
    "tok_embeddings.weight": (vocab, dim), "norm.weight": (dim,), "output.weight": (vocab, dim), "rope.freqs": (1,),
    "layers.0.attention.wq.weight": (dim, dim), "layers.0.attention.wk.weight": (kv * 2, dim), "layers.0.attention.wv.weight": (kv * 2, dim),
    "layers.0.attention.wo.weight": (dim, dim), "layers.0.feed_forward.w1.weight": (hidden, dim), "layers.0.feed_forward.w2.weight": (dim, hidden),
    "layers.0.feed_forward.w3.weight": (hidden, dim), "layers.0.attention_norm.weight": (dim,), "layers.0.ffn_norm.weight": (dim,),
}
llama = {k: torch.randn(shape).bfloat16() for k, shape in llama.items()}
columns = {"layers.0.attention.wo.weight", "layers.0.feed_forward.w2.weight"}  # RowParallelLinear; ParallelEmbedding in Llama 2
for release, split in (("llama2", columns | {"tok_embeddings.weight"}), ("llama3", columns)):
    os.makedirs(f"{OUT}/{release}")
    for rank in range(2):
        part = {k: v if v.ndim == 1 else v.chunk(2, dim=1 if k in split else 0)[rank].clone() for k, v in llama.items()}
        torch.save(part, f"{OUT}/{release}/consolidated.{rank:02d}.pth")
    with open(f"{OUT}/{release}/params.json", "w") as f:
        json.dump({"dim": dim, "n_heads": heads, "n_kv_heads": kv, "n_layers": 1, "vocab_size": -1 if release == "llama2" else vocab}, f)
want("llama", llama)
