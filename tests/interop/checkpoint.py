"""A checkpoint directory as the `safetensors` package sees it, and its `tmd1` digest (spec section 9)."""

import hashlib
import json
import re
import struct
from pathlib import Path

import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy
import numpy as np
from blake3 import blake3
from safetensors import safe_open

DTYPES = {"bfloat16": "BF16", "float16": "F16", "float32": "F32"}
LEAF, ROOT = "tlora 2026-11 model-digest v1 leaf", "tlora 2026-11 model-digest v1 root"


class Checkpoint:
    """Tensors by name. Shards stay open; a tensor is read when it is asked for."""

    def __init__(self, path: Path):
        self.path = path
        index = path / "model.safetensors.index.json"
        names = ["model.safetensors"]
        if index.exists():
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        self.shards = {}
        for name in names:
            shard = safe_open(path / name, "np")
            for tensor in shard.keys():
                assert tensor not in self.shards, f"{path}: {tensor} is in two shards"
                self.shards[tensor] = shard

    def names(self) -> list[str]:
        return sorted(self.shards)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.shards[name].get_tensor(name)

    def digest(self) -> str:
        """`tmd1:` and 64 digits, with the `blake3` package."""
        names = sorted(self.shards, key=str.encode)
        records = b"".join(record(name, self[name]) for name in names)
        return "tmd1:" + blake3(struct.pack("<Q", len(names)) + records, derive_key_context=ROOT).hexdigest()


def record(name: str, tensor: np.ndarray) -> bytes:
    """The record of one tensor in the digest."""
    data, dtype = tensor.tobytes(), DTYPES[tensor.dtype.name].encode()
    leaf = blake3(data, derive_key_context=LEAF).digest()
    shape = struct.pack(f"<B{tensor.ndim}Q", tensor.ndim, *tensor.shape)
    encoded = name.encode()
    return (struct.pack("<I", len(encoded)) + encoded + bytes([len(dtype)]) + dtype + shape
            + struct.pack("<Q", len(data)) + leaf)


def modules(checkpoint: Checkpoint, targets: list[str]) -> list[str]:
    """The adapted modules in the order of spec section 5.2."""
    found = []
    for tensor in checkpoint.names():
        name = tensor.removesuffix(".weight")
        target = next((i for i, t in enumerate(targets) if f".{name}".endswith(f".{t}")), None)
        if name != tensor and target is not None:
            found.append(([int(n) for n in re.findall(r"(?<![^.])\d+(?![^.])", name)], target, name.encode(), name))
    return [name for *_, name in sorted(found)]


def file_hashes(path: Path) -> dict[str, str]:
    """sha256 of every file below a directory."""
    out = {}
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        with open(file, "rb") as f:
            out[str(file.relative_to(path))] = hashlib.file_digest(f, "sha256").hexdigest()
    return out
