"""Evaluates and merges the demo's networks in numpy, as a reference for weld.

The formulas are those of Selective Task Arithmetic (arXiv 2411.16139) as weld
states them, written for whole tensors in float64 and without regard to speed.
Every lambda is chosen on the validation images; every figure printed is measured
on the test images.
"""

import numpy as np

from train import Task, accuracy, make_tasks, read, split_digits

LAMBDAS = [round(0.1 * i, 1) for i in range(1, 11)]
FORGET_LAMBDAS = [round(0.05 * i, 2) for i in range(1, 101)]
FORGET_BUDGET = 0.03  # of the other tasks' mean accuracy


class Demo:
    """The files of the demo, and the images to measure with."""

    def __init__(self, root, seed):
        test = read(root / "test.safetensors")
        validation_images, validation_labels = split_digits(seed)["validation"]
        self.names = list(make_tasks())
        self.sets = {"test": {}, "validation": {}}
        for name in self.names:
            task = Task(test[f"{name}.permutation"], test[f"{name}.levels"])
            self.sets["test"][name] = task.inputs(test["images"]), test["labels"]
            self.sets["validation"][name] = task.inputs(validation_images), validation_labels

        self.base = read(root / "base" / "model.safetensors")
        self.models, self.abs_tuned, self.sq_base = (
            {name: read(root / name / f"{file}.safetensors") for name in self.names}
            for file in ("model", "importance_mean_abs", "importance_mean_sq_base")
        )
        self.deltas = {
            name: {k: model[k] - self.base[k] for k in self.base} for name, model in self.models.items()
        }

    def accuracies(self, weights, which="test"):
        """The accuracy on every task, in the order of names."""
        return np.array([accuracy(weights, *self.sets[which][name]) for name in self.names])

    def add(self, direction, scale=1.0):
        """The base plus scale times direction."""
        return {k: w + scale * direction[k] for k, w in self.base.items()}

    def best_scale(self, direction):
        """The scale in LAMBDAS that is best on the validation images."""
        means = [self.accuracies(self.add(direction, s), "validation").mean() for s in LAMBDAS]
        return LAMBDAS[int(np.argmax(means))]


# --- Selective Task Arithmetic -----------------------------------------------


def normalized(score):
    """Each tensor's score divided by its mean; 0 where that mean is 0."""
    return {k: s / s.mean() if s.mean() > 0 else np.zeros_like(s) for k, s in score.items()}


def keep_highest(score, density):
    """Masks of the share density of all elements of one model; ties are kept."""
    everything = np.concatenate([s.ravel() for s in score.values()])
    k = int(np.ceil(density * everything.size))
    threshold = np.partition(everything, -k)[-k]
    return {name: (s >= threshold) & (s > 0) for name, s in score.items()}


def sum_of(directions):
    """The elementwise sum of task vectors."""
    return {k: sum(d[k] for d in directions) for k in directions[0]}


def task_vector_sum(demo):
    """Plain task arithmetic: the sum of all deltas."""
    return sum_of(list(demo.deltas.values()))


def selected_sum(demo, density=0.2):
    """preset paper: score |theta| mean|g|, mean-normalised, the highest fifth kept."""
    parts = []
    for name in demo.names:
        model, a = demo.models[name], demo.abs_tuned[name]
        mask = keep_highest(normalized({k: np.abs(model[k]) * a[k] for k in model}), density)
        parts.append({k: mask[k] * d for k, d in demo.deltas[name].items()})
    return sum_of(parts)


def mean_by_score(demo, scores, density):
    """sum s delta / sum s over the models that keep an element; 0 where none does."""
    above = {k: np.zeros_like(w) for k, w in demo.base.items()}
    below = {k: np.zeros_like(w) for k, w in demo.base.items()}
    for name in demo.names:
        mask = keep_highest(scores[name], density)
        for k, d in demo.deltas[name].items():
            above[k] += mask[k] * scores[name][k] * d
            below[k] += mask[k] * scores[name][k]
    return {k: np.divide(above[k], b, out=np.zeros_like(b), where=b > 0) for k, b in below.items()}


def selected_mean(demo, density=0.2):
    """The defaults: score |delta| mean|g|, mean-normalised; the highest fifth kept, and weighted by it."""
    scores = {name: normalized({k: np.abs(d) * demo.abs_tuned[name][k] for k, d in demo.deltas[name].items()}) for name in demo.names}
    return mean_by_score(demo, scores, density)


def weighted_mean(demo):
    """preset weighted: all elements, weighted by s = delta^2 mean g^2."""
    scores = {name: normalized({k: d * d * demo.sq_base[name][k] for k, d in demo.deltas[name].items()}) for name in demo.names}
    return mean_by_score(demo, scores, 1)


def random_sum(demo, density=0.3, seed=0):
    """For comparison: each task vector under a random mask, not rescaled."""
    rng = np.random.default_rng(seed)
    return sum_of(
        [{k: d * (rng.random(d.shape) < density) for k, d in delta.items()} for delta in demo.deltas.values()]
    )


