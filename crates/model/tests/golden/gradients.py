"""The gradients of `gradient-*`: models with an adapter, a loss over log-probabilities, and its derivatives by v from torch's autograd.

PEFT makes three of the adapters, and `tlora convert` their files. PEFT has the singular values on both sides only, so for the
others `tlora init` writes a file, and a module here computes what spec section 8 says from LAPACK's factors.
"""



import json
import subprocess
import tempfile
from pathlib import Path

import expected
import numpy as np
import peft_models as peft
import torch
from checkpoint import Checkpoint
from golden_models import noise
from reference import projection

import make

LENGTH, PROMPT, TEMPERATURE = 20, 6, 0.7
RANK, U, SEED = 2, 13, 42
SMALL = {"hidden_size": 16, "intermediate_size": 20, "vocab_size": 32}
# f32 against f64, over the largest number; autograd against finite differences; the log-probabilities of the merged model in f32
F32_ERROR, SLOPE_ERROR, MERGED_ERROR = 5e-5, 1e-7, 2e-5

# base, options of TinyLoraConfig, whether its SVD runs in f64, options of `convert`, the basis of the file
CONVERTED = {
    "gradient-peft-tied": ("qwen2", {"weight_tying": 1.0}, False, ["--embed-basis", "--max-residual", "1e-7"], "explicit"),
    "gradient-peft-untied": ("qwen2-window-old", {"weight_tying": 0.0}, False, ["--embed-basis", "--max-residual", "1e-7"], "explicit"),
    "gradient-peft-signs": ("llama-bias", {"weight_tying": 0.7, "save_projection": False}, True, [], "exact"),
}
# base, options of `init`
NATIVE = {
    "gradient-left": ("llama3", ["--sigma-side", "left", "--scale", "1.5"]),
    "gradient-split": ("qwen3", ["--sigma-side", "split", "--groups", "3", "--scale=-0.75"]),
    "gradient-right": ("mistral-window", ["--sigma-side", "right", "--untied", "--sharing", "structured"]),
}


class Steered(torch.nn.Module):
    """y = W x + b + scale · B R A x, with R = Σ v_i P_i."""

    def __init__(self, base, factors, p, v):
        super().__init__()
        self.base, self.v = base, v
        for name, value in zip(("b", "a"), factors):
            self.register_buffer(name, torch.from_numpy(value.copy()).to(base.weight.dtype))
        self.register_buffer("p", torch.tensor(p, dtype=base.weight.dtype))

    def forward(self, x):
        r = torch.einsum("i,ijk->jk", self.v, self.p)
        return self.base(x) + x @ self.a.T @ r.T @ self.b.T


def steered(model, path: Path, adapter: expected.Adapter):
    """The model with its projections replaced, and v by group."""
    weights, dtype = Checkpoint(path), model.dtype
    values = [torch.nn.Parameter(torch.from_numpy(v.copy()).to(dtype)) for v in adapter.v]
    left, right = expected.POWERS[adapter.facts["sigma_side"]]
    for name in adapter.modules:
        basis = expected.Basis(weights[f"{name}.weight"].astype(np.float64))
        u, s, vt = basis.u[:, :RANK], basis.sigma[:RANK], basis.vt[:RANK]
        sign = np.sign(vt[np.arange(RANK), np.abs(vt).argmax(axis=1)])
        factors = adapter.scale * u * sign * s**left, (sign * s**right)[:, None] * vt
        p = projection.native(name, adapter.file.seed, U, RANK)
        parent, _, leaf = name.rpartition(".")
        parent = model.get_submodule(parent)
        setattr(parent, leaf, Steered(getattr(parent, leaf), factors, p, values[adapter.group(name)]))
    return model, values


def log_probs(model, tokens: list[int]) -> torch.Tensor:
    """Of each token after the prompt."""
    logits = model(torch.tensor([tokens])).logits[0, PROMPT - 1:-1]
    return torch.log_softmax(logits / TEMPERATURE, dim=-1)[torch.arange(LENGTH - PROMPT), torch.tensor(tokens[PROMPT:])]


def measured(model, values, tokens, coefficients) -> dict:
    """Log-probabilities, the loss, and its gradient by group."""
    for v in values:
        v.requires_grad_(True)
        v.grad = None
    logp = log_probs(model, tokens)
    loss = (torch.tensor(coefficients, dtype=logp.dtype) * logp).sum()
    loss.backward()
    return {"logp": logp.tolist(), "loss": loss.item(), "grad_v": [v.grad.tolist() for v in values]}


@torch.no_grad()
def check_slope(label: str, model, values, tokens, coefficients, gradient) -> None:
    """Autograd against central differences along one direction: the patched model is what it is differentiated as."""
    directions = [torch.from_numpy(noise(f"{label} direction {i}", tuple(v.shape))) for i, v in enumerate(values)]

    def at(h: float) -> float:
        for v, d in zip(values, directions):
            v += h * d
        loss = (torch.tensor(coefficients, dtype=torch.float64) * log_probs(model, tokens)).sum().item()
        for v, d in zip(values, directions):
            v -= h * d
        return loss

    slope = [(at(h) - at(-h)) / (2 * h) for h in (5e-5, 1e-4)]
    wanted = (4 * slope[0] - slope[1]) / 3
    found = sum((torch.tensor(g, dtype=torch.float64) * d).sum().item() for g, d in zip(gradient, directions))
    make.need(abs(found - wanted) <= SLOPE_ERROR * max(1.0, abs(wanted)), f"{label}: slope {found}, by differences {wanted}")


