//! `tlora-merge.json`: what stands beside the merged weights about how they came to be. It has no times and no paths,
//! so that equal merges have equal records. docs/json.md describes it.

use serde::Serialize;
use tlora_format::{Adapter, BaseDigest, TextKey};

use crate::approved::ApprovalRecord;
use crate::strength::{Strength, Strengths};

/// The version of the record's form.
const VERSION: u32 = 1;

/// How a merged checkpoint came to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MergeRecord {
    /// The version of this record's form.
    pub version: u32,
    /// The program and its version.
    pub tool: String,
    /// The digest of the base.
    pub base: String,
    /// The adapters, in the order in which their updates were added.
    pub adapters: Vec<AdapterRecord>,
    /// The type of the adapted tensors, if another was asked for than the base's.
    pub dtype: Option<&'static str>,
    /// The digest of the merged checkpoint.
    pub merged: String,
    /// The size of the update.
    pub update: UpdateRecord,
    /// The policy that allowed the merge, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<ApprovalRecord>,
}

/// One adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdapterRecord {
    /// BLAKE3 of the file, which identifies the adapter.
    pub blake3: String,
    /// The name that the file gives itself.
    pub name: Option<String>,
}

/// The size of the update of all adapters together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateRecord {
    /// Over all adapted modules.
    pub total: StrengthRecord,
    /// For each type of module.
    pub by_type: Vec<TypeRecord>,
}

/// The size of the update of one type of module.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TypeRecord {
    /// The last part of the modules' names.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its size.
    #[serde(flatten)]
    pub strength: StrengthRecord,
}

/// See [`Strength`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StrengthRecord {
    /// Number of modules.
    pub modules: u64,
    /// ‖ΔW‖ before rounding.
    pub norm: f64,
    /// ‖ΔW‖ / ‖W‖.
    pub relative: f64,
    /// The share of ΔW that the rounding keeps; none where ΔW is zero.
    pub kept: Option<f64>,
}

impl From<&Strength> for StrengthRecord {
    fn from(strength: &Strength) -> Self {
        Self {
            modules: strength.modules,
            norm: strength.nominal(),
            relative: strength.relative(),
            kept: strength.kept_fraction(),
        }
    }
}

impl From<&Strengths> for UpdateRecord {
    fn from(strengths: &Strengths) -> Self {
        let of_type = |(kind, strength): &(String, Strength)| TypeRecord {
            kind: kind.clone(),
            strength: strength.into(),
        };
        Self {
            total: (&strengths.total).into(),
            by_type: strengths.by_type.iter().map(of_type).collect(),
        }
    }
}

impl MergeRecord {
    pub(crate) fn new(
        base: &BaseDigest,
        adapters: &[Adapter],
        dtype: Option<&'static str>,
        merged: &BaseDigest,
        strengths: &Strengths,
    ) -> Self {
        Self {
            version: VERSION,
            tool: concat!("tlora ", env!("CARGO_PKG_VERSION")).to_owned(),
            base: base.to_string(),
            adapters: adapters.iter().map(AdapterRecord::of).collect(),
            dtype,
            merged: merged.to_string(),
            update: strengths.into(),
            policy: None,
        }
    }

    /// The bytes of `tlora-merge.json`: in ASCII and without `#`, so that no name in it hides or turns text, or speaks to a
    /// CI (`##vso[…]`), where the file is shown.
    pub(crate) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = String::new();
        for character in serde_json::to_string_pretty(self)?.chars() {
            if character.is_ascii() && !matches!(character, '#' | '\x7f') {
                text.push(character);
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    text.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
        text.push('\n');
        Ok(text.into_bytes())
    }
}

/// The digest that identifies an adapter: BLAKE3 of its file, in hexadecimal digits.
#[must_use]
pub fn file_digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

impl AdapterRecord {
    fn of(adapter: &Adapter) -> Self {
        Self {
            blake3: file_digest(&adapter.to_bytes()),
            name: adapter.text.get(&TextKey::Name).cloned(),
        }
    }
}
