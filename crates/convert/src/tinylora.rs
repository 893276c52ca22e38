//! A TinyLoRA adapter of PEFT as a [`Draft`].

use std::collections::BTreeMap;

use tlora_basis::{WeightDtype, combine};
use tlora_checkpoint::{Checkpoint, TensorInfo};
use tlora_format::{Precision, Rounding, SeedRule};
use tlora_rebuild::{ModuleWeight, RebuildError};

use crate::draft::{Draft, DraftModule, Origin};
use crate::projections::{Draws, Known, Numbering, StoredProjections, recover};
use crate::settings::{LARGEST_RANK, TinyLoraSettings, small_rank};
use crate::source::{Pair, Source, TinyLoraModule};
use crate::spelling::{Order, spell};
use crate::tying::group_count;
use crate::values::{self, ensure_shape, fits};
use crate::vectors::Vectors;
use crate::{ConvertError, base, order};

/// Reads everything, the factors only to see what they are rounded to, and finds the modules in the base.
pub(crate) fn draft(
    source: &Source,
    modules: &BTreeMap<String, TinyLoraModule>,
    v: &[TensorInfo],
    base: &Checkpoint,
    precision: Option<Precision>,
) -> Result<Draft, ConvertError> {
    let settings = TinyLoraSettings::read(&source.config)?;
    let found = on_base(base, modules, &settings)?;
    let unrounded = vectors(source, v, found.len(), &settings)?;
    let vectors = unrounded.rounded(precision.unwrap_or(unrounded.precision));
    let changed = vectors.values != unrounded.values;
    let rounding = factor_rounding(source, &found)?;
    let stored = stored_projections(source, &found)?;
    let numbering = number(
        base,
        &found,
        &stored,
        &settings,
        vectors.group_count,
        rounding,
    )?;
    let (targets, names) = spell(base, &numbering.names, numbering.order);
    let (draws, u) = (numbering.draws, usize::from(vectors.u));
    let modules = (0..)
        .zip(in_order(found, &names))
        .map(|(number, Found { weight, pair, .. })| {
            let p = draws.of_module(number, &weight, u, &stored);
            let r = |vectors: &Vectors| {
                combine(vectors.of_module(number), p.iter().copied(), weight.rank)
            };
            DraftModule {
                r: r(&vectors),
                unrounded_r: changed.then(|| r(&unrounded)),
                scale: 1.0,
                weight,
                pair,
            }
        });
    Ok(Draft {
        modules: modules.collect(),
        targets,
        group_count: vectors.group_count,
        n_tie: vectors.n_tie,
        u: vectors.u,
        precision: vectors.precision,
        projection: draws.kind(&names, &stored),
        v: vectors.values,
        origin: Origin::Peft(rounding),
    })
}

/// A module of the source, and its weight in the base.
struct Found {
    weight: ModuleWeight,
    pair: Pair,
    p: Option<TensorInfo>,
}

fn on_base(
    base: &Checkpoint,
    modules: &BTreeMap<String, TinyLoraModule>,
    settings: &TinyLoraSettings,
) -> Result<Vec<Found>, ConvertError> {
    let names: Vec<String> = modules.keys().cloned().collect();
    let found = base::find(base, &base::names_in_base(base, &names)?)?;
    let with_tensors = found.into_iter().zip(modules.values());
    with_tensors
        .map(|(module, TinyLoraModule { factors, p })| {
            let rank = settings.r.min(module.out_features).min(module.in_features);
            let rank = small_rank(&module.name, rank, LARGEST_RANK)?;
            let weight = base::weight(base, module, factors, rank, settings.fan_in_fan_out)?;
            base::ensure_factors(factors, &weight, rank)?;
            if let Some(p) = p {
                let rank = u64::from(rank);
                ensure_shape(
                    p,
                    &[settings.u, rank, rank],
                    "the u and r of adapter_config.json",
                )?;
            }
            let (pair, p) = (factors.clone(), p.clone());
            Ok(Found { weight, pair, p })
        })
        .collect()
}

