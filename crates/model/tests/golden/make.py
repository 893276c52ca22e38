#!/usr/bin/env python3
"""Write the golden models and gradients of this directory: README.md says what they are.

    pip install -r tests/interop/requirements-train.txt
    make.py [--tlora target/release/tlora] [--out DIR] [--check]

Without --tlora the gradients stay as they are. --check makes everything elsewhere and compares. Weights come from SHAKE-128 by
elementwise arithmetic, the same everywhere; expected numbers are the same to their last digits only.
"""

import os
import sys

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")
# __pycache__ would be a case
sys.dont_write_bytecode = True

import argparse
import hashlib
import json
import tempfile
import types
import warnings
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[3] / "tests" / "interop"), str(HERE)]

import torch
import transformers
from golden_models import noise
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

ARCHITECTURES = {"qwen2": "Qwen2", "qwen3": "Qwen3", "llama": "Llama", "mistral": "Mistral"}
LENGTHS = (17, 24)
# How far the unmodified model in f32 may be from the one in f64, and by how much a setting must count.
F32_ERROR, EFFECT = 2e-5, 1e-2

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}


@dataclass
class Case:
    """A model: what differs from BASE in its config.json, and settings that a decoder must not be able to ignore."""

    kind: str
    settings: dict
    # as transformers 4 writes it: by hand; otherwise transformers 5 writes it
    old: bool = False
    dtype: str = "float32"
    absent: tuple = ()
    counts: list = field(default_factory=list)


BASE = {"hidden_size": 24, "intermediate_size": 28, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 41, "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False,
        "bos_token_id": 0, "eos_token_id": 1}
DEFAULT = {"rope_type": "default", "rope_theta": 10000.0}

CASES = {
    "qwen2": Case("qwen2", {"rope_parameters": DEFAULT | {"rope_theta": 1e6}, "tie_word_embeddings": True},
                  counts=[{"rope_parameters": DEFAULT}]),
    "qwen2-old": Case("qwen2", {"rope_theta": 1e6, "rms_norm_eps": 1e-2, "use_sliding_window": False, "sliding_window": 3, "max_window_layers": 0},
                      old=True, counts=[{"rms_norm_eps": 1e-6}, {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 0}]),
    "qwen2-window-old": Case("qwen2", {"rope_theta": 10000.0, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1,
                                       "num_key_value_heads": 1, "vocab_size": 37},
                             old=True, counts=[{"use_sliding_window": False}, {"max_window_layers": 0}, {"sliding_window": 6}]),
    "qwen2-bf16": Case("qwen2", {"rope_parameters": DEFAULT, "tie_word_embeddings": True}, dtype="bfloat16"),
    "qwen3": Case("qwen3", {"rope_parameters": DEFAULT | {"rope_theta": 1e6}, "head_dim": 10, "tie_word_embeddings": True, "rms_norm_eps": 1e-3},
                  counts=[{"rms_norm_eps": 1e-6}]),
    "qwen3-bias-old": Case("qwen3", {"rope_theta": 1e6, "head_dim": 8, "attention_bias": True, "rope_scaling": None, "sliding_window": None,
                                     "use_sliding_window": False}, old=True),
    "llama2-old": Case("llama", {"num_key_value_heads": 4, "rms_norm_eps": 1e-5, "rope_scaling": None, "pretraining_tp": 1}, old=True,
                       absent=("num_key_value_heads",), counts=[{"rope_parameters": DEFAULT | {"rope_theta": 500.0}}]),
    "llama3": Case("llama", {"rope_parameters": LLAMA3 | {"rope_theta": 10000.0}, "head_dim": 8, "tie_word_embeddings": True},
                   counts=[{"rope_parameters": DEFAULT}, {"rope_parameters": LLAMA3 | {"rope_theta": 10000.0, "high_freq_factor": 1.5}}]),
    "llama3-old": Case("llama", {"rope_theta": 10000.0, "rope_scaling": LLAMA3, "head_dim": 6}, old=True),
    "llama-linear": Case("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}},
                         counts=[{"rope_parameters": DEFAULT}]),
    "llama-linear-old": Case("llama", {"rope_scaling": {"type": "linear", "factor": 2.5}, "rope_theta": 5000.0}, old=True),
    "llama-bias": Case("llama", {"rope_parameters": DEFAULT, "attention_bias": True, "mlp_bias": True}),
    "mistral": Case("mistral", {"rope_parameters": DEFAULT, "head_dim": 8, "sliding_window": None}),
    "mistral-window": Case("mistral", {"rope_parameters": DEFAULT, "sliding_window": 4, "head_dim": 10},
                           counts=[{"sliding_window": None}, {"sliding_window": 5}]),
    "mistral-window-old": Case("mistral", {"rope_theta": 10000.0, "sliding_window": 7, "num_key_value_heads": 1, "vocab_size": 53}, old=True,
                               counts=[{"sliding_window": None}, {"sliding_window": 6}]),
}


def need(condition: bool, message: str) -> None:
    if not condition:
        sys.exit(f"FAILED: {message}")


