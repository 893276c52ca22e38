//! One application of WᵀW, or of Wᵀ, to a block of columns (spec §6.2, §6.9), on one thread or several.

use crate::columns::Columns;
use crate::kernels::{Isa, deinterleave, interleave, padded};
use crate::{BasisError, Weight};
use rayon::prelude::*;
use std::convert::Infallible;

/// Rows whose contributions are summed before they are added to Z.
const ROW_BLOCK: usize = 128;
/// Weights below which threads cost more than they bring.
const PARALLEL_WEIGHTS: usize = 1 << 20;

/// A weight, and the buffers that its passes use.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    isa: Isa,
    weight: Weight<'a>,
    k: usize,
    x: Vec<f64>,
    z: Vec<f64>,
    /// P of one block of rows, or of all of them when several threads compute them.
    p: Vec<f64>,
}

impl<'a> Pass<'a> {
    pub(crate) fn new(isa: Isa, weight: Weight<'a>, k: usize) -> Self {
        let size = padded(weight.columns()) * k;
        Self {
            isa,
            weight,
            k,
            x: vec![0.0; size],
            z: vec![0.0; size],
            p: Vec::new(),
        }
    }

    /// The padded length of a column.
    pub(crate) fn length(&self) -> usize {
        padded(self.weight.columns())
    }

    /// Z = pass(X).
    pub(crate) fn run(&mut self, x: &Columns) -> Result<Columns, BasisError> {
        interleave(x.all(), self.k, &mut self.x);
        let (isa, weight, k, x) = (self.isa, &self.weight, self.k, &self.x);
        let p_of = |start: usize, p: &mut [f64]| block(isa, weight, start, k, x, p);
        sum_blocks(weight, &mut self.z, &mut self.p, p_of)?;
        Ok(self.z_columns())
    }

    /// Z = right(Y) (spec §6.9), for `y[i·k + c]` that `rnd` leaves as they are.
    pub(crate) fn right(&mut self, y: &[f64]) -> Columns {
        let (isa, weight, k) = (self.isa, &self.weight, self.k);
        let p_of = |start: usize, p: &mut [f64]| -> Result<(), Infallible> {
            let rows = rows_from(weight, start);
            isa.block_right(&rows, k, &y[start * k..][..rows.rows() * k], p);
            Ok(())
        };
        let Ok(()) = sum_blocks(weight, &mut self.z, &mut self.p, p_of);
        self.z_columns()
    }

    fn z_columns(&self) -> Columns {
        let mut z = Columns::zeros(self.length(), self.k);
        deinterleave(&self.z, self.k, z.all_mut());
        z
    }
}

/// `z` = the sum of the blocks' P in their order; `p_of` computes that of the block that begins at a row. `p` is a buffer.
fn sum_blocks<E: Send>(
    weight: &Weight<'_>,
    z: &mut [f64],
    p: &mut Vec<f64>,
    p_of: impl Fn(usize, &mut [f64]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let weights = weight.rows() * weight.columns();
    if rayon::current_num_threads() > 1 && weights >= PARALLEL_WEIGHTS {
        return all_blocks_at_once(weight, z, p, p_of);
    }
    z.fill(0.0);
    p.resize(z.len(), 0.0);
    for start in (0..weight.rows()).step_by(ROW_BLOCK) {
        p_of(start, p)?;
        z.iter_mut().zip(&*p).for_each(|(z, p)| *z += p);
    }
    Ok(())
}

/// The blocks in any order, then each element of Z as the sum over the blocks in theirs.
fn all_blocks_at_once<E: Send>(
    weight: &Weight<'_>,
    z: &mut [f64],
    p: &mut Vec<f64>,
    p_of: impl Fn(usize, &mut [f64]) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let size = z.len();
    p.resize(weight.rows().div_ceil(ROW_BLOCK) * size, 0.0);
    let outcomes: Vec<_> = p
        .par_chunks_mut(size)
        .enumerate()
        .map(|(b, p)| p_of(b * ROW_BLOCK, p))
        .collect();
    outcomes.into_iter().collect::<Result<(), _>>()?;
    let p = &*p;
    z.par_chunks_mut(1 << 12)
        .enumerate()
        .for_each(|(piece, z)| {
            z.fill(0.0);
            for p in p.chunks_exact(size) {
                z.iter_mut()
                    .zip(&p[piece << 12..])
                    .for_each(|(z, p)| *z += p);
            }
        });
    Ok(())
}

/// The block of rows that begins at `start`.
fn rows_from<'a>(weight: &Weight<'a>, start: usize) -> Weight<'a> {
    weight.slice(start, weight.rows().min(start + ROW_BLOCK))
}

/// P of the block of rows that begins at `start`.
fn block(
    isa: Isa,
    weight: &Weight<'_>,
    start: usize,
    k: usize,
    x: &[f64],
    p: &mut [f64],
) -> Result<(), BasisError> {
    isa.block_pass(&rows_from(weight, start), k, x, p)
        .map_err(|row| BasisError::NonFinite { row: start + row })
}
