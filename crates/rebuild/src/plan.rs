//! What an adapter does to a base, before any weight is read: modules, ranks, groups and R (spec §5, §7).

use tlora_basis::{combine, native_projections, standard_projections};
use tlora_checkpoint::{Checkpoint, CheckpointError, modules_exactly};
use tlora_format::{Adapter, BasisKind, ProjectionKind, Rounding, groups};

use crate::{ModuleWeight, RebuildError, Undefined};

/// One module and the update that the adapter wants of it.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptedModule {
    /// The module's weight.
    pub weight: ModuleWeight,
    /// The group whose vector steers it.
    pub group: u32,
    /// The factor of its update.
    pub scale: f32,
    /// Whether column c of V is negated before use, for c = 0 … rank − 1.
    pub negated: Vec<bool>,
    /// R, rank × rank, row-major.
    pub r: Vec<f64>,
}

/// Finds the modules of the adapter in the base, in module order, and computes their R.
///
/// # Errors
/// The base does not have exactly these modules, it is quantised, or the adapter is of a kind whose arithmetic is not
/// defined.
pub fn plan(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
) -> Result<Vec<AdaptedModule>, RebuildError> {
    ensure_defined(adapter)?;
    let modules = modules_exactly(checkpoint, &adapter.targets, adapter.module_count)?;
    let targets: Vec<usize> = modules.iter().map(|module| module.target).collect();
    // The list has an entry for each of the modules that were just counted.
    let groups = groups(adapter, &targets).map_err(|_wrong_count| {
        let (expected, found) = (u64::from(adapter.module_count), targets.len() as u64);
        CheckpointError::Module(tlora_checkpoint::ModuleError::Count { expected, found })
    })?;
    let modules = modules.into_iter().zip(groups).enumerate();
    modules
        .map(|(number, (module, group))| {
            let rank = adapter.module_rank(number);
            let weight = ModuleWeight::new(module, adapter.is_transposed(number), rank)?;
            ensure_projections_fit(adapter, &weight, rank)?;
            Ok(AdaptedModule {
                group,
                scale: adapter.module_scale(number),
                negated: (0..weight.rank)
                    .map(|column| adapter.is_negated(number, column))
                    .collect(),
                r: r_matrix(adapter, number, group, &weight.name, weight.rank),
                weight,
            })
        })
        .collect()
}

/// Refuses what the specification leaves open.
pub(crate) fn ensure_defined(adapter: &Adapter) -> Result<(), RebuildError> {
    let undefined = match (&adapter.basis, adapter.basis_rounding, &adapter.projection) {
        (BasisKind::Rsvd { .. }, _, _) => Undefined::RsvdBasis,
        (BasisKind::Explicit { .. }, _, _) => Undefined::ExplicitBasis,
        (_, Rounding::Bf16 | Rounding::F16, _) => Undefined::BasisRounding,
        (_, _, ProjectionKind::Torch { .. }) => Undefined::TorchProjections,
        _ => return Ok(()),
    };
    Err(RebuildError::Unsupported(undefined))
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

/// R of a module (spec §7), row-major, or an empty matrix for projections that are not defined.
pub(crate) fn r_matrix(
    adapter: &Adapter,
    number: usize,
    group: u32,
    name: &str,
    rank: usize,
) -> Vec<f64> {
    let v: Vec<f64> = adapter.v(group).map(Iterator::collect).unwrap_or_default();
    match &adapter.projection {
        ProjectionKind::Native { seed } => {
            combine(&v, native_projections(*seed, name, v.len(), rank), rank)
        }
        ProjectionKind::Standard => combine(
            &v,
            standard_projections(usize::from(adapter.rank), rank),
            rank,
        ),
        ProjectionKind::Explicit {
            precision,
            shared,
            values,
        } => {
            let first = if *shared {
                0
            } else {
                values_before(adapter, number, v.len())
            };
            let stored = values.iter().skip(first);
            combine(&v, stored.map(|&bits| precision.to_f64(bits)), rank)
        }
        ProjectionKind::Torch { .. } => Vec::new(),
    }
}

/// How many explicit projection values belong to the modules before this one.
fn values_before(adapter: &Adapter, number: usize, u: usize) -> usize {
    let sizes = (0..number).map(|module| usize::from(adapter.module_rank(module)));
    sizes.map(|rank| u * rank * rank).sum()
}
