"""LoRA-XS on a PEFT LoRA model, as its authors' repository (MohammadrezaBanaei/LoRA-XS) initialises and saves it.

Nothing can be installed that does this: the repository is a set of scripts over PEFT. Its steps are few. For each targeted
linear layer W (out x in), scikit-learn's randomised `TruncatedSVD` is fitted on W transposed; the transformed matrix becomes
`lora_A`, which so has the singular values, and the components become `lora_B`. Both are frozen, and a matrix R between them
is trained: the layer's `default_lora_latent_mapping`, a linear layer of its own. PEFT saves it because its name has "lora_".
"""

import json
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from sklearn.decomposition import TruncatedSVD

# the repository's config/reconstruct_config.yaml
SETTINGS = {"reconstruction_type": "svd", "reconstr_mode": "separated", "half_init_dec": False,
            "replacement_module_random_init": False, "r_squared": True, "svd": {"n_iter": 10, "random_state": 42}}


class RoundedNormals(np.random.RandomState):
    """The normal numbers that scikit-learn draws for an f32 matrix, for an f64 one."""

    def normal(self, *args, **kwargs):
        return super().normal(*args, **kwargs).astype(np.float32).astype(np.float64)


def factors(weight: torch.Tensor, rank: int, svd: dict, method: str = "randomised") -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank x in) and B (out x rank) in the weight's dtype.

    `exact` is what the repository's other branch does; `precise` is `randomised` in f64, to tell f32's noise from mistakes.
    """
    if method == "exact":
        u, s, vh = torch.linalg.svd(weight.T, full_matrices=False)
        encoder, decoder = (u @ torch.diag(s))[:, :rank], vh[:rank]
        return encoder.T.contiguous(), decoder.T.contiguous()
    x = weight.T.cpu().numpy()
    if method == "precise":
        x, svd = x.astype(np.float64), svd | {"random_state": RoundedNormals(svd["random_state"])}
    fitted = TruncatedSVD(n_components=rank, **svd)
    fitted.fit(x)
    encoder, decoder = (torch.tensor(t, dtype=weight.dtype) for t in (fitted.transform(x), fitted.components_))
    return encoder.T.contiguous(), decoder.T.contiguous()


def uniform(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Kaiming's uniform distribution with a = sqrt(5), which is U(-1, 1) / sqrt(columns)."""
    return (torch.rand(shape, generator=generator) * 2 - 1) / sqrt(shape[1])


def initialise(model, settings: dict, generator: torch.Generator, size: float, method: str = "randomised") -> dict[str, torch.nn.Module]:
    """Set A, B and R of every LoRA layer; R has entries of N(0, size), as after a training. Returns the layers by name."""
    layers = {name: m for name, m in model.named_modules() if hasattr(m, "lora_A") and "default" in m.lora_A}
    for layer in layers.values():
        rank = layer.r["default"]
        a, b = factors(layer.weight.data, rank, settings["svd"], method)
        # the repository's two options that leave the decomposition, on its (rank x out) decoder and (in x rank) encoder
        if settings["half_init_dec"]:
            half = b.shape[1] - b.shape[1] // 2
            b[:, half:] = uniform(b[:, half:].T.shape, generator).T.to(b.dtype)
        if settings["replacement_module_random_init"]:
            a, b = uniform(a.T.shape, generator).T.contiguous(), uniform(b.T.shape, generator).T.contiguous()
            a, b = a.to(layer.weight.dtype), b.to(layer.weight.dtype)
        layer.lora_A["default"].weight = torch.nn.Parameter(a, requires_grad=False)
        layer.lora_B["default"].weight = torch.nn.Parameter(b, requires_grad=False)
        layer.default_lora_latent_mapping = torch.nn.Linear(rank, rank, bias=False)
        layer.default_lora_latent_mapping.weight.data = torch.randn((rank, rank), generator=generator) * size
    return layers


def delta_weight(layer: torch.nn.Module) -> torch.Tensor:
    """The update of a layer, out x in, in f32 as the repository computes it on a CPU (before its rounding to f16)."""
    a, b = (t["default"].weight.data.float() for t in (layer.lora_A, layer.lora_B))
    return b @ layer.default_lora_latent_mapping.weight.data @ a * layer.scaling["default"]


def save_settings(settings: dict, rank: int, path: Path) -> None:
    """`reconstr_config.json`, which the repository's scripts write one level above the adapter."""
    content = settings | {"svd": settings["svd"] | {"rank": rank}}
    (path / "reconstr_config.json").write_text(json.dumps(content))
