"""Measures importance beside a plain pass: time, and peak resident memory.

    python importance.py DIR --weld ./weld [--layers 8 32 128] [--width 512] [--samples 2] [--length 32] [--threads 1]

DIR gets random Llamas in float32, of one width and of each number of layers. Both sides measure mean |g| of as many samples of tokens at random: weld layer by layer, the plain
pass with the whole model and its gradient in memory, as the script of docs/importance.md does. Each is a process of its own, start-up of torch included. Needs torch, transformers 5
and safetensors, in the Python that this runs in.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import time

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


def made(directory, width, layers):
    if directory.exists():
        return
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=1024, hidden_size=width, intermediate_size=8 * width // 3, num_hidden_layers=layers, num_attention_heads=8, num_key_value_heads=8)
    LlamaForCausalLM(config).save_pretrained(directory)


def timed(command, threads):
    """Wall seconds, processor seconds, peak resident megabytes of a process and of those that it waited for."""
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, command))}: status {status}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1000


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("--weld", type=pathlib.Path, required=True)
    p.add_argument("--layers", type=int, nargs="+", default=[8, 32, 128])
    p.add_argument("--width", type=int, default=512)
    p.add_argument("--samples", type=int, default=2)
    p.add_argument("--length", type=int, default=32)
    p.add_argument("--threads", type=int, default=1)
    a = p.parse_args()
    a.dir.mkdir(parents=True, exist_ok=True)
    print(f"{'layers':>6} {'':6} {'wall s':>7} {'processor s':>11} {'peak MB':>8}")
    for layers in a.layers:
        model, out = a.dir / f"llama-{layers}", a.dir / "importance.safetensors"
        made(model, a.width, layers)
        weld = [a.weld.resolve(), "importance", "-q", "--force", "--threads", a.threads, "--python", sys.executable, "--samples", a.samples, "--length", a.length, model, out]
        plain = [sys.executable, "-c", PLAIN, model, out, a.samples, a.length]
        for name, command in ("weld", weld), ("plain", plain):
            seconds, processor, peak = timed(command, a.threads)
            print(f"{layers:6} {name:6} {seconds:7.1f} {processor:11.1f} {peak:8.0f}", flush=True)
        out.unlink()
    shutil.rmtree(a.dir)


if __name__ == "__main__":
    main()
