"""Strict reader of `.tlora` files (spec §2 to §4).

    python3 tlora_read.py FILE

prints the facts of a file as JSON, or `rejected: R7 range ...` with exit status 1.
"""

import hashlib
import json
import struct
import sys
from dataclasses import dataclass, field

from blake3 import blake3

MAGIC = b"\x89tlora\r\n"
HEADER_LENGTH = 88
STANDARD_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

PRECISION = ("f32", "bf16", "f16")
SIGMA_SIDE = ("left", "split", "right")
BASIS = ("exact", "rsvd", "explicit")
ROUNDING = ("none", "bf16", "f16")
PROJECTION = ("native", "torch", "standard", "explicit")
SEED_RULE = ("module", "shared")
TYING = ("tiled", "structured", "map")
TEXT_KEYS = {1: "name", 2: "description", 3: "licence", 4: "base_model", 5: "training"}

TARGETS, GROUP_MAP, RANKS, SCALES, TRANSPOSED, SIGNS, RSVD, FACTORS, PROJECTIONS, CORRECTIONS = range(1, 11)
TEXT = 128
FIRST_ANCILLARY = 128


class Reject(Exception):
    """A file breaks a rule: its id, its failure class, and what was found."""

    def __init__(self, rule, failure, message):
        super().__init__(f"{rule} {failure}: {message}")
        self.rule, self.failure, self.message = rule, failure, message


def need(condition, rule, failure, message):
    if not condition:
        raise Reject(rule, failure, message)


@dataclass
class Adapter:
    """The fields of §2 by their numbers, and the contents of the sections."""

    data: bytes
    precision: int
    rank: int
    sigma_side: int
    basis: int
    basis_rounding: int
    projection: int
    seed_rule: int
    projection_rounding: int
    tying: int
    target_mask: int
    section_count: int
    u: int
    modules: int
    groups: int
    n_tie: int
    scale_bits: int
    seed: int
    base: bytes
    basis_check: bytes
    v: bytes = b""
    sections: dict = field(default_factory=dict)
    target_mode: int = 0
    names: list = field(default_factory=list)
    group_map: list = field(default_factory=list)
    ranks: list = field(default_factory=list)
    scales: list = field(default_factory=list)
    corrections: list = field(default_factory=list)
    texts: dict = field(default_factory=dict)

    def module_rank(self, module):
        return self.ranks[module] if self.ranks else self.rank


def parse(data):
    """The adapter in `data`, or `Reject` with the first broken rule."""
    adapter = read_header(data)
    check_fields(adapter)
    read_v(adapter)
    read_section_list(adapter)
    for kind in adapter.sections:
        if kind in CONTENTS:
            CONTENTS[kind](adapter, adapter.sections[kind])
    return adapter


def read_header(data):
    prefix = data[:len(MAGIC)]
    need(prefix == MAGIC[:len(prefix)], "R1", "magic", f"begins with {prefix.hex()}")
    need(len(data) >= 98, "R2", "truncated", f"{len(data)} bytes")
    need(data[8:10] == b"\x01\x00", "R3", "version", f"version {data[8]}.{data[9]}")
    found, wanted = data[-8:], blake3(data[:-8])[:8]
    need(found == wanted, "R4", "checksum", f"found {found.hex()}, computed {wanted.hex()}")
    need(data[10] == 0, "R5", "flags", f"flags {data[10]:#04x}")
    u, modules, groups, n_tie, scale_bits, seed = struct.unpack_from("<HIIIIQ", data, 22)
    return Adapter(data, *data[11:22], u, modules, groups, n_tie, scale_bits, seed, data[48:80], data[80:88])


