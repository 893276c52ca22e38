"""Merges adapters into a checkpoint of one file (spec §5 to §8, §10), in plain Python: for small models.

    python3 merge.py BASE.safetensors OUTPUT.safetensors DTYPE ADAPTER.tlora …
"""

import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import basis
import projection
import rounding
import rsvd
from delta import Exact, Factored, core, factored_core, merge
from digest import Tensor, parse, tmd1
from floats import FORMATS, decode, decode_all
from merged import shard
from tlora_read import (BASIS, FACTORS, PRECISION, PROJECTION, PROJECTIONS, ROUNDING, RSVD, SEED_RULE, SIGMA_SIDE,
                        SIGNS, STANDARD_TARGETS, TRANSPOSED, TYING)
from tlora_read import parse as parse_adapter

DTYPES = {"BF16": "bf16", "F16": "f16", "F32": "f32"}


class Unfit(Exception):
    """The adapter does not apply to this base: in what, and what was found."""

    def __init__(self, what, message):
        super().__init__(f"{what}: {message}")
        self.what = what


@dataclass
class Module:
    number: int
    name: str
    target: int
    transposed: bool
    dtype: str
    m: int
    n: int
    data: bytes  # row-major, out x in
    rank: int
    group: int = 0

    def rows(self):
        return basis.weight_matrix(self.dtype, self.m, self.n, self.data)


# §5 Modules and tying


def find_modules(a, tensors):
    """The modules of the adapter, in module order."""
    tensors = {tensor.name.removesuffix(".weight"): tensor for tensor in tensors if tensor.name.endswith(".weight")}
    if a.target_mode == 1:
        if any(name not in tensors for name in a.names):
            raise Unfit("modules", "one is missing")
        chosen = [(name, 0) for name in a.names]
    else:
        targets = a.names or [target for bit, target in enumerate(STANDARD_TARGETS) if a.target_mask >> bit & 1]
        if any(selecting(targets, tensor.name) is not None and len(tensor.shape) == 3 for tensor in tensors.values()):
            raise Unfit("modules", "a target selects a tensor of three dimensions")
        chosen = [(name, selecting(targets, name)) for name in tensors]
        chosen = sorted((pair for pair in chosen if pair[1] is not None), key=lambda pair: module_order(*pair))
    if len(chosen) != a.modules:
        raise Unfit("modules", f"{len(chosen)}, not {a.modules}")
    modules = [module(a, number, name, target, tensors[name]) for number, (name, target) in enumerate(chosen)]
    for number, group in enumerate(groups(a, modules)):
        modules[number].group = group
    return modules


def selecting(targets, name):
    """The position of the target that selects a name, or None."""
    return next((i for i, target in enumerate(targets) if name == target or name.endswith("." + target)), None)


def module_order(name, target):
    numbers = [int(part) for part in name.split(".") if part and all(c in "0123456789" for c in part)]
    return numbers, target, name.encode("utf-8")


def module(a, number, name, target, tensor):
    if len(tensor.shape) != 2 or 0 in tensor.shape or tensor.dtype not in DTYPES:
        raise Unfit("modules", f"{name} is {tensor.dtype} {tensor.shape}")
    dtype, turned = DTYPES[tensor.dtype], bit(a.sections.get(TRANSPOSED, b""), number)
    rows, columns = tensor.shape
    m, n = (columns, rows) if turned else (rows, columns)
    data = transpose(tensor.data, rows, columns, dtype) if turned else tensor.data
    rank = a.module_rank(number) if BASIS[a.basis] == "explicit" else min(a.module_rank(number), m, n)
    if PROJECTION[a.projection] == "explicit" and min(m, n) < a.module_rank(number):
        raise Unfit("projections", f"{name} is smaller than they are")
    return Module(number, name, target, turned, dtype, m, n, data, rank)


