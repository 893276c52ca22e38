//! Reading bundles.

use super::dsse::{PAYLOAD_TYPE, pre_authentication_encoding};
use super::wire::{self, MEDIA_TYPE};
use super::{BundleError, SignatureError, Verified};
use crate::encoding::from_base64;
use crate::{PublicKey, Statement, json};

/// A signed statement, in a form that leaves no doubt about what is signed: one envelope, one signature, one statement.
#[derive(Debug, Clone)]
pub struct Bundle {
    statement: Statement,
    payload: Vec<u8>,
    signature: Vec<u8>,
    signer: SignerMaterial,
    #[cfg(feature = "keyless")]
    json: String,
}

/// What the bundle says about its signer. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum SignerMaterial {
    Key { hint: String },
    Certificate,
}

impl Bundle {
    /// The most bytes that a bundle, or a file of several, can have.
    ///
    /// JSON in memory takes up to a hundred times its length.
    pub const SIZE_LIMIT: usize = 1 << 20;

    /// Reads a bundle, without checking its signature.
    ///
    /// Every key stands once in its object, at every level, in the payload too; unknown fields are errors.
    ///
    /// # Errors
    /// If it is anything but a Sigstore bundle v0.3 with one DSSE signature over an in-toto Statement v1.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        if bytes.len() > Self::SIZE_LIMIT {
            return Err(BundleError::TooLarge {
                found: bytes.len(),
                limit: Self::SIZE_LIMIT,
            });
        }
        let value = json::parse(bytes)?;
        // The type first: what another version looks like is nobody's error.
        if let Some(found) = value.get("mediaType").and_then(|value| value.as_str())
            && found != MEDIA_TYPE
        {
            return Err(BundleError::MediaType {
                found: found.to_owned(),
            });
        }
        let bundle: wire::Bundle = json::typed(value)?;
        let signer = signer(&bundle.verification_material)?;
        let envelope = bundle
            .dsse_envelope
            .filter(|_| bundle.message_signature.is_none());
        let (payload, signature) = open(&envelope.ok_or(BundleError::NoEnvelope)?)?;
        Ok(Self {
            statement: Statement::parse(&payload)?,
            payload,
            signature,
            signer,
            #[cfg(feature = "keyless")]
            json: String::from_utf8_lossy(bytes).into_owned(),
        })
    }

    /// What the bundle says, whoever made it. Only a [`Verified`] one is evidence of anything.
    #[must_use]
    pub const fn unverified_statement(&self) -> &Statement {
        &self.statement
    }

    /// Which key the bundle says it was signed with; for messages. The fingerprint of a key, if a program like this one
    /// wrote it.
    #[must_use]
    pub fn unverified_key_hint(&self) -> Option<&str> {
        match &self.signer {
            SignerMaterial::Key { hint } if !hint.is_empty() => Some(hint),
            _ => None,
        }
    }

    /// Whether it was signed with a key, rather than with the certificate of an identity.
    #[must_use]
    pub const fn is_key_signed(&self) -> bool {
        matches!(self.signer, SignerMaterial::Key { .. })
    }

    /// Checks the signature with a key that the caller trusts. A key-signed bundle says nothing about when it was made.
    ///
    /// # Errors
    /// If it is signed with a certificate, or not with this key.
    pub fn verify_with_key(&self, key: &PublicKey) -> Result<Verified<'_>, SignatureError> {
        if !self.is_key_signed() {
            return Err(SignatureError::NotKeySigned);
        }
        if !key.is_signature(&pre_authentication_encoding(&self.payload), &self.signature) {
            return Err(SignatureError::Key {
                fingerprint: key.fingerprint(),
                hint: self.unverified_key_hint().map(str::to_owned),
            });
        }
        Ok(Verified::new(self))
    }

    #[cfg(feature = "keyless")]
    pub(crate) fn json(&self) -> &str {
        &self.json
    }
}

fn signer(material: &wire::Material) -> Result<SignerMaterial, BundleError> {
    let certificates = usize::from(material.certificate.is_some())
        + usize::from(material.x509_certificate_chain.is_some());
    match (&material.public_key, certificates) {
        (Some(key), 0) => Ok(SignerMaterial::Key {
            hint: key.hint.clone(),
        }),
        (None, 1) => Ok(SignerMaterial::Certificate),
        (key, certificates) => Err(BundleError::Material {
            found: certificates + usize::from(key.is_some()),
        }),
    }
}

/// The payload and the signature.
fn open(envelope: &wire::Envelope) -> Result<(Vec<u8>, Vec<u8>), BundleError> {
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(BundleError::PayloadType {
            found: envelope.payload_type.clone(),
        });
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err(BundleError::Signatures {
            found: envelope.signatures.len(),
        });
    };
    let decoded = |field, text| from_base64(text).ok_or(BundleError::Base64 { field });
    Ok((
        decoded("dsseEnvelope.payload", &envelope.payload)?,
        decoded("dsseEnvelope.signatures[0].sig", &signature.sig)?,
    ))
}
