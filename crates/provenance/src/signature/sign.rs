//! Writing bundles.

use super::dsse::{PAYLOAD_TYPE, pre_authentication_encoding};
use super::wire::{Bundle, Envelope, MEDIA_TYPE, Material, PublicKey, Signature};
use crate::encoding::to_base64;
use crate::{PrivateKey, Statement};

/// Signs a statement: a bundle as one line of JSON, with a newline. The same statement and key give the same bytes.
#[must_use]
pub fn sign(statement: &Statement, key: &PrivateKey) -> String {
    sign_payload(statement.to_json().as_bytes(), key)
}

/// Signs a payload as it is.
pub(crate) fn sign_payload(payload: &[u8], key: &PrivateKey) -> String {
    let signature = key.sign(&pre_authentication_encoding(payload));
    let bundle = Bundle {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: Material {
            public_key: Some(PublicKey {
                hint: key.public_key().fingerprint(),
            }),
            certificate: None,
            x509_certificate_chain: None,
            tlog_entries: Vec::new(),
            timestamp_verification_data: None,
        },
        dsse_envelope: Some(Envelope {
            payload: to_base64(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature {
                sig: to_base64(&signature),
                keyid: String::new(),
            }],
        }),
        message_signature: None,
    };
    // Strings and lists of strings have a form in JSON.
    let mut text = serde_json::to_string(&bundle).unwrap_or_default();
    text.push('\n');
    text
}
