"""Adapters that a reader accepts: name, comment, fields."""

from adapter_file import corrections, factors, fields, group_map, names, projections, rsvd, scales, text

EXPLICIT = {"modules": 2, "basis": 2, "n_tie": 2}
ALL_NAMES = ("model.layers.0.self_attn.q_proj", "model.layers.0.mlp.down_proj")


def unpacked(values, size):
    return b"".join(value.to_bytes(size, "little") for value in values)


def corrected(content, says, **changes):
    """A rounded basis with a corrections section, whose steps are `says`."""
    sections = (*changes.pop("before", ()), (10, content), *changes.pop("after", ()))
    return {"sigma_side": 1, "basis_rounding": 1, "sections": sections, "says": {"corrections": says}, **changes}


def accepted():
    """Yields (name, comment, fields)."""
    for name, comment, changes in (*HEADER, *PROJECTION, *TYING, *SECTIONS, *CORRECTIONS, *KINDS, *TEXT, *SIZE):
        yield name, comment, fields(**changes)


HEADER = (
    ("paper_13_bf16", "13 bf16 values and no section: 122 bytes", {}),
    ("smallest", "one module, rank 1, one bf16 value: 98 bytes", {"rank": 1, "u": 1, "modules": 1}),
    ("precision_f32", "v in f32", {"precision": 0}),
    ("precision_f16", "v in f16", {"precision": 2}),
    ("v_extremes_f32", "smallest subnormal, largest finite, both signs", {
        "precision": 0, "u": 5, "v": unpacked((1, 0x80000001, 0x7F7FFFFF, 0xFF7FFFFF, 0), 4)}),
    ("v_extremes_bf16", "smallest subnormal, largest finite, both signs", {
        "u": 5, "v": unpacked((1, 0x8001, 0x7F7F, 0xFF7F, 0), 2)}),
    ("v_extremes_f16", "smallest subnormal, largest finite, both signs", {
        "precision": 2, "u": 5, "v": unpacked((1, 0x8001, 0x7BFF, 0xFBFF, 0), 2)}),
    ("v_all_zero", "an untrained adapter", {"v": bytes(26)}),
    ("sigma_side_split", "sigma on both sides", {"sigma_side": 1}),
    ("sigma_side_right", "sigma on the right", {"sigma_side": 2}),
    ("basis_rounding_bf16", "PEFT on a bf16 base", {"sigma_side": 1, "basis_rounding": 1}),
    ("basis_rounding_f16", "PEFT on an f16 base", {"sigma_side": 1, "basis_rounding": 2}),
    ("rank_64_exact", "the largest rank of an exact basis", {"rank": 64}),
    ("rank_255_rsvd", "the largest rank", {"rank": 255, "basis": 1, "sections": ((7, rsvd()),)}),
    ("scale_negative", "-0.5", {"scale": 0xBF000000}),
    ("scale_smallest", "the smallest subnormal", {"scale": 1}),
    ("scale_largest", "the largest finite f32", {"scale": 0x7F7FFFFF}),
    ("seed_largest", "2^64 - 1", {"seed": 2**64 - 1}),
    ("target_set_q_only", "bit 0", {"target_set": 1, "modules": 24}),
    ("target_set_down_only", "bit 6", {"target_set": 64, "modules": 24}),
    ("modules_largest", "1,048,576 modules", {"modules": 1_048_576}),
    ("base_and_check_zero", "no value of the two digests is special", {"base": bytes(32), "basis_check": bytes(8)}),
)

PROJECTION = (
    ("projection_torch", "torch, a seed for each module", {"projection": 1}),
    ("projection_torch_shared_seed", "torch, one seed", {"projection": 1, "seed_rule": 1}),
    ("projection_torch_bf16", "torch, rounded to bf16", {"projection": 1, "projection_rounding": 1}),
    ("projection_torch_f16", "torch, rounded to f16", {"projection": 1, "projection_rounding": 2}),
    ("projection_standard", "u = r^2 and no seed", {"projection": 2, "u": 4, "seed": 0}),
    ("projection_standard_rank_16", "u = 256", {"projection": 2, "rank": 16, "u": 256, "seed": 0}),
    ("projection_explicit_shared", "one P for all modules, f32", {
        "projection": 3, "seed": 0, "u": 3, "sections": ((9, projections(0, 1, 3 * 4)),)}),
    ("projection_explicit_each", "a P for each module, bf16", {
        "projection": 3, "seed": 0, "u": 3, "modules": 2, "sections": ((9, projections(1, 0, 2 * 3 * 4)),)}),
    ("projection_explicit_f16", "one P for all modules, f16", {
        "projection": 3, "seed": 0, "u": 3, "sections": ((9, projections(2, 1, 3 * 4)),)}),
    ("projection_explicit_module_ranks", "P of 2 x 2 and of 1 x 1", {
        "projection": 3, "seed": 0, "u": 3, "modules": 2,
        "sections": ((3, bytes((2, 1))), (9, projections(1, 0, 3 * 4 + 3)))}),
)

