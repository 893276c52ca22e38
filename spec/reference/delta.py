"""M, and the merged weight (spec §8)."""

from dataclasses import dataclass
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


def factored_core(r_matrix, scale, negated=()):
    """M (r x r) of a factored basis."""
    columns = range(len(r_matrix))
    signs = [[-1.0 if (j in negated) != (k in negated) else 1.0 for k in columns] for j in columns]
    return [[signs[j][k] * (scale * r_matrix[j][k]) for k in columns] for j in columns]


def sided(value, sigma_j, sigma_k, side):
    if side == "left":
        return value
    if side == "split":
        return value / sqrt(sigma_j) * sqrt(sigma_k)
    return value / sigma_j * sigma_k


@dataclass
class Exact:
    """An adapter on an exact basis: V (a list of columns) and M."""

    v: list
    core: list

    def left(self, _, row):
        return [dot_weights(row, column) for column in self.v]

    def right(self):
        return self.v


@dataclass
class Factored:
    """An adapter on the factors B and A (lists of rows), with M."""

    b: list
    a: list
    core: list

    def left(self, i, _):
        return self.b[i]

    def right(self):
        return self.a


def merge(weight_rows, weight_bytes, dtype, out, adapters):
    """The merged bytes in dtype `out`, for adapters in this order."""
    values = decode_all(dtype, weight_bytes)
    n = len(weight_rows[0])
    merged = bytearray()
    for i, row in enumerate(weight_rows):
        ts = [row_factors(adapter, i, row) for adapter in adapters]
        for j in range(n):
            w = values[i * n + j]
            for adapter, t in zip(adapters, ts):
                for t_k, column in zip(t, adapter.right()):
                    w += t_k * column[j]
            bits = encode(out, w)
            if bits is None:
                raise Overflow(f"row {i}, column {j}")
            merged += bits.to_bytes(FORMATS[out][0], "little")
    return bytes(merged)


def row_factors(adapter, i, row):
    """t_k = Σ_j y_j M_jk, with y of row i of the weight."""
    y = adapter.left(i, row)
    t = [0.0] * len(y)
    for k in range(len(y)):
        for j, y_j in enumerate(y):
            t[k] += y_j * adapter.core[j][k]
    return t
