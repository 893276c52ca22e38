//! How large an adapter's update of a base is, and how much of it each output type keeps. Nothing is written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tlora_basis::WeightDtype;
use tlora_checkpoint::Checkpoint;
use tlora_format::Adapter;
use tlora_rebuild::{
    AdaptedModule, BasisNote, Prepared, Run, Stage, digest, ensure_base, plan_all, prepare,
};

use crate::MergeError;
use crate::rows::{Buffers, Sink, merge_weight};
use crate::strength::{Strength, Strengths};

/// The types that a merge can be written in: bf16, f16 and f32, in this order everywhere.
pub const OUTPUT_DTYPES: [WeightDtype; 3] = [WeightDtype::Bf16, WeightDtype::F16, WeightDtype::F32];

/// The update of an adapter, by output type.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// For each of [`OUTPUT_DTYPES`]; none if some merged weight is too large for the type.
    pub by_dtype: [Option<Strengths>; 3],
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
}

/// Measures the update of one adapter.
///
/// # Errors
/// As for a merge: another base, or an adapter that cannot be applied.
pub fn measure(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    run: &Run<'_>,
) -> Result<Measured, MergeError> {
    let adapters = std::slice::from_ref(adapter);
    let plans = plan_all(checkpoint, adapters, run)?;
    let prepared = prepare(checkpoint, adapters, plans, run)?;
    if prepared.digested.is_none() {
        ensure_base(checkpoint, adapters, &digest(checkpoint, run)?, run)?;
    }
    let modules: Vec<&AdaptedModule> = prepared.plans.iter().flatten().collect();
    let measured = measure_all(checkpoint, &prepared, &modules, run)?;
    checkpoint.ensure_unchanged()?;
    let by_dtype = std::array::from_fn(|dtype| {
        let strengths = modules
            .iter()
            .zip(measured.values())
            .map(|(module, strengths)| Some((module.weight.name.as_str(), strengths[dtype]?)));
        strengths.collect::<Option<Vec<_>>>().map(Strengths::sum)
    });
    Ok(Measured {
        by_dtype,
        notes: prepared.notes,
    })
}

/// The strengths of each module, by its number.
type ByModule = BTreeMap<usize, [Option<Strength>; 3]>;

fn measure_all(
    checkpoint: &Checkpoint,
    prepared: &Prepared<'_>,
    modules: &[&AdaptedModule],
    run: &Run<'_>,
) -> Result<ByModule, MergeError> {
    run.progress.start(
        Stage::Measure,
        modules
            .iter()
            .map(|module| module.weight.tensor.bytes)
            .sum(),
    );
    let next = AtomicUsize::new(0);
    let work = || -> Result<ByModule, MergeError> {
        let mut buffers = Buffers::default();
        let mut done = ByModule::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(module) = modules.get(number) else {
                return Ok(done);
            };
            done.insert(
                number,
                measure_module(checkpoint, prepared, module, &mut buffers)?,
            );
            run.progress.advance(module.weight.tensor.bytes);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..run.threads.get().min(modules.len()))
            .map(|_| scope.spawn(work))
            .collect();
        let mut all = ByModule::new();
        for worker in workers {
            all.extend(
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            );
        }
        Ok(all)
    })
}

fn measure_module(
    checkpoint: &Checkpoint,
    prepared: &Prepared<'_>,
    module: &AdaptedModule,
    buffers: &mut Buffers,
) -> Result<[Option<Strength>; 3], MergeError> {
    let updates = [prepared.update(0, module)?];
    let mut strengths = [None; 3];
    for (strength, dtype) in strengths.iter_mut().zip(OUTPUT_DTYPES) {
        *strength = match merge_weight(
            checkpoint,
            &module.weight,
            &updates,
            dtype,
            buffers,
            &mut Nowhere,
        ) {
            Ok(sums) => Some(Strength::of_module(&sums)),
            Err(error) if error.is_not_representable() => None,
            Err(error) => return Err(error),
        };
    }
    Ok(strengths)
}

struct Nowhere;

impl Sink for Nowhere {
    fn take(&mut self, _: &[u8], _: &[u8]) -> Result<(), MergeError> {
        Ok(())
    }
}
