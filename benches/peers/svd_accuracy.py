"""How far our basis is from LAPACK's in binary64, for every adapted module of a checkpoint.

    svd_accuracy.py CHECKPOINT --bench target/release/examples/bench_svd --truth CACHE.safetensors

Prints a table per module type and checks the limits that the project promises: subspace error <= 1e-8, relative error
of sigma <= 1e-10, no module above 60 passes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import truth
import weights

SUBSPACE_LIMIT, SIGMA_LIMIT, PASSES_LIMIT = 1e-8, 1e-10, 60


def subspace_error(ours: np.ndarray, true: np.ndarray) -> float:
    """The sine of the largest principal angle between the spans of two sets of rows.

    From the residual, not from the cosines, which cannot resolve angles below 1e-8.
    """
    q = np.linalg.qr(ours.T)[0]
    p = np.linalg.qr(true.T)[0]
    return float(np.linalg.norm(q - p @ (p.T @ q), 2))


def run_ours(bench: str, checkpoint: str) -> tuple[dict, dict[str, np.ndarray]]:
    """Our passes per module, and our V and sigma."""
    with tempfile.TemporaryDirectory() as tmp:
        dump = Path(tmp) / "dump.safetensors"
        command = [bench, checkpoint, "--rank", "2", "--threads", "1", "--json", "--dump", str(dump)]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        return report, load_file(dump)


def compare(checkpoint: str, bench: str, cache: str) -> list[dict]:
    """One row per module."""
    true = truth.load_or_compute(checkpoint, cache, lambda line: print(line, file=sys.stderr))
    report, ours = run_ours(bench, checkpoint)
    passes = {m["name"]: m["passes"] for m in report["modules"]}
    rows = []
    for name, shard in weights.modules(checkpoint):
        v, sigma, t = ours[f"{name}.v"], ours[f"{name}.sigma"], true[f"{name}.sigma"]
        rows.append({
            "target": weights.target(name), "name": name, "passes": passes[name],
            "bytes": weights.load(name, shard).nbytes,
            "subspace": subspace_error(v, true[f"{name}.v"]),
            "sigma": float(np.max(np.abs(sigma - t[:2]) / t[:2])),
            "gap12": t[0] / t[1], "gap23": t[1] / t[2],
            "sign": bool(np.all(np.take_along_axis(v, np.abs(v).argmax(axis=1)[:, None], axis=1) > 0)),
        })
    return rows


def summary(label: str, rows: list[dict]) -> str:
    """One line of the table."""
    passes, size = np.array([r["passes"] for r in rows]), np.array([r["bytes"] for r in rows], dtype=float)
    return (f"| {label:<9} | {len(rows):>4} | {max(r['subspace'] for r in rows):.1e} | {max(r['sigma'] for r in rows):.1e} "
            f"| {(passes * size).sum() / size.sum():5.1f} | {passes.max():>3} "
            f"| {min(r['gap12'] for r in rows):.4f} | {min(r['gap23'] for r in rows):.4f} |")


def broken(rows: list[dict]) -> list[str]:
    """The modules outside a limit."""
    return [f"{r['name']}: subspace {r['subspace']:.2e}, sigma {r['sigma']:.2e}, {r['passes']} passes, sign rule {r['sign']}"
            for r in rows
            if not (r["subspace"] <= SUBSPACE_LIMIT and r["sigma"] <= SIGMA_LIMIT and r["passes"] <= PASSES_LIMIT and r["sign"])]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("checkpoint")
    p.add_argument("--bench", required=True, help="our bench_svd")
    p.add_argument("--truth", required=True, help="where LAPACK's result is kept")
    args = p.parse_args()
    rows = compare(args.checkpoint, args.bench, args.truth)
    print("| type | modules | subspace error | sigma error | passes, by bytes | max | least s1/s2 | least s2/s3 |")
    print("|---|---|---|---|---|---|---|---|")
    for target in weights.TARGETS:
        print(summary(target, [r for r in rows if r["target"] == target]))
    print(summary("all", rows))
    if bad := broken(rows):
        sys.exit("outside the limits:\n" + "\n".join(bad))


if __name__ == "__main__":
    main()
