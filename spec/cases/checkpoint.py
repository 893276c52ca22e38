"""The vectors of `vectors/checkpoint`: the bytes of single safetensors files."""

import struct

from digest import Tensor, tmd1
from vector import pack

CLASS = {"C1": "truncated", "C2": "json", "C3": "duplicate", "C4": "entry", "C5": "dtype", "C6": "shape", "C7": "layout",
         "C8": "name"}


def file(header, data=b""):
    """A file with this header, as text or bytes."""
    header = header.encode("utf-8") if isinstance(header, str) else header
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype="U8", shape="[2]", offsets="[0,2]"):
    return f'{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}'


def one(data=b"ab", name="a", **fields):
    """A file with one tensor."""
    return file(f'{{"{name}":{entry(**fields)}}}', data)


def fields(text, data=b"ab"):
    """A file with one tensor whose entry is this text."""
    return file('{"a":' + text + "}", data)


def two(first, second, data):
    """A file with tensors a and b of U8 at these offsets."""
    parts = (f'"{name}":' + entry(shape=f"[{max(0, end - begin)}]", offsets=f"[{begin},{end}]")
             for name, (begin, end) in (("a", first), ("b", second)))
    return file("{" + ",".join(parts) + "}", data)


GOOD = one()
A = '"a":' + entry()

LENGTH = (
    ("truncated_empty", "C1", "no byte", b""),
    ("truncated_7_bytes", "C1", "7 bytes", GOOD[:7]),
    ("truncated_header", "C1", "the header is cut", GOOD[:20]),
    ("truncated_length_one_too_many", "C1", "no data, and a header one byte longer than the file",
     struct.pack("<Q", 3) + b"{}"),
    ("truncated_length_largest", "C1", "2^64 - 1", b"\xff" * 8 + GOOD[8:]),
    ("truncated_length_sign_bit", "C1", "2^63", struct.pack("<Q", 2**63) + GOOD[8:]),
    ("truncated_length_100000001", "C1", "above the limit", struct.pack("<Q", 100_000_001) + GOOD[8:]),
)

JSON = (
    ("json_empty_header", "C2", "length 0", file("")),
    ("json_leading_space", "C2", "a space before {", file(" {" + A + "}", b"ab")),
    ("json_byte_order_mark", "C2", "U+FEFF before {", file("\ufeff{" + A + "}", b"ab")),
    ("json_array", "C2", "[]", file("[]")),
    ("json_padding_line_feed", "C2", "a line feed after }", file("{" + A + "}\n", b"ab")),
    ("json_padding_nul", "C2", "zero bytes after }", file("{" + A + "}\0\0", b"ab")),
    ("json_padding_tab", "C2", "a tab after }", file("{" + A + "}\t", b"ab")),
    ("json_two_objects", "C2", "a second object", file("{" + A + "} {}", b"ab")),
    ("json_not_closed", "C2", "no } at the end", file("{" + A, b"ab")),
    ("json_trailing_comma", "C2", "a comma before }", file("{" + A + ",}", b"ab")),
    ("json_single_quotes", "C2", "'a'", file("{" + A.replace('"', "'") + "}", b"ab")),
    ("json_comment", "C2", "/**/", file("{/**/" + A + "}", b"ab")),
    ("json_not_utf8", "C2", "0xFF in a name", file(b'{"\xff":' + entry().encode() + b"}", b"ab")),
    ("json_overlong_utf8", "C2", "0xC0 0xAF in a name", file(b'{"\xc0\xaf":' + entry().encode() + b"}", b"ab")),
    ("json_lone_surrogate", "C2", "an escape of U+D800 alone", one(name="\\ud800")),
    ("json_raw_control_character", "C2", "a line feed in a string, not escaped", one(name="a\nb")),
    ("json_bad_escape", "C2", "backslash x", one(name="\\x41")),
    ("json_leading_zero", "C2", "02 is no JSON number", one(shape="[02]")),
    ("json_nan", "C2", "NaN is no JSON value", one(shape="[NaN]")),
)

TWICE = '{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}'

DUPLICATE = (
    ("duplicate_tensor", "C3", "a twice, equal", file("{" + A + "," + A + "}", b"ab")),
    ("duplicate_tensor_escaped", "C3", "a, and a as backslash u0061", file(
        '{"a":' + entry() + ',"\\u0061":' + entry() + "}", b"ab")),
    ("duplicate_in_entry", "C3", "dtype twice, equal", fields(TWICE)),
    ("duplicate_in_entry_escaped", "C3", "dtype, and dtype with an escape", fields(
        TWICE.replace('"dtype"', '"\\u0064type"', 1))),
    ("duplicate_shape_in_entry", "C3", "shape twice", fields(
        '{"dtype":"U8","shape":[2],"data_offsets":[0,2],"shape":[2]}')),
    ("duplicate_in_metadata", "C3", "format twice", file(
        '{"__metadata__":{"format":"pt","format":"pt"},' + A + "}", b"ab")),
    ("duplicate_in_metadata_escaped", "C3", "k, and k as backslash u006b", file(
        '{"__metadata__":{"k":"1","\\u006b":"1"},' + A + "}", b"ab")),
    ("duplicate_metadata", "C3", "__metadata__ twice", file(
        '{"__metadata__":{},"__metadata__":{},' + A + "}", b"ab")),
)

