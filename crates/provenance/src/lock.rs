//! `tlora.lock`: which files a repository uses, by digest, so that an older or another adapter is noticed, however well it is
//! signed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tlora_format::BaseDigest;

/// What is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lock {
    /// By path, relative to the lock file, with `/` between its parts.
    pub adapters: BTreeMap<String, Pinned>,
}

/// One pinned file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// The base that it is for.
    pub tmd1: BaseDigest,
    /// The names of the policy's signers whose signatures counted when it was pinned.
    pub signers: BTreeSet<String>,
}

/// Why a text is no lock file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// It is not TOML, or has a key that is not known.
    #[error("line {line}: {message}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What the TOML reader says.
        message: String,
    },
    /// It is of another version.
    #[error("version {found}; this program knows 1")]
    Version {
        /// Its version.
        found: i64,
    },
    /// An entry is not valid.
    #[error("{path:?}: {fault}")]
    Entry {
        /// Its path.
        path: String,
        /// What is wrong.
        fault: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: i64,
    #[serde(default)]
    adapter: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    sha256: String,
    tmd1: String,
    #[serde(default)]
    signers: BTreeSet<String>,
}

impl Lock {
    /// Reads the text of a lock file.
    ///
    /// # Errors
    /// If it is none, or has a path twice.
    pub fn parse(text: &str) -> Result<Self, LockError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            LockError::Syntax {
                line: 1 + before.matches('\n').count(),
                message: error.message().to_owned(),
            }
        })?;
        if document.version != 1 {
            return Err(LockError::Version {
                found: document.version,
            });
        }
        let mut lock = Self::default();
        for Entry {
            path,
            sha256,
            tmd1,
            signers,
        } in document.adapter
        {
            let fault = |fault| LockError::Entry {
                path: path.clone(),
                fault,
            };
            if !is_sha256(&sha256) {
                return Err(fault("sha256 is not 64 lower-case hexadecimal digits"));
            }
            let tmd1 = format!("tmd1:{tmd1}")
                .parse()
                .map_err(|_not_hex| fault("tmd1 is not 64 lower-case hexadecimal digits"))?;
            if lock.adapters.contains_key(&path) {
                return Err(fault("the path stands twice"));
            }
            lock.adapters.insert(
                path,
                Pinned {
                    sha256,
                    tmd1,
                    signers,
                },
            );
        }
        Ok(lock)
    }

    /// The text of the lock file: equal locks are equal texts.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = "# Which adapters this repository uses. Written by `tlora verify --write-lock`.\nversion = 1\n".to_owned();
        for (path, pinned) in &self.adapters {
            let signers: Vec<String> = pinned.signers.iter().map(|name| quoted(name)).collect();
            let tmd1 = pinned.tmd1.to_string();
            let tmd1 = tmd1.trim_start_matches("tmd1:");
            text += &format!(
                "\n[[adapter]]\npath = {}\nsha256 = \"{}\"\ntmd1 = \"{tmd1}\"\n",
                quoted(path),
                pinned.sha256
            );
            if !signers.is_empty() {
                text += &format!("signers = [{}]\n", signers.join(", "));
            }
        }
        text
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock() -> Lock {
        let pinned = Pinned {
            sha256: "ab".repeat(32),
            tmd1: BaseDigest([7; 32]),
            signers: BTreeSet::from(["release \"1\"".to_owned()]),
        };
        let unsigned = Pinned {
            signers: BTreeSet::new(),
            ..pinned.clone()
        };
        Lock {
            adapters: BTreeMap::from([
                ("a\\b\u{1}\n.tlora".to_owned(), pinned),
                ("b.tlora".to_owned(), unsigned),
            ]),
        }
    }

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(Lock::parse(&lock().to_text()).unwrap(), lock());
    }

    #[test]
    fn rejects_unknown_keys_other_versions_and_paths_that_stand_twice() {
        let entry = format!(
            "[[adapter]]\npath = \"a\"\nsha256 = \"{0}\"\ntmd1 = \"{0}\"\n",
            "ab".repeat(32)
        );
        assert!(Lock::parse(&format!("version = 1\n{entry}")).is_ok());
        let unknown = Lock::parse(&format!("version = 1\n{entry}note = 1\n"));
        assert!(
            matches!(unknown, Err(LockError::Syntax { line: 6, .. })),
            "{unknown:?}"
        );
        assert!(matches!(
            Lock::parse("version = 2\n"),
            Err(LockError::Version { found: 2 })
        ));
        assert!(matches!(
            Lock::parse(&format!("version = 1\n{entry}{entry}")),
            Err(LockError::Entry { .. })
        ));
        let upper = entry.replace("ab", "AB");
        assert!(matches!(
            Lock::parse(&format!("version = 1\n{upper}")),
            Err(LockError::Entry { .. })
        ));
    }
}
