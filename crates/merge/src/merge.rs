//! The merge: a base and adapters in, a checkpoint directory out, whole or not at all (spec §10).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tlora_basis::WeightDtype;
use tlora_checkpoint::tmd1::{TensorLeaf, root};
use tlora_checkpoint::{
    Checkpoint, Companions, OutputDirectory, OutputOptions, companion_files, write_all_at,
};
use tlora_format::{Adapter, BaseDigest};
use tlora_rebuild::{
    AdaptedModule, BasisNote, Prepared, Run, digest, ensure_base, plan_all, prepare, tensor_dtype,
};

use crate::MergeError;
use crate::approved::{Approval, check_written};
use crate::config::with_dtype;
use crate::jobs::{self, Job, Written};
use crate::layout::Layout;
use crate::record::MergeRecord;
use crate::strength::{Strength, Strengths};

pub(crate) const INDEX: &str = "model.safetensors.index.json";
pub(crate) const CONFIG: &str = "config.json";
/// The name of the merge record.
pub const RECORD: &str = "tlora-merge.json";
/// More than the small files of any model take: configuration, tokenizer, index, record.
const ROOM_FOR_SMALL_FILES: u64 = 64 << 20;

/// How to merge.
#[derive(Debug, Clone, Copy, Default)]
pub struct MergeOptions {
    /// The type of the adapted tensors; each keeps the base's if none is given.
    pub dtype: Option<WeightDtype>,
    /// Replace an existing checkpoint.
    pub force: bool,
}

/// What a merge did.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The digest of the merged checkpoint.
    pub digest: BaseDigest,
    /// The size of the update, and how much of it the rounding kept.
    pub strengths: Strengths,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
    /// The files beside the weights.
    pub companions: Companions,
    /// What was written to `tlora-merge.json`.
    pub record: MergeRecord,
}

/// Merges adapters into a base and writes the checkpoint `output`.
///
/// # Errors
/// Nothing is written then, and what was at `output` is still there.
pub fn merge(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    output: &Path,
    options: &MergeOptions,
    run: &Run<'_>,
) -> Result<Merged, MergeError> {
    merge_with(checkpoint, adapters, output, options, None, run)
}

/// Merges, and publishes the output only if it is as an approval wants it.
pub(crate) fn merge_with(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    output: &Path,
    options: &MergeOptions,
    approval: Option<&Approval>,
    run: &Run<'_>,
) -> Result<Merged, MergeError> {
    let plans = plan_all(checkpoint, adapters, run)?;
    let layout = Layout::new(checkpoint, plans.iter().flatten(), options.dtype)?;
    let inputs = checkpoint.real_paths()?;
    let bytes = layout.bytes() + ROOM_FOR_SMALL_FILES;
    // Long before anything is written, so that nobody waits for bases only to hear that the output is taken.
    let directory = OutputDirectory::create(
        output,
        &OutputOptions {
            force: options.force,
            inputs: &inputs,
            bytes,
        },
    )?;
    let prepared = prepare(checkpoint, adapters, plans, run)?;
    let written = write_shards(checkpoint, &prepared, &layout, &directory, run)?;
    checkpoint.ensure_unchanged()?;
    let base = root(
        checkpoint
            .tensors()
            .values()
            .map(|tensor| TensorLeaf::new(tensor, written[&tensor.name].base)),
    );
    ensure_same_base(checkpoint, adapters, &prepared, base, run)?;

    let digest = layout.digest(checkpoint, |tensor| written[&tensor.name].merged);
    let strengths = sum_strengths(&prepared, |name| written[name].strength);
    let dtype = options.dtype.map(|dtype| tensor_dtype(dtype).name());
    let mut record = MergeRecord::new(&base, adapters, dtype, &digest, &strengths);
    if let Some(approval) = approval {
        approval.check_strength(&strengths)?;
        record.policy = Some(approval.record.clone());
    }
    let companions = write_small_files(checkpoint, &layout, options.dtype, &record, &directory)?;
    if approval.is_some() {
        check_written(&directory, digest, run)?;
    }
    directory.publish()?;
    Ok(Merged {
        digest,
        strengths,
        notes: prepared.notes,
        companions,
        record,
    })
}

