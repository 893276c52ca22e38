#!/usr/bin/env python3
"""Merge adapters into a real model and check the result against programs that are not tlora.

    real_model.py --tlora target/release/tlora --model DIR [--work DIR]

The base digest is recomputed with the `blake3` package, the merged weights with NumPy, LAPACK and the reference reader
of spec/reference, and the outputs are opened with `safetensors` and, if TLORA_TEST_TRANSFORMERS=1, with transformers.
Any difference is an error with the numbers in it.
"""

import os

# before NumPy is loaded: LAPACK on one thread
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import exact
from checkpoint import Checkpoint, file_hashes
from expected import Adapter, Basis, round_bf16

# 13 values, in bf16 as in the paper, for a change of about one part in a hundred
V = [0.05, -0.06, 0.07, 0.04, -0.05, 0.08, -0.03, 0.06, 0.05, -0.07, 0.04, 0.06, -0.05]
RELATIVE_SIZE = (3e-3, 1e-1)
F32_LIMIT, BOUNDARY, SUBSPACE = 1e-6, 1e-6, 1e-8
# the files of a checkpoint that transformers and vLLM read
NEEDED = (".json", ".jinja", ".safetensors")
# another adapter, with every choice different from the first
SECOND = ["--rank", "4", "--u", "3", "--groups", "2", "--sharing", "structured", "--targets", "q_proj,v_proj,down_proj",
          "--precision", "f32", "--seed", "7", "--sigma-side", "split", "--scale", "0.5", "--v=0.04,-0.03,0.02,0.05,0.01,-0.06"]


class Failure(Exception):
    """A check that does not hold."""


def check(holds: bool, message: str) -> None:
    if not holds:
        raise Failure(message)


class Tool:
    """The program under test, with its cache inside the work directory."""

    def __init__(self, binary: Path, work: Path):
        self.binary, self.env = binary, os.environ | {"HOME": str(work / "home"), "XDG_CACHE_HOME": str(work / "xdg")}

    def __call__(self, *args: str | Path) -> str:
        run = subprocess.run([self.binary, *map(str, args)], env=self.env, capture_output=True, text=True)
        check(run.returncode == 0, f"tlora {' '.join(map(str, args))}: exit code {run.returncode}\n{run.stderr}")
        return run.stdout


