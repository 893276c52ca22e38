//! The base digest `tmd1` (spec §9): a BLAKE3 tree over the tensors, whatever files they are in.

use std::collections::BTreeMap;
use std::num::NonZero;

use blake3::Hasher;
use tlora_format::BaseDigest;

use crate::{Checkpoint, CheckpointError, Dtype, TensorInfo, pieces};

pub(crate) const LEAF_CONTEXT: &str = "tlora 2026-11 model-digest v1 leaf";
const ROOT_CONTEXT: &str = "tlora 2026-11 model-digest v1 root";

/// The hash of one tensor's bytes.
pub type Leaf = [u8; 32];

/// The digest of a checkpoint and the leaf of each tensor, by name: two checkpoints can be compared tensor by tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digested {
    /// The digest of the whole.
    pub digest: BaseDigest,
    /// The hash of each tensor's bytes.
    pub leaves: BTreeMap<String, Leaf>,
}

/// Hashes the bytes of one tensor as they come.
#[derive(Debug, Clone)]
pub struct LeafHasher(Hasher);

impl LeafHasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Self {
        Self(Hasher::new_derive_key(LEAF_CONTEXT))
    }

    /// Takes the next bytes of the tensor.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The hash of all bytes taken.
    pub fn finish(&self) -> Leaf {
        *self.0.finalize().as_bytes()
    }
}

impl Default for LeafHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// What the root binds of one tensor.
#[derive(Debug, Clone, Copy)]
pub struct TensorLeaf<'a> {
    /// Its name.
    pub name: &'a str,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its dimensions, at most 8.
    pub shape: &'a [u64],
    /// The size of its data in bytes.
    pub bytes: u64,
    /// The hash of its data.
    pub leaf: Leaf,
}

impl<'a> TensorLeaf<'a> {
    /// The record of a tensor of a checkpoint.
    pub fn new(tensor: &'a TensorInfo, leaf: Leaf) -> Self {
        let TensorInfo {
            name,
            dtype,
            shape,
            bytes,
            ..
        } = tensor;
        Self {
            name,
            dtype: *dtype,
            shape,
            bytes: *bytes,
            leaf,
        }
    }

    fn hash_into(&self, root: &mut Hasher) {
        let dtype = self.dtype.name();
        root.update(&length::<4>(self.name.len()))
            .update(self.name.as_bytes());
        root.update(&length::<1>(dtype.len()))
            .update(dtype.as_bytes());
        root.update(&length::<1>(self.shape.len()));
        for dimension in self.shape {
            root.update(&dimension.to_le_bytes());
        }
        root.update(&self.bytes.to_le_bytes()).update(&self.leaf);
    }
}

/// The low `N` bytes of a length; names, dtypes and shapes that pass C5, C6 and C8 fit.
fn length<const N: usize>(length: usize) -> [u8; N] {
    let bytes = (length as u64).to_le_bytes();
    std::array::from_fn(|i| bytes[i])
}

/// The digest of tensors, in any order; their names differ.
pub fn root<'a>(records: impl IntoIterator<Item = TensorLeaf<'a>>) -> BaseDigest {
    let records: BTreeMap<&str, TensorLeaf<'a>> = records
        .into_iter()
        .map(|record| (record.name, record))
        .collect();
    let mut root = Hasher::new_derive_key(ROOT_CONTEXT);
    root.update(&(records.len() as u64).to_le_bytes());
    for record in records.values() {
        record.hash_into(&mut root);
    }
    BaseDigest(*root.finalize().as_bytes())
}

/// Reads and hashes all tensors on `threads` threads, with about a megabyte of memory each.
///
/// `progress` is called, from any thread, with the number of bytes just hashed.
///
/// # Errors
/// A file cannot be read or was written to meanwhile.
pub fn digest(
    checkpoint: &Checkpoint,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Digested, CheckpointError> {
    let leaves = pieces::hash_tensors(checkpoint, threads, progress)?;
    checkpoint.ensure_unchanged()?;
    let leaves = checkpoint.tensors().keys().cloned().zip(leaves).collect();
    Ok(digested(checkpoint, leaves))
}

/// The digest of a checkpoint from the leaf of each of its tensors.
pub(crate) fn digested(checkpoint: &Checkpoint, leaves: BTreeMap<String, Leaf>) -> Digested {
    let records = checkpoint.tensors().values().zip(leaves.values());
    let digest = root(records.map(|(tensor, leaf)| TensorLeaf::new(tensor, *leaf)));
    Digested { digest, leaves }
}
