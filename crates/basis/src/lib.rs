//! Bases of a weight, projections and weight deltas: the arithmetic of `spec/tlora.md` §6-§8.
//!
//! This room knows matrices, not files. Everything here gives the same bits on every machine, instruction set and
//! number of threads: only IEEE 754 `+ − × ÷ sqrt`, in an order that the specification fixes.
//!
//! A basis is the exact one ([`exact_basis`]), or two [`Factors`]: stored ones, those of a randomised SVD ([`rsvd_factors`]), or
//! the exact basis as PEFT rounds it ([`RoundedFactors`]). Projections combine to R ([`combine`]), R and the basis to an
//! [`Update`], and [`merge_rows`] applies updates.

mod arithmetic;
mod check;
mod columns;
mod delta;
mod eigh;
mod elementary;
mod error;
mod exact;
mod factors;
mod half_dtype;
mod kernels;
mod merge_rows;
mod mersenne;
mod orthonormal;
mod pass;
mod products;
mod projection;
mod random;
mod rounded;
mod rsvd;
mod simd;
mod torch;
mod update;
mod weight;

pub use check::{BasisCheck, basis_check, self_test};
pub use delta::{core_matrix, delta_norm, factored_core, r_norm};
pub use error::BasisError;
pub use exact::{Basis, ExactBasis, MAX_RANK, NearTie, exact_basis, exact_basis_on};
pub use factors::Factors;
pub use half_dtype::HalfDtype;
pub use kernels::Isa;
pub use merge_rows::{MergeStatistics, merge_rows, merge_rows_on};
pub use projection::{combine, native_projections, standard_projections};
pub use rounded::{Difference, RoundedFactors};
pub use rsvd::{Rsvd, rsvd_factors, rsvd_factors_on};
pub use torch::{torch_projections, torch_seed};
pub use update::Update;
pub use weight::{Weight, WeightDtype};
