//! Problems: how they are read, and in which order a run takes them.

mod order;
mod read;

pub use order::{Cursor, Stream, permutation};
pub use read::{MAX_LINE, read, read_from};

use std::collections::BTreeMap;
use std::path::PathBuf;

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name in the file, or `line-N`.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// The gold answer.
    pub answer: String,
}

/// The problems of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// In the order of the file.
    pub problems: Vec<Problem>,
    /// SHA-256 of the whole file, in hexadecimal.
    pub sha256: String,
    /// Fields that are not used, with how many lines have them.
    pub ignored: BTreeMap<String, usize>,
}

/// Why problems cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line that no problem is as long as.
    #[error("line {line} of {} has more than {limit} bytes", file.display())]
    TooLong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The most bytes that are read.
        limit: usize,
    },
    /// A line that is not an object with `question` and `answer`.
    #[error("line {line} of {} is not an object with question and answer", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the JSON reader says.
        source: serde_json::Error,
    },
    /// A field without text. An empty gold answer would be met by a model that says nothing.
    #[error("line {line} of {}: {field} is empty", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
    },
    /// An answer without `####`, where `data.gold` is `hashes`.
    #[error("line {line} of {}: answer has no ####, and data.gold is \"hashes\"", file.display())]
    NoHashes {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Two problems of one name.
    #[error("line {line} of {}: the id {id:?} is that of line {first} too", file.display())]
    Duplicate {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The line that has the id already.
        first: usize,
        /// The id.
        id: String,
    },
    /// A file without problems.
    #[error("{} has no problems", file.display())]
    NoProblems {
        /// The file.
        file: PathBuf,
    },
}
