#!/usr/bin/env python3
"""Write the checkpoints of crates/convert/tests/golden: small models and adapters as PEFT and LoRA-XS save them.

    make_golden.py --peft 0.10.0=DIR --peft 0.19.1=DIR --peft 0.20.0=DIR [--out DIR] [--only CASE]
    make_golden.py ... --check      makes them anew elsewhere and compares what does not depend on the machine

A DIR holds that version of peft alone: `pip install --no-deps --target DIR peft==0.19.1`. The version of
requirements-peft.txt is the one that is installed. Each version runs in a process of its own.

The base models and v come out the same everywhere. The factors do not: the signs of singular vectors, and so the
updates, are those of the LAPACK that torch was built with.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# `hash`, which peft 0.19 seeds from, and the order of sets, in which PEFT saves target_modules
STEADY = {"PYTHONHASHSEED": "0", "PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1",
          "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
GOLDEN = Path(__file__).resolve().parents[2] / "crates/convert/tests/golden"
CURRENT = "0.21.2"


# Adapters. `outcome` is what `tlora convert` has to do with the checkpoint: converts, embeds (with --embed-basis only), refused.

def tiny(base, outcome="converts", peft=CURRENT, **options):
    return {"kind": "peft-tinylora", "base": base, "outcome": outcome, "peft": peft, **options}


def xs(base, outcome="converts", peft=CURRENT, **options):
    return {"kind": "lora-xs", "base": base, "outcome": outcome, "peft": peft, **options}


Q_V = ["q_proj", "v_proj"]
TEN = ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]
CONV = ["c_attn", "c_fc", "c_proj"]
CASES = {
    "peft-qwen2-f32-tied": tiny("qwen2-f32", r=2, u=1, weight_tying=1.0, target_modules="all-linear",
                                note="the paper's sharing: one v for all 14 modules"),
    "peft-qwen2-bf16": tiny("qwen2-bf16", r=2, u=13, weight_tying=0.4, target_modules="all-linear",
                            note="52 elements of P, drawn in blocks of 16 with an overlap; 8 groups, the last of 7 modules"),
    "peft-qwen2-f32-unsaved": tiny("qwen2-f32", r=8, u=13, weight_tying=0.75, target_modules=TEN, save_projection=False,
                                   note="rank 8 is cut to 4 in k_proj and v_proj; 10 x (1 - 0.75) = 2.5 rounds to 2 groups"),
    "peft-qwen2-bf16-unsaved": tiny("qwen2-bf16", r=8, u=1, weight_tying=1.0, target_modules=TEN, save_projection=False,
                                    note="rank 8 is cut to 4 in k_proj and v_proj, 64 or 16 elements of P, rounded to bf16"),
    "peft-llama-f32-rank1": tiny("llama-f32", r=1, u=64, weight_tying=0.923, target_modules="all-linear",
                                 note="21 x (1 - 0.923) = 1.6 rounds to 2 groups of 10 and 11 modules"),
    "peft-llama-bf16-untied": tiny("llama-bf16", r=2, u=64, weight_tying=0.0, target_modules=Q_V, save_projection=False),
    "peft-llama-f32-embedding": tiny("llama-f32", r=2, u=3, weight_tying=1.0, target_modules=["embed_tokens", "q_proj"],
                                     note="an embedding is targeted, so PEFT saves all of it; 12 elements of P"),
    "peft-gpt2-f32": tiny("gpt2-f32", r=2, u=1, weight_tying=0.4, target_modules=CONV, save_projection=False, fan_in_fan_out=True,
                          note="Conv1D: the factors are those of the transposed weight; 8 x 0.6 = 4.8 rounds to 5 groups, the last of 4"),
    "peft-gpt2-bf16": tiny("gpt2-bf16", r=4, u=1, weight_tying=1.0, target_modules=["c_attn"], fan_in_fan_out=True),
    "peft-qwen2-f16": tiny("qwen2-f16", r=2, u=4, weight_tying=0.0, target_modules=Q_V),
    "peft-bf16-tensors": tiny("qwen2-bf16", r=2, u=13, weight_tying=1.0, target_modules=Q_V, autocast=False,
                              note="autocast_adapter_dtype=False, as under DeepSpeed ZeRO-3: every tensor is bf16, v too"),
    "peft-second-adapter": tiny("llama-f32", r=2, u=1, weight_tying=0.0, target_modules=["v_proj"], adapter="second", after=Q_V,
                                note="added to modules that another adapter on q_proj and v_proj had wrapped: P is that of its numbering, "
                                     "not of this one"),
    "peft-0.20.0-qwen2-bf16": tiny("qwen2-bf16", peft="0.20.0", r=2, u=13, weight_tying=0.4, target_modules=Q_V, save_projection=False),
    "peft-0.19.1-qwen2-f32": tiny("qwen2-f32", peft="0.19.1", r=2, u=1, weight_tying=1.0, target_modules=Q_V,
                                  note="one P for all modules, from Python's hash of the adapter's name"),
    "peft-0.19.1-unsaved": tiny("qwen2-f32", "refused", peft="0.19.1", r=2, u=1, weight_tying=1.0, target_modules=Q_V,
                                save_projection=False, note="P is lost: its seed was the process's hash of a string"),
    "peft-modules-to-save": tiny("llama-f32", "refused", r=2, u=1, weight_tying=1.0, target_modules=["q_proj"], modules_to_save=["lm_head"],
                                 note="a whole trained lm_head has no place in a .tlora file"),
    "xs-f32": xs("flat-f32", r=4, lora_alpha=4, target_modules=["q_proj", "down_proj"], settings_at="above",
                 note="the basis is a randomised SVD, which is not the leading singular subspace: here it is several per cent away"),
    "xs-f32-old-keys": xs("flat-f32", peft="0.10.0", r=4, lora_alpha=16, target_modules=["q_proj"], settings_at="beside",
                          note="the version that the repository pins: R is `q_proj_lora_latent_mapping.weight`; scale 16 / 4"),
    "xs-f16-rslora": xs("flat-f16", r=2, lora_alpha=3, use_rslora=True, target_modules=["q_proj", "down_proj"],
                        note="factors in f16, scale 3 / sqrt(2), no reconstr_config.json"),
    "xs-patterns": xs("flat-f32", r=4, lora_alpha=8, rank_pattern={"q_proj": 2}, alpha_pattern={"down_proj": 3},
                      target_modules=["q_proj", "down_proj"], settings_at="above",
                      note="module ranks 4 and 2, scales 8 / 2 and 3 / 4; the repository's scripts set no patterns"),
    "xs-seed": xs("flat-f32", r=4, lora_alpha=4, target_modules=["q_proj"], svd={"n_iter": 2, "random_state": 7}, settings_at="above",
                  note="another seed and number of iterations, as reconstr_config.json says"),
    "xs-seed-unknown": xs("flat-f32", "embeds", r=4, lora_alpha=4, target_modules=["q_proj"], svd={"n_iter": 2, "random_state": 7},
                          note="as xs-seed, but nothing says so"),
    "xs-exact": xs("flat-f32", r=4, lora_alpha=4, target_modules=["q_proj"], method="exact",
                   note="the repository's later branch: torch.linalg.svd in place of the randomised SVD, no reconstr_config.json"),
    "xs-half-random": xs("flat-f32", "embeds", r=4, lora_alpha=4, target_modules=["q_proj"], half_init_dec=True, settings_at="above",
                         note="the lower half of the decoder is random"),
    "xs-random": xs("flat-f32", "embeds", r=4, lora_alpha=4, target_modules=["q_proj"], random_init=True, settings_at="above",
                    note="both factors are random"),
}


def load(base):
    import torch
    from golden_models import TORCH
    from transformers import AutoModelForCausalLM
    dtype = getattr(torch, TORCH[base.split("-")[1]])
    # a relative path, because PEFT writes it into adapter_config.json
    return AutoModelForCausalLM.from_pretrained(f"bases/{base}", dtype=dtype)


def exact_product(factors):
    """The product of matrices that are stored in any type, in f64."""
    out = factors[0].double()
    for f in factors[1:]:
        out = out @ f.double()
    return out


def apart(a, b):
    return float((a.detach().double() - b.detach().double()).norm() / b.detach().double().norm())


def make_tiny(case, generator):
    """A PEFT TinyLoRA model with v as after a training; returns it, its layers, and what saving needs."""
    import torch
    from peft import TinyLoraConfig, get_peft_model
    options = {k: v for k, v in case.items() if k in ("r", "u", "weight_tying", "target_modules", "save_projection",
                                                     "fan_in_fan_out", "modules_to_save")}
    name = case.get("adapter", "default")
    model = load(case["base"])
    if "after" in case:
        model = get_peft_model(model, TinyLoraConfig(**options | {"target_modules": case["after"]}, task_type="CAUSAL_LM"))
        model.add_adapter(name, TinyLoraConfig(**options, task_type="CAUSAL_LM"))
        model.set_adapter(name)
    else:
        model = get_peft_model(model, TinyLoraConfig(**options, task_type="CAUSAL_LM"), autocast_adapter_dtype=case.get("autocast", True))
    shared = model.base_model.tinylora_v[name]
    for group in sorted(shared, key=int):
        shared[group].data = (torch.randn(case["u"], generator=generator) * 0.3).to(shared[group].dtype)
    layers = {n: m for n, m in model.named_modules() if hasattr(m, "tinylora_A") and name in m.tinylora_A}
    return model, layers, name


def tiny_delta(layer, name):
    """PEFT's own update. Where it would round it to 16 bits on the way (tensors in bf16), the product of those tensors in f64."""
    import torch
    values = layer.tinylora_v[name]
    keys = getattr(layer, "_tinylora_v_key", None)
    v = values[keys[name]] if keys else layer._tinylora_v_ref[name]
    r = torch.einsum("i,ijk->jk", v.double(), layer.tinylora_P[name].double())
    product = exact_product([layer.tinylora_B[name], r, layer.tinylora_A[name]])
    product = product.T if getattr(layer, "fan_in_fan_out", False) else product
    if layer.tinylora_A[name].dtype != torch.float32:
        return product.float()
    found = layer.get_delta_weight(name)
    assert apart(found, product) < 1e-6, f"PEFT's update is {apart(found, product):.1e} from the product of its factors"
    return found.float()


