//! Why a file is not a bundle.

use crate::{JsonError, StatementError};

/// Why bytes are not a Sigstore bundle v0.3 with one signed statement.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// It is longer than any bundle.
    #[error("{found} bytes; a bundle has at most {limit}")]
    TooLarge {
        /// Its length.
        found: usize,
        /// The most that is read.
        limit: usize,
    },
    /// It is not the JSON that it has to be.
    #[error("the bundle is not valid")]
    Json(#[from] JsonError),
    /// It is something else, or of another version.
    #[error(
        "the mediaType is {found:?}; expected \"application/vnd.dev.sigstore.bundle.v0.3+json\""
    )]
    MediaType {
        /// Its type.
        found: String,
    },
    /// It says nothing about who signed, or more than one thing.
    #[error("{found} of publicKey, certificate and x509CertificateChain; expected one of them")]
    Material {
        /// How many there are.
        found: usize,
    },
    /// It signs a file directly and not a statement about it.
    #[error("no dsseEnvelope: the bundle signs bytes and not a statement")]
    NoEnvelope,
    /// The envelope holds something other than an in-toto statement.
    #[error("the payloadType is {found:?}; expected \"application/vnd.in-toto+json\"")]
    PayloadType {
        /// Its type.
        found: String,
    },
    /// Of several signatures it would be unclear which one counts.
    #[error("{found} signatures; expected one")]
    Signatures {
        /// How many there are.
        found: usize,
    },
    /// A field is not standard base64 with its padding.
    #[error("{field} is not standard base64 with padding")]
    Base64 {
        /// The field.
        field: &'static str,
    },
    /// The payload is no statement.
    #[error("the payload is not an in-toto statement")]
    Statement(#[from] StatementError),
}
