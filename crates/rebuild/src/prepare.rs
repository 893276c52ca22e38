//! From adapters and a base to the bases of all modules, checked against what the adapters were made with.

use std::borrow::Cow;
use std::collections::BTreeMap;

use tlora_basis::{Basis, Factors, Update};
use tlora_checkpoint::Checkpoint;
use tlora_checkpoint::tmd1::Digested;
use tlora_format::{Adapter, BaseDigest, SigmaSide};

use crate::bases::{self, Bases, BasisNote};
use crate::budget::Budget;
use crate::check::ensure_checks;
use crate::module_basis::{Kind, factors};
use crate::{AdaptedModule, ModuleBasis, ModuleWeight, RebuildError, Run, digest, ensure_base};

/// Adapters on a base, and everything about them that does not depend on the single weights.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// The base.
    pub checkpoint: &'a Checkpoint,
    /// The adapters.
    pub adapters: &'a [Adapter],
    /// The modules of each adapter.
    pub plans: Vec<Vec<AdaptedModule>>,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
    /// The base's digest, if it had to be computed.
    pub digested: Option<Digested>,
    /// Of the modules whose basis is exact, rounded or not.
    pub(crate) bases: Bases,
    /// Factors that were computed for the basis check, by adapter and module, as far as they take little memory.
    pub(crate) kept: BTreeMap<(usize, usize), Factors>,
    pool: rayon::ThreadPool,
    budget: Budget,
}

impl Prepared<'_> {
    /// The basis of a module of an adapter, by the adapter's number. Factors are computed now.
    ///
    /// # Errors
    /// The weight cannot be read, or has no such basis.
    pub fn basis(
        &self,
        adapter: usize,
        module: &AdaptedModule,
    ) -> Result<ModuleBasis<'_>, RebuildError> {
        if let Some(basis) = self.exact_basis(adapter, module) {
            return Ok(ModuleBasis::Exact(basis));
        }
        let side = self.adapters[adapter].sigma_side;
        self.factors(adapter, module, side)
            .map(ModuleBasis::Factors)
    }

    /// The update of a module by an adapter, ready for its rows.
    ///
    /// # Errors
    /// As [`Self::basis`].
    pub fn update(&self, adapter: usize, module: &AdaptedModule) -> Result<Update, RebuildError> {
        let side = self.adapters[adapter].sigma_side;
        Ok(self.basis(adapter, module)?.update(side, module))
    }

    /// V and σ of a module, if its basis is exact and not rounded.
    #[must_use]
    pub fn exact_basis(&self, adapter: usize, module: &AdaptedModule) -> Option<&Basis> {
        match Kind::of(&self.adapters[adapter]) {
            Kind::Exact => Some(&self.bases[&module.weight]),
            _ => None,
        }
    }

    /// B and A with ΔW = scale·B·R·A, whatever the kind of the basis, with no signs applied. Those of an exact basis are
    /// UΣ^a and Σ^b·Vᵀ by `side`, which other kinds ignore.
    ///
    /// # Errors
    /// As [`Self::basis`].
    pub fn factors(
        &self,
        adapter: usize,
        module: &AdaptedModule,
        side: SigmaSide,
    ) -> Result<Cow<'_, Factors>, RebuildError> {
        if let Some(kept) = self.kept.get(&(adapter, module.number)) {
            return Ok(Cow::Borrowed(kept));
        }
        let adapter = &self.adapters[adapter];
        let held = match Kind::of(adapter) {
            Kind::Rounded(_) | Kind::Rsvd(_) => module.weight.tensor.bytes,
            Kind::Exact | Kind::Explicit(..) => 0,
        };
        let _held = self.budget.take(held);
        let factors = || factors(self.checkpoint, adapter, module, side, &self.bases);
        self.pool.install(factors).map(Cow::Owned)
    }
}

/// Gets the bases of all plans. With everything in the cache the base is not read at all: whoever reads it then compares
/// the digest.
///
/// # Errors
/// Another base, or a weight without a basis.
pub fn prepare<'a>(
    checkpoint: &'a Checkpoint,
    adapters: &'a [Adapter],
    plans: Vec<Vec<AdaptedModule>>,
    run: &Run<'_>,
) -> Result<Prepared<'a>, RebuildError> {
    let expected = adapters
        .first()
        .map_or(BaseDigest([0; 32]), |adapter| adapter.base);
    let weights = weights_with_exact_basis(adapters, &plans);
    let (bases, mut missing) = bases::from_cache(&weights, run.cache, &expected);
    let mut prepared = Prepared {
        checkpoint,
        adapters,
        plans,
        notes: Vec::new(),
        digested: None,
        bases,
        kept: BTreeMap::new(),
        pool: bases::pool(run)?,
        budget: Budget::default(),
    };
    let from_weights = |adapter| matches!(Kind::of(adapter), Kind::Rsvd(_));
    let one_base = adapters.iter().all(|adapter| adapter.base == expected);
    if missing.is_empty() && one_base && !adapters.iter().any(from_weights) {
        if ensure_checks(&mut prepared, run).is_ok() {
            return Ok(prepared);
        }
        // Whatever the cache had, it was not this: as if it had nothing.
        missing = bases::distinct(&weights);
    }
    // Before the long computation: nobody shall wait for the bases of the wrong model.
    let digested = digest(checkpoint, run)?;
    ensure_base(checkpoint, adapters, &digested, run)?;
    let (computed, notes) = bases::compute(checkpoint, missing, &digested.digest, run)?;
    prepared.bases.extend(computed);
    (prepared.notes, prepared.digested) = (notes, Some(digested));
    ensure_checks(&mut prepared, run)?;
    checkpoint.ensure_unchanged()?;
    Ok(prepared)
}

fn weights_with_exact_basis(
    adapters: &[Adapter],
    plans: &[Vec<AdaptedModule>],
) -> Vec<ModuleWeight> {
    let plans = adapters.iter().zip(plans);
    plans
        .filter(|(adapter, _)| Kind::of(adapter).is_exact())
        .flat_map(|(_, modules)| modules)
        .map(|module| module.weight.clone())
        .collect()
}
