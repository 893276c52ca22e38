//! One application of WᵀW to a block of columns (spec §6.2), on one thread or several.

use crate::columns::Columns;
use crate::kernels::{Isa, deinterleave, interleave, padded};
use crate::{BasisError, Weight};
use rayon::prelude::*;

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
        let weights = self.weight.rows() * self.weight.columns();
        if rayon::current_num_threads() > 1 && weights >= PARALLEL_WEIGHTS {
            self.all_blocks_at_once()?;
        } else {
            self.block_by_block()?;
        }
        let mut z = Columns::zeros(self.length(), self.k);
        deinterleave(&self.z, self.k, z.all_mut());
        Ok(z)
    }

    fn block_by_block(&mut self) -> Result<(), BasisError> {
        self.z.fill(0.0);
        self.p.resize(self.z.len(), 0.0);
        for start in (0..self.weight.rows()).step_by(ROW_BLOCK) {
            block(self.isa, &self.weight, start, self.k, &self.x, &mut self.p)?;
            self.z.iter_mut().zip(&self.p).for_each(|(z, p)| *z += p);
        }
        Ok(())
    }

    /// The blocks in any order, then each element of Z as the sum over the blocks in theirs.
    fn all_blocks_at_once(&mut self) -> Result<(), BasisError> {
        let size = self.z.len();
        self.p
            .resize(self.weight.rows().div_ceil(ROW_BLOCK) * size, 0.0);
        let (isa, weight, k, x) = (self.isa, &self.weight, self.k, &self.x);
        let outcomes: Vec<_> = self
            .p
            .par_chunks_mut(size)
            .enumerate()
            .map(|(b, p)| block(isa, weight, b * ROW_BLOCK, k, x, p))
            .collect();
        outcomes.into_iter().collect::<Result<(), _>>()?;
        let p = &self.p;
        self.z
            .par_chunks_mut(1 << 12)
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
    let rows = weight.slice(start, weight.rows().min(start + ROW_BLOCK));
    isa.block_pass(&rows, k, x, p)
        .map_err(|row| BasisError::NonFinite { row: start + row })
}
