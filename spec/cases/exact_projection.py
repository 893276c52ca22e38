"""The vectors `exact/projection_*`."""

import struct

from adapter_file import V13
from floats import bits64
from projection import mix, native, standard, torch
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
TORCH = (
    # name, seed, seed rule, module number, u, r, rounding
    ("projection_torch_1_value", 42, "shared", 0, 1, 1, "none"),
    ("projection_torch_4_values", 42, "module", 0, 1, 2, "none"),
    ("projection_torch_8_values", 42, "module", 0, 2, 2, "none"),
    ("projection_torch_9_values", 42, "module", 0, 1, 3, "none"),
    ("projection_torch_12_values", 42, "module", 0, 3, 2, "none"),
    ("projection_torch_15_values", 42, "module", 0, 15, 1, "none"),
    ("projection_torch_16_values", 42, "module", 0, 4, 2, "none"),
    ("projection_torch_17_values", 42, "module", 0, 17, 1, "none"),
    ("projection_torch_20_values", 42, "module", 0, 5, 2, "none"),
    ("projection_torch_32_values", 42, "module", 0, 2, 4, "none"),
    ("projection_torch_52_values", 42, "module", 0, 13, 2, "none"),
    ("projection_torch_63_values", 42, "module", 0, 7, 3, "none"),
    ("projection_torch_rank_64", 42, "module", 3, 1, 64, "none"),
    ("projection_torch_rank_64_bf16", 42, "shared", 3, 1, 64, "bf16"),
    ("projection_torch_8_values_bf16", 42, "module", 5, 2, 2, "bf16"),
    ("projection_torch_8_values_f16", 42, "module", 5, 2, 2, "f16"),
    ("projection_torch_52_values_bf16", 42, "module", 5, 13, 2, "bf16"),
    ("projection_torch_52_values_f16", 42, "module", 5, 13, 2, "f16"),
    ("projection_torch_module_7", 42, "module", 7, 13, 2, "none"),
    ("projection_torch_module_7_shared", 42, "shared", 7, 13, 2, "none"),
    ("projection_torch_seed_0", 0, "shared", 0, 13, 2, "none"),
    ("projection_torch_seed_above_32_bits", 2**32 + 42, "module", 0, 13, 2, "none"),
    ("projection_torch_sum_above_32_bits", 2**32 - 1, "module", 5, 13, 2, "none"),
    ("projection_torch_sum_above_64_bits", 2**64 - 1, "module", 43, 3, 2, "none"),
    ("projection_torch_seed_largest_shared", 2**64 - 1, "shared", 43, 3, 2, "none"),
    # Seeds that draw a uniform number 0: as radius (the value would be -0, were it not made +0), or as angle.
    ("projection_torch_zero_radius_6", 1753191, "shared", 0, 4, 2, "none"),
    ("projection_torch_zero_radius_5", 2934939, "shared", 0, 4, 2, "bf16"),
    ("projection_torch_zero_radius_0", 5528393, "shared", 0, 4, 2, "none"),
    ("projection_torch_zero_angle", 2518796, "shared", 0, 4, 2, "none"),
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
    for name, seed, rule, number, u, r, rounding in TORCH:
        headers = {"kind": "torch", "seed": seed, "seed_rule": rule, "module_number": number,
                   "projection_rounding": rounding}
        yield name, projected(headers, torch(seed, rule, number, u, r, rounding), u, r)
    # 0.1 and 0.3 are not exact, so that the order of the sum and its roundings show.
    p, v = native(NAME, 7, 13, 2), [0.1 * (i + 1) - 0.3 for i in range(13)]
    yield "projection_inexact_v", projected({"kind": "native", "module": NAME, "seed": 7}, p, 13, 2, v)


def projected(headers, p, u, r, v=None):
    v = v or [V13[i % 13] for i in range(u)]
    bits = ",".join(f"{bits64(v_i):016x}" for v_i in v)
    return pack({**headers, "u": u, "rank": r, "v": bits}, doubles(p) + doubles([mix(v, p, r)]))
