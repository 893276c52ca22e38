//! The BASE argument of a command: a directory, or a model on the hub.
//!
//! This compiles without the feature `hub`, so that a build without it can still say what an id would need.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::hub::{HubId, HubIdError, HubOptions, HubProgress};

/// Where a base model is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseLocation {
    /// A directory that exists.
    Directory(PathBuf),
    /// A model on the hub.
    Hub(HubId),
}

/// A base model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The directory of the checkpoint.
    pub directory: PathBuf,
    /// The hub's commit, 40 lower-case hexadecimal digits, if the base was named by a hub id.
    pub commit: Option<String>,
}

/// Why there is no base model at the place an argument names.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseLocationError {
    /// The argument can only be a path, and no directory is there.
    #[error("no directory {path}")]
    NoDirectory {
        /// The argument.
        path: String,
    },
    /// The path of something that is not a directory.
    #[error(
        "{path} is not a directory; a base model is the directory that holds its config.json and safetensors files"
    )]
    NotADirectory {
        /// The argument.
        path: String,
    },
    /// Neither of the two readings holds.
    #[error(
        "{text:?} is no base model: as a path, there is no such directory; as a hub id, {reason}"
    )]
    Neither {
        /// The argument.
        text: String,
        /// Why it is not a hub id.
        reason: HubIdError,
    },
    /// A hub id, in a build without the feature `hub`.
    #[error(
        "{id} is not a directory here, and this build cannot download from the hub: fetch it with \
         `hf download {download}` and give the directory that this prints, or build with the feature `hub`",
        download = .id.download_arguments()
    )]
    HubNotBuilt {
        /// The id.
        id: HubId,
    },
    /// The hub, or the cache, did not give the model.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
}

impl BaseLocation {
    /// Reads an argument: an existing directory wins, then `org/name` or `org/name@revision` is a hub id.
    ///
    /// # Errors
    ///
    /// If it is neither; the error has both readings.
    pub fn parse(text: impl AsRef<OsStr>) -> Result<Self, BaseLocationError> {
        let path = Path::new(text.as_ref());
        if path.is_dir() {
            return Ok(Self::Directory(path.to_path_buf()));
        }
        let text = path.to_string_lossy();
        if path.exists() {
            return Err(BaseLocationError::NotADirectory {
                path: text.into_owned(),
            });
        }
        if can_only_be_a_path(&text) {
            return Err(BaseLocationError::NoDirectory {
                path: text.into_owned(),
            });
        }
        match HubId::parse(&text) {
            Ok(id) => Ok(Self::Hub(id)),
            Err(reason) => Err(BaseLocationError::Neither {
                text: text.into_owned(),
                reason,
            }),
        }
    }

    /// The base's directory on this machine; a hub id is looked up in the cache and downloaded if need be.
    ///
    /// # Errors
    ///
    /// For a hub id: what the hub answered or the cache lacks, or that this build has no feature `hub`.
    pub fn fetch(
        self,
        options: &HubOptions,
        progress: &dyn HubProgress,
    ) -> Result<Base, BaseLocationError> {
        match self {
            Self::Directory(directory) => Ok(Base {
                directory,
                commit: None,
            }),
            Self::Hub(id) => fetch_from_hub(id, options, progress),
        }
    }
}

/// Whether the text starts as only a path does: `/…`, `./…`, `../…`, `~…` or, on Windows, a drive.
fn can_only_be_a_path(text: &str) -> bool {
    let first = text.split(['/', '\\']).next().unwrap_or_default();
    matches!(first, "" | "." | "..")
        || first.starts_with('~')
        || text.contains('\\')
        || Path::new(text).is_absolute()
}

#[cfg(feature = "hub")]
fn fetch_from_hub(
    id: HubId,
    options: &HubOptions,
    progress: &dyn HubProgress,
) -> Result<Base, BaseLocationError> {
    let resolved = crate::hub::resolve(&id, options, progress)?;
    Ok(Base {
        directory: resolved.directory,
        commit: Some(resolved.commit),
    })
}

#[cfg(not(feature = "hub"))]
fn fetch_from_hub(
    id: HubId,
    _: &HubOptions,
    _: &dyn HubProgress,
) -> Result<Base, BaseLocationError> {
    Err(BaseLocationError::HubNotBuilt { id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_existing_directory_wins_over_an_id() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("org/name");
        fs_err::create_dir_all(&path).unwrap();
        assert_eq!(
            BaseLocation::parse(&path).unwrap(),
            BaseLocation::Directory(path)
        );
    }

    #[test]
    fn an_id_may_carry_a_revision() {
        let location = BaseLocation::parse("Qwen/Qwen2.5-7B-Instruct@refs/pr/3").unwrap();
        let BaseLocation::Hub(id) = location else {
            panic!("an id, not {location:?}")
        };
        assert_eq!(
            (id.repository(), id.revision()),
            ("Qwen/Qwen2.5-7B-Instruct", "refs/pr/3")
        );
    }

    #[test]
    fn a_text_that_is_neither_is_reported_with_both_readings() {
        let message = BaseLocation::parse("gpt2").unwrap_err().to_string();
        assert!(message.contains("no such directory"), "{message}");
        assert!(message.contains("org/name"), "{message}");
    }

    #[test]
    fn paths_are_never_taken_for_ids() {
        for text in [
            "./missing",
            "../missing",
            "/missing/base",
            "~/base",
            ".",
            ".\\base",
        ] {
            let location = BaseLocation::parse(Path::new(text).join("no-such-entry"));
            assert!(
                matches!(location, Err(BaseLocationError::NoDirectory { .. })),
                "{text}: {location:?}"
            );
        }
    }

    #[test]
    fn a_file_is_not_a_base() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let location = BaseLocation::parse(file.path());
        assert!(
            matches!(location, Err(BaseLocationError::NotADirectory { .. })),
            "{location:?}"
        );
    }

    #[cfg(not(feature = "hub"))]
    #[test]
    fn without_the_feature_an_id_says_how_to_get_the_model() {
        let options = HubOptions::new("cache");
        let error = BaseLocation::parse("org/name@v1")
            .unwrap()
            .fetch(&options, &())
            .unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains("`hf download org/name --revision v1`"),
            "{message}"
        );
        assert!(message.contains("feature `hub`"), "{message}");
    }
}
