//! A new adapter for a base.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use tlora_basis::basis_check;
use tlora_checkpoint::{Checkpoint, Module, default_targets, modules, stores_transposed};
use tlora_format::{
    Adapter, AdapterFields, BaseDigest, BasisKind, Corrections, Grouping, Precision,
    ProjectionKind, Rounding, SigmaSide, TargetModules, TextKey, Tying, paper_grouping,
    peft_grouping,
};

use tlora_rebuild::{BasisNote, ModuleWeight, Run, bases, digest};

use crate::MergeError;

/// R10.
const MAX_VALUES: u64 = 16_777_216;

/// What the new adapter shall be. Its basis is exact and its projections are native.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// The rank r, 1 to 64.
    pub rank: u8,
    /// Trained numbers of each group.
    pub u: u16,
    /// How the modules are divided into groups.
    pub groups: Groups,
    /// Whether neighbours are modules of one type, rather than of one layer.
    pub structured: bool,
    /// The modules; none for the usual ones of the base's family.
    pub targets: Option<TargetModules>,
    /// The type that v is stored in.
    pub precision: Precision,
    /// The seed of the projections.
    pub seed: u64,
    /// Where the singular values stand.
    pub sigma_side: SigmaSide,
    /// Factor of ΔW.
    pub scale: f32,
    /// v, group by group; zeros if there is none.
    pub v: Option<Vec<f64>>,
    /// Free text.
    pub text: BTreeMap<TextKey, String>,
}

/// How the modules are divided into groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Groups {
    /// All modules share one vector.
    One,
    /// So many modules share one, by the paper's rule: the last group takes the rest.
    Tie(NonZeroU32),
    /// So many groups, by PEFT's rule.
    Count(NonZeroU32),
    /// Each module has its own.
    Untied,
}

impl Groups {
    fn of(self, module_count: NonZeroU32) -> Grouping {
        match self {
            Self::One => peft_grouping(module_count, NonZeroU32::MIN),
            Self::Tie(modules) => paper_grouping(module_count, modules),
            Self::Count(groups) => peft_grouping(module_count, groups),
            Self::Untied => peft_grouping(module_count, module_count),
        }
    }
}

/// A new adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct Created {
    /// The adapter.
    pub adapter: Adapter,
    /// Bases that are not quite what one expects.
    pub notes: Vec<BasisNote>,
}

/// Makes an adapter for a base: finds its modules, hashes the base and computes all bases.
///
/// # Errors
/// The recipe does not fit the base, or the base cannot be read, or a weight has no basis.
pub fn create(
    checkpoint: &Checkpoint,
    recipe: &Recipe,
    run: &Run<'_>,
) -> Result<Created, MergeError> {
    let targets = recipe
        .targets
        .clone()
        .map_or_else(|| default_targets(checkpoint), Ok)?;
    let modules = modules(checkpoint, &targets)?;
    let config = checkpoint.config()?;
    let transposed: Vec<bool> = modules
        .iter()
        .map(|module| stores_transposed(&config, &module.name))
        .collect();
    // First without what takes long, to see whether it is an adapter at all.
    let mut fields =
        Adapter::new(fields(recipe, targets, &modules, transposed.clone())?)?.into_fields();
    let weights = modules.into_iter().zip(transposed);
    let weights: Vec<ModuleWeight> = weights
        .map(|(module, transposed)| ModuleWeight::new(module, transposed, recipe.rank))
        .collect::<Result<_, _>>()?;
    let base = digest(checkpoint, run)?.digest;
    let (bases, notes) = bases(checkpoint, &weights, &base, run)?;
    checkpoint.ensure_unchanged()?;
    fields.base = base;
    fields.basis_check = basis_check(
        weights
            .iter()
            .map(|weight| (weight.name.as_str(), &bases[weight])),
    );
    Ok(Created {
        adapter: Adapter::new(fields)?,
        notes,
    })
}

fn fields(
    recipe: &Recipe,
    targets: TargetModules,
    modules: &[Module],
    transposed: Vec<bool>,
) -> Result<AdapterFields, MergeError> {
    let count = u32::try_from(modules.len()).ok().and_then(NonZeroU32::new);
    let count =
        count.ok_or_else(|| parameter("modules", "1 to 1048576".to_owned(), modules.len()))?;
    let Grouping { group_count, n_tie } = recipe.groups.of(count);
    Ok(AdapterFields {
        precision: recipe.precision,
        v: packed_v(recipe, group_count)?,
        rank: recipe.rank,
        u: recipe.u,
        module_count: count.get(),
        group_count,
        n_tie,
        tying: if recipe.structured {
            Tying::Structured
        } else {
            Tying::Tiled
        },
        targets,
        sigma_side: recipe.sigma_side,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: ProjectionKind::Native { seed: recipe.seed },
        scale: recipe.scale,
        base: BaseDigest([0; 32]),
        basis_check: [0; 8],
        module_ranks: None,
        module_scales: None,
        transposed: Some(transposed),
        signs: None,
        corrections: Corrections::default(),
        text: recipe.text.clone(),
        unknown: BTreeMap::new(),
    })
}

fn packed_v(recipe: &Recipe, group_count: u32) -> Result<Vec<u32>, MergeError> {
    let wanted = u64::from(group_count) * u64::from(recipe.u);
    if wanted > MAX_VALUES {
        return Err(parameter(
            "trained numbers",
            format!("at most {MAX_VALUES} in all"),
            wanted,
        ));
    }
    let v = match &recipe.v {
        Some(v) if v.len() as u64 == wanted => v.clone(),
        Some(v) => {
            let wanted = format!("{wanted}, {} for each of {group_count} groups", recipe.u);
            return Err(parameter("trained numbers", wanted, v.len()));
        }
        None => vec![0.0; usize::try_from(wanted).unwrap_or(usize::MAX)],
    };
    recipe
        .precision
        .pack(&v)
        .map_err(|error| parameter("trained numbers", "finite ones".to_owned(), error))
}

fn parameter(what: &'static str, wanted: String, found: impl ToString) -> MergeError {
    MergeError::Parameter {
        what,
        wanted,
        found: found.to_string(),
    }
}
