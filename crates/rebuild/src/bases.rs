//! All bases that a run needs: from the cache, or computed, several weights at a time within a memory budget.

use std::collections::BTreeMap;
use std::ops::Index;

use tlora_basis::{Basis, ExactBasis, NearTie, exact_basis};
use tlora_checkpoint::Checkpoint;
use tlora_format::BaseDigest;

use crate::budget::Budget;
use crate::store::Cache;
use crate::workers::share_out;
use crate::{ModuleWeight, RebuildError, Run, Stage};

/// Which basis: of the same weight there may be several, for adapters of different ranks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct BasisKey {
    name: String,
    rank: usize,
    transposed: bool,
}

impl BasisKey {
    fn of(weight: &ModuleWeight) -> Self {
        Self {
            name: weight.name.clone(),
            rank: weight.rank,
            transposed: weight.transposed,
        }
    }
}

/// Something about a basis that its user may want to know.
#[derive(Debug, Clone, PartialEq)]
pub struct BasisNote {
    /// The module.
    pub module: String,
    /// Vectors of its basis that are not zero.
    pub effective_rank: usize,
    /// The rank asked for.
    pub rank: usize,
    /// Two singular values that are nearly equal.
    pub near_tie: Option<NearTie>,
}

impl BasisNote {
    /// What there is to say about a basis, if anything.
    fn of(key: &BasisKey, exact: &ExactBasis) -> Option<Self> {
        let &ExactBasis {
            effective_rank,
            near_tie,
            ..
        } = exact;
        let (module, rank) = (key.name.clone(), key.rank);
        (effective_rank < rank || near_tie.is_some()).then_some(Self {
            module,
            effective_rank,
            rank,
            near_tie,
        })
    }
}

/// The bases of a run, each for a weight, its rank and its orientation.
#[derive(Debug, Default)]
pub struct Bases(BTreeMap<BasisKey, Basis>);

impl Bases {
    /// Adds the bases of another run, which replace those that are there.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl Index<&ModuleWeight> for Bases {
    type Output = Basis;

    fn index(&self, weight: &ModuleWeight) -> &Basis {
        &self.0[&BasisKey::of(weight)]
    }
}

/// The bases of these weights of a base with this digest, from the cache or computed.
///
/// # Errors
/// A weight cannot be read or has no basis.
pub fn bases<'a>(
    checkpoint: &Checkpoint,
    weights: impl IntoIterator<Item = &'a ModuleWeight>,
    base: &BaseDigest,
    run: &Run<'_>,
) -> Result<(Bases, Vec<BasisNote>), RebuildError> {
    let (mut found, missing) = from_cache(weights, run.cache, base);
    let (computed, notes) = compute(checkpoint, missing, base, run)?;
    found.extend(computed);
    Ok((found, notes))
}

/// The bases that the cache has for a base of this digest, and the weights that it has none for.
pub(crate) fn from_cache<'a>(
    weights: impl IntoIterator<Item = &'a ModuleWeight>,
    cache: Option<&Cache>,
    base: &BaseDigest,
) -> (Bases, Vec<&'a ModuleWeight>) {
    let mut found = Bases::default();
    let mut missing = Vec::new();
    for weight in distinct(weights) {
        match cache.and_then(|cache| cache.load(base, weight)) {
            Some(basis) => drop(found.0.insert(BasisKey::of(weight), basis)),
            None => missing.push(weight),
        }
    }
    (found, missing)
}

/// One weight of each key.
pub(crate) fn distinct<'a>(
    weights: impl IntoIterator<Item = &'a ModuleWeight>,
) -> Vec<&'a ModuleWeight> {
    let by_key: BTreeMap<_, _> = weights
        .into_iter()
        .map(|weight| (BasisKey::of(weight), weight))
        .collect();
    by_key.into_values().collect()
}

/// Computes bases and stores each in the cache as soon as it is there.
///
/// # Errors
/// A weight cannot be read or has no basis.
pub(crate) fn compute(
    checkpoint: &Checkpoint,
    mut weights: Vec<&ModuleWeight>,
    base: &BaseDigest,
    run: &Run<'_>,
) -> Result<(Bases, Vec<BasisNote>), RebuildError> {
    // The largest first, so that no thread begins one when the others are done.
    weights.sort_by(|a, b| {
        b.tensor
            .bytes
            .cmp(&a.tensor.bytes)
            .then_with(|| a.name.cmp(&b.name))
    });
    run.progress.start(
        Stage::Bases,
        weights.iter().map(|weight| weight.tensor.bytes).sum(),
    );
    let (pool, budget) = (pool(run)?, Budget::default());
    let computed = share_out(&weights, run.threads, |&weight, _: &mut ()| {
        let _held = budget.take(weight.tensor.bytes);
        let exact = compute_one(checkpoint, weight, &pool)?;
        if let Some(cache) = run.cache {
            cache.store(base, weight, &exact);
        }
        run.progress.advance(weight.tensor.bytes);
        Ok::<_, RebuildError>((BasisKey::of(weight), exact))
    })?;
    let computed: BTreeMap<BasisKey, ExactBasis> = computed.into_iter().collect();
    let notes = computed
        .iter()
        .filter_map(|(key, exact)| BasisNote::of(key, exact))
        .collect();
    Ok((
        Bases(
            computed
                .into_iter()
                .map(|(key, exact)| (key, exact.basis))
                .collect(),
        ),
        notes,
    ))
}

/// The threads of a run that compute together.
pub(crate) fn pool(run: &Run<'_>) -> Result<rayon::ThreadPool, RebuildError> {
    let threads = run.threads.get();
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?)
}

fn compute_one(
    checkpoint: &Checkpoint,
    weight: &ModuleWeight,
    pool: &rayon::ThreadPool,
) -> Result<ExactBasis, RebuildError> {
    let bytes = weight.read(checkpoint)?;
    let rows = weight.rows(&bytes)?;
    pool.install(|| exact_basis(&rows, weight.rank))
        .map_err(|source| weight.fault(source, 0))
}
