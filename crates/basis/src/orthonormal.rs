//! Orthonormalising new columns against a basis and each other (spec §6.3, §6.4).

use crate::arithmetic::{rnd, start_entry};
use crate::columns::Columns;
use crate::kernels::{Isa, slot};

/// 2⁻⁴⁰: a column that shrinks by more has vanished.
pub(crate) const VANISHED: f64 = 9.094_947_017_729_282e-13;

/// 2⁻⁴: a column that shrinks by more is orthogonalised again.
const CANCELLED: f64 = 0.0625;

/// Makes columns orthonormal, and replaces those that vanish by fresh start columns.
#[derive(Debug)]
pub(crate) struct Orthonormaliser {
    isa: Isa,
    columns: usize,
    next_start: u32,
}

impl Orthonormaliser {
    /// For vectors of `columns` elements.
    pub(crate) fn new(isa: Isa, columns: usize) -> Self {
        Self {
            isa,
            columns,
            next_start: 0,
        }
    }

    /// From now on for vectors of `columns` elements. The start columns are numbered through (spec §6.9).
    pub(crate) fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// Fills `x` with the next start column (spec §6.3).
    pub(crate) fn start(&mut self, x: &mut [f64]) {
        x.fill(0.0);
        for j in 0..self.columns {
            x[slot(j)] = start_entry(self.next_start, j);
        }
        self.next_start += 1;
    }

    /// `orth(q, n)` of spec §6.4.
    pub(crate) fn orthonormalise(&mut self, q: &Columns, n: &mut Columns) {
        let norms: Vec<f64> = (0..n.count()).map(|c| self.norm(n.column(c))).collect();
        self.project(q, n.all_mut());
        for (c, norm) in norms.into_iter().enumerate() {
            let (before, column) = n.split_at(c);
            self.finish(q, before, column, norm);
        }
    }

    fn finish(&mut self, q: &Columns, before: &[f64], column: &mut [f64], norm: f64) {
        if self.normalise(q, before, column, norm) {
            return;
        }
        self.start(column);
        let norm = self.norm(column);
        self.project(q, column);
        if !self.normalise(q, before, column, norm) {
            column.fill(0.0);
        }
    }

    /// Steps a and b of `finish`; false if the column has vanished. `norm` is what it had before it was projected.
    fn normalise(&self, q: &Columns, before: &[f64], column: &mut [f64], norm: f64) -> bool {
        self.project_block(before, column);
        let mut remaining = self.norm(column);
        if remaining > norm * VANISHED && remaining <= norm * CANCELLED {
            // The other new columns are orthogonal to Q only to 41 bits, which is much of what is left here.
            self.project(q, column);
            self.project_block(before, column);
            remaining = self.norm(column);
        }
        if remaining > norm * VANISHED {
            column.iter_mut().for_each(|x| *x = rnd(*x / remaining));
            return true;
        }
        false
    }

    /// Removes the earlier new columns, one after the other, twice.
    fn project_block(&self, before: &[f64], column: &mut [f64]) {
        for _ in 0..2 {
            for earlier in before.chunks_exact(column.len()) {
                let h = self.isa.dot(earlier, column);
                self.isa.subtract(earlier, &[h], column.len(), column);
            }
        }
    }

    /// Removes the basis columns from each column of `x`, all from the same x, twice.
    fn project(&self, q: &Columns, x: &mut [f64]) {
        let (length, terms) = (q.length(), q.count());
        for _ in 0..2 {
            let mut h = vec![0.0; terms * x.len() / length];
            // Basis columns outside: each is read once for all of x.
            for i in 0..terms {
                for (c, x) in x.chunks_exact(length).enumerate() {
                    h[c * terms + i] = self.isa.dot(q.column(i), x);
                }
            }
            self.isa.subtract(q.all(), &h, length, x);
        }
    }

    fn norm(&self, x: &[f64]) -> f64 {
        self.isa.dot(x, x).sqrt()
    }
}

/// ± x / ‖x‖, rounded to 41 bits, with the sign that makes its largest entry positive (spec §6.5, "The result"). `paired` is x,
/// `out` the result in natural order.
pub(crate) fn unit_vector(isa: Isa, paired: &[f64], out: &mut [f64]) {
    let norm = isa.dot(paired, paired).sqrt();
    for (j, out) in out.iter_mut().enumerate() {
        *out = rnd(paired[slot(j)] / norm);
    }
    // Of the rounded entries: unrounded, equal ones differ in their last bits, and any of them could lead.
    let larger = |peak: f64, &x: &f64| if x.abs() > peak.abs() { x } else { peak };
    if out.iter().fold(0.0, larger) < 0.0 {
        // A zero stays +0.
        out.iter_mut().for_each(|x| *x = rnd(-*x));
    }
}
