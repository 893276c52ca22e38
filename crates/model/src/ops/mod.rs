//! The operations of a decoder on tensors, each with its gradient.
//!
//! None goes through candle's own autograd: its fused operations cut the graph without an error, and its products compute
//! gradients of frozen weights. Each operation here says on which devices it runs. `tests` compares each with a twin
//! made of candle's primitive operations, whose gradient is candle's, and with finite differences.

pub(crate) mod attention;
pub(crate) mod elementwise;
pub(crate) mod head;
pub(crate) mod linear;
pub(crate) mod storage;
