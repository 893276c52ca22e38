"""Adapters that a reader rejects: name, rule, comment, bytes. The headers, v, and the list of sections."""

import struct

from adapter_file import body, build, corrections, factors, fields, group_map, names, projections, rsvd, seal, text

GOOD = build()
CLASS = {
    "R1": "magic", "R2": "truncated", "R3": "version", "R4": "checksum", "R5": "flags", "R6": "enumeration",
    "R7": "range", "R8": "range", "R9": "range", "R10": "range", "R11": "tying", "R12": "tying", "R13": "value",
    "R14": "unused", "R15": "range", "R16": "truncated", "R17": "value", "R18": "section", "R19": "section",
    "R20": "section", "R21": "size", "R22": "names", "R23": "names", "R24": "names", "R25": "names", "R26": "names",
    "R27": "tying", "R28": "canonical", "R29": "canonical", "R30": "canonical", "R31": "section", "R32": "factors",
    "R33": "text", "R34": "text", "R35": "corrections",
}


def patched(offset, value):
    """The good file with one byte changed and the checksum made right."""
    data = bytearray(GOOD[:-8])
    data[offset] = value
    return seal(bytes(data))


def flipped(offset):
    """The good file with one bit changed and the old checksum."""
    data = bytearray(GOOD)
    data[offset] ^= 1
    return bytes(data)


def bf16_v(*bits):
    return {"u": len(bits), "v": struct.pack(f"<{len(bits)}H", *bits)}


MAGIC = (
    ("magic_text", "R1", "another file", b"PK\x03\x04" + bytes(120)),
    ("magic_lf_only", "R1", "CR LF became LF", seal(b"\x89tlora\n" + body(fields())[8:])),
    ("magic_cr_only", "R1", "CR LF became CR", seal(b"\x89tlora\r" + body(fields())[8:])),
    ("magic_high_bit_lost", "R1", "0x89 became 0x09", patched(0, 0x09)),
    ("magic_upper_case", "R1", "TLORA", seal(b"\x89TLORA\r\n" + body(fields())[8:])),
    ("magic_short_wrong", "R1", "5 bytes that do not begin the magic", b"tlora"),
    ("truncated_empty", "R2", "no byte at all", b""),
    ("truncated_in_magic", "R2", "4 bytes of the magic", GOOD[:4]),
    ("truncated_after_magic", "R2", "only the magic", GOOD[:8]),
    ("truncated_in_header", "R2", "40 bytes", GOOD[:40]),
    ("truncated_97", "R2", "one byte less than the smallest file", GOOD[:97]),
    ("truncated_97_version_2", "R2", "length is judged before version", GOOD[:8] + b"\x02" + GOOD[9:97]),
    ("version_major_0", "R3", "0.0", patched(8, 0)),
    ("version_major_2", "R3", "2.0", patched(8, 2)),
    ("version_minor_1", "R3", "1.1", patched(9, 1)),
    ("version_before_checksum", "R3", "2.0 with a wrong checksum", flipped(8)[:8] + b"\x02" + flipped(40)[9:]),
    ("checksum_zero", "R4", "8 zero bytes", GOOD[:-8] + bytes(8)),
    ("checksum_last_bit", "R4", "the last bit of the checksum", flipped(len(GOOD) - 1)),
    ("checksum_v_changed", "R4", "one bit of v", flipped(90)),
    ("checksum_base_changed", "R4", "one bit of the base digest", flipped(60)),
    ("checksum_trailing_byte", "R4", "one byte after the checksum", GOOD + b"\0"),
    ("checksum_last_byte_lost", "R4", "one byte cut off", GOOD[:-1]),
    ("checksum_line_feed_added", "R4", "a line feed after the checksum", GOOD + b"\n"),
    ("checksum_before_flags", "R4", "flags changed, checksum not", flipped(10)),
)