def check_fields(a):
    limits = ((a.precision, 3), (a.sigma_side, 3), (a.basis, 3), (a.basis_rounding, 3), (a.projection, 4),
              (a.seed_rule, 2), (a.projection_rounding, 3), (a.tying, 3))
    need(all(value < limit for value, limit in limits), "R6", "enumeration", f"bytes 11, 13-19: {a.data[11:20].hex()}")
    basis, projection = BASIS[a.basis], PROJECTION[a.projection]

    need(a.rank >= 1, "R7", "range", "rank 0")
    need(basis != "exact" or a.rank <= 64, "R7", "range", f"rank {a.rank} with basis kind exact")
    need(a.u >= 1, "R8", "range", "u = 0")
    need(projection != "standard" or a.u == a.rank ** 2, "R8", "range", f"standard with u = {a.u}, rank {a.rank}")
    need(1 <= a.modules <= 1_048_576, "R9", "range", f"{a.modules} modules")
    need(1 <= a.groups <= a.modules, "R9", "range", f"{a.groups} groups of {a.modules} modules")
    need(a.groups * a.u <= 16_777_216, "R10", "range", f"{a.groups} groups of {a.u} values")
    if TYING[a.tying] == "map":
        need(a.n_tie == 0, "R11", "tying", f"n_tie {a.n_tie} with an explicit map")
    else:
        need(a.n_tie >= 1, "R11", "tying", "n_tie 0")
        need((a.groups - 1) * a.n_tie < a.modules, "R11", "tying", f"n_tie {a.n_tie} leaves the last group empty")
        need(a.groups > 1 or a.n_tie == a.modules, "R11", "tying", f"one group with n_tie {a.n_tie}")
    need(TYING[a.tying] != "structured" or a.groups >= 2, "R12", "tying", "structured with one group")
    need(is_scale(a.scale_bits), "R13", "value", f"scale {a.scale_bits:#010x}")
    need(projection in ("native", "torch") or a.seed == 0, "R14", "unused", "projection seed")
    need(projection == "torch" or (a.seed_rule, a.projection_rounding) == (0, 0), "R14", "unused", "bytes 17 and 18")
    need(basis == "exact" or a.sigma_side == 0, "R14", "unused", "sigma side")
    need((basis, SIGMA_SIDE[a.sigma_side]) == ("exact", "split") or a.basis_rounding == 0, "R14", "unused",
         "basis rounding")
    need(a.target_mask < 128, "R15", "range", f"target set {a.target_mask:#04x}")


def is_scale(bits):
    """Whether the f32 with these bits is finite and not a zero."""
    return bits & 0x7FFFFFFF != 0 and bits & 0x7F800000 != 0x7F800000


def bad_value(values, precision):
    """The index of the first NaN, infinity or negative zero among packed floats, or None."""
    size = value_size(precision)
    exponent = {"f32": 0x7F800000, "bf16": 0x7F80, "f16": 0x7C00}[PRECISION[precision]]
    minus_zero = 1 << (8 * size - 1)
    for index, (bits,) in enumerate(struct.iter_unpack("<I" if size == 4 else "<H", values)):
        if bits & exponent == exponent or bits == minus_zero:
            return index
    return None


def value_size(precision):
    return 4 if PRECISION[precision] == "f32" else 2


def read_v(a):
    end = HEADER_LENGTH + a.groups * a.u * value_size(a.precision)
    need(end <= len(a.data) - 8, "R16", "truncated", f"v ends at {end} of {len(a.data)} bytes")
    a.v = a.data[HEADER_LENGTH:end]
    need(bad_value(a.v, a.precision) is None, "R17", "value", "v has a NaN, an infinity or -0")