TYING = (
    ("n_tie_15_of_196", "13 groups, the last one of 16 modules", {
        "modules": 196, "groups": 13, "n_tie": 15, "u": 1}),
    ("n_tie_one_each", "every module has its own group", {"modules": 7, "groups": 7, "n_tie": 1, "u": 1}),
    ("n_tie_largest", "two groups, the last one of 1 module", {"modules": 8, "groups": 2, "n_tie": 7}),
    ("n_tie_smallest", "two groups, the first one of 1 module", {"modules": 8, "groups": 2, "n_tie": 1}),
    ("structured", "grouped by target", {"tying": 1, "groups": 7, "n_tie": 24, "u": 1}),
    ("structured_named_targets", "structured with a list of targets", {
        "tying": 1, "groups": 2, "n_tie": 12, "modules": 24, "target_set": 0,
        "sections": ((1, names(0, "c_attn", "c_fc")),)}),
    ("group_map", "0 1 0 1 is not tiled", {
        "tying": 2, "modules": 4, "groups": 2, "n_tie": 0, "sections": ((2, group_map(0, 1, 0, 1)),)}),
    ("group_map_uneven", "0 0 1 1 1 2 is not tiled with 3 groups", {
        "tying": 2, "modules": 6, "groups": 3, "n_tie": 0, "u": 1,
        "sections": ((2, group_map(0, 0, 1, 1, 1, 2)),)}),
)

