//! Why a statement cannot be used.

use crate::JsonError;

/// Why a text is not an in-toto Statement v1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// It is not the JSON that it has to be.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is of another type, or of an older version.
    #[error("the statement's _type is {found:?}; expected \"https://in-toto.io/Statement/v1\"")]
    Type {
        /// Its type.
        found: String,
    },
    /// It is about nothing.
    #[error("the statement names no subject")]
    NoSubject,
    /// It does not say what kind of thing it says.
    #[error("the statement has no predicateType")]
    NoPredicateType,
    /// A digest is missing, or not lower-case hexadecimal of the right length.
    #[error(
        "the digest ({algorithm}) of the subject {subject:?} is not lower-case hexadecimal of its length"
    )]
    Digest {
        /// The subject's name.
        subject: String,
        /// The algorithm.
        algorithm: String,
    },
}
