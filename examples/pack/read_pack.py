"""Reads packs without weld: lists what is in one, or decodes a tensor.

    python read_pack.py merged.weld                      files and tensors
    python read_pack.py merged.weld model.norm.weight    that tensor, as numpy sees it

Plain Python and numpy, written after docs/format-pack.md. It checks what it reads, and is slow.
"""

import bisect
import json
import struct
import sys
import zlib

import numpy as np

CHUNK = 131072
ESCAPE = 15
REPEATED = 8

# Element types: name, bytes of an element in a plane's view, whether exponents have a plane of their own.
TYPES = {
    0: ("bytes", 1, False), 1: ("BOOL", 1, False), 2: ("F4", 1, False), 3: ("F6_E2M3", 1, False), 4: ("F6_E3M2", 1, False),
    5: ("U8", 1, False), 6: ("I8", 1, False), 7: ("F8_E5M2", 1, False), 8: ("F8_E4M3", 1, False), 9: ("F8_E8M0", 1, False),
    10: ("F8_E4M3FNUZ", 1, False), 11: ("F8_E5M2FNUZ", 1, False), 12: ("I16", 2, False), 13: ("U16", 2, False),
    14: ("F16", 2, False), 15: ("BF16", 2, True), 16: ("I32", 4, False), 17: ("U32", 4, False), 18: ("F32", 4, True),
    19: ("C64", 4, True), 20: ("F64", 8, False), 21: ("I64", 8, False), 22: ("U64", 8, False),
}


class Damaged(Exception):
    pass


def demand(condition, what):
    if not condition:
        raise Damaged(what)


