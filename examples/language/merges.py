"""The rows of the table: what weld is asked for. Nothing is tuned on the held-out texts, except where a row says "best"."""


class Merge:
    """A merge of all fine-tunes: a label, flags of weld merge, and which importance files it takes.

    files: None; "optimizer"; or STATISTIC at "base", "own" (the fine-tune) or "random" (the fine-tune, tokens at random).
    sweep: weld writes one output for each value. others: their weight, where the first domain's is -1.
    """

    def __init__(self, label, flags, files=None, sweep=None, base=True, others=None):
        self.label, self.flags, self.files, self.sweep, self.base, self.others = label, flags.split(), files, sweep, base, others


ABS, SQ = "mean_abs_grad", "mean_sq_grad"

MERGES = [
    Merge("linear", "--method linear", base=False),
    Merge("task arithmetic", "--method task_arithmetic", sweep="lambda=0.3,0.4,0.5,0.6,0.7,1"),
    Merge("ties 0.5", "--method ties --density 0.5 --lambda 1"),
    Merge("dare_linear 0.5, λ 0.3", "--method dare_linear --density 0.5 --lambda 0.3"),
    Merge("random mask 0.2", "--method dare_linear --density 0.2 --lambda 1 --rescale=false"),
    Merge("sce 0.1", "--method sce --select-topk 0.1"),
    Merge("fisher", "--method fisher", (SQ, "own")),
    Merge("sta paper", "--method sta --preset paper", (ABS, "own"), sweep="density=0.1,0.2,0.4"),
    Merge("sta delta", "--method sta --preset paper --score delta", (ABS, "own"), sweep="density=0.1,0.2,0.4"),
    Merge("sta delta, at the base", "--method sta --preset paper --score delta", (ABS, "base"), sweep="density=0.2"),
    Merge("sta magnitude", "--method sta --preset paper --score magnitude", sweep="density=0.1,0.2,0.4"),
    Merge("sta contrast", "--method sta --preset paper --contrast", (ABS, "own"), sweep="density=0.2,0.4,0.6"),
    Merge("sta contrast, optimizer", "--method sta --preset paper --contrast", "optimizer", sweep="density=0.2,0.4,0.6"),
    Merge("sta contrast delta, optimizer", "--method sta --preset paper --contrast --score delta", "optimizer", sweep="density=0.2,0.4,0.6"),
    Merge("sta contrast delta", "--method sta --preset paper --contrast --score delta", (ABS, "own"), sweep="density=0.2,0.4,0.6"),
    Merge("sta contrast delta, at the base", "--method sta --preset paper --contrast --score delta", (ABS, "base"), sweep="density=0.2,0.4,0.6"),
    Merge("sta contrast magnitude", "--method sta --preset paper --contrast --score magnitude", sweep="density=0.2,0.4,0.6"),
    Merge("sta delta, ties, optimizer", "--method sta --preset paper --score delta --consensus ties", "optimizer", sweep="density=0.2,0.4"),
    Merge("sta delta, mean, optimizer", "--method sta --score delta --combine mean", "optimizer", sweep="density=0.1,0.2,0.4"),
    Merge("sta magnitude, mean", "--method sta --score magnitude --combine mean", sweep="density=0.1,0.2,0.4"),
    Merge("sta delta, importance, optimizer", "--method sta --score delta --combine importance", "optimizer", sweep="density=0.2,0.4"),
    Merge("sta delta, importance", "--method sta --score delta --combine importance", (ABS, "own"), sweep="density=0.2"),
    Merge("sta delta, importance, at the base", "--method sta --score delta --combine importance", (ABS, "base"), sweep="density=0.2"),
    Merge("sta magnitude, importance", "--method sta --score magnitude --combine importance", sweep="density=0.2"),
    Merge("sta fisher, importance, optimizer", "--method sta --score fisher --combine importance", "optimizer", sweep="density=0.2,0.4"),
    Merge("sta fisher, importance, ties, optimizer", "--method sta --score fisher --combine importance --consensus ties --density 1", "optimizer"),
    Merge("sta contrast fisher, importance, optimizer", "--method sta --score fisher --combine importance --contrast", "optimizer", sweep="density=0.4,0.6"),
    Merge("ota, optimizer", "--method ota", "optimizer"),
    Merge("preset weighted, at the base", "--method sta --preset weighted", (SQ, "base")),
    Merge("preset weighted, optimizer", "--method sta --preset weighted", "optimizer"),
    Merge("preset weighted, own", "--method sta --preset weighted", (SQ, "own")),
    Merge("preset weighted, tokens at random", "--method sta --preset weighted", (SQ, "random")),
    Merge("preset weighted by magnitude, no files", "--method sta --preset weighted --score magnitude"),
]

# The task to forget is the first domain: its fine-tune with a negative weight, on the base. The others say with weight 0 what is to be kept.
FORGET = [
    Merge("forget: task arithmetic", "--method task_arithmetic --weight -1", sweep="lambda=0.3,0.6,1"),
    Merge("forget: sta paper", "--method sta --preset paper --weight -1", (ABS, "own"), sweep="lambda=0.3,0.6,1"),
    Merge("forget: sta delta 0.3, optimizer", "--method sta --score delta --density 0.3 --weight -1", "optimizer", sweep="lambda=0.3,0.6,1"),
    Merge("forget: sta contrast 0.3, optimizer", "--method sta --score delta --density 0.3 --contrast", "optimizer", sweep="lambda=0.3,0.6,1", others=0),
    Merge("forget: perta, optimizer", "--method perta", "optimizer", sweep="lambda=0.3,0.6,1", others=0),
]
