//! The exact basis of a weight (spec §6): thick-restart block Lanczos on WᵀW, the same bits on every machine.
//!
//! Only V is iterated for; UΣ = W·V falls out of a merge. An ordinary SVD library would do it to the same accuracy, but
//! not to the same bits: a 0.5B model merged with two LAPACKs differs in thousands of weights.

use crate::columns::Columns;
use crate::eigh::Eigen;
use crate::kernels::Isa;
use crate::orthonormal::{Orthonormaliser, VANISHED, unit_vector};
use crate::pass::Pass;
use crate::{BasisError, Weight};

/// Passes after which the iteration gives up.
const MAX_PASSES: u32 = 1_000;
/// Passes before the first check of a basis that is not full.
const FIRST_CHECK: u32 = 12;
/// Blocks wider than this are checked only when the basis is full: the check then costs as much as several passes.
const WIDE_BLOCK: usize = 4;
/// Residual that counts as converged, relative to the largest eigenvalue.
const TOLERANCE: f64 = 1e-10;
/// Relative gaps between singular values below this are reported: the basis is then exact but arbitrary.
const NEAR_TIE: f64 = 1e-6;
/// The largest rank that spec §6 covers.
pub const MAX_RANK: usize = 64;

/// The right singular vectors and singular values of a weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// Number of vectors, r.
    pub rank: usize,
    /// Length of each vector: columns of the weight.
    pub columns: usize,
    /// σ, descending; 0 beyond the effective rank.
    pub sigma: Vec<f64>,
    /// V, column by column: element j of vector c is `v[c * columns + j]`. 41 significant bits each.
    pub v: Vec<f64>,
}

/// A basis and how it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactBasis {
    /// The basis itself.
    pub basis: Basis,
    /// Passes over the weight.
    pub passes: u32,
    /// Vectors that are not zero.
    pub effective_rank: usize,
    /// Two singular values so close that their vectors are arbitrary within the space they span.
    pub near_tie: Option<NearTie>,
}

/// σ_index and the next singular value differ by less than 10⁻⁶ σ₀.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NearTie {
    /// The first of the two, from 0.
    pub index: usize,
    /// Their difference relative to σ₀.
    pub relative_gap: f64,
}

/// The constants of spec §6.5 for a rank.
struct Sizes {
    block: usize,
    basis: usize,
    /// Ritz pairs that a restart keeps; never fewer than the rank.
    keep: usize,
}

impl Sizes {
    fn of(rank: usize) -> Self {
        let basis = (3 * rank).next_multiple_of(16).max(32);
        let block = match rank {
            ..=4 => 2,
            5..=16 => 4,
            _ => 8,
        };
        Self {
            block,
            basis,
            keep: basis / 2,
        }
    }
}

/// Computes the basis of spec §6 on the fastest instruction set of this machine, on the current rayon pool.
///
/// # Errors
/// [`BasisError::Rank`] unless 1 ≤ `rank` ≤ 64, [`BasisError::NonFinite`], [`BasisError::NoConvergence`].
pub fn exact_basis(weight: &Weight<'_>, rank: usize) -> Result<ExactBasis, BasisError> {
    exact_basis_on(Isa::detect(), weight, rank)
}

/// [`exact_basis`] on a chosen instruction set. The result does not depend on it.
///
/// # Errors
/// As [`exact_basis`].
pub fn exact_basis_on(
    isa: Isa,
    weight: &Weight<'_>,
    rank: usize,
) -> Result<ExactBasis, BasisError> {
    if !(1..=MAX_RANK).contains(&rank) {
        return Err(BasisError::Rank {
            rank,
            largest: MAX_RANK,
        });
    }
    if weight.columns() == 0 {
        return Ok(result(isa, &Ritz::default(), 0, rank, 0));
    }
    iterate(isa, weight, rank, MAX_PASSES)
}

