//! Why a model is not what was signed.

use std::io;
use std::path::PathBuf;

use crate::{JsonError, KeyType, SignatureError};

/// Why a bundle of Model Signing cannot be made, or does not hold for a file or a directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmsError {
    /// The standard has no such keys.
    #[error("model signing wants a P-256 key; this one is {}", found.name())]
    Key {
        /// What the key is.
        found: KeyType,
    },
    /// The signature does not hold.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The statement is of another kind.
    #[error("the predicateType is {found:?}; expected \"https://model_signing/signature/v1.0\"")]
    PredicateType {
        /// Its kind.
        found: String,
    },
    /// The predicate does not have the fields that it has to have.
    #[error("the predicate is not one of model signing")]
    Predicate(#[from] JsonError),
    /// Files were hashed in a way that is not supported.
    #[error("{field} is {found:?}; only {wanted:?} is supported")]
    Unsupported {
        /// The field of the predicate.
        field: &'static str,
        /// Its value.
        found: String,
        /// The value that it may have.
        wanted: &'static str,
    },
    /// The subject is not the digest of the resources.
    #[error("the subject of the statement is not the digest of its resources")]
    Subject,
    /// A digest is not 64 lower-case hexadecimal digits.
    #[error("the digest of the resource {name:?} is not 64 lower-case hexadecimal digits")]
    Digest {
        /// The resource.
        name: String,
    },
    /// Two resources have the same name.
    #[error("the resource {name:?} is there twice")]
    Twice {
        /// The resource.
        name: String,
    },
    /// A signed file is not there.
    #[error("{name:?} is signed and not there")]
    Missing {
        /// The resource.
        name: String,
    },
    /// A file is there that nobody signed.
    #[error("{name:?} is there and not signed")]
    Unsigned {
        /// Its path below the directory.
        name: String,
    },
    /// A file is not as it was when it was signed.
    #[error("{name:?} has SHA-256 {found}; {expected} is signed")]
    Changed {
        /// The resource.
        name: String,
        /// The signed digest.
        expected: String,
        /// What the file has.
        found: String,
    },
    /// Something is neither a file nor a directory; where a link leads is not part of the model.
    #[error("{} is a link or a device", .0.display())]
    NotAFile(PathBuf),
    /// A file or directory cannot be read; the message names it.
    #[error(transparent)]
    Io(#[from] io::Error),
}
