//! Whom to believe about certificates and logs.

use sigstore_verify::Verifier;

use super::provider;
use crate::{JsonError, json};

/// The certificate authorities, logs and timestamp authorities that a keyless signature must come from.
pub struct TrustedRoot {
    verifier: Verifier,
    logs: Vec<String>,
}

/// Why a file is no trusted root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustedRootError {
    /// It is not the JSON that it has to be.
    #[error("the trusted root is not valid")]
    Json(#[from] JsonError),
    /// A key or a certificate in it cannot be used.
    #[error("the trusted root cannot be used")]
    Invalid(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl TrustedRoot {
    /// The day of the root that [`public_good`](Self::public_good) gives.
    pub const PUBLIC_GOOD_DATE: &str = "2026-10-23";

    /// The root of Sigstore's public instance, which public repositories of GitHub sign with, as it was on
    /// [`PUBLIC_GOOD_DATE`](Self::PUBLIC_GOOD_DATE).
    ///
    /// # Errors
    /// Never, as long as the file in this repository is what it is.
    pub fn public_good() -> Result<Self, TrustedRootError> {
        Self::from_json(PUBLIC_GOOD)
    }

    /// Reads a `trusted_root.json`, such as `gh attestation trusted-root` prints (one line of it).
    ///
    /// # Errors
    /// If it is none, or a key or certificate in it cannot be used.
    pub fn from_json(text: &str) -> Result<Self, TrustedRootError> {
        provider::install();
        // Only for its strictness: the verifier reads the text by itself.
        json::parse(text.as_bytes())?;
        let root = sigstore_verify::trust_root::TrustedRoot::from_json(text)
            .map_err(|error| TrustedRootError::Invalid(Box::new(error)))?;
        let verifier =
            Verifier::new(&root).map_err(|error| TrustedRootError::Invalid(Box::new(error)))?;
        let logs = root
            .tlogs
            .iter()
            .map(|log| log.log_id.key_id.to_string())
            .collect();
        Ok(Self { verifier, logs })
    }

    pub(super) const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    pub(super) fn knows_log(&self, name: &str) -> bool {
        self.logs.iter().any(|log| log == name)
    }
}

impl std::fmt::Debug for TrustedRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedRoot")
            .field("logs", &self.logs)
            .finish_non_exhaustive()
    }
}

const PUBLIC_GOOD: &str = include_str!("public-good-2026-10-23.json");