ENUMERATION = (
    ("flags_1", "R5", "lowest bit", patched(10, 1)),
    ("flags_128", "R5", "highest bit", patched(10, 128)),
    ("flags_before_enumeration", "R5", "flags 1 and precision 3", build(flags=1, precision=3)),
    ("precision_3", "R6", "one above the last value", patched(11, 3)),
    ("precision_255", "R6", "the largest byte", patched(11, 255)),
    ("sigma_side_3", "R6", "one above the last value", patched(13, 3)),
    ("basis_kind_3", "R6", "one above the last value", patched(14, 3)),
    ("basis_rounding_3", "R6", "one above the last value", patched(15, 3)),
    ("projection_kind_4", "R6", "one above the last value", patched(16, 4)),
    ("seed_rule_2", "R6", "one above the last value", patched(17, 2)),
    ("projection_rounding_3", "R6", "one above the last value", patched(18, 3)),
    ("tying_scheme_3", "R6", "one above the last value", patched(19, 3)),
    ("enumeration_before_rank", "R6", "tying scheme 3 and rank 0", build(tying=3, rank=0)),
)

RANGE = (
    ("rank_0", "R7", "no rank", build(rank=0)),
    ("rank_65_exact", "R7", "one above the limit of an exact basis", build(rank=65)),
    ("rank_255_exact", "R7", "the largest byte", build(rank=255)),
    ("u_0", "R8", "no value", build(u=0, v=bytes(26))),
    ("u_standard_3", "R8", "u = 3 with rank 2", build(projection=2, seed=0, u=3)),
    ("u_standard_5", "R8", "u = 5 with rank 2", build(projection=2, seed=0, u=5)),
    ("modules_0", "R9", "no module", build(modules=0, groups=1, n_tie=1)),
    ("modules_1048577", "R9", "one above the limit", build(modules=1_048_577)),
    ("modules_largest_u32", "R9", "2^32 - 1", build(modules=2**32 - 1)),
    ("groups_0", "R9", "no group", build(groups=0, n_tie=1, v=bytes(26))),
    ("groups_above_modules", "R9", "5 groups of 4 modules", build(modules=4, groups=5, n_tie=1, u=1)),
    ("values_above_limit", "R10", "1,048,576 groups of 17 values, none of them there", build(
        modules=1_048_576, groups=1_048_576, n_tie=1, u=17, v=bytes(26))),
    ("values_one_row_above_limit", "R10", "65,537 groups of 256 values", build(
        modules=65_537, groups=65_537, n_tie=1, u=256, v=bytes(26))),
    ("values_overflow_u32", "R10", "1,048,576 x 65,535 does not fit 32 bits", build(
        modules=1_048_576, groups=1_048_576, n_tie=1, u=65_535, v=bytes(26))),
    ("values_at_limit_but_absent", "R16", "16,777,216 values are allowed, but not there", build(
        modules=1_048_576, groups=1_048_576, n_tie=1, u=16, v=bytes(26))),
    ("target_set_bit_7", "R15", "128", build(target_set=0x80)),
    ("target_set_255", "R15", "all bits", build(target_set=0xFF)),
)

TYING = (
    ("n_tie_zero", "R11", "tiled with n_tie 0", build(groups=2, n_tie=0)),
    ("n_tie_zero_one_group", "R11", "one group with n_tie 0", build(n_tie=0)),
    ("n_tie_one_group_less", "R11", "one group with n_tie N - 1", build(n_tie=167)),
    ("n_tie_one_group_more", "R11", "one group with n_tie N + 1", build(n_tie=169)),
    ("n_tie_last_group_empty", "R11", "(G - 1) n_tie = N", build(modules=168, groups=8, n_tie=24, u=1)),
    ("n_tie_overflow_u32", "R11", "(G - 1) n_tie is 0 modulo 2^32", build(
        modules=8, groups=3, n_tie=2**31, u=1)),
    ("n_tie_structured_zero", "R11", "structured with n_tie 0", build(tying=1, groups=2, n_tie=0)),
    ("n_tie_with_map", "R11", "explicit map with n_tie 1", build(
        tying=2, modules=4, groups=2, n_tie=1, sections=((2, group_map(0, 1, 0, 1)),))),
    ("structured_one_group", "R12", "equals tiled", build(tying=1)),
)

