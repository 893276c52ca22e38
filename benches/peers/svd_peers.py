"""CPU seconds that other programs need for the top singular vectors of every adapted module, on one thread.

    svd_peers.py CHECKPOINT [--peers torch,arpack] [--repeat 1]

CHECKPOINT is a directory or a safetensors file. Prints JSON. Reading the file and converting it to f32 are not timed:
the peers get a contiguous f32 matrix for free.
"""

import argparse
import json
import sys
import time

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

import weights

RANK = 2


def torch_svd():
    """torch.linalg.svd in f32, which is what PEFT calls to set TinyLoRA up."""
    import torch

    torch.set_num_threads(1)
    return lambda w: torch.linalg.svd(torch.from_numpy(w), full_matrices=False), f"torch {torch.__version__}"


def arpack():
    """SciPy's ARPACK on the f32 matrix: the strongest of the usual tools, for two vectors."""
    import scipy
    from scipy.sparse.linalg import svds

    return lambda w: svds(w, k=RANK, solver="arpack", rng=np.random.default_rng(0)), f"scipy {scipy.__version__}"


PEERS = {"torch": torch_svd, "arpack": arpack}


def cpu_seconds(run, w: np.ndarray, repeat: int) -> float:
    """The least CPU time of `repeat` calls."""
    times = []
    for _ in range(repeat):
        start = time.process_time()
        run(w)
        times.append(time.process_time() - start)
    return min(times)


def measure(peer: str, checkpoint: str, repeat: int) -> dict:
    """One peer over the whole checkpoint."""
    run, version = PEERS[peer]()
    run(np.random.default_rng(1).standard_normal((64, 48), dtype=np.float32))  # what the first call sets up is not timed
    rows = []
    for name, shard in weights.modules(checkpoint):
        w = weights.load(name, shard).astype(np.float32)
        rows.append({"name": name, "shape": list(w.shape), "cpu_seconds": cpu_seconds(run, w, repeat)})
        print(f"{peer} {name} {rows[-1]['cpu_seconds']:.3f}", file=sys.stderr)
    return {"version": version, "cpu_seconds": sum(r["cpu_seconds"] for r in rows), "modules": rows}


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkpoint")
    p.add_argument("--peers", default="torch,arpack")
    p.add_argument("--repeat", type=int, default=1)
    args = p.parse_args()
    with threadpool_limits(1):
        out = {peer: measure(peer, args.checkpoint, args.repeat) for peer in args.peers.split(",")}
    out["blas"] = [f"{i['internal_api']} {i.get('architecture', '')} {i['version']}" for i in threadpool_info()]
    print(json.dumps(out))


if __name__ == "__main__":
    main()
