//! What `tlora init` chooses for a base: the targets, and which weights are stored transposed.

use std::collections::{BTreeMap, BTreeSet};

use tlora_format::{STANDARD_TARGETS, TargetModules};

use crate::error::{CheckpointError, ModuleError};
use crate::modules::{layer_matrices, linear_names};
use crate::{Checkpoint, Config, quantised};

/// Llama, Qwen, Mistral, Gemma and their like; Phi-3, with fused projections; GPT-2.
const KNOWN: [&[&str]; 3] = [
    &STANDARD_TARGETS,
    &["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    &["c_attn", "c_proj", "c_fc"],
];

/// The targets of a base whose layers have one of the known sets of projections.
///
/// # Errors
/// [`ModuleError::NoDefaultTargets`] lists what the layers have; a quantised base is refused.
pub fn default_targets(checkpoint: &Checkpoint) -> Result<TargetModules, CheckpointError> {
    quantised::refuse(checkpoint.tensors().values(), &checkpoint.config()?)?;
    let mut layers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (layer, name) in layer_matrices(checkpoint) {
        layers.entry(layer).or_default().insert(name);
    }
    match KNOWN.into_iter().find(|known| covers(known, &layers)) {
        Some(known) => Ok(TargetModules::Suffixes(
            known.iter().map(|&name| name.to_owned()).collect(),
        )),
        None => Err(ModuleError::NoDefaultTargets {
            found: linear_names(checkpoint),
        }
        .into()),
    }
}

/// Whether every layer that has one of the names has all of them, and some layer does.
///
/// A layer with only some of them (the vision tower of a multimodal model, say) would be adapted by accident.
fn covers(names: &[&str], layers: &BTreeMap<&str, BTreeSet<&str>>) -> bool {
    let mut touched = layers
        .values()
        .filter(|layer| names.iter().any(|name| layer.contains(name)))
        .peekable();
    touched.peek().is_some() && touched.all(|layer| names.iter().all(|name| layer.contains(name)))
}

/// Whether the checkpoint stores the weight of `module` transposed, in × out, as the `Conv1D` of GPT-2 does.
///
/// The shape cannot tell where it is square; the family of the model does.
pub fn stores_transposed(config: &Config, module: &str) -> bool {
    let conv1d = matches!(
        config.model_type(),
        Some("gpt2" | "openai-gpt" | "imagegpt" | "decision_transformer")
    );
    let name = module.rsplit('.').next().unwrap_or(module);
    conv1d && matches!(name, "c_attn" | "c_proj" | "c_fc" | "q_attn")
}
