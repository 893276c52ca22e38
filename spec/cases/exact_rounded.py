"""The vectors `exact/rounded_*`."""

import struct

from adapter_file import corrections
from basis import NoBasis
from exact_basis import counter_bits, flat, given, made, repeated_rows, tied, with_one
from exact_factors import factors_hash, rounded_basis
from rounding import CorrectionError
from vector import pack
from weights import bf16_bits, diagonal

# A 9 x 20 weight of rank 2 has 18 entries of B and 40 of A.
ENTRIES = 58


def corrected(name, content, target="bf16", dtype="bf16"):
    return made(name, dtype, 9, 20, 2, "flat", 21), target, content


def f32_bits(values):
    return [struct.unpack("<I", struct.pack("<f", value))[0] for value in values]


def singular(name, values, target, m=3, n=4):
    """A weight with these values on its diagonal."""
    return given(name, "f32", m, n, len(values), f32_bits(diagonal(values, m, n))), target, b""


def one(name, value, target="f16", content=b""):
    return given(name, "f32", 1, 1, 1, f32_bits([value])), target, content


def stepping(name, *moves):
    return (*singular(name, (4.0, 1.0), "bf16", 3, 3)[:2], corrections(*moves))


def tiny(name, *moves):
    """A column (1, -2^-25, 2^-15, 2^-24): its B in f16 is 1, -0, 2^-15, 2^-24, and its A is 1."""
    return given(name, "f32", 4, 1, 1, [0x3F800000, 0xB3000000, 0x38000000, 0x33800000]), "f16", corrections(*moves)


