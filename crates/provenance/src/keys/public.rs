//! Public keys.

use std::fmt;

use p256::ecdsa;
use pkcs8::der::{Decode, Document};
use pkcs8::spki::SubjectPublicKeyInfoRef;
use pkcs8::{EncodePublicKey, LineEnding, ObjectIdentifier};
use sha2::{Digest, Sha256};

use super::{KeyError, KeyType, pem};
use crate::encoding::to_hex;

/// A key that signatures are checked with.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: Key,
    pem: String,
}

#[derive(Clone, PartialEq, Eq)]
enum Key {
    P256(Box<ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl PublicKey {
    /// Reads a PEM text with a SubjectPublicKeyInfo, `-----BEGIN PUBLIC KEY-----`.
    ///
    /// # Errors
    /// If it is none, of another algorithm, or no key that is ever made honestly (an Ed25519 key of small order).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, block) = pem::find(text)?;
        if label != "PUBLIC KEY" {
            return Err(KeyError::Label {
                found: label.to_owned(),
                expected: "PUBLIC KEY",
            });
        }
        let (_, document) = Document::from_pem(block).ok().ok_or(KeyError::Pem)?;
        let info = SubjectPublicKeyInfoRef::from_der(document.as_bytes())
            .ok()
            .ok_or(KeyError::Invalid)?;
        match check_algorithm(&info.algorithm.oid, info.algorithm.parameters_oid().ok())? {
            KeyType::P256 => {
                let key = ecdsa::VerifyingKey::try_from(info)
                    .ok()
                    .ok_or(KeyError::Invalid)?;
                Self::from_p256(key)
            }
            KeyType::Ed25519 => {
                let key = ed25519_dalek::VerifyingKey::try_from(info)
                    .ok()
                    .ok_or(KeyError::Invalid)?;
                Self::from_ed25519(key)
            }
        }
    }

    /// The kind of key.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        match self.key {
            Key::P256(_) => KeyType::P256,
            Key::Ed25519(_) => KeyType::Ed25519,
        }
    }

    /// The key as a PEM text, `-----BEGIN PUBLIC KEY-----`, with a newline at its end.
    #[must_use]
    pub fn to_pem(&self) -> &str {
        &self.pem
    }

    /// The SHA-256 of [`to_pem`](Self::to_pem) as 64 hexadecimal digits: what a bundle names its key by.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        to_hex(&Sha256::digest(self.pem.as_bytes()))
    }

    /// Whether `signature` is this key's of `message`.
    ///
    /// ECDSA signatures are DER, and (r, −s) is as good as (r, s): the bytes of a signature identify nothing.
    pub(crate) fn is_signature(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.key {
            Key::P256(key) => ecdsa::Signature::from_der(signature)
                .and_then(|signature| {
                    ecdsa::signature::Verifier::verify(&**key, message, &signature)
                })
                .is_ok(),
            Key::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .and_then(|signature| key.verify_strict(message, &signature))
                .is_ok(),
        }
    }

    pub(super) fn from_p256(key: ecdsa::VerifyingKey) -> Result<Self, KeyError> {
        let pem = key
            .to_public_key_pem(LineEnding::LF)
            .ok()
            .ok_or(KeyError::Invalid)?;
        Ok(Self {
            key: Key::P256(Box::new(key)),
            pem,
        })
    }

    pub(super) fn from_ed25519(key: ed25519_dalek::VerifyingKey) -> Result<Self, KeyError> {
        if key.is_weak() {
            return Err(KeyError::Invalid);
        }
        let pem = key
            .to_public_key_pem(LineEnding::LF)
            .ok()
            .ok_or(KeyError::Invalid)?;
        Ok(Self {
            key: Key::Ed25519(Box::new(key)),
            pem,
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PublicKey({} {})",
            self.key_type().name(),
            self.fingerprint()
        )
    }
}

/// The kind of key that an algorithm identifier names.
pub(super) fn check_algorithm(
    algorithm: &ObjectIdentifier,
    parameters: Option<ObjectIdentifier>,
) -> Result<KeyType, KeyError> {
    match (*algorithm, parameters) {
        (ED25519, None) => Ok(KeyType::Ed25519),
        (EC, Some(P256)) => Ok(KeyType::P256),
        (EC, Some(curve)) => Err(unsupported(&curve)),
        (other, _) => Err(unsupported(&other)),
    }
}

fn unsupported(algorithm: &ObjectIdentifier) -> KeyError {
    let known = NAMES.iter().find(|(oid, _)| oid == algorithm);
    let algorithm = known.map_or_else(|| algorithm.to_string(), |(_, name)| (*name).to_owned());
    KeyError::Algorithm { algorithm }
}

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// Kinds that people try.
const NAMES: [(ObjectIdentifier, &str); 5] = [
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), "P-384"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), "P-521"),
    (ObjectIdentifier::new_unwrap("1.3.132.0.10"), "secp256k1"),
    (ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1"), "RSA"),
    (ObjectIdentifier::new_unwrap("1.3.101.113"), "Ed448"),
];
