//! One adapted weight, a few rows at a time: read, merged, handed on.

use tlora_basis::{MergeStatistics, Update, WeightDtype, merge_rows};
use tlora_checkpoint::Checkpoint;
use tlora_rebuild::{ModuleWeight, transpose};

use crate::MergeError;

/// Bytes that are read, hashed, merged, hashed and written in one go: few enough to stay in the second-level cache from
/// the first step to the last (with 4 MiB a merge took half as long again). Fixed, because the order of the reported sums depends on it.
pub(crate) const CHUNK: usize = 512 << 10;

/// Buffers that a thread keeps between weights.
#[derive(Default)]
pub(crate) struct Buffers {
    base: Vec<u8>,
    merged: Vec<u8>,
}

impl Buffers {
    /// Room for `length` bytes, at most a chunk.
    pub(crate) fn of_length(&mut self, length: u64) -> &mut [u8] {
        self.base
            .resize(usize::try_from(length).unwrap_or(CHUNK), 0);
        &mut self.base
    }
}

/// What becomes of a run of rows, in the order and the layout of the file.
pub(crate) trait Sink {
    /// Takes bytes of the base's tensor and the merged bytes in their place.
    fn take(&mut self, base: &[u8], merged: &[u8]) -> Result<(), MergeError>;
}

/// Merges a whole weight into `sink`.
///
/// # Errors
/// Reading fails, a merged value cannot be represented, or the sink fails.
pub(crate) fn merge_weight(
    checkpoint: &Checkpoint,
    weight: &ModuleWeight,
    updates: &[Update],
    output: WeightDtype,
    buffers: &mut Buffers,
    sink: &mut dyn Sink,
) -> Result<MergeStatistics, MergeError> {
    if weight.transposed {
        return merge_transposed(checkpoint, weight, updates, output, buffers, sink);
    }
    let row_bytes = weight.in_features * weight.dtype.size();
    let chunk_rows = (CHUNK / row_bytes).max(1);
    let mut sums = MergeStatistics::default();
    for first in (0..weight.out_features).step_by(chunk_rows) {
        let rows = chunk_rows.min(weight.out_features - first);
        buffers.base.resize(rows * row_bytes, 0);
        checkpoint.read_at(
            &weight.tensor,
            (first * row_bytes) as u64,
            &mut buffers.base,
        )?;
        sums += merge_into(
            weight,
            first,
            &buffers.base,
            updates,
            output,
            &mut buffers.merged,
        )?;
        sink.take(&buffers.base, &buffers.merged)?;
    }
    Ok(sums)
}

/// A weight stored as in × out is held whole: its rows are columns of the file.
fn merge_transposed(
    checkpoint: &Checkpoint,
    weight: &ModuleWeight,
    updates: &[Update],
    output: WeightDtype,
    buffers: &mut Buffers,
    sink: &mut dyn Sink,
) -> Result<MergeStatistics, MergeError> {
    let rows = weight.read(checkpoint)?;
    let chunk = (CHUNK / (weight.in_features * weight.dtype.size())).max(1)
        * weight.in_features
        * weight.dtype.size();
    let mut merged = Vec::new();
    let mut sums = MergeStatistics::default();
    for (number, part) in rows.chunks(chunk).enumerate() {
        let first = number * chunk / (weight.in_features * weight.dtype.size());
        sums += merge_into(weight, first, part, updates, output, &mut buffers.merged)?;
        merged.extend_from_slice(&buffers.merged);
    }
    let stored = transpose(&rows, weight.out_features, weight.dtype.size());
    sink.take(
        &stored,
        &transpose(&merged, weight.out_features, output.size()),
    )?;
    Ok(sums)
}

fn merge_into(
    weight: &ModuleWeight,
    first_row: usize,
    base: &[u8],
    updates: &[Update],
    output: WeightDtype,
    merged: &mut Vec<u8>,
) -> Result<MergeStatistics, MergeError> {
    merged.resize(base.len() / weight.dtype.size() * output.size(), 0);
    merge_rows(&weight.rows(base)?, first_row, updates, output, merged)
        .map_err(|source| weight.fault(source, first_row).into())
}
