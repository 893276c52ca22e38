//! An adapter as a plain LoRA: ΔW = B·A with lora_alpha = r, so that PEFT's scaling is 1.

use tlora_basis::factored_core;
use tlora_rebuild::{Prepared, RebuildError};

use super::factors::{Values, heightened, times, transposed, widened};
use super::names::{Layer, Placed};
use super::write::Tensor;

/// A and B of a module, with the rank that they have in the file.
pub(super) fn tensors(module: &Placed<'_>, rank: usize) -> [Tensor; 2] {
    let (a, b) = match module.layer {
        Layer::Embedding => ("lora_embedding_A", "lora_embedding_B"),
        Layer::Linear | Layer::Conv1d => ("lora_A.weight", "lora_B.weight"),
    };
    let (rows, columns) = module.sides(module.layer.turns_lora());
    [
        module.tensor(a, &[rank, columns]),
        module.tensor(b, &[rows, rank]),
    ]
}

/// Their values: A = Σ^b·Vᵀ and B = scale·UΣ^a·R, with zeros up to `rank`.
///
/// # Errors
/// The weight cannot be read or has no such basis.
pub(super) fn values(
    prepared: &Prepared<'_>,
    placed: &Placed<'_>,
    rank: usize,
) -> Result<[Values<'static>; 2], RebuildError> {
    let module = placed.module;
    let factors = prepared.factors(0, module, prepared.adapters[0].sigma_side)?;
    let (own, columns) = (factors.rank, factors.columns);
    let core = factored_core(module.scale, &module.r, &module.negated);
    let b = times(&factors.b, &core, own);
    let (a, b) = if placed.is_turned(placed.layer.turns_lora()) {
        // (B·A)ᵀ = Aᵀ·Bᵀ.
        (transposed(&b, own), transposed(&factors.a, columns))
    } else {
        (factors.a.clone(), b)
    };
    let length = a.len() / own.max(1);
    Ok([heightened(a, length, rank), widened(b, own, rank)])
}
