#!/usr/bin/env python3
"""Export adapters that `tlora init` made, load them with PEFT, and compare every update with that of `tlora merge`.

    export.py --tlora target/release/tlora [--model PATH/TO/smollm2-135m]

Tiny models of the Llama, Qwen and GPT-2 families, and a real one if given. PEFT must load each directory without a word about
keys that are missing, unexpected or of another size.
"""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

BASES = Path(__file__).resolve().parents[2] / "crates" / "convert" / "tests" / "golden" / "bases"
# ‖difference‖ / ‖ΔW‖ in f32: the rounding of the factors, of torch's products, and of W + ΔW in the merged file
LIMIT = 1e-6

# Options of `init`, and what is special
VARIANTS = [
    (["--u", "3", "--groups", "3"], "left"),
    (["--u", "2", "--untied", "--sigma-side", "split", "--scale", "-1.5"], "split"),
    (["--u", "2", "--n-tie", "3", "--sigma-side", "right", "--rank", "3"], "right, rank 3"),
    (["--u", "1", "--groups", "2", "--sharing", "structured"], "structured"),
    # more than the smallest side of a tiny model: clipped
    (["--u", "13", "--rank", "6"], "rank 6, one group"),
]
GPT2 = [
    (["--u", "2", "--untied", "--targets", "c_attn,c_proj,c_fc"], "every Conv1D"),
    (["--u", "2", "--untied", "--targets", "attn.c_proj,wte"], "one Conv1D of two with a name, and the embedding"),
]


def check(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {message}")


def f32(base: Path, out: Path) -> Path:
    """The base in f32, with the names that the first GPT-2 has: PEFT's updates are compared to 24 bits."""
    out.mkdir()
    config = json.loads((base / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))
    tensors = {name: w.float().contiguous() for name, w in load_file(base / "model.safetensors").items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    return out


def without_prefix(base: Path, out: Path) -> Path:
    """The same without `transformer.` before every name, as in the first GPT-2."""
    out.mkdir()
    (out / "config.json").write_bytes((base / "config.json").read_bytes())
    tensors = {name.removeprefix("transformer."): w for name, w in load_file(base / "model.safetensors").items()}
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    return out


class Case:
    def __init__(self, tlora: Path, base: Path, work: Path):
        self.tlora, self.base, self.work, self.number = tlora, base, work, 0
        self.env = os.environ | {"TLORA_CACHE": str(work / "cache")}

    def run(self, *arguments) -> str:
        done = subprocess.run([self.tlora, *map(str, arguments)], env=self.env, capture_output=True, text=True)
        check(done.returncode == 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def merged(self, adapter: Path) -> dict[str, torch.Tensor]:
        """ΔW by the name of the weight: the merged f32 weights less the base's, in f64."""
        out = self.work / f"merged{self.number}"
        self.run("merge", self.base, adapter, "-o", out, "--dtype", "f32")
        after, before = load_file(out / "model.safetensors"), load_file(self.base / "model.safetensors")
        deltas = {name: after[name].double() - before[name].double() for name in after}
        return {name: delta for name, delta in deltas.items() if delta.any()}

    def peft(self, directory: Path) -> dict[str, torch.Tensor]:
        """ΔW by the name of the weight, as PEFT adds it to what is stored."""
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            model = PeftModel.from_pretrained(model, directory)
        about_keys = [text for w in said if any(word in (text := str(w.message)) for word in ("missing", "unexpected", "mismatch", "not found"))]
        check(not about_keys, f"{directory}: {about_keys}")
        layers = {name: layer for name, layer in model.named_modules() if hasattr(layer, "get_delta_weight")}
        return {name.removeprefix("base_model.model."): layer.get_delta_weight("default").detach().double() for name, layer in layers.items()}

    def compare(self, label: str, found: dict, wanted: dict) -> None:
        wanted = {name.removesuffix(".weight").removeprefix("transformer."): delta for name, delta in wanted.items()}
        found = {name.removeprefix("transformer."): delta for name, delta in found.items()}
        check(found.keys() == wanted.keys(), f"{label}: {sorted(found.keys() ^ wanted.keys())}")
        worst = max(((found[n] - wanted[n]).norm() / wanted[n].norm()).item() for n in wanted)
        print(f"  {label}: {len(wanted)} modules, largest difference {worst:.1e}")
        check(worst <= LIMIT, label)

    def variant(self, options: list[str], label: str) -> None:
        self.number += 1
        adapter = self.work / f"{self.number}.tlora"
        self.run("init", self.base, "-o", adapter, *options)
        facts = json.loads(self.run("inspect", adapter, "--json"))
        count = facts["u"] * facts["tying"]["groups"]
        # as large as W, so that its rounding in the merged file is not seen
        values = [[3.0, -2.0, 1.5, 4.0, -2.5][i % 5] + i / 64 for i in range(count)]
        self.run("init", self.base, "-o", adapter, "--force", *options, "--v=" + ",".join(map(str, values)))
        wanted = self.merged(adapter)
        for number, export in enumerate([["peft-lora"], ["peft-lora", "--pad-rank", "8"], ["peft-tinylora"]]):
            out = self.work / f"export{self.number}-{number}"
            self.run("export", adapter, "--base", self.base, "-o", out, "--format", *export)
            self.compare(f"{label}, {' '.join(export)}", self.peft(out), wanted)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, type=Path, help="the program under test")
    p.add_argument("--model", type=Path, help="a checkpoint directory of one file, of the Llama or Qwen families")
    args = p.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="tlora-export-") as work:
        work = Path(work)
        bases = [(BASES / name, VARIANTS) for name in ("qwen2-bf16", "llama-f32")]
        bases += [(BASES / "gpt2-f32", GPT2)]
        if args.model:
            bases.append((args.model, VARIANTS[:2]))
        for base, variants in bases:
            print(base.name)
            here = work / base.name
            here.mkdir()
            case = Case(args.tlora.resolve(), f32(base, here / "base"), here)
            for options, label in variants:
                case.variant(options, label)
        print("gpt2-f32, named without `transformer.`")
        here = work / "prefix"
        here.mkdir()
        Case(args.tlora.resolve(), without_prefix(work / "gpt2-f32" / "base", here / "base"), here).variant(*GPT2[0])
    print("all checks passed")


if __name__ == "__main__":
    main()
