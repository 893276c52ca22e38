//! The command line: every command and option, with its help. Man pages and completions come from the same text.

mod convert;
mod doctor;
mod export;
mod signing;
mod training;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use convert::ConvertOptions;
pub(crate) use doctor::DoctorOptions;
pub(crate) use export::{ExportFormat, ExportOptions};
pub(crate) use signing::{
    AttestOptions, KeyTypeOption, KeygenOptions, PassphraseOption, SignOptions,
};

pub(crate) use training::{
    ConfigurationOptions, DeviceOption, EngineOption, EvalOptions, ReportOptions, SettingOptions,
    SweepOptions, TrainOptions,
};

/// TinyLoRA adapters: files of about a hundred bytes that steer a whole model.
#[derive(Debug, Parser)]
#[command(
    name = "tlora",
    version,
    long_about = "TinyLoRA adapters: files of about a hundred bytes that steer a whole model.\n\n\
        A `.tlora` file holds the trained numbers and the digest of the model they were trained on; everything else is \
        rebuilt from that model, to the same bits on every machine.\n\n\
        Data is written to stdout, everything else to stderr. Exit codes: 0 done, or it holds; 1 the answer is no \
        (another base model, a file that is not valid); 2 could not find out (usage, a missing file, I/O); 3 a \
        check that was asked for could not be made.",
    after_help = "Start with `tlora quickstart`: it trains, merges and verifies an adapter of a small model that comes with it.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(Box<InitOptions>),
    Merge(MergeOptions),
    Inspect(InspectOptions),
    Convert(Box<ConvertOptions>),
    Export(Box<ExportOptions>),
    Train(Box<TrainOptions>),
    Sweep(Box<SweepOptions>),
    Report(ReportOptions),
    Eval(Box<EvalOptions>),
    Digest(DigestOptions),
    Verify(Box<VerifyOptions>),
    Sign(SignOptions),
    Attest(AttestOptions),
    Keygen(KeygenOptions),
    Doctor(DoctorOptions),
    Quickstart(QuickstartOptions),
    Completions(CompletionsOptions),
    Man(ManOptions),
}

/// Make a new adapter for a base model
///
/// Reads the whole model once for its digest, computes the singular vectors that the adapter stands on, and writes a file
/// whose trained vector is zero, or the one that is given.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora init ./Qwen2.5-7B-Instruct -o adapter.tlora --u 13
  tlora init Qwen/Qwen2.5-7B-Instruct -o adapter.tlora --u 1 --n-tie 15 --precision bf16
  tlora init ./model -o adapter.tlora --rank 1 --targets q_proj,v_proj --v 0.01")]
pub(crate) struct InitOptions {
    #[command(flatten)]
    pub(crate) base: BaseOption,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Singular directions of each module, 1 to 64
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) rank: u8,
    /// Trained numbers of each group of modules
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) u: u16,
    #[command(flatten)]
    pub(crate) sharing: SharingOptions,
    #[command(flatten)]
    pub(crate) targets: TargetOptions,
    /// Type that the trained numbers are stored in
    #[arg(long, value_enum, default_value_t = DtypeOption::F32)]
    pub(crate) precision: DtypeOption,
    /// Seed of the projections
    #[arg(long, default_value_t = 42)]
    pub(crate) seed: u64,
    /// Where the singular values stand: left as in the paper, split as in PEFT, right as in LoRA-XS
    #[arg(long, value_enum, default_value_t = SigmaSideOption::Left)]
    pub(crate) sigma_side: SigmaSideOption,
    /// Factor of the whole update
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub(crate) scale: f32,
    #[command(flatten)]
    pub(crate) values: ValueOptions,
    #[command(flatten)]
    pub(crate) text: TextOptions,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
    /// Replace an existing file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BaseOption {
    /// The base model: a checkpoint directory, or a hub id such as Qwen/Qwen2.5-7B-Instruct (ID@REVISION for a revision)
    #[arg(value_name = "BASE")]
    pub(crate) base: String,
}

#[derive(Debug, Args)]
pub(crate) struct SharingOptions {
    /// Share a trained vector between this many modules (default: between all)
    #[arg(long, value_name = "MODULES", conflicts_with_all = ["groups", "untied"], value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) n_tie: Option<u32>,
    /// Divide the modules into this many groups
    #[arg(long, value_name = "GROUPS", conflicts_with = "untied", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) groups: Option<u32>,
    /// Give each module a trained vector of its own
    #[arg(long)]
    pub(crate) untied: bool,
    /// Which modules are neighbours: tiled by layer, or structured by type
    #[arg(long, value_enum, default_value_t = SharingOption::Tiled)]
    pub(crate) sharing: SharingOption,
}

