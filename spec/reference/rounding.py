"""PEFT's chain of roundings, and the corrections of it (spec §6.10)."""

from math import sqrt

from basis import NoBasis
from floats import FORMATS, decode, encode, nearest


class CorrectionError(Exception):
    """A correction finds no entry, or nothing to step to."""


def rounded_factors(products, found, dtype):
    """(B, A) as lists of rows. `products` is W·V, column by column; `found` is the exact basis."""
    b, a = [], []
    for y, sigma, v in zip(products, found.sigma, found.v):
        if sigma == 0.0:
            b.append([0.0] * len(y))
            a.append([0.0] * len(v))
            continue
        q = to(dtype, sqrt(to(dtype, sigma)))
        b.append([to(dtype, to(dtype, y_i / sigma) * q) for y_i in y])
        a.append([to(dtype, q * to(dtype, v_j)) for v_j in v])
    return [list(row) for row in zip(*b)], a


def to(dtype, x):
    value = nearest(dtype, x)
    if value is None:
        raise NoBasis("non-finite")
    return value


def correct(factors, steps, dtype):
    """Applies (entry, step) pairs to the (B, A) of all modules in module order, in place."""
    entries = [(row, k) for b, a in factors for matrix in (b, a) for row in matrix for k in range(len(row))]
    for entry, step in steps:
        if entry >= len(entries):
            raise CorrectionError(f"there is no entry {entry}")
        row, k = entries[entry]
        row[k] = stepped(row[k], step, dtype)


def stepped(x, step, dtype):
    bits = encode(dtype, x)
    size, fraction_bits, exponent_bits = FORMATS[dtype]
    sign = bits >> 8 * size - 1 << 8 * size - 1
    magnitude = bits - sign + step
    if magnitude < 0 or magnitude >> fraction_bits == (1 << exponent_bits) - 1:
        raise CorrectionError(f"{x} has no next number")
    return decode(dtype, sign | magnitude)
