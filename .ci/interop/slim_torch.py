"""Makes PyPI's CUDA build of torch importable without CUDA.

Its libraries are linked to cuBLAS, cuDNN and others: five gigabytes when installed.
None is called on a CPU, but the loader wants their names and symbols. This writes one
library with those symbols, empty, under each missing name, in torch's own directory.
Needs cc and nm. Says nothing and does nothing where torch imports already.

    python slim_torch.py
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

LINKED = ("libtorch_cuda.so", "libtorch_nvshmem.so", "libtorch_python.so", "libc10_cuda.so", "libtorch_cpu.so")
MISSING = ("libcublas", "libcublasLt", "libcudnn", "libcufft", "libcusparse", "libcusparseLt", "libcufile", "libnccl",
           "libnvrtc", "libnvshmem_host")
# " U cublasCreate_v2@libcublas.so.13": a wanted symbol and, if it has one, its version.
WANTED = re.compile(r" U ((?:cublas|cudnn|cufft|cusparse|cuFile|p?nccl|nvrtc|nvshmem)\w*)(?:@+(\S+))?")


def imports():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def wanted_symbols(libraries):
    """The CUDA symbols that torch's libraries leave open, by version."""
    by_version = collections.defaultdict(set)
    for symbol, version in WANTED.findall(output("nm", "-D", "--undefined-only", *libraries)):
        by_version[version].add(symbol)
    return by_version


def build(by_version, directory):
    """One shared library with all of them."""
    source, script, library = (directory / name for name in ("empty.c", "empty.map", "empty.so"))
    symbols = sorted(set().union(*by_version.values()))
    source.write_text("".join(f"void {s}(void) {{}}\n" for s in symbols))
    script.write_text("".join(f"{version} {{ global: {' '.join(s + ';' for s in sorted(names))} }};\n"
                              for version, names in by_version.items() if version))
    output("cc", "-shared", "-fPIC", "-o", library, source, f"-Wl,--version-script={script}")
    return library


def missing_names(libraries):
    """The file names, as the loader asks for them, of the libraries that are not installed."""
    asked = set(re.findall(r"NEEDED.*?(lib\S+\.so[.\d]*)", output("objdump", "-p", *libraries)))
    return [name for name in asked if name.split(".so")[0] in MISSING]


def main():
    if imports():
        return
    lib = pathlib.Path(sysconfig.get_path("purelib")) / "torch" / "lib"
    libraries = [lib / name for name in LINKED if (lib / name).exists()]
    with tempfile.TemporaryDirectory() as temporary:
        library = build(wanted_symbols(libraries), pathlib.Path(temporary))
        for name in missing_names(libraries):
            shutil.copy(library, lib / name)
    if not imports():
        sys.exit("slim_torch.py: torch still does not import")


if __name__ == "__main__":
    main()
