//! Whether a base is the one that adapters were made for: its digest, and its modules.

use std::num::NonZero;

use tlora_checkpoint::tmd1::{self, Digested};
use tlora_checkpoint::{Checkpoint, CheckpointError, ModuleError};
use tlora_format::Adapter;

use crate::known_bases::{Difference, difference, remember};
use crate::plan::{AdaptedModule, plan};
use crate::store::Cache;
use crate::{Progress, RebuildError, Stage};

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