#[derive(Debug, Args)]
pub(crate) struct TargetOptions {
    /// Ends of the names of the modules to adapt (default: the attention and MLP projections of the model's family)
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        conflicts_with = "modules_file"
    )]
    pub(crate) targets: Option<Vec<String>>,
    /// A text file with the full names of the modules to adapt, one a line, in order
    #[arg(long, value_name = "FILE")]
    pub(crate) modules_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ValueOptions {
    /// The trained numbers, group by group (default: zeros)
    #[arg(
        long,
        value_name = "NUMBER,...",
        value_delimiter = ',',
        allow_negative_numbers = true,
        conflicts_with = "v_file"
    )]
    pub(crate) v: Option<Vec<f64>>,
    /// A JSON file with the trained numbers: one list, or a list of one list per group
    #[arg(long, value_name = "FILE")]
    pub(crate) v_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct TextOptions {
    /// A short name, stored in the file
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// What the adapter does
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Its licence, best as an SPDX expression
    #[arg(long, value_name = "TEXT")]
    pub(crate) licence: Option<String>,
    /// The base model's name for people; the digest decides
    #[arg(long, value_name = "TEXT")]
    pub(crate) base_name: Option<String>,
}

/// Merge adapters into a base model
///
/// Writes a checkpoint directory that transformers, vLLM and everything else that reads safetensors can load: the base's
/// tensors with the update added, and copies of its configuration and tokenizer. The same base, adapters and --dtype
/// give the same bytes on every machine.
///
/// OUT appears whole or not at all. With --policy nothing is read of the base before the adapters pass the policy, and
/// OUT appears only if it reads as it was written.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora merge ./Qwen2.5-7B-Instruct adapter.tlora -o ./merged
  tlora merge ./model first.tlora second.tlora -o ./merged --dtype f32
  tlora merge ./model adapter.tlora -o ./merged --policy tlora-policy.toml")]
pub(crate) struct MergeOptions {
    #[command(flatten)]
    pub(crate) base: BaseOption,
    /// The adapters; the updates of several add up
    #[arg(required = true, value_name = "ADAPTER")]
    pub(crate) adapters: Vec<PathBuf>,
    /// The directory to write
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// Type of the merged tensors (default: the base's)
    #[arg(long, value_enum)]
    pub(crate) dtype: Option<DtypeOption>,
    #[command(flatten)]
    pub(crate) trust: TrustOptions,
    /// The file with the digests of the adapters that a repository uses
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) lock: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
    /// Replace an existing output directory
    #[arg(long)]
    pub(crate) force: bool,
    /// Print the merge record as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Default, Args)]
