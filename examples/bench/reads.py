"""How much of a merge's inputs is read more than once, where the page cache does not hold them.

    weld bench DIR --size 1.1GB --models 2 --rounds 1 --case linear --keep
    python reads.py DIR --weld ./weld [--beside OTHER-BUILD] --limit 1500MB --method linear,ties,sce,sta

Each merge runs in a memory cgroup of its own (version 1 or 2; it takes root), after the pages of its inputs were dropped. What
it read is what the system says: read_bytes of /proc/PID/io. Arguments behind -- go to weld.
"""

import argparse
import os
import shutil
import statistics
import time
from pathlib import Path

UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "GB": 10**9, "MB": 10**6}
V1 = Path("/sys/fs/cgroup/memory")


def size(text):
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return int(float(text[: -len(unit)]) * factor)
    return int(text)


def group(limit):
    """Makes a cgroup of so many bytes."""
    top, name = (V1, "memory.limit_in_bytes") if V1.is_dir() else (V1.parent, "memory.max")
    path = top / f"weld-reads-{os.getpid()}"
    path.mkdir(exist_ok=True)
    (path / name).write_text(str(limit))
    return path


def drop(files):
    os.sync()
    for path in files:
        fd = os.open(path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def merge(weld, method, dir, out, limit, extra):
    """Bytes of input, bytes read, seconds and seconds of the processor of one merge."""
    inputs = [dir / "base", dir / "model-1", dir / "model-2"]
    arguments = [weld, "merge", "-q", "--method", method, "--base", inputs[0]]
    if method == "linear":
        arguments = [weld, "merge", "-q", "--method", method, "--model", inputs[0]]
    if method in ("ties", "dare_ties", "dare_linear", "breadcrumbs", "della"):
        arguments += ["--density", "0.5"]
    if method == "sce":
        arguments += ["--select-topk", "0.3"]
    for i in 1, 2:
        arguments += ["--model", inputs[i]]
        if method == "sta":
            arguments += ["--importance", dir / f"importance-{i}"]
            inputs.append(dir / f"importance-{i}")
    files = [f for d in inputs for f in d.glob("*.safetensors")]
    shutil.rmtree(out, ignore_errors=True)
    drop(files)
    cgroup = group(limit) if limit else None
    start = time.monotonic()
    if (pid := os.fork()) == 0:
        if cgroup:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.execv(weld, [str(a) for a in arguments] + extra + [str(out)])
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # its figures stay until it is waited for
    io = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    _, status, usage = os.wait4(pid, 0)
    took = time.monotonic() - start
    shutil.rmtree(out, ignore_errors=True)
    for _ in range(100):
        try:
            if cgroup:
                cgroup.rmdir()
            break
        except OSError:
            time.sleep(0.1)
    if status:
        raise SystemExit(f"{weld} {method} failed")
    return sum(f.stat().st_size for f in files), int(io["read_bytes"]), took, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dir", type=Path)
    parser.add_argument("--weld", type=Path, required=True)
    parser.add_argument("--beside", type=Path)
    parser.add_argument("--limit", default="1500MB", help="of the cgroup; commas separate; 0 for none")
    parser.add_argument("--method", default="linear,ties,sce,task_arithmetic,sta")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("extra", nargs="*")
    a = parser.parse_args()
    builds = [b.resolve() for b in (a.beside, a.weld) if b]
    for limit in a.limit.split(","):
        for method in a.method.split(","):
            rounds = {b: [] for b in builds}
            for _ in range(a.rounds):
                for b in builds:
                    rounds[b].append(merge(b, method, a.dir, a.dir / "out", size(limit), a.extra))
            for b in builds:
                given, read, took, processor = (statistics.median(x) for x in zip(*rounds[b]))
                print(f"{limit:>7} {method:16} {b.name:16} read {read / 1e9:5.2f} GB of {given / 1e9:.2f}: {read / given:.3f}; {took:.1f} s, processor {processor:.1f} s", flush=True)


if __name__ == "__main__":
    main()
