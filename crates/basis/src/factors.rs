//! ΔW = scale·B·R·A: the bases that are two factors (spec §6.8).

use crate::kernels::{Isa, padded};
use crate::products::{Multiplier, pair_all};
use crate::{Basis, BasisError, Weight};
use tlora_format::SigmaSide;

/// B and A of a module with `rows` × `columns` weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    /// Rows of the weight, m.
    pub rows: usize,
    /// Columns of the weight, n.
    pub columns: usize,
    /// Columns of B and rows of A, r.
    pub rank: usize,
    /// B, `rows` × `rank`, row-major.
    pub b: Vec<f64>,
    /// A, `rank` × `columns`, row-major.
    pub a: Vec<f64>,
}

impl Factors {
    /// From their values, as a file's factors section has them.
    ///
    /// # Errors
    /// [`BasisError::FactorSize`] if a factor has not as many values as its shape asks for.
    pub fn new(
        rows: usize,
        columns: usize,
        rank: usize,
        b: Vec<f64>,
        a: Vec<f64>,
    ) -> Result<Self, BasisError> {
        ensure_size("B", rows, rank, b.len())?;
        ensure_size("A", rank, columns, a.len())?;
        Ok(Self {
            rows,
            columns,
            rank,
            b,
            a,
        })
    }

    /// UΣ^a and Σ^b·Vᵀ of an exact basis, for formats that store factors; 0 where σ is.
    ///
    /// The specification merges exact bases without them, so it says nothing about their last bits. They are the same on
    /// every machine all the same: with y = W·V, B is y, y ÷ sqrt(σ) or y ÷ σ for left, split and right, and A is Vᵀ,
    /// sqrt(σ)·Vᵀ or σ·Vᵀ.
    ///
    /// # Errors
    /// [`BasisError::NonFinite`] for a NaN or infinite weight, [`BasisError::FactorSize`] if the basis is not one of a weight with
    /// these columns.
    pub fn exact(weight: &Weight<'_>, basis: &Basis, side: SigmaSide) -> Result<Self, BasisError> {
        let mut b = products(Isa::detect(), weight, basis)?;
        let (divisors, multipliers): (Vec<f64>, Vec<f64>) = basis
            .sigma
            .iter()
            .map(|&sigma| match side {
                SigmaSide::Left => (1.0, 1.0),
                SigmaSide::Split => (sigma.sqrt(), sigma.sqrt()),
                SigmaSide::Right => (sigma, sigma),
            })
            .unzip();
        for row in b.chunks_exact_mut(basis.rank.max(1)) {
            for (c, b) in row.iter_mut().enumerate() {
                *b = if basis.sigma[c] == 0.0 {
                    0.0
                } else {
                    *b / divisors[c]
                };
            }
        }
        let columns = basis.columns.max(1);
        let a = basis
            .v
            .chunks_exact(columns)
            .zip(multipliers)
            .flat_map(|(v, multiplier)| v.iter().map(move |v| multiplier * v))
            .collect();
        Self::new(weight.rows(), basis.columns, basis.rank, b, a)
    }
}

/// W·V, row-major, of a basis of this weight.
pub(crate) fn products(
    isa: Isa,
    weight: &Weight<'_>,
    basis: &Basis,
) -> Result<Vec<f64>, BasisError> {
    ensure_size("V", basis.rank, weight.columns(), basis.v.len())?;
    let v = pair_all(&basis.v, basis.columns);
    Multiplier::new(&v, padded(basis.columns)).all_products(isa, weight)
}

/// Refuses a factor with another number of values than its shape has.
pub(crate) fn ensure_size(
    factor: &'static str,
    rows: usize,
    columns: usize,
    found: usize,
) -> Result<(), BasisError> {
    if rows.checked_mul(columns) == Some(found) {
        return Ok(());
    }
    Err(BasisError::FactorSize {
        factor,
        rows,
        columns,
        found,
    })
}
