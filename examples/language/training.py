"""Fine-tunes and held-out loss, with torch on the CPU."""

import json
import time

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

BATCH = 2

torch.set_float32_matmul_precision("medium")  # products in bfloat16 where the processor has them, sums in float32


def loaded(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)


def batches(windows, size):
    return [torch.tensor(windows[at : at + size]) for at in range(0, len(windows), size)]


def fine_tuned(base, windows, rate, out):
    """Trains base on windows, once over, at a rate that rises and falls; out gets the model in bfloat16, out.pt the optimizer. Returns the seconds."""
    start = time.perf_counter()
    model = loaded(base).train()
    optimizer = torch.optim.AdamW(model.named_parameters(), lr=rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    steps = batches(windows, BATCH)
    for i, ids in enumerate(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1, (i + 1) / 5, (len(steps) - i) / (0.4 * len(steps)))
        model(input_ids=ids, labels=ids).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    torch.save({"optimizer": optimizer.state_dict()}, f"{out}.pt")
    model.to(torch.bfloat16).save_pretrained(out)
    return time.perf_counter() - start


class HeldOut:
    """Mean loss, in nats per token, of a checkpoint on each domain's held-out windows."""

    def __init__(self, base, domains):
        self.model = loaded(base).eval()
        self.domains = domains

    def loss(self, checkpoint):
        weights = {name: t.float() for name, t in load_file(checkpoint).items()}
        missing, unexpected = self.model.load_state_dict(weights, strict=False)
        tied = set(self.model.all_tied_weights_keys)
        if unexpected or set(missing) - tied:
            raise SystemExit(f"{checkpoint}: lacks {missing}, has besides {unexpected}")
        with torch.no_grad():
            return {name: self.mean(batches(parts["held"], 4)) for name, parts in self.domains.items()}

    def mean(self, inputs):
        return sum(self.model(input_ids=ids, labels=ids).loss.item() * len(ids) for ids in inputs) / sum(map(len, inputs))


def write_rows(windows, path):
    """The windows as what weld importance reads."""
    path.write_text("".join(json.dumps({"input_ids": ids}) + "\n" for ids in windows))