SECTIONS = (
    ("targets_list", "two targets", {"target_set": 0, "sections": ((1, names(0, "c_attn", "mlp.c_fc")),)}),
    ("targets_standard_other_order", "k before q is not what the mask says", {
        "target_set": 0, "sections": ((1, names(0, "k_proj", "q_proj")),)}),
    ("targets_standard_and_other", "a standard target and another", {
        "target_set": 0, "sections": ((1, names(0, "q_proj", "lm_head")),)}),
    ("targets_255", "the largest number of targets", {
        "target_set": 0, "sections": ((1, names(0, *(f"t{i}" for i in range(255)))),)}),
    ("targets_name_255_bytes", "the longest name", {"target_set": 0, "sections": ((1, names(0, "a" * 255)),)}),
    ("targets_name_first_last_byte", "0x21 and 0x7E", {"target_set": 0, "sections": ((1, names(0, "!~")),)}),
    ("targets_ends_with_no_dot", "xq_proj does not end with a dot and q_proj", {
        "target_set": 0, "sections": ((1, names(0, "q_proj", "xq_proj")),)}),
    ("targets_modules", "mode 1, full names", {
        "target_set": 0, "modules": 2, "sections": ((1, names(1, *ALL_NAMES)),)}),
    ("targets_modules_nested", "mode 1, a name that ends with a dot and another", {
        "target_set": 0, "modules": 2, "sections": ((1, names(1, "q_proj", "model.q_proj")),)}),
    ("targets_modules_standard", "mode 1, a name that is a standard target", {
        "target_set": 0, "modules": 1, "sections": ((1, names(1, "q_proj")),)}),
    ("module_ranks", "2 1 2", {"modules": 3, "sections": ((3, bytes((2, 1, 2))),)}),
    ("module_scales", "1 and 0.5", {"modules": 2, "sections": ((4, scales(1.0, 0.5)),)}),
    ("transposed", "modules 0 and 8 of 9", {"modules": 9, "sections": ((5, b"\x01\x01"),)}),
    ("transposed_8_modules", "no padding", {"modules": 8, "sections": ((5, b"\x80"),)}),
    ("signs", "rank 3, two bits a module, columns 1 of module 0 and 2 of module 4", {
        "rank": 3, "modules": 5, "sections": ((6, b"\x01\x02"),)}),
    ("signs_module_ranks", "module 0 has rank 2, its column 1 is negated", {
        "rank": 3, "modules": 2, "sections": ((3, bytes((2, 3))), (6, b"\x01"))}),
    ("rsvd", "seed, n_iter and oversample", {"basis": 1, "sections": ((7, rsvd()),)}),
    ("rsvd_largest", "all three at their limits", {"basis": 1, "sections": ((7, rsvd(2**32 - 1, 100, 100)),)}),
    ("rsvd_zero", "all three 0", {"basis": 1, "sections": ((7, rsvd(0, 0, 0)),)}),
    ("rsvd_signs", "columns of an rsvd basis negated", {
        "basis": 1, "modules": 8, "sections": ((6, b"\x81"), (7, rsvd())),}),
    ("basis_rounding_signs", "columns of a rounded basis negated", {
        "sigma_side": 1, "basis_rounding": 2, "modules": 8, "sections": ((6, b"\x81"),)}),
    ("factors_f32", "two modules", {**EXPLICIT, "sections": ((8, factors(0, (3, 2), (2, 5))),)}),
    ("factors_bf16", "two modules", {**EXPLICIT, "sections": ((8, factors(1, (3, 2), (2, 5))),)}),
    ("factors_f16", "two modules", {**EXPLICIT, "sections": ((8, factors(2, (3, 2), (2, 5))),)}),
    ("factors_module_ranks", "ranks 1 and 2", {
        **EXPLICIT, "sections": ((3, bytes((1, 2))), (8, factors(1, (3, 2), (2, 5), ranks=(1, 2))))}),
    ("factors_rank_above_size", "rank 4 with a 3 x 1 weight: the sizes follow the rank of the file", {
        "rank": 4, "modules": 1, "basis": 2, "sections": ((8, factors(1, (3, 1), rank=4)),)}),
    ("unknown_ancillary", "type 200 is ignored", {"sections": ((200, b"whatever"),)}),
    ("unknown_ancillary_empty", "type 129 with no content", {"sections": ((129, b""),)}),
    ("unknown_ancillary_last", "type 255 after a text", {"sections": ((128, text((1, "a"))), (255, b"\0"))}),
    ("all_sections", "every section that an rsvd basis may have", {
        "tying": 2, "modules": 4, "groups": 2, "n_tie": 0, "target_set": 0, "basis": 1, "projection": 3, "seed": 0,
        "u": 1, "sections": (
            (1, names(1, "a", "b", "c", "d")), (2, group_map(0, 1, 1, 0)), (3, bytes((2, 1, 2, 2))),
            (4, scales(1.0, 2.0, -1.0, 0.5)), (5, b"\x0f"), (6, b"\x05"), (7, rsvd()),
            (9, projections(1, 0, 4 + 1 + 4 + 4)), (128, text((1, "all"))))}),
)

LARGEST_MOVE = 2**63 - 1

CORRECTIONS = (
    ("corrections_one_up", "the first entry, up", corrected(corrections((1, 1)), "+0")),
    ("corrections_one_down", "the first entry, down", corrected(corrections((1, -1)), "-0")),
    ("corrections_f16", "of a rounding to f16", corrected(corrections((1, -1)), "-0", basis_rounding=2)),
    ("corrections_neighbours", "two entries, one up and one down", corrected(
        corrections((3, 1), (1, -1)), "+2,-3")),
    ("corrections_twice_up", "one entry by two steps", corrected(corrections((3, 1), (0, 1)), "+2,+2")),
    ("corrections_three_down", "one entry by three steps, and another", corrected(
        corrections((1, -1), (0, -1), (0, -1), (5, 1)), "-0,-0,-0,+5")),
    ("corrections_one_byte_most", "63 entries in one byte", corrected(corrections((63, -1)), "-62")),
    ("corrections_two_bytes_least", "64 entries in two bytes", corrected(corrections((64, 1)), "+63")),
    ("corrections_zeros_within", "a token with seven 0 bits below its last byte", corrected(
        corrections((2**20, 1)), f"+{2**20 - 1}")),
    ("corrections_largest_move", "one token of 64 bits that are all 1", corrected(
        corrections((LARGEST_MOVE, -1)), f"-{LARGEST_MOVE - 1}")),
    ("corrections_largest_sum", "moves of 2^63 - 1 in all", corrected(
        corrections((LARGEST_MOVE - 1, 1), (1, -1), (0, -1)),
        f"+{LARGEST_MOVE - 2},-{LARGEST_MOVE - 1},-{LARGEST_MOVE - 1}")),
    ("corrections_and_others", "with module ranks, signs and a text", corrected(
        corrections((2, 1)), "+1", modules=2, before=((3, bytes((2, 1))), (6, b"\x01")),
        after=((128, text((1, "a"))),))),
)