def basis_noise(layer, name):
    """How far the f32 SVD is from the exact one, as a change of the update for any R; only for f32 bases."""
    import torch
    w = layer.get_base_layer().weight.data.double()
    w = w.T if getattr(layer, "fan_in_fan_out", False) else w
    u, s, vh = torch.linalg.svd(w, full_matrices=False)
    a, b = layer.tinylora_A[name].double(), layer.tinylora_B[name].double()
    r = a.shape[0]
    sign = torch.sign((vh[:r] * a).sum(dim=1))
    root = s[:r].sqrt()
    return max(apart(a, sign[:, None] * root[:, None] * vh[:r]), apart(b, u[:, :r] * (root * sign)))


def strip(name):
    return name.removeprefix("base_model.model.")


def write_tiny(case, path, generator):
    model, layers, name = make_tiny(case, generator)
    model.save_pretrained(path, selected_adapters=[name])
    expected = {strip(n) + ".weight": tiny_delta(m, name).detach().contiguous() for n, m in layers.items()}
    noise = max(basis_noise(m, name) for m in layers.values()) if case["base"].endswith("-f32") else None
    return expected, {} if noise is None else {"peft_svd_error": float(f"{noise:.1e}")}


def write_xs(case, path, generator):
    import lora_xs
    import torch
    from peft import LoraConfig, get_peft_model
    options = {k: v for k, v in case.items() if k in ("r", "lora_alpha", "target_modules", "use_rslora", "rank_pattern", "alpha_pattern")}
    settings = lora_xs.SETTINGS | {"svd": case.get("svd", lora_xs.SETTINGS["svd"]), "half_init_dec": case.get("half_init_dec", False),
                                   "replacement_module_random_init": case.get("random_init", False)}
    model = get_peft_model(load(case["base"]), LoraConfig(**options, lora_dropout=0.0, task_type="CAUSAL_LM"))
    torch.manual_seed(1)
    layers = lora_xs.initialise(model, settings, generator, 0.05, case.get("method", "randomised"))
    model.save_pretrained(path)
    if "settings_at" in case:
        lora_xs.save_settings(settings, case["r"], path.parent if case["settings_at"] == "above" else path)
    return {strip(n) + ".weight": lora_xs.delta_weight(m).detach().contiguous() for n, m in layers.items()}, {}