pub(crate) struct CacheOptions {
    /// Neither read nor write the cache of singular vectors
    #[arg(long, conflicts_with = "cache_dir")]
    pub(crate) no_cache: bool,
    /// Where the cache of singular vectors is (default: $TLORA_CACHE, or tlora in the user's directory for caches)
    #[arg(long, value_name = "DIR")]
    pub(crate) cache_dir: Option<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct RunOptions {
    /// Threads to use (default: one per processor); the result does not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// No progress and no summary on stderr; warnings and errors remain
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

/// Show what an adapter is
///
/// Without the base model: the file's facts, the trained numbers of each group, and a bound on the relative size of the
/// update, ‖ΔW‖ ≤ |scale|·‖R‖·‖W‖. With --base: the size of the update for each type of module, and how much of it
/// survives the rounding to each output type.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora inspect adapter.tlora
  tlora inspect adapter.tlora --bytes
  tlora inspect adapter.tlora --base ./Qwen2.5-7B-Instruct")]
pub(crate) struct InspectOptions {
    /// The adapter
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The base model: a checkpoint directory or a hub id
    #[arg(long, value_name = "BASE")]
    pub(crate) base: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Show what each byte of the file means
    #[arg(long)]
    pub(crate) bytes: bool,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// Print the digest of a base model
///
/// The digest covers the name, type, shape and bytes of every tensor, and neither the files they are in nor their order.
///
/// With --files also the sha256 of each file that a merge reads or copies, in the lines of sha256sum. Where the directory
/// is a snapshot of the Hugging Face cache, the hub's commit, and an error if a file is not what the cache says it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora digest ./Qwen2.5-7B-Instruct
  tlora digest ./Qwen2.5-7B-Instruct --files
  tlora digest ./model --json | jq '.tensors[] | select(.dtype == \"F32\") | .name'")]
pub(crate) struct DigestOptions {
    #[command(flatten)]
    pub(crate) base: BaseOption,
    /// The sha256 of each file as well, from the same reading
    #[arg(long)]
    pub(crate) files: bool,
    /// Print JSON, with the digest of each tensor
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// Check what an adapter is, what it applies to, who made it, and what was made of it
///
/// Every check has a stable id and comes out as pass, fail, skipped or inconclusive; docs/provenance.md lists them. Without
/// a policy the file is checked and what is given with it, and no signature counts. Exit codes: 0 all that was asked for
/// holds; 1 a check failed; 2 the command line, the policy or a file cannot be used; 3 a check that was asked for is
/// inconclusive.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora verify adapter.tlora
  tlora verify adapter.tlora --policy tlora-policy.toml --lock tlora.lock
  tlora verify adapter.tlora --base ./Qwen2.5-7B-Instruct --merged ./merged --policy tlora-policy.toml
  tlora verify adapter.tlora --policy tlora-policy.toml --format sarif -o tlora.sarif")]
pub(crate) struct VerifyOptions {
    /// The adapter
    #[arg(value_name = "ADAPTER")]
    pub(crate) adapter: PathBuf,
    /// The base model: a checkpoint directory or a hub id
    #[arg(long, value_name = "BASE")]
    pub(crate) base: Option<String>,
    /// A checkpoint that should be base + adapter, bit for bit
    #[arg(long, value_name = "DIR", requires = "base")]
    pub(crate) merged: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) trust: TrustOptions,
    /// The file with the digests of the adapters that a repository uses
    #[arg(long, value_name = "FILE")]
    pub(crate) lock: Option<PathBuf>,
    /// Put this adapter into the lock file if all other checks pass
    #[arg(long, requires = "lock")]
    pub(crate) write_lock: bool,
    /// The form of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub(crate) format: ReportFormat,
    /// Write the report to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace an existing report file
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// Whom to trust, and what they signed.
#[derive(Debug, Default, Args)]
pub(crate) struct TrustOptions {
    /// What has to hold, and whose signatures count
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// A file with signatures (default: the files beside the adapter that are named like it and end in .sigstore.json,
    /// .sigstore.jsonl, .intoto.jsonl or .sig)
    #[arg(long = "bundle", value_name = "FILE", requires = "policy")]
    pub(crate) bundles: Vec<PathBuf>,
    /// Whom to believe about certificates (default: the public instance of Sigstore)
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) trusted_root: Option<PathBuf>,
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    Text,
    /// For programs; docs/json.md describes it
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// JUnit XML, for test reports
    Junit,
    /// Annotations and a step summary of GitHub Actions
    Github,
}

/// Train, merge and verify an adapter of a small model that comes with this program
///
/// Trains 56 numbers by reinforcement learning, shows how much better the model then answers, merges it, and checks that the merged model
/// has the digest that README.md promises. It takes a minute or two.
#[derive(Debug, Args)]
pub(crate) struct QuickstartOptions {
    /// Keep the files in this directory, which must not exist (default: a temporary one that is removed)
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Print a shell's completion script
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora completions bash > ~/.local/share/bash-completion/completions/tlora
  tlora completions fish > ~/.config/fish/completions/tlora.fish")]
pub(crate) struct CompletionsOptions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

/// Print the man page, or write the pages of all commands
#[derive(Debug, Args)]
pub(crate) struct ManOptions {
    /// Write tlora.1, tlora-merge.1 and so on into this directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,
}

impl CacheOptions {
    /// Without a cache.
    pub(crate) const fn none() -> Self {
        Self {
            no_cache: true,
            cache_dir: None,
        }
    }
}

/// A floating-point type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DtypeOption {
    F32,
    Bf16,
    F16,
}

impl DtypeOption {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

/// See `SigmaSide`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SigmaSideOption {
    Left,
    Split,
    Right,
}

/// See `Tying`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SharingOption {
    Tiled,
    Structured,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
