//! The targets that a new adapter gets, family by family.

use serde_json::json;
use tlora_checkpoint::{CheckpointError, Config, ModuleError, default_targets, stores_transposed};
use tlora_format::{STANDARD_TARGETS, TargetModules};

use crate::model::Model;

fn layers(names: &[&str]) -> Vec<String> {
    (0..2)
        .flat_map(|layer| {
            names
                .iter()
                .map(move |name| format!("model.layers.{layer}.x.{name}.weight"))
        })
        .collect()
}

fn default(tensors: &[String]) -> Result<Vec<String>, CheckpointError> {
    let model = Model::of_matrices(tensors.iter().map(String::as_str));
    default_targets(&model.open()).map(|targets| match targets {
        TargetModules::Suffixes(names) => names,
        TargetModules::Modules(names) => panic!("full names {names:?}"),
    })
}

#[test]
fn known_families_get_their_projections() {
    for (names, others) in [
        (&STANDARD_TARGETS[..], &["input_layernorm"][..]),
        (&["qkv_proj", "o_proj", "gate_up_proj", "down_proj"], &[]),
        (&["c_attn", "c_proj", "c_fc"], &["ln_1"]),
    ] {
        let tensors = [
            layers(names),
            layers(others),
            vec!["lm_head.weight".to_owned()],
        ]
        .concat();
        assert_eq!(default(&tensors).expect("a known family"), names);
    }
}

#[test]
fn experts_count_for_their_layer() {
    let attention = layers(&["q_proj", "k_proj", "v_proj", "o_proj"]);
    let experts = layers(&[
        "experts.0.gate_proj",
        "experts.0.up_proj",
        "experts.0.down_proj",
    ]);
    assert_eq!(
        default(&[attention, experts].concat()).expect("a mixture of experts"),
        STANDARD_TARGETS
    );
}

#[test]
fn a_layer_with_only_some_of_them_has_no_default() {
    let vision = vec![
        "vision.layers.0.q_proj.weight".to_owned(),
        "vision.layers.0.out_proj.weight".to_owned(),
    ];
    let error = default(&[layers(&STANDARD_TARGETS), vision].concat()).expect_err("a vision tower");
    let CheckpointError::Module(ModuleError::NoDefaultTargets { found }) = error else {
        panic!("{error}")
    };
    assert_eq!(
        found,
        [
            "down_proj",
            "gate_proj",
            "k_proj",
            "o_proj",
            "out_proj",
            "q_proj",
            "up_proj",
            "v_proj"
        ]
    );
}

#[test]
fn an_unknown_family_lists_what_it_has() {
    let error = default(&layers(&["dense_h_to_4h", "query_key_value"]))
        .expect_err("GPT-NeoX")
        .to_string();
    assert!(
        error.ends_with(
            "choose targets among the linear layers found: dense_h_to_4h, query_key_value"
        ),
        "{error}"
    );
}

#[test]
fn gpt2_stores_its_projections_transposed() {
    let config = |model_type: &str| match json!({ "model_type": model_type }) {
        serde_json::Value::Object(members) => Config::from(members),
        _ => unreachable!("an object"),
    };
    for module in ["h.0.attn.c_attn", "h.0.attn.c_proj", "h.0.mlp.c_fc"] {
        assert!(stores_transposed(&config("gpt2"), module), "{module}");
        assert!(
            !stores_transposed(&config("gpt_bigcode"), module),
            "{module}"
        );
    }
    assert!(!stores_transposed(&config("gpt2"), "lm_head"));
    assert!(!stores_transposed(&Config::default(), "h.0.attn.c_attn"));
}
