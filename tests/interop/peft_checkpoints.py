#!/usr/bin/env python3
"""Convert and export adapters of real models, and compare every update with what PEFT itself makes of them.

    peft_checkpoints.py --tlora target/release/tlora --model DIR [--all] [--work DIR]

PEFT makes TinyLoRA checkpoints of the model in bf16 and f32, scikit-learn LoRA-XS ones. Each goes through `tlora convert` and
`tlora merge --dtype f32`, and the merged weights less the base are compared with PEFT's ΔW, module by module. What `tlora
export` writes goes back into PEFT. --all has more variants, for machines with time.

An SVD in single precision has an error of its own, and PEFT's ΔW with it; a twin of each f32 checkpoint is made with
LAPACK in f64, and only there is the limit that of an exact conversion.
"""

import os

os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from safetensors.torch import load_file

import peft_models as peft
from checkpoint import Checkpoint
from real_model import Failure, Tool, check

GOLDEN = Path(__file__).resolve().parents[2] / "crates/convert/tests/golden"
EXACT, NOISY, EXPORTED = 1e-5, 1e-3, 1e-6

# dtype of the base, then what TinyLoraConfig takes
USUAL = [
    ("bf16", dict(r=2, u=1, weight_tying=1.0)),
    ("bf16", dict(r=8, u=13, weight_tying=0.923, save_projection=False)),
    ("f32", dict(r=2, u=13, weight_tying=1.0)),
    ("f32", dict(r=8, u=64, weight_tying=0.4, save_projection=False)),
]
MORE = [
    ("bf16", dict(r=1, u=1, weight_tying=0.0)),
    ("bf16", dict(r=2, u=13, weight_tying=0.4)),
    ("bf16", dict(r=2, u=64, weight_tying=1.0, save_projection=False)),
    ("bf16", dict(r=8, u=64, weight_tying=0.0)),
    ("bf16", dict(r=8, u=1, weight_tying=1.0, save_projection=False)),
    ("f32", dict(r=1, u=13, weight_tying=0.923, save_projection=False)),
    ("f32", dict(r=2, u=64, weight_tying=0.0)),
    ("f32", dict(r=8, u=1, weight_tying=0.4)),
]
# options of `convert` whose sizes are of interest, too, by number of USUAL
SMALLER = {0: ["--max-residual", "1e-3"], 2: ["--precision", "bf16"]}
# LoRA-XS: rank and alpha
XS_USUAL, XS_MORE = [(4, 4)], [(2, 8), (16, 32)]
# the modules of Qwen2.5-7B, 28 layers, in x out
QWEN_7B = 28, {"self_attn.q_proj": (3584, 3584), "self_attn.k_proj": (3584, 512), "self_attn.v_proj": (3584, 512),
               "self_attn.o_proj": (3584, 3584), "mlp.gate_proj": (3584, 18944), "mlp.up_proj": (3584, 18944), "mlp.down_proj": (18944, 3584)}


# how often an adapter of a golden checkpoint is merged at once
TIMES = 1000


def step(text: str) -> None:
    print(f"[{time.monotonic() - START:6.1f} s] {text}", flush=True)


class Update:
    """What one of `times` equal adapters added to one weight, and the largest error that rounding their sum to f32 can leave in it."""

    def __init__(self, before: np.ndarray, after: np.ndarray, times: int):
        self.delta = ((after.astype(np.float64) - before.astype(np.float64)) / times).astype(np.float32)
        self.rounding = float(np.linalg.norm(np.spacing(np.abs(after)).astype(np.float64))) / 2 / times

    def error(self, wanted: torch.Tensor) -> float:
        """The relative distance, less that rounding, which is none of the adapter's; 0 if it may be all there is."""
        wanted = wanted.double().numpy()
        return max(0.0, float(np.linalg.norm(self.delta - wanted)) - self.rounding) / float(np.linalg.norm(wanted))


