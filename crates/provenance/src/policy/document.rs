//! The policy file as TOML, before its values are judged.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub(super) version: Spanned<i64>,
    #[serde(default)]
    pub(super) require: Require,
    #[serde(default)]
    pub(super) signer: Vec<Spanned<SignerEntry>>,
    #[serde(default)]
    pub(super) base: Vec<BaseEntry>,
    #[serde(default)]
    pub(super) limits: LimitsEntry,
    #[serde(default)]
    pub(super) claims: ClaimsEntry,
    #[serde(default)]
    pub(super) deny: DenyEntry,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Require {
    #[serde(default)]
    pub(super) checks: Vec<Spanned<String>>,
    pub(super) threshold: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SignerEntry {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: Spanned<String>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) identity: Option<Spanned<String>>,
    pub(super) issuer: Option<Spanned<String>>,
    pub(super) not_before: Option<Spanned<String>>,
    pub(super) not_after: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BaseEntry {
    pub(super) id: String,
    pub(super) tmd1: Spanned<String>,
    pub(super) commit: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsEntry {
    pub(super) max_params: Option<Spanned<i64>>,
    pub(super) max_delta_ratio: Option<Spanned<f64>>,
    pub(super) seed: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimsEntry {
    #[serde(default)]
    pub(super) required: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) min: BTreeMap<Spanned<String>, Spanned<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DenyEntry {
    #[serde(default)]
    pub(super) adapters: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) signers: Vec<Spanned<String>>,
}
