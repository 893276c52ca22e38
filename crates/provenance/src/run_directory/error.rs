//! Why a run directory is not what it has to be.

use std::io;
use std::path::PathBuf;

use tlora_format::BaseDigest;

use crate::JsonError;

/// Why a run directory cannot be attested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file cannot be read; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A link, a directory or a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A file is longer than one of its kind can be.
    #[error("{file} has more than {limit} bytes")]
    TooLarge {
        /// The file.
        file: String,
        /// The most that is read.
        limit: u64,
    },
    /// A line is longer than one of its kind can be.
    #[error("line {line} of {file} has more than {limit} bytes")]
    LineTooLong {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The most that is read.
        limit: u64,
    },
    /// The configuration is not TOML.
    #[error("config.toml is not TOML in UTF-8")]
    Config(#[source] Option<Box<toml::de::Error>>),
    /// A document is not the JSON that it has to be.
    #[error("{file} is not valid")]
    Document {
        /// The file.
        file: String,
        /// Why.
        source: JsonError,
    },
    /// A line is not the JSON that it has to be.
    #[error("line {line} of {file} is not valid")]
    Line {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// Why.
        source: JsonError,
    },
    /// A field has a value that it cannot have.
    #[error("{field} of {file} is {found:?}; expected {wanted}")]
    Field {
        /// The file, and the line if it has lines.
        file: String,
        /// The field.
        field: &'static str,
        /// Its value.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// Two things have the same name.
    #[error("{what} {name:?} is there twice in {file}")]
    Twice {
        /// The file.
        file: String,
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A line of the step log does not continue the one before.
    #[error(
        "line {line} of steps.jsonl does not continue the chain: previous is {found}; expected {expected}"
    )]
    Chain {
        /// The line, from 1.
        line: u64,
        /// The digest of what came before.
        expected: String,
        /// What the line says.
        found: String,
    },
    /// There is no such step in the log.
    #[error("there is no step {step} in steps.jsonl, which has {steps}")]
    NoStep {
        /// The step that is asked for.
        step: u64,
        /// How many there are.
        steps: u64,
    },
    /// The summary of an evaluation is not that of its records.
    #[error("the evaluation {name:?} claims {claimed}; its records give {found}")]
    Score {
        /// The evaluation.
        name: String,
        /// What evaluations.jsonl says.
        claimed: String,
        /// What the records say.
        found: String,
    },
    /// The adapter is for another base than the run had.
    #[error("the adapter is for the base {adapter}; the run had {run}")]
    OtherBase {
        /// The adapter's.
        adapter: BaseDigest,
        /// The run's.
        run: BaseDigest,
    },
    /// The adapter does not hold what the run trained.
    #[error("the adapter's numbers are not those of step {step} of the run")]
    OtherV {
        /// The step.
        step: u64,
    },
}
