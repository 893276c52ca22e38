//! Why a run cannot be read, or an event file not written.

use std::path::PathBuf;

/// What was wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A file cannot be read or written.
    #[error("the file cannot be read or written")]
    Io(#[from] std::io::Error),
    /// config.toml is not TOML.
    #[error("{path}: not TOML")]
    Config {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A file or a complete line is not the JSON that belongs there.
    #[error("{path}, line {line}: not a record of this file")]
    Json {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A line is longer than the run directory's definition allows.
    #[error("{path}, line {line}: longer than {limit} bytes")]
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Bytes of a line at most.
        limit: usize,
    },
    /// Records are not in the order of their steps.
    #[error("{path}, line {line}: step {found} after step {before}")]
    StepOrder {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The step of the line before.
        before: u64,
        /// The step that was found.
        found: u64,
    },
    /// v of a step is not hexadecimal, or has another number of components than the step before.
    #[error("{path}, line {line}: v is not {expected} numbers in hexadecimal")]
    V {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// How many numbers there have to be; 0 if any number would do.
        expected: usize,
    },
}
