//! The basis of scikit-learn's randomised SVD, as LoRA-XS uses it (spec §6.9).
//!
//! Its ten power iterations do not separate neighbouring singular values: the result is not the top singular subspace, and an
//! adapter trained on it loses up to half of its update on the exact one. So it is rebuilt as what it is.

use crate::arithmetic::rnd;
use crate::columns::Columns;
use crate::eigh::Eigen;
use crate::kernels::{Isa, group_width, padded, pair, slot};
use crate::orthonormal::{Orthonormaliser, VANISHED, unit_vector};
use crate::pass::Pass;
use crate::products::Multiplier;
use crate::random::Normals;
use crate::{BasisError, Factors, Weight};

/// The largest rank of a file, and so of a basis of this kind.
const MAX_RANK: usize = 255;

/// The parameters of a randomised SVD (spec §4.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rsvd {
    /// Seed of numpy's legacy generator.
    pub seed: u32,
    /// Power iterations.
    pub n_iter: u16,
    /// Random columns beyond the rank.
    pub oversample: u16,
}

/// B = U and A = UᵀW of the randomised SVD of spec §6.9, on the fastest instruction set of this machine, on the current rayon
/// pool. Columns of U beyond the effective rank are 0.
///
/// # Errors
/// [`BasisError::Rank`] unless 1 ≤ `rank` ≤ min(rows, columns, 255), [`BasisError::NonFinite`], [`BasisError::NoConvergence`].
pub fn rsvd_factors(weight: &Weight<'_>, rank: usize, rsvd: Rsvd) -> Result<Factors, BasisError> {
    rsvd_factors_on(Isa::detect(), weight, rank, rsvd)
}

/// [`rsvd_factors`] on a chosen instruction set. The result does not depend on it.
///
/// # Errors
/// As [`rsvd_factors`].
pub fn rsvd_factors_on(
    isa: Isa,
    weight: &Weight<'_>,
    rank: usize,
    rsvd: Rsvd,
) -> Result<Factors, BasisError> {
    let largest = weight.rows().min(weight.columns()).min(MAX_RANK);
    if !(1..=largest).contains(&rank) {
        return Err(BasisError::Rank { rank, largest });
    }
    let mut iteration = Iteration::new(isa, weight, rank, rsvd);
    let found = if weight.rows() <= weight.columns() {
        iteration.starting_left(rank, rsvd.n_iter)?
    } else {
        iteration.starting_right(rank, rsvd.n_iter)?
    };
    let u = found.unit_columns(isa, weight.rows(), rank);
    let a = iteration.sides.right(&u);
    let (rows, columns) = (weight.rows(), weight.columns());
    let b = (0..rows).flat_map(|i| (0..rank).map(move |c| (i, c)));
    let b = b.map(|(i, c)| u.column(c)[slot(i)]).collect();
    let a_entries = (0..rank).flat_map(|c| (0..columns).map(move |j| (c, j)));
    let a = a_entries.map(|(c, j)| a.column(c)[slot(j)]).collect();
    Factors::new(rows, columns, rank, b, a)
}

/// W and Wᵀ applied to any number of columns, a group at a time.
struct Sides<'a> {
    isa: Isa,
    weight: Weight<'a>,
    pass: Pass<'a>,
    width: usize,
}

impl<'a> Sides<'a> {
    /// For about `count` columns.
    fn new(isa: Isa, weight: &Weight<'a>, count: usize) -> Self {
        let width = group_width(count);
        Self {
            isa,
            weight: *weight,
            pass: Pass::new(isa, *weight, width),
            width,
        }
    }

    /// pass(X) of spec §6.2.
    fn pass(&mut self, x: &Columns) -> Result<Columns, BasisError> {
        let mut z = Columns::new(x.length());
        for group in x.all().chunks(x.length() * self.width) {
            let mut whole = Columns::zeros(x.length(), self.width);
            whole.all_mut()[..group.len()].copy_from_slice(group);
            z.append_part(&self.pass.run(&whole)?, group.len());
        }
        Ok(z)
    }

    /// left(X): m × k.
    fn left(&self, x: &Columns) -> Result<Columns, BasisError> {
        let mut y = self.products(x)?;
        y.all_mut().iter_mut().for_each(|y| *y = rnd(*y));
        Ok(y)
    }

    /// W·X without `rnd`.
    fn products(&self, x: &Columns) -> Result<Columns, BasisError> {
        let y = Multiplier::new(x.all(), x.length()).all_products(self.isa, &self.weight)?;
        let count = x.count();
        let mut columns = Columns::zeros(padded(self.weight.rows()), count);
        for c in 0..count {
            let (_, column) = columns.split_at(c);
            for (i, y) in y.iter().skip(c).step_by(count).enumerate() {
                column[slot(i)] = *y;
            }
        }
        Ok(columns)
    }

    /// right(Y): n × k.
    fn right(&mut self, y: &Columns) -> Columns {
        let (rows, width) = (self.weight.rows(), self.width);
        let mut z = Columns::new(self.pass.length());
        let length = z.length();
        for group in y.all().chunks(y.length() * width) {
            let mut interleaved = vec![0.0; rows * width];
            for (c, column) in group.chunks_exact(y.length()).enumerate() {
                for i in 0..rows {
                    interleaved[i * width + c] = column[slot(i)];
                }
            }
            let used = group.len() / y.length();
            z.append_part(&self.pass.right(&interleaved), used * length);
        }
        z
    }
}