ENTRY = (
    ("entry_metadata_number", "C4", "a number", file('{"__metadata__":{"k":1},' + A + "}", b"ab")),
    ("entry_metadata_null", "C4", "null", file('{"__metadata__":{"k":null},' + A + "}", b"ab")),
    ("entry_metadata_object", "C4", "an object", file('{"__metadata__":{"k":{}},' + A + "}", b"ab")),
    ("entry_metadata_is_string", "C4", "not an object", file('{"__metadata__":"pt",' + A + "}", b"ab")),
    ("entry_metadata_as_tensor", "C4", "a tensor with that name", one(name="__metadata__", data=b"")),
    ("entry_unknown_field", "C4", "a fourth field", fields(
        '{"dtype":"U8","shape":[2],"data_offsets":[0,2],"stride":[1]}')),
    ("entry_no_dtype", "C4", "two fields", fields('{"shape":[2],"data_offsets":[0,2]}')),
    ("entry_no_shape", "C4", "two fields", fields('{"dtype":"U8","data_offsets":[0,2]}')),
    ("entry_no_offsets", "C4", "two fields", fields('{"dtype":"U8","shape":[2]}')),
    ("entry_is_null", "C4", "null", fields("null", b"")),
    ("entry_is_array", "C4", "the values without the keys", fields('["U8",[2],[0,2]]')),
    ("entry_dtype_number", "C4", "dtype 8", fields('{"dtype":8,"shape":[2],"data_offsets":[0,2]}')),
    ("entry_shape_number", "C4", "shape 2", one(shape="2")),
    ("entry_shape_negative", "C4", "-2", one(shape="[-2]")),
    ("entry_shape_minus_zero", "C4", "-0", one(shape="[-0]", offsets="[0,0]", data=b"")),
    ("entry_shape_fraction", "C4", "2.0", one(shape="[2.0]")),
    ("entry_shape_exponent", "C4", "2e0", one(shape="[2e0]")),
    ("entry_shape_string", "C4", "a string", one(shape='["2"]')),
    ("entry_shape_true", "C4", "true", one(shape="[true]", offsets="[0,1]", data=b"a")),
    ("entry_shape_2_to_64", "C4", "2^64", one(shape="[18446744073709551616]")),
    ("entry_offsets_one", "C4", "one number", one(offsets="[2]")),
    ("entry_offsets_three", "C4", "three numbers", one(offsets="[0,2,2]")),
    ("entry_offsets_negative", "C4", "-1", one(offsets="[-1,1]")),
    ("entry_offsets_2_to_64", "C4", "0 and 2^64", one(offsets="[0,18446744073709551616]")),
    ("entry_nested_20000", "C4", "20,000 arrays in a shape", one(shape="[" * 20_000 + "]" * 20_000)),
)

DTYPE = (
    ("dtype_unknown", "C5", "U128", one(dtype="U128")),
    ("dtype_lower_case", "C5", "bf16", one(dtype="bf16", shape="[1]")),
    ("dtype_empty", "C5", "no letter", one(dtype="")),
    ("dtype_sub_byte", "C5", "F4", one(dtype="F4", shape="[4]")),
)

HUGE = "4294967296"

SHAPE = (
    ("shape_9_dimensions", "C6", "nine ones", one(shape="[1,1,1,1,1,1,1,1,1]", offsets="[0,1]", data=b"a")),
    ("shape_product_overflow", "C6", "2^32 x 2^32 is 0 modulo 2^64", one(
        shape=f"[{HUGE},{HUGE}]", offsets="[0,0]", data=b"")),
    ("shape_size_overflow", "C6", "2^62 values of 4 bytes are 0 modulo 2^64", one(
        dtype="F32", shape="[4611686018427387904]", offsets="[0,0]", data=b"")),
    ("shape_zero_first_and_overflow", "C6", "0 x 2^32 x 2^32", one(
        shape=f"[0,{HUGE},{HUGE}]", offsets="[0,0]", data=b"")),
    ("shape_zero_last_and_overflow", "C6", "2^32 x 2^32 x 0", one(
        shape=f"[{HUGE},{HUGE},0]", offsets="[0,0]", data=b"")),
    ("shape_zero_and_size_overflow", "C6", "0 x 2^62 values of 4 bytes", one(
        dtype="F32", shape="[0,4611686018427387904]", offsets="[0,0]", data=b"")),
    ("shape_too_small", "C6", "1 value in 2 bytes", one(shape="[1]")),
    ("shape_too_large", "C6", "3 values in 2 bytes", one(shape="[3]")),
    ("shape_wrong_size_of_dtype", "C6", "2 F16 values in 2 bytes", one(dtype="F16")),
    ("shape_empty_but_data", "C6", "0 values in 2 bytes", one(shape="[0]")),
    ("shape_scalar_of_2_bytes", "C6", "no dimension is one value", one(shape="[]")),
    ("shape_begin_above_end", "C6", "[2,0]", one(offsets="[2,0]")),
    ("shape_begin_above_end_wraps", "C6", "[1,0] is 2^64 - 1 bytes modulo 2^64", one(
        shape="[18446744073709551615]", offsets="[1,0]", data=b"a")),
)

