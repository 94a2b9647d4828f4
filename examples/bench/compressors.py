"""Times weld's packs beside zstd and ZipNN, on one safetensors file of bfloat16.

    python make.py DIR --gigabytes 1 --models 0
    python compressors.py DIR/base/model.safetensors --weld ../../weld [--repeat 3]

Commands are timed whole, start-up included, one thread, with input and output in the file's directory, which lies best
in /dev/shm. Libraries are timed in memory, where they are installed: pip install zstandard zipnn. The shortest of
--repeat runs counts; GB are of the file, coded / decoded.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path


def shortest(repeat, run):
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return min(times), result


def commands(path, weld, repeat):
    """Yields a name, the share of the size, and seconds to code and to decode, of programs."""
    with tempfile.TemporaryDirectory(dir=path.parent) as tmp:
        packed, restored = Path(tmp) / "packed.weld", Path(tmp) / "restored.safetensors"
        programs = {
            "weld pack, unpack": ([weld, "pack", "-q", "--force", "--threads", "1", path, packed],
                                  [weld, "unpack", "-q", "--force", "--threads", "1", packed, restored]),
            "zstd -3": (["zstd", "-3", "-q", "-f", "-T1", path, "-o", packed], ["zstd", "-d", "-q", "-f", packed, "-o", restored]),
        }
        for name, (code, decode) in programs.items():
            if shutil.which(code[0]) is None:
                continue
            coding, _ = shortest(repeat, lambda: subprocess.run(code, check=True, stdout=subprocess.DEVNULL))
            decoding, _ = shortest(repeat, lambda: subprocess.run(decode, check=True, stdout=subprocess.DEVNULL))
            if subprocess.run(["cmp", "-s", path, restored]).returncode != 0:
                raise SystemExit(f"{name} restores other bytes")
            yield name, packed.stat().st_size, coding, decoding
            packed.unlink()
            restored.unlink()


def libraries(path, repeat):
    """Yields the same of libraries."""
    raw = path.read_bytes()
    try:
        import zstandard
    except ImportError:
        pass
    else:
        coding, coded = shortest(repeat, lambda: zstandard.ZstdCompressor(level=3).compress(raw))
        decoding, back = shortest(repeat, lambda: zstandard.ZstdDecompressor().decompress(coded))
        assert back == raw
        yield "python-zstandard, level 3, in memory", len(coded), coding, decoding
    try:
        from zipnn import ZipNN
    except ImportError:
        pass
    else:
        codec = ZipNN(input_format="byte", bytearray_dtype="bfloat16", threads=1)
        coding, coded = shortest(repeat, lambda: codec.compress(bytearray(raw)))  # it changes what it is given
        decoding, back = shortest(repeat, lambda: codec.decompress(coded))
        assert back == raw
        yield "ZipNN, in memory", len(coded), coding, decoding


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--weld", required=True)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    size = os.stat(args.file).st_size
    for rows in (commands(args.file, args.weld, args.repeat), libraries(args.file, args.repeat)):
        for name, coded, coding, decoding in rows:
            print(f"{name:38}{coded / size:7.1%}  {size / coding / 1e9:.2f} / {size / decoding / 1e9:.2f} GB/s", flush=True)


if __name__ == "__main__":
    main()
