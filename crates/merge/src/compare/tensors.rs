//! The tensors of a base and of a checkpoint that should be its merge, side by side.

use std::collections::BTreeMap;

use tlora_basis::{Update, WeightDtype};
use tlora_checkpoint::tmd1::{Leaf, LeafHasher};
use tlora_checkpoint::{Checkpoint, Dtype, TensorInfo};
use tlora_rebuild::{ModuleWeight, Prepared, Progress, Run, Stage, share_out};

use super::{Agreement, TensorFault};
use crate::MergeError;
use crate::layout::Layout;
use crate::merge::Updates;
use crate::rows::{Buffers, CHUNK, Sink, merge_weight};
use crate::strength::Strength;

/// What is compared with what.
pub(super) struct Comparison<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) merged: &'a Checkpoint,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) layout: &'a Layout,
    pub(super) updates: &'a BTreeMap<&'a str, Updates<'a>>,
}

/// What is known of a tensor of the base.
pub(super) struct Outcome {
    pub(super) base: Leaf,
    /// Of what a merge writes.
    pub(super) expected: Leaf,
    /// Of adapted tensors.
    pub(super) strength: Option<Strength>,
    pub(super) adapted: bool,
    /// Whether all bytes of the other checkpoint are those that a merge writes; none if it has no such tensor.
    pub(super) equal: Option<bool>,
    /// Whether it is adapted, and some byte there is not that of the base.
    pub(super) changed: bool,
}

/// What is known of all tensors, by name.
pub(super) struct Outcomes {
    pub(super) of_base: BTreeMap<String, Outcome>,
    /// Of the other checkpoint.
    pub(super) found: BTreeMap<String, Leaf>,
}

/// One tensor of the base, of the other checkpoint, or of both.
enum Job<'a> {
    Base(&'a TensorInfo, Option<&'a TensorInfo>),
    Extra(&'a TensorInfo),
}

impl Job<'_> {
    const fn bytes(&self) -> u64 {
        match self {
            Self::Base(tensor, _) | Self::Extra(tensor) => tensor.bytes,
        }
    }
}

impl<'a> Comparison<'a> {
    /// Compares all tensors, each read once on both sides.
    pub(super) fn run(&self, run: &Run<'_>) -> Result<Outcomes, MergeError> {
        let mut jobs: Vec<Job<'_>> = self
            .checkpoint
            .tensors()
            .values()
            .map(|tensor| Job::Base(tensor, self.counterpart(tensor)))
            .collect();
        jobs.extend(
            self.merged
                .tensors()
                .values()
                .filter(|tensor| !self.is_compared(tensor))
                .map(Job::Extra),
        );
        jobs.sort_by_key(|job| std::cmp::Reverse(job.bytes()));
        run.progress
            .start(Stage::Merge, jobs.iter().map(Job::bytes).sum());
        let done = share_out(&jobs, run.threads, |job, buffers: &mut Buffers| {
            Ok::<_, MergeError>(match *job {
                Job::Base(tensor, found) => {
                    let (outcome, leaf) = self.compare(tensor, found, buffers, run.progress)?;
                    (tensor.name.clone(), Some(outcome), found.map(|_| leaf))
                }
                Job::Extra(tensor) => {
                    let reader = Reader::new(self.merged, Some(tensor), run.progress);
                    (tensor.name.clone(), None, Some(reader.hash(buffers)?))
                }
            })
        })?;
        let mut outcomes = Outcomes {
            of_base: BTreeMap::new(),
            found: BTreeMap::new(),
        };
        for (name, outcome, leaf) in done {
            if let Some(leaf) = leaf {
                outcomes.found.insert(name.clone(), leaf);
            }
            if let Some(outcome) = outcome {
                outcomes.of_base.insert(name, outcome);
            }
        }
        Ok(outcomes)
    }

    /// The tensor of that name in the other checkpoint, if it has the type and shape that a merge writes.
    fn counterpart(&self, tensor: &TensorInfo) -> Option<&'a TensorInfo> {
        let found = self.merged.tensors().get(&tensor.name)?;
        (found.dtype == self.layout.dtype(tensor) && found.shape == tensor.shape).then_some(found)
    }

    /// Whether a tensor of the other checkpoint is compared with one of the base.
    fn is_compared(&self, found: &TensorInfo) -> bool {
        self.checkpoint
            .tensors()
            .get(&found.name)
            .is_some_and(|tensor| self.counterpart(tensor).is_some())
    }

    /// The adapted weight that a tensor is, and its updates.
    pub(super) fn adapted(
        &self,
        name: &str,
    ) -> Option<(&'a ModuleWeight, &'a Updates<'a>, WeightDtype)> {
        let updates = self.updates.get(name)?;
        let (_, first) = updates.first()?;
        Some((&first.weight, updates, *self.layout.adapted.get(name)?))
    }

    fn compare(
        &self,
        tensor: &TensorInfo,
        found: Option<&TensorInfo>,
        buffers: &mut Buffers,
        progress: &dyn Progress,
    ) -> Result<(Outcome, Leaf), MergeError> {
        let mut both = Both {
            reader: Reader::new(self.merged, found, progress),
            base: LeafHasher::new(),
            found: None,
            expected: None,
        };
        let adapted = self.adapted(&tensor.name);
        let strength = match adapted {
            Some((weight, updates, output)) => {
                let updates: Vec<Update> = updates
                    .iter()
                    .map(|(adapter, module)| self.prepared.update(*adapter, module))
                    .collect::<Result<_, _>>()?;
                let sums = merge_weight(
                    self.checkpoint,
                    weight,
                    &updates,
                    output,
                    buffers,
                    &mut both,
                )?;
                Some(Strength::of_module(&sums))
            }
            None => {
                both.copy(self.checkpoint, tensor, buffers)?;
                None
            }
        };
        let changed = adapted.is_some() && found.is_some() && both.found.is_some();
        let equal = both.expected.is_none();
        let base = both.base.finish();
        let leaf = both.found.map_or(base, |hasher| hasher.finish());
        let outcome = Outcome {
            base,
            expected: both.expected.map_or(leaf, |hasher| hasher.finish()),
            strength,
            adapted: adapted.is_some(),
            equal: found.map(|_| equal),
            changed,
        };
        Ok((outcome, leaf))
    }

    /// Tensors that are not there, not expected, or of another type or shape, sorted by name.
    pub(super) fn layout_faults(&self) -> Vec<TensorFault> {
        let kind = |dtype: Dtype, shape: &[u64]| format!("{} {shape:?}", dtype.name());
        let found = |tensor: &TensorInfo| kind(tensor.dtype, &tensor.shape);
        let wrong = self
            .checkpoint
            .tensors()
            .values()
            .filter(|tensor| self.counterpart(tensor).is_none());
        let mut faults: Vec<TensorFault> = wrong
            .map(|tensor| TensorFault {
                name: tensor.name.clone(),
                expected: Some(kind(self.layout.dtype(tensor), &tensor.shape)),
                found: self.merged.tensors().get(&tensor.name).map(found),
            })
            .collect();
        let extra = self
            .merged
            .tensors()
            .values()
            .filter(|tensor| !self.checkpoint.tensors().contains_key(&tensor.name));
        faults.extend(extra.map(|tensor| TensorFault {
            name: tensor.name.clone(),
            expected: None,
            found: Some(found(tensor)),
        }));
        faults.sort_by(|a, b| a.name.cmp(&b.name));
        faults
    }
}

