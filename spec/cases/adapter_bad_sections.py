"""Adapters that a reader rejects for the content of a section: name, rule, comment, bytes."""

import struct

from adapter_file import (bf16, build, corrections, f16, f32, factors, group_map, names, projections, rsvd, scales,
                          text, token)


def targets(content, **changes):
    return build(**{"target_set": 0, "modules": 2, "sections": ((1, content),)} | changes)


def mapped(*groups, count=2, modules=4):
    return build(tying=2, modules=modules, groups=count, n_tie=0, u=1, sections=((2, group_map(*groups)),))


def with_section(kind, content, **changes):
    return build(**changes, sections=((kind, content),))


def explicit(content, **changes):
    return with_section(8, content, **{"modules": 1, "basis": 2} | changes)


def projected(content, **changes):
    return with_section(9, content, **{"modules": 2, "projection": 3, "seed": 0, "u": 1} | changes)


def corrected(content):
    return with_section(10, content, sigma_side=1, basis_rounding=1)


def say(value, key=1):
    return with_section(128, text((key, value)))


TARGETS = (
    ("targets_empty", "R22", "no content", targets(b"")),
    ("targets_mode_2", "R22", "mode 2", targets(names(2, "a", "b"))),
    ("targets_count_0", "R22", "no target", targets(names(0))),
    ("targets_count_256", "R22", "one target too many", targets(names(0, *(f"t{i}" for i in range(256))))),
    ("targets_count_too_small", "R22", "two names, 1 counted", targets(names(0, "a", "b", count=1))),
    ("targets_count_too_large", "R22", "two names, 3 counted", targets(names(0, "a", "b", count=3))),
    ("targets_count_largest", "R22", "2^32 - 1", targets(names(1, "a", "b", count=2**32 - 1))),
    ("targets_modules_count", "R22", "3 names of 2 modules", targets(names(1, "a", "b", "c"))),
    ("targets_modules_zero", "R22", "mode 1 with no name", targets(names(1))),
    ("targets_name_cut", "R22", "the last name is cut", targets(names(0, "ab", "cd")[:-1])),
    ("targets_trailing_byte", "R22", "one byte after the last name", targets(names(0, "a") + b"\0")),
    ("targets_name_empty", "R23", "a name of 0 bytes", targets(names(0, "a", ""))),
    ("targets_name_space", "R23", "0x20", targets(names(0, "a b"))),
    ("targets_name_delete", "R23", "0x7F", targets(names(0, "a\x7f"))),
    ("targets_name_escape", "R23", "a terminal escape", targets(names(0, "\x1b[2J"))),
    ("targets_name_not_ascii", "R23", "0xC3 0xA9", targets(names(0, "\u00e9"))),
    ("targets_name_dot_first", "R23", ".a", targets(names(0, ".a"))),
    ("targets_name_dot_last", "R23", "a.", targets(names(0, "a."))),
    ("targets_name_dot_twice", "R23", "a..b", targets(names(0, "a..b"))),
    ("targets_name_dot_only", "R23", "one dot", targets(names(0, "."))),
    ("targets_modules_name_dot_last", "R23", "mode 1, a.", targets(names(1, "a.", "b"))),
    ("targets_same_name", "R24", "a b a", targets(names(0, "a", "b", "a"))),
    ("targets_modules_same_name", "R24", "mode 1, a a", targets(names(1, "a", "a"))),
    ("targets_suffix_after", "R24", "mlp.c_fc before c_fc", targets(names(0, "mlp.c_fc", "c_fc"))),
    ("targets_suffix_before", "R24", "c_fc before mlp.c_fc", targets(names(0, "c_fc", "mlp.c_fc"))),
    ("targets_standard_all", "R25", "what mask 127 says", targets(names(
        0, "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"))),
    ("targets_standard_one", "R25", "what mask 1 says", targets(names(0, "q_proj"))),
    ("targets_standard_some", "R25", "what mask 65 says", targets(names(0, "q_proj", "down_proj"))),
    ("targets_modules_structured", "R26", "mode 1 and structured", targets(
        names(1, "a", "b"), tying=1, groups=2, n_tie=1)),
)

