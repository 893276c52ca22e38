//! From adapters and a base to the bases of all modules, checked against what the adapters were made with.

use std::num::NonZero;

use tlora_basis::{Basis, basis_check};
use tlora_checkpoint::tmd1::{self, Digested};
use tlora_checkpoint::{Checkpoint, CheckpointError, ModuleError};
use tlora_format::{Adapter, BaseDigest};

use crate::bases::{self, Bases, BasisNote};
use crate::known_bases::{Difference, difference, remember};
use crate::plan::{AdaptedModule, plan};
use crate::store::Cache;
use crate::{ModuleWeight, Progress, RebuildError, Stage};

/// What a run may use.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Threads that compute. The result does not depend on it.
    pub threads: NonZero<usize>,
    /// Where bases are kept between runs, if anywhere.
    pub cache: Option<&'a Cache>,
    /// Who wants to know how far it is.
    pub progress: &'a dyn Progress,
}

/// Everything about the adapters that does not depend on the single weights.
#[derive(Debug)]
pub struct Prepared {
    /// The modules of each adapter.
    pub plans: Vec<Vec<AdaptedModule>>,
    bases: Bases,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
    /// The base's digest, if it had to be computed.
    pub digested: Option<Digested>,
}

impl Prepared {
    /// The basis of a module of the plans.
    ///
    /// # Panics
    /// For a weight that is in none of the plans.
    #[must_use]
    pub fn basis(&self, weight: &ModuleWeight) -> &Basis {
        &self.bases[weight]
    }
}

/// Hashes the base, and remembers its tensors for later messages.
///
/// # Errors
/// If the base cannot be read.
pub fn digest(checkpoint: &Checkpoint, run: &Run<'_>) -> Result<Digested, RebuildError> {
    run.progress.start(
        Stage::Digest,
        checkpoint
            .tensors()
            .values()
            .map(|tensor| tensor.bytes)
            .sum(),
    );
    let digested = tmd1::digest(checkpoint, run.threads, &|bytes| {
        run.progress.advance(bytes);
    })?;
    if let Some(cache) = run.cache {
        remember(cache.directory(), checkpoint, &digested);
    }
    Ok(digested)
}

/// Plans all adapters and gets their bases. With everything in the cache the base is not read at all: whoever reads it
/// then compares the digest.
///
/// # Errors
/// Another base, an adapter that cannot be applied, or a weight without a basis.
pub fn prepare(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    plans: Vec<Vec<AdaptedModule>>,
    run: &Run<'_>,
) -> Result<Prepared, RebuildError> {
    let expected = adapters
        .first()
        .map_or(BaseDigest([0; 32]), |adapter| adapter.base);
    let weights: Vec<ModuleWeight> = plans
        .iter()
        .flatten()
        .map(|module| module.weight.clone())
        .collect();
    let (bases, mut missing) = bases::from_cache(&weights, run.cache, &expected);
    let mut prepared = Prepared {
        plans,
        bases,
        notes: Vec::new(),
        digested: None,
    };
    if missing.is_empty() && adapters.iter().all(|adapter| adapter.base == expected) {
        if ensure_checks(&prepared, adapters).is_ok() {
            return Ok(prepared);
        }
        // Whatever the cache had, it was not this: as if it had nothing.
        missing = bases::distinct(&weights);
    }
    // Before the long computation: nobody shall wait for the bases of the wrong model.
    let digested = digest(checkpoint, run)?;
    ensure_base(checkpoint, adapters, &digested, run)?;
    let (computed, notes) = bases::compute(checkpoint, missing, &digested.digest, run)?;
    checkpoint.ensure_unchanged()?;
    prepared.bases.extend(computed);
    (prepared.notes, prepared.digested) = (notes, Some(digested));
    ensure_checks(&prepared, adapters)?;
    Ok(prepared)
}

/// The modules of each adapter. Modules that are not there may mean that this is another base altogether, which is then
/// the better thing to say.
///
/// # Errors
/// [`RebuildError::WrongBase`], [`RebuildError::Modules`], or an adapter that cannot be applied.
pub fn plan_all(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    run: &Run<'_>,
) -> Result<Vec<Vec<AdaptedModule>>, RebuildError> {
    let mut plans = Vec::new();
    for (number, adapter) in adapters.iter().enumerate() {
        match plan(checkpoint, adapter) {
            Ok(modules) => plans.push(modules),
            Err(RebuildError::Checkpoint(CheckpointError::Module(source)))
                if !is_quantised(&source) =>
            {
                let found = digest(checkpoint, run)?.digest;
                if found == adapter.base {
                    return Err(RebuildError::Modules {
                        adapter: number,
                        source,
                    });
                }
                let differing = Box::new(Difference::Modules(source));
                return Err(RebuildError::WrongBase {
                    adapter: number,
                    expected: adapter.base,
                    found,
                    differing,
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(plans)
}

const fn is_quantised(error: &ModuleError) -> bool {
    matches!(error, ModuleError::Quantised { .. })
}

/// Compares the digest of a base with that of every adapter.
///
/// # Errors
/// [`RebuildError::WrongBase`] for the first adapter that was made for another base.
pub fn ensure_base(
    checkpoint: &Checkpoint,
    adapters: &[Adapter],
    digested: &Digested,
    run: &Run<'_>,
) -> Result<(), RebuildError> {
    let found = digested.digest;
    match adapters
        .iter()
        .enumerate()
        .find(|(_, adapter)| adapter.base != found)
    {
        None => Ok(()),
        Some((adapter, wrong)) => {
            let expected = wrong.base;
            let differing = Box::new(difference(
                run.cache.map(Cache::directory),
                checkpoint,
                digested,
                &expected,
            ));
            Err(RebuildError::WrongBase {
                adapter,
                expected,
                found,
                differing,
            })
        }
    }
}

fn ensure_checks(prepared: &Prepared, adapters: &[Adapter]) -> Result<(), RebuildError> {
    for (number, (adapter, modules)) in adapters.iter().zip(&prepared.plans).enumerate() {
        let weights = modules.iter().map(|module| &module.weight);
        let found =
            basis_check(weights.map(|weight| (weight.name.as_str(), prepared.basis(weight))));
        if found != adapter.basis_check {
            return Err(RebuildError::BasisCheck {
                adapter: number,
                expected: adapter.basis_check,
                found,
            });
        }
    }
    Ok(())
}
