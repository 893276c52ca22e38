"""The right singular vectors that everything else is measured against: LAPACK's `gesdd` in binary64.

The result is kept in a file, because it costs minutes: per module `NAME.v` (2 x n, rows are vectors) and `NAME.sigma`
(the first three singular values).
"""

import resource
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import weights


def lapack(w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two right singular vectors (as rows) and the first three singular values."""
    w = w.astype(np.float64)
    if w.shape[0] >= w.shape[1]:
        _, s, vt = np.linalg.svd(w, full_matrices=False)
        return np.ascontiguousarray(vt[:2]), s[:3].copy()
    # gesdd is several times faster on the tall side
    u, s, _ = np.linalg.svd(np.ascontiguousarray(w.T), full_matrices=False)
    return np.ascontiguousarray(u[:, :2].T), s[:3].copy()


def compute(path: str | Path, report=lambda line: None) -> dict[str, np.ndarray]:
    """The truth for every adapted module of a checkpoint."""
    out = {}
    todo = weights.modules(path)
    for i, (name, shard) in enumerate(todo):
        out[f"{name}.v"], out[f"{name}.sigma"] = lapack(weights.load(name, shard))
        report(f"{i + 1}/{len(todo)} {name}, {resource.getrusage(resource.RUSAGE_SELF).ru_utime:.0f} CPU s")
    return out


def load_or_compute(path: str | Path, cache: str | Path, report=lambda line: None) -> dict[str, np.ndarray]:
    """The truth from `cache` if it was made from these weights; otherwise computed, and written there."""
    cache, source = Path(cache), weights.fingerprint(path)
    if cache.exists():
        with safe_open(cache, "np") as f:
            if (f.metadata() or {}).get("source") == source:
                return load_file(cache)
    out = compute(path, report)
    cache.parent.mkdir(parents=True, exist_ok=True)
    part = cache.with_name(cache.name + ".part")
    save_file(out, part, metadata={"source": source, "numpy": np.__version__})
    part.rename(cache)
    return out


if __name__ == "__main__":
    import sys

    if len(sys.argv) != 3:
        sys.exit("usage: truth.py CHECKPOINT OUT.safetensors")
    load_or_compute(sys.argv[1], sys.argv[2], lambda line: print(line, file=sys.stderr))
