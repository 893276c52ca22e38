"""The vectors `exact/projection_*`."""

import struct

from adapter_file import V13
from floats import bits64
from projection import mix, native, standard
from vector import pack

NAME = "model.layers.0.self_attn.q_proj"

NATIVE = (
    ("projection_paper", NAME, 42, 13, 2),
    ("projection_rank_1", NAME, 42, 1, 1),
    ("projection_rank_3", NAME, 42, 2, 3),
    ("projection_rank_8", NAME, 42, 2, 8),
    ("projection_seed_0", NAME, 0, 1, 2),
    ("projection_seed_largest", NAME, 2**64 - 1, 1, 2),
    ("projection_seed_high_half", NAME, 2**32, 1, 2),
    ("projection_other_module", "model.layers.10.mlp.down_proj", 42, 13, 2),
    ("projection_name_of_1_byte", "a", 42, 1, 2),
)
STANDARD = (
    ("projection_standard_rank_2", 2, 2),
    ("projection_standard_rank_3", 3, 3),
    ("projection_standard_module_rank_below", 3, 2),
)


def doubles(matrices):
    values = [value for matrix in matrices for row in matrix for value in row]
    return struct.pack(f"<{len(values)}d", *values)


def vectors():
    """Yields (file name, bytes)."""
    for name, module, seed, u, r in NATIVE:
        yield name, projected({"kind": "native", "module": module, "seed": seed}, native(module, seed, u, r), u, r)
    for name, file_rank, r in STANDARD:
        p = standard(file_rank, r)
        yield name, projected({"kind": "standard", "file_rank": file_rank}, p, file_rank ** 2, r)
    # 0.1 and 0.3 are not exact, so that the order of the sum and its roundings show.
    p, v = native(NAME, 7, 13, 2), [0.1 * (i + 1) - 0.3 for i in range(13)]
    yield "projection_inexact_v", projected({"kind": "native", "module": NAME, "seed": 7}, p, 13, 2, v)


def projected(headers, p, u, r, v=None):
    v = v or [V13[i % 13] for i in range(u)]
    bits = ",".join(f"{bits64(v_i):016x}" for v_i in v)
    return pack({**headers, "u": u, "rank": r, "v": bits}, doubles(p) + doubles([mix(v, p, r)]))
