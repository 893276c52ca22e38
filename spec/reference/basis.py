"""The exact basis of spec §6, step by step, for small matrices. `basis_numpy.py` has the same bits, faster.

A matrix is a list of rows; a set of columns (X, Q, Z, V) is a list of columns.
"""

import struct
from dataclasses import dataclass
from itertools import count
from math import isfinite, sqrt

from blake3 import blake3, derive_key
from floats import bits64, decode_all, from_bits64

ROW_BLOCK = 128
MAX_PASSES = 1000
TINY = 2.0**-40
CANCELLED = 2.0**-4
TOLERANCE = 1e-10
MASK64 = 2**64 - 1


class NoBasis(Exception):
    """There is no basis: `non-finite` or `no-convergence`."""


@dataclass
class Basis:
    """sigma and V (a list of columns), with the number of passes that it took."""

    sigma: list
    v: list
    passes: int

    def effective_rank(self):
        return sum(sigma > 0.0 for sigma in self.sigma)

    def shape(self):
        return len(self.sigma), len(self.v[0])

    def record(self):
        """sigma and V as §6.7 arranges them."""
        return packed_columns([self.sigma, *self.v])

    def fingerprint(self):
        return blake3(self.record()).hex()


def packed_columns(columns):
    return b"".join(struct.pack(f"<{len(column)}d", *column) for column in columns)


# §6.1 Arithmetic


def lanes(terms):
    """The sum of (position, term) pairs: 16 lanes, then a fixed tree."""
    s = [0.0] * 16
    for j, term in terms:
        s[j % 16] += term
    q = [s[2 * i] + s[2 * i + 1] for i in range(8)]
    return ((q[0] + q[4]) + (q[2] + q[6])) + ((q[1] + q[5]) + (q[3] + q[7]))


def dot(a, b):
    return lanes((j, a[j] * b[j]) for j in range(len(a)))


def dot_weights(row, x):
    """dot of a row of weights, each a tuple of terms, with x."""
    return lanes((j, term * x[j]) for j in range(len(x)) for term in row[j])


def rnd(x):
    bits = bits64(x)
    if bits >> 52 & 0x7FF < 623:
        return 0.0
    return from_bits64(bits + 2**11 & ~0xFFF & MASK64)


def norm(a):
    return sqrt(dot(a, a))


def weight_terms(dtype, w):
    """The terms with which a weight enters a sum: two for f32, one otherwise."""
    if dtype != "f32":
        return (w,)
    high = from_bits64(bits64(w) >> 41 << 41)
    return (high, w - high)


def weight_matrix(dtype, m, n, data):
    """The terms of all weights, row by row, of packed little-endian values."""
    terms = [weight_terms(dtype, w) for w in decode_all(dtype, data)]
    return [terms[i * n:(i + 1) * n] for i in range(m)]


# §6.2 Pass


def run_pass(weights, columns):
    """Z = Wᵀ rnd(W X)."""
    return right(weights, left(weights, columns))


def products(weights, columns):
    """W X."""
    return [[dot_weights(row, x) for row in weights] for x in columns]


def left(weights, columns):
    """rnd(W X)."""
    y = products(weights, columns)
    if not all(isfinite(value) for column in y for value in column):
        raise NoBasis("non-finite")
    return [[rnd(value) for value in column] for column in y]


def right(weights, columns):
    """Wᵀ Y, summed by blocks of rows."""
    n = len(weights[0])
    z = [[0.0] * n for _ in columns]
    for start in range(0, len(weights), ROW_BLOCK):
        for c, y in enumerate(columns):
            p = [0.0] * n
            for i in range(start, min(start + ROW_BLOCK, len(weights))):
                for j in range(n):
                    for term in weights[i][j]:
                        p[j] += term * y[i]
            for j in range(n):
                z[c][j] += p[j]
    return z


# §6.3 Start columns


def splitmix(z):
    z = (z * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) & MASK64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK64
    return z ^ z >> 31


def start_columns(n):
    """All start columns, in order, each to be taken once."""
    return (start_column(c, n) for c in count())


def start_column(c, n):
    return [(splitmix(2**32 * c + j) >> 40) - 2.0**23 + 0.5 for j in range(n)]


# §6.4 Orthonormalise


def subtract(x, column, h):
    for j in range(len(x)):
        x[j] -= column[j] * h


