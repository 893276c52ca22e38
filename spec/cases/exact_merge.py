"""The vectors `exact/merge_*`."""

import struct
from dataclasses import dataclass

from adapter_file import V13, corrections
from basis import basis, weight_matrix
from delta import Exact, Factored, Overflow, core, factored_core, merge, row_factors
from exact_factors import factor_bytes, factors_hash, hexed, rounded_basis, rsvd_basis
from floats import FORMATS, nearest
from projection import mix, native, torch
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
    kind: str = "exact"
    options: tuple = ()  # of rsvd
    rounding: str = ""
    corrections: bytes = b""
    factors: tuple = ()  # explicit B and A


def paper(rank=2, seed=42, factor=1.0 / 64, **changes):
    """An adapter of 13 values, small against the weight."""
    r = mix([factor * v for v in V13], native(NAME, seed, 13, rank), rank)
    return Adapter(rank, r, **changes)


def single(value, **changes):
    return Adapter(1, [[value]], **changes)


def rsvd(rank=2, options=(42, 10, 10), **changes):
    """LoRA-XS, with R as the paper's adapter has it."""
    return paper(rank, kind="rsvd", options=options, **changes)


def peft(rank=2, target="bf16", content=b"", module_number=0, factor=1.0 / 64, **changes):
    """PEFT: split, both roundings, torch's projections."""
    r = mix([factor * v for v in V13], torch(42, "module", module_number, 13, rank, target), rank)
    return Adapter(rank, r, side="split", kind="rounded", rounding=target, corrections=content, **changes)


def explicit(m, n, rank=2, dtype="bf16", **changes):
    """Factors that a counter makes."""
    values = [nearest(dtype, x) for x in native("factors", 1, 1, 64)[0][0] + native("factors", 2, 1, 64)[0][5]]
    b = [[values[(7 * i + k) % 128] for k in range(rank)] for i in range(m)]
    a = [[values[(5 * j + 3 * k + 1) % 128] for j in range(n)] for k in range(rank)]
    return paper(rank, kind="explicit", factors=(b, a), **changes)


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


TALL = flat("bf16", 30, 12)
SQUARE = flat("f32", 12, 12)
CORRECTED = corrections((3, 1), (10, -1), (0, -1), (25, 1))

FACTORED = (
    ("merge_rsvd_wide", BF16, "bf16", [rsvd()]),
    ("merge_rsvd_square_f32", SQUARE, "f32", [rsvd()]),
    ("merge_rsvd_tall", TALL, "f32", [rsvd(scale=0.5)]),
    ("merge_rsvd_signs", BF16, "f32", [rsvd(negated=(1,))]),
    ("merge_rsvd_signs_rank_3", TALL, "f32", [rsvd(rank=3, negated=(1, 2), scale=-2.0)]),
    ("merge_rsvd_rank_1_of_2", ("bf16", 4, 20, counter_bits("bf16", "flat", 22, 1, 20) * 4), "f32", [rsvd()]),
    ("merge_rsvd_zero_weight", ("bf16", 3, 20, [0] * 60), "bf16", [rsvd()]),
    ("merge_rsvd_rows_130", flat("bf16", 130, 12), "bf16", [rsvd(options=(7, 2, 4))]),
    ("merge_rounded", BF16, "bf16", [peft()]),
    ("merge_rounded_f16", F16, "f16", [peft(target="f16")]),
    ("merge_rounded_f32_to_bf16", F32, "f32", [peft()]),
    ("merge_rounded_tall", TALL, "f32", [peft(module_number=5, scale=0.25)]),
    ("merge_rounded_signs", BF16, "f32", [peft(negated=(1,))]),
    ("merge_rounded_signs_rank_3", TALL, "f32", [peft(rank=3, negated=(2,))]),
    ("merge_rounded_corrected", BF16, "f32", [peft(content=CORRECTED)]),
    ("merge_rounded_corrected_signs", BF16, "bf16", [peft(content=CORRECTED, negated=(1,), scale=-0.5)]),
    ("merge_rounded_rank_1_of_2", ("bf16", 4, 20, counter_bits("bf16", "flat", 22, 1, 20) * 4), "f32", [peft()]),
    ("merge_rounded_overflow", BF16, "f16", [peft(scale=2.0**30)]),
    ("merge_explicit", BF16, "bf16", [explicit(9, 20)]),
    ("merge_explicit_f32", F32, "f32", [explicit(9, 20, dtype="f32", scale=-0.75)]),
    ("merge_explicit_rank_above_sides", flat("bf16", 2, 3), "f32", [explicit(2, 3, rank=5)]),
    ("merge_explicit_1x1", ONE, "bf16", [Adapter(1, [[2.0**-8]], kind="explicit", factors=([[1.0]], [[1.0]]))]),
    ("merge_explicit_just_above_tie", ONE, "bf16", [
        Adapter(1, [[2.0**-8 + 2.0**-40]], kind="explicit", factors=([[1.0]], [[1.0]]))]),
    ("merge_explicit_overflow", one("bf16", 0x7F7F), "bf16", [
        Adapter(1, [[1.0]], kind="explicit", factors=([[2.0**64]], [[2.0**63]]))]),
    ("merge_exact_and_factored", BF16, "f32", [
        paper(side="split"), rsvd(seed=43), peft(), explicit(9, 20)]),
    ("merge_factored_and_exact", BF16, "f32", [explicit(9, 20), peft(), rsvd(seed=43), paper(side="split")]),
    ("merge_two_rsvd", TALL, "bf16", [rsvd(rank=3), rsvd(options=(1, 4, 6), scale=0.5)]),
    ("merge_two_explicit", flat("f16", 9, 20), "f16", [explicit(9, 20), explicit(9, 20, rank=3, dtype="f16")]),
    ("merge_two_of_one_basis", BF16, "f32", [peft(), peft(module_number=1, content=CORRECTED)]),
    ("merge_exact_and_rounded", BF16, "bf16", [paper(rank=3), peft(rank=1)]),
)
TRANSPOSED = (
    ("merge_transposed", BF16, "bf16", [paper()]),
    ("merge_transposed_factors", F16, "f32", [rsvd(negated=(1,)), explicit(9, 20)]),
)


