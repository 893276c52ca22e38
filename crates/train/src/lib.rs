//! GRPO training and evaluation of TinyLoRA adapters.
//!
//! - [`RunConfig`] is everything that a run depends on; [`config::layered`] makes it of presets, files and flags.
//! - [`Policy`] is the model, [`Rollouts`] where samples come from, [`Trainer`] the loop.
//! - [`RunDirectory`] is what a run leaves, [`State`] what it needs to go on.
//! - [`mod@evaluate`] says what a policy can do.
//!
//! Random numbers follow from the seed, the step, the problem and the number of the sample, and all sums have one order: two
//! runs of one configuration leave the same bytes, and so does one that was interrupted and resumed.
#![forbid(unsafe_code)]

mod batches;
pub mod config;
pub mod data;
mod error;
pub mod evaluate;
mod judge;
mod policy;
mod prompts;
mod records;
mod rollouts;
mod state;
mod trainer;
mod update;

pub use config::RunConfig;
pub use error::TrainError;
pub use policy::{Policy, trained_values};
pub use prompts::Prompter;
pub use records::RunDirectory;
pub use rollouts::{Heard, NativeRollouts, Prompt, Rollouts};
pub use state::State;
pub use trainer::{Both, Ending, Finished, Observer, Phase, StepMetrics, Trainer};

use config::PrecisionSetting;
use tlora_format::Precision;

/// BLAKE3 of bytes, as hexadecimal digits.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The precision of a file by its setting.
#[must_use]
pub const fn precision(setting: PrecisionSetting) -> Precision {
    match setting {
        PrecisionSetting::F32 => Precision::F32,
        PrecisionSetting::Bf16 => Precision::Bf16,
        PrecisionSetting::F16 => Precision::F16,
    }
}
