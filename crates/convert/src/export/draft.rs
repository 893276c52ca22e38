//! All of an export that is known before a weight is read.

use std::collections::BTreeSet;

use tlora_checkpoint::Checkpoint;
use tlora_format::Adapter;
use tlora_rebuild::{AdaptedModule, Prepared};

use super::names::{Layer, Placed, has_head, prefix};
use super::targets::{modules_of, target_modules};
use super::tying::PeftTying;
use super::write::{Tensor, TensorFile};
use super::{ExportError, ExportFormat, ExportOptions, config, lora, tinylora};
use crate::order;

/// Weights of an output head, and embeddings of places, which are never one.
const HEADS: [&str; 2] = ["lm_head.weight", "embed_out.weight"];
const POSITIONS: [&str; 2] = ["wpe", "embed_positions"];

/// The modules, their places in the model, and the settings.
pub(super) struct Draft<'a> {
    pub(super) adapter: &'a Adapter,
    pub(super) modules: Vec<Placed<'a>>,
    pub(super) format: ExportFormat,
    /// The largest rank of a module, or the one that all are given.
    pub(super) rank: usize,
    /// Of a TinyLoRA.
    pub(super) tying: Option<PeftTying>,
    /// `target_modules`.
    pub(super) targets: Vec<String>,
    /// Whether the model has a head for language.
    pub(super) is_causal: bool,
    /// An adapted embedding that is the head too.
    pub(super) tied_embedding: Option<String>,
}

impl<'a> Draft<'a> {
    /// # Errors
    /// The adapter has no such form.
    pub(super) fn new(
        checkpoint: &Checkpoint,
        adapter: &'a Adapter,
        modules: &'a [AdaptedModule],
        format: ExportFormat,
    ) -> Result<Self, ExportError> {
        let config = checkpoint.config()?;
        let prefix = prefix(checkpoint, &config);
        let place = |module| Placed::new(module, &config, prefix);
        let modules: Vec<Placed<'a>> = modules.iter().map(place).collect();
        let tensors = checkpoint.tensors().keys();
        let tensors: Vec<String> = tensors.map(|name| format!("{prefix}{name}")).collect();
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let targets = target_modules(&modules_of(tensors.iter().map(String::as_str)), &names)?;
        let tying = match format {
            ExportFormat::PeftLora { .. } => None,
            ExportFormat::PeftTinyLora => Some(tying(&modules, config.model_type())?),
        };
        let is_causal = has_head(&config);
        let has_own_head = tensors.iter().any(|name| ends_with(name, &HEADS));
        let is_shared = |module: &&Placed<'_>| {
            module.layer == Layer::Embedding && !ends_with(&module.name, &POSITIONS)
        };
        let embedding = modules
            .iter()
            .find(is_shared)
            .filter(|_| is_causal && !has_own_head);
        let draft = Self {
            tied_embedding: embedding.map(|module| module.name.clone()),
            rank: rank(&modules, format)?,
            adapter,
            format,
            tying,
            targets,
            is_causal,
            modules,
        };
        draft.ensure_clipped()?;
        Ok(draft)
    }

    /// PEFT's TinyLoRA has no rank above the sides of a weight.
    fn ensure_clipped(&self) -> Result<(), ExportError> {
        let above = |module: &&Placed<'_>| module.module.weight.rank > self.rank_of(module);
        match self.modules.iter().find(above) {
            None => Ok(()),
            Some(Placed { module, .. }) => Err(ExportError::RankAboveSides {
                module: module.weight.name.clone(),
                out_features: module.weight.out_features,
                in_features: module.weight.in_features,
                rank: module.weight.rank,
            }),
        }
    }

    /// The rank that a module has in the file.
    pub(super) fn rank_of(&self, module: &Placed<'_>) -> usize {
        let weight = &module.module.weight;
        match self.format {
            ExportFormat::PeftLora { pad_rank, .. } => pad_rank.map_or(weight.rank, usize::from),
            ExportFormat::PeftTinyLora => {
                self.rank.min(weight.out_features).min(weight.in_features)
            }
        }
    }

    /// All tensors.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        for module in &self.modules {
            let rank = self.rank_of(module);
            match self.format {
                ExportFormat::PeftLora { .. } => tensors.extend(lora::tensors(module, rank)),
                ExportFormat::PeftTinyLora => {
                    tensors.extend(tinylora::tensors(module, self.adapter.u, rank));
                }
            }
        }
        let vectors = 0..self.tying.as_ref().map_or(0, |tying| tying.vectors.len());
        tensors.extend(vectors.map(|group| tinylora::vector(group, self.adapter.u)));
        tensors
    }

    /// Writes the tensors that belong to no module.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn write_vectors(&self, file: &TensorFile) -> Result<(), ExportError> {
        let vectors = self.tying.iter().flat_map(|tying| &tying.vectors);
        for (number, &group) in vectors.enumerate() {
            let v = self.adapter.v(group).into_iter().flatten();
            file.write(&tinylora::vector(number, self.adapter.u), v)?;
        }
        Ok(())
    }

    /// Writes the tensors of a module.
    ///
    /// # Errors
    /// The weight cannot be read or has no such basis, or the tensors cannot be written.
    pub(super) fn write_module(
        &self,
        prepared: &Prepared<'_>,
        module: &Placed<'_>,
        file: &TensorFile,
    ) -> Result<(), ExportError> {
        let rank = self.rank_of(module);
        match self.format {
            ExportFormat::PeftLora { .. } => {
                let values = lora::values(prepared, module, rank)?;
                let mut tensors = lora::tensors(module, rank).into_iter().zip(values);
                tensors.try_for_each(|(tensor, values)| file.write(&tensor, values))
            }
            ExportFormat::PeftTinyLora => {
                let values = tinylora::values(prepared, module, rank)?;
                let tensors = tinylora::tensors(module, self.adapter.u, rank);
                let mut tensors = tensors.into_iter().zip(values);
                tensors.try_for_each(|(tensor, values)| file.write(&tensor, values))
            }
        }
    }

    /// Whether PEFT wants to be told that weights are stored as in × out.
    pub(super) fn has_conv1d(&self) -> bool {
        let mut layers = self.modules.iter().map(|module| module.layer);
        layers.any(|layer| layer == Layer::Conv1d)
    }

    /// The bytes of `adapter_config.json`.
    ///
    /// # Errors
    /// If they cannot be written as JSON.
    pub(super) fn settings(&self, options: &ExportOptions<'_>) -> Result<Vec<u8>, ExportError> {
        config::settings(self, options)
    }
}

