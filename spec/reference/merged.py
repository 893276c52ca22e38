"""Writes a shard of a merged checkpoint (spec §10)."""

import struct

from digest import SIZES


def shard(tensors):
    """The bytes of a shard with these tensors."""
    ordered = sorted(tensors, key=lambda tensor: (-SIZES[tensor.dtype], tensor.name.encode("utf-8")))
    entries, at = ['"__metadata__":{"format":"pt"}'], 0
    for tensor in ordered:
        shape = ",".join(map(str, tensor.shape))
        end = at + len(tensor.data)
        entries.append(f'{quoted(tensor.name)}:{{"dtype":"{tensor.dtype}","shape":[{shape}],'
                       f'"data_offsets":[{at},{end}]}}')
        at = end
    header = ("{" + ",".join(entries) + "}").encode("utf-8")
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + b"".join(tensor.data for tensor in ordered)


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
