//! The options of `tlora export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CacheOptions, DtypeOption, RunOptions};

/// Write an adapter as a directory that PEFT, transformers and vLLM load
///
/// peft-lora is the update as a plain LoRA, with lora_alpha = r: what servers of many adapters read. peft-tinylora is the
/// adapter as PEFT's own TinyLoRA (peft 0.20 and later), which can be trained on; its projections are stored.
///
/// The same base, adapter and options give the same bytes on every machine. OUT appears whole or not at all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora export adapter.tlora --base ./Qwen2.5-7B-Instruct --format peft-lora -o ./lora
  tlora export adapter.tlora --base ./model --format peft-lora -o ./lora --dtype bf16 --pad-rank 8
  tlora export adapter.tlora --base ./model --format peft-tinylora -o ./tinylora --json")]
pub(crate) struct ExportOptions {
    /// The adapter
    #[arg(value_name = "ADAPTER")]
    pub(crate) adapter: PathBuf,
    /// The base model of the adapter: a checkpoint directory or a hub id
    #[arg(long, value_name = "BASE")]
    pub(crate) base: String,
    /// What to write
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    /// The directory to write
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Type of the tensors of a peft-lora (default: f32)
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<DtypeOption>,
    /// Give all modules of a peft-lora this rank, with zeros, for servers that want one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) pad_rank: Option<u16>,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
    /// Replace an existing output directory
    #[arg(long)]
    pub(crate) force: bool,
    /// Print what was written as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    PeftLora,
    PeftTinylora,
}

impl ExportFormat {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PeftLora => "peft-lora",
            Self::PeftTinylora => "peft-tinylora",
        }
    }
}
