//! The operations of a decoder on tensors, each with its gradient.
//!
//! None goes through candle's own autograd: its fused operations cut the graph without an error, and its products compute
//! gradients of frozen weights. Each operation here says on which devices it runs. The kernels below are compared with plain loops
//! (`crates/kernels/tests`), the whole with finite differences in f64 and with torch (`tests/gradient.rs`).

pub(crate) mod attention;
pub(crate) mod elementwise;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod storage;
