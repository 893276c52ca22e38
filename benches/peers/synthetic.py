"""The three matrix shapes of Qwen2.5-7B that decide its cost, with a spectrum like a trained weight's.

A rank-48 signal with singular values falling as i^-0.15, under a Gaussian bulk whose edge lies at 0.6 of the largest,
in bf16, under the names the shapes have in the real model. 297 MB.
"""

import json
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

SHAPES = {
    "model.layers.0.self_attn.q_proj": (3584, 3584),
    "model.layers.0.mlp.gate_proj": (18944, 3584),
    "model.layers.0.mlp.down_proj": (3584, 18944),
}
SIGNAL_RANK, DECAY, BULK_EDGE, SIGMA_1 = 48, -0.15, 0.6, 8.0


def matrix(rng: np.random.Generator, m: int, n: int) -> np.ndarray:
    """One weight, m x n."""
    u = np.linalg.qr(rng.standard_normal((m, SIGNAL_RANK)))[0]
    v = np.linalg.qr(rng.standard_normal((n, SIGNAL_RANK)))[0]
    sigma = SIGMA_1 * np.arange(1, SIGNAL_RANK + 1) ** DECAY
    w = ((u * sigma) @ v.T).astype(np.float32)
    # a Gaussian matrix of deviation s has its largest singular value near s (sqrt m + sqrt n)
    s = BULK_EDGE * SIGMA_1 / (np.sqrt(m) + np.sqrt(n))
    w += np.float32(s) * rng.standard_normal((m, n), dtype=np.float32)
    return w.astype(ml_dtypes.bfloat16)


def write(path: Path) -> None:
    """Write the matrices as a checkpoint directory."""
    rng = np.random.default_rng(2602)
    path.mkdir(parents=True)
    save_file({f"{name}.weight": matrix(rng, *shape) for name, shape in SHAPES.items()}, path / "model.safetensors")
    config = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"}
    (path / "config.json").write_text(json.dumps(config) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: synthetic.py OUT_DIR")
    write(Path(sys.argv[1]))
