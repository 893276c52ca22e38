"""M, and the merged weight (spec §8)."""

from math import sqrt

from basis import dot_weights
from floats import FORMATS, decode_all, encode


class Overflow(Exception):
    """A merged element is not finite in the output dtype."""


def core(r_matrix, sigma, side, scale, negated=()):
    """M (r x r) from R; `negated` holds the columns with a sign bit."""
    r = len(sigma)
    m = [[0.0] * r for _ in range(r)]
    for j in range(r):
        for k in range(r):
            if sigma[j] == 0.0 or sigma[k] == 0.0:
                continue
            m[j][k] = scale * sided(r_matrix[j][k], sigma[j], sigma[k], side)
            if (j in negated) != (k in negated):
                m[j][k] = -m[j][k]
    return m


def sided(value, sigma_j, sigma_k, side):
    if side == "left":
        return value
    if side == "split":
        return value / sqrt(sigma_j) * sqrt(sigma_k)
    return value / sigma_j * sigma_k


def merge(weight_rows, weight_bytes, dtype, out, adapters):
    """The merged bytes in dtype `out`. `adapters` are (V, M) pairs, applied in this order."""
    values = decode_all(dtype, weight_bytes)
    n = len(weight_rows[0])
    merged = bytearray()
    for i, row in enumerate(weight_rows):
        ts = [row_factors(row, v, m) for v, m in adapters]
        for j in range(n):
            w = values[i * n + j]
            for (v, _), t in zip(adapters, ts):
                for t_k, column in zip(t, v):
                    w += t_k * column[j]
            bits = encode(out, w)
            if bits is None:
                raise Overflow(f"row {i}, column {j}")
            merged += bits.to_bytes(FORMATS[out][0], "little")
    return bytes(merged)


def row_factors(row, v, m):
    """t_k = Σ_j y_j M_jk with y = V^T times the row."""
    y = [dot_weights(row, column) for column in v]
    t = [0.0] * len(v)
    for k in range(len(v)):
        for j, y_j in enumerate(y):
            t[k] += y_j * m[j][k]
    return t
