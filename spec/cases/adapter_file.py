"""Builds `.tlora` bytes field by field, right or wrong; the vectors are made with it."""

import hashlib
import struct

from blake3 import blake3

BASE = bytes(range(0xA0, 0xC0))
BASIS_CHECK = bytes(range(1, 9))

# The 13 bf16 values of the smallest useful adapter: exact in bf16, of both signs, and one zero.
V13 = (0.5, -0.25, 0.125, 1.0, -1.0, 0.0, 0.0078125, -0.0625, 2.0, -0.03125, 0.75, 0.00390625, -3.0)

SPELLING = {
    "precision": ("f32", "bf16", "f16"),
    "sigma_side": ("left", "split", "right"),
    "basis": ("exact", "rsvd", "explicit"),
    "basis_rounding": ("none", "bf16", "f16"),
    "projection": ("native", "torch", "standard", "explicit"),
    "seed_rule": ("module", "shared"),
    "projection_rounding": ("none", "bf16", "f16"),
    "tying": ("tiled", "structured", "map"),
}

DEFAULTS = {
    "magic": b"\x89tlora\r\n", "version": (1, 0), "flags": 0,
    "precision": 1, "rank": 2, "sigma_side": 0, "basis": 0, "basis_rounding": 0, "projection": 0, "seed_rule": 0,
    "projection_rounding": 0, "tying": 0, "target_set": 0x7F, "section_count": None,
    "u": 13, "modules": 168, "groups": 1, "n_tie": None, "scale": 0x3F800000, "seed": 42,
    "base": BASE, "basis_check": BASIS_CHECK, "v": None, "sections": (), "tail": b"",
    "says": {},  # more lines of the vector; no field of the file
}


def f32(value):
    return struct.pack("<f", value)


def f16(value):
    return struct.pack("<e", value)


def bf16(value):
    return struct.pack("<f", value)[2:]


PACK = (f32, bf16, f16)


def fields(**changes):
    """All fields of a file, with the defaults filled in so that one change keeps the rest consistent."""
    f = DEFAULTS | changes
    assert len(f) == len(DEFAULTS), changes
    if f["n_tie"] is None:
        f["n_tie"] = f["modules"] if f["groups"] == 1 else max(1, f["modules"] // max(1, f["groups"]))
    if f["v"] is None:
        count = f["groups"] * f["u"]
        f["v"] = b"".join(PACK[min(f["precision"], 2)](V13[i % 13]) for i in range(count))
    if f["section_count"] is None:
        f["section_count"] = len(f["sections"])
    return f


def section(kind, content):
    return struct.pack("<BI", kind, len(content)) + content


def body(f):
    """Everything before the checksum."""
    enumerations = bytes(f[key] for key in SPELLING if key != "precision" and key != "sigma_side")
    return (f["magic"] + bytes(f["version"]) + bytes((f["flags"], f["precision"], f["rank"], f["sigma_side"]))
            + enumerations + bytes((f["target_set"], f["section_count"]))
            + struct.pack("<HIIIIQ", f["u"], f["modules"], f["groups"], f["n_tie"], f["scale"], f["seed"])
            + f["base"] + f["basis_check"] + f["v"]
            + b"".join(section(kind, content) for kind, content in f["sections"]) + f["tail"])


def seal(data):
    return data + blake3(data)[:8]


def build(**changes):
    """A file with these fields and a right checksum."""
    return seal(body(fields(**changes)))


def facts(f, data):
    """What the fields say, as header lines."""
    lines = {key: f[key] for key in ("rank", "u", "modules", "groups", "n_tie")}
    lines |= {key: names[f[key]] for key, names in SPELLING.items()}
    lines |= {
        "target_set": f"{f['target_set']:02x}",
        "scale": f"{f['scale']:08x}",
        "seed": f["seed"],
        "base": "tmd1:" + f["base"].hex(),
        "basis_check": f["basis_check"].hex(),
        "v": f["v"].hex() if len(f["v"]) <= 1024 else "long",
        "sections": ",".join(str(kind) for kind, _ in f["sections"]) or "none",
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return lines | f["says"]


def names(mode, *items, count=None):
    """The content of a targets section."""
    items = [item.encode("utf-8") if isinstance(item, str) else item for item in items]
    return struct.pack("<BI", mode, len(items) if count is None else count) + b"".join(
        bytes((len(item),)) + item for item in items)


def group_map(*groups):
    return struct.pack(f"<{len(groups)}H", *groups)


def scales(*values):
    return b"".join(f32(value) for value in values)


def rsvd(seed=7, n_iter=10, oversample=8):
    return struct.pack("<IHH", seed, n_iter, oversample)


def factors(dtype, *shapes, rank=2, ranks=None):
    """Factors for modules of these (out, in) shapes."""
    content = bytes((dtype,))
    for module, (rows, columns) in enumerate(shapes):
        r = ranks[module] if ranks else rank
        count = (rows + columns) * r
        content += struct.pack("<II", rows, columns)
        content += b"".join(PACK[dtype](V13[i % 13]) for i in range(count))
    return content


def projections(dtype, shared, count):
    return bytes((dtype, shared)) + b"".join(PACK[min(dtype, 2)](V13[i % 13]) for i in range(count))


def signs(rank, *negated):
    """The negated columns of each module."""
    bits = sum(1 << (module * (rank - 1) + c - 1) for module, columns in enumerate(negated) for c in columns)
    return bits.to_bytes((len(negated) * (rank - 1) + 7) // 8, "little")


def token(value, length=0):
    """LEB128, padded to a length."""
    groups = max(1, -(-value.bit_length() // 7), length)
    return bytes((value >> 7 * i & 0x7F) | (0x80 if i < groups - 1 else 0) for i in range(groups))


def corrections(*moves):
    """A corrections section of (move, +1 or -1) pairs."""
    return b"".join(token(2 * move + (step < 0)) for move, step in moves)


def text(*pairs):
    """The content of a text section."""
    content = b""
    for key, value in pairs:
        value = value.encode("utf-8") if isinstance(value, str) else value
        content += struct.pack("<BH", key, len(value)) + value
    return content