def read_section_list(a):
    at, end = HEADER_LENGTH + len(a.v), len(a.data) - 8
    last = -1
    while at < end:
        need(end - at >= 5, "R18", "section", f"{end - at} bytes at {at} are no section")
        kind, length = struct.unpack_from("<BI", a.data, at)
        need(length <= end - at - 5, "R18", "section", f"section {kind} of {length} bytes at {at} is too long")
        need(kind > last, "R18", "section", f"section {kind} after section {last}")
        a.sections[kind] = a.data[at + 5:at + 5 + length]
        at, last = at + 5 + length, kind
    need(len(a.sections) == a.section_count, "R18", "section", f"{len(a.sections)} sections, not {a.section_count}")
    for kind in a.sections:
        need(kind >= FIRST_ANCILLARY or kind in CONTENTS, "R19", "section", f"unknown critical section {kind}")
    wanted = {
        TARGETS: a.target_mask == 0,
        GROUP_MAP: TYING[a.tying] == "map",
        RSVD: BASIS[a.basis] == "rsvd",
        FACTORS: BASIS[a.basis] == "explicit",
        PROJECTIONS: PROJECTION[a.projection] == "explicit",
    }
    for kind, want in wanted.items():
        need((kind in a.sections) == want, "R20", "section", f"section {kind} must {'' if want else 'not '}be present")
    need(a.basis_rounding != 0 or CORRECTIONS not in a.sections, "R20", "section", "corrections of no rounding")
    need(BASIS[a.basis] != "explicit" or SIGNS not in a.sections, "R20", "section", "signs of explicit factors")
    large = sum(5 + len(a.sections[kind]) for kind in (FACTORS, PROJECTIONS, CORRECTIONS) if kind in a.sections)
    size = len(a.data) - len(a.v) - large
    need(size <= 65_536, "R21", "size", f"{size} bytes")


def read_targets(a, content):
    need(len(content) >= 5, "R22", "names", f"{len(content)} bytes")
    mode, count = struct.unpack_from("<BI", content)
    need(mode in (0, 1), "R22", "names", f"mode {mode}")
    need(count >= 1, "R22", "names", "no name")
    need(mode == 1 or count <= 255, "R22", "names", f"{count} targets")
    need(mode == 0 or count == a.modules, "R22", "names", f"{count} names for {a.modules} modules")
    names, at = [], 5
    for _ in range(count):
        need(at < len(content), "R22", "names", "ends before the last name")
        end = at + 1 + content[at]
        need(end <= len(content), "R22", "names", "ends within a name")
        names.append(content[at + 1:end])
        at = end
    need(at == len(content), "R22", "names", "bytes after the last name")

    for name in names:
        need(name and all(0x21 <= byte <= 0x7E for byte in name), "R23", "names", f"name {name!r}")
        need(b"" not in name.split(b"."), "R23", "names", f"dots of name {name!r}")
    need(len(set(names)) == len(names), "R24", "names", "a name occurs twice")
    if mode == 0:
        for name in names:
            need(not any(other.endswith(b"." + name) for other in names), "R24", "names", f"{name!r} ends another")
    a.target_mode, a.names = mode, [name.decode("ascii") for name in names]
    if mode == 0:
        need(a.names != [name for name in STANDARD_TARGETS if name in a.names], "R25", "names", "the mask says this")
    need(mode == 0 or TYING[a.tying] != "structured", "R26", "names", "structured with a list of modules")