fn write_shards(
    checkpoint: &Checkpoint,
    prepared: &Prepared<'_>,
    layout: &Layout,
    directory: &OutputDirectory,
    run: &Run<'_>,
) -> Result<BTreeMap<String, Written>, MergeError> {
    let mut files = Vec::new();
    for (shard, layout) in checkpoint.shards().iter().zip(&layout.shards) {
        let file = directory.create_file(shard.name(), layout.file_len())?;
        write_all_at(&file, layout.header(), 0)?;
        files.push(file);
    }
    let mut updates = updates_by_tensor(prepared)?;
    let jobs = checkpoint.tensors().values().map(|tensor| Job {
        tensor,
        file: &files[tensor.shard],
        offset: layout.shards[tensor.shard].slots()[&tensor.name].offset,
        output: layout.adapted.get(&tensor.name).copied(),
        updates: updates.remove(tensor.name.as_str()).unwrap_or_default(),
    });
    let jobs = jobs.collect();
    jobs::run(checkpoint, prepared, jobs, run)
}

/// Modules, each with the number of its adapter.
pub(crate) type Updates<'a> = Vec<(usize, &'a AdaptedModule)>;

/// The modules of all adapters that are the same tensor, in the order of the adapters.
pub(crate) fn updates_by_tensor<'a>(
    prepared: &'a Prepared<'_>,
) -> Result<BTreeMap<&'a str, Updates<'a>>, MergeError> {
    let mut updates: BTreeMap<&str, Updates<'_>> = BTreeMap::new();
    for (adapter, modules) in prepared.plans.iter().enumerate() {
        for module in modules {
            let of_tensor = updates.entry(&module.weight.tensor.name).or_default();
            of_tensor.push((adapter, module));
            if of_tensor
                .iter()
                .any(|(_, other)| other.weight.transposed != module.weight.transposed)
            {
                return Err(MergeError::Transposition(module.weight.name.clone()));
            }
        }
    }
    Ok(updates)
}

/// The base that was merged is the base that the adapters want, and the one whose bases were computed.
pub(crate) fn ensure_same_base(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    prepared: &Prepared<'_>,
    after: BaseDigest,
    run: &Run<'_>,
) -> Result<(), MergeError> {
    match &prepared.digested {
        Some(digested) if digested.digest != after => Err(MergeError::BaseChanged {
            before: digested.digest,
            after,
        }),
        None if adapters.iter().any(|adapter| adapter.base != after) => {
            // The bases came from the cache. Only now is it known that they are of another model.
            let digested = digest(checkpoint, run)?;
            ensure_base(checkpoint, adapters, &digested, run)?;
            Err(MergeError::BaseChanged {
                before: digested.digest,
                after,
            })
        }
        _ => Ok(()),
    }
}

/// The strengths of all adapted tensors, each once, in the module order of the first adapter that has it.
pub(crate) fn sum_strengths(
    prepared: &Prepared<'_>,
    strength: impl Fn(&str) -> Option<Strength>,
) -> Strengths {
    let mut seen = BTreeSet::new();
    let modules = prepared.plans.iter().flatten();
    let modules = modules.filter(|module| seen.insert(&module.weight.name));
    Strengths::sum(modules.filter_map(|module| {
        Some((
            module.weight.name.as_str(),
            strength(&module.weight.tensor.name)?,
        ))
    }))
}

fn write_small_files(
    checkpoint: &Checkpoint,
    layout: &Layout,
    dtype: Option<WeightDtype>,
    record: &MergeRecord,
    directory: &OutputDirectory,
) -> Result<Companions, MergeError> {
    let companions = companion_files(checkpoint)?;
    let changed = changed_dtype(checkpoint, layout, dtype);
    for file in &companions.copied {
        match changed {
            Some(dtype) if file.name == CONFIG => {
                let config = with_dtype(checkpoint.config()?.members().clone(), dtype);
                directory.write_file(CONFIG, &config)?;
            }
            _ => directory.copy_file(&file.path, &file.name)?,
        }
    }
    if checkpoint.has_index() {
        directory.write_file(INDEX, &layout.index(checkpoint))?;
    }
    directory.write_file(RECORD, &record.to_bytes()?)?;
    Ok(companions)
}

/// The type that was asked for, if some tensor had another.
pub(crate) fn changed_dtype(
    checkpoint: &Checkpoint,
    layout: &Layout,
    dtype: Option<WeightDtype>,
) -> Option<WeightDtype> {
    dtype.filter(|_| {
        checkpoint
            .tensors()
            .values()
            .any(|tensor| layout.dtype(tensor) != tensor.dtype)
    })
}
