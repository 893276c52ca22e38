//! in-toto statements: what is said about which files.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

pub use error::StatementError;

use crate::encoding::{from_hex, to_hex};
use crate::json;

/// The `_type` of a statement.
pub(crate) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";

/// An in-toto Statement v1.
///
/// What it says is worth as much as who says it: take it from a [`Verified`](crate::Verified) bundle.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Statement {
    #[serde(rename = "_type")]
    statement_type: &'static str,
    /// The files that it is about, one or more.
    #[serde(rename = "subject")]
    pub subjects: Vec<Subject>,
    /// What kind of thing it says, a URI.
    #[serde(rename = "predicateType")]
    pub predicate_type: String,
    /// What it says.
    pub predicate: Map<String, Value>,
}

/// A file that a statement is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Its name, for people; empty if it has none. Files are told apart by their digests.
    #[serde(default)]
    pub name: String,
    /// Digests in lower-case hexadecimal, by algorithm.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// A file by its name and SHA-256.
    #[must_use]
    pub fn new(name: impl Into<String>, sha256: &[u8; 32]) -> Self {
        Self {
            name: name.into(),
            digest: BTreeMap::from([("sha256".to_owned(), to_hex(sha256))]),
        }
    }

    /// A file by its name and its bytes.
    #[must_use]
    pub fn of_bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        Self::new(name, &Sha256::digest(bytes).into())
    }

    /// Its SHA-256, if it has one.
    #[must_use]
    pub fn sha256(&self) -> Option<[u8; 32]> {
        from_hex(self.digest.get("sha256")?)?.try_into().ok()
    }
}

/// As a statement is written. Fields that in-toto may add are not rejected: its rule is to ignore what one does not know.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<Subject>,
    predicate_type: String,
    #[serde(default)]
    predicate: Option<Map<String, Value>>,
}

impl Statement {
    /// A statement about one file.
    #[must_use]
    pub fn new(
        subject: Subject,
        predicate_type: impl Into<String>,
        predicate: Map<String, Value>,
    ) -> Self {
        Self {
            statement_type: STATEMENT_TYPE,
            subjects: vec![subject],
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// Reads a statement.
    ///
    /// # Errors
    /// If it is not JSON, has a key twice, is of another type, names no file, or has a digest that is not lower-case
    /// hexadecimal of the algorithm's length.
    pub fn parse(json: &[u8]) -> Result<Self, StatementError> {
        let wire: Wire = json::typed(json::parse(json)?)?;
        if wire.statement_type != STATEMENT_TYPE {
            return Err(StatementError::Type {
                found: wire.statement_type,
            });
        }
        if wire.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        if wire.predicate_type.is_empty() {
            return Err(StatementError::NoPredicateType);
        }
        wire.subject.iter().try_for_each(check_digests)?;
        Ok(Self {
            statement_type: STATEMENT_TYPE,
            subjects: wire.subject,
            predicate_type: wire.predicate_type,
            predicate: wire.predicate.unwrap_or_default(),
        })
    }

    /// The statement as indented JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Strings, maps and numbers have a form in JSON, and all keys are strings.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Whether it is about the file with this SHA-256. Names do not count.
    #[must_use]
    pub fn names_sha256(&self, sha256: &[u8; 32]) -> bool {
        self.subjects
            .iter()
            .any(|subject| subject.sha256().as_ref() == Some(sha256))
    }
}

fn check_digests(subject: &Subject) -> Result<(), StatementError> {
    let wrong = |algorithm: &str| StatementError::Digest {
        subject: subject.name.clone(),
        algorithm: algorithm.to_owned(),
    };
    if subject.digest.is_empty() {
        return Err(wrong("any"));
    }
    for (algorithm, digest) in &subject.digest {
        let length = match algorithm.as_str() {
            "sha256" => 32,
            "sha384" => 48,
            "sha512" => 64,
            _ => continue,
        };
        if from_hex(digest).is_none_or(|bytes| bytes.len() != length) {
            return Err(wrong(algorithm));
        }
    }
    Ok(())
}
