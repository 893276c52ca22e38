//! Rebuilt bases, kept between runs (spec §6).
//!
//! A basis depends on the base, the module and the rank alone, so an entry never goes out of date, and the whole cache
//! may be deleted at any time. Entries are checked when they are read; one that is not whole is as good as absent.

mod entry;
mod location;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tempfile::Builder;
use tlora_format::BaseDigest;

pub use entry::Unusable;
pub use location::default_directory;

/// The algorithm that the vectors of an entry come from. A change of spec §6 changes it.
pub const ALGORITHM: &str = "exact-1";

/// The size that a cache is kept below unless told otherwise: 4 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 4 << 30;

/// A directory of bases.
#[derive(Debug)]
pub struct BasisCache {
    directory: PathBuf,
    max_bytes: u64,
    stored: AtomicBool,
}

/// What determines a basis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BasisKey<'a> {
    /// The base model.
    pub base: BaseDigest,
    /// The name of the module.
    pub module: &'a str,
    /// The module's rank (spec §5.2).
    pub rank: u8,
    /// Columns of W (`in`): the length of the columns of V.
    pub columns: u64,
    /// Whether the checkpoint stores Wᵀ, so that V belongs to the other side of the stored matrix.
    pub transposed: bool,
}

/// A basis as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct CachedBasis {
    /// The singular values, as many as the rank.
    pub sigma: Vec<f64>,
    /// V, column by column, rank × columns values.
    pub v: Vec<f64>,
    /// How many passes over W it took.
    pub passes: u32,
}

/// What the cache has for a key.
#[derive(Debug)]
pub enum Lookup {
    /// The basis.
    Found(CachedBasis),
    /// Nothing.
    Absent,
    /// A file that cannot be used and should be replaced.
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Unusable,
    },
}

impl BasisCache {
    /// A cache in `directory`, or in [`default_directory`]; `None` if there is no such directory either.
    ///
    /// Nothing is created before the first [`Self::store`].
    pub fn open(directory: Option<PathBuf>, max_bytes: u64) -> Option<Self> {
        let directory = directory.or_else(default_directory)?.join("basis");
        Some(Self {
            directory,
            max_bytes,
            stored: AtomicBool::new(false),
        })
    }

    /// Looks up a basis. Never fails: what cannot be read is rebuilt. What is found has the lengths that the key gives.
    pub fn load(&self, key: &BasisKey<'_>) -> Lookup {
        let path = self.path(key);
        match entry::read(&path, key) {
            Ok(Some(basis)) => Lookup::Found(basis),
            Ok(None) => Lookup::Absent,
            Err(reason) => Lookup::Unusable { path, reason },
        }
    }

    /// Keeps a basis, replacing what was there. Several processes may store the same one at once.
    ///
    /// # Errors
    /// The disk fails or is full. The caller has its basis all the same: that is worth a warning.
    pub fn store(&self, key: &BasisKey<'_>, basis: &CachedBasis) -> io::Result<()> {
        let path = self.path(key);
        let parent = path.parent().unwrap_or(&self.directory);
        fs_err::create_dir_all(parent)?;
        let mut temporary = Builder::new().prefix(".partial-").tempfile_in(parent)?;
        temporary.write_all(&entry::encode(key, basis))?;
        temporary.persist(&path).map_err(|failed| failed.error)?;
        self.stored.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the oldest entries until the cache is no larger than its bound; returns how many bytes were removed.
    ///
    /// Dropping a cache that something was stored in does this too.
    ///
    /// # Errors
    /// The cache cannot be listed, or an entry not be removed.
    pub fn prune(&self) -> io::Result<u64> {
        let mut files = Vec::new();
        list(&self.directory, &mut files)?;
        files.sort();
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        let before = total;
        for file in files {
            if total <= self.max_bytes {
                break;
            }
            gone_is_fine(fs_err::remove_file(&file.path))?;
            total -= file.bytes;
        }
        Ok(before - total)
    }

    fn path(&self, key: &BasisKey<'_>) -> PathBuf {
        let base: String = key
            .base
            .0
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let transposed = if key.transposed { "t" } else { "" };
        let name = blake3::hash(key.module.as_bytes()).to_hex();
        let file = name.get(..32).unwrap_or_default();
        self.directory
            .join(ALGORITHM)
            .join(base)
            .join(format!("r{}{transposed}", key.rank))
            .join(file)
    }
}

impl Drop for BasisCache {
    fn drop(&mut self) {
        if self.stored.load(Ordering::Relaxed) {
            // A cache that stays too large is the next run's to prune.
            drop(self.prune());
        }
    }
}

/// A file of the cache; the oldest sorts first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Stored {
    modified: Option<SystemTime>,
    path: PathBuf,
    bytes: u64,
}

/// Lists the files below a directory, those of other algorithms and of interrupted runs included.
fn list(directory: &Path, files: &mut Vec<Stored>) -> io::Result<()> {
    let Some(entries) = gone_is_fine(fs_err::read_dir(directory))? else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        // Another process may be pruning too.
        let Some(metadata) = gone_is_fine(entry.metadata())? else {
            continue;
        };
        let path = entry.path();
        if metadata.is_dir() {
            list(&path, files)?;
        } else {
            files.push(Stored {
                modified: metadata.modified().ok(),
                path,
                bytes: metadata.len(),
            });
        }
    }
    Ok(())
}

fn gone_is_fine<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