@torch.no_grad()
def check_merged(label: str, tlora: Path, out: Path, work: Path, tokens, logp) -> None:
    """`tlora merge` makes a model that says the same, so the file has the adapter that was differentiated."""
    merged = work / f"{label}-merged"
    run(tlora, "merge", out, out / "adapter.tlora", "-o", merged, "--dtype", "f32")
    error = (log_probs(make.load(merged), tokens).double() - torch.tensor(logp, dtype=torch.float64)).abs().max().item()
    make.need(error <= MERGED_ERROR, f"{label}: log-probabilities of the merged model differ by {error:.1e}")


def worst(a, b) -> float:
    """The largest difference of two nests of numbers, over the largest number."""
    a, b = np.array(a), np.array(b)
    return float(np.abs(a - b).max() / np.abs(b).max())


def write(label: str, tlora: Path, out: Path, work: Path, opened) -> None:
    """expected.json. `opened` gives the model and its v, by the group of the file, in f32 or f64."""
    tokens = make.tokens(label, LENGTH, SMALL["vocab_size"])
    coefficients = [round(float(c), 6) for c in noise(f"{label} coefficients", (LENGTH - PROMPT,))]
    single = measured(*opened(False), tokens, coefficients)
    model, values = opened(True)
    exact = measured(model, values, tokens, coefficients)
    check_slope(label, model, values, tokens, coefficients, exact["grad_v"])
    check_merged(label, tlora, out, work, tokens, exact["logp"])
    errors = {key: worst(single[key], exact[key]) for key in exact}
    print(f"{label}: f32 differs by " + ", ".join(f"{error:.1e} in {key}" for key, error in errors.items()))
    make.need(max(errors.values()) <= F32_ERROR, f"{label}: f32 and f64 differ by {errors}")
    asked = {"tokens": tokens, "prompt_length": PROMPT, "temperature": TEMPERATURE, "coefficients": coefficients}
    (out / "expected.json").write_text(json.dumps(asked | exact, separators=(",", ":")) + "\n")


def write_base(label: str, base: str, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    case = make.CASES[base]
    case = make.Case(case.kind, case.settings | SMALL, case.old, case.dtype, case.absent)
    make.write_config(case, out)
    make.write_weights(label, out, case.dtype)


def run(tlora: Path, *arguments) -> str:
    done = subprocess.run([tlora, *map(str, arguments), "--no-cache"], capture_output=True, text=True)
    make.need(done.returncode == 0, f"{arguments}: {done.stderr}")
    return done.stdout


def convert(label: str, tlora: Path, out: Path, work: Path) -> None:
    """A checkpoint of PEFT."""
    base, options, precise, arguments, wanted = CONVERTED[label]
    write_base(label, base, out)
    checkpoint, svd = work / label, peft.Decompositions()
    with svd.used(precise):
        peft.make_tiny(out, "f32", checkpoint, len(label), r=RANK, u=U, **options)
        run(tlora, "convert", checkpoint, "--base", out, "-o", out / "adapter.tlora", "--force", *arguments)
    adapter = expected.Adapter((out / "adapter.tlora").read_bytes(), Checkpoint(out))
    make.need(adapter.facts["basis"] == wanted, f"{label}: the basis is {adapter.facts['basis']}")

    def opened(double: bool):
        with svd.used(precise):
            model = peft.open_adapter(out, "f32", checkpoint)
        if double:
            make.in_f64(model)
        shared = model.base_model.tinylora_v["default"]
        by_value = {tuple(v.detach().float().tolist()): v for v in shared.values()}
        return model, [by_value[tuple(row.tolist())] for row in adapter.v]

    write(label, tlora, out, work, opened)


def initialise(label: str, tlora: Path, out: Path, work: Path) -> None:
    """An adapter of `tlora init`."""
    base, arguments = NATIVE[label]
    write_base(label, base, out)
    file = out / "adapter.tlora"
    arguments = ["init", out, "-o", file, "--force", "--rank", RANK, "--u", U, "--seed", SEED, *arguments]
    run(tlora, *arguments)
    adapter = expected.Adapter(file.read_bytes(), Checkpoint(out))
    values = np.round(noise(f"{label} v", adapter.v.shape) / U**0.5 * 64) / 64 + 0.0
    run(tlora, *arguments, "--v=" + ",".join(map(str, values.flatten().tolist())))
    adapter = expected.Adapter(file.read_bytes(), Checkpoint(out))
    make.need(np.array_equal(adapter.v, values), f"{label}: other numbers in the file")

    def opened(double: bool):
        model = make.load(out)
        return steered(make.in_f64(model) if double else model, out, adapter)

    write(label, tlora, out, work, opened)


def write_all(out: Path, tlora: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="tlora-gradients-") as work:
        for label in CONVERTED:
            convert(label, tlora, out / label, Path(work))
        for label in NATIVE:
            initialise(label, tlora, out / label, Path(work))