impl Outcomes {
    /// How many of the adapted and of the other tensors are as a merge writes them. One that is missing is not.
    pub(super) fn agreements(&self) -> (Agreement, Agreement) {
        let (mut adapted, mut untouched) = (Agreement::default(), Agreement::default());
        for (name, outcome) in &self.of_base {
            let kind = if outcome.adapted {
                &mut adapted
            } else {
                &mut untouched
            };
            if let Some(equal) = outcome.equal {
                kind.compared += 1;
                kind.differing.extend((!equal).then(|| name.clone()));
            }
        }
        (adapted, untouched)
    }
}

/// Reads a tensor of the other checkpoint from its beginning to its end.
struct Reader<'a> {
    checkpoint: &'a Checkpoint,
    tensor: Option<&'a TensorInfo>,
    offset: u64,
    buffer: Vec<u8>,
    progress: &'a dyn Progress,
}

impl<'a> Reader<'a> {
    fn new(
        checkpoint: &'a Checkpoint,
        tensor: Option<&'a TensorInfo>,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            checkpoint,
            tensor,
            offset: 0,
            buffer: Vec::new(),
            progress,
        }
    }

    /// The next bytes; nothing if there is no such tensor.
    fn next(&mut self, length: usize) -> Result<&[u8], MergeError> {
        let Some(tensor) = self.tensor else {
            return Ok(&[]);
        };
        self.buffer.resize(length, 0);
        self.checkpoint
            .read_at(tensor, self.offset, &mut self.buffer)?;
        self.offset += length as u64;
        Ok(&self.buffer)
    }

    /// Hashes all of it.
    fn hash(mut self, buffers: &mut Buffers) -> Result<Leaf, MergeError> {
        let mut leaf = LeafHasher::new();
        let Some(tensor) = self.tensor else {
            return Ok(leaf.finish());
        };
        while self.offset < tensor.bytes {
            let bytes = buffers.of_length((CHUNK as u64).min(tensor.bytes - self.offset));
            self.checkpoint.read_at(tensor, self.offset, bytes)?;
            leaf.update(bytes);
            self.offset += bytes.len() as u64;
            self.progress.advance(bytes.len() as u64);
        }
        Ok(leaf.finish())
    }
}

/// Compares what a merge would write with what is there.
struct Both<'a> {
    reader: Reader<'a>,
    base: LeafHasher,
    /// The hash of what is there, once it is not that of the base: bytes that are equal need not be hashed twice.
    found: Option<LeafHasher>,
    /// The hash of what a merge would write, once it is not that of what is there.
    expected: Option<LeafHasher>,
}

impl Both<'_> {
    fn copy(
        &mut self,
        checkpoint: &Checkpoint,
        tensor: &TensorInfo,
        buffers: &mut Buffers,
    ) -> Result<(), MergeError> {
        let mut done = 0;
        while done < tensor.bytes {
            let bytes = buffers.of_length((CHUNK as u64).min(tensor.bytes - done));
            checkpoint.read_at(tensor, done, bytes)?;
            self.take(bytes, bytes)?;
            done += bytes.len() as u64;
        }
        Ok(())
    }
}

impl Sink for Both<'_> {
    fn take(&mut self, base: &[u8], merged: &[u8]) -> Result<(), MergeError> {
        let so_far = self.found.as_ref().unwrap_or(&self.base).clone();
        self.base.update(base);
        let found = self.reader.next(merged.len())?;
        if self.expected.is_none() && found != merged {
            self.expected = Some(so_far.clone());
        }
        if self.found.is_none() && found != base {
            self.found = Some(so_far);
        }
        if let Some(hasher) = &mut self.found {
            hasher.update(found);
        }
        if let Some(hasher) = &mut self.expected {
            hasher.update(merged);
        }
        self.reader.progress.advance(base.len() as u64);
        Ok(())
    }
}