MAP = (
    ("group_map_short", "R27", "3 of 4 entries", mapped(0, 1, 0)),
    ("group_map_long", "R27", "5 of 4 entries", mapped(0, 1, 0, 1, 0)),
    ("group_map_odd_length", "R27", "7 bytes", build(
        tying=2, modules=4, groups=2, n_tie=0, sections=((2, group_map(0, 1, 0, 1)[:7]),))),
    ("group_map_value", "R27", "group 2 of 2", mapped(0, 1, 0, 2)),
    ("group_map_value_65535", "R27", "group 65,535 of 2", mapped(0, 1, 0, 65_535)),
    ("group_map_group_missing", "R27", "group 2 of 3 does not occur", mapped(0, 1, 0, 1, count=3)),
    ("group_map_first_not_0", "R27", "1 0 1 0", mapped(1, 0, 1, 0)),
    ("group_map_order", "R27", "0 2 1 0", mapped(0, 2, 1, 0, count=3)),
    ("group_map_is_tiled", "R27", "0 0 1 1 is tiled with n_tie 2", mapped(0, 0, 1, 1)),
    ("group_map_is_tiled_long_last", "R27", "0 1 1 1 is tiled with n_tie 1", mapped(0, 1, 1, 1)),
    ("group_map_is_tiled_short_last", "R27", "0 0 0 1 is tiled with n_tie 3", mapped(0, 0, 0, 1)),
    ("group_map_one_group", "R27", "0 0 0 0 is tiled", mapped(0, 0, 0, 0, count=1)),
    ("group_map_one_each", "R27", "0 1 2 3 is tiled", mapped(0, 1, 2, 3, count=4)),
)

PER_MODULE = (
    ("module_ranks_short", "R28", "1 byte for 2 modules", with_section(3, b"\2", modules=2)),
    ("module_ranks_long", "R28", "3 bytes for 2 modules", with_section(3, b"\2\1\2", modules=2)),
    ("module_ranks_zero", "R28", "rank 0", with_section(3, b"\2\0", modules=2)),
    ("module_ranks_above", "R28", "rank 3 of 2", with_section(3, b"\2\1\3", modules=3)),
    ("module_ranks_all_equal", "R28", "2 2", with_section(3, b"\2\2", modules=2)),
    ("module_ranks_largest_missing", "R28", "1 1 with rank 2", with_section(3, b"\1\1", modules=2)),
    ("module_scales_short", "R29", "7 bytes for 2 modules", with_section(4, scales(1, 2)[:7], modules=2)),
    ("module_scales_long", "R29", "3 values for 2 modules", with_section(4, scales(1, 2, 3), modules=2)),
    ("module_scales_zero", "R29", "+0", with_section(4, scales(1, 0.0), modules=2)),
    ("module_scales_minus_zero", "R29", "-0", with_section(4, scales(1, -0.0), modules=2)),
    ("module_scales_nan", "R29", "NaN", with_section(4, scales(1, float("nan")), modules=2)),
    ("module_scales_infinite", "R29", "-inf", with_section(4, scales(1, float("-inf")), modules=2)),
    ("module_scales_all_equal", "R29", "2 2", with_section(4, scales(2, 2), modules=2)),
    ("module_scales_one_module", "R29", "one value is all equal", with_section(4, scales(2), modules=1)),
    ("module_scales_and_scale", "R29", "the scale is 2", with_section(4, scales(1, 2), modules=2, scale=0x40000000)),
    ("transposed_short", "R30", "1 byte for 9 modules", with_section(5, b"\1", modules=9)),
    ("transposed_long", "R30", "2 bytes for 8 modules", with_section(5, b"\1\0", modules=8)),
    ("transposed_none", "R30", "no bit set", with_section(5, b"\0\0", modules=9)),
    ("transposed_padding", "R30", "bit 9 of 9 modules", with_section(5, b"\1\2", modules=9)),
    ("signs_short", "R30", "1 byte for 9 bits", with_section(6, b"\1", modules=9)),
    ("signs_long", "R30", "2 bytes for 8 bits", with_section(6, b"\1\0", modules=8)),
    ("signs_none", "R30", "no bit set", with_section(6, b"\0", modules=8)),
    ("signs_padding", "R30", "bit 2 of 2", with_section(6, b"\4", modules=2)),
    ("signs_rank_1", "R30", "rank 1 has no sign bits", with_section(6, b"", rank=1, modules=8)),
    ("signs_rank_1_byte", "R30", "rank 1 with a byte", with_section(6, b"\1", rank=1, modules=8)),
    ("signs_beyond_module_rank", "R30", "column 2 of a module of rank 2", build(
        rank=3, modules=2, sections=((3, bytes((2, 3))), (6, b"\2")))),
)

