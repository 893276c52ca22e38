//! `adapter_config.json`, with the settings that every release of PEFT knows.

use serde_json::{Map, Value, json};
use tlora_format::ProjectionKind;

use super::draft::Draft;
use super::tying::PeftTying;
use super::{ExportError, ExportFormat, ExportOptions};

/// What PEFT's own TinyLoRA starts from; unused where the projections are stored.
const PROJECTION_SEED: u64 = 42;

/// The bytes of the file.
///
/// # Errors
/// If they cannot be written as JSON.
pub(super) fn settings(
    draft: &Draft<'_>,
    options: &ExportOptions<'_>,
) -> Result<Vec<u8>, ExportError> {
    let mut settings = common(draft, options);
    match (draft.format, &draft.tying) {
        (ExportFormat::PeftTinyLora, Some(tying)) => settings.extend(tinylora(draft, tying)),
        _ => settings.extend(lora(draft)),
    }
    settings.sort_keys();
    let mut bytes = serde_json::to_vec_pretty(&settings)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn common(draft: &Draft<'_>, options: &ExportOptions<'_>) -> Map<String, Value> {
    members(json!({
        "auto_mapping": null,
        "base_model_name_or_path": options.base_name,
        "bias": "none",
        "fan_in_fan_out": draft.has_conv1d(),
        "inference_mode": true,
        "layers_pattern": null,
        "layers_to_transform": null,
        "modules_to_save": null,
        "r": draft.rank,
        "revision": options.revision,
        "target_modules": draft.targets,
        "task_type": draft.is_causal.then_some("CAUSAL_LM"),
    }))
}

fn lora(draft: &Draft<'_>) -> Map<String, Value> {
    // PEFT's scaling is alpha / r: of modules with a rank of their own too.
    let own = draft
        .modules
        .iter()
        .map(|module| (module, draft.rank_of(module)));
    let own = own.filter(|(_, rank)| *rank != draft.rank);
    let own: Map<String, Value> = own
        .map(|(module, rank)| (module.name.clone(), rank.into()))
        .collect();
    members(json!({
        "alpha_pattern": own,
        "init_lora_weights": true,
        "lora_alpha": draft.rank,
        "lora_dropout": 0.0,
        "peft_type": "LORA",
        "rank_pattern": own,
        "use_dora": false,
        "use_rslora": false,
    }))
}

fn tinylora(draft: &Draft<'_>, tying: &PeftTying) -> Map<String, Value> {
    let seed = match draft.adapter.projection {
        ProjectionKind::Torch { seed, .. } => seed,
        _ => PROJECTION_SEED,
    };
    members(json!({
        "init_v_bound": 0.02,
        "init_weights": true,
        "peft_type": "TINYLORA",
        "projection_seed": seed,
        "save_projection": true,
        "tinylora_dropout": 0.0,
        "u": draft.adapter.u,
        "weight_tying": tying.weight_tying,
    }))
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
