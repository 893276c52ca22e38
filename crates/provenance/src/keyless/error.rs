//! The verifier's errors as ours.

use sigstore_verify::Error;
use sigstore_verify::types::Bundle;

use super::TrustedRoot;
use crate::SignatureError;

/// What a failed verification means.
pub(super) fn explain(error: Error, bundle: &Bundle, root: &TrustedRoot) -> SignatureError {
    match error {
        Error::IdentityMismatch { expected, actual } => SignatureError::Identity {
            expected: match expected {
                sigstore_verify::IdentityMatcher::Exact(text)
                | sigstore_verify::IdentityMatcher::Email(text)
                | sigstore_verify::IdentityMatcher::Uri(text) => text,
                other => other.to_string(),
            },
            found: actual.map(|identity| identity.as_str().to_owned()),
        },
        Error::IssuerMismatch { expected, actual } => SignatureError::Issuer {
            expected,
            found: actual,
        },
        // A signature in a log that the root does not know has no proof and no time that could be checked.
        Error::TransparencyLog(_) | Error::Timestamp(_) => match unknown_log(bundle, root) {
            Some(log) => SignatureError::UnknownLog { log },
            None => SignatureError::Keyless(Box::new(error)),
        },
        other => SignatureError::Keyless(Box::new(other)),
    }
}

fn unknown_log(bundle: &Bundle, root: &TrustedRoot) -> Option<String> {
    let entries = bundle.verification_material.tlog_entries.iter();
    let mut names = entries.map(|entry| entry.log_id.key_id.to_string());
    names.find(|name| !root.knows_log(name))
}