RSVD = (
    ("rsvd_short", "R31", "7 bytes", with_section(7, rsvd()[:7], basis=1)),
    ("rsvd_long", "R31", "9 bytes", with_section(7, rsvd() + b"\0", basis=1)),
    ("rsvd_empty", "R31", "no content", with_section(7, b"", basis=1)),
    ("rsvd_n_iter_101", "R31", "one above the limit", with_section(7, rsvd(n_iter=101), basis=1)),
    ("rsvd_oversample_101", "R31", "one above the limit", with_section(7, rsvd(oversample=101), basis=1)),
)

PAIR = struct.pack("<II", 1, 1)

FACTORS = (
    ("factors_empty", "R32", "no content", explicit(b"")),
    ("factors_dtype_3", "R32", "dtype 3", explicit(b"\3" + factors(1, (3, 2))[1:])),
    ("factors_out_0", "R32", "0 x 2", explicit(factors(1, (0, 2)))),
    ("factors_in_0", "R32", "3 x 0", explicit(factors(1, (3, 0)))),
    ("factors_short", "R32", "one byte short", explicit(factors(1, (3, 2))[:-1])),
    ("factors_long", "R32", "one byte more", explicit(factors(1, (3, 2)) + b"\0")),
    ("factors_module_missing", "R32", "1 of 2 modules", explicit(factors(1, (3, 2)), modules=2)),
    ("factors_module_more", "R32", "2 of 1 modules", explicit(factors(1, (3, 2), (3, 2)))),
    ("factors_sizes_overflow", "R32", "(2^32 - 1) + (2^32 - 1) values", explicit(b"\1" + b"\xff" * 8 + bytes(16))),
    ("factors_rank_of_file", "R32", "a module of rank 1 with values for rank 2", build(
        modules=2, basis=2, sections=((3, b"\1\2"), (8, factors(1, (3, 2), (3, 2)))))),
    ("factors_nan", "R32", "NaN", explicit(b"\0" + PAIR + f32(1) + f32(float("nan")), rank=1)),
    ("factors_infinite", "R32", "+inf", explicit(b"\1" + PAIR + bf16(1) + bf16(float("inf")), rank=1)),
    ("factors_minus_zero", "R32", "-0", explicit(b"\2" + PAIR + f16(-0.0) + f16(1), rank=1)),
    ("projections_empty", "R32", "no content", projected(b"")),
    ("projections_one_byte", "R32", "dtype only", projected(b"\0")),
    ("projections_dtype_3", "R32", "dtype 3", projected(projections(3, 1, 4))),
    ("projections_shared_2", "R32", "shared 2", projected(projections(0, 2, 4))),
    ("projections_short", "R32", "one byte short", projected(projections(0, 1, 4)[:-1])),
    ("projections_long", "R32", "one value more", projected(projections(0, 1, 5))),
    ("projections_shared_but_each", "R32", "shared, with values for both modules", projected(projections(0, 1, 8))),
    ("projections_each_but_shared", "R32", "not shared, with values for one module", projected(projections(0, 0, 4))),
    ("projections_shared_module_ranks", "R32", "shared with module ranks", build(
        modules=2, projection=3, seed=0, u=1, sections=((3, b"\2\1"), (9, projections(0, 1, 4))))),
    ("projections_nan", "R32", "NaN", projected(b"\1\1" + bf16(1) * 3 + bf16(float("nan")))),
    ("projections_infinite", "R32", "-inf", projected(b"\0\1" + f32(1) * 3 + f32(float("-inf")))),
    ("projections_minus_zero", "R32", "-0", projected(b"\2\1" + f16(1) * 3 + f16(-0.0))),
)