def write_config(case: Case, out: Path) -> None:
    """config.json, in the words of transformers 4 or by transformers 5."""
    settings = BASE | case.settings
    if not case.old:
        config = AutoConfig.for_model(case.kind, **settings)
        config.architectures, config.dtype = [ARCHITECTURES[case.kind] + "ForCausalLM"], getattr(torch, case.dtype)
        config.save_pretrained(out)
        return
    settings = {"architectures": [ARCHITECTURES[case.kind] + "ForCausalLM"], "model_type": case.kind} | settings
    settings |= {"torch_dtype": case.dtype, "transformers_version": "4.46.0", "use_cache": True}
    kept = {key: value for key, value in settings.items() if key not in case.absent}
    (out / "config.json").write_text(json.dumps(kept, indent=2) + "\n")


def weight(label: str, name: str, shape: tuple) -> torch.Tensor:
    """Large enough that logits differ, and no norm is 1."""
    values = noise(f"{label} {name}", shape)
    if name.endswith("norm.weight"):
        values = 1 + values / 4
    elif name.endswith("embed_tokens.weight"):
        values = values / 2
    else:
        values = values * 0.3
    return torch.from_numpy(values)


def write_weights(label: str, out: Path, dtype: str) -> None:
    """Every tensor that the model of config.json saves."""
    config = AutoConfig.from_pretrained(out)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    tensors = {name: weight(label, name, tuple(w.shape)).to(getattr(torch, dtype)) for name, w in model.state_dict().items()}
    if config.tie_word_embeddings:
        del tensors["lm_head.weight"]
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def load(path: Path, **changed):
    """The model in f32, as anyone loads it, with other settings if any are given."""
    config = AutoConfig.from_pretrained(path)
    if changed:
        facts = config.to_dict()
        facts.pop("layer_types", None)
        config = AutoConfig.for_model(facts.pop("model_type"), **(facts | changed))
    return AutoModelForCausalLM.from_pretrained(path, config=config, dtype=torch.float32, attn_implementation="eager").eval()


def in_f64(model):
    """The model in f64, norms too, which transformers otherwise computes in f32. Rotary tables are rounded to f32 by either."""
    model = model.double()
    model.set_attn_implementation("sdpa")

    def norm(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))

    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = types.MethodType(norm, module)
    return model


def tokens(label: str, length: int, vocabulary: int) -> list[int]:
    stream = hashlib.shake_128(f"{label} tokens {length}".encode()).digest(4 * length)
    return [int.from_bytes(stream[4 * i:4 * i + 4], "little") % vocabulary for i in range(length)]


@torch.no_grad()
def logits(model, sequences: list[list[int]]) -> list[torch.Tensor]:
    """One sequence at a time: no padding."""
    return [model(torch.tensor([ids])).logits[0] for ids in sequences]


def difference(a: list[torch.Tensor], b: list[torch.Tensor]) -> float:
    return max((x.double() - y.double()).abs().max().item() for x, y in zip(a, b))


def write_case(label: str, case: Case, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    write_config(case, out)
    write_weights(label, out, case.dtype)
    sequences = [tokens(label, length, (BASE | case.settings)["vocab_size"]) for length in LENGTHS]
    single = logits(load(out), sequences)
    exact = logits(in_f64(load(out)), sequences)
    error = difference(single, exact)
    need(error <= F32_ERROR, f"{label}: f32 and f64 differ by {error:.1e}")
    for changed in case.counts:
        effect = difference(logits(load(out, **changed), sequences), exact)
        need(effect >= EFFECT, f"{label}: {changed} moves the logits by {effect:.1e} only")
    spread = torch.cat(exact).std().item()
    print(f"{label}: f32 differs by {error:.1e}, logits have a deviation of {spread:.1f}")
    expected = {"tokens": sequences, "logits": [[[round(x, 8) for x in row] for row in of.tolist()] for of in exact]}
    (out / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


def write_all(out: Path, tlora: Path | None) -> None:
    for label, case in CASES.items():
        write_case(label, case, out / label)
    if tlora:
        import gradients

        gradients.write_all(out, tlora)


def close(a, b) -> bool:
    """Equal, but for the last digits of numbers that are not whole."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= 1e-6 * max(1.0, abs(a))
    return a == b


def compare(made: Path, kept: Path) -> None:
    files = sorted(file.relative_to(made) for file in made.rglob("*") if file.is_file())
    for file in files:
        a, b = made / file, kept / file
        need(b.is_file(), f"{file} is not there")
        same = close(json.loads(a.read_text()), json.loads(b.read_text())) if file.name == "expected.json" else a.read_bytes() == b.read_bytes()
        need(same, f"{file} would be another one")
    print(f"{len(files)} files are as they would be made")


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", type=Path, help="the program that writes the adapters of the gradients")
    p.add_argument("--out", type=Path, default=HERE)
    p.add_argument("--check", action="store_true", help="compare with what is there")
    args = p.parse_args()
    torch.set_num_threads(1)
    transformers.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    warnings.filterwarnings("ignore", message=".*tinylora_P.*|.*projection tensors P.*")
    tlora = args.tlora.resolve() if args.tlora else None
    if not args.check:
        write_all(args.out, tlora)
        return
    with tempfile.TemporaryDirectory(prefix="tlora-golden-") as made:
        write_all(Path(made), tlora)
        compare(Path(made), args.out)


if __name__ == "__main__":
    main()
