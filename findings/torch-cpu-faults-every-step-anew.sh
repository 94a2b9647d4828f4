#!/usr/bin/env bash
# Guess:  torch keeps what tensors on the CPU leave behind and gives it to the next ones, as it does on a GPU: after the first steps a loop of equal
#         steps takes no new memory from the system.
# True:   CPU tensors are plain allocations. glibc maps each large one by itself and unmaps it when it is freed, so that every step has all of its
#         activations and gradients cleared by the kernel and faulted in again, page by page. Two settings of glibc's have it keep them.
# With:   torch 2.15.0, glibc 2.36.
# Seen:   faults in ten steps after twenty: as it is 491551, with both settings 1
# Matters: training and measuring on processors spend that time in the kernel. weld importance sets both for the program that it starts, unless the user has set any, and gives
#         freed memory back every so many layers, since a heap that is never trimmed grows by fragments.
set -euo pipefail
. "$(dirname "$0")/venv" torch==2.15.0 numpy
faults() {
	"$python" - <<'PY' 2> /dev/null
import resource
import torch

torch.set_num_threads(1)
x, w = torch.ones(4096, 4096), torch.ones(4096, 4096, requires_grad=True)  # 64 MiB each

def steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        (torch.relu(x) * w).sum().backward()
        w.grad = None
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

steps()
steps()
print(steps())
PY
}
plain=$(faults) kept=$(MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592 faults)
echo "faults in ten steps after twenty: as it is $plain, with both settings $kept"
((plain > 20 * (kept + 100)))
