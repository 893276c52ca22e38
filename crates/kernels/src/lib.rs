//! The arithmetic of a transformer on slices: the same bits for every batch, number of threads and instruction set.
//!
//! A library of matrix products would choose its order of additions by the number of rows, so that a token's logits would
//! depend on what else is in the batch. Here every output is one fixed sequence of operations on its row's inputs. A sample
//! then does not depend on how it was packed, and the sampler and the learner give a token the same log-probability.
//!
//! - [`PackedMatrix`], [`linear`] and [`linear_backward`]: frozen weights.
//! - [`KvCache`], [`attention`] and [`attention_backward`]: sequences that may share a prefix.
//! - [`rms_norm`], [`rope`], [`swiglu`], with their gradients; [`add`], [`add_bias`].
//! - [`log_sum_exp`], [`probabilities`], [`entropy`], [`log_prob_gradient`]: the output head.
//! - [`rank_update`], [`rank_gradient`]: the low-rank part of an adapted layer.

mod attention;
mod cache;
mod elementwise;
mod matrix;
mod norm;
mod parallel;
mod product;
#[expect(
    unsafe_code,
    reason = "vendor intrinsics; callers prove the instruction set"
)]
mod simd;
mod softmax;
mod tile;

pub use attention::{attention, attention_backward};
pub use cache::{KvCache, Query};
pub use elementwise::{add, add_bias, rank_gradient, rank_update, rope, swiglu, swiglu_backward};
pub use matrix::{Block, PackedMatrix, RowData};
pub use norm::{rms_norm, rms_norm_backward};
pub use product::{linear, linear_backward};
pub use simd::{Float, Isa, forced};
pub use softmax::{entropy, log_prob_gradient, log_sum_exp, probabilities};