def write_case(name, out):
    """One directory: checkpoint/ as the program saved it (without its README.md), expected.safetensors, case.json."""
    import peft
    import sklearn
    import torch
    import transformers
    from safetensors.torch import save_file
    case, path = CASES[name], out / name
    assert peft.__version__ == case["peft"], f"{name} needs peft {case['peft']}, this is {peft.__version__}"
    path.mkdir()
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little")
    generator = torch.Generator().manual_seed(seed)
    write = write_tiny if case["kind"] == "peft-tinylora" else write_xs
    os.chdir(out)
    expected, facts = write(case, path / "checkpoint", generator)
    for readme in path.rglob("README.md"):
        readme.unlink()
    if case["outcome"] != "refused":
        save_file(expected, path / "expected.safetensors")
    versions = {"peft": peft.__version__, "torch": torch.__version__, "transformers": transformers.__version__}
    if case["kind"] == "lora-xs":
        versions["scikit-learn"] = sklearn.__version__
    about = {"kind": case["kind"], "outcome": case["outcome"], "base": f"bases/{case['base']}", "note": case.get("note", ""),
             "made_with": versions, **facts}
    (path / "case.json").write_text(json.dumps({k: v for k, v in about.items() if v != ""}, indent=1) + "\n")


def write_all(out, old, only):
    """Every case, each version of peft in a process of its own."""
    out.mkdir(parents=True, exist_ok=True)
    names = [only] if only else list(CASES)
    if not only:
        for path in out.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
    from golden_models import write_bases
    write_bases(out)
    for version in sorted({CASES[n]["peft"] for n in names}):
        if version != CURRENT and version not in old:
            sys.exit(f"--peft {version}=DIR is missing")
        of_version = [n for n in names if CASES[n]["peft"] == version]
        paths = [old[version]] if version in old else []
        env = os.environ | STEADY | {"PYTHONPATH": os.pathsep.join(paths)}
        subprocess.run([sys.executable, __file__, "--out", out, "--write", *of_version], env=env, check=True)