fn vectors(
    source: &Source,
    v: &[TensorInfo],
    modules: usize,
    settings: &TinyLoraSettings,
) -> Result<Vectors, ConvertError> {
    let modules = u32::try_from(modules).unwrap_or(u32::MAX);
    let groups = group_count(modules, settings.weight_tying);
    if v.len() as u64 != u64::from(groups) {
        return Err(ConvertError::GroupCount {
            found: v.len() as u64,
            wanted: groups.into(),
            modules: modules.into(),
            weight_tying: settings.weight_tying,
        });
    }
    let u = u16::try_from(settings.u).ok().filter(|&u| u > 0);
    let wrong = || source.config.wrong("u", &settings.u.into(), "1 to 65535");
    Vectors::read(&source.file, v, modules, groups, u.ok_or_else(wrong)?)
}

/// What the stored factors are rounded to: peft stores them as f32, whatever type the base gave them.
fn factor_rounding(source: &Source, modules: &[Found]) -> Result<Rounding, ConvertError> {
    let (mut bf16, mut f16) = (true, true);
    for tensor in modules
        .iter()
        .flat_map(|module| [&module.pair.b, &module.pair.a])
    {
        let values = values::read(&source.file, tensor)?;
        bf16 = bf16 && fits(&values, Precision::Bf16);
        f16 = f16 && fits(&values, Precision::F16);
    }
    let f16_base = modules
        .iter()
        .all(|module| module.weight.dtype == WeightDtype::F16);
    let rounding = match (bf16, f16) {
        (true, false) => Rounding::Bf16,
        (false, true) => Rounding::F16,
        // A few small numbers may fit both; the base then says which it was.
        (true, true) if f16_base => Rounding::F16,
        (true, true) => Rounding::Bf16,
        (false, false) => Rounding::None,
    };
    base::ensure_dtype(modules.iter().map(|module| &module.weight), rounding)?;
    Ok(rounding)
}

fn stored_projections(
    source: &Source,
    modules: &[Found],
) -> Result<StoredProjections, ConvertError> {
    let stored = modules
        .iter()
        .filter_map(|module| Some((&module.weight.name, module.p.as_ref()?)));
    stored
        .map(|(name, p)| Ok((name.clone(), values::read(&source.file, p)?)))
        .collect()
}

/// The numbers of the modules and the origin of their projections.
fn number(
    base: &Checkpoint,
    modules: &[Found],
    stored: &StoredProjections,
    settings: &TinyLoraSettings,
    group_count: u32,
    rounding: Rounding,
) -> Result<Numbering, ConvertError> {
    let config = base.config().map_err(RebuildError::from)?;
    let names: Vec<String> = modules
        .iter()
        .map(|module| module.weight.name.clone())
        .collect();
    let expected = match names.as_slice() {
        [_] => Some(names),
        _ => order::expected(config.model_type(), &names),
    };
    let unknown = || ConvertError::UnknownOrder {
        model_type: config.model_type().map(str::to_owned),
    };
    if stored.is_empty() {
        if !settings.version.draws_by_module() {
            return Err(ConvertError::LostProjections {
                version: settings.version.to_string(),
            });
        }
        let draws = Draws::Torch {
            seed: settings.projection_seed,
            rule: SeedRule::PerModule,
            rounding,
        };
        let names = expected.ok_or_else(unknown)?;
        return Ok(Numbering {
            names,
            order: Order::Fixed,
            draws,
        });
    }
    let matrices = base
        .tensors()
        .values()
        .filter(|tensor| tensor.shape.len() == 2)
        .count();
    let known = Known {
        modules: modules
            .iter()
            .map(|module| (module.weight.name.as_str(), module.weight.rank))
            .collect(),
        expected,
        seed: settings.projection_seed,
        group_count,
        limit: matrices as u64,
    };
    recover(&known, stored).ok_or_else(unknown)
}

/// The modules in the order of these names, of which there is one each.
fn in_order(modules: Vec<Found>, names: &[String]) -> Vec<Found> {
    let mut by_name: BTreeMap<String, Found> = modules
        .into_iter()
        .map(|module| (module.weight.name.clone(), module))
        .collect();
    names
        .iter()
        .filter_map(|name| by_name.remove(name))
        .collect()
}