def compare(label: str, found: dict[str, Update], wanted: dict[str, torch.Tensor], limit: float) -> None:
    """Relative errors of the updates of all modules."""
    check(found.keys() == wanted.keys(), f"{label}: other modules: {sorted(found.keys() ^ wanted.keys())[:5]}")
    errors = {n: found[n].error(wanted[n]) for n in wanted}
    worst = max(errors, key=errors.get)
    step(f"{label}: {len(errors)} modules, relative error of dW median {median(errors.values()):.1e}, largest {errors[worst]:.1e}")
    check(errors[worst] <= limit, f"{label}: {worst} is {errors[worst]:.2e} away, more than {limit:.0e}")


class Case:
    """One base model in one type, and the program under test."""

    def __init__(self, tool: Tool, base: Path, dtype: str, work: Path, svd: peft.Decompositions, times: int = 1):
        self.tool, self.base, self.dtype, self.work, self.svd = tool, base, dtype, work, svd
        # An adapter given many times adds up, and the rounding of W + dW counts for less beside it.
        self.times = times
        self.weights = Checkpoint(base)

    def ours(self, adapter: Path) -> dict[str, Update]:
        """By module, what our merge adds to the weights."""
        out = self.work / "merged"
        self.tool("merge", self.base, *[adapter] * self.times, "-o", out, "--dtype", "f32", "--cache-dir", self.work / "cache")
        after, found = Checkpoint(out), {}
        for tensor in after.names():
            old, new = self.weights[tensor], after[tensor]
            if not np.array_equal(old, new):
                found[tensor.removesuffix(".weight")] = Update(old, new, self.times)
        shutil.rmtree(out)
        return found

    def convert(self, label: str, checkpoint: Path, *options: str) -> Path:
        out = self.work / f"{label}.tlora"
        start = time.monotonic()
        self.tool("convert", checkpoint, "--base", self.base, "-o", out, *options)
        size = sum(f.stat().st_size for f in checkpoint.glob("*.safetensors"))
        step(f"{label}: {size} bytes became {out.stat().st_size} in {time.monotonic() - start:.1f} s")
        SIZES.append((label, size, out.stat().st_size))
        return out

    def refuse(self, label: str, checkpoint: Path) -> None:
        """`convert` says no, and leaves nothing behind."""
        out = self.work / f"{label}.tlora"
        done = subprocess.run([self.tool.binary, "convert", checkpoint, "--base", self.base, "-o", out], env=self.tool.env, capture_output=True, text=True)
        check(done.returncode == 1 and not out.exists(), f"{label}: exit code {done.returncode}, {done.stdout}{done.stderr}")
        because = next((line.strip() for line in done.stderr.splitlines() if "because" in line), done.stderr.strip())
        step(f"{label}: refused, {because}")

    def what_it_takes(self, label: str, checkpoint: Path) -> list[str]:
        """The options with which a fresh checkpoint converts without loss.

        Corrections do not change an entry's sign. LAPACK's noise depends on the processor; where it turns the sign of an entry
        near 0 on a 16-bit base, `convert` may refuse at its own limit, with a residual of that noise, and says what loses nothing.
        """
        if self.dtype == "f32":
            return []
        out = self.work / "attempt.tlora"
        done = subprocess.run([self.tool.binary, "convert", checkpoint, "--base", self.base, "-o", out], env=self.tool.env, capture_output=True, text=True)
        if done.returncode == 0:
            out.unlink()
            return []
        found = re.search(r"differs by (\S+) of its norm", done.stderr)
        check(done.returncode == 1 and not out.exists() and found and "--embed-basis" in done.stderr, f"{label}: {done.stderr}")
        # A wrong sign, seed or base is off by 1e-2 and more.
        check(float(found[1]) < NOISY, f"{label}: refused at {found[1]}")
        step(f"{label}: refused at {found[1]}, so with its factors in the file")
        return ["--embed-basis"]

    def tiny(self, options: dict, precise: bool, smaller: list[str] | None = None) -> tuple[Path, dict[str, Update]]:
        """A checkpoint of PEFT, through `convert` and `merge`; returns the adapter and its updates. `smaller` is another conversion."""
        label = f"{self.dtype} r={options['r']} u={options['u']} tying={options['weight_tying']}"
        label += "" if options.get("save_projection", True) else ", P not saved"
        label += ", LAPACK in f64" if precise else ""
        checkpoint = self.work / "checkpoint"
        with self.svd.used(precise):
            peft.make_tiny(self.base, self.dtype, checkpoint, len(SIZES), **options)
            model = peft.open_adapter(self.base, self.dtype, checkpoint)
        wanted = peft.updates(model)
        noisy = self.dtype == "f32" and not precise
        adapter = self.convert(label, checkpoint, *self.what_it_takes(label, checkpoint))
        found = self.ours(adapter)
        compare(label, found, wanted, NOISY if noisy else EXACT)
        if self.dtype != "f32":
            self.compare_merged(label, adapter, peft.merged(model))
        if smaller:
            self.convert(f"{label} {' '.join(smaller)}", checkpoint, *smaller)
        shutil.rmtree(checkpoint)
        return adapter, found

    def compare_merged(self, label: str, adapter: Path, wanted: dict) -> None:
        """The merged weights in the base's type: the same, but for a few at a rounding boundary, as PEFT adds in f32."""
        out, total, different = self.work / "merged", 0, 0
        self.tool("merge", self.base, adapter, "-o", out, "--cache-dir", self.work / "cache")
        after = Checkpoint(out)
        for name in after.names():
            found, peft_has = after[name].view(np.uint16), wanted[name.removesuffix(".weight")].view(torch.uint16).numpy()
            total, different = total + found.size, different + int(np.count_nonzero(found != peft_has))
        step(f"{label}: {different} of {total} merged {self.dtype} weights differ from merge_and_unload")
        check(different <= total / 1000, f"{label}: too many merged weights differ")
        shutil.rmtree(out)

    def xs(self, rank: int, alpha: int, precise: bool) -> None:
        label = f"LoRA-XS f32 r={rank} alpha={alpha}" + (", in f64" if precise else "")
        checkpoint = self.work / "xs"
        wanted = peft.make_xs(self.base, checkpoint, 100 + rank, precise, rank, alpha)
        adapter = self.convert(label, checkpoint / "ft")
        compare(label, self.ours(adapter), wanted, EXACT if precise else NOISY)
        shutil.rmtree(checkpoint)

    def export(self, label: str, adapter: Path, ours: dict[str, Update]) -> None:
        """What `export` writes, as PEFT loads it."""
        for kind in ("peft-lora", "peft-tinylora"):
            out = self.work / "exported"
            self.tool("export", adapter, "--base", self.base, "--format", kind, "-o", out)
            with self.svd.used(False):
                # in f64, since u terms of R may cancel
                theirs = peft.updates(peft.open_adapter(self.base, "f32", out).double())
            compare(f"{label} as {kind}", ours, theirs, EXPORTED)
            shutil.rmtree(out)