def groups(a, modules):
    if TYING[a.tying] == "map":
        return a.group_map
    order = range(len(modules))
    if TYING[a.tying] == "structured":
        anew = sorted(order, key=lambda i: (modules[i].target, i))
        order = [anew.index(i) for i in order]
    return [min(i // a.n_tie, a.groups - 1) for i in order]


def bit(content, number):
    return bool(int.from_bytes(content, "little") >> number & 1)


def transpose(data, rows, columns, dtype):
    size = FORMATS[dtype][0]
    return b"".join(data[(i * columns + j) * size:(i * columns + j + 1) * size]
                    for j in range(columns) for i in range(rows))


# §6 The bases of all modules


def bases(a, modules):
    """(V and σ or None, factors or None) of each module, after the comparison of the basis check."""
    found, check = rebuilt(a, modules)
    if check != a.basis_check:
        raise Unfit("basis-check", f"found {check.hex()}")
    return rounded(a, modules, found) if a.basis_rounding else found


def rebuilt(a, modules):
    """The bases before any rounding, and the basis check."""
    kind = BASIS[a.basis]
    if kind == "explicit":
        found, check = stored_factors(a, modules), basis.check_of(a.sections[FACTORS])
    elif kind == "rsvd":
        options = struct.unpack("<IHH", a.sections[RSVD])
        records = [rsvd.rsvd(basis, w.rows(), w.m, w.n, w.rank, *options) for w in modules]
        found, check = [(None, record.factors()) for record in records], basis_check(modules, records)
    else:
        records = [basis.basis(w.rows(), w.rank) for w in modules]
        found, check = [(record, None) for record in records], basis_check(modules, records)
    return found, check


def basis_check(modules, records):
    return basis.basis_check([(w.name, record) for w, record in zip(modules, records)])


def rounded(a, modules, found):
    dtype = ROUNDING[a.basis_rounding]
    factors = [rounding.rounded_factors(basis.products(w.rows(), exact.v), exact, dtype)
               for w, (exact, _) in zip(modules, found)]
    rounding.correct(factors, a.corrections, dtype)
    return [(None, pair) for pair in factors]


def stored_factors(a, modules):
    content = a.sections[FACTORS]
    dtype, at, found = PRECISION[content[0]], 1, []
    for w in modules:
        if struct.unpack_from("<II", content, at) != (w.m, w.n):
            raise Unfit("factors", f"{w.name} has other sizes in the file")
        end = at + 8 + (w.m + w.n) * w.rank * FORMATS[dtype][0]
        values = decode_all(dtype, content[at + 8:end])
        split = w.m * w.rank
        found.append((None, (in_rows(values[:split], w.rank), in_rows(values[split:], w.n))))
        at = end
    return found


def in_rows(values, width):
    return [values[at:at + width] for at in range(0, len(values), width)]


# §7 and §8 R, M and the merged weights


def r_matrix(a, w):
    v = decode_all(PRECISION[a.precision], a.v)[w.group * a.u:(w.group + 1) * a.u]
    return projection.mix(v, projections(a, w), w.rank)


def projections(a, w):
    kind = PROJECTION[a.projection]
    if kind == "native":
        return projection.native(w.name, a.seed, a.u, w.rank)
    if kind == "torch":
        return projection.torch(a.seed, SEED_RULE[a.seed_rule], w.number, a.u, w.rank, ROUNDING[a.projection_rounding])
    if kind == "standard":
        return projection.standard(a.rank, w.rank)
    content = a.sections[PROJECTIONS]
    before = 0 if content[1] else sum(a.u * a.module_rank(number) ** 2 for number in range(w.number))
    values = decode_all(PRECISION[content[0]], content[2:])
    return projection.matrices(values[before:before + a.u * w.rank ** 2], w.rank)


def on_base(a, tensors):
    """Each module with its part of the merge."""
    if tmd1(tensors) != "tmd1:" + a.base.hex():
        raise Unfit("base", tmd1(tensors))
    modules = find_modules(a, tensors)
    width = a.rank - 1
    for w, (exact, factors) in zip(modules, bases(a, modules)):
        scale = decode("f32", a.scales[w.number] if a.scales else a.scale_bits)
        negated = [c for c in range(1, w.rank) if bit(a.sections.get(SIGNS, b""), w.number * width + c - 1)]
        r = r_matrix(a, w)
        if exact:
            yield w, Exact(exact.v, core(r, exact.sigma, SIGMA_SIDE[a.sigma_side], scale, negated))
        else:
            yield w, Factored(*factors, factored_core(r, scale, negated))


def merged_shard(base, adapters, out):
    """The bytes of the merged shard of a base of one file; `out` is a dtype, or None for the base's own."""
    tensors = parse(base)
    updates = {}
    for a in map(parse_adapter, adapters):
        for w, update in on_base(a, tensors):
            updates.setdefault(w.name + ".weight", []).append((w, update))
    return shard([merged_tensor(tensor, updates[tensor.name], out) if tensor.name in updates else tensor
                  for tensor in tensors])


def merged_tensor(tensor, updates, out):
    w = updates[0][0]
    if any(other.transposed != w.transposed for other, _ in updates):
        raise Unfit("transposed", f"the adapters disagree on {w.name}")
    out = out or w.dtype
    data = merge(w.rows(), w.data, w.dtype, out, [update for _, update in updates])
    if w.transposed:
        data = transpose(data, w.m, w.n, out)
    return Tensor(tensor.name, out.upper(), tensor.shape, data)


def main(arguments):
    if len(arguments) < 4 or arguments[2] not in FORMATS:
        print("usage: merge.py BASE.safetensors OUTPUT.safetensors DTYPE ADAPTER.tlora …", file=sys.stderr)
        return 2
    base, output, out, *adapters = arguments
    Path(output).write_bytes(merged_shard(Path(base).read_bytes(), [Path(path).read_bytes() for path in adapters], out))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