VALUE = (
    ("scale_zero", "R13", "+0", build(scale=0)),
    ("scale_minus_zero", "R13", "-0", build(scale=0x80000000)),
    ("scale_infinite", "R13", "+inf", build(scale=0x7F800000)),
    ("scale_minus_infinite", "R13", "-inf", build(scale=0xFF800000)),
    ("scale_nan", "R13", "quiet NaN", build(scale=0x7FC00000)),
    ("scale_signalling_nan", "R13", "signalling NaN", build(scale=0x7F800001)),
    ("seed_with_standard", "R14", "seed 1", build(projection=2, u=4, seed=1)),
    ("seed_with_standard_high_bit", "R14", "seed 2^63", build(projection=2, u=4, seed=2**63)),
    ("seed_with_explicit", "R14", "seed 1", build(
        projection=3, seed=1, u=1, sections=((9, projections(0, 1, 4)),))),
    ("seed_rule_with_native", "R14", "byte 17 is 1", build(seed_rule=1)),
    ("seed_rule_with_standard", "R14", "byte 17 is 1", build(projection=2, u=4, seed=0, seed_rule=1)),
    ("projection_rounding_with_native", "R14", "byte 18 is 1", build(projection_rounding=1)),
    ("projection_rounding_with_explicit", "R14", "byte 18 is 2", build(
        projection=3, projection_rounding=2, seed=0, u=1, sections=((9, projections(0, 1, 4)),))),
    ("basis_rounding_with_explicit", "R14", "byte 15 is 1", build(
        modules=1, basis=2, basis_rounding=1, sections=((8, factors(1, (3, 2))),))),
    ("basis_rounding_with_explicit_split", "R14", "bytes 13 and 15 are 1", build(
        modules=1, basis=2, sigma_side=1, basis_rounding=1, sections=((8, factors(1, (3, 2))),))),
    ("basis_rounding_with_rsvd", "R14", "byte 15 is 1", build(basis=1, basis_rounding=1, sections=((7, rsvd()),))),
    ("basis_rounding_with_left", "R14", "sigma side left", build(basis_rounding=1)),
    ("basis_rounding_with_right", "R14", "sigma side right", build(sigma_side=2, basis_rounding=2)),
    ("sigma_side_with_explicit", "R14", "byte 13 is 2", build(
        modules=1, basis=2, sigma_side=2, sections=((8, factors(1, (3, 2))),))),
    ("sigma_side_with_rsvd", "R14", "byte 13 is 2", build(basis=1, sigma_side=2, sections=((7, rsvd()),))),
    ("sigma_side_split_with_rsvd", "R14", "byte 13 is 1", build(basis=1, sigma_side=1, sections=((7, rsvd()),))),
    ("v_one_byte_short", "R16", "the last value reaches into the checksum", build(v=bytes(25))),
    ("v_absent", "R16", "u = 65,535 and 13 values", build(u=65_535, v=bytes(26))),
    ("v_f32_with_bf16_bytes", "R16", "26 bytes for 13 f32 values", build(precision=0, v=bytes(26))),
    ("v_minus_zero_bf16", "R17", "-0", build(**bf16_v(0x3F80, 0x8000))),
    ("v_infinite_bf16", "R17", "+inf", build(**bf16_v(0x3F80, 0x7F80))),
    ("v_nan_bf16", "R17", "NaN", build(**bf16_v(0x3F80, 0xFFC1))),
    ("v_minus_zero_f32", "R17", "-0", build(precision=0, u=1, v=b"\0\0\0\x80")),
    ("v_infinite_f32", "R17", "-inf", build(precision=0, u=1, v=b"\0\0\x80\xff")),
    ("v_nan_f32", "R17", "signalling NaN", build(precision=0, u=1, v=b"\1\0\x80\x7f")),
    ("v_minus_zero_f16", "R17", "-0", build(precision=2, u=2, v=b"\0\x3c\0\x80")),
    ("v_infinite_f16", "R17", "+inf", build(precision=2, u=2, v=b"\0\x3c\0\x7c")),
    ("v_nan_f16", "R17", "NaN", build(precision=2, u=2, v=b"\0\x3c\xff\x7f")),
    ("v_last_value_nan", "R17", "only the last value of the last group", build(
        modules=4, groups=2, u=2, v=b"\0\0\0\0\0\0\xc0\x7f")),
)

