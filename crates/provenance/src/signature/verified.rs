//! What a check of a signature gives.

use super::Bundle;
use crate::Statement;

/// A bundle whose signature was checked, by whichever way made this value.
#[derive(Debug, Clone, Copy)]
pub struct Verified<'a> {
    bundle: &'a Bundle,
}

impl<'a> Verified<'a> {
    pub(crate) const fn new(bundle: &'a Bundle) -> Self {
        Self { bundle }
    }

    /// What the signer said.
    #[must_use]
    pub const fn statement(&self) -> &'a Statement {
        self.bundle.unverified_statement()
    }
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature is not this key's, or not of this statement.
    #[error("not signed with the key {fingerprint}{}", hinted(hint.as_deref()))]
    Key {
        /// The fingerprint of the key that was tried.
        fingerprint: String,
        /// The key that the bundle says it was signed with.
        hint: Option<String>,
    },
    /// A certificate signed, where a key is wanted.
    #[error("signed by an identity with a certificate, not with a key")]
    NotKeySigned,
    /// A key signed, where an identity is wanted.
    #[error("signed with a key, not by an identity with a certificate")]
    NotKeyless,
    /// The statement is about other files.
    #[error("the statement is not about the file with SHA-256 {sha256}")]
    OtherSubject {
        /// Of the file.
        sha256: String,
    },
    /// Somebody else signed.
    #[error("signed by {found:?}; expected {expected:?}")]
    Identity {
        /// Who should have signed.
        expected: String,
        /// Who did, if the certificate says so.
        found: Option<String>,
    },
    /// Another party vouches for the identity.
    #[error("the identity was issued by {found:?}; expected {expected:?}")]
    Issuer {
        /// Who should have.
        expected: String,
        /// Who did, if the certificate says so.
        found: Option<String>,
    },
    /// A log recorded the signature that the trusted root does not know: a newer root may.
    #[error("the signature is recorded in the log {log:?}, which the trusted root does not know")]
    UnknownLog {
        /// The log's name for itself.
        log: String,
    },
    /// The certificate, the log's proof, a timestamp or the signature itself does not hold.
    #[error("the signature of the identity does not hold")]
    Keyless(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl SignatureError {
    /// Whether the signature could not be judged, rather than judged and found wrong.
    #[must_use]
    pub const fn is_inconclusive(&self) -> bool {
        matches!(self, Self::UnknownLog { .. })
    }
}

fn hinted(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; the bundle names the key {hint:?}"))
        .unwrap_or_default()
}