# --- Forgetting --------------------------------------------------------------


def delta_score(demo, name):
    """score delta with gradients at the base: |delta| sqrt(mean g^2), normalised."""
    delta, square = demo.deltas[name], demo.sq_base[name]
    return normalized({k: np.abs(d) * np.sqrt(square[k]) for k, d in delta.items()})


def forget_plain(demo, name):
    """The negated task vector."""
    return {k: -d for k, d in demo.deltas[name].items()}


def forget_selected(demo, name, density=0.3):
    """The negated task vector where it matters most to the task itself."""
    mask = keep_highest(delta_score(demo, name), density)
    return {k: -d * mask[k] for k, d in demo.deltas[name].items()}


def forget_contrast(demo, name, density=0.3):
    """The same, where it matters to the task and not to the others."""
    own = delta_score(demo, name)
    others = [delta_score(demo, other) for other in demo.names if other != name]
    score = {k: s / (np.mean([o[k] for o in others], axis=0) + 0.1) for k, s in own.items()}
    mask = keep_highest(score, density)
    return {k: -d * mask[k] for k, d in demo.deltas[name].items()}


def forget(demo, index, direction):
    """Goes along direction as far as the other tasks' mean on the validation images
    allows; returns lambda, the target's test accuracy and the others' mean."""
    others = np.arange(len(demo.names)) != index
    floor = demo.accuracies(demo.base, "validation")[others].mean() - FORGET_BUDGET
    chosen, lowest = 0.0, np.inf
    for scale in FORGET_LAMBDAS:
        a = demo.accuracies(demo.add(direction, scale), "validation")
        if a[others].mean() >= floor and a[index] < lowest:
            chosen, lowest = scale, a[index]
    a = demo.accuracies(demo.add(direction, chosen))
    return chosen, a[index], a[others].mean()


# --- Tables ------------------------------------------------------------------


def print_row(label, values):
    print(f"{label:<36}" + "".join(f"{100 * v:>10.1f}" for v in values))


def print_models(demo):
    print("\nTest accuracy (%), one column per task")
    print(f"{'':<36}" + "".join(f"{name:>10}" for name in [*demo.names, "mean"]))
    base = demo.accuracies(demo.base)
    print_row("base", [*base, base.mean()])
    own = []
    for index, name in enumerate(demo.names):
        a = demo.accuracies(demo.models[name])
        own.append(a[index])
        print_row(f"fine-tuned on {name}", [*a, a.mean()])
    print_row("each on its own task", [*own, np.mean(own)])


def print_merges(demo):
    print("\nMerged, test accuracy (%); the second lambda is the best of 0.1..1.0 on the validation images")
    print(f"{'':<36}" + "".join(f"{name:>10}" for name in [*demo.names, "mean"]))
    plain = task_vector_sum(demo)
    rows = [("linear average", plain, 1 / len(demo.names))]
    for label, direction in (
        ("task arithmetic", plain),
        ("random mask, density 0.3", random_sum(demo)),
        ("STA, preset paper", selected_sum(demo)),
        ("STA, defaults", selected_mean(demo)),
        ("STA, preset weighted", weighted_mean(demo)),
    ):
        rows.append((f"{label}, lambda 1", direction, 1.0))
        best = demo.best_scale(direction)
        rows.append((f"{label}, lambda {best}", direction, best))
    for label, direction, scale in rows:
        a = demo.accuracies(demo.add(direction, scale))
        print_row(label, [*a, a.mean()])


def print_forgetting(demo):
    base = demo.accuracies(demo.base)
    print("\nForgetting from the base, lambda by validation", end=" ")
    print(f"(others lose at most {100 * FORGET_BUDGET:.0f} points)")
    print("test accuracy (%) of the target / mean of the others, lambda")
    methods = (("plain", forget_plain), ("delta 0.3", forget_selected), ("contrast 0.3", forget_contrast))
    print(f"{'target':<12}{'base':>18}" + "".join(f"{label:>22}" for label, _ in methods))
    totals = np.zeros((len(methods) + 1, 2))
    for index, name in enumerate(demo.names):
        rest = np.delete(base, index).mean()
        totals[0] += base[index], rest
        line = f"{name:<12}{100 * base[index]:>9.1f} / {100 * rest:<6.1f}"
        for row, (_, method) in enumerate(methods, 1):
            scale, target, others = forget(demo, index, method(demo, name))
            totals[row] += target, others
            line += f"{100 * target:>9.1f} / {100 * others:<4.1f}{scale:>6.2f}"
        print(line)
    totals *= 100 / len(demo.names)
    print(f"{'mean':<12}" + "".join(f"{t:>9.1f} / {o:<4.1f}      " for t, o in totals))


def print_tables(root, seed):
    """Prints what the networks under root do, alone and merged."""
    demo = Demo(root, seed)
    print_models(demo)
    print_merges(demo)
    print_forgetting(demo)
