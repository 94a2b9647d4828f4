"""Measures importance beside a plain pass: time, and peak resident memory.

    python importance.py DIR --weld ./weld [--layers 8 32 128] [--width 512] [--samples 2] [--length 32] [--threads 1] [--rounds 1]

DIR gets random Llamas in float32, of one width and of each number of layers, unless they are there. Both sides measure mean |g| of as many samples of tokens at random: weld layer by layer, the plain
pass with the whole model and its gradient in memory, as the script of docs/importance.md does. Each is a process of its own, start-up of torch included, with the settings of malloc that weld gives its Python. Of several rounds, in which the two take turns, the least times and the
largest peaks count. Needs torch, transformers 5 and safetensors, in the Python that this runs in.
"""

import argparse
import os
import pathlib
import sys

from process import run

MAKE = """
import sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
directory, width, layers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(0)
config = LlamaConfig(vocab_size=1024, hidden_size=width, intermediate_size=8 * width // 3, num_hidden_layers=layers, num_attention_heads=8, num_key_value_heads=8)
LlamaForCausalLM(config).save_pretrained(directory)
"""

PLAIN = """
import sys, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM
model, out, samples, length = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
model = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
sums = {name: torch.zeros_like(p) for name, p in model.named_parameters()}
for _ in range(samples):
    ids = torch.randint(model.config.vocab_size, (1, length))
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    for name, p in model.named_parameters():
        sums[name] += p.grad.abs()
save_file({name: x / samples for name, x in sums.items()}, out)
"""

MALLOC = {"MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TRIM_THRESHOLD_": "8589934592"}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("--weld", type=pathlib.Path, required=True)
    p.add_argument("--layers", type=int, nargs="+", default=[8, 32, 128])
    p.add_argument("--width", type=int, default=512)
    p.add_argument("--samples", type=int, default=2)
    p.add_argument("--length", type=int, default=32)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=1)
    a = p.parse_args()
    environment = os.environ | MALLOC | {"OMP_NUM_THREADS": str(a.threads), "HF_HUB_OFFLINE": "1"}
    a.dir.mkdir(parents=True, exist_ok=True)
    print(f"{'layers':>6} {'':6} {'wall s':>7} {'processor s':>11} {'peak MiB':>8}")
    for layers in a.layers:
        model, out = a.dir / f"llama-{layers}", a.dir / "importance.safetensors"
        if not model.exists():
            run([sys.executable, "-c", MAKE, model, a.width, layers], environment)
        weld = [a.weld.resolve(), "importance", "-q", "--force", "--threads", a.threads, "--python", sys.executable, "--samples", a.samples, "--length", a.length, model, out]
        plain = [sys.executable, "-c", PLAIN, model, out, a.samples, a.length]
        took = [(run(weld, environment), run(plain, environment)) for _ in range(a.rounds)]
        for name, runs in zip(("weld", "plain"), zip(*took)):
            print(f"{layers:6} {name:6} {min(r.seconds for r in runs):7.1f} {min(r.processor for r in runs):11.1f} {max(r.peak for r in runs):8.0f}", flush=True)
        out.unlink()


if __name__ == "__main__":
    main()
