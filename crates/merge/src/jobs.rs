//! The loop of a merge: every tensor read once, hashed, merged or copied, hashed again, and written.

use std::collections::BTreeMap;

use fs_err::File;
use tlora_basis::WeightDtype;
use tlora_checkpoint::tmd1::{Leaf, LeafHasher};
use tlora_checkpoint::{Checkpoint, TensorInfo, write_all_at};
use tlora_rebuild::{AdaptedModule, Prepared, Progress, Run, Stage, share_out};

use crate::MergeError;
use crate::rows::{Buffers, CHUNK, Sink, merge_weight};
use crate::strength::Strength;

/// A tensor of the base, its place in the output, and the modules of all adapters that are this tensor.
pub(crate) struct Job<'a> {
    pub(crate) tensor: &'a TensorInfo,
    pub(crate) file: &'a File,
    pub(crate) offset: u64,
    /// The type of the merged tensor, if it is adapted.
    pub(crate) output: Option<WeightDtype>,
    /// With the adapter's number.
    pub(crate) updates: Vec<(usize, &'a AdaptedModule)>,
}

/// What became of a tensor.
pub(crate) struct Written {
    pub(crate) base: Leaf,
    pub(crate) merged: Leaf,
    /// Of adapted tensors.
    pub(crate) strength: Option<Strength>,
}

/// Does all jobs, the largest first, and gives what became of each tensor, by name.
///
/// # Errors
/// The first failure of any thread; the others stop at their next tensor.
pub(crate) fn run(
    checkpoint: &Checkpoint,
    prepared: &Prepared<'_>,
    mut jobs: Vec<Job<'_>>,
    run: &Run<'_>,
) -> Result<BTreeMap<String, Written>, MergeError> {
    run.progress
        .start(Stage::Merge, jobs.iter().map(|job| job.tensor.bytes).sum());
    jobs.sort_by(|a, b| {
        b.tensor
            .bytes
            .cmp(&a.tensor.bytes)
            .then_with(|| a.tensor.name.cmp(&b.tensor.name))
    });
    let written = share_out(&jobs, run.threads, |job, buffers: &mut Buffers| {
        let written = job.run(checkpoint, prepared, buffers, run.progress)?;
        Ok::<_, MergeError>((job.tensor.name.clone(), written))
    })?;
    Ok(written.into_iter().collect())
}

impl Job<'_> {
    fn run(
        &self,
        checkpoint: &Checkpoint,
        prepared: &Prepared<'_>,
        buffers: &mut Buffers,
        progress: &dyn Progress,
    ) -> Result<Written, MergeError> {
        let (Some((_, first)), Some(output)) = (self.updates.first(), self.output) else {
            return self.copy(checkpoint, buffers, progress);
        };
        let mut writer = Writer {
            file: self.file,
            offset: self.offset,
            base: LeafHasher::new(),
            merged: LeafHasher::new(),
            progress,
        };
        let updates: Vec<_> = self
            .updates
            .iter()
            .map(|(adapter, module)| prepared.update(*adapter, module))
            .collect::<Result<_, _>>()?;
        let sums = merge_weight(
            checkpoint,
            &first.weight,
            &updates,
            output,
            buffers,
            &mut writer,
        )?;
        let strength = Some(Strength::of_module(&sums));
        Ok(Written {
            base: writer.base.finish(),
            merged: writer.merged.finish(),
            strength,
        })
    }

    fn copy(
        &self,
        checkpoint: &Checkpoint,
        buffers: &mut Buffers,
        progress: &dyn Progress,
    ) -> Result<Written, MergeError> {
        let mut hasher = LeafHasher::new();
        let mut done = 0;
        while done < self.tensor.bytes {
            let length = (CHUNK as u64).min(self.tensor.bytes - done);
            let bytes = buffers.of_length(length);
            checkpoint.read_at(self.tensor, done, bytes)?;
            hasher.update(bytes);
            write_all_at(self.file, bytes, self.offset + done)?;
            progress.advance(length);
            done += length;
        }
        let leaf = hasher.finish();
        Ok(Written {
            base: leaf,
            merged: leaf,
            strength: None,
        })
    }
}

/// Hashes and writes the merged rows as they come.
struct Writer<'a> {
    file: &'a File,
    offset: u64,
    base: LeafHasher,
    merged: LeafHasher,
    progress: &'a dyn Progress,
}

impl Sink for Writer<'_> {
    fn take(&mut self, base: &[u8], merged: &[u8]) -> Result<(), MergeError> {
        self.base.update(base);
        self.merged.update(merged);
        write_all_at(self.file, merged, self.offset)?;
        self.offset += merged.len() as u64;
        self.progress.advance(base.len() as u64);
        Ok(())
    }
}
