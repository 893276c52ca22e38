"""The adapted modules of a checkpoint, as the peers see them.

Reads with the `safetensors` package (ml_dtypes gives NumPy its bfloat16), never with tlora, and knows only the
seven projections of the Llama and Qwen families.
"""

import hashlib
import json
import re
from pathlib import Path

import ml_dtypes  # noqa: F401  registers bfloat16 with NumPy
import numpy as np
from safetensors import safe_open

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
MODULE = re.compile(r"(?P<name>.+\.(?P<layer>\d+)\..+\.(?P<target>" + "|".join(TARGETS) + r"))\.weight")


def shards(path: Path) -> list[Path]:
    """The files of a checkpoint directory, or the file itself."""
    if path.is_file():
        return [path]
    index = path / "model.safetensors.index.json"
    if index.exists():
        return [path / s for s in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    return [path / "model.safetensors"]


def modules(path: str | Path) -> list[tuple[str, Path]]:
    """(name, shard) of the adapted modules, in the order of spec section 5.2."""
    found = []
    for shard in shards(Path(path)):
        with safe_open(shard, "np") as f:
            for m in filter(None, map(MODULE.fullmatch, f.keys())):
                found.append((int(m["layer"]), TARGETS.index(m["target"]), m["name"], shard))
    if not found:
        raise SystemExit(f"{path}: no tensor is one of {', '.join(TARGETS)}")
    return [(name, shard) for _, _, name, shard in sorted(found)]


def load(name: str, shard: Path) -> np.ndarray:
    """The weight of a module, out x in, in the dtype of the file."""
    with safe_open(shard, "np") as f:
        return f.get_tensor(f"{name}.weight")


def target(name: str) -> str:
    """`q_proj` for `model.layers.3.self_attn.q_proj`."""
    return name.rsplit(".", 1)[1]


def fingerprint(path: str | Path) -> str:
    """A hash of the adapted weights: tells whether a cached truth belongs to them."""
    h = hashlib.blake2b(digest_size=16)
    for name, shard in modules(path):
        h.update(name.encode())
        h.update(load(name, shard).tobytes())
    return h.hexdigest()
