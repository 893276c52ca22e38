//! The arithmetic of a transformer on NVIDIA GPUs: what `tlora-kernels` computes on slices, on buffers of a device.
//!
//! Nothing of CUDA is needed to build this or to start a program with it. The driver and cuBLAS are opened at run time
//! ([`probe`] says what there is), the kernels are PTX that is committed beside their sources (`kernels/`), and the driver
//! compiles it for the device, of compute capability 8.0 or newer. Matrix products are cuBLAS's; everything else is ours.
//!
//! Activations are f32; matrices and caches are f32 or bf16. An operation takes its output from the caller, checks all sizes,
//! launches one kernel or two and returns before they are done. There is no atomic operation: the same device gives the same
//! bits in every run. Other than on the CPU, a row's bits may depend on how many rows are computed together.
//!
//! - [`probe()`], [`Device`], [`Buffer`], [`Indices`]: what there is, and memory.
//! - [`Matrix`], [`linear`], [`linear_backward`]: frozen weights. Rows may be in bf16 already ([`Activation`]).
//! - [`KvCache`], [`Queries`], [`KeyRanges`], [`attention`], [`attention_backward`]: sequences that may share a prefix.
//! - [`rms_norm`], [`rope`], [`swiglu`], with their gradients; [`add`], [`add_bias`].
//! - [`take_heads`], [`put_heads`], [`narrow`], [`narrow_add`], [`widen`], [`gather_rows`], [`scatter_rows`]: columns and rows.
//! - [`adapt`], [`adapt_onto`], [`inner`], [`rank_update`], [`rank_gradient`], [`fill_p`], [`accumulate`]: the low-rank part, with an adapter for each row.
//! - [`log_probs`], [`log_prob_gradient`], [`draw`], [`most_probable`]: the output head.
//!
//! With the feature `emulator` the same kernels are compiled for the CPU, and `Device::emulated()` runs them: slowly, but with
//! all that is between an operation and its launch, which is how this is tested where there is no GPU.

mod activation;
mod adapter;
mod attention;
mod backend;
mod buffer;
mod cache;
mod device;
mod elementwise;
mod error;
mod head;
mod indices;
mod launch;
mod matrix;
mod probe;
mod ptx;
mod queries;
mod rows;

pub use activation::Activation;
pub use adapter::{
    Inner, MOST_PARTS, MOST_RANK, Matrices, Part, Update, accumulate, adapt, adapt_onto, fill_p,
    inner, rank_gradient, rank_update,
};
pub use attention::{Attended, attention, attention_backward};
#[cfg(feature = "emulator")]
pub use backend::Emulation;
pub use buffer::{Buffer, Element};
pub use cache::{KvCache, MOST_WIDTH, QkvLayout};
pub use device::{Device, Memory};
pub use elementwise::{
    Heads, add, add_bias, rms_norm, rms_norm_backward, rope, swiglu, swiglu_backward,
};
pub use error::{CudaError, Result};
pub use head::{Drawn, Scores, draw, log_prob_gradient, log_probs, most_probable};
pub use indices::Indices;
pub use matrix::{Block, Matrix, RowData, Storage, linear, linear_backward, round_bf16};
pub use probe::{DeviceInfo, OLDEST_DRIVER, Probe, probe};
pub use queries::{KeyRanges, Queries, Query};
pub use rows::{
    Scatter, gather_rows, narrow, narrow_add, put_heads, scatter_rows, take_heads, widen,
};
