//! The cryptography of keyless verification, all in Rust: ECDSA on P-256 and P-384, Ed25519, SHA-2.
//!
//! RSA and ML-DSA are refused: the public instance does not use them.

use std::sync::Once;

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::{
    CryptoProvider, Error, HashContext, Result, SigningScheme, install_default_provider,
};
use sigstore_verify::types::HashAlgorithm;

/// Gives the verifier its cryptography, once a process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // Another part of the process may have installed its own, which is as good.
        let _installed_before = install_default_provider(&Provider).is_err();
    });
}

#[derive(Debug)]
struct Provider;

impl CryptoProvider for Provider {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hash(Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hash(Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hash(Sha512::new()))),
            other => Err(Error::UnsupportedAlgorithm(other.to_string())),
        }
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        if scheme == SigningScheme::Ed25519 {
            return accepted(scheme, is_ed25519(key, data, signature));
        }
        let algorithm = scheme.hash_algorithm().ok_or_else(|| unsupported(scheme))?;
        let mut hash = self.hash(algorithm)?;
        hash.update(data);
        self.verify_prehashed(scheme, key, &hash.finalize(), signature)
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        match scheme {
            SigningScheme::EcdsaP256Sha256 | SigningScheme::EcdsaP256Sha384 => {
                accepted(scheme, is_p256(key, digest, signature))
            }
            SigningScheme::EcdsaP384Sha256 | SigningScheme::EcdsaP384Sha384 => {
                accepted(scheme, is_p384(key, digest, signature))
            }
            other => Err(unsupported(other)),
        }
    }
}

struct Hash<D>(D);

impl<D: Digest + Send> HashContext for Hash<D> {
    fn update(&mut self, data: &[u8]) {
        Digest::update(&mut self.0, data);
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        Digest::finalize(self.0).to_vec()
    }
}

fn is_p256(key: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    use p256::ecdsa::{Signature, VerifyingKey};

    VerifyingKey::from_sec1_bytes(key)
        .and_then(|key| key.verify_prehash(digest, &Signature::from_der(signature)?))
        .is_ok()
}

fn is_p384(key: &[u8], digest: &[u8], signature: &[u8]) -> bool {
    use p384::ecdsa::{Signature, VerifyingKey};

    VerifyingKey::from_sec1_bytes(key)
        .and_then(|key| key.verify_prehash(digest, &Signature::from_der(signature)?))
        .is_ok()
}

fn is_ed25519(key: &[u8], data: &[u8], signature: &[u8]) -> bool {
    use ed25519_dalek::{Signature, VerifyingKey};

    let Ok(key) = <&[u8; 32]>::try_from(key) else {
        return false;
    };
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(data, &Signature::from_slice(signature)?))
        .is_ok()
}

fn accepted(scheme: SigningScheme, holds: bool) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::Verification(format!(
            "{} signature invalid",
            scheme.name()
        )))
    }
}

fn unsupported(scheme: SigningScheme) -> Error {
    Error::UnsupportedAlgorithm(scheme.name().to_owned())
}
