"""Projections P and the r x r matrix R (spec §7)."""

import struct
from math import sqrt

from blake3 import derive_key

CONTEXT = "tlora 2026-11 projection v1"


def native(name, seed, u, r):
    """P as u matrices of r rows."""
    stream = derive_key(CONTEXT, struct.pack("<Q", seed) + name.encode("ascii"), 32 * u * r * r)

    def entry(t):
        ones = int.from_bytes(stream[32 * t:32 * t + 32], "little").bit_count()
        return (ones - 128) / 8 / sqrt(r)

    return [[[entry((i * r + j) * r + k) for k in range(r)] for j in range(r)] for i in range(u)]


def standard(file_rank, r):
    """P_i has its single 1 at row i / r0, column i mod r0, with r0 the rank of the file."""
    return [[[float(i == j * file_rank + k) for k in range(r)] for j in range(r)] for i in range(file_rank ** 2)]


def mix(v, p, r):
    """R = Σ_i v_i P_i, i ascending from +0."""
    total = [[0.0] * r for _ in range(r)]
    for v_i, p_i in zip(v, p):
        for j in range(r):
            for k in range(r):
                total[j][k] += v_i * p_i[j][k]
    return total
