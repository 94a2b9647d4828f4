#!/usr/bin/env python3
"""Trains the networks that `weld demo` merges, and writes its embedded data.

One small multi-layer perceptron reads handwritten digits. A base, trained
on a few images under every task's transform, is fine-tuned six times, once per
task. A task shows the same ten digits through its own fixed transform
(a pixel permutation and a grey level table), so that the fine-tuned networks
share every weight and pull them in different directions.

    python train.py            train and write cmd/weld/digits/data
    python train.py --check    read the files back, merge in numpy, print a table

Everything is seeded and computed in float64; the weights are rounded to
bfloat16 before anything is measured with them.
"""

import argparse
import time
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import deserialize
from safetensors.numpy import save_file
from sklearn.datasets import load_digits

SEED = 20241125
OUT = Path(__file__).resolve().parents[2] / "cmd" / "weld" / "digits" / "data"

WIDTH = 160  # of both hidden layers
LAYERS = ("layers.0", "layers.1", "head")
CLASSES = 10
PIXEL_MAX = 16  # the data set's grey levels are 0..16

# 1797 images: the first 450 of a seeded shuffle are for testing only, the next
# 300 for every choice made in this directory, the remaining 1047 for training.
TEST_IMAGES = 450
VALIDATION_IMAGES = 300

# Chosen on the validation images; README.md says how.
BASE_IMAGES = 100
BASE_EPOCHS = 150
BASE_RATE = 5e-3
BASE_DROPOUT = 0.1  # of input pixels
TUNE_EPOCHS = 6
TUNE_RATE = 1e-3
BATCH = 32


# --- Tasks -------------------------------------------------------------------


class Task:
    """A fixed transform: input[j] = levels[image[permutation[j]]] / 16."""

    def __init__(self, permutation, levels):
        self.permutation = permutation
        self.levels = levels

    def inputs(self, images):
        """Maps uint8 images [n, 64] to float64 network inputs [n, 64] in 0..1."""
        return self.levels[images[:, self.permutation]] / PIXEL_MAX


def make_tasks(seed=SEED):
    """Returns the tasks by name, in the order in which they are merged."""
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    grey = np.arange(PIXEL_MAX + 1, dtype=np.uint8)
    rng = np.random.default_rng([seed, 1])
    return {
        "plain": Task(pixels.ravel(), grey),
        "rotated": Task(np.rot90(pixels).ravel(), grey),
        "mirrored": Task(np.fliplr(pixels).ravel(), grey),
        "inverted": Task(pixels.ravel(), grey[::-1].copy()),
        "shuffled": Task(rng.permutation(pixels.ravel()), grey),
        "scrambled": Task(rng.permutation(pixels.ravel()), grey),
    }


def split_digits(seed=SEED):
    """Returns {"test" | "validation" | "train": (images uint8 [n, 64], labels [n])}."""
    digits = load_digits()
    order = np.random.default_rng([seed, 0]).permutation(len(digits.target))
    cuts = [TEST_IMAGES, TEST_IMAGES + VALIDATION_IMAGES]
    return {
        name: (digits.data[part].astype(np.uint8), digits.target[part].astype(np.uint8))
        for name, part in zip(("test", "validation", "train"), np.split(order, cuts))
    }


# --- Network -----------------------------------------------------------------


def initial_weights(rng):
    """He-initialised weights: {"layers.0.weight": [WIDTH, 64], ...}, biases 0."""
    sizes = [64, WIDTH, WIDTH, CLASSES]
    weights = {}
    for layer, fan_in, fan_out in zip(LAYERS, sizes, sizes[1:]):
        weights[f"{layer}.weight"] = rng.normal(0, np.sqrt(2 / fan_in), (fan_out, fan_in))
        weights[f"{layer}.bias"] = np.zeros(fan_out)
    return weights


def forward(weights, x):
    """Returns what each layer is fed, then the logits: [x, h0, h1, logits]."""
    activations = [x]
    for layer in LAYERS:
        x = x @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"]
        if layer != "head":
            x = np.maximum(x, 0)
        activations.append(x)
    return activations


def backward(weights, x, labels):
    """Yields (layer, d, a) from the head down: what layer is fed is a [n, in], and
    d [n, out] is the gradient of each sample's own cross-entropy at its output.

    Sample j's gradient of the layer's weight is the outer product d[j] a[j]^T.
    """
    *fed, logits = forward(weights, x)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    d = p / p.sum(axis=1, keepdims=True) - np.eye(CLASSES)[labels]
    for layer, a in zip(reversed(LAYERS), reversed(fed)):
        yield layer, d, a
        d = (d @ weights[f"{layer}.weight"]) * (a > 0)


def accuracy(weights, x, labels):
    """The share of the inputs x whose largest logit is their label's."""
    return float(np.mean(forward(weights, x)[-1].argmax(axis=1) == labels))


