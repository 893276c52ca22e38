//! An adapter as its source has it, module by module in order, before its basis is looked at.

use tlora_basis::Rsvd;
use tlora_format::{Precision, ProjectionKind, Rounding, TargetModules};
use tlora_rebuild::ModuleWeight;

use crate::source::Pair;

/// Everything about the source but its factors, which stay in the file until they are needed, a module at a time.
#[derive(Debug)]
pub(crate) struct Draft {
    /// The modules in module order.
    pub(crate) modules: Vec<DraftModule>,
    pub(crate) targets: TargetModules,
    /// Number of groups, and of modules in each but the last.
    pub(crate) group_count: u32,
    pub(crate) n_tie: u32,
    pub(crate) u: u16,
    /// v, group by group, and exact in `precision`.
    pub(crate) v: Vec<f64>,
    /// The type to store v in.
    pub(crate) precision: Precision,
    pub(crate) projection: ProjectionKind,
    /// How the source made its factors.
    pub(crate) origin: Origin,
}

/// One module.
#[derive(Debug)]
pub(crate) struct DraftModule {
    /// Its weight in the base, with the rank of its factors.
    pub(crate) weight: ModuleWeight,
    /// The stored factors.
    pub(crate) pair: Pair,
    /// The factor of its update.
    pub(crate) scale: f64,
    /// R with v as the file will have it, rank × rank.
    pub(crate) r: Vec<f64>,
    /// R with v as the source has it, if that is another.
    pub(crate) unrounded_r: Option<Vec<f64>>,
}

/// How factors were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// PEFT: U√Σ and √ΣVᵀ of the exact SVD, in single precision, rounded to the type of the base.
    Peft(Rounding),
    /// LoRA-XS: U and ΣVᵀ of scikit-learn's randomised SVD.
    Sklearn(Rsvd),
}

impl Origin {
    /// What the factors are rounded to.
    pub(crate) const fn rounding(self) -> Rounding {
        match self {
            Self::Peft(rounding) => rounding,
            Self::Sklearn(_) => Rounding::None,
        }
    }
}

impl Draft {
    /// The rank of the file: the largest of its modules.
    pub(crate) fn rank(&self) -> usize {
        self.modules
            .iter()
            .map(|module| module.weight.rank)
            .max()
            .unwrap_or(1)
    }
}

/// A matrix own × own in the corner of one rank × rank, row by row: R as the v of standard projections.
pub(crate) fn padded(r: &[f64], own: usize, rank: usize) -> Vec<f64> {
    let mut square = vec![0.0; rank * rank];
    for (row, out) in r.chunks_exact(own).zip(square.chunks_exact_mut(rank)) {
        out[..own].copy_from_slice(row);
    }
    square
}
