"""Projections P and the r x r matrix R (spec §7)."""

import struct
from math import sqrt

from blake3 import derive_key
from floats import nearest
from torch_normal import torch_normal

CONTEXT = "tlora 2026-11 projection v1"


def native(name, seed, u, r):
    """P as u matrices of r rows."""
    stream = derive_key(CONTEXT, struct.pack("<Q", seed) + name.encode("ascii"), 32 * u * r * r)

    def entry(t):
        ones = int.from_bytes(stream[32 * t:32 * t + 32], "little").bit_count()
        return (ones - 128) / 8 / sqrt(r)

    return matrices([entry(t) for t in range(u * r * r)], r)


def torch(seed, seed_rule, module_number, u, r, rounding="none"):
    """P of a module; `seed_rule` is `module` or `shared`."""
    seed = (seed + (module_number if seed_rule == "module" else 0)) % 2**64 % 2**32
    values = torch_normal(seed, u * r * r, 1.0 / sqrt(r))
    return matrices(values if rounding == "none" else [nearest(rounding, x) for x in values], r)


def matrices(values, r):
    """Row-major values as a list of r x r matrices."""
    rows = [values[at:at + r] for at in range(0, len(values), r)]
    return [rows[at:at + r] for at in range(0, len(rows), r)]


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
