//! What the signers of an adapter have to say about it.

use std::collections::{BTreeMap, BTreeSet};

/// What the signers of an adapter have to say about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClaimPolicy {
    /// Claims that have to be made, such as `code.commit`.
    pub required: BTreeSet<String>,
    /// The least value of claimed results, such as `eval.gsm8k`.
    pub min: BTreeMap<String, f64>,
}

impl ClaimPolicy {
    /// Whether nothing is asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.required.is_empty() && self.min.is_empty()
    }
}

/// Whether a text can be the name of a claim: parts of letters, digits, `_` and `-`, two or more, with dots between.
pub(super) fn is_claim_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    name.contains('.') && name.split('.').all(is_part)
}
