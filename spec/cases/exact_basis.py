"""The vectors `exact/basis_*`."""

from dataclasses import dataclass

import basis
from basis import NoBasis
from floats import bits64
from vector import pack
from weights import bf16_bits, counter_bits, diagonal, packed, upcast

try:
    import basis_numpy
except ImportError:
    basis_numpy = None

# Below this many weights plain Python is used, so that the small vectors come from the literal implementation.
SMALL = 3000


@dataclass
class Case:
    name: str
    dtype: str
    m: int
    n: int
    rank: int
    weights: str
    data: bytes
    extra: dict


def compute(dtype, m, n, data, rank):
    if basis_numpy and m * n > SMALL:
        return basis_numpy.basis(basis_numpy.Weights(dtype, m, n, data), rank)
    return basis.basis(basis.weight_matrix(dtype, m, n, data), rank)


def made(name, dtype, m, n, rank, kind, seed, **extra):
    """Weights that a counter makes."""
    return Case(name, dtype, m, n, rank, f"{kind} {seed}", packed(dtype, counter_bits(dtype, kind, seed, m, n)), extra)


def raised(name, m, n, rank, kind, seed):
    """The bf16 weights of a counter, given as f32."""
    bits = upcast(counter_bits("bf16", kind, seed, m, n))
    return Case(name, "f32", m, n, rank, f"{kind} {seed}", packed("f32", bits), {"weights_dtype": "bf16"})


def given(name, dtype, m, n, rank, bits, **extra):
    """Weights that stand in the file."""
    return Case(name, dtype, m, n, rank, "inline", packed(dtype, bits), extra)


def repeated_rows(seed, m, n, distinct):
    """Only `distinct` different rows, so that the rank is at most that."""
    bits = counter_bits("bf16", "flat", seed, distinct, n)
    return [bits[(i % distinct) * n + j] for i in range(m) for j in range(n)]


def with_one(bits, index, value):
    return [value if i == index else b for i, b in enumerate(bits)]


def flat(m, n, seed=9, **lowest):
    return counter_bits("bf16", "flat", seed, m, n, **lowest)


def tied(*values):
    return bf16_bits(diagonal(values, len(values), len(values)))


def cases():
    yield from RANKS
    yield from SHAPES
    yield from DTYPES
    yield from DEGENERATE
    yield from TIES
    yield from SCALES
    yield from NOT_FINITE


RANKS = (
    made("basis_rank_1", "bf16", 30, 40, 1, "flat", 1),
    made("basis_rank_2", "bf16", 30, 40, 2, "flat", 1),
    made("basis_rank_3", "bf16", 30, 40, 3, "flat", 1),
    made("basis_rank_4", "bf16", 30, 40, 4, "flat", 1),
    made("basis_rank_5", "bf16", 30, 40, 5, "flat", 1),
    made("basis_rank_8", "bf16", 30, 40, 8, "flat", 1),
    made("basis_rank_16", "bf16", 30, 40, 16, "flat", 1),
    made("basis_rank_17", "bf16", 30, 40, 17, "flat", 1),
    made("basis_rank_16_restarts", "bf16", 200, 220, 16, "flat", 2),
    made("basis_rank_33", "bf16", 150, 140, 33, "flat", 2),
    made("basis_rank_64", "bf16", 260, 300, 64, "flat", 2),
)

SHAPES = (
    given("basis_1x1", "bf16", 1, 1, 1, bf16_bits((-3.0,))),
    made("basis_1x7", "bf16", 1, 7, 1, "flat", 3),
    made("basis_9x1", "bf16", 9, 1, 1, "flat", 3),
    made("basis_2x2", "bf16", 2, 2, 2, "flat", 3),
    # Entries that are equal once they are rounded, and before that are not: the first of them is made positive.
    given("basis_sign_of_equal_entries", "bf16", 1, 10, 1, bf16_bits((1.0, -1.0) * 5)),
    made("basis_wide_12x50", "bf16", 12, 50, 2, "flat", 3),
    made("basis_tall_50x12", "bf16", 50, 12, 2, "flat", 3),
    made("basis_n_15", "bf16", 20, 15, 2, "flat", 3),
    made("basis_n_16", "bf16", 20, 16, 2, "flat", 3),
    made("basis_n_17", "bf16", 20, 17, 2, "flat", 3),
    made("basis_rows_127", "bf16", 127, 20, 2, "flat", 4),
    made("basis_rows_128", "bf16", 128, 20, 2, "flat", 4),
    made("basis_rows_129", "bf16", 129, 20, 2, "flat", 4),
    made("basis_rows_300", "bf16", 300, 70, 2, "flat", 4),
    made("basis_restarts", "bf16", 400, 500, 2, "flat", 5),
    made("basis_896x4864", "bf16", 896, 4864, 2, "graded", 6),
    made("basis_513x129_rank_8", "bf16", 513, 129, 8, "graded", 6),
)

