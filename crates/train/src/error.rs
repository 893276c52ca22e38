//! Why a run cannot begin or go on.

use std::path::PathBuf;

use tlora_format::InvalidAdapter;
use tlora_grpo::SettingError;
use tlora_model::ModelError;
use tlora_reward::{GoldError, RewardError};

/// What is wrong with a run, its data or its directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration is not valid TOML, or has a key or value that it may not have.
    #[error("the configuration is not valid")]
    Config(#[from] Box<toml::de::Error>),
    /// A setting is out of range.
    #[error("{key} is {found}, wanted {wanted}")]
    Setting {
        /// The key, with its table.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        wanted: String,
    },
    /// A setting of the loss or the optimizer is out of range.
    #[error(transparent)]
    Loss(#[from] SettingError),
    /// There is no preset of this name.
    #[error("there is no preset {name:?}; there are {known}")]
    Preset {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A line of a data file cannot be used.
    #[error("line {line} of {file}: {reason}", file = file.display())]
    Data {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 for the whole file.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A Parquet file, in a build that reads none.
    #[error("{file} is Parquet, which this build does not read: build with the feature `hub`, or give JSONL", file = file.display())]
    NoParquet {
        /// The file.
        file: PathBuf,
    },
    /// A gold answer that the verifier cannot compare with.
    #[error("problem {id} of {file} has a gold answer that the verifier cannot use", file = file.display())]
    Gold {
        /// The file.
        file: PathBuf,
        /// The problem.
        id: String,
        /// Why.
        source: GoldError,
    },
    /// The run directory is not what it has to be.
    #[error("{path}: {reason}", path = path.display())]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The run cannot fit into memory.
    #[error("the run needs {needed} MB of memory and {available} MB are available")]
    Memory {
        /// Megabytes that the plan comes to.
        needed: usize,
        /// Megabytes that the system says are free.
        available: usize,
    },
    /// Numbers that are no longer numbers, or beyond a limit that was set.
    #[error("training diverged: {what} is {found}")]
    Diverged {
        /// What.
        what: &'static str,
        /// Its value.
        found: String,
    },
    /// The servers that sample failed, or what was sent to them did not arrive as it was.
    #[error("the samples could not be drawn")]
    Rollouts(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The verifier failed.
    #[error("the verifier failed")]
    Reward(#[from] RewardError),
    /// The model cannot be run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The adapter has no file.
    #[error("the adapter cannot be stored")]
    Adapter(#[from] InvalidAdapter),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A record cannot be written as JSON, or read back.
    #[error("a record is not valid JSON")]
    Json(#[from] serde_json::Error),
}
