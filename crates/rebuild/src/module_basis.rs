//! The basis of one module, whatever its kind: V and σ, or the factors B and A (spec §6, §6.8).

use std::borrow::Cow;

use tlora_basis::{
    Basis, BasisError, Factors, HalfDtype, RoundedFactors, Rsvd, Update, core_matrix,
    factored_core, rsvd_factors,
};
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, BasisKind, Precision, SigmaSide};

use crate::bases::Bases;
use crate::{AdaptedModule, ModuleWeight, RebuildError};

/// Bytes of rows whose products with V are computed at once.
const CHUNK: usize = 512 << 10;

/// What ΔW of a module is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum ModuleBasis<'a> {
    /// ΔW = (W·V)·M·Vᵀ (spec §8).
    Exact(&'a Basis),
    /// ΔW = B·M·A.
    Factors(Cow<'a, Factors>),
}

impl ModuleBasis<'_> {
    /// The module's update, ready for its rows.
    #[must_use]
    pub fn update(&self, side: SigmaSide, module: &AdaptedModule) -> Update {
        let (scale, r, negated) = (module.scale, &module.r, &module.negated);
        match self {
            Self::Exact(basis) => {
                Update::new(basis, core_matrix(side, scale, r, &basis.sigma, negated))
            }
            Self::Factors(factors) => {
                Update::from_factors(factors, factored_core(scale, r, negated))
            }
        }
    }
}

/// The kinds of bases, as far as they are computed differently.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind<'a> {
    Exact,
    Rounded(HalfDtype),
    Rsvd(Rsvd),
    Explicit(Precision, &'a [tlora_format::Factors]),
}

impl<'a> Kind<'a> {
    pub(crate) fn of(adapter: &'a Adapter) -> Self {
        match (&adapter.basis, HalfDtype::of(adapter.basis_rounding)) {
            (BasisKind::Exact, None) => Self::Exact,
            (BasisKind::Exact, Some(dtype)) => Self::Rounded(dtype),
            (
                &BasisKind::Rsvd {
                    seed,
                    n_iter,
                    oversample,
                },
                _,
            ) => Self::Rsvd(Rsvd {
                seed,
                n_iter,
                oversample,
            }),
            (BasisKind::Explicit { precision, factors }, _) => Self::Explicit(*precision, factors),
        }
    }

    /// Whether V and σ are needed.
    pub(crate) const fn is_exact(self) -> bool {
        matches!(self, Self::Exact | Self::Rounded(_))
    }
}

/// B and A of a module, with no signs applied. Those of an exact basis are UΣ^a and Σ^b·Vᵀ by
/// `side`.
///
/// # Errors
/// The weight cannot be read or has no such basis, or the factors of the file are those of another size.
pub(crate) fn factors(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    module: &AdaptedModule,
    side: SigmaSide,
    bases: &Bases,
) -> Result<Factors, RebuildError> {
    let weight = &module.weight;
    match Kind::of(adapter) {
        Kind::Exact => split(checkpoint, weight, &bases[weight], side),
        Kind::Rounded(dtype) => {
            let bytes = weight.read(checkpoint)?;
            let rows = weight.rows(&bytes)?;
            rounded(
                adapter,
                module,
                RoundedFactors::new(&rows, &bases[weight], dtype),
            )
            .map_err(|source| weight.fault(source, 0))
        }
        Kind::Rsvd(rsvd) => {
            let bytes = weight.read(checkpoint)?;
            rsvd_factors(&weight.rows(&bytes)?, weight.rank, rsvd)
                .map_err(|source| weight.fault(source, 0))
        }
        Kind::Explicit(precision, factors) => stored(module, precision, factors),
    }
}

/// With the corrections of the module's entries.
fn rounded(
    adapter: &Adapter,
    module: &AdaptedModule,
    rounded: Result<RoundedFactors, BasisError>,
) -> Result<Factors, BasisError> {
    let mut rounded = rounded?;
    let first = module.first_entry;
    let entries = first..first.saturating_add(rounded.entries());
    rounded.correct(adapter.corrections.within(entries))?;
    Ok(rounded.to_factors())
}

/// The values of the file, for a weight whose size [`plan`](crate::plan()) has compared.
fn stored(
    module: &AdaptedModule,
    precision: Precision,
    factors: &[tlora_format::Factors],
) -> Result<Factors, RebuildError> {
    let weight = &module.weight;
    let values = |bits: &[u32]| bits.iter().map(|&bits| precision.to_f64(bits)).collect();
    let (b, a) = factors
        .get(module.number)
        .map_or_else(Default::default, |pair| (values(&pair.b), values(&pair.a)));
    Factors::new(weight.out_features, weight.in_features, weight.rank, b, a)
        .map_err(|source| weight.fault(source, 0))
}

/// UΣ^a and Σ^b·Vᵀ, some rows at a time.
fn split(
    checkpoint: &Checkpoint,
    weight: &ModuleWeight,
    basis: &Basis,
    side: SigmaSide,
) -> Result<Factors, RebuildError> {
    let row_bytes = weight.in_features * weight.dtype.size();
    let mut whole = Factors {
        rows: weight.out_features,
        columns: weight.in_features,
        rank: weight.rank,
        b: Vec::with_capacity(weight.out_features * weight.rank),
        a: Vec::new(),
    };
    weight.read_rows(checkpoint, (CHUNK / row_bytes).max(1), |first, bytes| {
        let part = Factors::exact(&weight.rows(bytes)?, basis, side)
            .map_err(|source| weight.fault(source, first))?;
        whole.b.extend(part.b);
        whole.a = part.a;
        Ok(())
    })?;
    Ok(whole)
}