LAYOUT = (
    ("layout_trailing_byte", "C7", "one byte after the data", one(data=b"abc")),
    ("layout_data_cut", "C7", "one byte of the data is missing", one(data=b"a")),
    ("layout_no_data", "C7", "no data", one(data=b"")),
    ("layout_gap_at_start", "C7", "the first tensor begins at 1", one(offsets="[1,3]", data=b"abc")),
    ("layout_gap", "C7", "one byte between the tensors", two((0, 2), (3, 5), b"abcde")),
    ("layout_overlap", "C7", "one byte in both tensors", two((0, 2), (1, 3), b"abc")),
    ("layout_same_bytes", "C7", "both tensors at 0", two((0, 2), (0, 2), b"ab")),
    ("layout_empty_within_other", "C7", "an empty tensor within another", two((0, 2), (1, 1), b"ab")),
    ("layout_empty_beyond_end", "C7", "an empty tensor after the end", two((0, 2), (3, 3), b"ab")),
    ("layout_offsets_largest", "C7", "begin and end 2^64 - 1", two(
        (0, 2), (2**64 - 1, 2**64 - 1), b"ab")),
    ("layout_bytes_without_tensors", "C7", "no tensor, one byte", file("{}", b"a")),
)

NAME = (
    ("name_empty", "C8", "no byte", one(name="")),
    ("name_513_bytes", "C8", "one byte too long", one(name="a" * 513)),
    ("name_513_bytes_of_2_byte_characters", "C8", "257 characters", one(name="\u00e9" * 256 + "a")),
    ("name_line_feed", "C8", "U+000A as an escape", one(name="a\\nb")),
    ("name_nul", "C8", "U+0000 as an escape", one(name="a\\u0000")),
    ("name_terminal_escape", "C8", "U+001B as an escape", one(name="\\u001b[2J")),
    ("name_delete", "C8", "U+007F", one(name="a\x7f")),
    ("name_c1", "C8", "U+009B", one(name="\x9b2J")),
)

REJECTED = (*LENGTH, *JSON, *DUPLICATE, *ENTRY, *DTYPE, *SHAPE, *LAYOUT, *NAME)

# One dtype of each, all of 8 bytes.
ALL_DTYPES = (("BOOL", 8), ("U8", 8), ("I8", 8), ("F8_E4M3", 8), ("F8_E5M2", 8), ("F8_E8M0", 8), ("I16", 4), ("U16", 4),
              ("F16", 4), ("BF16", 4), ("I32", 2), ("U32", 2), ("F32", 2), ("C64", 1), ("F64", 1), ("I64", 1), ("U64", 1))

EIGHT = bytes(range(1, 9))
PAIR = [Tensor("a", "BF16", [2, 3], bytes(range(12))), Tensor("b", "F32", [2], bytes(range(12, 20)))]
PAIR_A = '"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]}'
PAIR_B = '"b":{"dtype":"F32","shape":[2],"data_offsets":[12,20]}'
PAIR_DATA = bytes(range(20))


def single(dtype, shape, data, name="a", spelled=None):
    """An accepted file with one tensor, and that tensor."""
    text = ",".join(map(str, shape))
    header = f'{{"{spelled or name}":' + entry(dtype, f"[{text}]", f"[0,{len(data)}]") + "}"
    return [Tensor(name, dtype, list(shape), data)], file(header, data)


def large():
    """128 KiB in two tensors of many BLAKE3 chunks, one with an incomplete last chunk."""
    first = bytes(i * i % 251 for i in range(65_537))
    second = bytes(i % 256 for i in range(65_535))
    tensors = [Tensor("first", "U8", [65_537], first), Tensor("second", "U8", [5, 13_107], second)]
    header = ('{"first":' + entry("U8", "[65537]", "[0,65537]") + ',"second":'
              + entry("U8", "[5,13107]", "[65537,131072]") + "}")
    return tensors, file(header, first + second)


