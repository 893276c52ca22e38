//! The policy of a verification: what is required, whose signatures count, and which limits hold. docs/provenance.md
//! describes the file.
//!
//! Unknown keys are errors, so that a typo cannot weaken a gate; and each line only adds to what is asked for.

mod claims;
mod date;
mod document;
mod error;
mod read;
mod signer;

use std::collections::BTreeSet;
use std::num::NonZero;

use tlora_format::BaseDigest;

pub use claims::ClaimPolicy;
pub use date::Date;
pub use error::PolicyError;
pub(crate) use read::distinct;
pub use signer::{Signer, SignerIdentity};

use crate::Group;

/// What has to hold of an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// SHA-256 of the policy file, 64 hexadecimal digits.
    pub sha256: String,
    /// Groups of checks that have to be found out, and have to pass.
    pub require: BTreeSet<Group>,
    /// How many distinct signers there have to be.
    pub threshold: NonZero<usize>,
    /// Whose signatures count.
    pub signers: Vec<Signer>,
    /// The bases that adapters may be made for; any, if there are none.
    pub bases: Vec<PolicyBase>,
    /// Limits on the file.
    pub limits: Limits,
    /// Limits on what its signers say.
    pub claims: ClaimPolicy,
    /// What is refused, whoever signed it.
    pub deny: Deny,
}

/// A base that adapters may be made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBase {
    /// Its name for people. Entries with the same id are the same model, stored differently.
    pub id: String,
    /// Its digest.
    pub tmd1: BaseDigest,
    /// The commit of its repository that a statement has to name.
    pub commit: Option<String>,
}

/// Limits on the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// The most trained numbers.
    pub max_params: Option<u64>,
    /// The largest ‖ΔW‖ / ‖W‖ of a module.
    pub max_delta_ratio: Option<f64>,
    /// Which seeds are allowed.
    pub seed: SeedRule,
}

/// Which seeds of the projections are allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SeedRule {
    /// All.
    #[default]
    Any,
    /// Only the one that follows from the base digest, so that nobody can have searched for it.
    Canonical,
}

/// What is refused, whoever signed it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deny {
    /// SHA-256 of files, 64 hexadecimal digits.
    pub adapters: BTreeSet<String>,
    /// Names of signers, `sha256:` and the fingerprint of a key, or workflow identities.
    pub signers: BTreeSet<String>,
}

impl Policy {
    /// Whether a group has to be found out.
    #[must_use]
    pub fn requires(&self, group: Group) -> bool {
        self.require.contains(&group)
    }

    /// The entries for a base digest and for the same model stored differently; empty if it is not listed.
    #[must_use]
    pub fn equivalents(&self, base: &BaseDigest) -> Vec<&PolicyBase> {
        let listed = |id: &str| {
            self.bases
                .iter()
                .any(|entry| entry.id == id && entry.tmd1 == *base)
        };
        self.bases
            .iter()
            .filter(|entry| listed(&entry.id))
            .collect()
    }
}

impl Deny {
    /// Whether nothing is refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.adapters.is_empty() && self.signers.is_empty()
    }

    /// The entry that refuses a signer, if there is one.
    #[must_use]
    pub fn refuses(&self, signer: &Signer) -> bool {
        let key = match &signer.identity {
            SignerIdentity::Key(key) => format!("sha256:{}", key.fingerprint()),
            SignerIdentity::Workflow { identity, .. } => identity.clone(),
        };
        self.signers.contains(&signer.name) || self.signers.contains(&key)
    }
}
