"""Writes the goldens of format/moments: what optimizers leave, and the second moments that they have in memory.

    python .ci/interop/moments_golden.py format/moments/testdata

Needs torch 2.15, transformers 5.23, accelerate 1.15 and safetensors. Models of some hundred parameters are trained for a few steps by the Trainer
of transformers. What is wanted is read from the optimizer's memory, by the identity of parameters, corrected for its bias as Adam's update
does; of Adafactor it is the product of the factors in float64.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

transformers.logging.set_verbosity_error()

SIZES = dict(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, head_dim=4, max_position_embeddings=16)


class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, i):
        ids = torch.randint(0, 16, (6,), generator=torch.Generator().manual_seed(i))
        return {"input_ids": ids, "labels": ids}


def second_moment(state, group):
    """What Adam divides by, before the root, or Adafactor's product."""
    if "exp_avg_sq_row" in state:
        r, c = state["exp_avg_sq_row"].double(), state["exp_avg_sq_col"].double()
        return (r.unsqueeze(-1) * c.unsqueeze(-2) / r.mean(dim=-1, keepdim=True).unsqueeze(-1)).float()
    v = state["exp_avg_sq"]
    if "betas" not in group:
        return v.clone()
    return (v.double() / (1 - group["betas"][1] ** float(state["step"]))).float()


def train(place, name, config, steps=3, **args):
    torch.manual_seed(len(name))
    model = transformers.AutoModelForCausalLM.from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        trainer = transformers.Trainer(
            model=model, train_dataset=Data(),
            args=transformers.TrainingArguments(output_dir=folder, max_steps=steps, save_steps=steps, per_device_train_batch_size=2, learning_rate=1e-2, report_to=[], use_cpu=True, disable_tqdm=True, weight_decay=0.1, **args))
        trainer.train()
        saved, out = Path(folder) / f"checkpoint-{steps}", place / name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        for file in ("optimizer.pt", "model.safetensors", "config.json"):
            shutil.copy(saved / file, out / file)
        optimizer = trainer.optimizer
        while hasattr(optimizer, "optimizer"):
            optimizer = optimizer.optimizer
        groups = {id(p): g for g in optimizer.param_groups for p in g["params"]}
        want = {n: second_moment(optimizer.state[p], groups[id(p)]) for n, p in model.named_parameters() if p in optimizer.state}
        save_file(want, place / f"{name}.want.safetensors")