def read_group_map(a, content):
    need(len(content) == 2 * a.modules, "R27", "tying", f"{len(content)} bytes for {a.modules} modules")
    groups = [group for (group,) in struct.iter_unpack("<H", content)]
    need(max(groups) < a.groups, "R27", "tying", f"group {max(groups)} of {a.groups}")
    first = list(dict.fromkeys(groups))
    need(first == list(range(a.groups)), "R27", "tying", "groups are missing or appear out of order")
    # Tiled with these groups could only have n_tie = the length of the first run.
    n_tie = groups.index(1) if a.groups > 1 else a.modules
    tiled = [min(i // n_tie, a.groups - 1) for i in range(a.modules)]
    need(groups != tiled, "R27", "tying", f"the same as tiled with n_tie {n_tie}")
    a.group_map = groups


def read_ranks(a, content):
    need(len(content) == a.modules, "R28", "canonical", f"{len(content)} bytes for {a.modules} modules")
    need(min(content) >= 1 and max(content) == a.rank, "R28", "canonical", f"not 1 to {a.rank}, with {a.rank} itself")
    need(min(content) < a.rank, "R28", "canonical", "all ranks are equal")
    a.ranks = list(content)


def read_scales(a, content):
    need(len(content) == 4 * a.modules, "R29", "canonical", f"{len(content)} bytes for {a.modules} modules")
    scales = [bits for (bits,) in struct.iter_unpack("<I", content)]
    need(all(map(is_scale, scales)), "R29", "canonical", "a scale is not finite, or is a zero")
    need(len(set(scales)) > 1, "R29", "canonical", "all scales are equal")
    need(a.scale_bits == 0x3F800000, "R29", "canonical", "the scale at offset 36 is not 1")
    a.scales = scales


def read_bits(content, count):
    need(len(content) == (count + 7) // 8, "R30", "canonical", f"{len(content)} bytes for {count} bits")
    bits = int.from_bytes(content, "little")
    need(bits != 0, "R30", "canonical", "no bit is set")
    need(bits >> count == 0, "R30", "canonical", "a padding bit is set")
    return bits


def read_transposed(a, content):
    read_bits(content, a.modules)


def read_signs(a, content):
    width = a.rank - 1
    bits = read_bits(content, a.modules * width)
    for module in range(a.modules):
        mine = bits >> (module * width) & (1 << width) - 1
        need(mine >> (a.module_rank(module) - 1) == 0, "R30", "canonical", f"a sign beyond the rank of module {module}")


def read_rsvd(_, content):
    need(len(content) == 8, "R31", "section", f"{len(content)} bytes")
    _, n_iter, oversample = struct.unpack("<IHH", content)
    need(n_iter <= 100 and oversample <= 100, "R31", "section", f"n_iter {n_iter}, oversample {oversample}")


def read_factors(a, content):
    need(len(content) >= 1 and content[0] < 3, "R32", "factors", "dtype")
    size, at, values = value_size(content[0]), 1, []
    for module in range(a.modules):
        need(len(content) - at >= 8, "R32", "factors", f"ends before the sizes of module {module}")
        rows, columns = struct.unpack_from("<II", content, at)
        need(rows >= 1 and columns >= 1, "R32", "factors", f"module {module} is {rows} x {columns}")
        end = at + 8 + (rows + columns) * a.module_rank(module) * size
        need(end <= len(content), "R32", "factors", f"ends within module {module}")
        values.append(content[at + 8:end])
        at = end
    need(at == len(content), "R32", "factors", "bytes after the last module")
    need(all(bad_value(part, content[0]) is None for part in values), "R32", "factors", "a NaN, an infinity or -0")


def read_projections(a, content):
    need(len(content) >= 2, "R32", "factors", f"{len(content)} bytes")
    dtype, shared = content[0], content[1]
    need(dtype < 3 and shared < 2, "R32", "factors", f"dtype {dtype}, shared {shared}")
    need(not (shared and a.ranks), "R32", "factors", "shared with module ranks")
    squares = a.rank ** 2 if shared else sum(a.module_rank(module) ** 2 for module in range(a.modules))
    wanted = 2 + a.u * squares * value_size(dtype)
    need(len(content) == wanted, "R32", "factors", f"{len(content)} bytes, not {wanted}")
    need(bad_value(content[2:], dtype) is None, "R32", "factors", "a NaN, an infinity or -0")


def read_corrections(a, content):
    try:
        a.corrections = correction_steps(content)
    except ValueError as error:
        raise Reject("R35", "corrections", str(error)) from error


def correction_steps(content):
    """The (entry, step) pairs of a corrections section, step being 1 or -1; `ValueError` if it breaks R35."""
    steps, at = [], -1
    for token in leb128(content):
        move, step = token >> 1, -1 if token & 1 else 1
        if move == 0:
            if not steps:
                raise ValueError("the first token does not move")
            if steps[-1][1] != step:
                raise ValueError(f"up and down at entry {at}")
        at += move
        if at + 1 >= 2**63:
            raise ValueError("the sum of the moves is 2^63 or more")
        steps.append((at, step))
    if not steps:
        raise ValueError("no token")
    return steps


def leb128(content):
    """The numbers of at most 64 bits, each as short as it can be."""
    value, shift = 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        if value >= 2**64 or shift > 63:
            raise ValueError("a token of more than 64 bits")
        shift += 7
        if byte < 0x80:
            if byte == 0 and shift > 7:
                raise ValueError("a token is longer than it has to be")
            yield value
            value, shift = 0, 0
    if shift:
        raise ValueError("ends within a token")


def read_text(a, content):
    at, last, texts = 0, 0, {}
    need(len(content) > 0, "R33", "text", "no text")
    while at < len(content):
        need(len(content) - at >= 3, "R33", "text", "ends within a text")
        key, length = struct.unpack_from("<BH", content, at)
        need(key in TEXT_KEYS and key > last, "R33", "text", f"key {key} after key {last}")
        need(1 <= length <= len(content) - at - 3, "R33", "text", f"length {length}")
        try:
            texts[TEXT_KEYS[key]] = content[at + 3:at + 3 + length].decode("utf-8")
        except UnicodeDecodeError as error:
            raise Reject("R33", "text", "not UTF-8") from error
        at, last = at + 3 + length, key
    for text in texts.values():
        need(not any(map(is_forbidden, text)), "R34", "text", "a control or formatting character")
    a.texts = texts


def is_forbidden(character):
    point = ord(character)
    return (point < 0x20 and point != 0x0A or 0x7F <= point <= 0x9F or 0x200B <= point <= 0x200F
            or 0x2028 <= point <= 0x202E or 0x2060 <= point <= 0x2069 or point == 0xFEFF)


CONTENTS = {
    TARGETS: read_targets, GROUP_MAP: read_group_map, RANKS: read_ranks, SCALES: read_scales,
    TRANSPOSED: read_transposed, SIGNS: read_signs, RSVD: read_rsvd, FACTORS: read_factors,
    PROJECTIONS: read_projections, CORRECTIONS: read_corrections, TEXT: read_text,
}


def facts(a):
    """What a file says, in the spelling of the vectors (`vectors/README.md`)."""
    said = {
        "rank": a.rank,
        "u": a.u,
        "modules": a.modules,
        "groups": a.groups,
        "n_tie": a.n_tie,
        "precision": PRECISION[a.precision],
        "sigma_side": SIGMA_SIDE[a.sigma_side],
        "basis": BASIS[a.basis],
        "basis_rounding": ROUNDING[a.basis_rounding],
        "projection": PROJECTION[a.projection],
        "seed_rule": SEED_RULE[a.seed_rule],
        "projection_rounding": ROUNDING[a.projection_rounding],
        "tying": TYING[a.tying],
        "target_set": f"{a.target_mask:02x}",
        "scale": f"{a.scale_bits:08x}",
        "seed": a.seed,
        "base": "tmd1:" + a.base.hex(),
        "basis_check": a.basis_check.hex(),
        "v": a.v.hex(),
        "sections": ",".join(map(str, a.sections)) or "none",
        "sha256": hashlib.sha256(a.data).hexdigest(),
    }
    if a.corrections:
        said["corrections"] = ",".join(f"{'+' if step > 0 else '-'}{entry}" for entry, step in a.corrections)
    return said


def main(arguments):
    if len(arguments) != 1:
        print("usage: tlora_read.py FILE", file=sys.stderr)
        return 2
    with open(arguments[0], "rb") as file:
        data = file.read()
    try:
        adapter = parse(data)
    except Reject as reject:
        print(f"rejected: {reject.rule} {reject.failure}: {reject.message}")
        return 1
    print(json.dumps({**facts(adapter), "names": adapter.names, "texts": adapter.texts}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