# name, comment, (tensors, bytes)
ACCEPTED = (
    ("no_tensors", "an empty object", ([], file("{}"))),
    ("only_metadata", "no tensor", ([], file('{"__metadata__":{"format":"pt"}}'))),
    *((f"dtype_{dtype.lower()}_ok", "8 bytes", single(dtype, [count], EIGHT)) for dtype, count in ALL_DTYPES),
    ("scalar", "no dimension", single("F32", [], EIGHT[:4])),
    ("empty_tensor", "a dimension of 0", single("F32", [3, 0], b"")),
    ("empty_tensor_huge", "0 x 2^61 values of 4 bytes do not overflow", single("F32", [0, 2**61], b"")),
    ("eight_dimensions", "the most", single("U8", [1, 1, 2, 1, 2, 1, 2, 1], EIGHT)),
    ("reshaped", "the bytes of eight_dimensions in another shape have another digest", single("U8", [8], EIGHT)),
    ("other_name", "only the name differs from reshaped", single("U8", [8], EIGHT, name="b")),
    ("name_512_bytes", "the longest name", single("U8", [8], EIGHT, name="a" * 512)),
    ("name_unicode", "U+00E9", single("U8", [8], EIGHT, name="\u00e9")),
    ("name_decomposed", "U+0065 U+0301 is another name than U+00E9", single("U8", [8], EIGHT, name="e\u0301")),
    ("name_escapes", "a quote and a backslash", single("U8", [8], EIGHT, name='a"\\b', spelled='a\\"\\\\b')),
    ("name_escaped_pair", "U+1F600 as two escapes", single(
        "U8", [8], EIGHT, name="\U0001f600", spelled="\\ud83d\\ude00")),
    ("name_escaped_letter", "a as backslash u0061: the digest of one_byte_name", single(
        "U8", [8], EIGHT, name="a", spelled="\\u0061")),
    ("name_like_metadata", "__metadata is a name", single("U8", [8], EIGHT, name="__metadata")),
    ("one_byte_name", "a", single("U8", [8], EIGHT)),
    ("pair", "two tensors", (PAIR, file("{" + PAIR_A + "," + PAIR_B + "}", PAIR_DATA))),
    ("pair_unordered_header", "the digest of pair", (PAIR, file("{" + PAIR_B + "," + PAIR_A + "}", PAIR_DATA))),
    ("pair_metadata", "the digest of pair", (PAIR, file(
        '{"__metadata__":{"format":"pt","":""},' + PAIR_A + "," + PAIR_B + "}", PAIR_DATA))),
    ("pair_metadata_last", "the digest of pair", (PAIR, file(
        "{" + PAIR_A + "," + PAIR_B + ',"__metadata__":{}}', PAIR_DATA))),
    ("pair_padded", "the digest of pair", (PAIR, file(
        "{" + PAIR_A + "," + PAIR_B + "}" + " " * 37, PAIR_DATA))),
    ("pair_white_space", "the digest of pair", (PAIR, file(
        "{\n\t" + PAIR_A.replace(":", " : ") + " ,\r\n " + PAIR_B + " }", PAIR_DATA))),
    ("pair_fields_in_other_order", "the digest of pair", (PAIR, file(
        '{"a":{"data_offsets":[0,12],"shape":[2,3],"dtype":"BF16"},' + PAIR_B + "}", PAIR_DATA))),
    ("pair_other_data_order", "the digest of pair: b lies first", (PAIR, file(
        '{"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[8,20]},'
        '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', PAIR_DATA[12:] + PAIR_DATA[:12]))),
    ("pair_swapped_names", "another digest", (
        [Tensor("b", "BF16", [2, 3], bytes(range(12))), Tensor("a", "F32", [2], bytes(range(12, 20)))],
        file("{" + PAIR_A.replace('"a"', '"b"') + "," + PAIR_B.replace('"b"', '"a"') + "}", PAIR_DATA))),
    ("empty_between", "an empty tensor where another begins", (
        [Tensor("a", "U8", [2], b"ab"), Tensor("b", "U8", [0], b"")], two((0, 2), (0, 0), b"ab"))),
    ("empty_at_end", "an empty tensor at the end", (
        [Tensor("a", "U8", [2], b"ab"), Tensor("b", "U8", [0], b"")], two((0, 2), (2, 2), b"ab"))),
    ("large", "two tensors of 128 KiB together", large()),
)


def vectors():
    """Yields (file name, bytes)."""
    for name, comment, (tensors, data) in ACCEPTED:
        size = sum(len(tensor.data) for tensor in tensors)
        yield name, pack({"expect": "ok", "comment": comment, "tmd1": tmd1(tensors), "tensors": len(tensors),
                          "size": size}, data)
    for name, rule, comment, data in REJECTED:
        yield name, pack({"expect": CLASS[rule], "rule": rule, "comment": comment}, data)