def by_names(place):
    """A file of a loop of one's own: model and optimizer together, with the names of parameters; one of them was never stepped."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LayerNorm(4), torch.nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.named_parameters(), betas=(0.8, 0.95))
    model[2].bias.requires_grad_(False)
    for i in range(4):
        optimizer.zero_grad()
        model(torch.randn(5, 3, generator=torch.Generator().manual_seed(i))).square().sum().backward()
        optimizer.step()
    want = {n: second_moment(optimizer.state[p], optimizer.param_groups[0]) for n, p in model.named_parameters() if p in optimizer.state}
    torch.save({"step": 4, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, place / "own.pt")
    save_file(want, place / "own.want.safetensors")


def eight_bits(place):
    """State of bitsandbytes: codes of blocks of 256, as its functional.quantize_blockwise lays them out, with the names that FSDP gives them."""
    rng = np.random.default_rng(3)
    state, want = {}, {}
    for name, shape in (("a.weight", (70, 9)), ("b.weight", (16, 16))):
        n = int(np.prod(shape))
        codes, table = rng.integers(0, 256, n).astype(np.uint8), np.sort(rng.random(256)).astype(np.float32)
        largest = rng.random((n + 255) // 256).astype(np.float32)
        v = (table[codes] * np.repeat(largest, 256)[:n]).astype(np.float32)
        state[name] = {"step": torch.tensor(5.0), "state1": torch.zeros(shape, dtype=torch.uint8), "state2": torch.from_numpy(codes.reshape(shape)),
                       "absmax1": torch.zeros(len(largest)), "absmax2": torch.from_numpy(largest), "qmap1": torch.zeros(256), "qmap2": torch.from_numpy(table)}
        want[name] = torch.from_numpy((v.astype(np.float64) / (1 - 0.999**5)).astype(np.float32).reshape(shape))
    small = torch.rand(5)  # too small for codes
    state["b.bias"] = {"step": torch.tensor(5.0), "state1": torch.zeros(5), "state2": small}
    want["b.bias"] = (small.double() / (1 - 0.999**5)).float()
    torch.save({"state": state, "param_groups": [{"params": list(state), "betas": (0.9, 0.999), "lr": 1e-3}]}, place / "bits.pt")
    save_file(want, place / "bits.want.safetensors")


def of_torch(place):
    """Every optimizer of torch.optim that keeps second moments, in one file: a small network each, with a convolution for Adafactor; and their means in
    float64: Adagrad's sums less what they began with over the steps, RMSprop's and Adadelta's corrected as Adam's are, Adafactor's product without the
    clamp that its update has."""
    makers = {
        "rmsprop": lambda p: torch.optim.RMSprop(p, alpha=0.9, momentum=0.5, centered=True),
        "adadelta": lambda p: torch.optim.Adadelta(p, rho=0.8),
        "adagrad": lambda p: torch.optim.Adagrad(p, initial_accumulator_value=0.1),
        "adafactor": lambda p: torch.optim.Adafactor(p),
        "amsgrad": lambda p: torch.optim.AdamW(p, amsgrad=True, betas=(0.9, 0.9)),
        "nadam": lambda p: torch.optim.NAdam(p, betas=(0.9, 0.95)),
        "radam": lambda p: torch.optim.RAdam(p, betas=(0.9, 0.95)),
        "adamax": lambda p: torch.optim.Adamax(p),
        "rprop": lambda p: torch.optim.Rprop(p),
        "asgd": lambda p: torch.optim.ASGD(p),
        "muon": lambda p: torch.optim.Muon([x for x in p if x[1].ndim == 2]),
    }
    saved, want = {}, {}
    for kind, make in makers.items():
        torch.manual_seed(2)
        model = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 2), torch.nn.Flatten(), torch.nn.Linear(6, 4), torch.nn.Linear(4, 2))
        optimizer = make(list(model.named_parameters()))
        model[3].bias.requires_grad_(False)  # Adagrad keeps a state of it nevertheless
        for i in range(4):
            optimizer.zero_grad()
            model(torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(i))).square().sum().backward()
            optimizer.step()
        group = optimizer.param_groups[0]
        for n, p in model.named_parameters():
            state = optimizer.state.get(p, {})
            steps = float(state.get("step", 0))
            if not steps:
                continue
            v = None
            if "exp_avg_sq" in state:
                v = state["exp_avg_sq"].double() / (1 - group["betas"][1] ** steps)
            elif "square_avg" in state:
                v = state["square_avg"].double() / (1 - group["alpha" if "alpha" in group else "rho"] ** steps)
            elif "sum" in state:
                v = (state["sum"].double() - torch.tensor(0.1).double()) / steps
            elif "row_var" in state:
                r, c = state["row_var"].double(), state["col_var"].double()
                v = r @ c / r.mean(dim=-2, keepdim=True)
            elif "variance" in state:
                v = state["variance"]
            if v is not None:
                want[f"{kind}/{n}"] = v.float().contiguous()
        saved[kind] = optimizer.state_dict()
    torch.save(saved, place / "torch.pt")
    save_file(want, place / "torch.want.safetensors")


def others(place):
    """An optimizer without second moments, one that has them of a few parameters alone, and steps as torch before 1.12 had them."""
    keys = {"params": [0, 1], "betas": (0.9, 0.99), "param_names": ["a", "b"]}
    momentum, v = torch.ones(4), torch.full((4,), 0.25)
    torch.save({"state": {0: {"momentum_buffer": momentum}, 1: {"momentum_buffer": momentum}}, "param_groups": [keys]}, place / "sgd.pt")
    torch.save({"state": {0: {"momentum_buffer": momentum}, 1: {"step": 2, "exp_avg": momentum, "exp_avg_sq": v}}, "param_groups": [keys]}, place / "muon.pt")
    save_file({"b": (v.double() / (1 - 0.99**2)).float()}, place / "muon.want.safetensors")
    torch.save({"state": {0: {"step": 0, "exp_avg_sq": v}}, "param_groups": [keys]}, place / "unstepped.pt")


def main():
    place = Path(sys.argv[1])
    train(place, "llama", transformers.LlamaConfig(**SIZES, tie_word_embeddings=True))
    train(place, "qwen2", transformers.Qwen2Config(**SIZES, layer_types=["full_attention"] * 2))
    train(place, "gpt2", transformers.GPT2Config(vocab_size=16, n_embd=8, n_layer=2, n_head=2, n_positions=16))
    train(place, "adafactor", transformers.Gemma2Config(**SIZES, layer_types=["full_attention"] * 2), optim="adafactor")
    by_names(place)
    eight_bits(place)
    of_torch(place)
    others(place)


main()