fn ends_with(name: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| name.ends_with(end))
}

/// The rank in the settings.
fn rank(modules: &[Placed<'_>], format: ExportFormat) -> Result<usize, ExportError> {
    let largest = modules
        .iter()
        .max_by_key(|module| module.module.weight.rank);
    let Some(Placed { module, .. }) = largest else {
        return Ok(1);
    };
    match format {
        ExportFormat::PeftLora {
            pad_rank: Some(wanted),
            ..
        } if usize::from(wanted) < module.weight.rank => Err(ExportError::PadRank {
            module: module.weight.name.clone(),
            found: module.weight.rank,
            wanted,
        }),
        ExportFormat::PeftLora {
            pad_rank: Some(wanted),
            ..
        } => Ok(wanted.into()),
        ExportFormat::PeftLora { .. } | ExportFormat::PeftTinyLora => Ok(module.weight.rank),
    }
}

/// The groups in the order in which PEFT numbers the modules.
fn tying(modules: &[Placed<'_>], model_type: Option<&str>) -> Result<PeftTying, ExportError> {
    let groups = modules
        .iter()
        .map(|module| (module.name.clone(), module.module.group));
    let groups: std::collections::BTreeMap<String, u32> = groups.collect();
    let distinct: BTreeSet<u32> = groups.values().copied().collect();
    let names: Vec<String> = modules.iter().map(|module| module.name.clone()).collect();
    let order = match order::expected(model_type, &names) {
        Some(order) => order,
        // In a single group the order means nothing.
        None if distinct.len() == 1 => names,
        None => {
            return Err(ExportError::UnknownOrder {
                model_type: model_type.map(str::to_owned),
            });
        }
    };
    let in_order = order.iter().filter_map(|name| groups.get(name).copied());
    Ok(PeftTying::new(&in_order.collect::<Vec<_>>()))
}
