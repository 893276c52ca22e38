//! The checkpoints of `golden/`, which PEFT and LoRA-XS wrote, converted and compared with the ΔW that those programs have.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use support::{Case, Outcome, case, cases, convert_case, distance, updates};
use tlora_convert::{
    BasisOrigin, ConvertError, ConvertOptions, Converted, Note, ProjectionOrigin, SourceKind,
};
use tlora_format::{BasisKind, Precision, SigmaSide, TargetModules};

/// What a decomposition in single precision leaves in these small cases (`peft_svd_error` in `case.json`).
const NOISE: f64 = 1e-5;
/// The same where singular values are one part in a hundred apart.
const FLAT_NOISE: f64 = 1e-4;
/// What a rounding of the factors to f16 leaves, which LoRA-XS on an f16 base does.
const F16_NOISE: f64 = 1e-3;

fn converted(name: &str) -> Converted {
    convert_case(&case(name), &ConvertOptions::default()).unwrap()
}

/// The largest distance of a module's ΔW from what the source's program has.
fn farthest(case: &Case, bytes: &[u8]) -> f64 {
    let (expected, found) = (case.expected(), updates(bytes, &case.base));
    let names = expected.keys().collect::<Vec<_>>();
    assert_eq!(names, found.keys().collect::<Vec<_>>(), "{}", case.name);
    let distances = expected
        .iter()
        .map(|(name, wanted)| distance(wanted, &found[name]));
    distances.fold(0.0, f64::max)
}

#[test]
fn every_case_has_the_outcome_that_it_says() {
    let embedding = ConvertOptions {
        embed_basis: true,
        ..ConvertOptions::default()
    };
    for case in cases() {
        let plain = convert_case(&case, &ConvertOptions::default());
        match (case.outcome, plain) {
            (Outcome::Converts, Ok(_)) => {}
            (Outcome::Embeds, Err(ConvertError::OtherBasis { .. })) => {
                let embedded = convert_case(&case, &embedding).unwrap();
                let report = &embedded.report;
                assert_eq!(report.basis.kind, BasisOrigin::Explicit, "{}", case.name);
                assert!(matches!(report.notes[0], Note::FactorsEmbedded { .. }));
                assert!(farthest(&case, &embedded.bytes) < 1e-6, "{}", case.name);
            }
            (Outcome::Refused, Err(_)) => {
                convert_case(&case, &embedding).unwrap_err();
            }
            (outcome, found) => panic!("{}: {outcome:?}, {:?}", case.name, found.err()),
        }
    }
}

#[test]
fn a_converted_file_makes_the_update_of_the_program_that_wrote_the_source() {
    let converting = cases()
        .into_iter()
        .filter(|case| case.outcome == Outcome::Converts);
    for case in converting {
        let limit = match case.name.as_str() {
            "xs-f16-rslora" => F16_NOISE,
            name if name.starts_with("xs-") => FLAT_NOISE,
            _ => NOISE,
        };
        let converted = convert_case(&case, &ConvertOptions::default()).unwrap();
        let found = farthest(&case, &converted.bytes);
        assert!(found < limit, "{}: {found:.1e}", case.name);
    }
}

#[test]
fn a_file_is_small() {
    // 96 bytes of header and checksum, v, and sections for signs, or for the seed of the randomised SVD.
    for (name, bytes) in [
        ("peft-qwen2-f32-tied", 107),
        ("peft-0.19.1-qwen2-f32", 106),
        ("peft-bf16-tensors", 128),
        ("xs-f32", 237),
    ] {
        assert_eq!(converted(name).bytes.len(), bytes, "{name}");
    }
}

#[test]
fn the_seed_of_peft_0_19_is_found_in_the_projections() {
    let report = converted("peft-0.19.1-qwen2-f32").report;
    assert_eq!(report.projections.kind, ProjectionOrigin::TorchShared);
    assert!(report.projections.compared);
    let refused = convert_case(&case("peft-0.19.1-unsaved"), &ConvertOptions::default());
    assert!(
        matches!(refused, Err(ConvertError::LostProjections { version }) if version == "0.19.1")
    );
}

#[test]
fn projections_that_are_not_stored_are_drawn_and_said_to_be() {
    let report = converted("peft-qwen2-f32-unsaved").report;
    let kind = report.projections.kind;
    assert_eq!(
        (kind, report.projections.compared),
        (ProjectionOrigin::TorchPerModule, false)
    );
    assert_eq!(report.notes, [Note::ProjectionsNotStored]);
}

#[test]
fn a_second_adapter_has_the_numbers_of_the_first_and_keeps_its_projections() {
    let converted = converted("peft-second-adapter");
    assert_eq!(
        converted.report.projections.kind,
        ProjectionOrigin::Explicit
    );
    assert_eq!(converted.report.notes, [Note::ProjectionsEmbedded]);
}

#[test]
fn an_embedding_is_a_module_and_its_copy_is_left_out() {
    let converted = converted("peft-llama-f32-embedding");
    let tensor = "base_model.model.model.embed_tokens.base_layer.weight".to_owned();
    assert_eq!(converted.report.notes, [Note::Ignored { tensor }]);
    let targets = ["embed_tokens", "q_proj"].map(str::to_owned).to_vec();
    assert_eq!(converted.adapter.targets, TargetModules::Suffixes(targets));
}

#[test]
fn conv1d_weights_are_transposed_and_its_two_projections_told_apart() {
    let adapter = converted("peft-gpt2-f32").adapter;
    assert!((0..8).all(|module| adapter.is_transposed(module)));
    let targets = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
    let targets = targets.map(str::to_owned).to_vec();
    assert_eq!(adapter.targets, TargetModules::Suffixes(targets));
}