/// Spec §6.5, with a limit on the passes that a test can reach.
fn iterate(
    isa: Isa,
    weight: &Weight<'_>,
    rank: usize,
    max_passes: u32,
) -> Result<ExactBasis, BasisError> {
    let mut iteration = Iteration::new(isa, weight, rank);
    while iteration.passes < max_passes {
        iteration.step()?;
        if !iteration.is_check_due() {
            continue;
        }
        let full = iteration.is_full();
        let ritz = iteration.ritz_pairs(if full { iteration.sizes.keep } else { rank })?;
        if iteration.is_converged(&ritz, rank) {
            return Ok(result(isa, &ritz, weight.columns(), rank, iteration.passes));
        }
        if full {
            iteration.restart(ritz);
        }
    }
    Err(BasisError::NoConvergence { passes: max_passes })
}

/// Ritz pairs: θ of the whole basis, and the leading vectors v with a = WᵀW·v.
struct Ritz {
    theta: Vec<f64>,
    v: Columns,
    a: Columns,
}

impl Default for Ritz {
    fn default() -> Self {
        Self {
            theta: Vec::new(),
            v: Columns::new(1),
            a: Columns::new(1),
        }
    }
}

/// The state of spec §6.5 between two passes.
struct Iteration<'a> {
    isa: Isa,
    sizes: Sizes,
    pass: Pass<'a>,
    orthonormaliser: Orthonormaliser,
    /// Q, and Z = WᵀW·Q.
    q: Columns,
    z: Columns,
    /// T = Qᵀ·Z, row-major with a stride of `sizes.basis`.
    t: Vec<f64>,
    /// The next block.
    x: Columns,
    passes: u32,
}

impl<'a> Iteration<'a> {
    fn new(isa: Isa, weight: &Weight<'a>, rank: usize) -> Self {
        let sizes = Sizes::of(rank);
        let pass = Pass::new(isa, *weight, sizes.block);
        let mut orthonormaliser = Orthonormaliser::new(isa, weight.columns());
        let q = Columns::new(pass.length());
        let mut x = Columns::zeros(pass.length(), sizes.block);
        for c in 0..sizes.block {
            orthonormaliser.start(x.split_at(c).1);
        }
        orthonormaliser.orthonormalise(&q, &mut x);
        let t = vec![0.0; sizes.basis * sizes.basis];
        Self {
            isa,
            pass,
            orthonormaliser,
            z: q.clone(),
            q,
            t,
            x,
            passes: 0,
            sizes,
        }
    }

    /// Steps 1 and 2: one pass, T grows, the next block.
    fn step(&mut self) -> Result<(), BasisError> {
        let mut y = self.pass.run(&self.x)?;
        let old = self.q.count();
        self.q.append(&self.x);
        self.z.append(&y);
        // Basis columns outside: each is read once for the whole block.
        for i in 0..self.q.count() {
            for j in i.max(old)..self.q.count() {
                let t = self.isa.dot(self.q.column(i), self.z.column(j));
                self.t[i * self.sizes.basis + j] = t;
                self.t[j * self.sizes.basis + i] = t;
            }
        }
        self.orthonormaliser.orthonormalise(&self.q, &mut y);
        self.x = y;
        self.passes += 1;
        Ok(())
    }

    /// Whether another block would exceed the basis.
    fn is_full(&self) -> bool {
        self.q.count() > self.sizes.basis - self.sizes.block
    }

    fn is_check_due(&self) -> bool {
        let early = self.passes >= FIRST_CHECK && self.passes.is_multiple_of(2);
        (early && self.sizes.block <= WIDE_BLOCK) || self.is_full() || self.x.is_zero()
    }

    /// θ of T and the first `count` Ritz vectors.
    fn ritz_pairs(&self, count: usize) -> Result<Ritz, BasisError> {
        let size = self.q.count();
        let t = self
            .t
            .chunks_exact(self.sizes.basis)
            .take(size)
            .flat_map(|row| &row[..size])
            .copied()
            .collect();
        let Eigen { values, vectors } =
            self.isa.eigh(t, size).ok_or(BasisError::NoConvergence {
                passes: self.passes,
            })?;
        let count = count.min(size);
        let mut ritz = Ritz {
            theta: values,
            v: Columns::zeros(self.q.length(), count),
            a: Columns::zeros(self.q.length(), count),
        };
        let coefficients = &vectors[..count * size];
        self.isa
            .combine(self.q.all(), coefficients, count, ritz.v.all_mut());
        self.isa
            .combine(self.z.all(), coefficients, count, ritz.a.all_mut());
        Ok(ritz)
    }

