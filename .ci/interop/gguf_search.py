"""The search by which llama.cpp stores values in Q4_K and Q6_K without an importance matrix, computed anew in numpy from its description in
ggml-quants.c (quantize_row_q4_K_ref, quantize_row_q6_K_ref; llama.cpp at 007dbbf): what the values are read as, for a comparison of errors.
"""

import numpy as np

F = np.float32


def q4_k(x):
    """Values after Q4_K, of rows of whole blocks of 256."""
    g = x.reshape(-1, 8, 32).astype(F)
    w = np.sqrt((g * g).sum(-1, keepdims=True) / F(32)) + np.abs(g)
    scale, least = _lines(g, w, 15)
    d, dmin = (_half(s.max(1, keepdims=True) / F(63)) for s in (scale, least))
    steps, lows = d * _codes(scale, d, 63), dmin * _codes(least, dmin, 63)
    with np.errstate(divide="ignore", invalid="ignore"):
        codes = np.clip(np.rint((g + lows[..., None]) / steps[..., None]), 0, 15)
    return np.where(steps[..., None] > 0, steps[..., None] * codes, 0).reshape(x.shape) - np.broadcast_to(lows[..., None], g.shape).reshape(x.shape)


def _half(x):
    return x.astype(np.float16).astype(F)


def _codes(scale, unit, most):
    top = scale.max(1, keepdims=True)
    return np.minimum(np.rint(np.divide(F(most), top, out=np.zeros_like(top), where=top > 0) * scale), most)


def _lines(x, w, most):
    """The best of 21 weighted lines for each group (make_qkx2_quants with -1, 0.1, 20)."""
    low, high = np.minimum(x.min(-1), 0), x.max(-1)
    width = np.where(high > low, high - low, F(1))
    sum_w, sum_x = w.sum(-1), (w * x).sum(-1)

    def coded(top):
        return np.clip(np.rint((top / width)[..., None] * (x - low[..., None])), 0, most).astype(F)

    def error(scale, least, codes):
        return (w * (scale[..., None] * codes + least[..., None] - x) ** 2).sum(-1)

    scale, least = width / F(most), low.copy()
    best = error(scale, least, coded(F(most)))
    for k in range(21):
        c = coded(F(-1 + 0.1 * k + most))
        l, ll, xl = (w * c).sum(-1), (w * c * c).sum(-1), (w * x * c).sum(-1)
        det = sum_w * ll - l * l
        with np.errstate(divide="ignore", invalid="ignore"):
            s, m = (sum_w * xl - sum_x * l) / det, (ll * sum_x - l * xl) / det
            s, m = np.where(m > 0, xl / ll, s), np.minimum(m, 0)
            e = error(s, m, c)
        better = (det > 0) & (e < best)
        best, scale, least = np.where(better, e, best), np.where(better, s, scale), np.where(better, m, least)
    flat = high <= low
    return np.where(flat, 0, scale).astype(F), -np.where(flat, low, least).astype(F)


def q6_k(x):
    """Values after Q6_K, likewise."""
    g = x.reshape(-1, 16, 16).astype(F)
    most = np.take_along_axis(g, np.abs(g).argmax(-1)[..., None], -1)
    w, best, scale = g * g, None, None
    for k in [0] + [k for k in range(-9, 10) if k]:
        c = np.clip(np.rint(-(32 + F(0.1) * k) / most * g), -32, 31).astype(F)
        lx, ll = (w * g * c).sum(-1), (w * c * c).sum(-1)
        s = lx / ll
        if best is None:
            best, scale = s * lx, s
            continue
        better = (ll > 0) & (lx * lx > best * ll)
        best, scale = np.where(better, s * lx, best), np.where(better, s, scale)
    top = np.take_along_axis(scale, np.abs(scale).argmax(1)[:, None], 1)
    d = _half(top / F(-128))
    steps = d * np.minimum(np.rint(F(-128) / top * scale), 127)
    return (steps[..., None] * np.clip(np.rint(g / steps[..., None]), -32, 31)).reshape(x.shape)
