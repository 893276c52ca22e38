"""The merged weights of a module as the reference computes them, to the bit (spec sections 6 to 8).

`expected` uses LAPACK and allows for its error; this follows the spec's own order of operations, with the NumPy form of
the reference basis, which is slow: a few modules of a model, not all.
"""

import numpy as np

from checkpoint import DTYPES
from expected import Adapter, round_bf16
from reference import basis_numpy, delta


class Module:
    """One weight, and its bases by rank."""

    def __init__(self, stored: np.ndarray):
        dtype = DTYPES[stored.dtype.name].lower()
        self.weights = basis_numpy.Weights(dtype, *stored.shape, stored.tobytes())
        self.w, self.bases = stored.astype(np.float64), {}

    def basis(self, rank: int):
        if rank not in self.bases:
            self.bases[rank] = basis_numpy.basis(self.weights, rank)
        return self.bases[rank]

    def merged(self, name: str, adapters: list[Adapter], dtype: str) -> np.ndarray:
        """The weight with all adapters added in turn, rounded once; still as binary64."""
        w = self.w.copy()
        for adapter in adapters:
            rank = min(adapter.file.rank, *w.shape)
            basis = self.basis(rank)
            m = delta.core(adapter.r_matrix(name, rank), basis.sigma, adapter.facts["sigma_side"], adapter.scale)
            v = np.array(basis.v)
            y = self.weights.products(v)
            for k in range(rank):
                t = np.zeros(len(w))
                for j in range(rank):
                    t += y[j] * m[j][k]
                w += t[:, None] * v[k]
        return round_bf16(w) if dtype == "bfloat16" else w.astype(np.float32).astype(np.float64)