DTYPES = (
    made("basis_f16", "f16", 40, 50, 2, "flat", 7),
    made("basis_f16_300x200", "f16", 300, 200, 4, "graded", 7),
    made("basis_f32", "f32", 40, 50, 2, "flat", 7),
    made("basis_f32_300x200", "f32", 300, 200, 5, "graded", 7),
    made("basis_upcast_from_bf16", "bf16", 60, 40, 3, "flat", 8),
    raised("basis_upcast_to_f32", 60, 40, 3, "flat", 8),
    given("basis_f16_subnormal", "f16", 6, 8, 2, counter_bits("f16", "flat", 8, 6, 8, lowest=0)),
)

DEGENERATE = (
    given("basis_zero", "bf16", 6, 20, 2, [0] * 120),
    given("basis_minus_zero", "bf16", 6, 20, 2, [0x8000] * 120),
    given("basis_one_entry", "bf16", 6, 20, 2, with_one([0] * 120, 47, 0xBF80)),
    given("basis_rank_1_of_2", "bf16", 8, 20, 2, repeated_rows(9, 8, 20, 1)),
    given("basis_rank_2_of_4", "bf16", 8, 20, 4, repeated_rows(9, 8, 20, 2)),
    given("basis_rank_3_of_8", "bf16", 12, 40, 8, repeated_rows(9, 12, 40, 3)),
    given("basis_rank_5_of_17", "bf16", 20, 40, 17, repeated_rows(9, 20, 40, 5)),
    given("basis_cancellation", "f32", 17, 33, 5, counter_bits("f32", "flat", 10, 17, 33)),
    made("basis_asked_rank_above_rows", "bf16", 3, 20, 3, "flat", 9, asked_rank=8),
    made("basis_asked_rank_above_columns", "bf16", 20, 5, 5, "flat", 9, asked_rank=64),
)

TIES = (
    given("basis_tie_of_2", "bf16", 8, 8, 2, tied(4, 4, 2, 1, 1, 0.5, 0.5, 0.25)),
    given("basis_tie_at_the_cut", "bf16", 8, 8, 2, tied(4, 2, 2, 1, 1, 0.5, 0.5, 0.25)),
    given("basis_tie_of_3", "bf16", 8, 8, 3, tied(1, 4, 0.5, 4, 2, 4, 0.5, 0.25)),
    given("basis_tie_of_5", "bf16", 10, 10, 5, tied(4, 1, 4, 0.5, 4, 0.25, 4, 2, 4, 0.125)),
    given("basis_identity_times_4", "bf16", 12, 12, 5, tied(*[4] * 12)),
    given("basis_identity_rank_2", "bf16", 40, 40, 2, tied(*[1] * 40)),
    given("basis_gap_of_one_bf16_step", "bf16", 6, 6, 2, tied(1, 1.0078125, 1, 0.5, 0.5, 0.5)),
)

SCALES = (
    given("basis_f32_near_1e-38", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=0)),
    given("basis_f32_near_3e38", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=251)),
    given("basis_bf16_subnormal", "bf16", 12, 20, 2, [b & 0x807F for b in flat(12, 20)]),
    given("basis_bf16_largest", "bf16", 12, 20, 2, flat(12, 20, lowest=251)),
    given("basis_f32_smallest_subnormal", "f32", 2, 3, 1, [0, 1, 0, 0, 0, 0x80000001]),
)

NOT_FINITE = (
    given("basis_nan", "bf16", 6, 20, 2, with_one(flat(6, 20), 119, 0x7FC0)),
    given("basis_nan_f32_low_payload", "f32", 2, 3, 1, [0x3F800000] * 5 + [0x7F800001]),
    given("basis_infinity", "bf16", 6, 20, 2, with_one(flat(6, 20), 0, 0x7F80)),
    given("basis_minus_infinity_f16", "f16", 2, 3, 1, [0x3C00] * 5 + [0xFC00]),
    given("basis_infinities_of_both_signs", "bf16", 2, 3, 1, [0x7F80, 0xFF80, 0, 0, 0, 0]),
    given("basis_nan_in_zeros", "f32", 2, 3, 1, [0, 0, 0, 0, 0x7FC00000, 0]),
)


def vectors():
    """Yields (file name, bytes)."""
    for case in cases():
        headers = {"dtype": case.dtype, "m": case.m, "n": case.n, "rank": case.rank, **case.extra,
                   "weights": case.weights}
        payload = case.data if case.weights == "inline" else b""
        try:
            found = compute(case.dtype, case.m, case.n, case.data, case.rank)
        except NoBasis as error:
            yield case.name, pack({"expect": error, **headers}, payload)
            continue
        headers |= {
            "passes": found.passes,
            "effective_rank": found.effective_rank(),
            "sigma": ",".join(f"{bits64(sigma):016x}" for sigma in found.sigma),
            "fingerprint": found.fingerprint(),
        }
        yield case.name, pack({"expect": "ok", **headers}, payload)