/// The state of spec §6.9.
struct Iteration<'a> {
    isa: Isa,
    sides: Sides<'a>,
    orthonormaliser: Orthonormaliser,
    /// Ω, columns of q entries.
    omega: Columns,
    passes: u32,
}

/// θ, and the u_c before they are normalised.
struct Found {
    theta: Vec<f64>,
    u: Columns,
}

impl<'a> Iteration<'a> {
    fn new(isa: Isa, weight: &Weight<'a>, rank: usize, rsvd: Rsvd) -> Self {
        let shorter = weight.rows().min(weight.columns());
        let omega = random_columns(shorter, rank, rsvd);
        Self {
            isa,
            sides: Sides::new(isa, weight, omega.count()),
            orthonormaliser: Orthonormaliser::new(isa, weight.columns()),
            omega,
            passes: 0,
        }
    }

    /// m ≤ n.
    fn starting_left(&mut self, rank: usize, n_iter: u16) -> Result<Found, BasisError> {
        let x = self.sides.right(&self.omega);
        let x = self.iterate(x, n_iter)?;
        let z = self.pass(&x)?;
        let eigen = self.eigh(self.gram(&x, &z), x.count())?;
        let mut v = self.combine(&x, &eigen, rank);
        v.all_mut().iter_mut().for_each(|v| *v = rnd(*v));
        let u = self.sides.products(&v)?;
        let theta = eigen.values;
        Ok(Found { theta, u })
    }

    /// m > n.
    fn starting_right(&mut self, rank: usize, n_iter: u16) -> Result<Found, BasisError> {
        let x = self.iterate(self.omega.clone(), n_iter)?;
        let y = self.sides.left(&x)?;
        self.orthonormaliser.set_columns(self.sides.weight.rows());
        let y = self.orthonormal(y);
        let g = self.sides.right(&y);
        let eigen = self.eigh(self.gram(&g, &g), g.count())?;
        let u = self.combine(&y, &eigen, rank);
        let theta = eigen.values;
        Ok(Found { theta, u })
    }

    /// orth(∅, x), then `n_iter` times the pass and orth.
    fn iterate(&mut self, x: Columns, n_iter: u16) -> Result<Columns, BasisError> {
        let mut x = self.orthonormal(x);
        for _ in 0..n_iter {
            let z = self.pass(&x)?;
            x = self.orthonormal(z);
        }
        Ok(x)
    }

    fn pass(&mut self, x: &Columns) -> Result<Columns, BasisError> {
        self.passes += 1;
        self.sides.pass(x)
    }

    fn orthonormal(&mut self, mut x: Columns) -> Columns {
        let nothing = Columns::new(x.length());
        self.orthonormaliser.orthonormalise(&nothing, &mut x);
        x
    }

    /// T_ij = dot(a_i, b_j) for i ≤ j, mirrored.
    fn gram(&self, a: &Columns, b: &Columns) -> Vec<f64> {
        let size = a.count();
        let mut t = vec![0.0; size * size];
        for i in 0..size {
            for j in i..size {
                let entry = self.isa.dot(a.column(i), b.column(j));
                t[i * size + j] = entry;
                t[j * size + i] = entry;
            }
        }
        t
    }

    fn eigh(&self, t: Vec<f64>, size: usize) -> Result<Eigen, BasisError> {
        let passes = self.passes;
        self.isa
            .eigh(t, size)
            .ok_or(BasisError::NoConvergence { passes })
    }

    /// Σ_i X_i·S_ic for the first `rank` eigenvectors.
    fn combine(&self, x: &Columns, eigen: &Eigen, rank: usize) -> Columns {
        let mut out = Columns::zeros(x.length(), rank);
        let coefficients = &eigen.vectors[..rank * x.count()];
        self.isa.combine(x.all(), coefficients, rank, out.all_mut());
        out
    }
}

impl Found {
    /// U, in paired columns.
    fn unit_columns(&self, isa: Isa, rows: usize, rank: usize) -> Columns {
        let threshold = VANISHED * self.theta[0];
        let effective_rank = (0..rank).take_while(|&c| self.theta[c] > threshold).count();
        let mut columns = Columns::zeros(padded(rows), rank);
        let mut u = vec![0.0; rows];
        for c in 0..effective_rank {
            unit_vector(isa, self.u.column(c), &mut u);
            pair(&u, columns.split_at(c).1);
        }
        columns
    }
}

/// Ω: `length` × min(rank + oversample, length), in binary32.
fn random_columns(length: usize, rank: usize, rsvd: Rsvd) -> Columns {
    let drawn = rank + usize::from(rsvd.oversample);
    let mut omega = Columns::zeros(padded(length), drawn.min(length));
    let mut normals = Normals::new(rsvd.seed);
    for i in 0..length {
        for c in 0..drawn {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the rounding is what is wanted"
            )]
            let x = normals.draw() as f32;
            if c < omega.count() {
                omega.split_at(c).1[slot(i)] = f64::from(x);
            }
        }
    }
    omega
}
