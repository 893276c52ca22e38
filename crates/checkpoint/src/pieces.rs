//! Hashing the tensors of a checkpoint piece by piece on several threads.
//!
//! A leaf is a BLAKE3 tree, and an aligned piece of a power of two bytes is a subtree of it. Threads take pieces
//! rather than tensors, so that one large embedding does not keep the other threads waiting.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, ContextKey, HasherExt, Mode, hash_derive_key_context, merge_subtrees_non_root,
    merge_subtrees_root,
};

use crate::tmd1::{LEAF_CONTEXT, Leaf};
use crate::{Checkpoint, CheckpointError, TensorInfo};

/// Bytes of a subtree that one thread hashes at a time.
const PIECE: u64 = 1 << 22;
/// Bytes of a read: what the second-level cache still holds when they are hashed.
const READ: usize = 1 << 19;

/// The leaves of all tensors, in the order of their names.
pub(crate) fn hash_tensors(
    checkpoint: &Checkpoint,
    threads: NonZero<usize>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<Leaf>, CheckpointError> {
    let pieces = in_file_order(checkpoint);
    let key = hash_derive_key_context(LEAF_CONTEXT);
    let (next, key) = (AtomicUsize::new(0), &key);
    let work = || -> Result<Vec<(Piece<'_>, Hashed)>, CheckpointError> {
        let mut buffer = vec![0; READ];
        let mut done = Vec::new();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hashed =
                hash_piece(checkpoint, piece, key, &mut buffer, progress).inspect_err(|_| {
                    // The other threads find no more work.
                    next.store(pieces.len(), Ordering::Relaxed);
                })?;
            done.push((*piece, hashed));
        }
        Ok(done)
    };
    let mut hashed = thread::scope(|scope| {
        let workers: Vec<_> = (1..threads.get()).map(|_| scope.spawn(work)).collect();
        let mut all = work()?;
        for worker in workers {
            let done = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            all.extend(done);
        }
        Ok::<_, CheckpointError>(all)
    })?;
    hashed.sort_unstable_by_key(|(piece, _)| (&piece.tensor.name, piece.begin));
    let per_tensor = hashed.chunk_by(|(a, _), (b, _)| a.tensor.name == b.tensor.name);
    Ok(per_tensor.map(|pieces| merge(pieces, key)).collect())
}

#[derive(Clone, Copy)]
struct Piece<'a> {
    tensor: &'a TensorInfo,
    begin: u64,
    end: u64,
}

/// The leaf of a tensor of one piece; otherwise the chaining value of a part of the tensor.
type Hashed = [u8; 32];

/// All pieces in the order in which they lie in the files; a tensor without bytes has one, of no bytes.
fn in_file_order(checkpoint: &Checkpoint) -> Vec<Piece<'_>> {
    let mut tensors: Vec<_> = checkpoint.tensors().values().collect();
    tensors.sort_by_key(|tensor| (tensor.shard, tensor.offset));
    let pieces = |tensor: &TensorInfo| tensor.bytes.div_ceil(PIECE).max(1);
    let of_tensor = |tensor| {
        (0..pieces(tensor)).map(move |i| Piece {
            tensor,
            begin: i * PIECE,
            end: tensor.bytes.min((i + 1) * PIECE),
        })
    };
    tensors.into_iter().flat_map(of_tensor).collect()
}

fn hash_piece(
    checkpoint: &Checkpoint,
    piece: &Piece<'_>,
    key: &ContextKey,
    buffer: &mut [u8],
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Hashed, CheckpointError> {
    let &Piece { tensor, begin, end } = piece;
    let mut hasher = Hasher::new_from_context_key(key);
    hasher.set_input_offset(begin);
    let mut offset = begin;
    while offset < end {
        let len = usize::try_from(end - offset).map_or(buffer.len(), |rest| rest.min(buffer.len()));
        let part = &mut buffer[..len];
        checkpoint.read_at(tensor, offset, part)?;
        hasher.update(part);
        offset += len as u64;
        progress(len as u64);
    }
    let whole = end - begin == tensor.bytes;
    Ok(if whole {
        *hasher.finalize().as_bytes()
    } else {
        hasher.finalize_non_root()
    })
}

/// The leaf of a tensor from its pieces, in order.
fn merge(pieces: &[(Piece<'_>, Hashed)], key: &ContextKey) -> Leaf {
    if let [(_, leaf)] = pieces {
        return *leaf;
    }
    let (left, right) = pieces.split_at(left_pieces(pieces.len()));
    let mode = Mode::DeriveKeyMaterial(key);
    *merge_subtrees_root(&subtree(left, mode), &subtree(right, mode), mode).as_bytes()
}

fn subtree(pieces: &[(Piece<'_>, Hashed)], mode: Mode<'_>) -> ChainingValue {
    if let [(_, value)] = pieces {
        return *value;
    }
    let (left, right) = pieces.split_at(left_pieces(pieces.len()));
    merge_subtrees_non_root(&subtree(left, mode), &subtree(right, mode), mode)
}

/// How many of two or more pieces the left half of their tree has: the largest power of two that leaves one over.
const fn left_pieces(pieces: usize) -> usize {
    pieces.next_power_of_two() / 2
}
