"""Weights of the exact vectors: made from a counter, or given as bits (`vectors/README.md`)."""

import struct

from basis import splitmix
from floats import FORMATS

# dtype: (lowest exponent field, where the fraction sits in the hash)
FIELDS = {"bf16": (120, 33), "f16": (8, 20), "f32": (120, 0)}


def counter_bits(dtype, kind, seed, m, n, lowest=None):
    """The bit patterns of an m x n weight, row by row."""
    _, fraction_bits, exponent_bits = FORMATS[dtype]
    base, shift = FIELDS[dtype]
    base = base if lowest is None else lowest
    bits = []
    for t in range(m * n):
        h = splitmix(seed << 32 | t)
        column = t % n + 1
        grade = min((column & -column).bit_length() - 1, 6) if kind == "graded" else 0
        exponent = base + (h >> 40 & 3) + grade
        fraction = h >> shift & (1 << fraction_bits) - 1
        bits.append((h >> 63 << exponent_bits | exponent) << fraction_bits | fraction)
    return bits


def packed(dtype, bits):
    return struct.pack(f"<{len(bits)}{'I' if dtype == 'f32' else 'H'}", *bits)


def upcast(bits):
    """bf16 bit patterns as those of the same values in f32."""
    return [b << 16 for b in bits]


def bf16_bits(values):
    return [struct.unpack("<I", struct.pack("<f", value))[0] >> 16 for value in values]


def diagonal(values, m, n):
    """Values on the diagonal of a zero matrix, row by row."""
    return [values[i] if i == j and i < len(values) else 0.0 for i in range(m) for j in range(n)]
