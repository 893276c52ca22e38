//! One adapter's ΔW for one weight, in the form that rows are merged with (spec §8).

use crate::kernels::{Isa, padded};
use crate::products::{Multiplier, pair_all};
use crate::{Basis, BasisError, Factors, Weight};
use std::borrow::Cow;

/// One adapter's ΔW for one weight, ready for [`merge_rows`](crate::merge_rows): (W·V)·M·Vᵀ, or B·M·A.
#[derive(Debug, Clone)]
pub struct Update {
    rank: usize,
    columns: usize,
    left: Left,
    core: Vec<f64>,
    /// V, or A: a paired vector for each of the r.
    right: Vec<f64>,
}

/// What stands to the left of M.
#[derive(Debug, Clone)]
enum Left {
    /// W·V, of the rows as they come.
    Products(Multiplier),
    /// B, row-major.
    Stored(Vec<f64>),
}

impl Update {
    /// From the basis of the weight and its [`core_matrix`](crate::core_matrix) (r × r).
    #[must_use]
    pub fn new(basis: &Basis, core: Vec<f64>) -> Self {
        let right = pair_all(&basis.v, basis.columns);
        Self {
            rank: basis.rank,
            columns: basis.columns,
            left: Left::Products(Multiplier::new(&right, padded(basis.columns))),
            core,
            right,
        }
    }

    /// From factors and their [`factored_core`](crate::factored_core) (r × r).
    #[must_use]
    pub fn from_factors(factors: &Factors, core: Vec<f64>) -> Self {
        Self {
            rank: factors.rank,
            columns: factors.columns,
            left: Left::Stored(factors.b.clone()),
            core,
            right: pair_all(&factors.a, factors.columns),
        }
    }

    /// V or A: a paired vector for each of the r.
    pub(crate) fn right(&self) -> &[f64] {
        &self.right
    }

    /// Refuses rows that this is no update of.
    pub(crate) fn ensure_fits(
        &self,
        rows: &Weight<'_>,
        first_row: usize,
    ) -> Result<(), BasisError> {
        if self.columns != rows.columns() {
            return Err(BasisError::UpdateColumns {
                wanted: rows.columns(),
                found: self.columns,
            });
        }
        match &self.left {
            Left::Stored(b) if (first_row + rows.rows()) * self.rank > b.len() => {
                Err(BasisError::UpdateRows {
                    first: first_row,
                    wanted: rows.rows(),
                    found: b.len() / self.rank.max(1),
                })
            }
            _ => Ok(()),
        }
    }

    /// t = (W·V)·M or B·M for every row, appended to each row's entry of `t`. `first_row` is the number of the first one.
    pub(crate) fn coefficients(
        &self,
        isa: Isa,
        rows: &Weight<'_>,
        first_row: usize,
        t: &mut [Vec<f64>],
    ) {
        let y = match &self.left {
            Left::Products(multiplier) => Cow::Owned(multiplier.products(isa, rows)),
            Left::Stored(b) => Cow::Borrowed(&b[first_row * self.rank..]),
        };
        for (t, y) in t.iter_mut().zip(y.chunks_exact(self.rank.max(1))) {
            let entry = |k| {
                y.iter()
                    .zip(self.core.iter().skip(k).step_by(self.rank))
                    .fold(0.0, |t, (y, m)| t + y * m)
            };
            t.extend((0..self.rank).map(entry));
        }
    }
}
