"""The rsvd basis of spec §6.9, step by step.

`engine` is the module `basis`, for plain Python, or `basis_numpy`, for the same bits faster; `weights` are in its form.
"""

from dataclasses import dataclass
from math import sqrt

from basis import TINY, packed_columns
from blake3 import blake3
from floats import f32
from logarithm import ln
from mersenne import mt19937


@dataclass
class Rsvd:
    """U (a list of columns) and the factor A (a list of rows); B is U."""

    u: list
    a: list

    def effective_rank(self):
        return sum(any(column) for column in self.u)

    def shape(self):
        return len(self.u), len(self.u[0])

    def record(self):
        """U as §6.7 arranges it."""
        return packed_columns(self.u)

    def fingerprint(self):
        return blake3(self.record()).hex()

    def factors(self):
        """(B, A), both as lists of rows."""
        return [list(row) for row in zip(*self.u)], self.a


def rsvd(engine, weights, m, n, r, seed, n_iter, oversample):
    """The basis of an m x n weight for the module's rank r."""
    starts = Starts(engine)
    q = min(m, n)
    x = engine.column_set(omega(seed, q, r + oversample, min(r + oversample, q)))
    if m <= n:
        theta, u = wide(engine, weights, starts, x, r, n_iter)
    else:
        theta, u = tall(engine, weights, starts, x, r, n_iter)
    columns = [[0.0] * m if theta[c] <= TINY * theta[0] else engine.unit_column(u[c]) for c in range(r)]
    a = engine.right(weights, engine.column_set(columns))
    return Rsvd([list(map(float, column)) for column in columns], [list(map(float, row)) for row in a])


def wide(engine, weights, starts, x, r, n_iter):
    x = starts.orth(engine.right(weights, x))
    for _ in range(n_iter):
        x = starts.orth(engine.run_pass(weights, x))
    theta, s = engine.eigh(engine.gram(x, engine.run_pass(weights, x)))
    v = engine.rounded(engine.combined(x, s, r))
    return theta, engine.products(weights, v)


def tall(engine, weights, starts, x, r, n_iter):
    x = starts.orth(x)
    for _ in range(n_iter):
        x = starts.orth(engine.run_pass(weights, x))
    y = starts.orth(engine.left(weights, x))
    g = engine.right(weights, y)
    theta, s = engine.eigh(engine.gram(g, g))
    return theta, engine.combined(y, s, r)


class Starts:
    """The start columns of a module: one count for all, of the length that is asked for."""

    def __init__(self, engine):
        self.engine, self.length, self.c = engine, 0, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.c += 1
        return self.engine.start_column(self.c - 1, self.length)

    def orth(self, columns):
        self.length = len(columns[0])
        return self.engine.orth(self.engine.column_set([]), columns, self)


def omega(seed, q, drawn, kept):
    """The first `kept` columns of a row-major q x `drawn` matrix of normal numbers, each as binary32."""
    numbers = normals(mt19937(seed))
    rows = [[next(numbers) for _ in range(drawn)] for _ in range(q)]
    return [[f32(row[c]) for row in rows] for c in range(kept)]


def normals(outputs):
    """The polar method of NumPy's RandomState."""
    while True:
        x1 = 2.0 * uniform(outputs) - 1.0
        x2 = 2.0 * uniform(outputs) - 1.0
        rho = x1 * x1 + x2 * x2
        if rho >= 1.0 or rho == 0.0:
            continue
        f = sqrt(-2.0 * ln(rho) / rho)
        yield f * x2
        yield f * x1


def uniform(outputs):
    high, low = next(outputs) >> 5, next(outputs) >> 6
    return (high * 2**26 + low) * 2.0**-53
