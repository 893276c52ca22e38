//! The operations of a decoder on tensors, each with its gradient.
//!
//! None goes through candle's own autograd: its fused operations cut the graph without an error, and its products compute
//! gradients of frozen weights. An operation runs where its first array is: in this machine's memory by the kernels of
//! `tlora-kernels`, on a GPU by those of `tlora-cuda` (`device`). The kernels below are compared with plain loops
//! (`crates/kernels/tests`), the whole with finite differences in f64 and with torch (`tests/gradient.rs`).

pub(crate) mod array;
pub(crate) mod attention;
#[cfg(feature = "cuda")]
pub(crate) mod device;
pub(crate) mod elementwise;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod storage;
