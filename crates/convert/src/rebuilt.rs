//! The factors of a module, rebuilt from its weight as the source made them.

use tlora_basis::{BasisError, Factors, HalfDtype, RoundedFactors, Rsvd, Weight, rsvd_factors};
use tlora_checkpoint::Checkpoint;
use tlora_format::{Rounding, SigmaSide};
use tlora_rebuild::{Bases, ModuleWeight, RebuildError};

/// A way to rebuild factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    /// From the exact basis.
    Exact { side: SigmaSide, rounding: Rounding },
    /// As scikit-learn's randomised SVD.
    Rsvd(Rsvd),
}

/// Rebuilt factors.
#[derive(Debug)]
pub(crate) struct Rebuilt {
    pub(crate) factors: Factors,
    /// Their bit patterns, if they are rounded.
    pub(crate) rounded: Option<RoundedFactors>,
}

impl Rebuilt {
    /// Reads the weight and rebuilds; `bases` has the exact basis if the plan needs it.
    pub(crate) fn new(
        base: &Checkpoint,
        weight: &ModuleWeight,
        plan: Plan,
        bases: &Bases,
    ) -> Result<Self, RebuildError> {
        let bytes = weight.read(base)?;
        let fault = |source| RebuildError::Numeric {
            module: weight.name.clone(),
            source,
        };
        let rows = Weight::new(
            weight.dtype,
            weight.out_features,
            weight.in_features,
            &bytes,
        )
        .map_err(fault)?;
        plan.rebuild(&rows, weight, bases).map_err(fault)
    }
}

impl Plan {
    fn rebuild(
        self,
        rows: &Weight<'_>,
        weight: &ModuleWeight,
        bases: &Bases,
    ) -> Result<Rebuilt, BasisError> {
        let plain = |factors| Rebuilt {
            factors,
            rounded: None,
        };
        match self {
            Self::Rsvd(rsvd) => rsvd_factors(rows, weight.rank, rsvd).map(plain),
            Self::Exact { side, rounding } => match HalfDtype::of(rounding) {
                None => Factors::exact(rows, &bases[weight], side).map(plain),
                Some(dtype) => {
                    let rounded = RoundedFactors::new(rows, &bases[weight], dtype)?;
                    Ok(Rebuilt {
                        factors: rounded.to_factors(),
                        rounded: Some(rounded),
                    })
                }
            },
        }
    }
}
