//! The layout of the cache, as Python's `huggingface_hub` keeps it.
//!
//! ```text
//! models--org--name/refs/REVISION            the commit; data sets are in datasets--org--name
//! models--org--name/blobs/ETAG               the bytes of a file, once
//! models--org--name/snapshots/COMMIT/FILE    a relative link to the blob
//! .locks/models--org--name/ETAG.lock         held while the blob is downloaded
//! ```

use std::io;
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};

use super::id::{HubId, RepositoryKind, is_commit};
use super::options::HubOptions;
use super::progress::HubProgress;

/// The part of the cache that belongs to one repository.
pub(super) struct RepositoryCache {
    folder: PathBuf,
    locks: PathBuf,
}

impl RepositoryCache {
    pub(super) fn new(id: &HubId, options: &HubOptions) -> Self {
        let kind = match id.kind() {
            RepositoryKind::Model => "models",
            RepositoryKind::Dataset => "datasets",
        };
        let name = format!("{kind}--{}", id.repository().replace('/', "--"));
        Self {
            folder: options.cache.join(&name),
            locks: options.cache.join(".locks").join(&name),
        }
    }

    /// The directory of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.folder.join("blobs").join(etag)
    }

    /// The commit of a revision, as far as the cache knows.
    pub(super) fn commit_of(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let commit = fs_err::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(commit.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Remembers the commit of a revision.
    pub(super) fn set_commit(&self, revision: &str, commit: &str) -> io::Result<()> {
        if self.commit_of(revision).as_deref() == Some(commit) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        let folder = create_parent(&path)?;
        let mut file = tempfile::Builder::new()
            .prefix(".ref")
            .tempfile_in(folder)?;
        io::Write::write_all(&mut file, commit.as_bytes())?;
        persist(file.into_temp_path(), &path)
    }

    /// Whether a snapshot has a file, of the given size if one is given.
    pub(super) fn has(&self, commit: &str, file: &str, size: Option<u64>) -> bool {
        is_whole(&self.snapshot(commit).join(file), size)
    }

    /// Puts a blob into a snapshot.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> io::Result<()> {
        let pointer = self.snapshot(commit).join(file);
        let folder = create_parent(&pointer)?;
        let temporary = folder.join(format!(".{etag}.{}", std::process::id()));
        match fs_err::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let up = "../".repeat(2 + file.matches('/').count());
        match symlink(&Path::new(&up).join("blobs").join(etag), &temporary) {
            Ok(()) => fs_err::rename(&temporary, &pointer),
            // A file system without links: the blob itself becomes the file, as in Python's package.
            Err(_) => fs_err::rename(self.blob(etag), &pointer),
        }
    }

    /// Waits until no other process downloads the blob; the lock falls with the file.
    pub(super) fn lock(
        &self,
        etag: &str,
        file: &str,
        progress: &dyn HubProgress,
    ) -> io::Result<File> {
        let path = self.locks.join(format!("{etag}.lock"));
        create_parent(&path)?;
        let lock = OpenOptions::new().create(true).append(true).open(path)?;
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            // Not every file system has locks. Without one a download made twice fails at its hash, no worse.
            Err(fs_err_lock_error) => match io::Error::from(fs_err_lock_error) {
                error if error.kind() == io::ErrorKind::Unsupported => return Ok(lock),
                error if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                _ => progress.waiting(file),
            },
        }
        lock.lock()?;
        Ok(lock)
    }
}

/// Whether a file is there, of the given size if one is given.
pub(super) fn is_whole(path: &Path, size: Option<u64>) -> bool {
    fs_err::metadata(path)
        .is_ok_and(|found| found.is_file() && size.is_none_or(|size| found.len() == size))
}

/// Creates the folder that a path is in.
pub(super) fn create_parent(path: &Path) -> io::Result<&Path> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    fs_err::create_dir_all(parent)?;
    Ok(parent)
}

fn persist(temporary: tempfile::TempPath, path: &Path) -> io::Result<()> {
    make_readable(&temporary)?;
    temporary.persist(path).map_err(|error| error.error)
}

/// A temporary file is private to its user; the cache may be shared.
#[cfg(unix)]
fn make_readable(path: &Path) -> io::Result<()> {
    fs_err::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    fs_err::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    fs_err::os::windows::fs::symlink_file(target, link)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
