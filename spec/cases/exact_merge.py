"""The vectors `exact/merge_*`."""

import struct
from dataclasses import dataclass

from adapter_file import V13
from basis import basis, weight_matrix
from delta import Overflow, core, merge
from floats import bits64
from projection import mix, native
from vector import pack
from weights import bf16_bits, counter_bits, packed

NAME = "model.layers.0.self_attn.q_proj"


@dataclass
class Adapter:
    rank: int
    r: list
    side: str = "left"
    scale: float = 1.0
    negated: tuple = ()


def paper(rank=2, seed=42, factor=1.0 / 64, **changes):
    """An adapter of 13 values, small against the weight."""
    r = mix([factor * v for v in V13], native(NAME, seed, 13, rank), rank)
    return Adapter(rank, r, **changes)


def single(value, **changes):
    return Adapter(1, [[value]], **changes)


def flat(dtype, m=9, n=20, seed=21):
    return dtype, m, n, counter_bits(dtype, "flat", seed, m, n)


def one(dtype, bits):
    return dtype, 1, 1, [bits]


BF16, F16, F32 = flat("bf16"), flat("f16"), flat("f32")
ODD = one("bf16", 0x3F81)  # 1 + 2^-7, an odd significand
ONE = one("bf16", 0x3F80)


def reaching(weight, step):
    """R for which weight·R rounds to exactly `step`."""
    value = step / weight
    assert weight * value == step
    return value


# name, (dtype, m, n, bits), output dtype, adapters
CASES = (
    ("merge_left", BF16, "bf16", [paper()]),
    ("merge_split", BF16, "bf16", [paper(side="split")]),
    ("merge_right", BF16, "bf16", [paper(side="right")]),
    ("merge_scale", BF16, "bf16", [paper(scale=-0.75)]),
    ("merge_out_f16", BF16, "f16", [paper()]),
    ("merge_out_f32", BF16, "f32", [paper()]),
    ("merge_f16", F16, "f16", [paper(side="split")]),
    ("merge_f16_out_bf16", F16, "bf16", [paper()]),
    ("merge_f32", F32, "f32", [paper(side="right")]),
    ("merge_f32_out_bf16", F32, "bf16", [paper()]),
    ("merge_f32_out_f16", F32, "f16", [paper()]),
    ("merge_rank_1", BF16, "f32", [paper(rank=1)]),
    ("merge_rank_5_split", BF16, "f32", [paper(rank=5, side="split")]),
    ("merge_rows_130", flat("bf16", 130, 12), "bf16", [paper()]),
    ("merge_signs", BF16, "f32", [paper(side="split", negated=(1,))]),
    ("merge_signs_rank_3", BF16, "f32", [paper(rank=3, negated=(1, 2))]),
    ("merge_two_adapters", BF16, "f32", [paper(), paper(seed=43, side="split", scale=0.5)]),
    ("merge_two_adapters_swapped", BF16, "f32", [paper(seed=43, side="split", scale=0.5), paper()]),
    ("merge_two_ranks", BF16, "bf16", [paper(rank=3), paper(rank=2, side="right")]),
    ("merge_zero_r", BF16, "bf16", [Adapter(2, [[0.0, 0.0], [0.0, 0.0]])]),
    ("merge_zero_weight", ("bf16", 3, 20, [0] * 60), "bf16", [paper(side="right")]),
    ("merge_minus_zero_weight", ("bf16", 2, 2, bf16_bits((1.0, 0.0, 0.0, 0.0))[:3] + [0x8000]), "bf16",
     [single(0.5)]),
    ("merge_rank_deficient", ("bf16", 4, 20, counter_bits("bf16", "flat", 22, 1, 20) * 4), "f32",
     [paper(side="split")]),
    ("merge_tie_to_even_down", ONE, "bf16", [single(2.0**-8)]),
    ("merge_tie_to_even_up", ODD, "bf16", [single(reaching(1 + 2.0**-7, 2.0**-8))]),
    ("merge_tie_negative", one("bf16", 0xBF80), "bf16", [single(2.0**-8)]),
    ("merge_just_above_tie", ONE, "bf16", [single(2.0**-8 + 2.0**-40)]),
    ("merge_just_below_tie", ODD, "bf16", [single(reaching(1 + 2.0**-7, 2.0**-8 - 2.0**-40))]),
    ("merge_tie_f32", ONE, "f32", [single(2.0**-24)]),
    ("merge_just_above_tie_f32", ONE, "f32", [single(2.0**-24 + 2.0**-52)]),
    ("merge_tie_f16", ONE, "f16", [single(2.0**-11)]),
    ("merge_just_above_tie_f16", ONE, "f16", [single(2.0**-11 + 2.0**-40)]),
    ("merge_into_next_power", one("bf16", 0x3FFF), "bf16", [single(reaching(2 - 2.0**-7, 2.0**-8))]),
    ("merge_subnormal", one("bf16", 0x0080), "bf16", [single(-0.25)]),
    ("merge_subnormal_tie", one("bf16", 0x0003), "bf16", [single(reaching(3.0, 0.5))]),
    ("merge_subnormal_to_normal", one("bf16", 0x007F), "bf16", [single(reaching(127.0, 0.5))]),
    ("merge_half_of_smallest", one("bf16", 0x0001), "bf16", [single(-0.5)]),
    ("merge_to_minus_zero", one("bf16", 0x8001), "bf16", [single(-0.75)]),
    ("merge_exact_cancellation", one("bf16", 0xBF80), "bf16", [single(-1.0)]),
    ("merge_bf16_underflows_in_f16", one("bf16", 0x2F80), "f16", [single(0.5)]),
    ("merge_f16_subnormal", one("f16", 0x0400), "f16", [single(-0.25)]),
    ("merge_f32_subnormal", one("f32", 0x00800001), "f32", [single(-0.25)]),
    ("merge_largest_f16", one("f16", 0x7BFF), "f16", [single(reaching(65504.0, 15.5))]),
    ("merge_overflow_f16_tie", one("f16", 0x7BFF), "f16", [single(reaching(65504.0, 16.0))]),
    ("merge_overflow_f16", BF16[:3] + (bf16_bits([60000.0] * 180),), "f16", [single(0.5)]),
    ("merge_overflow_bf16", one("bf16", 0x7F7F), "bf16", [single(1.0)]),
    ("merge_overflow_f32", one("f32", 0xFF7FFFFF), "f32", [single(0.5)]),
)


def vectors():
    """Yields (file name, bytes)."""
    for name, (dtype, m, n, bits), out, adapters in CASES:
        data = packed(dtype, bits)
        rows = weight_matrix(dtype, m, n, data)
        headers = {"dtype": dtype, "m": m, "n": n, "out": out, "adapters": len(adapters)}
        parts = []
        for number, a in enumerate(adapters):
            found = basis(rows, a.rank)
            parts.append((found.v, core(a.r, found.sigma, a.side, a.scale, a.negated)))
            headers |= adapter_headers(number, a, found)
        try:
            merged, expect = merge(rows, data, dtype, out, parts), "ok"
        except Overflow:
            merged, expect = b"", "overflow"
        yield name, pack({"expect": expect, **headers}, data + merged)


def adapter_headers(number, a, found):
    r = ",".join(f"{bits64(value):016x}" for row in a.r for value in row)
    return {
        f"rank.{number}": a.rank,
        f"side.{number}": a.side,
        f"scale.{number}": f"{struct.unpack('<I', struct.pack('<f', a.scale))[0]:08x}",
        f"negated.{number}": ",".join(map(str, a.negated)) or "none",
        f"r.{number}": r,
        f"fingerprint.{number}": found.fingerprint(),
    }