def step(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


def make_adapters(tool: Tool, model: Path, base: Checkpoint, work: Path) -> list[Path]:
    """Two adapters; what they say is read with the reference reader."""
    paths = [work / "a.tlora", work / "b.tlora"]
    tool("init", model, "-o", paths[0], "--groups", len(V), "--precision", "bf16", "--v=" + ",".join(map(str, V)))
    tool("init", model, "-o", paths[1], *SECOND)
    a, b = (Adapter(p.read_bytes(), base) for p in paths)
    digest = base.digest()
    for adapter in (a, b):
        check(adapter.facts["base"] == digest, f"base digest {adapter.facts['base']} in the adapter, blake3 says {digest}")
    printed = tool("digest", model)
    check(digest in printed, f"tlora digest prints {printed!r}, blake3 says {digest}")
    step(f"{digest} by tlora and by blake3")

    wanted = {"rank": 2, "u": 1, "groups": 13, "precision": "bf16", "tying": "tiled", "sigma_side": "left",
              "projection": "native", "basis": "exact", "seed": 42, "scale": "3f800000", "sections": "none"}
    found = {k: a.facts[k] for k in wanted}
    check(found == wanted, f"the first adapter is {found}, wanted {wanted}")
    check(np.array_equal(a.v[:, 0], round_bf16(np.array(V))), f"v is {a.v[:, 0]}")
    check(len(a.file.data) == 122, f"13 bf16 parameters take {len(a.file.data)} bytes")
    wanted = {"rank": 4, "u": 3, "groups": 2, "precision": "f32", "tying": "structured", "sigma_side": "split", "seed": 7,
              "scale": "3f000000", "target_set": "45"}
    found = {k: b.facts[k] for k in wanted}
    check(found == wanted, f"the second adapter is {found}, wanted {wanted}")
    step(f"two adapters of {len(a.modules)} and {len(b.modules)} modules; 13 parameters take {len(a.file.data)} bytes")
    return paths


def merge_many_ways(tool: Tool, model: Path, adapter: Path, work: Path) -> Path:
    """Cold and warm cache, none, one thread and two: the same bytes, to the last file."""
    cache = work / "cache"
    ways = {
        "cold cache, 1 thread": ["--threads", 1, "--cache-dir", cache],
        "warm cache, 2 threads": ["--threads", 2, "--cache-dir", cache],
        "warm cache, 1 thread": ["--threads", 1, "--cache-dir", cache],
        "no cache, 2 threads": ["--threads", 2, "--no-cache"],
    }
    first = hashes = None
    for number, (label, options) in enumerate(ways.items()):
        out = work / f"bf16-{number}"
        start = time.monotonic()
        tool("merge", model, adapter, "-o", out, *options)
        step(f"merged with {label} in {time.monotonic() - start:.2f} s")
        if first is None:
            first, hashes = out, file_hashes(out)
            continue
        now = file_hashes(out)
        different = sorted(k for k in hashes.keys() | now.keys() if hashes.get(k) != now.get(k))
        check(not different, f"{label}: other bytes than at first in {', '.join(different)}")
        shutil.rmtree(out)
    return first


def check_files(model: Path, out: Path, settings: dict) -> None:
    """Beside the weights and `settings` in config.json, everything is as in the base, and nothing is missing."""
    before, after = file_hashes(model), file_hashes(out)
    new = sorted(after.keys() - before.keys())
    check(new == ["tlora-merge.json"], f"new files in {out.name}: {new}")
    missing = sorted(k for k in before.keys() - after.keys() if Path(k).suffix in NEEDED)
    check(not missing, f"not in {out.name}: {missing}")
    changed = sorted(k for k in before.keys() & after.keys() if after[k] != before[k] and not k.startswith("model"))
    check(changed == ["config.json"] * bool(settings), f"changed in {out.name}: {changed}")
    old, now = (json.loads((d / "config.json").read_text()) for d in (model, out))
    check(now == old | settings, f"config.json of {out.name} is {now}")


class Comparison:
    """One merged checkpoint against W + the sum of its adapters' ΔW, module by module."""

    def __init__(self, label: str, out: Path, adapters: list[Adapter], dtype: str):
        self.label, self.merged, self.adapters, self.dtype = label, Checkpoint(out), adapters, dtype
        self.worst, self.boundary, self.cancelled, self.weights, self.changed = 0.0, 0, 0, 0, 0
        self.delta2 = self.weight2 = self.kept = 0.0

    def adapts(self, name: str) -> bool:
        return any(name in a.number for a in self.adapters)

    def untouched(self, base: Checkpoint) -> int:
        """All other tensors are byte-equal; returns how many."""
        check(self.merged.names() == base.names(), f"{self.label}: not the base's tensors")
        rest = [n for n in base.names() if not self.adapts(n.removesuffix(".weight"))]
        for name in rest:
            old, new = base[name], self.merged[name]
            same = old.dtype == new.dtype and old.shape == new.shape and old.tobytes() == new.tobytes()
            check(same, f"{self.label}: {name} is not adapted, but {old.dtype} {old.shape} became other bytes")
        return len(rest)

    def module(self, name: str, w: np.ndarray, basis: Basis) -> None:
        """One adapted module."""
        found = self.merged[f"{name}.weight"]
        check(found.dtype.name == self.dtype and found.shape == w.shape, f"{self.label}: {name} is {found.dtype} {found.shape}")
        factors = [basis.factors(a, name) for a in self.adapters if name in a.number]
        delta = sum(left @ right for left, right in factors)
        wanted, got = w + delta, found.astype(np.float64)
        if self.dtype == "float32":
            error = np.linalg.norm(got - wanted) / np.linalg.norm(wanted)
            check(error <= F32_LIMIT, f"{self.label}: {name} is {error:.2e} from NumPy's")
            self.worst = max(self.worst, error)
        else:
            cases = boundary_cases(f"{self.label}: {name}", wanted, found, factors)
            self.boundary, self.cancelled = self.boundary + cases[0], self.cancelled + cases[1]
        self.weights += w.size
        self.changed += np.count_nonzero(got != w)
        self.delta2 += np.vdot(delta, delta)
        self.weight2 += np.vdot(w, w)
        self.kept += np.vdot(got - w, delta)

    def sizes(self) -> dict[str, float]:
        """The size of the update, relative to the weights, and the share that survives rounding."""
        return {"norm": np.sqrt(self.delta2), "relative": np.sqrt(self.delta2 / self.weight2), "kept": self.kept / self.delta2}

    def summary(self) -> str:
        in_f32 = self.dtype == "float32"
        result = f"largest error {self.worst:.1e}" if in_f32 else (
            f"{self.boundary} differ at a rounding boundary, {self.cancelled} of them where the terms of dW cancel")
        sizes = self.sizes()
        return (f"{self.label}: {self.weights} weights, {result}; {self.changed} changed, "
                f"|dW|/|W| {sizes['relative']:.2e}, kept {sizes['kept']:.4f}")


def boundary_cases(label: str, wanted: np.ndarray, found: np.ndarray, factors: list) -> tuple[int, int]:
    """How many bf16 weights are not the rounded f64 value, and how many of those only the second allowance excuses.

    For each of them the f64 value must lie between the two, at their rounding boundary: within 1e-6 of the value, or, where
    W is next to nothing and the terms of ΔW nearly cancel, within the promised accuracy of V times those terms.
    """
    rounded, got = round_bf16(wanted), found.astype(np.float64)
    at = np.nonzero(got != rounded)
    w, g, r = wanted[at], got[at], rounded[at]
    terms = sum((np.abs(left[at[0]]) * np.abs(right[:, at[1]].T)).sum(axis=1) for left, right in factors)
    patterns = found.view(np.uint16)[at].astype(int) - (r.astype(np.float32).view(np.uint32) >> 16).astype(int)
    off = np.abs(w - (g + r) / 2)
    plain, excused = off <= BOUNDARY * np.abs(w), off <= SUBSPACE * terms
    wrong = (np.abs(patterns) != 1) | ~(plain | excused)
    check(not wrong.any(), f"{label}: {wrong.sum()} weights differ away from a rounding boundary, by {off.max(initial=0):.1e}")
    return len(w), int(np.count_nonzero(~plain))


def compare_all(base: Checkpoint, comparisons: list[Comparison]) -> None:
    """Every module is decomposed once, for all the comparisons."""
    for c in comparisons:
        step(f"{c.label}: {c.untouched(base)} other tensors are byte-equal")
    names = sorted({name for c in comparisons for a in c.adapters for name in a.modules})
    for name in names:
        w = base[f"{name}.weight"].astype(np.float64)
        basis = Basis(w)
        for c in comparisons:
            if c.adapts(name):
                c.module(name, w, basis)
    for c in comparisons:
        step(c.summary())


def compare_exactly(base: Checkpoint, comparisons: list[Comparison]) -> None:
    """One module of each type, at different depths: every bit as the reference has it."""
    first = comparisons[0].adapters[0]
    count = len(first.targets)
    layers = len(first.modules) // count
    names = [first.modules[i * (layers - 1) // max(count - 1, 1) * count + i] for i in range(count)]
    for name in names:
        module = exact.Module(base[f"{name}.weight"])
        for c in comparisons:
            wanted = module.merged(name, [a for a in c.adapters if name in a.number], c.dtype)
            wrong = np.count_nonzero(c.merged[f"{name}.weight"].astype(np.float64) != wanted)
            check(wrong == 0, f"{c.label}: {wrong} weights of {name} are not the reference's")
    step(f"bit for bit as the reference: {', '.join(names)}")


def check_record(comparison: Comparison, base: str) -> None:
    """The merge record has the digests of blake3, and the sizes of NumPy."""
    out, merged = comparison.merged.path, comparison.merged.digest()
    record = json.loads((out / "tlora-merge.json").read_text())
    found = record["base"], record["merged"]
    check(found == (base, merged), f"{comparison.label}: the merge record has {found}, blake3 says {(base, merged)}")
    total = record["update"]["total"]
    for name, value in comparison.sizes().items():
        check(abs(total[name] / value - 1) <= 1e-6, f"{comparison.label}: {name} is {total[name]} in the record, NumPy says {value}")


def run(tool: Tool, model: Path, work: Path) -> None:
    base = Checkpoint(model)
    paths = make_adapters(tool, model, base, work)
    bf16 = merge_many_ways(tool, model, paths[0], work)
    f32, both = work / "f32", work / "both"
    tool("merge", model, paths[0], "-o", f32, "--dtype", "f32")
    tool("merge", model, *paths, "-o", both, "--dtype", "f32")
    check_files(model, bf16, {})
    check_files(model, f32, {"torch_dtype": "float32"})
    a, b = (Adapter(p.read_bytes(), base) for p in paths)
    comparisons = [Comparison("bf16", bf16, [a], "bfloat16"), Comparison("f32", f32, [a], "float32"),
                   Comparison("two adapters, f32", both, [a, b], "float32")]
    compare_all(base, comparisons)
    compare_exactly(base, comparisons)
    for comparison in comparisons:
        check_record(comparison, a.facts["base"])
    size = comparisons[0].sizes()["relative"]
    check(RELATIVE_SIZE[0] <= size <= RELATIVE_SIZE[1], f"|dW|/|W| is {size:.1e}, out of the range where this test tells much")
    if os.environ.get("TLORA_TEST_TRANSFORMERS") == "1":
        import with_transformers
        with_transformers.check_all(model, bf16, f32, step)
    else:
        step("transformers: skipped, TLORA_TEST_TRANSFORMERS=1 runs it")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, type=Path, help="the program under test")
    p.add_argument("--model", required=True, type=Path, help="a checkpoint directory in bf16")
    p.add_argument("--work", type=Path, help="an empty directory for the outputs, kept; otherwise a temporary one")
    args = p.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="tlora-interop-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        run(Tool(args.tlora.resolve(), work.resolve()), args.model.resolve(), work.resolve())
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        if not args.work:
            shutil.rmtree(work)
    step("all checks passed")


START = time.monotonic()

if __name__ == "__main__":
    main()