CASES = (
    (made("rounded_bf16", "bf16", 9, 20, 2, "flat", 21), "bf16", b""),
    (made("rounded_f16", "f16", 9, 20, 2, "flat", 21), "f16", b""),
    (made("rounded_f32_to_bf16", "f32", 20, 9, 3, "flat", 21), "bf16", b""),
    (made("rounded_bf16_to_f16", "bf16", 20, 9, 3, "flat", 21), "f16", b""),
    (made("rounded_rank_5", "bf16", 30, 40, 5, "flat", 1), "bf16", b""),
    (made("rounded_rank_16_graded", "f16", 150, 40, 16, "graded", 1), "f16", b""),
    (given("rounded_rank_2_of_4", "bf16", 8, 20, 4, repeated_rows(9, 8, 20, 2)), "bf16", b""),
    (given("rounded_zero", "bf16", 6, 20, 2, [0] * 120), "bf16", b""),
    (given("rounded_1x1_negative", "bf16", 1, 1, 1, bf16_bits((-3.0,))), "bf16", b""),
    (given("rounded_tie_of_2", "bf16", 8, 8, 2, tied(4, 4, 2, 1, 1, 0.5, 0.5, 0.25)), "bf16", b""),
    # sizes of the singular values: of f16 the largest is 65504, the smallest normal 2^-14, the smallest of all 2^-24
    singular("rounded_f16_largest", (65504.0, 2.0), "f16"),
    one("rounded_f16_just_below_overflow", 65520.0 - 2.0**-8),
    one("rounded_f16_overflow_tie", 65520.0),
    singular("rounded_f16_overflow", (65536.0, 2.0), "f16"),
    singular("rounded_f16_sigma_subnormal", (2.0**-15, 2.0**-22 + 2.0**-24), "f16"),
    singular("rounded_f16_sigma_half_of_smallest", (2.0**-20, 2.0**-25), "f16"),
    singular("rounded_f16_sigma_rounds_to_zero", (2.0**-20, 2.0**-26), "f16"),
    singular("rounded_bf16_largest", (3.3895313892515355e38, 2.0**100), "bf16"),
    (given("rounded_bf16_overflow", "bf16", 2, 4, 1, [0x7F7F] * 8), "bf16", b""),
    singular("rounded_bf16_subnormal", (2.0**-127, 2.0**-130), "bf16"),
    (given("rounded_f16_vectors_subnormal", "f32", 2, 3, 2,
           [0x42800000, 0x38D1B717, 0xB3D6BF95, 0x33D6BF95, 0xB58637BD, 0x3F800000]), "f16", b""),
    (given("rounded_bf16_vectors_subnormal", "f32", 2, 3, 1,
           [0x3F800000, 0x00400001, 0x80200001, 0x00180000, 0, 0]), "bf16", b""),
    (given("rounded_near_1e-38", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=0)), "bf16", b""),
    (given("rounded_near_1e-38_to_f16", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=0)),
     "f16", b""),
    (given("rounded_nan", "bf16", 6, 20, 2, with_one(flat(6, 20), 119, 0x7FC0)), "bf16", b""),
    # corrections
    corrected("rounded_first_up", corrections((1, 1))),
    corrected("rounded_first_down", corrections((1, -1))),
    corrected("rounded_last_of_b", corrections((18, 1))),
    corrected("rounded_first_of_a", corrections((19, -1))),
    corrected("rounded_second_row_of_a", corrections((18 + 21, 1))),
    corrected("rounded_last", corrections((ENTRIES, -1))),
    corrected("rounded_every_entry", corrections(*[(1, 1 if i % 3 else -1) for i in range(ENTRIES)])),
    corrected("rounded_three_steps", corrections((7, -1), (0, -1), (0, -1), (20, 1), (0, 1))),
    corrected("rounded_f16_corrected", corrections((3, 1), (9, -1), (30, 1)), "f16", "f16"),
    corrected("rounded_beyond_the_last", corrections((5, 1), (ENTRIES - 4, 1))),
    corrected("rounded_far_beyond", corrections((2**63 - 1, 1))),
    # The diagonal 4, 1: B is 2 0 / 0 1 / 0 0 and A is 2 0 0 / 0 1 0, with zeros at the entries 1, 2, 4, 5, 7, 8, …
    # The diagonal 4, 1 in 3 x 3: entry 0 of B is 2, and the entries 4 and 5, the last row of B, are zeros.
    stepping("rounded_zero_up", (5, 1)),
    stepping("rounded_zero_up_twice", (5, 1), (0, 1)),
    stepping("rounded_zero_down", (6, -1)),
    stepping("rounded_power_of_2_down", (1, -1)),
    stepping("rounded_second_correction_is_an_error", (1, 1), (5, -1)),
    tiny("rounded_minus_zero"),
    tiny("rounded_minus_zero_up", (2, 1)),
    tiny("rounded_minus_zero_down", (2, -1)),
    tiny("rounded_subnormal_steps", (3, 1), (1, 1)),
    tiny("rounded_smallest_down", (4, -1)),
    tiny("rounded_smallest_down_twice", (4, -1), (0, -1)),
    # The weight 65504: B and A are 255.875 in f16, 8,193 steps below the infinity.
    one("rounded_up_to_the_largest", 65504.0, content=corrections((1, 1), *[(0, 1)] * 8191)),
    one("rounded_up_to_the_infinity", 65504.0, content=corrections((1, 1), *[(0, 1)] * 8192)),
)


def vectors():
    """Yields (file name, bytes)."""
    for case, target, content in CASES:
        headers = {"dtype": case.dtype, "m": case.m, "n": case.n, "rank": case.rank, "weights": case.weights,
                   "rounding": target, "corrections": content.hex() or "none"}
        payload = case.data if case.weights == "inline" else b""
        try:
            factors = rounded_basis(case.dtype, case.m, case.n, case.data, case.rank, target, content)
        except NoBasis as error:
            yield case.name, pack({"expect": error, **headers}, payload)
        except CorrectionError:
            yield case.name, pack({"expect": "correction", **headers}, payload)
        else:
            yield case.name, pack({"expect": "ok", **headers, "factors": factors_hash(factors)}, payload)
