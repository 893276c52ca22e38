//! Group-relative policy optimisation as plain numbers: no tensors, no files.
//!
//! - [`advantages()`] of rewards in groups; [`overlong_penalty`].
//! - [`loss()`]: every variant of the loss, with its derivatives by the log-probabilities of the tokens.
//! - [`Mismatch`] between sampler and learner.
//! - [`AdamW`], with [`clip`] and the schedules of [`OptimizerSettings`].
//!
//! Exponentials and cosines are those of `libm`, the crate, which has the same bits on every machine; the platform's have not.
//! Numbers from TRL and verl are in `tests/vectors`.
#![forbid(unsafe_code)]

mod advantage;
mod correction;
mod loss;
mod mismatch;
mod optimizer;
mod settings;

pub use advantage::{Advantages, Spread, advantages, overlong_penalty};
pub use loss::{Denominators, Loss, LossMetrics, Sequence, loss};
pub use mismatch::Mismatch;
pub use optimizer::{AdamState, AdamW, OptimizerSettings, Schedule, clip, norm};
pub use settings::{
    AdvantageScale, Correction, KlKind, LossKind, LossSettings, RatioLevel, SettingError,
};
