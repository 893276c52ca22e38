//! `doctor`.

use clap::Args;

use super::{DeviceOption, RunOptions};

/// Check that this machine, or its GPU, computes as it should
///
/// Computes with small random models and compares: with binary64 on this machine, with itself a second time, the sampler with the
/// learner. Says what the machine is, each measured number beside the bound that it has to keep, and what memory it took. The output
/// is made to be attached to a report of a problem; it names no file and no user. Exit code 1 if a check fails.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora doctor
  tlora doctor --device cuda
  tlora doctor --json > doctor.json")]
pub(crate) struct DoctorOptions {
    /// What to check: the CPU, an NVIDIA GPU, or the GPU if there is one
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: DeviceOption,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}
