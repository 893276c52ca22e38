//! Why a policy cannot be used.

use std::io;
use std::path::PathBuf;

use crate::KeyError;

/// Why a policy cannot be used. A gate with such a policy is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("the policy cannot be read")]
    Io(#[from] io::Error),
    /// The file is longer than any policy.
    #[error("the policy {} has more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// It is not TOML, has a key that is not known, or a value of another type.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// A value is not one that can stand there.
    #[error("line {line}: {what}: wanted {wanted}, found {found:?}")]
    Value {
        /// The line, from 1.
        line: usize,
        /// Which key.
        what: &'static str,
        /// What could stand there.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A signer lacks a key, or has one that its type does not have.
    #[error("line {line}: signer {signer:?}: {fault}")]
    Signer {
        /// The line, from 1.
        line: usize,
        /// The signer's name.
        signer: String,
        /// What is wrong.
        fault: &'static str,
    },
    /// A signer's key file cannot be read.
    #[error("line {line}: the key file {} cannot be read", path.display())]
    KeyFile {
        /// The line, from 1.
        line: usize,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A signer's key file does not hold a key that can be used.
    #[error("line {line}: the key file {} has no usable key", path.display())]
    Key {
        /// The line, from 1.
        line: usize,
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// A signature or a statement is required, and nobody is listed who could give it.
    #[error("a signature is required, and there is no [[signer]]")]
    NoSigners,
    /// No set of the signers can reach the threshold.
    #[error(
        "line {line}: the threshold is {threshold}, and there are only {signers} distinct signers"
    )]
    Threshold {
        /// The line, from 1.
        line: usize,
        /// The number wanted.
        threshold: u64,
        /// The number of distinct signers.
        signers: usize,
    },
}
