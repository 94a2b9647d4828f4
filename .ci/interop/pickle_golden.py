"""Writes format/pickle/testdata: values as Python's pickle module stores them in each protocol, and a line of text that says
what they are. Run it from the top of the tree: python3 .ci/interop/pickle_golden.py (any Python from 3.8 on; made with 3.12)."""

import collections
import os
import pickle
import sys

OUT = "format/pickle/testdata"


class Node:
    """A class of which instances are described, not made."""

    def __init__(self, **attributes):
        self.__dict__.update(attributes)


Node.__module__ = "golden"


def text(v):
    if v is None or isinstance(v, (bool, int)):
        return str(v)
    if isinstance(v, float):
        return v.hex() if v == v and abs(v) != float("inf") else str(v)
    if isinstance(v, str):
        return '"' + v + '"'
    if isinstance(v, (bytes, bytearray)):
        return "b" + v.hex()
    if isinstance(v, tuple):
        return "(" + " ".join(map(text, v)) + ")"
    if isinstance(v, list):
        return "[" + " ".join(map(text, v)) + "]"
    if isinstance(v, dict):
        return "{" + " ".join(text(k) + ":" + text(x) for k, x in v.items()) + "}"
    if isinstance(v, (set, frozenset)):
        return "<" + " ".join(sorted(map(text, v))) + ">"
    return "golden.Node" + text(v.__dict__)


shared = ["twice"]
state = collections.OrderedDict([("layer.weight", 1), ("layer.bias", (2, 3))])
state._metadata = {"": {"version": 1}}
values = {
    "numbers": [0, 1, 255, 256, 65535, 65536, -1, -128, -129, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 1e-300, float("inf"), True, False, None],
    "texts": ["", "a", "größe", "\U0001f600", "x" * 256, b"", b"\x00\xff", b"y" * 256, bytearray(b"abc")],
    "collections": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4), [], list(range(1001)), {}, {i: None for i in range(1001)}, {"a": {"b": [()]}}, set(), {1, 2}, frozenset("ab")],
    "shared": [shared, shared, (shared,)],
    "ordered": state,
    "objects": [Node(size=(2, 3), name="w"), Node()],
}

loop = ["itself"]
loop.append((loop,))

sys.modules["golden"] = type(sys)("golden")
sys.modules["golden"].Node = Node
os.makedirs(OUT, exist_ok=True)
for name, v in values.items():
    with open(f"{OUT}/{name}.txt", "w") as f:
        f.write(text(v) + "\n")
    for protocol in range(2, 6):
        with open(f"{OUT}/{name}.{protocol}.pkl", "wb") as f:
            f.write(pickle.dumps(v, protocol))
with open(f"{OUT}/loop.pkl", "wb") as f:
    f.write(pickle.dumps(loop, 2))
