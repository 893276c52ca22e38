//! A bundle as it is written: the JSON form of `dev.sigstore.bundle.v1.Bundle` with a DSSE envelope.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The one version of the bundle that is read and written.
pub(super) const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Bundle {
    pub(super) media_type: String,
    pub(super) verification_material: Material,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) dsse_envelope: Option<Envelope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message_signature: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Material {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_key: Option<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) x509_certificate_chain: Option<Value>,
    /// Written even when empty: readers before us want it.
    #[serde(default)]
    pub(super) tlog_entries: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp_verification_data: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PublicKey {
    #[serde(default)]
    pub(super) hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Envelope {
    pub(super) payload: String,
    pub(super) payload_type: String,
    pub(super) signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    pub(super) sig: String,
    #[serde(default)]
    pub(super) keyid: String,
}
