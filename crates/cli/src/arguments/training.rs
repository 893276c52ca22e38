//! `train`, `sweep`, `report` and `eval`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{BaseOption, CacheOptions, RunOptions};

/// Train an adapter by reinforcement learning with a verifiable reward
///
/// Samples completions, scores them, and changes v so that better ones become likelier (GRPO). The model itself is frozen; v is
/// all that is trained. DIR gets `adapter.tlora`, `config.toml` with every setting resolved, and the logs that
/// docs/run-directory.md describes. A run that was interrupted goes on with --resume, and leaves the same bytes as one that was not.
///
/// Settings come from a preset, then from RUN.toml, then from the options; docs/train.md lists them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora train run.toml -o runs/first
  tlora train --preset paper-gsm8k --base Qwen/Qwen2.5-7B-Instruct --train train.jsonl --eval test.jsonl -o runs/gsm8k
  tlora train run.toml --set optimizer.lr=1e-3 --set seed=7 -o runs/second
  tlora train run.toml --vllm-url http://node1:8000 --vllm-url http://node2:8000 -o runs/servers
  tlora train run.toml -o runs/first --resume")]
pub(crate) struct TrainOptions {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationOptions,
    /// The run directory
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Go on from the newest checkpoint of DIR
    #[arg(long)]
    pub(crate) resume: bool,
    /// Load everything, print the settings and the memory plan, and stop
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// Where the settings of a run come from.
#[derive(Debug, Args)]
pub(crate) struct ConfigurationOptions {
    /// The configuration
    #[arg(value_name = "RUN.toml")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingOptions,
    /// The base model: a checkpoint directory or a hub id (sets model.base)
    #[arg(long, value_name = "BASE")]
    pub(crate) base: Option<String>,
    /// Problems to train on: JSONL or Parquet with question and answer, or hf://datasets/... (sets data.train)
    #[arg(long, value_name = "FILE")]
    pub(crate) train: Option<PathBuf>,
    /// Held-out problems to evaluate on (sets data.eval)
    #[arg(long, value_name = "FILE")]
    pub(crate) eval: Option<PathBuf>,
}

/// Train with several settings, and compare what came out
///
/// Every --vary names a setting and the values that it takes; the runs are all the combinations. With several names, as in
/// `--vary adapter.u,adapter.groups=1:1,13:1`, the values go together. Each run has a directory of its own in DIR, named by its
/// values; one that is finished is not run again, and one that was interrupted goes on. The table counts runs that differ in nothing
/// but the seed as one line, with their mean and deviation. DIR gets it as sweep.csv, sweep.json and sweep.html.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora sweep run.toml --vary optimizer.lr=1e-4,1e-3,1e-2 --vary seed=1,2,3 -o sweeps/rate
  tlora sweep run.toml --vary adapter.u,adapter.groups=1:1,13:1,4:13 --vary seed=1,2,3 -o sweeps/size
  tlora sweep run.toml --vary method=grpo,sft --set steps=60 -o sweeps/method")]
pub(crate) struct SweepOptions {
    #[command(flatten)]
    pub(crate) configuration: ConfigurationOptions,
    /// A setting and its values, or several whose values go together; may be repeated
    #[arg(long, value_name = "KEY=V1,V2", required = true)]
    pub(crate) vary: Vec<String>,
    /// The directory of the runs
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Say what would be run, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the table as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}

/// Show a training as a page
///
/// Writes report.html into each run directory: curves, evaluations with their intervals, the path of v, and samples. The page needs
/// nothing else, neither files nor a network. `tlora train` writes it at the end; this is for runs that go on, and for older ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora report runs/first
  tlora report sweeps/rate/*/
  tlora report runs/first -o first.html")]
pub(crate) struct ReportOptions {
    /// Run directories
    #[arg(value_name = "RUN", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Write the page to this file (of one run only)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace FILE if it exists
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SettingOptions {
    /// Begin with a preset: paper-gsm8k, paper-math, tiny
    #[arg(long, value_name = "NAME")]
    pub(crate) preset: Option<String>,
    /// Set one key, such as optimizer.lr=1e-4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) settings: Vec<String>,
    /// Run the model on the CPU, or on an NVIDIA GPU (sets model.device)
    #[arg(long, value_name = "DEVICE")]
    pub(crate) device: Option<DeviceOption>,
    /// Sample in this process, or from vLLM servers (sets rollout.engine)
    #[arg(long, value_name = "ENGINE")]
    pub(crate) engine: Option<EngineOption>,
    /// Sample from this vLLM server; may be repeated (sets rollout.engine and rollout.vllm.servers)
    #[arg(long = "vllm-url", value_name = "URL")]
    pub(crate) vllm_urls: Vec<String>,
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceOption {
    Auto,
    Cpu,
    Cuda,
}

/// Where samples come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineOption {
    Native,
    Vllm,
}

/// Score a base model, or a base model with an adapter, on problems
///
/// Answers every problem greedily, and with --samples several times more at a temperature. The strict and the lenient reading of the
/// same answers stand side by side, each with a 95 % interval (Wilson). Prompt and verifier are those of RUN.toml, the preset or
/// --set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tlora eval ./Qwen2.5-7B-Instruct --data test.jsonl --preset paper-gsm8k
  tlora eval ./Qwen2.5-7B-Instruct --adapter adapter.tlora --data test.jsonl --config runs/first/config.toml
  tlora eval ./model --data test.jsonl --samples 8 --limit 200 --json
  tlora eval ./model --adapter adapter.tlora --data test.jsonl --vllm-url http://node1:8000")]
pub(crate) struct EvalOptions {
    #[command(flatten)]
    pub(crate) base: BaseOption,
    /// The problems: JSONL or Parquet with question and answer, or hf://datasets/...
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// The adapter (default: the base model alone)
    #[arg(long, value_name = "FILE")]
    pub(crate) adapter: Option<PathBuf>,
    /// Prompt, verifier and lengths, as a training has them
    #[arg(long, value_name = "RUN.toml")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) settings: SettingOptions,
    /// Samples of each problem at the temperature, beside the greedy answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) samples: usize,
    /// Only so many problems
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) limit: usize,
    /// Write every completion to this file, as JSONL
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) cache: CacheOptions,
    #[command(flatten)]
    pub(crate) run: RunOptions,
}