class Cursor:
    """Takes bytes off the front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        demand(0 <= n <= len(self.data) - self.at, "cut short")
        self.at += n
        return self.data[self.at - n : self.at]

    def unpack(self, form):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))

    def ended(self):
        demand(self.at == len(self.data), "bytes are left over")


# --- Huffman, RFC 8878 section 4.2 ---


class Backwards:
    """Reads bits from the end of a stream, which begins behind its last bit that is set."""

    def __init__(self, data):
        demand(len(data) > 0 and data[-1] != 0, "a stream without an end")
        self.value = int.from_bytes(data, "little")
        self.left = self.value.bit_length() - 1

    def peek(self, n):
        if self.left >= n:
            return self.value >> (self.left - n) & ((1 << n) - 1)
        return (self.value & ((1 << self.left) - 1)) << (n - self.left) if self.left > 0 else 0

    def read(self, n):
        v = self.peek(n)
        self.left -= n
        return v


def fse_table(data):
    """Section 4.1.1: the table of a finite-state coder; returns it and the bytes that it took."""
    bits = int.from_bytes(data, "little")
    log = (bits & 15) + 5
    at, remaining, counts = 4, (1 << log) + 1, []
    while remaining > 1:
        size = remaining.bit_length()
        low = (1 << (size - 1)) - 1
        threshold = (1 << size) - 1 - remaining
        v = bits >> at & ((1 << size) - 1)
        if v & low < threshold:
            v, at = v & low, at + size - 1
        else:
            if v > low:
                v -= threshold
            at += size
        count = v - 1
        remaining -= abs(count)
        counts.append(count)
        if count == 0:
            while True:
                repeat = bits >> at & 3
                at += 2
                counts += [0] * repeat
                if repeat < 3:
                    break
    demand(remaining == 1, "probabilities do not add up")
    size = 1 << log
    symbols, high = [0] * size, size - 1
    for symbol, count in enumerate(counts):
        if count == -1:
            symbols[high] = symbol
            high -= 1
    step, pos = (size >> 1) + (size >> 3) + 3, 0
    for symbol, count in enumerate(counts):
        for _ in range(max(count, 0)):
            symbols[pos] = symbol
            pos = (pos + step) % size
            while pos > high:
                pos = (pos + step) % size
    nexts = [1 if c == -1 else c for c in counts]
    table = []
    for symbol in symbols:
        state = nexts[symbol]
        nexts[symbol] += 1
        width = log - (state.bit_length() - 1)
        table.append((symbol, width, (state << width) - size))
    return log, table, (at + 7) // 8


def huffman_weights(c):
    """Section 4.2.1: the weights of the symbols, without the last."""
    head = c.unpack("B")[0]
    if head >= 128:
        n = head - 127
        packed = c.take((n + 1) // 2)
        return [packed[i // 2] >> (4 if i % 2 == 0 else 0) & 15 for i in range(n)]
    data = c.take(head)
    log, table, used = fse_table(data)
    stream = Backwards(data[used:])
    states, weights, turn = [stream.read(log), stream.read(log)], [], 0
    while True:
        symbol, width, base = table[states[turn]]
        weights.append(symbol)
        if stream.left < width:
            weights.append(table[states[1 - turn]][0])
            return weights
        states[turn] = base + stream.read(width)
        turn = 1 - turn


def huffman_table(c):
    """What 2^bits values of the next bits stand for: symbol and length."""
    weights = huffman_weights(c)
    total = sum(1 << (w - 1) for w in weights if w)
    bits = total.bit_length()
    rest = (1 << bits) - total
    demand(rest & (rest - 1) == 0, "a Huffman code that is not complete")
    weights.append(rest.bit_length())
    table = []
    for w in range(1, bits + 1):
        for symbol, own in enumerate(weights):
            if own == w:
                table += [(symbol, bits + 1 - w)] * (1 << (w - 1))
    demand(len(table) == 1 << bits, "a Huffman code that is not complete")
    return bits, table


def huffman(data, n):
    c = Cursor(data)
    bits, table = huffman_table(c)
    sizes = list(c.unpack("HHH"))
    each = (n + 3) // 4
    out = bytearray()
    for i in range(4):
        stream = Backwards(c.take(sizes[i]) if i < 3 else c.data[c.at :])
        for _ in range(each if i < 3 else n - 3 * each):
            symbol, width = table[stream.peek(bits)]
            stream.left -= width
            out.append(symbol)
        demand(stream.left == 0, "a stream that is too long or too short")
    return bytes(out)


# --- planes and blocks ---


def plane(c, n):
    coding, length = c.unpack("BI")
    b = Cursor(c.take(length))
    if coding == 0:
        out = b.take(n)
    elif coding == 1:
        out = b.take(1) * n
    elif coding == 2:
        out = b""
        while len(out) < n:
            head, want = b.unpack("I")[0], min(CHUNK, n - len(out))
            body = b.take(head >> 2)
            out += {0: lambda: body, 1: lambda: body * want, 2: lambda: huffman(body, want)}[head & 3]()
    elif coding == 3:
        out = zlib.decompress(b.take(length), -15)
    elif coding == 4:
        out = paired(b, n)
    elif coding == 5:
        value = b.take(1)
        mask = np.frombuffer(plane(b, (n + 7) // 8), np.uint8)
        chosen = np.unpackbits(mask, bitorder="little")[:n].astype(bool)
        array = np.full(n, value[0], np.uint8)
        array[chosen] = np.frombuffer(plane(b, int(chosen.sum())), np.uint8)
        out = array.tobytes()
    else:
        raise Damaged(f"a plane of coding {coding}")
    b.ended()
    demand(len(out) == n, "a plane of another length")
    return out


def paired(b, n):
    values = list(b.take(b.unpack("B")[0]))
    escapes = b.take(b.unpack("I")[0])
    pairs = np.frombuffer(plane(b, n // 64 * 32 + (n % 64 + 1) // 2), np.uint8)
    codes = np.zeros(n, np.uint8)
    whole = n // 64
    groups = pairs[: whole * 32].reshape(whole, 32)
    codes[: whole * 64] = np.concatenate([groups & 15, groups >> 4], axis=1).reshape(-1)
    last = pairs[whole * 32 :]
    codes[whole * 64 :] = np.concatenate([last & 15, last >> 4])[: n - whole * 64]
    table = np.zeros(16, np.uint8)
    table[: len(values)] = values
    out = table[codes]
    at = np.flatnonzero(codes == ESCAPE)
    demand(len(at) == len(escapes), "another number of escapes")
    out[at] = np.frombuffer(escapes, np.uint8)
    return out.tobytes()


def join(planes, width, exponent):
    p = [np.frombuffer(x, np.uint8) for x in planes]
    if not exponent:
        return np.stack(p[::-1], axis=1).tobytes()
    unsigned = {2: np.uint16, 4: np.uint32}[width]
    e, f = p[0].astype(unsigned), p[1].astype(unsigned)
    top = 8 * width
    v = e << (top - 9) | (f & 0x80) << (top - 8) | (f & 0x7F) << (top - 16)
    for i, x in enumerate(p[2:]):
        v = v | x.astype(unsigned) << (top - 24 - 8 * i)
    return v.astype(unsigned).astype("<u%d" % width).tobytes()


def block(coding, element, payload, n):
    _, width, exponent = TYPES[element]
    if n % width:
        width, exponent = 1, False
    c = Cursor(payload)
    if coding == 0:
        out = c.take(n)
    elif coding == 1:
        out = c.take(width) * (n // width)
    elif coding == 2:
        out = zlib.decompress(c.take(len(payload)), -15)
    elif coding == 3:
        out = join([plane(c, n // width) for _ in range(width)], width, exponent)
    elif coding == 4:
        m = c.unpack("I")[0]
        chosen = np.unpackbits(np.frombuffer(plane(c, (n // width + 7) // 8), np.uint8), bitorder="little")[: n // width].astype(bool)
        demand(int(chosen.sum()) == m, "another number of elements than the mask's")
        array = np.zeros((n // width, width), np.uint8)
        array[chosen] = np.frombuffer(join([plane(c, m) for _ in range(width)], width, exponent), np.uint8).reshape(m, width)
        out = array.tobytes()
    else:
        raise Damaged(f"a block of coding {coding}: only a patch has such, and needs its base")
    c.ended()
    demand(len(out) == n, "a block of another length")
    return out


# --- the container ---


class Pack:
    def __init__(self, path):
        self.f = open(path, "rb")
        head = self.f.read(16)
        demand(head[:8] == b"\x89WELD\r\n\x1a", "no pack")
        version, kind = struct.unpack("<HB", head[8:11])
        demand(version in (1, 2) and kind == 1 and head[11:] == bytes(5), f"version {version}, kind {kind}")
        self.f.seek(-80, 2)
        end = self.record(self.f.tell(), b"END ")
        index, self.size = struct.unpack("<QQ", end[:16])
        self.read_index(Cursor(self.record(index, b"INDX")))

    def record(self, place, tag):
        self.f.seek(place)
        head = self.f.read(32)
        demand(len(head) == 32 and zlib.crc32(head[:28]) == struct.unpack("<I", head[28:])[0], "the head of a record is damaged")
        demand(head[:4] == tag, f"a record {head[:4]} instead of {tag}")
        size, crc = struct.unpack("<I", head[4:8])[0], struct.unpack("<I", head[24:28])[0]
        payload = self.f.read(size)
        demand(len(payload) == size and zlib.crc32(payload) == crc, f"a record {tag} is damaged")
        return payload

    def read_index(self, c):
        self.files, begin = [], 0
        for _ in range(c.unpack("I")[0]):
            size, length = c.unpack("QH")
            self.files.append((c.take(length).decode(), begin, size))
            begin += size
        for _ in range(c.unpack("I")[0]):
            c.take(8)
        place, at, pending, self.blocks = 16, 0, list(self.files), []
        for _ in range(c.unpack("Q")[0]):
            while pending and pending[0][1] == at:
                place += 32 + 10 + len(pending.pop(0)[0].encode())
            size, content, element, coding, _, _ = c.unpack("IIBBHI")
            self.blocks.append((at, at + content, place, element, coding))
            place, at = place + 32 + size, at + content
        c.ended()
        demand(at == self.size == begin, "blocks and files do not end together")

    def read(self, begin, end):
        """Bytes [begin, end) of the content."""
        out = b""
        for lo, hi, place, element, coding in self.blocks:
            if lo < end and hi > begin:
                if coding == REPEATED:
                    place, coding = self.origin(self.record(place, b"DATA"), lo, hi, element)
                data = block(coding, element, self.record(place, b"DATA"), hi - lo)
                out += data[max(begin - lo, 0) : end - lo]
        return out

    def origin(self, payload, lo, hi, element):
        """Place and coding of the earlier block that a repeated one stands for."""
        demand(len(payload) == 8, "a repeated block of another size")
        at = struct.unpack("<Q", payload)[0]
        i = bisect.bisect_left(self.blocks, (at,))
        demand(at < lo and self.blocks[i][0] == at, "it repeats what is no earlier block")
        _, end, place, other, coding = self.blocks[i]
        demand((end - at, other) == (hi - lo, element) and coding != REPEATED, "it repeats a block of another kind")
        return place, coding

    def tensors(self):
        """name → (dtype, shape, begin, end) in the content."""
        found = {}
        for name, begin, size in self.files:
            if not name.endswith(".safetensors"):
                continue
            n = struct.unpack("<Q", self.read(begin, begin + 8))[0]
            header = json.loads(self.read(begin + 8, begin + 8 + n))
            for tensor, d in header.items():
                if tensor != "__metadata__":
                    lo, hi = d["data_offsets"]
                    found[tensor] = (d["dtype"], d["shape"], begin + 8 + n + lo, begin + 8 + n + hi)
        return found


def main():
    pack = Pack(sys.argv[1])
    tensors = pack.tensors()
    if len(sys.argv) == 2:
        for name, _, size in pack.files:
            print(f"{size:>14,}  {name}")
        for name, (dtype, shape, begin, end) in tensors.items():
            print(f"{end - begin:>14,}  {name}  {dtype} {shape}")
        return
    dtype, shape, begin, end = tensors[sys.argv[2]]
    data = pack.read(begin, end)
    if dtype == "BF16":
        array = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        names = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8", "I32": "<i4", "I16": "<i2", "BOOL": "?"}
        array = np.frombuffer(data, names.get(dtype, np.uint8))
    print(dtype, array.reshape(shape) if array.size == np.prod(shape, dtype=int) else array)


if __name__ == "__main__":
    main()
