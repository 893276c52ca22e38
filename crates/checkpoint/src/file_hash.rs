//! The sha256 of one file and the leaves of the tensors in it, from one reading.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ScopedJoinHandle};

use fs_err::File;
use sha2::{Digest, Sha256};

use crate::tmd1::{Leaf, LeafHasher};
use crate::{CheckpointError, TensorInfo, positioned};

/// Bytes of a read: what the second-level cache still holds when they are hashed.
const BLOCK: usize = 1 << 19;
/// Blocks that go round between the two threads of a file.
const BLOCKS: usize = 4;

/// What one file hashes to.
pub(crate) struct FileHash {
    pub(crate) sha256: [u8; 32],
    pub(crate) leaves: Vec<(String, Leaf)>,
}

/// Reads the first `len` bytes of a file, all it has. With `helper` a second thread does the leaves.
pub(crate) fn hash_file(
    file: &File,
    len: u64,
    tensors: &[&TensorInfo],
    helper: bool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<FileHash, CheckpointError> {
    let leaves = Leaves::new(tensors);
    let blocks = Blocks {
        file,
        offset: 0,
        len,
        progress,
    };
    if helper {
        hash_on_two_threads(blocks, leaves)
    } else {
        hash_on_one_thread(blocks, leaves)
    }
}

/// The result of a thread, whose panic goes on here.
pub(crate) fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn hash_on_one_thread(
    mut blocks: Blocks<'_>,
    mut leaves: Leaves<'_>,
) -> Result<FileHash, CheckpointError> {
    let mut sha256 = Sha256::new();
    let mut block = Vec::new();
    while blocks.next_into(&mut block)? {
        sha256.update(&block);
        leaves.update(&block);
    }
    Ok(FileHash {
        sha256: sha256.finalize().into(),
        leaves: leaves.finish(),
    })
}

fn hash_on_two_threads(
    mut blocks: Blocks<'_>,
    leaves: Leaves<'_>,
) -> Result<FileHash, CheckpointError> {
    let (full, to_hash) = channel();
    let (empty, to_fill) = channel();
    for _ in 0..BLOCKS {
        // The receiver is on this thread.
        let _sent = empty.send(Vec::new());
    }
    thread::scope(|scope| {
        let helper = scope.spawn(move || hash_leaves(leaves, &to_hash, &empty));
        let mut sha256 = Sha256::new();
        // A helper that panicked hands no block back, and `joined` goes on with its panic.
        while let Ok(mut block) = to_fill.recv() {
            if !blocks.next_into(&mut block)? {
                break;
            }
            sha256.update(&block);
            let _sent = full.send(block);
        }
        drop(full);
        Ok(FileHash {
            sha256: sha256.finalize().into(),
            leaves: joined(helper),
        })
    })
}

fn hash_leaves(
    mut leaves: Leaves<'_>,
    to_hash: &Receiver<Vec<u8>>,
    empty: &Sender<Vec<u8>>,
) -> Vec<(String, Leaf)> {
    for block in to_hash {
        leaves.update(&block);
        // Nobody fills it again after an error of the other thread.
        let _sent = empty.send(block);
    }
    leaves.finish()
}

/// A file, block by block.
struct Blocks<'a> {
    file: &'a File,
    offset: u64,
    len: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Blocks<'_> {
    /// Fills the block with the next bytes; whether there were any.
    fn next_into(&mut self, block: &mut Vec<u8>) -> Result<bool, CheckpointError> {
        let left = self.len - self.offset;
        block.resize(
            usize::try_from(left).map_or(BLOCK, |left| left.min(BLOCK)),
            0,
        );
        positioned::read_exact_at(self.file, block, self.offset).map_err(|error| {
            match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    CheckpointError::Changed(self.file.path().to_owned())
                }
                _ => error.into(),
            }
        })?;
        self.offset += block.len() as u64;
        (self.progress)(block.len() as u64);
        Ok(!block.is_empty())
    }
}

/// Cuts the bytes of a file into its tensors and hashes those.
struct Leaves<'a> {
    /// In the order of their offsets.
    tensors: std::slice::Iter<'a, &'a TensorInfo>,
    current: Option<&'a TensorInfo>,
    hasher: LeafHasher,
    /// Bytes of the file that went by.
    position: u64,
    done: Vec<(String, Leaf)>,
}

impl<'a> Leaves<'a> {
    fn new(tensors: &'a [&'a TensorInfo]) -> Self {
        let mut tensors = tensors.iter();
        Self {
            current: tensors.next().copied(),
            tensors,
            hasher: LeafHasher::new(),
            position: 0,
            done: Vec::new(),
        }
    }

    fn update(&mut self, mut block: &[u8]) {
        while !block.is_empty() {
            let ends = self.next_end();
            let wanted = ends.map_or(u64::MAX, |(end, _)| end - self.position);
            let len = usize::try_from(wanted).map_or(block.len(), |len| len.min(block.len()));
            let (part, rest) = block.split_at(len);
            if ends.is_some_and(|(_, is_data)| is_data) {
                self.hasher.update(part);
            }
            self.position += part.len() as u64;
            block = rest;
        }
    }

    /// Where the next change is, and whether the bytes until there are a tensor's; none after the last tensor.
    fn next_end(&mut self) -> Option<(u64, bool)> {
        self.end_tensors();
        let tensor = self.current?;
        Some(if self.position < tensor.offset {
            (tensor.offset, false)
        } else {
            (tensor.offset + tensor.bytes, true)
        })
    }

    /// Takes the leaves of the tensors that end here; those without bytes end where they begin.
    fn end_tensors(&mut self) {
        while let Some(tensor) = self.current
            && tensor.offset + tensor.bytes <= self.position
        {
            self.done.push((tensor.name.clone(), self.hasher.finish()));
            self.hasher = LeafHasher::new();
            self.current = self.tensors.next().copied();
        }
    }

    fn finish(mut self) -> Vec<(String, Leaf)> {
        self.end_tensors();
        self.done
    }
}
