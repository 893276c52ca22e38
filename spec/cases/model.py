"""The vectors of `vectors/model`: a base, adapters, and the merged checkpoint."""

from adapter_file import PACK, V13, build, corrections, factors, group_map, names, projections, rsvd, scales, signs
from basis import check_of
from delta import Overflow
from digest import Tensor, tmd1
from exact_shard import plain
from merge import Unfit, find_modules, merged_shard, rebuilt
from rounding import CorrectionError
from tlora_read import parse as parse_adapter
from vector import pack
from weights import counter_bits, packed

LORA_XS = rsvd(42, 10, 10)


def tensor(name, dtype, *shape, seed):
    bits = counter_bits(dtype, "graded", seed, shape[0], shape[1]) if shape else [0]
    return Tensor(name, dtype.upper(), list(shape), packed(dtype, bits))


def llama(dtype, layers=(0, 1)):
    """q, v and down of some layers, wide, tall and with few rows, and a norm."""
    shapes = {"self_attn.q_proj": (12, 16), "self_attn.v_proj": (3, 16), "mlp.down_proj": (16, 9)}
    weights = [tensor(f"model.layers.{layer}.{name}.weight", dtype, *shape, seed=10 * layer + i)
               for layer in layers for i, (name, shape) in enumerate(shapes.items())]
    return [*weights, tensor("model.norm.weight", dtype, 1, 5, seed=99)]


def gpt2(dtype="f32"):
    """c_attn and c_fc of the layers 10 and 2, both stored in x out."""
    shapes = {"attn.c_attn": (8, 24), "mlp.c_fc": (8, 17)}
    weights = [tensor(f"h.{layer}.{name}.weight", dtype, *shape, seed=10 * layer + i)
               for layer in (10, 2) for i, (name, shape) in enumerate(shapes.items())]
    return [*weights, tensor("wte.weight", dtype, 4, 4, seed=98)]


def small(count, precision=1):
    """Trained numbers, small against the weights."""
    return b"".join(PACK[precision](V13[i % 13] / 16) for i in range(count))


def adapter(tensors, **changes):
    """A file for this base, with its basis check unless another is given."""
    changes = {"base": bytes.fromhex(tmd1(tensors)[5:])} | changes
    changes.setdefault("v", small(changes["groups"] * changes["u"], changes.get("precision", 1)))
    if "basis_check" in changes:
        return build(**changes)
    unchecked = parse_adapter(build(**changes))
    check = rebuilt(unchecked, find_modules(unchecked, tensors))[1]
    return build(**changes, basis_check=check)


PEFT = {"target_set": 0b101, "modules": 4, "groups": 2, "n_tie": 2, "u": 5, "sigma_side": 1, "basis_rounding": 1,
        "projection": 1, "projection_rounding": 1}
XS = {"target_set": 0b1000101, "modules": 6, "groups": 6, "n_tie": 1, "u": 4, "basis": 1, "projection": 2, "seed": 0,
      "sections": ((7, LORA_XS),)}
EVERY = {"target_set": 0b1000101, "modules": 6, "groups": 3, "n_tie": 2, "u": 13}
BF16, F16, F32, GPT2 = llama("bf16"), llama("f16"), llama("f32", (2, 10)), gpt2()
WRONG_SIZES = factors(1, (16, 12), (16, 12))
FULL_NAMES = [f"model.layers.{name}_proj" for name in ("1.mlp.down", "0.self_attn.q", "1.self_attn.q")]
CHECK_OF_RANK_4 = parse_adapter(adapter(BF16, **EVERY | {"rank": 4})).basis_check
SQUARE, ONE = [tensor("q_proj.weight", "bf16", 7, 7, seed=1)], {"target_set": 1, "modules": 1, "groups": 1, "u": 3}
FUSED = [*BF16, Tensor("model.mlp.q_proj.weight", "BF16", [1, 1, 2], b"abcd")]

