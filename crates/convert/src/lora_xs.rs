//! A LoRA-XS adapter as a [`Draft`]: R is trained itself, which is u = r² numbers on the standard projections.

use std::collections::BTreeMap;
use std::path::Path;

use tlora_checkpoint::Checkpoint;
use tlora_format::{Precision, ProjectionKind};

use crate::draft::{Draft, DraftModule, Origin, padded};
use crate::settings::{LARGEST_RANK, LoraXsSettings, reconstruction, small_rank};
use crate::source::{LoraXsModule, Source};
use crate::spelling::{Order, spell};
use crate::values::{self, ensure_shape, wider};
use crate::{ConvertError, base};

/// Reads everything but the factors, and finds the modules in the base.
pub(crate) fn draft(
    source: &Source,
    dir: &Path,
    modules: &BTreeMap<String, LoraXsModule>,
    base: &Checkpoint,
    precision: Option<Precision>,
) -> Result<Draft, ConvertError> {
    let settings = LoraXsSettings::read(&source.config)?;
    let rsvd = reconstruction(dir)?;
    let names: Vec<String> = modules.keys().cloned().collect();
    let in_base = base::names_in_base(base, &names)?;
    let found = base::find(base, &in_base)?;
    let mut by_name = BTreeMap::new();
    let mut own = None;
    for ((name, tensors), module) in modules.iter().zip(found) {
        let rank = small_rank(name, settings.rank(name), LARGEST_RANK)?;
        let weight = base::weight(
            base,
            module,
            &tensors.factors,
            rank,
            settings.fan_in_fan_out,
        )?;
        base::ensure_factors(&tensors.factors, &weight, rank)?;
        ensure_shape(
            &tensors.r,
            &[rank.into(), rank.into()],
            "the r of adapter_config.json",
        )?;
        own = Some(wider(own, values::precision(&tensors.r)?));
        let r = values::read(&source.file, &tensors.r)?;
        let rounded = precision
            .map(|precision| values::rounded(&r, precision))
            .filter(|rounded| *rounded != r);
        let (r, unrounded_r) = rounded.map_or((r.clone(), None), |rounded| (rounded, Some(r)));
        let module = DraftModule {
            scale: settings.scale(name, weight.rank),
            r,
            unrounded_r,
            pair: tensors.factors.clone(),
            weight,
        };
        by_name.insert(module.weight.name.clone(), module);
    }
    let (targets, order) = spell(base, &in_base, Order::Free);
    let modules: Vec<DraftModule> = order
        .iter()
        .filter_map(|name| by_name.remove(name))
        .collect();
    let rank = modules
        .iter()
        .map(|module| module.weight.rank)
        .max()
        .unwrap_or(1);
    let count = u32::try_from(modules.len()).unwrap_or(u32::MAX);
    Ok(Draft {
        targets,
        group_count: count,
        n_tie: 1,
        u: u16::try_from(rank * rank).unwrap_or(u16::MAX),
        v: modules
            .iter()
            .flat_map(|module| padded(&module.r, module.weight.rank, rank))
            .collect(),
        precision: precision.or(own).unwrap_or(Precision::F32),
        projection: ProjectionKind::Standard,
        origin: Origin::Sklearn(rsvd),
        modules,
    })
}
