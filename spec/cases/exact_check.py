"""The vectors `exact/check_*`."""

from adapter_file import factors
from basis import basis_check, check_of
from exact_basis import compute
from exact_factors import rsvd_basis
from vector import pack
from weights import counter_bits, packed

# name, dtype, m, n, rank, seed of flat weights
Q = ("model.layers.0.self_attn.q_proj", "bf16", 20, 30, 2, 31)
DOWN = ("model.layers.0.mlp.down_proj", "bf16", 20, 50, 2, 32)
UP = ("model.layers.0.mlp.up_proj", "bf16", 50, 20, 2, 33)
SMALL = ("model.layers.1.self_attn.k_proj", "f32", 3, 30, 3, 34)
LONE = ("a", "f16", 9, 9, 1, 35)

RECORDS = (
    ("check_exact_one_module", None, (Q,)),
    ("check_exact", None, (Q, DOWN, UP)),
    ("check_exact_other_order", None, (DOWN, Q, UP)),
    ("check_exact_module_ranks", None, (Q, SMALL, LONE)),
    ("check_rsvd_one_module", (42, 10, 10), (Q,)),
    ("check_rsvd", (42, 10, 10), (Q, DOWN, UP)),
    ("check_rsvd_other_order", (42, 10, 10), (DOWN, Q, UP)),
    ("check_rsvd_module_ranks", (7, 3, 8), (Q, SMALL, LONE)),
)
EXPLICIT = (
    ("check_explicit", factors(1, (3, 2), (2, 5))),
    ("check_explicit_f32", factors(0, (3, 2), (2, 5))),
    ("check_explicit_module_ranks", factors(2, (3, 2), (2, 5), ranks=(1, 2))),
)


def vectors():
    """Yields (file name, bytes)."""
    for name, options, modules in RECORDS:
        headers = {"modules": len(modules)}
        if options:
            headers["rsvd"] = " ".join(map(str, options))
        records = []
        for i, module in enumerate(modules):
            values = (*module[:5], f"flat {module[5]}")
            headers |= dict(zip((f"{key}.{i}" for key in ("name", "dtype", "m", "n", "rank", "weights")), values))
            records.append((module[0], found(options, *module[1:])))
        headers["check"] = basis_check(records).hex()
        yield name, pack({"basis": "rsvd" if options else "exact", **headers}, b"")
    for name, content in EXPLICIT:
        yield name, pack({"basis": "explicit", "check": check_of(content).hex()}, content)


def found(options, dtype, m, n, rank, seed):
    data = packed(dtype, counter_bits(dtype, "flat", seed, m, n))
    return rsvd_basis(dtype, m, n, data, rank, options) if options else compute(dtype, m, n, data, rank)
