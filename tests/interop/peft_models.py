"""The torch side of peft_checkpoints.py: PEFT TinyLoRA and LoRA-XS models on a real base, and the updates of an adapter by PEFT's own code."""

import os

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", HF_HUB_DISABLE_PROGRESS_BARS="1")

import warnings
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, TinyLoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import lora_xs

LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
# PEFT computes all singular triplets and uses the first ones; no variant has a higher rank
KEPT = 16


def load(base: Path, dtype: str):
    return AutoModelForCausalLM.from_pretrained(base, dtype=DTYPES[dtype])


def write_base(model: Path, out: Path, dtype: str) -> None:
    """The model in another type. For f32 each weight gets digits that bf16 does not have."""
    out.mkdir()
    for file in model.iterdir():
        if file.suffix != ".safetensors" and file.is_file():
            (out / file.name).write_bytes(file.read_bytes())
    generator = torch.Generator().manual_seed(1)
    tensors = load_file(model / "model.safetensors")
    for name, w in tensors.items():
        if dtype == "f32" and w.ndim == 2:
            w = w.float() * (1 + (torch.rand(w.shape, generator=generator) - 0.5) / 256)
        tensors[name] = w.to(DTYPES[dtype]).contiguous()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


class Decompositions:
    """`torch.linalg.svd`, remembered: PEFT calls it anew for every adapter and at every load. Only the leading triplets are kept.

    In twins of f32 bases it runs in f64 and rounds once, and nothing else of PEFT is changed. That tells the noise of LAPACK in
    single precision from a mistake of ours.
    """

    def __init__(self):
        self.svd, self.known, self.precise = torch.linalg.svd, {}, False

    def __call__(self, w, full_matrices=True):
        assert not full_matrices and w.dtype == torch.float32
        key = (self.precise, *w.shape, hash(w.numpy().tobytes()))
        if key not in self.known:
            found = self.svd(w.double() if self.precise else w, full_matrices=False)
            u, s, vh = (t.float() for t in found)
            self.known[key] = u[:, :KEPT].clone(), s[:KEPT].clone(), vh[:KEPT].clone()
        return self.known[key]

    @contextmanager
    def used(self, precise: bool):
        self.precise, torch.linalg.svd = precise, self
        try:
            yield
        finally:
            torch.linalg.svd = self.svd


def trained(count: int, u: int, seed: int) -> list[torch.Tensor]:
    """The vectors of `count` groups as after a training: each of norm about 1, for updates that f32 weights show well."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(u, generator=generator) / u**0.5 for _ in range(count)]


def make_tiny(base: Path, dtype: str, out: Path, seed: int, **options) -> None:
    """A PEFT TinyLoRA checkpoint with v that is not 0."""
    model = get_peft_model(load(base, dtype), TinyLoraConfig(**options, target_modules=LINEARS, task_type="CAUSAL_LM"))
    shared = model.base_model.tinylora_v["default"]
    for group, v in zip(sorted(shared, key=int), trained(len(shared), options["u"], seed)):
        shared[group].data = v
    model.save_pretrained(out)


def make_xs(base: Path, out: Path, seed: int, precise: bool, r: int, alpha: int) -> dict[str, torch.Tensor]:
    """A LoRA-XS checkpoint on an f32 base, and its updates; PEFT itself has no code that would load it."""
    model = get_peft_model(load(base, "f32"), LoraConfig(r=r, lora_alpha=alpha, lora_dropout=0.0, target_modules=LINEARS, task_type="CAUSAL_LM"))
    layers = lora_xs.initialise(model, lora_xs.SETTINGS, torch.Generator().manual_seed(seed), 0.3, "precise" if precise else "randomised")
    (out / "ft").mkdir(parents=True)
    model.save_pretrained(out / "ft")
    lora_xs.save_settings(lora_xs.SETTINGS, r, out)
    return {plain(name): lora_xs.delta_weight(layer) for name, layer in layers.items()}


def plain(name: str) -> str:
    """A module's name in the base model."""
    return name.removeprefix("base_model.model.")


def open_adapter(base: Path, dtype: str, adapter: Path) -> PeftModel:
    """As users load it; a key that is missing or left over is an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*(missing|unexpected).*keys.*")
        warnings.filterwarnings("error", message=".*missing adapter keys.*")
        model = PeftModel.from_pretrained(load(base, dtype), adapter)
    result = model.load_adapter(adapter, adapter_name="default")
    missing = [k for k in result.missing_keys if "tinylora_" in k or "lora_" in k]
    assert not missing and not result.unexpected_keys, f"{adapter}: PEFT misses {missing}, has no use for {result.unexpected_keys}"
    return model


def updates(model: PeftModel) -> dict[str, torch.Tensor]:
    """By module, what PEFT adds to the weights."""
    layers = {n: m for n, m in model.named_modules() if hasattr(m, "get_delta_weight") and n.startswith("base_model.")}
    with torch.no_grad():
        return {plain(n): m.get_delta_weight("default") for n, m in layers.items()}


def merged(model: PeftModel) -> dict[str, torch.Tensor]:
    """The weights after `merge_and_unload`, by name."""
    return {name.removesuffix(".weight"): w.data for name, w in model.merge_and_unload().named_parameters()}
