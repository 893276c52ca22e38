//! Whose signatures count.

use toml::Spanned;

use super::date::Date;
use super::document::SignerEntry;
use super::error::PolicyError;
use super::read::Reader;
use crate::{KeyType, PublicKey};

/// Somebody whose signature counts. The key or identity comes from here and never from the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The name in reports.
    pub name: String,
    /// Who it is.
    pub identity: SignerIdentity,
    /// The first day on which the signature counts.
    pub not_before: Option<Date>,
    /// The last day on which the signature counts.
    pub not_after: Option<Date>,
}

/// What makes a signer: two entries with the same are one signer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignerIdentity {
    /// The holder of a key.
    Key(PublicKey),
    /// A workflow of GitHub Actions.
    Workflow {
        /// The whole identity, such as
        /// `https://github.com/acme/adapters/.github/workflows/train.yml@refs/heads/main`.
        identity: String,
        /// Who vouches for it, such as `https://token.actions.githubusercontent.com`.
        issuer: String,
    },
}

impl Signer {
    /// Why the signature does not count on a day, if it does not.
    ///
    /// A signature with a key carries no time that could be trusted: what counts is the day of the verification.
    #[must_use]
    pub fn out_of_date(&self, today: Date) -> Option<String> {
        match (self.not_before, self.not_after) {
            (Some(first), _) if today < first => Some(format!("counts from {first} on")),
            (_, Some(last)) if today > last => Some(format!("expired after {last}")),
            _ => None,
        }
    }

    /// Whether two entries are the same signer.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

pub(super) fn signer(
    reader: &mut Reader<'_>,
    entry: &Spanned<SignerEntry>,
) -> Result<Signer, PolicyError> {
    let line = reader.line(entry);
    let SignerEntry { name, .. } = entry.as_ref();
    let fault = |fault| PolicyError::Signer {
        line,
        signer: name.clone(),
        fault,
    };
    if name.is_empty() {
        return Err(fault("the name is empty"));
    }
    let entry = entry.as_ref();
    let identity = match entry.kind.as_ref().as_str() {
        "p256" => key(reader, entry, KeyType::P256, &fault)?,
        "ed25519" => key(reader, entry, KeyType::Ed25519, &fault)?,
        "github" => workflow(reader, entry, &fault)?,
        _ => return Err(reader.value(&entry.kind, "type", "\"p256\", \"ed25519\" or \"github\"")),
    };
    Ok(Signer {
        name: name.clone(),
        identity,
        not_before: reader.date(entry.not_before.as_ref(), "not_before")?,
        not_after: reader.date(entry.not_after.as_ref(), "not_after")?,
    })
}

type Fault<'a> = &'a dyn Fn(&'static str) -> PolicyError;

fn key(
    reader: &mut Reader<'_>,
    entry: &SignerEntry,
    kind: KeyType,
    fault: Fault<'_>,
) -> Result<SignerIdentity, PolicyError> {
    if entry.identity.is_some() || entry.issuer.is_some() {
        return Err(fault("identity and issuer belong to type \"github\""));
    }
    let path = entry
        .key
        .as_ref()
        .ok_or_else(|| fault("key, the file with the public key, is missing"))?;
    if path.as_ref().is_empty() {
        return Err(reader.value(path, "key", "the path of a file with a public key"));
    }
    let key = reader.key(path)?;
    if key.key_type() != kind {
        return Err(fault("the key file has a key of another type"));
    }
    Ok(SignerIdentity::Key(key))
}

fn workflow(
    reader: &Reader<'_>,
    entry: &SignerEntry,
    fault: Fault<'_>,
) -> Result<SignerIdentity, PolicyError> {
    if entry.key.is_some() {
        return Err(fault("key belongs to the types \"p256\" and \"ed25519\""));
    }
    let (Some(identity), Some(issuer)) = (&entry.identity, &entry.issuer) else {
        return Err(fault("type \"github\" needs identity and issuer"));
    };
    for (value, what) in [(identity, "identity"), (issuer, "issuer")] {
        if !is_literal_url(value.as_ref()) {
            let wanted = "a whole https:// URL without wildcards, regular expressions and spaces";
            return Err(reader.value(value, what, wanted));
        }
    }
    Ok(SignerIdentity::Workflow {
        identity: identity.as_ref().clone(),
        issuer: issuer.as_ref().clone(),
    })
}

/// A URL that says what it means: a pattern would let in identities that nobody thought of.
fn is_literal_url(text: &str) -> bool {
    const PATTERN: &str = "*?[]{}()^$|\\\"'`<>";
    text.len() > "https://".len()
        && text.starts_with("https://")
        && text
            .chars()
            .all(|c| c.is_ascii_graphic() && !PATTERN.contains(c))
}