#[test]
fn lora_xs_has_both_spellings_scales_and_ranks() {
    let old = converted("xs-f32-old-keys");
    assert_eq!(
        (old.report.source.kind, old.adapter.scale),
        (SourceKind::LoraXs, 4.0)
    );
    let rslora = converted("xs-f16-rslora").adapter;
    assert_eq!(
        rslora.scale.to_string(),
        "2.1213202",
        "3 / sqrt(2) in binary32"
    );
    let patterns = converted("xs-patterns").adapter;
    let of = |module| (patterns.module_rank(module), patterns.module_scale(module));
    // In the order of the standard targets: q_proj of rank 2 and scale 8 / 2, then down_proj, 3 / 4.
    assert_eq!([of(0), of(1)], [(2, 4.0), (4, 0.75)]);
    let BasisKind::Rsvd { seed, n_iter, .. } = converted("xs-seed").adapter.basis else {
        panic!("not an rsvd basis")
    };
    assert_eq!((seed, n_iter), (7, 2));
}

#[test]
fn an_exact_svd_of_lora_xs_is_rebuilt_as_one() {
    let adapter = converted("xs-exact").adapter;
    assert_eq!(
        (adapter.basis.clone(), adapter.sigma_side),
        (BasisKind::Exact, SigmaSide::Right)
    );
}

#[test]
fn roundings_left_out_are_seen_in_the_residual() {
    let options = ConvertOptions {
        rounding: false,
        ..ConvertOptions::default()
    };
    let case = case("peft-qwen2-bf16");
    let converted = convert_case(&case, &options).unwrap();
    let largest = converted.report.residual.largest.residual;
    assert!((1e-4..1e-2).contains(&largest), "{largest}");
    let found = farthest(&case, &converted.bytes);
    assert!(
        (found - largest).abs() < 1e-4 * largest,
        "{found} {largest}"
    );
    let strict = ConvertOptions {
        max_residual: Some(largest / 2.0),
        ..options
    };
    let refused = convert_case(&case, &strict);
    assert!(matches!(refused, Err(ConvertError::Residual { residual, .. }) if residual == largest));
}

#[test]
fn a_flattened_file_has_an_r_for_each_module() {
    let options = ConvertOptions {
        flatten: true,
        ..ConvertOptions::default()
    };
    for name in ["peft-qwen2-f32-tied", "peft-gpt2-f32", "peft-qwen2-bf16"] {
        let case = case(name);
        let converted = convert_case(&case, &options).unwrap();
        let adapter = &converted.adapter;
        assert_eq!(adapter.group_count, adapter.module_count);
        assert_eq!(adapter.sigma_side, SigmaSide::Left);
        let limit = if name.contains("bf16") { 1e-2 } else { NOISE };
        assert!(farthest(&case, &converted.bytes) < limit, "{name}");
    }
}

#[test]
fn lora_xs_is_not_projected_on_the_exact_basis() {
    let options = ConvertOptions {
        flatten: true,
        ..ConvertOptions::default()
    };
    let refused = convert_case(&case("xs-f32"), &options);
    // What the projection would lose here.
    assert!(
        matches!(refused, Err(ConvertError::Residual { residual, .. }) if residual > 0.01),
        "{refused:?}"
    );
}

#[test]
fn a_narrower_v_is_reported_apart_from_the_residual() {
    let options = ConvertOptions {
        precision: Some(Precision::Bf16),
        ..ConvertOptions::default()
    };
    let case = case("peft-qwen2-f32-tied");
    let converted = convert_case(&case, &options).unwrap();
    assert_eq!(converted.adapter.precision, Precision::Bf16);
    let largest = &converted.report.residual.largest;
    assert!(largest.residual < NOISE);
    let modules = converted.report.residual.modules.iter();
    let worst = modules.filter_map(|module| module.residual_with_rounding_of_v);
    let worst = worst.fold(0.0, f64::max);
    assert!((1e-4..1e-2).contains(&worst), "{worst}");
    let found = farthest(&case, &converted.bytes);
    assert!((found - worst).abs() < 1e-2 * worst, "{found} {worst}");
}

#[test]
fn another_base_of_the_same_shapes_is_told_apart() {
    let mut wrong = case("peft-qwen2-f32-tied");
    let other = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs_err::copy(wrong.base.join(name), other.path().join(name)).unwrap();
    }
    let weights = other.path().join("model.safetensors");
    let mut bytes = fs_err::read(&weights).unwrap();
    // Some signs of the last 256 weights, of two modules: still a valid model.
    let end = bytes.len();
    bytes[end - 1024..]
        .iter_mut()
        .skip(3)
        .step_by(4)
        .step_by(3)
        .for_each(|byte| *byte ^= 0x80);
    fs_err::write(&weights, bytes).unwrap();
    wrong.base = other.path().to_owned();
    let refused = convert_case(&wrong, &ConvertOptions::default());
    assert!(
        matches!(&refused, Err(ConvertError::OtherBasis { modules: 2, .. })),
        "{refused:?}"
    );
}

#[test]
fn an_unknown_family_has_its_order_in_the_projections() {
    for name in [
        "peft-qwen2-bf16",
        "peft-bf16-tensors",
        "peft-llama-f32-rank1",
    ] {
        let mut case = case(name);
        let known = convert_case(&case, &ConvertOptions::default()).unwrap();
        let unknown = tempfile::tempdir().unwrap();
        let weights = "model.safetensors";
        fs_err::copy(case.base.join(weights), unknown.path().join(weights)).unwrap();
        case.base = unknown.path().to_owned();
        let converted = convert_case(&case, &ConvertOptions::default()).unwrap();
        assert_eq!(converted.bytes, known.bytes, "{name}");
    }
}
