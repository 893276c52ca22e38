//! Quantised bases are recognised and refused, by what they store and by what their configuration says.

use tlora_checkpoint::{CheckpointError, ModuleError, Quantisation, default_targets, modules};
use tlora_format::TargetModules;

use crate::model::{Model, Tensor, tensors};

const Q: Tensor<'static> = ("l.0.q_proj.weight", "BF16", &[1, 1], Vec::new());

fn kind(model: &Model) -> Option<Quantisation> {
    let targets = TargetModules::Suffixes(vec!["q_proj".to_owned()]);
    match modules(&model.open(), &targets) {
        Ok(_) => None,
        Err(CheckpointError::Module(ModuleError::Quantised { kind, .. })) => Some(kind),
        Err(error) => panic!("{error}"),
    }
}

fn with_tensor(name: &str, dtype: &str, bytes: usize) -> Option<Quantisation> {
    let mut q = Q;
    q.3 = vec![0; 2];
    kind(&Model::of(&[q, (name, dtype, &[1], vec![0; bytes])]))
}

fn with_config(config: &str) -> Option<Quantisation> {
    let mut q = Q;
    q.3 = vec![0; 2];
    kind(&Model::with(&[
        ("model.safetensors", &tensors(&[q])),
        ("config.json", config.as_bytes()),
    ]))
}

#[test]
fn tensors_give_the_kind_away() {
    for (name, dtype, bytes, wanted) in [
        ("l.0.k_proj.weight", "F8_E4M3", 1, Quantisation::Fp8),
        ("l.0.k_proj.weight_scale", "F32", 4, Quantisation::Fp8),
        ("l.0.k_proj.weight_scale_inv", "F32", 4, Quantisation::Fp8),
        ("l.0.k_proj.g_idx", "I32", 4, Quantisation::Gptq),
        ("l.0.k_proj.qzeros", "I32", 4, Quantisation::Awq),
        (
            "l.0.k_proj.weight.absmax",
            "U8",
            1,
            Quantisation::Bitsandbytes,
        ),
        (
            "l.0.k_proj.weight.quant_state.bitsandbytes__nf4",
            "U8",
            1,
            Quantisation::Bitsandbytes,
        ),
        ("l.0.k_proj.weight", "U8", 1, Quantisation::Bitsandbytes),
        (
            "l.0.mlp.experts.down_proj_blocks",
            "U8",
            1,
            Quantisation::Mxfp4,
        ),
    ] {
        assert_eq!(with_tensor(name, dtype, bytes), Some(wanted), "{name}");
    }
    assert_eq!(with_tensor("l.0.k_proj.scale", "F32", 4), None);
    assert_eq!(with_tensor("l.0.mask", "BOOL", 1), None);
}

#[test]
fn gptq_is_told_from_awq_by_its_group_index() {
    let list = |last| {
        [
            ("l.0.q_proj.qweight", "I32", &[1][..], vec![0; 4]),
            (last, "I32", &[1], vec![0; 4]),
        ]
    };
    assert_eq!(
        kind(&Model::of(&list("l.0.q_proj.g_idx"))),
        Some(Quantisation::Gptq)
    );
    assert_eq!(
        kind(&Model::of(&list("l.0.q_proj.qzeros"))),
        Some(Quantisation::Awq)
    );
}

#[test]
fn the_configuration_gives_it_away_too() {
    let of = |method: &str| {
        with_config(&format!(
            r#"{{"quantization_config":{{"quant_method":"{method}"}}}}"#
        ))
    };
    assert_eq!(of("gptq"), Some(Quantisation::Gptq));
    assert_eq!(of("hqq"), Some(Quantisation::Named("hqq".to_owned())));
    assert!(with_config(r#"{"quantization_config":{}}"#).is_some());
    assert_eq!(with_config(r#"{"quantization_config":null}"#), None);
    assert_eq!(with_config("{}"), None);
}

#[test]
fn the_error_says_what_to_do() {
    let model = Model::of(&[("l.0.q_proj.qweight", "I32", &[1], vec![0; 4])]);
    let error = default_targets(&model.open())
        .expect_err("quantised")
        .to_string();
    assert_eq!(
        error,
        "the base is quantised (AWQ, by the tensor l.0.q_proj.qweight); use the unquantised base model"
    );
}
