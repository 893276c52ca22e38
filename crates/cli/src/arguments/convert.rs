//! The options of `tlora convert`.

use std::path::PathBuf;

use clap::Args;

use super::{CacheOptions, DtypeOption, RunOptions};

/// Convert a PEFT TinyLoRA or LoRA-XS checkpoint
///
/// Reads a directory with adapter_model.safetensors and adapter_config.json, rebuilds its factors from the base model, and
/// writes what cannot be rebuilt: the trained numbers, seeds and signs. Then it reads the file again and compares the
/// update of every module with that of the checkpoint's own tensors. A checkpoint that it cannot convert without loss
/// is refused.
///
/// Nothing that adapter_config.json names is run, imported or opened.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora convert ./peft-adapter --base ./Qwen2.5-7B-Instruct -o adapter.tlora
  tlora convert ./peft-adapter --base Qwen/Qwen2.5-7B-Instruct -o adapter.tlora --precision bf16
  tlora convert ./lora-xs/ft --base ./Mistral-7B-v0.1 -o adapter.tlora --embed-basis --json")]
pub(crate) struct ConvertOptions {
    /// The directory of the adapter to convert
    #[arg(value_name = "CHECKPOINT")]
    pub(crate) checkpoint: PathBuf,
    /// The base model of the adapter: a checkpoint directory or a hub id
    #[arg(long, value_name = "BASE")]
    pub(crate) base: String,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Largest ‖ΔW − ΔW'‖ / ‖ΔW‖ of a module (default: 1e-5 for factors rounded to bf16 or f16 and for those in the file, 1e-3
    /// where the checkpoint's own single-precision SVD is not more accurate, 1e-2 for roundings left out)
    #[arg(long, value_name = "X", value_parser = positive)]
    pub(crate) max_residual: Option<f64>,
    /// Leave out the rounding of the factors to the type of the base model, and its corrections
    #[arg(long)]
    pub(crate) no_rounding: bool,
    /// Store the factors themselves if they cannot be rebuilt, which makes a large file
    #[arg(long)]
    pub(crate) embed_basis: bool,
    /// Give each module an R of its own on the exact basis, in place of the checkpoint's v, projections and sharing
    #[arg(long, conflicts_with_all = ["no_rounding", "embed_basis", "precision"])]
    pub(crate) flatten: bool,
    /// Round the trained numbers to this type (default: the checkpoint's own)
    #[arg(long, value_enum)]
    pub(crate) precision: Option<DtypeOption>,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the report as JSON, with every module
    #[arg(long)]
    pub(crate) json: bool,
}

/// A finite number above 0.
fn positive(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().ok().ok_or("expected a number")?;
    if number.is_finite() && number > 0.0 {
        Ok(number)
    } else {
        Err("expected a finite number above 0".to_owned())
    }
}