KINDS = (
    ("kinds_rsvd_torch", "LoRA-XS's basis with PEFT's projections", {
        "basis": 1, "projection": 1, "projection_rounding": 1, "sections": ((7, rsvd(42, 10, 10)),)}),
    ("kinds_rsvd_standard", "LoRA-XS: u = r^2, a group for each module", {
        "basis": 1, "projection": 2, "seed": 0, "u": 4, "modules": 3, "groups": 3, "n_tie": 1,
        "sections": ((7, rsvd(42, 10, 10)),)}),
    ("kinds_rsvd_explicit", "an rsvd basis with projections of its own", {
        "basis": 1, "projection": 3, "seed": 0, "u": 1, "sections": ((7, rsvd()), (9, projections(1, 1, 4)))}),
    ("kinds_explicit_torch", "stored factors with PEFT's projections", {
        **EXPLICIT, "projection": 1, "seed_rule": 1, "sections": ((8, factors(1, (3, 2), (2, 5))),)}),
    ("kinds_explicit_standard", "stored factors with r x r trained numbers", {
        **EXPLICIT, "projection": 2, "seed": 0, "u": 4, "sections": ((8, factors(0, (3, 2), (2, 5))),)}),
    ("kinds_explicit_explicit", "stored factors and stored projections", {
        **EXPLICIT, "projection": 3, "seed": 0, "u": 1,
        "sections": ((8, factors(2, (3, 2), (2, 5))), (9, projections(2, 1, 4)))}),
    ("kinds_peft", "PEFT on a bf16 base: split, both roundings, torch, signs and corrections", corrected(
        corrections((5, 1), (1, -1), (400, 1)), "+4,-5,+405", modules=4, projection=1, projection_rounding=1,
        seed=2**32 + 7, before=((6, b"\x05"),))),
    ("kinds_rounded_explicit", "a rounded basis with projections of its own", {
        "sigma_side": 1, "basis_rounding": 2, "projection": 3, "seed": 0, "u": 1,
        "sections": ((9, projections(1, 1, 4)),)}),
)

TEXT = (
    ("text_all_keys", "the five keys", {"sections": ((128, text(
        (1, "gsm8k"), (2, "a description"), (3, "Apache-2.0"), (4, "org/base"), (5, "600 steps"))),)}),
    ("text_line_feed", "U+000A is allowed", {"sections": ((128, text((2, "one\ntwo"))),)}),
    ("text_all_scripts", "characters of 2, 3 and 4 bytes", {
        "sections": ((128, text((1, "\u00e9\u4e2d\U0001f600"))),)}),
    ("text_neighbours_of_forbidden", "the characters just outside the forbidden ranges", {
        "sections": ((128, text((2, "\u0020\u007e\u00a0\u200a\u2010\u2027\u202f\u205f\u206a\ufefe\uff00"))),)}),
    ("text_nul_like", "an escape that is only text", {"sections": ((128, text((1, "\\u0000"))),)}),
)

SIZE = (
    ("size_65536", "the largest file: 65,536 bytes without v", {
        "sections": ((200, bytes(65_536 - 96 - 5)),)}),
    ("u_largest", "65,535 values: v does not count for the size", {"u": 65_535, "v": bytes(131_070)}),
    ("factors_over_64_kib", "the factors section does not count for the size", {
        "rank": 1, "modules": 1, "basis": 2,
        "sections": ((8, b"\x01" + (32_800).to_bytes(4, "little") + b"\1\0\0\0" + bytes(2 * 32_801)),)}),
    ("corrections_over_64_kib", "the corrections section does not count for the size", corrected(
        corrections(*[(1, 1)] * 66_000), "long")),
)
