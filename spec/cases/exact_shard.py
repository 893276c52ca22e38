"""The vectors `exact/shard_*`."""

from checkpoint import EIGHT, PAIR, file
from digest import Tensor
from merged import shard
from vector import pack

MIXED = [
    Tensor("z.weight", "F32", [2], EIGHT), Tensor("a.weight", "BF16", [1, 2], b"abcd"),
    Tensor("B.weight", "BF16", [1], b"ef"), Tensor("flag", "BOOL", [1], b"\1"), Tensor("count", "I64", [], EIGHT),
    Tensor("empty", "F32", [0, 3], b""),
]
CASES = (
    ("shard_pair", "two tensors", PAIR),
    ("shard_order", "by size of the dtype, descending, then by name", MIXED),
    ("shard_escaped_name", "a quote and a backslash; U+00E9 stands as it is", [
        Tensor('a"\\b', "U8", [1], b"x"), Tensor("\u00e9", "U8", [1], b"y")]),
    ("shard_name_order_is_bytes", "U+FF5E before U+1F600, though not in UTF-16", [
        Tensor("\U0001f600", "U8", [1], b"x"), Tensor("\uff5e", "U8", [1], b"y")]),
    ("shard_without_tensors", "only metadata", []),
    ("shard_header_without_padding", "88 bytes, a multiple of 8", [Tensor("abcde", "U8", [8], EIGHT)]),
)


def plain(tensors):
    """A file with the tensors in the given order, with nothing else."""
    parts, at = [], 0
    for tensor in tensors:
        end = at + len(tensor.data)
        name = tensor.name.replace("\\", "\\\\").replace('"', '\\"')
        parts.append(f'"{name}":{{"dtype":"{tensor.dtype}","shape":{tensor.shape},"data_offsets":[{at},{end}]}}')
        at = end
    return file("{" + ",".join(parts) + "}", b"".join(tensor.data for tensor in tensors))


def vectors():
    """Yields (file name, bytes)."""
    for name, comment, tensors in CASES:
        given = plain(tensors)
        yield name, pack({"comment": comment, "input": len(given)}, given + shard(tensors))