    /// Spec §6.6: every wanted pair has a small residual, or there is nothing left to look at.
    fn is_converged(&self, ritz: &Ritz, rank: usize) -> bool {
        if self.x.is_zero() {
            return true;
        }
        let largest = ritz.theta[0];
        (0..rank.min(ritz.v.count())).all(|c| {
            let theta = ritz.theta[c];
            theta <= VANISHED * largest
                || self.isa.residual(ritz.a.column(c), ritz.v.column(c), theta)
                    <= TOLERANCE * largest
        })
    }

    /// Step 4: the leading Ritz pairs become the basis.
    fn restart(&mut self, ritz: Ritz) {
        self.t.fill(0.0);
        for c in 0..ritz.v.count() {
            self.t[c * self.sizes.basis + c] = ritz.theta[c];
        }
        self.q = ritz.v;
        self.z = ritz.a;
    }
}

/// Normalises, fixes signs and rounds (spec §6.5, "The result").
fn result(isa: Isa, ritz: &Ritz, columns: usize, rank: usize, passes: u32) -> ExactBasis {
    let mut basis = Basis {
        rank,
        columns,
        sigma: vec![0.0; rank],
        v: vec![0.0; rank * columns],
    };
    let largest = ritz.theta.first().copied().unwrap_or(0.0);
    let found = rank.min(ritz.v.count());
    let effective_rank = (0..found)
        .take_while(|&c| ritz.theta[c] > VANISHED * largest)
        .count();
    for c in 0..effective_rank {
        basis.sigma[c] = ritz.theta[c].sqrt();
        let v = &mut basis.v[c * columns..][..columns];
        unit_vector(isa, ritz.v.column(c), v);
    }
    let near_tie = near_tie(&ritz.theta, effective_rank);
    ExactBasis {
        basis,
        passes,
        effective_rank,
        near_tie,
    }
}

/// The closest pair of neighbouring singular values that involves a wanted one, if they nearly coincide.
fn near_tie(theta: &[f64], effective_rank: usize) -> Option<NearTie> {
    let sigma = |c: usize| theta.get(c).copied().unwrap_or(0.0).max(0.0).sqrt();
    (0..effective_rank)
        .map(|index| NearTie {
            index,
            relative_gap: (sigma(index) - sigma(index + 1)) / sigma(0),
        })
        .filter(|tie| tie.relative_gap < NEAR_TIE)
        .min_by(|a, b| a.relative_gap.total_cmp(&b.relative_gap))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightDtype;
    use crate::arithmetic::start_entry;

    #[test]
    fn an_iteration_that_does_not_converge_is_an_error() {
        // Uniform noise: neighbouring singular values differ by a thousandth, and 20 passes do not separate them.
        let noise = |t: usize| ((start_entry(77, t) / 8_388_608.0).to_bits() >> 48).to_le_bytes();
        let bytes: Vec<u8> = (0..300 * 300)
            .flat_map(|t| [noise(t)[0], noise(t)[1]])
            .collect();
        let weight = Weight::new(WeightDtype::F16, 300, 300, &bytes).unwrap();
        let found = iterate(Isa::detect(), &weight, 2, 20);
        assert_eq!(found, Err(BasisError::NoConvergence { passes: 20 }));
    }

    #[test]
    fn a_restart_keeps_at_least_the_rank() {
        for rank in 1..=MAX_RANK {
            let Sizes { block, basis, keep } = Sizes::of(rank);
            assert!(rank <= keep && keep + block <= basis, "rank {rank}");
        }
    }
}
