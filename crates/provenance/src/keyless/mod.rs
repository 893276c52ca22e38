//! Signatures of workflow identities, checked without the network: a certificate that names the identity, a log that
//! recorded the signature while the certificate was valid, and a trusted root that vouches for both.

mod error;
mod provider;
mod root;

use sigstore_verify::types::Sha256Hash;
use sigstore_verify::{IdentityMatcher, VerificationPolicy, VerificationResult};

pub use root::{TrustedRoot, TrustedRootError};

use crate::encoding::to_hex;
use crate::{Bundle, SignatureError, Verified};

impl Bundle {
    /// Checks that an identity signed a statement about a file.
    ///
    /// `identity` and `issuer` must be the certificate's, letter by letter: for GitHub Actions
    /// `https://github.com/OWNER/REPOSITORY/.github/workflows/FILE@REF` and `https://token.actions.githubusercontent.com`.
    ///
    /// # Errors
    /// If it is signed with a key, the statement is about other files, another identity signed, or any part of the
    /// evidence does not hold. [`SignatureError::is_inconclusive`] if the trusted root does not know the log.
    pub fn verify_with_identity(
        &self,
        artifact_sha256: &[u8; 32],
        identity: &str,
        issuer: &str,
        root: &TrustedRoot,
    ) -> Result<Verified<'_>, SignatureError> {
        if self.is_key_signed() {
            return Err(SignatureError::NotKeyless);
        }
        if !self.unverified_statement().names_sha256(artifact_sha256) {
            return Err(SignatureError::OtherSubject {
                sha256: to_hex(artifact_sha256),
            });
        }
        provider::install();
        let bundle = sigstore_verify::types::Bundle::from_json(self.json())
            .map_err(|error| SignatureError::Keyless(Box::new(error)))?;
        let policy = VerificationPolicy::new(matcher(identity), issuer);
        let result = root
            .verifier()
            .verify(Sha256Hash::new(*artifact_sha256), &bundle, &policy)
            .map_err(|error| error::explain(error, &bundle, root))?;
        if !is_complete(&result) || bundle.verification_material.tlog_entries.is_empty() {
            return Err(SignatureError::Keyless(
                "a part of the evidence is missing".into(),
            ));
        }
        Ok(Verified::new(self))
    }
}

/// Workflows are named by URIs, people by addresses; one is not taken for the other.
fn matcher(identity: &str) -> IdentityMatcher {
    if identity.contains("://") {
        IdentityMatcher::Uri(identity.to_owned())
    } else {
        IdentityMatcher::Email(identity.to_owned())
    }
}

/// That every check was made, and not skipped because the material for it was missing.
fn is_complete(result: &VerificationResult) -> bool {
    result.certificate_verified()
        && result.sct_verified()
        && result.tlog_verified()
        && result.identity_policy_checked()
        && !result.verified_timestamps().is_empty()
}
