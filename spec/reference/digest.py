"""Strict safetensors headers and the base digest `tmd1` (spec §9).

    python3 digest.py PATH

prints the digest of a `.safetensors` file or of a checkpoint directory, or `rejected: C7 layout ...` and exits 1.
"""

import json
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

from blake3 import derive_key
from tlora_read import Reject, need

LEAF = "tlora 2026-11 model-digest v1 leaf"
ROOT = "tlora 2026-11 model-digest v1 root"
SIZES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2,
         "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8}
INDEX = "model.safetensors.index.json"


@dataclass
class Tensor:
    name: str
    dtype: str
    shape: list
    data: bytes


class Pairs(list):
    """A JSON object as its (key, value) pairs, so that duplicates stay visible."""


class Number(str):
    """A JSON number as it is written."""


def parse(data):
    """The tensors of a safetensors file, or `Reject` with the first broken rule."""
    need(len(data) >= 8, "C1", "truncated", f"{len(data)} bytes")
    (length,) = struct.unpack_from("<Q", data)
    need(length <= 100_000_000 and length <= len(data) - 8, "C1", "truncated", f"header of {length} bytes")
    header = read_json(data[8:8 + length])
    check_duplicates(header)
    entries = check_entries(header)
    for name, entry in entries:
        need(entry["dtype"] in SIZES, "C5", "dtype", f"dtype {entry['dtype']!r} of {name!r}")
    for name, entry in entries:
        check_shape(name, entry)
    check_layout(entries, len(data) - 8 - length)
    for name, _ in entries:
        need(1 <= len(name.encode("utf-8")) <= 512, "C8", "name", f"name of {len(name.encode('utf-8'))} bytes")
        need(not any(is_control(character) for character in name), "C8", "name", f"name {name!r}")
    body = data[8 + length:]
    return [Tensor(name, e["dtype"], e["shape"], body[e["begin"]:e["end"]]) for name, e in entries]


def read_json(header):
    need(header[:1] == b"{", "C2", "json", "the header does not begin with {")
    header = header.rstrip(b" ")
    need(header[-1:] == b"}", "C2", "json", "the header does not end with } and spaces")
    try:
        value = json.loads(header.decode("utf-8"), object_pairs_hook=Pairs, parse_int=Number, parse_float=Number,
                           parse_constant=no_constant)
    except RecursionError as error:
        # Nothing that is valid nests so deep, whatever follows.
        raise Reject("C4", "entry", "nested too deep") from error
    except ValueError as error:
        raise Reject("C2", "json", str(error)) from error
    for text in strings(value):
        need(not any(0xD800 <= ord(character) <= 0xDFFF for character in text), "C2", "json", "a lone surrogate")
    return value


def no_constant(name):
    raise ValueError(f"{name} is not JSON")


def strings(value):
    if isinstance(value, Pairs):
        for key, inner in value:
            yield key
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str) and not isinstance(value, Number):
        yield value


def check_duplicates(header):
    for part in (header, *(value for _, value in header if isinstance(value, Pairs))):
        keys = [key for key, _ in part]
        need(len(set(keys)) == len(keys), "C3", "duplicate", "a key occurs twice")


def is_string(value):
    return isinstance(value, str) and not isinstance(value, Number)


def is_u64(value):
    return isinstance(value, Number) and value.isdecimal() and len(value) <= 20 and int(value) < 2**64


def check_entries(header):
    """The tensor entries, in header order, with integers and begin and end."""
    entries = []
    for name, value in header:
        need(isinstance(value, Pairs), "C4", "entry", f"{name!r} is not an object")
        if name == "__metadata__":
            need(all(is_string(text) for _, text in value), "C4", "entry", "metadata that is not a string")
            continue
        entry = dict(value)
        need(set(entry) == {"dtype", "shape", "data_offsets"}, "C4", "entry", f"fields of {name!r}")
        need(is_string(entry["dtype"]), "C4", "entry", f"dtype of {name!r}")
        for key in ("shape", "data_offsets"):
            plain = isinstance(entry[key], list) and not isinstance(entry[key], Pairs)
            need(plain and all(map(is_u64, entry[key])), "C4", "entry", f"{key} of {name!r}")
        need(len(entry["data_offsets"]) == 2, "C4", "entry", f"data_offsets of {name!r}")
        begin, end = map(int, entry["data_offsets"])
        entries.append((name, {"dtype": entry["dtype"], "shape": [int(d) for d in entry["shape"]],
                               "begin": begin, "end": end}))
    return entries


def check_shape(name, entry):
    need(len(entry["shape"]) <= 8, "C6", "shape", f"{len(entry['shape'])} dimensions of {name!r}")
    # A dimension of 0 does not hide an overflow of the others.
    product = SIZES[entry["dtype"]]
    for dimension in entry["shape"]:
        product *= dimension or 1
    need(product < 2**64, "C6", "shape", f"{name!r} overflows")
    size = 0 if 0 in entry["shape"] else product
    need(entry["end"] - entry["begin"] == size, "C6", "shape", f"{name!r} needs {size} bytes")


def check_layout(entries, length):
    at = 0
    for begin, end, name in sorted((entry["begin"], entry["end"], name) for name, entry in entries):
        need(begin == at, "C7", "layout", f"{name!r} begins at {begin}, not {at}")
        at = end
    need(at == length, "C7", "layout", f"the tensors end at {at} of {length}")


def is_control(character):
    return ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F


def tmd1(tensors):
    """The digest of all tensors of a checkpoint, as text."""
    records = {}
    for tensor in tensors:
        name, dtype = tensor.name.encode("utf-8"), tensor.dtype.encode("ascii")
        records[name] = (struct.pack("<I", len(name)) + name + bytes((len(dtype),)) + dtype
                         + struct.pack(f"<B{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
                         + struct.pack("<Q", len(tensor.data)) + derive_key(LEAF, tensor.data))
    root = struct.pack("<Q", len(records)) + b"".join(records[name] for name in sorted(records))
    return "tmd1:" + derive_key(ROOT, root).hex()


def shard_name_is_safe(name):
    return name not in ("", ".", "..") and not any(character in name for character in "/\\\0")


def directory_tensors(path):
    """The tensors of a checkpoint directory; `ValueError` if the index and the shards disagree."""
    if not (path / INDEX).exists():
        return parse((path / "model.safetensors").read_bytes())
    index = read_json((path / INDEX).read_bytes().strip())
    check_duplicates(index)
    where = dict(dict(index)["weight_map"])
    tensors = []
    for shard in sorted(set(where.values())):
        if not shard_name_is_safe(shard):
            raise ValueError(f"shard name {shard!r}")
        tensors += [(tensor, shard) for tensor in parse((path / shard).read_bytes())]
    if sorted((tensor.name, shard) for tensor, shard in tensors) != sorted(where.items()):
        raise ValueError("the index does not list exactly the tensors of its shards")
    return [tensor for tensor, _ in tensors]


def main(arguments):
    if len(arguments) != 1:
        print("usage: digest.py PATH", file=sys.stderr)
        return 2
    path = Path(arguments[0])
    try:
        tensors = directory_tensors(path) if path.is_dir() else parse(path.read_bytes())
    except Reject as reject:
        print(f"rejected: {reject.rule} {reject.failure}: {reject.message}")
        return 1
    except ValueError as error:
        print(f"rejected: {error}")
        return 1
    print(tmd1(tensors))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