def golden(tool: Tool, root: Path, work: Path, svd: peft.Decompositions) -> None:
    """The small checkpoints of crates/convert/tests/golden: what `convert` says to each, and exports of those it converts."""
    for about in sorted(root.glob("*/case.json")):
        facts, label = json.loads(about.read_text()), about.parent.name
        base = root / facts["base"]
        case = Case(tool, base, base.name.split("-")[1], work, svd, TIMES)
        checkpoint = next((about.parent / "checkpoint").rglob("adapter_config.json")).parent
        if facts["outcome"] == "refused":
            case.refuse(label, checkpoint)
            continue
        options = ["--embed-basis"] if facts["outcome"] == "embeds" else []
        limit = NOISY if facts["kind"] == "lora-xs" and not options else EXACT
        adapter = case.convert(label, checkpoint, *options)
        wanted = {n.removesuffix(".weight"): d for n, d in load_file(about.parent / "expected.safetensors").items()}
        found = case.ours(adapter)
        compare(label, found, wanted, limit)
        case.export(label, adapter, found)


# Sizes

def checkpoint_bytes(modules: dict[str, tuple[int, int]], r: int, u: int, groups: int) -> int:
    """The size of the adapter_model.safetensors that PEFT writes, P saved, everything in f32."""
    tensors = {f"base_model.tinylora_v.{g}": [u] for g in range(groups)}
    for name, (inputs, outputs) in modules.items():
        tensors |= {f"base_model.model.{name}.tinylora_A": [r, inputs], f"base_model.model.{name}.tinylora_B": [outputs, r],
                    f"base_model.model.{name}.tinylora_P": [u, r, r]}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name in sorted(tensors):
        end = at + 4 * int(np.prod(tensors[name]))
        header[name], at = {"dtype": "F32", "shape": tensors[name], "data_offsets": [at, end]}, end
    text = len(json.dumps(header, separators=(",", ":")))
    return 8 + text + -text % 8 + at


