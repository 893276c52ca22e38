"""The vectors `exact/rsvd_*`."""

from basis import NoBasis
from exact_basis import counter_bits, flat, given, made, raised, repeated_rows, tied, with_one
from exact_factors import factors_hash, rsvd_basis
from vector import pack

# seed, n_iter, oversample: LoRA-XS's own
LORA_XS = (42, 10, 10)

CASES = (
    # m < n, m = n and m > n
    (made("rsvd_wide", "bf16", 30, 50, 2, "flat", 1), LORA_XS),
    (made("rsvd_square", "bf16", 40, 40, 2, "flat", 1), LORA_XS),
    (made("rsvd_tall", "bf16", 50, 30, 2, "flat", 1), LORA_XS),
    (made("rsvd_wide_f16", "f16", 30, 50, 4, "flat", 2), LORA_XS),
    (made("rsvd_tall_f16", "f16", 50, 30, 4, "flat", 2), LORA_XS),
    (made("rsvd_wide_f32", "f32", 20, 33, 3, "flat", 2), LORA_XS),
    (made("rsvd_square_f32", "f32", 24, 24, 3, "graded", 2), LORA_XS),
    (made("rsvd_tall_f32", "f32", 33, 20, 3, "flat", 2), LORA_XS),
    (made("rsvd_upcast_from_bf16", "bf16", 26, 40, 3, "flat", 8), LORA_XS),
    (raised("rsvd_upcast_to_f32", 26, 40, 3, "flat", 8), LORA_XS),
    (made("rsvd_wide_129x300", "bf16", 129, 300, 8, "graded", 3), LORA_XS),
    (made("rsvd_tall_300x129", "bf16", 300, 129, 8, "graded", 3), LORA_XS),
    (made("rsvd_wide_100x256_rank_64", "bf16", 100, 256, 64, "flat", 3), (42, 2, 10)),
    (made("rsvd_tall_256x100_rank_65", "f32", 256, 100, 65, "flat", 3), (42, 1, 10)),
    # the options
    (made("rsvd_seed_0", "bf16", 20, 30, 2, "flat", 4), (0, 10, 10)),
    (made("rsvd_seed_largest", "bf16", 20, 30, 2, "flat", 4), (2**32 - 1, 10, 10)),
    (made("rsvd_wide_no_iteration", "bf16", 20, 30, 2, "flat", 4), (42, 0, 10)),
    (made("rsvd_tall_no_iteration", "bf16", 30, 20, 2, "flat", 4), (42, 0, 10)),
    (made("rsvd_one_iteration", "bf16", 20, 30, 2, "flat", 4), (42, 1, 10)),
    (made("rsvd_wide_no_oversample", "bf16", 20, 30, 3, "flat", 4), (42, 4, 0)),
    (made("rsvd_tall_no_oversample", "bf16", 30, 20, 3, "flat", 4), (42, 4, 0)),
    (made("rsvd_odd_count_of_normals", "bf16", 7, 9, 2, "flat", 4), (42, 4, 1)),
    (made("rsvd_as_many_columns_as_rows", "bf16", 12, 20, 2, "flat", 4), (42, 4, 10)),
    (made("rsvd_oversample_beyond_rows", "bf16", 9, 20, 2, "flat", 4), LORA_XS),
    (made("rsvd_oversample_beyond_columns", "bf16", 20, 9, 2, "flat", 4), LORA_XS),
    (made("rsvd_oversample_100", "bf16", 9, 9, 2, "flat", 4), (42, 3, 100)),
    # the rank
    (made("rsvd_rank_1", "bf16", 20, 30, 1, "flat", 5), LORA_XS),
    (made("rsvd_asked_rank_above_rows", "bf16", 3, 20, 3, "flat", 5, asked_rank=255), LORA_XS),
    (made("rsvd_asked_rank_above_columns", "bf16", 20, 5, 5, "flat", 5, asked_rank=16), LORA_XS),
    (made("rsvd_1x1", "bf16", 1, 1, 1, "flat", 5), LORA_XS),
    (made("rsvd_1x7", "bf16", 1, 7, 1, "flat", 5), LORA_XS),
    (made("rsvd_9x1", "bf16", 9, 1, 1, "flat", 5), LORA_XS),
    (given("rsvd_wide_rank_3_of_5", "bf16", 20, 30, 5, repeated_rows(9, 20, 30, 3)), LORA_XS),
    (given("rsvd_tall_rank_3_of_5", "bf16", 30, 20, 5, repeated_rows(9, 30, 20, 3)), LORA_XS),
    (given("rsvd_tall_rank_1_no_iteration", "bf16", 30, 20, 2, repeated_rows(9, 30, 20, 1)), (42, 0, 10)),
    (given("rsvd_wide_zero", "bf16", 6, 20, 2, [0] * 120), LORA_XS),
    (given("rsvd_tall_zero", "bf16", 20, 6, 2, [0] * 120), LORA_XS),
    (given("rsvd_minus_zero", "bf16", 6, 20, 2, [0x8000] * 120), LORA_XS),
    (given("rsvd_one_entry", "bf16", 6, 20, 2, with_one([0] * 120, 47, 0xBF80)), LORA_XS),
    (given("rsvd_identity", "bf16", 12, 12, 3, tied(*[1] * 12)), (42, 3, 2)),
    (given("rsvd_tie_at_the_cut", "bf16", 8, 8, 2, tied(4, 2, 2, 1, 1, 0.5, 0.5, 0.25)), (42, 6, 1)),
    # sizes of the weights
    (given("rsvd_f32_near_1e-38", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=0)), LORA_XS),
    (given("rsvd_f32_near_3e38", "f32", 12, 20, 2, counter_bits("f32", "flat", 11, 12, 20, lowest=251)), LORA_XS),
    (given("rsvd_bf16_subnormal", "bf16", 20, 12, 2, [b & 0x807F for b in flat(20, 12)]), LORA_XS),
    (given("rsvd_f16_subnormal", "f16", 6, 8, 2, counter_bits("f16", "flat", 8, 6, 8, lowest=0)), LORA_XS),
    # not finite
    (given("rsvd_wide_nan", "bf16", 6, 20, 2, with_one(flat(6, 20), 119, 0x7FC0)), LORA_XS),
    (given("rsvd_tall_nan", "f32", 3, 2, 1, [0x3F800000] * 5 + [0x7F800001]), LORA_XS),
    (given("rsvd_wide_infinity_no_iteration", "bf16", 6, 20, 2, with_one(flat(6, 20), 0, 0x7F80)), (42, 0, 0)),
    (given("rsvd_tall_infinity_no_iteration", "f16", 3, 2, 1, [0x3C00] * 5 + [0xFC00]), (42, 0, 0)),
    (given("rsvd_nan_in_zeros", "f32", 2, 3, 1, [0, 0, 0, 0, 0x7FC00000, 0]), LORA_XS),
)


def vectors():
    """Yields (file name, bytes)."""
    for case, options in CASES:
        headers = {"dtype": case.dtype, "m": case.m, "n": case.n, "rank": case.rank, **case.extra,
                   "weights": case.weights, **dict(zip(("seed", "n_iter", "oversample"), options))}
        payload = case.data if case.weights == "inline" else b""
        try:
            found = rsvd_basis(case.dtype, case.m, case.n, case.data, case.rank, options)
        except NoBasis as error:
            yield case.name, pack({"expect": error, **headers}, payload)
            continue
        headers |= {"effective_rank": found.effective_rank(), "fingerprint": found.fingerprint(),
                    "factors": factors_hash(found.factors())}
        yield case.name, pack({"expect": "ok", **headers}, payload)
