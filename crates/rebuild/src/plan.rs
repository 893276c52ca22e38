//! What an adapter does to a base, before any weight is read: modules, ranks, groups and R (spec §5, §7).

use tlora_basis::{
    combine, native_projections, standard_projections, torch_projections, torch_seed,
};
use tlora_checkpoint::{Checkpoint, CheckpointError, Module, modules_exactly};
use tlora_format::{Adapter, Factors, ProjectionKind, groups};

use crate::module_basis::Kind;
use crate::{ModuleWeight, RebuildError};

/// One module and the update that the adapter wants of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptedModule {
    /// The module's weight.
    pub weight: ModuleWeight,
    /// Its number in module order.
    pub number: usize,
    /// The group whose vector steers it.
    pub group: u32,
    /// The factor of its update.
    pub scale: f32,
    /// Whether column c of V is negated before use, for c = 0 … rank − 1.
    pub negated: Vec<bool>,
    /// R, rank × rank, row-major.
    pub r: Vec<f64>,
    /// The number of its first entry among the entries of all factors (spec §4.6).
    pub first_entry: u64,
}

impl AdaptedModule {
    /// P of the module, u · rank · rank values (spec §7).
    #[must_use]
    pub fn projections<'a>(&self, adapter: &'a Adapter) -> Box<dyn Iterator<Item = f64> + 'a> {
        projections(adapter, self.number, &self.weight.name, self.weight.rank)
    }

    /// How many entries its B and A have.
    fn entries(&self) -> u64 {
        let ModuleWeight {
            out_features,
            in_features,
            rank,
            ..
        } = self.weight;
        (out_features as u64 + in_features as u64).saturating_mul(rank as u64)
    }
}

/// Finds the modules of the adapter in the base, in module order, and computes their R.
///
/// # Errors
/// The base does not have exactly these modules, it is quantised, or what the file has for a module is of another size.
pub fn plan(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
) -> Result<Vec<AdaptedModule>, RebuildError> {
    let modules = modules_exactly(checkpoint, &adapter.targets, adapter.module_count)?;
    let targets: Vec<usize> = modules.iter().map(|module| module.target).collect();
    // The list has an entry for each of the modules that were just counted.
    let groups = groups(adapter, &targets).map_err(|_wrong_count| {
        let (expected, found) = (u64::from(adapter.module_count), targets.len() as u64);
        CheckpointError::Module(tlora_checkpoint::ModuleError::Count { expected, found })
    })?;
    let modules = modules.into_iter().zip(groups).enumerate();
    let planned = modules.map(|(number, (module, group))| one(adapter, number, module, group));
    let mut planned = planned.collect::<Result<Vec<_>, _>>()?;
    let mut entries = 0_u64;
    for module in &mut planned {
        module.first_entry = entries;
        entries = entries.saturating_add(module.entries());
    }
    match adapter.corrections.end() {
        end if end > entries => Err(RebuildError::Corrections {
            entry: end - 1,
            entries,
        }),
        _ => Ok(planned),
    }
}

fn one(
    adapter: &Adapter,
    number: usize,
    module: Module,
    group: u32,
) -> Result<AdaptedModule, RebuildError> {
    let rank = adapter.module_rank(number);
    let mut weight = ModuleWeight::new(module, adapter.is_transposed(number), rank)?;
    if let Kind::Explicit(_, factors) = Kind::of(adapter) {
        // Spec §5.2: the sizes of the base do not limit it.
        weight.rank = usize::from(rank);
        ensure_same_size(&weight, factors.get(number))?;
    }
    ensure_projections_fit(adapter, &weight, rank)?;
    let negated = |column| adapter.is_negated(number, column);
    Ok(AdaptedModule {
        number,
        group,
        scale: adapter.module_scale(number),
        negated: (0..weight.rank).map(negated).collect(),
        r: r_matrix(adapter, number, group, &weight.name, weight.rank),
        first_entry: 0,
        weight,
    })
}

/// The factors of the file are those of a weight of the base's size (spec §6.8).
fn ensure_same_size(weight: &ModuleWeight, factors: Option<&Factors>) -> Result<(), RebuildError> {
    let stored = factors.map_or((0, 0), |factors| {
        (factors.out_features, factors.in_features)
    });
    let same = (usize::try_from(stored.0), usize::try_from(stored.1))
        == (Ok(weight.out_features), Ok(weight.in_features));
    if same {
        return Ok(());
    }
    Err(RebuildError::FactorSize {
        module: weight.name.clone(),
        out_features: weight.out_features,
        in_features: weight.in_features,
        stored,
    })
}

/// Stored projections are not clipped to a module: what they mean at a smaller rank is not defined (spec §4.5).
fn ensure_projections_fit(
    adapter: &Adapter,
    weight: &ModuleWeight,
    rank: u8,
) -> Result<(), RebuildError> {
    let stored = matches!(adapter.projection, ProjectionKind::Explicit { .. });
    if !stored || weight.rank >= usize::from(rank) {
        return Ok(());
    }
    Err(RebuildError::SmallerThanProjections {
        module: weight.name.clone(),
        out_features: weight.out_features,
        in_features: weight.in_features,
        rank,
    })
}

/// R of a module (spec §7), row-major.
pub(crate) fn r_matrix(
    adapter: &Adapter,
    number: usize,
    group: u32,
    name: &str,
    rank: usize,
) -> Vec<f64> {
    let v: Vec<f64> = adapter.v(group).map(Iterator::collect).unwrap_or_default();
    combine(&v, projections(adapter, number, name, rank), rank)
}

/// P of a module (spec §7), one matrix after the other, drawn as they are asked for.
fn projections<'a>(
    adapter: &'a Adapter,
    number: usize,
    name: &str,
    rank: usize,
) -> Box<dyn Iterator<Item = f64> + 'a> {
    let u = usize::from(adapter.u);
    match &adapter.projection {
        ProjectionKind::Native { seed } => Box::new(native_projections(*seed, name, u, rank)),
        ProjectionKind::Standard => Box::new(standard_projections(usize::from(adapter.rank), rank)),
        &ProjectionKind::Torch {
            seed,
            seed_rule,
            rounding,
        } => {
            let seed = torch_seed(seed, seed_rule, number);
            Box::new(torch_projections(seed, u, rank, rounding))
        }
        ProjectionKind::Explicit {
            precision,
            shared,
            values,
        } => {
            let first = if *shared {
                0
            } else {
                values_before(adapter, number, u)
            };
            let stored = values.iter().skip(first).take(u * rank * rank);
            Box::new(stored.map(|&bits| precision.to_f64(bits)))
        }
    }
}

/// How many explicit projection values belong to the modules before this one.
fn values_before(adapter: &Adapter, number: usize, u: usize) -> usize {
    let size = |rank: u8| u * usize::from(rank) * usize::from(rank);
    match &adapter.module_ranks {
        Some(ranks) => ranks.iter().take(number).copied().map(size).sum(),
        None => number * size(adapter.rank),
    }
}
