//! `tlora.lock`.

use std::path::{Component, Path, PathBuf};

use tlora_checkpoint::write_file_atomically;
use tlora_format::Adapter;
use tlora_provenance::{Lock, Pinned, Report};

use crate::explain;
use crate::failure::Failure;
use crate::input;

/// More than any lock file has.
const MAX_BYTES: u64 = 16 << 20;

/// A lock file and where it is.
pub(crate) struct LockFile {
    path: PathBuf,
    pub(crate) lock: Lock,
}

impl LockFile {
    /// Reads a lock file; one that is not there pins nothing.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let failed =
            || Failure::unknown(format!("{} cannot be used as a lock file", path.display()));
        let lock = match fs_err::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Lock::default(),
            _ => {
                let bytes = input::read_regular(path, MAX_BYTES)
                    .map_err(|error| failed().caused_by(error))?;
                let text = String::from_utf8(bytes).map_err(|error| failed().caused_by(error))?;
                Lock::parse(&text).map_err(|error| failed().caused_by(error))?
            }
        };
        Ok(Self {
            path: path.to_owned(),
            lock,
        })
    }

    /// The path of a file relative to the lock file, with `/` between its parts.
    pub(crate) fn path_of(&self, file: &Path) -> Result<String, Failure> {
        let relative = || -> std::io::Result<Option<String>> {
            let directory = self
                .path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let directory = fs_err::canonicalize(directory.unwrap_or(Path::new(".")))?;
            // The name is the link's and not that of what it leads to: links are how hubs store files.
            let parent = file
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let parent = fs_err::canonicalize(parent.unwrap_or(Path::new(".")))?;
            let Ok(parent) = parent.strip_prefix(&directory) else {
                return Ok(None);
            };
            let parts = parent
                .components()
                .chain(file.file_name().map(Component::Normal));
            let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
            Ok(parts.map(|parts| parts.join("/")))
        };
        let failed = || {
            Failure::unknown(format!(
                "{} has no place in {}",
                file.display(),
                self.path.display()
            ))
        };
        let path = relative().map_err(|error| failed().caused_by(error))?;
        path.ok_or_else(|| failed().hint("a lock file pins files in its own directory and below"))
    }

    /// Puts an adapter that passed its checks into the file.
    pub(super) fn write(
        mut self,
        path: &str,
        report: &Report,
        adapter: &Adapter,
    ) -> Result<(), Failure> {
        let Some(sha256) = report.sha256.clone() else {
            return Ok(());
        };
        let signers = report.signers.iter().cloned().collect();
        self.lock.adapters.insert(
            path.to_owned(),
            Pinned {
                sha256,
                tmd1: adapter.base,
                signers,
            },
        );
        write_file_atomically(&self.path, self.lock.to_text().as_bytes(), true)
            .map_err(explain::output)
    }
}
