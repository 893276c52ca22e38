"""The merged weights as NumPy and LAPACK give them, in binary64, from an adapter that the reference reader has read."""

import struct
from functools import cached_property

import numpy as np

from checkpoint import Checkpoint, modules
from reference import projection, tlora_read

POWERS = {"left": (1.0, 0.0), "split": (0.5, 0.5), "right": (0.0, 1.0)}


class Adapter:
    """What an adapter says about each module of a base."""

    def __init__(self, data: bytes, base: Checkpoint):
        self.file = tlora_read.parse(data)
        self.facts = tlora_read.facts(self.file)
        mask = self.file.target_mask
        self.targets = [t for bit, t in enumerate(tlora_read.STANDARD_TARGETS) if mask >> bit & 1] or self.file.names
        self.modules = modules(base, self.targets)
        assert len(self.modules) == self.file.modules, f"{len(self.modules)} modules, not {self.file.modules}"
        self.number = {name: i for i, name in enumerate(self.modules)}

    @cached_property
    def v(self) -> np.ndarray:
        """G x u, in binary64."""
        raw = np.frombuffer(self.file.v, "<u4" if self.facts["precision"] == "f32" else "<u2")
        if self.facts["precision"] == "bf16":
            raw = raw.astype("<u4") << 16
        values = raw.view("<f2" if self.facts["precision"] == "f16" else "<f4")
        return values.astype(np.float64).reshape(self.file.groups, self.file.u)

    @cached_property
    def scale(self) -> float:
        return struct.unpack("<f", struct.pack("<I", self.file.scale_bits))[0]

    def group(self, name: str) -> int:
        """Spec section 5.3."""
        i = self.number[name]
        if self.facts["tying"] == "structured":
            by_type = sorted(range(len(self.modules)), key=lambda m: (self.target(self.modules[m]), m))
            i = by_type.index(i)
        return min(i // self.file.n_tie, self.file.groups - 1)

    def target(self, name: str) -> int:
        return next(i for i, t in enumerate(self.targets) if f".{name}".endswith(f".{t}"))

    def r_matrix(self, name: str, rank: int) -> list[list[float]]:
        """R of a module: v from the file, P from the reference."""
        p = projection.native(name, self.file.seed, self.file.u, rank)
        return projection.mix(self.v[self.group(name)].tolist(), p, rank)


class Basis:
    """U, sigma and V of a weight from LAPACK's gesdd, with the sign rule of spec section 6.5."""

    def __init__(self, w: np.ndarray):
        tall = w.shape[0] >= w.shape[1]
        a, s, b = np.linalg.svd(w if tall else np.ascontiguousarray(w.T), full_matrices=False)
        self.u, self.sigma, self.vt = (a, s, b) if tall else (b.T, s, a.T)

    def factors(self, adapter: Adapter, name: str) -> tuple[np.ndarray, np.ndarray]:
        """scale U S^a R S^b (out x r) and V^T (r x in), whose product is the update."""
        rank = min(adapter.file.rank, len(self.sigma))
        u, s, vt = self.u[:, :rank], self.sigma[:rank], self.vt[:rank]
        sign = np.sign(vt[np.arange(rank), np.abs(vt).argmax(axis=1)])
        a, b = POWERS[adapter.facts["sigma_side"]]
        m = adapter.scale * (s**a)[:, None] * np.array(adapter.r_matrix(name, rank)) * (s**b)[None, :]
        return (u * sign) @ m, vt * sign[:, None]


def round_bf16(x: np.ndarray) -> np.ndarray:
    """Binary64 to bfloat16 in one rounding to nearest even, as binary64."""
    bits = x.view(np.uint64)
    half, one, shift = np.uint64((1 << 44) - 1), np.uint64(1), np.uint64(45)
    normal = ((bits + half + (bits >> shift & one)) >> shift << shift).view(np.float64)
    return np.where(np.abs(x) < 2.0**-126, np.rint(x * 2.0**133) * 2.0**-133, normal)