# PEFT's modules are q (12 x 16) and v (3 x 16) of two layers. At rank 2 module 0 has the entries 0 to 55 (B up to 23),
# module 1 those from 56 to 93 (B up to 61), module 2 those from 94 on, and the last entry of all is 187.
BOUNDARIES = corrections((24, 1), (1, -1), (31, 1), (1, -1), (6, 1), (0, 1), (31, -1), (1, 1), (93, -1))

CASES = (
    # name, comment, base, output dtype or None, adapters
    ("exact", "exact, left, native, three groups", BF16, None, [adapter(BF16, **EVERY)]),
    ("exact_f32_layer_order", "layer 2 before layer 10; exact, split, f32 and a scale", F32, "bf16", [
        adapter(F32, **EVERY, precision=0, sigma_side=1, scale=0xBF000000)]),
    ("peft", "both roundings, torch, signs, and corrections at the ends of B and A of several modules", BF16, None, [
        adapter(BF16, **PEFT, sections=((6, signs(2, (1,), (), (), (1,))), (10, BOUNDARIES)))]),
    ("peft_f16_one_seed", "f16, one seed for all modules, 20 values of torch, no correction", F16, None, [
        adapter(F16, **PEFT | {"basis_rounding": 2, "projection_rounding": 2, "seed_rule": 1, "precision": 0})]),
    ("peft_f32", "rounding to bf16 on a base of f32, a seed that wraps with the module number", F32, None, [
        adapter(F32, **PEFT | {"projection_rounding": 0, "seed": 2**64 - 2})]),
    ("lora_xs", "rsvd, standard projections, a group for each module, wide, tall and few rows", F16, None, [
        adapter(F16, **XS)]),
    ("lora_xs_clipped_rank", "rank 4: the modules of three rows have rank 3", F32, "f32", [
        adapter(F32, **XS | {"rank": 4, "u": 16}, scale=0x40000000)]),
    ("rsvd_torch_signs", "rsvd with torch's projections and signs", BF16, "f32", [
        adapter(BF16, **EVERY | {"basis": 1, "projection": 1, "rank": 3, "sections": (
            (6, signs(3, (1,), (2,), (1, 2), (), (), (1,))), (7, rsvd(7, 2, 4)))})]),
    ("explicit", "stored factors and one stored P", BF16, None, [
        adapter(BF16, **EVERY | {"groups": 1, "n_tie": 6, "u": 2, "basis": 2, "projection": 3, "seed": 0, "sections": (
            (8, factors(1, *[(12, 16), (3, 16), (16, 9)] * 2)), (9, projections(0, 1, 8)))})]),
    ("explicit_rank_above_sides", "stored factors of rank 5 for modules of three rows", F32, None, [
        adapter(F32, **EVERY | {"rank": 5, "basis": 2, "sections": (
            (8, factors(0, *[(12, 16), (3, 16), (16, 9)] * 2, rank=5)),)})]),
    ("conv1d_structured", "transposed, grouped by target, scales of modules, layers 2 and 10", GPT2, None, [
        adapter(GPT2, target_set=0, modules=4, tying=1, groups=2, n_tie=2, u=13, sections=(
            (1, names(0, "mlp.c_fc", "c_attn")), (4, scales(1.0, -0.5, 2.0, 0.25)), (5, b"\x0f")))]),
    ("conv1d_rsvd", "transposed, rsvd: m and n are out and in", GPT2, "f16", [
        adapter(GPT2, target_set=0, modules=4, groups=1, u=4, basis=1, projection=2, seed=0, sections=(
            (1, names(0, "c_attn", "c_fc")), (5, b"\x0f"), (7, LORA_XS)))]),
    ("conv1d_explicit_factors", "transposed, stored factors", GPT2, None, [
        adapter(GPT2, target_set=0, modules=2, groups=2, n_tie=1, u=3, basis=2, sections=(
            (1, names(0, "c_attn")), (5, b"\x03"), (8, factors(2, (24, 8), (24, 8)))))]),
    ("module_ranks", "a rank for each module, one clipped, with signs, both roundings and corrections", F16, None, [
        adapter(F16, **EVERY | {"rank": 4, "u": 2, "groups": 1, "n_tie": 6, "sigma_side": 1, "basis_rounding": 2,
                "projection": 1, "sections": ((3, bytes((2, 4, 1, 4, 3, 4))),
                (6, signs(4, (1,), (3,), (), (1, 3), (2,), (3,))), (10, corrections((57, 1), (57, -1), (25, 1))))})]),
    ("full_names_and_map", "modules by their names, a group map, stored P for each module", BF16, None, [
        adapter(BF16, target_set=0, modules=3, tying=2, groups=2, n_tie=0, u=1, projection=3, seed=0, sigma_side=2,
                sections=((1, names(1, *FULL_NAMES)), (2, group_map(0, 1, 0)), (3, bytes((2, 1, 2))),
                          (9, projections(1, 0, 9))))]),
    ("several_adapters", "exact, PEFT's, LoRA-XS's and stored factors at once", BF16, "f32", [
        adapter(BF16, **EVERY), adapter(BF16, **PEFT), adapter(BF16, **XS),
        adapter(BF16, target_set=1, modules=2, groups=2, n_tie=1, u=3, basis=2, sections=(
            (8, factors(1, (12, 16), (12, 16))),))]),
    ("corrections_last_entry", "a correction of the last entry", BF16, None, [
        adapter(BF16, **PEFT, sections=((10, corrections((188, 1))),))]),
    ("corrections_beyond_the_last", "a correction of an entry that does not exist", BF16, None, [
        adapter(BF16, **PEFT, sections=((10, corrections((189, 1))),))]),
    ("basis_check_wrong", "the basis check of nothing", BF16, None, [
        adapter(BF16, **EVERY | {"basis": 1, "basis_check": bytes(8), "sections": ((7, LORA_XS),)})]),
    ("base_wrong", "another base", BF16, None, [adapter(BF16, **XS | {"base": bytes(32)})]),
    ("modules_wrong", "six modules are found, five wanted", BF16, None, [
        adapter(BF16, **EVERY | {"modules": 5, "basis_check": bytes(8)})]),
    ("factors_of_other_sizes", "stored factors of 16 x 12 for a weight of 12 x 16", BF16, None, [
        adapter(BF16, target_set=1, modules=2, groups=1, u=1, basis=2, basis_check=check_of(WRONG_SIZES), sections=(
            (8, WRONG_SIZES),))]),
    ("projections_too_large", "stored P of 4 x 4 for modules of three rows", BF16, None, [
        adapter(BF16, **EVERY | {"rank": 4, "u": 1, "projection": 3, "seed": 0, "basis_check": CHECK_OF_RANK_4,
                "sections": ((9, projections(0, 1, 16)),)})]),
    ("fused_experts", "a target names a tensor of three dimensions", FUSED, None, [
        adapter(FUSED, target_set=1, modules=2, groups=1, u=1, basis_check=bytes(8))]),
    ("transposed_disagree", "two adapters disagree on whether a square weight is transposed", SQUARE, None, [
        adapter(SQUARE, **ONE), adapter(SQUARE, **ONE, sections=((5, b"\1"),))]),
    ("overflow", "merged weights beyond f16", BF16, "f16", [adapter(BF16, **XS, scale=0x4B000000)]),
)


def vectors():
    """Yields (file name, bytes)."""
    for name, comment, tensors, out, adapters in CASES:
        base = plain(tensors)
        headers = {"comment": comment, "dtype": out or "base", "base": len(base),
                   "adapters": ",".join(str(len(data)) for data in adapters)}
        try:
            merged, expect = merged_shard(base, adapters, out), "ok"
        except Unfit as error:
            merged, expect = b"", error.what
        except CorrectionError:
            merged, expect = b"", "correction"
        except Overflow:
            merged, expect = b"", "overflow"
        yield name, pack({"expect": expect, **headers}, base + b"".join(adapters) + merged)
