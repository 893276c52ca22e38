//! The sha256 of every file of a checkpoint and its `tmd1`, from one reading of the bytes.
//!
//! The sha256 of a file is one chain from its first byte to its last, three times the work of BLAKE3. So files are the
//! unit that threads take, in the order of their size; a thread that can have a second one for itself reads and does the
//! sha256, and hands the block over for the leaves.

use std::cmp::Reverse;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fs_err::File;

use crate::checkpoint::{INDEX, Stamp};
use crate::file_hash::{FileHash, hash_file, joined};
use crate::hub_snapshot::{HubSnapshot, claimed_sha256};
use crate::tmd1::{Digested, digested};
use crate::{Checkpoint, CheckpointError, TensorInfo, companion_files, source};

/// A checkpoint's digest, its files, and what the Hugging Face cache says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestedFiles {
    /// The base digest and the leaves.
    pub digested: Digested,
    /// The files that a merge reads or copies, sorted by name: the shards, their index, and the companions.
    pub files: Vec<FileDigest>,
    /// The snapshot that the directory is, if it is one.
    pub hub: Option<HubSnapshot>,
}

/// The digest of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Its name in the directory.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its sha256.
    pub sha256: [u8; 32],
    /// The blob of the Hugging Face cache that it links to. If that name is a sha256, it is the one above.
    pub blob: Option<String>,
}

/// Reads all files of a checkpoint once, on `threads` threads, for their sha256 and the digest of the whole.
///
/// `progress` is called, from any thread, with the number of bytes just hashed.
///
/// # Errors
/// A file cannot be read or was written to meanwhile; [`CheckpointError::Blob`] if a file is not the one that its name
/// in the Hugging Face cache claims.
pub fn digest_files(
    checkpoint: &Checkpoint,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<DigestedFiles, CheckpointError> {
    let hub = HubSnapshot::of(checkpoint.dir())?;
    let others = open_others(checkpoint)?;
    let jobs = jobs(checkpoint, &others)?;
    let (mut files, mut leaves) = (Vec::new(), Vec::new());
    for (job, hash) in hash_all(&jobs, threads, progress)? {
        files.push(job.digest(&hash));
        leaves.extend(hash.leaves);
    }
    checkpoint.ensure_unchanged()?;
    files.sort_by(|a, b| a.name.cmp(&b.name));
    for file in &mut files {
        file.blob = blob(checkpoint, hub.as_ref(), file)?;
    }
    Ok(DigestedFiles {
        digested: digested(checkpoint, leaves.into_iter().collect()),
        files,
        hub,
    })
}

/// The blob of a file, which the sha256 must not contradict.
fn blob(
    checkpoint: &Checkpoint,
    hub: Option<&HubSnapshot>,
    file: &FileDigest,
) -> Result<Option<String>, CheckpointError> {
    let path = checkpoint.dir().join(&file.name);
    let Some(blob) = hub.map(|hub| hub.blob(&path)).transpose()?.flatten() else {
        return Ok(None);
    };
    match claimed_sha256(&blob) {
        Some(claimed) if claimed != file.sha256 => Err(CheckpointError::Blob {
            file: path,
            claimed: blob,
            found: hexadecimal(&file.sha256),
        }),
        _ => Ok(Some(blob)),
    }
}

/// The hexadecimal digits of a hash.
pub fn hexadecimal(hash: &[u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file to hash, and the tensors in it in the order of their offsets.
struct Job<'a> {
    name: &'a str,
    file: &'a File,
    stamp: Stamp,
    tensors: Vec<&'a TensorInfo>,
}

/// The files beside the shards.
fn open_others(checkpoint: &Checkpoint) -> Result<Vec<(String, File)>, CheckpointError> {
    let companions = companion_files(checkpoint)?.copied.into_iter();
    let names = companions.map(|companion| companion.name);
    let index = checkpoint.has_index().then(|| INDEX.to_owned());
    let open = |name: String| Ok((name.clone(), source::open(checkpoint.dir(), &name)?));
    names.chain(index).map(open).collect()
}

/// All files, the largest first.
fn jobs<'a>(
    checkpoint: &'a Checkpoint,
    others: &'a [(String, File)],
) -> Result<Vec<Job<'a>>, CheckpointError> {
    let mut jobs = Vec::new();
    for (number, shard) in checkpoint.shards().iter().enumerate() {
        let tensors = checkpoint.tensors().values();
        let mut tensors: Vec<_> = tensors.filter(|tensor| tensor.shard == number).collect();
        tensors.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
        jobs.push(Job::new(shard.name(), shard.file(), tensors)?);
    }
    for (name, file) in others {
        jobs.push(Job::new(name, file, Vec::new())?);
    }
    jobs.sort_by_key(|job| Reverse(job.stamp.len()));
    Ok(jobs)
}

impl<'a> Job<'a> {
    fn new(
        name: &'a str,
        file: &'a File,
        tensors: Vec<&'a TensorInfo>,
    ) -> Result<Self, CheckpointError> {
        let stamp = Stamp::of(file)?;
        Ok(Self {
            name,
            file,
            stamp,
            tensors,
        })
    }

    fn run(
        &self,
        helper: bool,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<FileHash, CheckpointError> {
        let helper = helper && !self.tensors.is_empty();
        let hash = hash_file(self.file, self.stamp.len(), &self.tensors, helper, progress)?;
        if Stamp::of(self.file)? == self.stamp {
            Ok(hash)
        } else {
            Err(CheckpointError::Changed(self.file.path().to_owned()))
        }
    }

    fn digest(&self, hash: &FileHash) -> FileDigest {
        FileDigest {
            name: self.name.to_owned(),
            bytes: self.stamp.len(),
            sha256: hash.sha256,
            blob: None,
        }
    }
}

fn hash_all<'j, 'a>(
    jobs: &'j [Job<'a>],
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<(&'j Job<'a>, FileHash)>, CheckpointError> {
    let shards = jobs.iter().filter(|job| !job.tensors.is_empty()).count();
    // Files side by side first: of two threads at one file the one without the sha256 waits.
    let workers = threads.get().min(shards.max(1));
    let helper = threads.get() >= 2 * workers;
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<_>, CheckpointError> {
        let mut done = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hash = job.run(helper, progress).inspect_err(|_| {
                // The other threads find no more work.
                next.store(jobs.len(), Ordering::Relaxed);
            })?;
            done.push((job, hash));
        }
        Ok(done)
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let mut all = work()?;
        for other in others {
            all.extend(joined(other)?);
        }
        Ok(all)
    })
}