def vectors():
    """Yields (file name, bytes)."""
    for name, weight, out, adapters in (*CASES, *FACTORED):
        yield merged_vector(name, *weight, out, adapters, False)
    for name, weight, out, adapters in TRANSPOSED:
        yield merged_vector(name, *weight, out, adapters, True)


def merged_vector(name, dtype, m, n, bits, out, adapters, transposed):
    data = packed(dtype, bits)
    rows = weight_matrix(dtype, m, n, data)
    headers = {"dtype": dtype, "m": m, "n": n, "out": out} | ({"transposed": "yes"} if transposed else {})
    headers["adapters"] = len(adapters)
    parts, factors = [], b""
    for number, a in enumerate(adapters):
        part, lines = on_weight(a, rows, (dtype, m, n, data))
        parts.append(part)
        lines |= {"core": hexed(value for row in part.core for value in row), "t": hexed(row_factors(part, 0, rows[0]))}
        headers |= {f"{key}.{number}": value for key, value in lines.items()}
        factors += factor_bytes(a.factors)
    try:
        merged, expect = merge(rows, data, dtype, out, parts), "ok"
    except Overflow:
        merged, expect = b"", "overflow"
    if transposed:
        data, merged = stored(data, m, n, dtype), stored(merged, m, n, out)
    return name, pack({"expect": expect, **headers}, data + factors + merged)


def on_weight(a, rows, weight):
    """The adapter for `merge`, and its header lines."""
    scale = struct.unpack("<I", struct.pack("<f", a.scale))[0]
    lines = {"basis": a.kind, "rank": a.rank, "scale": f"{scale:08x}",
             "negated": ",".join(map(str, a.negated)) or "none", "r": hexed(value for row in a.r for value in row)}
    if a.kind == "exact":
        found = basis(rows, a.rank)
        part = Exact(found.v, core(a.r, found.sigma, a.side, a.scale, a.negated))
        return part, lines | {"side": a.side, "fingerprint": found.fingerprint()}
    if a.kind == "rounded":
        factors = rounded_basis(*weight, a.rank, a.rounding, a.corrections)
        lines |= {"rounding": a.rounding, "corrections": a.corrections.hex() or "none"}
    elif a.kind == "rsvd":
        factors = rsvd_basis(*weight, a.rank, a.options).factors()
        lines |= {"rsvd": " ".join(map(str, a.options))}
    else:
        factors = a.factors
    part = Factored(*factors, factored_core(a.r, a.scale, a.negated))
    return part, lines | {"factors": factors_hash(factors)}


def stored(data, m, n, dtype):
    """The transpose of packed values."""
    size = FORMATS[dtype][0]
    return b"".join(data[(i * n + j) * size:(i * n + j + 1) * size] for j in range(n) for i in range(m))