def compare(made, kept):
    """What must be the same anywhere: the files, their tensors' names, types and shapes, the settings, P and v, |A| and |B|."""
    import torch
    from safetensors.torch import load_file
    files = [sorted(str(p.relative_to(d)) for p in d.rglob("*") if p.is_file() and p.suffix != ".md") for d in (made, kept)]
    assert files[0] == files[1], f"other files: {sorted(set(files[0]) ^ set(files[1]))}"
    for file in files[0]:
        a, b = made / file, kept / file
        if file.startswith("bases/"):
            assert a.read_bytes() == b.read_bytes(), f"{file} differs"
        elif file.endswith("adapter_config.json"):
            a, b = (json.loads(p.read_text()) for p in (a, b))
            assert a == b, f"{file} differs: {a} and {b}"
        elif file.endswith(".safetensors"):
            a, b = load_file(a), load_file(b)
            assert {k: (t.dtype, t.shape) for k, t in a.items()} == {k: (t.dtype, t.shape) for k, t in b.items()}, f"{file}: other tensors"
            for key in a if "expected" not in file else ():
                limit = 0.01 if a[key].dtype == torch.float16 or "bf16" in file else 1e-3 if "_A" in key or "_B" in key else 3e-6
                x, y = (t[key].double() for t in (a, b))
                x, y = (x.abs(), y.abs()) if "_A" in key or "_B" in key else (x, y)
                assert apart(x, y) <= limit, f"{file}: {key} is {apart(x, y):.1e} away"


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--peft", action="append", default=[], metavar="VERSION=DIR", help="another version of peft")
    p.add_argument("--out", type=Path, default=GOLDEN)
    p.add_argument("--only", choices=CASES, help="this case alone")
    p.add_argument("--check", action="store_true", help="compare with what is there")
    p.add_argument("--write", nargs="+", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.write:
        for name in args.write:
            write_case(name, args.out.resolve())
        return
    old = dict(text.split("=", 1) for text in args.peft)
    if args.check:
        with tempfile.TemporaryDirectory(prefix="tlora-golden-") as made:
            write_all(Path(made), old, None)
            compare(Path(made), args.out)
    else:
        write_all(args.out.resolve(), old, args.only)


if __name__ == "__main__":
    main()
