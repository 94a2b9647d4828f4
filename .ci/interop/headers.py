"""Odd headers of safetensors files: what the reference reader makes of them, and what weld does.

Whatever the reference accepts weld accepts, with the same names and metadata, but for what STRICTER
lists with the reason; whatever the reference refuses weld refuses. HEADERS has a line for each oddity.
"""

import json
import struct

from safetensors import safe_open

A = '"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}'


def u8(name, begin, end):
    return f'"{name}":{{"dtype":"U8","shape":[{end - begin}],"data_offsets":[{begin},{end}]}}'


def described(text):
    return f'{{"a":{{{text}}}}}'


def shaped(dims, dtype="U8", end=4):
    return described(f'"dtype":"{dtype}","shape":[{dims}],"data_offsets":[0,{end}]')


# Header, and bytes of data behind it.
HEADERS = {
    "metadata: null": ('{"__metadata__":null,%s}' % A, 4),  # MLX writes it
    "metadata: null, last": ('{%s,"__metadata__":null}' % A, 4),
    "metadata: null, alone": ('{"__metadata__":null}', 0),
    "metadata: null, then an object": ('{"__metadata__":null,"__metadata__":{},%s}' % A, 4),
    "metadata: twice": ('{"__metadata__":{"x":"y"},"__metadata__":{"x":"z"},%s}' % A, 4),
    "metadata: empty": ('{"__metadata__":{},%s}' % A, 4),
    "metadata: a value null": ('{"__metadata__":{"x":null},%s}' % A, 4),
    "metadata: a value that is a number": ('{"__metadata__":{"x":1},%s}' % A, 4),
    "metadata: a key twice": ('{"__metadata__":{"x":"y","x":"z"},%s}' % A, 4),
    "metadata: an escaped key": ('{"__metadat\\u0061__":{"x":"y"},%s}' % A, 4),
    "metadata: half a surrogate": ('{"__metadata__":{"x":"\\ud83d"},%s}' % A, 4),
    "no tensors": ("{}", 0),
    "space before": (" {%s}" % A, 4),
    "line end before": ("\n{%s}" % A, 4),
    "byte order mark": ("\ufeff{%s}" % A, 4),
    "padding of spaces": ("{%s}%s" % (A, " " * 4000), 4),
    "padding of tabs and line ends": ("{%s}\t\r\n" % A, 4),
    "padding of zeros": ("{%s}\0\0" % A, 4),
    "something after the object": ("{%s}x" % A, 4),
    "indented": (json.dumps(json.loads("{%s}" % A), indent=2), 4),
    "comma at the end": ("{%s,}" % A, 4),
    "an array": ("[]", 0),
    "keys in another order": (described('"data_offsets":[0,4],"shape":[4],"dtype":"U8"'), 4),
    "dtype twice": (described('"dtype":"U8","dtype":"U8","shape":[4],"data_offsets":[0,4]'), 4),
    "an unknown key": (described('"dtype":"U8","shape":[4],"data_offsets":[0,4],"x":1'), 4),
    "an escaped key": (described('"dtyp\\u0065":"U8","shape":[4],"data_offsets":[0,4]'), 4),
    "no shape": (described('"dtype":"U8","data_offsets":[0,4]'), 4),
    "a tensor as an array": ('{"a":["U8",[4],[0,4]]}', 4),
    "a tensor null": ('{"a":null}', 0),
    "a tensor twice": ("{%s,%s}" % (A, A), 4),
    "a tensor twice, of other bytes": ("{%s,%s}" % (u8("a", 0, 2), u8("a", 2, 4)), 4),
    "name: empty": ("{%s}" % u8("", 0, 4), 4),
    "name: with a line end": ("{%s}" % u8("a\\nb", 0, 4), 4),
    "name: with a zero": ("{%s}" % u8("a\\u0000b", 0, 4), 4),
    "name: with an escaped slash": ("{%s}" % u8("a\\/b", 0, 4), 4),
    "name: two surrogates": ("{%s}" % u8("\\ud83d\\ude00", 0, 4), 4),
    "name: half a surrogate": ("{%s}" % u8("\\ud83d", 0, 4), 4),
    "name: an unescaped control character": ("{%s}" % u8("a\x01b", 0, 4), 4),
    "name: DEL": ("{%s}" % u8("a\x7fb", 0, 4), 4),
    "name: a right-to-left override": ("{%s}" % u8("a\u202eb", 0, 4), 4),
    "offsets: three": (described('"dtype":"U8","shape":[4],"data_offsets":[0,4,9]'), 4),
    "offsets: of floats": (described('"dtype":"U8","shape":[4],"data_offsets":[0.0,4.0]'), 4),
    "offsets: minus 0": (described('"dtype":"U8","shape":[4],"data_offsets":[-0,4]'), 4),
    "offsets: against the order": ("{%s,%s}" % (u8("b", 2, 4), u8("a", 0, 2)), 4),
    "offsets: a gap": ("{%s}" % u8("a", 2, 4), 4),
    "offsets: bytes at the end": ("{%s}" % u8("a", 0, 2), 4),
    "offsets: the same bytes twice": ("{%s,%s}" % (A, u8("b", 0, 4)), 4),
    "dimension: a float": (shaped("4.0"), 4),
    "dimension: a leading 0": (shaped("04"), 4),
    "scalar": (shaped("", "F32"), 4),
    "100 dimensions": (shaped("1," * 100 + "4"), 4),
    "unaligned": ("{%s,%s}" % (u8("b", 0, 1), '"a":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}'), 5),
    "no elements": (shaped("0", end=0), 0),
    "no elements: first": ("{%s,%s}" % (u8("e", 0, 0), A), 4),
    "no elements: last": ("{%s,%s}" % (A, u8("e", 4, 4)), 4),
    "no elements: between": ("{%s,%s,%s}" % (u8("a", 0, 2), u8("e", 2, 2), u8("b", 2, 4)), 4),
    "no elements: inside another": ("{%s,%s}" % (A, u8("e", 2, 2)), 4),
    "no elements: beyond the end": ("{%s,%s}" % (A, u8("e", 9, 9)), 4),
    "no elements: a 0 before what overflows": (shaped("0,4294967296,4294967296", end=0), 0),
    "no elements: a 0 after what overflows": (shaped("4294967296,4294967296,0", end=0), 0),
    "no elements: a dimension of 64 bits": (shaped("0,18446744073709551615", end=0), 0),
    "dtype: escaped": (described('"dtype":"\\u00558","shape":[4],"data_offsets":[0,4]'), 4),
    "dtype: in lower case": (shaped("4", "u8"), 4),
} | {
    f"dtype: {name}": (shaped("8", name, bits), bits)  # of 8 elements
    for name, bits in {
        "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "F64": 64, "I64": 64, "U64": 64,
        "C64": 64, "C128": 128, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I4": 4, "U4": 4, "F8": 8, "F8_E3M4": 8, "U1": 1,
    }.items()
}  # fmt: skip

# What the reference accepts and weld refuses: no program is known to write it, and what it means is a guess.
STRICTER = {
    "metadata: a key twice": "the last one wins there",
    "an unknown key": "it may say how the bytes are to be read",
    "a tensor as an array": "an accident of how the reference reads structures",
    "a tensor twice": "one of two descriptions is lost",
    "no elements: a dimension of 64 bits": "sizes have 63 bits",
    "100 dimensions": "more than 64 are a claim on memory and no tensor",
}


def reference(path):
    """Names and metadata, or None where the reference refuses the file."""
    try:
        with safe_open(path, "np") as f:
            return sorted(f.keys()), f.metadata() or {}
    except Exception:
        return None


def write(path, header, data):
    raw = header.encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + bytes(data))
    return path
