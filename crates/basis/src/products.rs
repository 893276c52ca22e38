//! Products of weights with a few columns: W·X, row by row (spec §6.2 step 1, §8).

use crate::kernels::{Isa, group_width, interleave, padded, pair};
use crate::{BasisError, Weight};
use rayon::prelude::*;

/// Rows that one task multiplies.
const ROWS: usize = 128;

/// Columns, interleaved in groups as the kernels want them.
#[derive(Debug, Clone)]
pub(crate) struct Multiplier {
    count: usize,
    width: usize,
    groups: Vec<Vec<f64>>,
}

impl Multiplier {
    /// For paired columns of `length` elements, one after the other.
    pub(crate) fn new(paired: &[f64], length: usize) -> Self {
        let length = length.max(1);
        let count = paired.len() / length;
        let width = group_width(count);
        let groups = paired
            .chunks(length * width)
            .map(|columns| {
                let mut whole = columns.to_vec();
                whole.resize(length * width, 0.0);
                let mut group = vec![0.0; length * width];
                interleave(&whole, width, &mut group);
                group
            })
            .collect();
        Self {
            count,
            width,
            groups,
        }
    }

    /// y = W·X for some rows, row-major rows × columns of X.
    pub(crate) fn products(&self, isa: Isa, rows: &Weight<'_>) -> Vec<f64> {
        let mut group_products = vec![0.0; rows.rows() * self.width];
        let mut y = vec![0.0; rows.rows() * self.count];
        for (g, group) in self.groups.iter().enumerate() {
            isa.products(rows, self.width, group, &mut group_products);
            let used = self.width.min(self.count - g * self.width);
            for (y, products) in y
                .chunks_exact_mut(self.count)
                .zip(group_products.chunks_exact(self.width))
            {
                y[g * self.width..][..used].copy_from_slice(&products[..used]);
            }
        }
        y
    }

    /// [`Self::products`] of a whole weight, on the current rayon pool.
    ///
    /// # Errors
    /// [`BasisError::NonFinite`] with the first row whose product is not finite.
    pub(crate) fn all_products(
        &self,
        isa: Isa,
        weight: &Weight<'_>,
    ) -> Result<Vec<f64>, BasisError> {
        let starts: Vec<usize> = (0..weight.rows()).step_by(ROWS).collect();
        let parts: Vec<Vec<f64>> = starts
            .into_par_iter()
            .map(|start| {
                let rows = weight.slice(start, weight.rows().min(start + ROWS));
                self.products(isa, &rows)
            })
            .collect();
        let y = parts.concat();
        match y.iter().position(|y| !y.is_finite()) {
            Some(at) => Err(BasisError::NonFinite {
                row: at / self.count,
            }),
            None => Ok(y),
        }
    }
}

/// Columns of `length` elements each, one after the other, in paired order.
pub(crate) fn pair_all(natural: &[f64], length: usize) -> Vec<f64> {
    let columns = natural.len() / length.max(1);
    let mut paired = vec![0.0; columns * padded(length)];
    for (paired, natural) in paired
        .chunks_exact_mut(padded(length).max(1))
        .zip(natural.chunks_exact(length.max(1)))
    {
        pair(natural, paired);
    }
    paired
}