CORRECTIONS = (
    ("corrections_empty", "R35", "no token", corrected(b"")),
    ("corrections_padded", "R35", "a token of two bytes where one would do", corrected(token(2, length=2))),
    ("corrections_padded_ten", "R35", "a token of ten bytes where one would do", corrected(token(2, length=10))),
    ("corrections_padded_second", "R35", "the second token is padded", corrected(token(2) + token(5, length=2))),
    ("corrections_padded_zero", "R35", "a token 0 of two bytes", corrected(token(2) + token(0, length=2))),
    ("corrections_cut", "R35", "the last byte has its top bit set", corrected(token(2) + b"\x82")),
    ("corrections_cut_at_once", "R35", "one byte, with its top bit set", corrected(b"\x82")),
    ("corrections_65_bits", "R35", "a token of 65 bits", corrected(token(2**64))),
    ("corrections_eleven_bytes", "R35", "a token of eleven bytes", corrected(b"\x82" + b"\x80" * 9 + b"\1")),
    ("corrections_first_0", "R35", "the first token is 0", corrected(corrections((0, 1), (1, 1)))),
    ("corrections_first_1", "R35", "the first token is 1", corrected(corrections((0, -1), (1, 1)))),
    ("corrections_up_then_down", "R35", "one entry up and down", corrected(corrections((4, 1), (0, -1)))),
    ("corrections_down_then_up", "R35", "one entry down twice and up", corrected(
        corrections((4, -1), (0, -1), (0, 1)))),
    ("corrections_sum_too_large", "R35", "moves of 2^63 in all", corrected(corrections((2**63 - 1, 1), (1, 1)))),
    ("corrections_sum_overflows", "R35", "moves of 2^64 + 1 in all", corrected(
        corrections((2**63 - 1, 1), (2**63 - 1, 1), (3, 1)))),
)

TEXT = (
    ("text_no_text", "R33", "no content", with_section(128, b"")),
    ("text_key_0", "R33", "key 0", say("a", 0)),
    ("text_key_6", "R33", "key 6", say("a", 6)),
    ("text_key_twice", "R33", "key 1 twice", with_section(128, text((1, "a"), (1, "b")))),
    ("text_keys_descending", "R33", "2 before 1", with_section(128, text((2, "a"), (1, "b")))),
    ("text_empty", "R33", "a text of 0 bytes", say("")),
    ("text_too_long", "R33", "length beyond the content", with_section(128, b"\1\3\0ab")),
    ("text_header_cut", "R33", "2 of 3 bytes", with_section(128, text((1, "a")) + b"\2\0")),
    ("text_bad_byte", "R33", "0xFF", say(b"a\xff")),
    ("text_overlong", "R33", "0xC0 0x80", say(b"\xc0\x80")),
    ("text_surrogate", "R33", "U+D800 encoded", say(b"\xed\xa0\x80")),
    ("text_above_unicode", "R33", "U+110000 encoded", say(b"\xf4\x90\x80\x80")),
    ("text_character_cut", "R33", "the last character is cut", say(b"\xe4\xb8")),
    ("text_nul", "R34", "U+0000", say("a\0")),
    ("text_tab", "R34", "U+0009", say("a\tb")),
    ("text_carriage_return", "R34", "U+000D", say("a\r\n")),
    ("text_escape", "R34", "a terminal escape", say("\x1b]8;;x\x07")),
    ("text_unit_separator", "R34", "U+001F", say("\x1f")),
    ("text_delete", "R34", "U+007F", say("\x7f")),
    ("text_c1", "R34", "U+009B", say("\x9b")),
    ("text_c1_last", "R34", "U+009F", say("\x9f")),
    ("text_zero_width", "R34", "U+200B", say("\u200b")),
    ("text_right_to_left_mark", "R34", "U+200F", say("\u200f")),
    ("text_line_separator", "R34", "U+2028", say("\u2028")),
    ("text_bidi_override", "R34", "U+202E", say("\u202e")),
    ("text_word_joiner", "R34", "U+2060", say("\u2060")),
    ("text_bidi_isolate", "R34", "U+2069", say("\u2069")),
    ("text_byte_order_mark", "R34", "U+FEFF", say("\ufeffa")),
    ("text_second_text", "R34", "only the second text is wrong", with_section(128, text((1, "a"), (5, "\u200b")))),
)

CASES = (*TARGETS, *MAP, *PER_MODULE, *RSVD, *FACTORS, *CORRECTIONS, *TEXT)