def tlora_bytes(modules: int, r: int, u: int, groups: int, width: int) -> int:
    """The size of a .tlora file of a checkpoint on an f32 base: spec sections 2 and 4.3, with a section for the signs."""
    return 88 + groups * u * width + 5 + -(-modules * (r - 1) // 8) + 8


def check_size_model(base: Checkpoint, produced: int) -> None:
    """The size model gives what PEFT wrote for r = 2, u = 1, one group."""
    modules = {n.removesuffix(".weight"): base[n].shape[::-1] for n in base.names() if n.split(".")[-2] in peft.LINEARS}
    wanted = checkpoint_bytes(modules, 2, 1, 1)
    check(wanted == produced, f"PEFT's checkpoint has {produced} bytes, the size model says {wanted}")


def check_tlora_size(base: Checkpoint, produced: int) -> None:
    """So is the other size, for r = 2, u = 13, one group."""
    modules = sum(n.split(".")[-2] in peft.LINEARS for n in base.names() if n.endswith(".weight"))
    wanted = tlora_bytes(modules, 2, 13, 1, 4)
    check(wanted == produced, f"the converted file has {produced} bytes, the specification says {wanted}")


def print_sizes(sizes: list[tuple[str, int, int]]) -> None:
    print("\n| adapter | checkpoint, bytes | .tlora, bytes |\n|---|---|---|")
    for label, before, after in sizes:
        print(f"| {label} | {before:,} | {after:,} |")
    layers, shapes = QWEN_7B
    modules = {f"model.layers.{i}.{n}": s for i in range(layers) for n, s in shapes.items()}
    before = checkpoint_bytes(modules, 2, 13, 1)
    for dtype, width in (("f32", 4), ("bf16", 2)):
        print(f"| Qwen2.5-7B r=2 u=13, one group, v in {dtype}: computed | {before:,} | {tlora_bytes(len(modules), 2, 13, 1, width):,} |")
    print()


def run(tool: Tool, model: Path, work: Path, everything: bool) -> None:
    svd, cases = peft.Decompositions(), {}
    for dtype in ("bf16", "f32"):
        base = work / f"{model.name}-{dtype}"
        peft.write_base(model, base, dtype)
        cases[dtype] = Case(tool, base, dtype, work, svd)
    for number, (dtype, options) in enumerate(USUAL + MORE * everything):
        case, first = cases[dtype], len(SIZES)
        adapter, found = case.tiny(options, False, SMALLER.get(number))
        if number == 0:
            check_size_model(case.weights, SIZES[first][1])
        if number == 2:
            check_tlora_size(case.weights, SIZES[first][2])
        if dtype == "f32":
            case.tiny(options, True)
        case.export(adapter.stem, adapter, found)
    for rank, alpha in XS_USUAL + XS_MORE * everything:
        for precise in (False, True):
            cases["f32"].xs(rank, alpha, precise)
    of_model = list(SIZES)
    golden(tool, GOLDEN, work, svd)
    print_sizes(of_model)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, type=Path, help="the program under test")
    p.add_argument("--model", required=True, type=Path, help="a checkpoint directory of one file, in bf16")
    p.add_argument("--all", action="store_true", help="every variant")
    p.add_argument("--work", type=Path, help="an empty directory for what is made, kept; otherwise a temporary one")
    args = p.parse_args()
    work = args.work or Path(tempfile.mkdtemp(prefix="tlora-peft-"))
    work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    try:
        run(Tool(args.tlora.resolve(), work.resolve()), args.model.resolve(), work.resolve(), args.all)
    except Failure as failure:
        sys.exit(f"FAILED: {failure}")
    finally:
        if not args.work:
            shutil.rmtree(work)
    step("all checks passed")


START = time.monotonic()
SIZES: list[tuple[str, int, int]] = []

if __name__ == "__main__":
    main()