def column_set(columns):
    return columns


def rounded(columns):
    return [[rnd(x) for x in column] for column in columns]


def project(basis, x):
    for _ in range(2):
        h = [dot(column, x) for column in basis]
        for column, coefficient in zip(basis, h):
            subtract(x, column, coefficient)


def orth(basis, new, start):
    """Orthonormal columns for `new`, orthogonal to `basis`; a column that vanishes is replaced once, then 0."""
    new = [list(column) for column in new]
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
            new[c] = [0.0] * len(new[c])
    return new


def project_block(new, c):
    for _ in range(2):
        for i in range(c):
            subtract(new[c], new[i], dot(new[i], new[c]))


def finish(basis, new, c, before):
    """Orthonormalises column c against the ones before it; false if it has vanished."""
    project_block(new, c)
    after = norm(new[c])
    if before * TINY < after <= before * CANCELLED:
        # The other new columns are orthogonal to the basis only to 41 bits, which is much of what is left here.
        project(basis, new[c])
        project_block(new, c)
        after = norm(new[c])
    if not after > before * TINY:
        return False
    new[c] = [rnd(x / after) for x in new[c]]
    return True


# §6.5 Iterate


def constants(r):
    """(k, b, keep)"""
    if r <= 4:
        return 2, 32, 16
    b = max(32, (3 * r + 15) // 16 * 16)
    return (4 if r <= 16 else 8), b, b // 2


def basis(weights, r):
    """The basis of rank r of a matrix of weight terms."""
    n = len(weights[0])
    k, b, keep = constants(r)
    start = start_columns(n)
    x = orth([], [next(start) for _ in range(k)], start)
    q, z, t = [], [], []
    for p in range(1, MAX_PASSES + 1):
        y = run_pass(weights, x)
        q, z = q + x, z + y
        t = extended(t, q, z)
        x = orth(q, y, start)
        full = len(q) > b - k
        exhausted = all(value == 0.0 for column in x for value in column)
        if k <= 4 and p >= 12 and p % 2 == 0 or full or exhausted:
            theta, s = eigh(t)
            e = min(keep, len(q)) if full else min(r, len(q))
            v, a = combined(q, s, max(e, min(r, len(q)))), combined(z, s, max(e, min(r, len(q))))
            if exhausted or converged(theta, v, a, r):
                return result(theta, v, n, r, p)
            if full:
                q, z = v[:e], a[:e]
                t = [[theta[i] if i == j else 0.0 for j in range(e)] for i in range(e)]
    raise NoBasis("no-convergence")


def gram(x, z):
    """T_ij = dot(X_i, Z_j) for i ≤ j, mirrored."""
    return extended([], x, z)


def extended(t, q, z):
    """T with the rows and columns of the columns of Q that are new."""
    old, size = len(t), len(q)
    t = [row + [0.0] * (size - old) for row in t] + [[0.0] * size for _ in range(size - old)]
    for j in range(old, size):
        for i in range(j + 1):
            t[i][j] = t[j][i] = dot(q[i], z[j])
    return t


def result(theta, v, n, r, passes):
    sigma, columns = [], []
    for c in range(r):
        if c >= len(v) or theta[c] <= TINY * theta[0]:
            sigma.append(0.0)
            columns.append([0.0] * n)
        else:
            sigma.append(sqrt(theta[c]))
            columns.append(unit_column(v[c]))
    return Basis(sigma, columns, passes)


def unit_column(v):
    length = norm(v)
    column = [rnd(x / length) for x in v]
    largest = max(column, key=abs)  # the first, if several
    return column if largest > 0.0 else [rnd(-(x / length)) for x in v]


# §6.6 Check


def combined(columns, s, count):
    """Σ_i columns_i · S_ic for c < count."""
    sums = [[0.0] * len(columns[0]) for _ in range(count)]
    for c in range(count):
        for i, column in enumerate(columns):
            for j, value in enumerate(column):
                sums[c][j] += value * s[i][c]
    return sums


def converged(theta, v, a, r):
    for c in range(min(r, len(v))):
        if theta[c] <= TINY * theta[0]:
            continue
        rest = [a_j - theta[c] * v_j for a_j, v_j in zip(a[c], v[c])]
        if not sqrt(dot(rest, rest)) <= TOLERANCE * theta[0]:
            return False
    return True


def eigh(a):
    """(θ descending, S) of a symmetric matrix; S_ic is entry i of the eigenvector of θ_c."""
    d, e, rows = tridiagonal([list(row) for row in a])
    ql(d, e, rows)
    order = sorted(range(len(d)), key=lambda i: -d[i])  # a stable sort
    return [d[i] for i in order], [[rows[i][l] for i in order] for l in range(len(d))]


def tridiagonal(a):
    """(d, e, B) by Householder reflections; overwrites a."""
    p = len(a)
    b = [[1.0 if i == j else 0.0 for j in range(p)] for i in range(p)]
    e = [0.0] * p
    for c in range(p - 2):
        inner = range(c + 1, p)
        x = [a[i][c] for i in range(p)]
        t = 0.0
        for i in range(c + 2, p):
            t += x[i] * x[i]
        if t == 0.0:
            e[c] = x[c + 1]
            continue
        square = x[c + 1] * x[c + 1] + t
        g = sqrt(square)
        if x[c + 1] > 0.0:
            g = -g
        h = square - x[c + 1] * g
        e[c] = g
        x[c + 1] -= g
        y = [0.0] * p
        for i in inner:
            y[i] = ordered_sum(a[j][i] * x[j] for j in inner) / h
        half = ordered_sum(x[i] * y[i] for i in inner) / (h + h)
        for i in inner:
            y[i] -= half * x[i]
        for i in inner:
            for j in inner:
                a[i][j] -= x[i] * y[j] + y[i] * x[j]
        for l in range(p):
            f = ordered_sum(x[i] * b[i][l] for i in inner) / h
            for i in inner:
                b[i][l] -= x[i] * f
    if p >= 2:
        e[p - 2] = a[p - 1][p - 2]
    return [a[i][i] for i in range(p)], e, b


def ordered_sum(terms):
    """Python's sum() compensates from 3.12 on; this one does not."""
    total = 0.0
    for term in terms:
        total += term
    return total


def rotate_rows(b, i, s, c):
    low, high = b[i], b[i + 1]
    b[i] = [c * x - s * y for x, y in zip(low, high)]
    b[i + 1] = [s * x + c * y for x, y in zip(low, high)]


def ql(d, e, b, rotate=rotate_rows):
    """Implicit QL: d becomes the eigenvalues, the rows of b the eigenvectors."""
    p = len(d)
    largest = max(abs(d_i) + abs(e_i) for d_i, e_i in zip(d, e))

    def negligible(i):
        return abs(e[i]) <= 2.0**-53 * (abs(d[i]) + abs(d[i + 1])) or abs(e[i]) <= 2.0**-80 * largest

    for l in range(p):
        for _ in range(61):
            m = next(m for m in range(l, p) if m == p - 1 or negligible(m))
            if m == l:
                break
            ql_step(d, e, b, l, m, rotate)
        else:
            raise NoBasis("no-convergence")


def ql_step(d, e, b, l, m, rotate):
    g = (d[l + 1] - d[l]) / (e[l] + e[l])
    w = sqrt(g * g + 1.0)
    g = (d[m] - d[l]) + (e[l] / (g - w) if g < 0.0 else e[l] / (g + w))
    s, c, q = 1.0, 1.0, 0.0
    for i in range(m - 1, l - 1, -1):
        f = s * e[i]
        h = c * e[i]
        w = sqrt(f * f + g * g)
        e[i + 1] = w
        if w == 0.0:
            d[i + 1] -= q
            e[m] = 0.0
            return
        s = f / w
        c = g / w
        g = d[i + 1] - q
        w = (d[i] - g) * s + (c + c) * h
        q = s * w
        d[i + 1] = g + q
        g = c * w - h
        rotate(b, i, s, c)
    d[l] -= q
    e[l] = g
    e[m] = 0.0


# §6.7 Basis check


def basis_check(records):
    """The 8 bytes of (name, Basis or Rsvd) pairs in module order."""
    data = b""
    for name, module in records:
        name = name.encode("ascii")
        data += struct.pack("<I", len(name)) + name + struct.pack("<II", *module.shape()) + module.record()
    return check_of(data)


def check_of(data):
    """The 8 bytes of all records, or of the content of a factors section."""
    return derive_key("tlora 2026-11 basis check v1", data)[:8]
