"""The exact basis of spec §6 with NumPy: the bits of `basis.py`, fast enough for real modules.

Every sum is a loop of elementwise additions in the order of the spec. NumPy's own sums, `dot`, `@` and `einsum`
reassociate and are not used. A set of columns is an array with one column in each row.
"""

from itertools import count
from math import sqrt

import numpy as np

from basis import CANCELLED, MAX_PASSES, ROW_BLOCK, TINY, TOLERANCE, Basis, NoBasis, constants, ql

LANES = 16


def lane_sums(pairs):
    """The 16 lanes on the last axis, summed by the tree of §6.1."""
    q = pairs[..., 0::2] + pairs[..., 1::2]
    return ((q[..., 0] + q[..., 4]) + (q[..., 2] + q[..., 6])) + ((q[..., 1] + q[..., 5]) + (q[..., 3] + q[..., 7]))


def steps(a):
    """(..., n) as steps of 16 lanes: (n / 16, ..., 16). Zeros fill the end; they change no lane."""
    n = a.shape[-1]
    count = -(-n // LANES)
    padded = np.zeros((*a.shape[:-1], count * LANES))
    padded[..., :n] = a
    return np.ascontiguousarray(np.moveaxis(padded.reshape(*a.shape[:-1], count, LANES), -2, 0))


def dots(columns, x):
    """dot(column, x) for every column."""
    sums = np.zeros((len(columns), LANES))
    for a, b in zip(steps(columns), steps(x)):
        sums += a * b
    return lane_sums(sums)


def dot(a, b):
    return float(dots(a[None], b)[0])


def norm(a):
    return sqrt(dot(a, a))


def rnd(x):
    bits = np.ascontiguousarray(x, dtype=np.float64).view(np.uint64)
    rounded = (bits + np.uint64(2**11)) & np.uint64(0xFFFFFFFFFFFFF000)
    tiny = (bits >> np.uint64(52) & np.uint64(0x7FF)) < 623
    return np.where(tiny, 0.0, rounded.view(np.float64))


def decode_array(dtype, data):
    """Packed little-endian values as binary64."""
    with np.errstate(invalid="ignore"):  # a signalling NaN
        if dtype == "bf16":
            return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        return np.frombuffer(data, {"f16": "<f2", "f32": "<f4"}[dtype]).astype(np.float64)


class Weights:
    """The terms of a matrix, laid out for the two halves of a pass."""

    def __init__(self, dtype, m, n, data):
        w = decode_array(dtype, data).reshape(m, n)
        terms = [w]
        if dtype == "f32":
            high = (w.view(np.uint64) >> np.uint64(41) << np.uint64(41)).view(np.float64)
            with np.errstate(invalid="ignore"):
                terms = [high, w - high]
        blocks = -(-m // ROW_BLOCK)
        padded = [np.zeros((blocks * ROW_BLOCK, n)) for _ in terms]
        for target, term in zip(padded, terms):
            target[:m] = term
        self.m, self.n, self.blocks = m, n, blocks
        self.by_step = [steps(term) for term in terms]  # (n / 16, m, 16)
        self.by_row = [target.reshape(blocks, ROW_BLOCK, n) for target in padded]

    def products(self, columns):
        """W X as (k, m)."""
        sums = np.zeros((len(columns), self.m, LANES))
        x = steps(columns)
        with np.errstate(invalid="ignore"):
            for j in range(len(x)):
                for term in self.by_step:
                    for c in range(len(columns)):
                        sums[c] += term[j] * x[j, c]
            return lane_sums(sums)

    def left(self, columns):
        """rnd(W X) as (k, m)."""
        y = self.products(columns)
        if not np.isfinite(y).all():
            raise NoBasis("non-finite")
        return rnd(y)

    def right(self, columns):
        """Wᵀ Y as (k, n)."""
        padded = np.zeros((len(columns), self.blocks * ROW_BLOCK))
        padded[:, :self.m] = columns
        padded = padded.reshape(len(columns), self.blocks, ROW_BLOCK)
        partial = np.zeros((len(columns), self.blocks, self.n))
        for row in range(ROW_BLOCK):
            for term in self.by_row:
                for c in range(len(columns)):
                    partial[c] += term[:, row] * padded[c, :, row, None]
        z = np.zeros((len(columns), self.n))
        for block in range(self.blocks):
            z += partial[:, block]
        return z


def products(weights, columns):
    return weights.products(columns)


def left(weights, columns):
    return weights.left(columns)


def right(weights, columns):
    return weights.right(columns)


def run_pass(weights, columns):
    return right(weights, left(weights, columns))


def start_columns(n):
    return (start_column(c, n) for c in count())


def start_column(c, n):
    def scramble(z):
        z = z * np.uint64(0x9E3779B97F4A7C15) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return z ^ z >> np.uint64(31)

    z = np.arange(n, dtype=np.uint64) + np.uint64(2**32 * c)
    return (scramble(z) >> np.uint64(40)).astype(np.float64) - 2.0**23 + 0.5


def column_set(columns):
    return np.array(columns)


def rounded(columns):
    return rnd(columns)


def project(basis, x):
    for _ in range(2):
        for column, h in zip(basis, dots(basis, x)):
            x -= column * h


def project_block(new, c):
    for _ in range(2):
        for i in range(c):
            new[c] -= new[i] * dot(new[i], new[c])


def finish(basis, new, c, before):
    project_block(new, c)
    after = norm(new[c])
    if before * TINY < after <= before * CANCELLED:
        project(basis, new[c])
        project_block(new, c)
        after = norm(new[c])
    if not after > before * TINY:
        return False
    new[c] = rnd(new[c] / after)
    return True


@np.errstate(invalid="ignore")  # rsvd finds a NaN of the weight in the pass after this
def orth(basis, new, start):
    new = new.copy()
    norms = []
    for column in new:
        norms.append(norm(column))
        project(basis, column)
    for c in range(len(new)):
        if finish(basis, new, c, norms[c]):
            continue
        new[c] = next(start)
        before = norm(new[c])
        project(basis, new[c])
        if not finish(basis, new, c, before):
            new[c] = 0.0
    return new


def basis(weights, r):
    """The basis of rank r of `Weights`."""
    k, b, keep = constants(r)
    start = start_columns(weights.n)
    empty = np.zeros((0, weights.n))
    x = orth(empty, np.array([next(start) for _ in range(k)]), start)
    q, z, t = empty, empty, np.zeros((0, 0))
    for p in range(1, MAX_PASSES + 1):
        y = run_pass(weights, x)
        q, z = np.concatenate((q, x)), np.concatenate((z, y))
        t = extended(t, q, z)
        x = orth(q, y, start)
        full, exhausted = len(q) > b - k, not x.any()
        if k <= 4 and p >= 12 and p % 2 == 0 or full or exhausted:
            theta, s = eigh(t)
            e = min(keep, len(q)) if full else min(r, len(q))
            v, a = combined(q, s, max(e, min(r, len(q)))), combined(z, s, max(e, min(r, len(q))))
            if exhausted or converged(theta, v, a, r):
                return result(theta, v, weights.n, r, p)
            if full:
                q, z, t = v[:e], a[:e], np.diag(theta[:e])
    raise NoBasis("no-convergence")


def gram(x, z):
    return extended(np.zeros((0, 0)), x, z)


def extended(t, q, z):
    old, size = len(t), len(q)
    wide = np.zeros((size, size))
    wide[:old, :old] = t
    for j in range(old, size):
        column = dots(q[:j + 1], z[j])
        wide[:j + 1, j] = column
        wide[j, :j + 1] = column
    return wide


def combined(columns, s, count):
    sums = np.zeros((count, columns.shape[1]))
    for i, column in enumerate(columns):
        sums += column * s[i, :count, None]
    return sums


def converged(theta, v, a, r):
    for c in range(min(r, len(v))):
        if theta[c] <= TINY * theta[0]:
            continue
        if not norm(a[c] - theta[c] * v[c]) <= TOLERANCE * theta[0]:
            return False
    return True


def result(theta, v, n, r, passes):
    sigma, columns = [], []
    for c in range(r):
        if c >= len(v) or theta[c] <= TINY * theta[0]:
            sigma.append(0.0)
            columns.append([0.0] * n)
            continue
        sigma.append(sqrt(theta[c]))
        columns.append(unit_column(v[c]).tolist())
    return Basis(sigma, columns, passes)


def unit_column(v):
    unit = v / norm(v)
    column = rnd(unit)
    return column if column[np.argmax(np.abs(column))] > 0.0 else rnd(-unit)


def eigh(a):
    d, e, b = tridiagonal(a.copy())
    ql(d, e, b, rotate_rows)
    order = np.argsort(-np.array(d), kind="stable")
    return np.array(d)[order], b[order].T.copy()


def summed(rows, start):
    """The sum of the rows from `start` on, one after the other from +0."""
    total = np.zeros(rows.shape[1:])
    for row in rows[start:]:
        total += row
    return total


def tridiagonal(a):
    p = len(a)
    b = np.eye(p)
    e = [0.0] * p
    for c in range(p - 2):
        x = a[:, c].copy()
        t = float(summed(x * x, c + 2))
        head = float(x[c + 1])
        if t == 0.0:
            e[c] = head
            continue
        square = head * head + t
        g = -sqrt(square) if head > 0.0 else sqrt(square)
        h = square - head * g
        e[c] = g
        x[c + 1] = head - g
        y = summed(a * x[:, None], c + 1) / h
        y -= float(summed(x * y, c + 1)) / (h + h) * x
        rest = slice(c + 1, p)
        a[rest, rest] -= x[rest, None] * y[rest] + y[rest, None] * x[rest]
        f = summed(b * x[:, None], c + 1) / h
        b[rest] -= x[rest, None] * f
    if p >= 2:
        e[p - 2] = float(a[p - 1, p - 2])
    return [float(value) for value in np.diagonal(a)], e, b


def rotate_rows(b, i, s, c):
    low, high = b[i].copy(), b[i + 1].copy()
    b[i] = c * low - s * high
    b[i + 1] = s * low + c * high
