//! The name of a model or of a set of data on the hub: `org/name`, with `@revision` if one is wanted.
//!
//! The characters are checked here, once, because the parts become URLs and names of files.

use std::fmt;
use std::str::FromStr;

/// What a repository of the hub holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepositoryKind {
    /// A model.
    Model,
    /// A set of data.
    Dataset,
}

/// A repository on the hub and a revision of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    kind: RepositoryKind,
    repository: String,
    revision: Option<String>,
}

/// Why a text is not a hub id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubIdError {
    /// There is not exactly one `/` before the revision.
    #[error("an id has the form org/name or org/name@revision")]
    Form,
    /// A part is empty, too long, or has a character or sequence that the hub does not allow.
    #[error(
        "{part:?} is not a name the hub allows: 1 to 96 ASCII letters, digits, '-', '_' and '.', neither beginning nor \
         ending with '-' or '.', without '--' and '..', not ending with .git"
    )]
    Name {
        /// The part.
        part: String,
    },
    /// The revision is not a name of a branch, tag or commit.
    #[error("{revision:?} is not a branch, tag or commit")]
    Revision {
        /// The text after the `@`.
        revision: String,
    },
}

impl HubId {
    /// The revision that stands for none.
    pub const DEFAULT_REVISION: &str = "main";

    /// Reads `org/name` or `org/name@revision`, of a model.
    ///
    /// # Errors
    ///
    /// If a part has a character or form that the hub does not allow.
    pub fn parse(text: &str) -> Result<Self, HubIdError> {
        Self::of_kind(RepositoryKind::Model, text)
    }

    /// The same of another kind of repository.
    ///
    /// # Errors
    ///
    /// If a part has a character or form that the hub does not allow.
    pub fn of_kind(kind: RepositoryKind, text: &str) -> Result<Self, HubIdError> {
        let (repository, revision) = match text.split_once('@') {
            Some((repository, revision)) => (repository, Some(revision)),
            None => (text, None),
        };
        let (org, name) = repository.split_once('/').ok_or(HubIdError::Form)?;
        if name.contains('/') {
            return Err(HubIdError::Form);
        }
        for part in [org, name] {
            if !is_name(part) {
                return Err(HubIdError::Name {
                    part: part.to_owned(),
                });
            }
        }
        if let Some(revision) = revision.filter(|revision| !is_revision(revision)) {
            return Err(HubIdError::Revision {
                revision: revision.to_owned(),
            });
        }
        Ok(Self {
            kind,
            repository: repository.to_owned(),
            revision: revision.map(str::to_owned),
        })
    }

    /// What the repository holds.
    pub const fn kind(&self) -> RepositoryKind {
        self.kind
    }

    /// The repository: `org/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The branch, tag or commit; `main` if the id names none.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(Self::DEFAULT_REVISION)
    }

    /// The arguments of `hf download` that fetch it.
    pub(crate) fn download_arguments(&self) -> String {
        match &self.revision {
            Some(revision) => format!("{} --revision {revision}", self.repository),
            None => self.repository.clone(),
        }
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.revision {
            Some(revision) => write!(f, "{}@{revision}", self.repository),
            None => f.write_str(&self.repository),
        }
    }
}

impl FromStr for HubId {
    type Err = HubIdError;

    fn from_str(text: &str) -> Result<Self, HubIdError> {
        Self::parse(text)
    }
}

fn is_name(part: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=96).contains(&part.len())
        && part.bytes().all(allowed)
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
        && !part.ends_with(".git")
}

/// A git ref name of plain characters; each of its parts is then also the name of a file.
fn is_revision(revision: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    revision.len() <= 255
        && revision.split('/').all(|part| {
            !part.is_empty()
                && part.bytes().all(allowed)
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.ends_with(".lock")
                && !part.contains("..")
        })
}

/// Whether a text is a whole commit: 40 lower-case hexadecimal digits.
pub(crate) fn is_commit(text: &str) -> bool {
    text.len() == 40 && is_lower_hex(text)
}

pub(super) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_read() {
        for text in [
            "Qwen/Qwen2.5-7B-Instruct",
            "a/b@main",
            "a_b/c.d@refs/pr/12",
            "a/b@v1.0+x",
        ] {
            assert_eq!(HubId::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn no_revision_means_main() {
        assert_eq!(HubId::parse("a/b").unwrap().revision(), "main");
    }

    #[test]
    fn rejects_names_that_the_hub_does_not_allow() {
        for text in [
            "a/..", "../b", "a/b--c", "a/-b", "a/b.", "a/b.git", "a/b c", "a/", "/b", "a/b\0",
            "ä/b", "a/b%2e",
        ] {
            assert!(
                matches!(HubId::parse(text), Err(HubIdError::Name { .. })),
                "{text}"
            );
        }
        assert!(HubId::parse(&format!("a/{}", "b".repeat(97))).is_err());
    }

    #[test]
    fn rejects_other_forms() {
        for text in ["gpt2", "a/b/c", "", "https://huggingface.co/a/b"] {
            assert!(HubId::parse(text).is_err(), "{text}");
        }
        assert_eq!(HubId::parse("gpt2"), Err(HubIdError::Form));
    }

    #[test]
    fn rejects_revisions_that_could_leave_the_refs_folder() {
        for text in [
            "a/b@", "a/b@../x", "a/b@/x", "a/b@x//y", "a/b@x/", "a/b@.x", "a/b@x y", "a/b@x\\y",
            "a/b@x@y", "a/b@-x",
        ] {
            assert!(
                matches!(HubId::parse(text), Err(HubIdError::Revision { .. })),
                "{text}"
            );
        }
    }
}
