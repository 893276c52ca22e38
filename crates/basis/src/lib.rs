//! The exact basis of a weight, projections and weight deltas: the arithmetic of `spec/tlora.md` §6-§8.
//!
//! This room knows matrices, not files. Everything here gives the same bits on every machine, instruction set and
//! number of threads: only IEEE 754 `+ − × ÷ sqrt` in binary64, in an order that the specification fixes.

mod arithmetic;
mod check;
mod columns;
mod delta;
mod eigh;
mod error;
mod exact;
mod kernels;
mod orthonormal;
mod pass;
mod projection;
mod simd;
mod weight;

pub use check::{basis_check, self_test};
pub use delta::{
    MergeStatistics, Update, core_matrix, delta_norm, merge_rows, merge_rows_on, r_norm,
};
pub use error::BasisError;
pub use exact::{Basis, ExactBasis, MAX_RANK, NearTie, exact_basis, exact_basis_on};
pub use kernels::Isa;
pub use projection::{combine, native_projections, standard_projections};
pub use weight::{Weight, WeightDtype};