SECTION_LIST = (
    ("section_byte_after_v", "R18", "one byte that is no section", build(tail=b"\0")),
    ("section_header_cut", "R18", "4 of 5 bytes", build(tail=b"\xc8\0\0\0", section_count=1)),
    ("section_too_long", "R18", "the content reaches into the checksum", build(
        tail=b"\xc8\3\0\0\0ab", section_count=1)),
    ("section_length_largest", "R18", "2^32 - 1", build(tail=b"\xc8\xff\xff\xff\xffab", section_count=1)),
    ("section_count_too_small", "R18", "one section, 0 counted", build(sections=((200, b"a"),), section_count=0)),
    ("section_count_too_large", "R18", "one section, 2 counted", build(sections=((200, b"a"),), section_count=2)),
    ("section_count_without_section", "R18", "none, 1 counted", build(section_count=1)),
    ("section_descending", "R18", "201 before 200", build(sections=((201, b"a"), (200, b"a")))),
    ("section_twice", "R18", "200 twice", build(sections=((200, b"a"), (200, b"b")))),
    ("section_trailing_byte", "R18", "one byte after the last section", build(sections=((200, b"a"),), tail=b"\0")),
    ("section_type_0", "R19", "type 0", build(sections=((0, b""),))),
    ("section_type_11", "R19", "the first type without meaning", build(sections=((11, b""),))),
    ("section_type_127", "R19", "the last critical type", build(sections=((127, b"a"),))),
    ("targets_missing", "R20", "target set 0", build(target_set=0)),
    ("targets_with_mask", "R20", "target set 127 and a targets section", build(sections=((1, names(0, "a")),))),
    ("group_map_missing", "R20", "explicit map", build(tying=2, modules=4, groups=2, n_tie=0)),
    ("group_map_with_tiled", "R20", "tiled and a map", build(
        modules=4, groups=2, sections=((2, group_map(0, 1, 0, 1)),))),
    ("rsvd_missing", "R20", "basis kind rsvd", build(basis=1)),
    ("rsvd_with_exact", "R20", "basis kind exact", build(sections=((7, rsvd()),))),
    ("factors_missing", "R20", "basis kind explicit", build(basis=2)),
    ("factors_with_exact", "R20", "basis kind exact", build(modules=1, sections=((8, factors(1, (3, 2))),))),
    ("projections_missing", "R20", "projection kind explicit", build(projection=3, seed=0)),
    ("projections_with_native", "R20", "projection kind native", build(sections=((9, projections(0, 1, 52)),))),
    ("rsvd_with_explicit", "R20", "basis kind explicit", build(
        modules=1, basis=2, sections=((7, rsvd()), (8, factors(1, (3, 2)))))),
    ("factors_with_rsvd", "R20", "basis kind rsvd", build(
        modules=1, basis=1, sections=((7, rsvd()), (8, factors(1, (3, 2)))))),
    ("corrections_without_rounding", "R20", "basis rounding 0", build(
        sigma_side=1, sections=((10, corrections((1, 1))),))),
    ("corrections_with_rsvd", "R20", "basis kind rsvd", build(
        basis=1, sections=((7, rsvd()), (10, corrections((1, 1)))))),
    ("corrections_with_explicit", "R20", "basis kind explicit", build(
        modules=1, basis=2, sections=((8, factors(1, (3, 2))), (10, corrections((1, 1)))))),
    ("corrections_before_content", "R20", "basis rounding 0 and no token", build(sections=((10, b""),))),
    ("signs_with_explicit", "R20", "basis kind explicit", build(
        modules=1, basis=2, sections=((6, b"\1"), (8, factors(1, (3, 2)))))),
    ("size_65537", "R21", "one byte too many", build(sections=((200, bytes(65_537 - 101)),))),
    ("size_65537_corrections", "R21", "one byte too many beside corrections", build(
        sigma_side=1, basis_rounding=1, sections=((10, corrections((1, 1))), (200, bytes(65_537 - 101))))),
    ("size_before_content", "R21", "too large, and a text that is empty", build(
        sections=((128, b""), (200, bytes(65_537 - 106))))),
    ("first_section_before_second", "R28", "module ranks and text are both wrong", build(
        modules=2, sections=((3, b"\2\2"), (128, text((1, "\u200b")))))),
)

CASES = (*MAGIC, *ENUMERATION, *RANGE, *TYING, *VALUE, *SECTION_LIST)