def train(weights, x, labels, epochs, peak_rate, rng, dropout=0.0):
    """Adam with a rate that falls to 0 along a cosine; returns new weights.

    dropout is the share of input pixels set to 0, drawn anew for every batch.
    """
    weights = {name: w.copy() for name, w in weights.items()}
    first = {name: np.zeros_like(w) for name, w in weights.items()}
    second = {name: np.zeros_like(w) for name, w in weights.items()}
    steps = epochs * -(-len(x) // BATCH)
    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for batch in np.split(order, range(BATCH, len(x), BATCH)):
            rate = peak_rate * (1 + np.cos(np.pi * step / steps)) / 2
            step += 1
            kept = rng.random((len(batch), x.shape[1])) >= dropout
            for name, g in mean_gradient(weights, kept * x[batch], labels[batch]).items():
                first[name] += 0.1 * (g - first[name])
                second[name] += 0.001 * (g * g - second[name])
                m = first[name] / (1 - 0.9**step)
                v = second[name] / (1 - 0.999**step)
                weights[name] -= rate * m / (np.sqrt(v) + 1e-8)
    return weights


def mean_gradient(weights, x, labels):
    """The gradient of the mean loss, by tensor name."""
    return mean_over_samples(weights, x, labels, lambda values: values)


def mean_over_samples(weights, x, labels, f):
    """The mean over single samples of f(gradient), by tensor name.

    f is the identity, np.abs or np.square: each is multiplicative, so
    f(d a^T) = f(d) f(a)^T and no sample's gradient need be formed.
    """
    means = {}
    for layer, d, a in backward(weights, x, labels):
        means[f"{layer}.weight"] = f(d).T @ f(a) / len(x)
        means[f"{layer}.bias"] = f(d).mean(axis=0)
    return means


# --- Files -------------------------------------------------------------------


def rounded(tensors):
    """The tensors as their files hold them: rounded to bfloat16, in float64."""
    return {name: t.astype(ml_dtypes.bfloat16).astype(np.float64) for name, t in tensors.items()}


def write(path, tensors, metadata):
    """Writes a safetensors file. Floating tensors become bfloat16, which has the
    exponents of float32: small mean g^2 do not underflow.

    metadata has one entry, because the library writes several in random order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {
        name: t.astype(ml_dtypes.bfloat16) if t.dtype == np.float64 else np.ascontiguousarray(t)
        for name, t in tensors.items()
    }
    save_file(stored, path, metadata)


def read(path):
    """Reads a file that write wrote; bfloat16 becomes float64.

    (safetensors' own numpy loader writes bfloat16 but does not read it.)
    """
    dtypes = {"BF16": ml_dtypes.bfloat16, "U8": np.uint8}
    tensors = {}
    for name, t in sorted(deserialize(path.read_bytes())):
        values = np.frombuffer(t["data"], dtypes[t["dtype"]]).reshape(t["shape"])
        tensors[name] = values.astype(np.float64) if t["dtype"] == "BF16" else values
    return tensors


def write_test(path, tasks, images, labels):
    """Writes the test images, their labels and each task's transform."""
    tensors = {"images": images, "labels": labels}
    for name, task in tasks.items():
        tensors[f"{name}.permutation"] = task.permutation
        tensors[f"{name}.levels"] = task.levels
    write(path, tensors, {"tasks": ",".join(tasks)})


def train_base(tasks, images, labels, seed):
    """Trains the base on a few images, each seen under every task's transform."""
    rng = np.random.default_rng([seed, 2])
    x = np.concatenate([task.inputs(images[:BASE_IMAGES]) for task in tasks.values()])
    y = np.tile(labels[:BASE_IMAGES], len(tasks))
    return rounded(train(initial_weights(rng), x, y, BASE_EPOCHS, BASE_RATE, rng, BASE_DROPOUT))


def fine_tune(base, x, labels, seed, index):
    """Trains the base further on one task's inputs."""
    rng = np.random.default_rng([seed, 3, index])
    return rounded(train(base, x, labels, TUNE_EPOCHS, TUNE_RATE, rng))


def write_everything(out, seed=SEED):
    """Trains all networks and writes every file under out."""
    tasks, split = make_tasks(seed), split_digits(seed)
    images, labels = split["train"]
    write_test(out / "test.safetensors", tasks, *split["test"])

    base = train_base(tasks, images, labels, seed)
    write(out / "base" / "model.safetensors", base, {"format": "pt"})
    for index, (name, task) in enumerate(tasks.items()):
        x = task.inputs(images)
        tuned = fine_tune(base, x, labels, seed, index)
        write(out / name / "model.safetensors", tuned, {"format": "pt"})
        write(
            out / name / "importance_mean_abs.safetensors",
            mean_over_samples(tuned, x, labels, np.abs),
            {"weld.statistic": "mean_abs_grad"},
        )
        write(
            out / name / "importance_mean_sq_base.safetensors",
            mean_over_samples(base, x, labels, np.square),
            {"weld.statistic": "mean_sq_grad"},
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="evaluate the files instead of writing them")
    parser.add_argument("--out", type=Path, default=OUT, help="directory of the files (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=SEED, help="another one needs its own --out")
    args = parser.parse_args()
    if args.check:
        from check import print_tables

        print_tables(args.out, args.seed)
        return
    start = time.monotonic()
    write_everything(args.out, args.seed)
    print(f"wrote {args.out} in {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
