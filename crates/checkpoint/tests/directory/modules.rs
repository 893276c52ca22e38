//! Module discovery and order (spec §5.2).

use tlora_checkpoint::{Checkpoint, CheckpointError, Dtype, ModuleError, modules, modules_exactly};
use tlora_format::TargetModules;

use crate::model::{Model, Tensor, message};

fn suffixes(names: &[&str]) -> TargetModules {
    TargetModules::Suffixes(names.iter().map(|&name| name.to_owned()).collect())
}

fn names(checkpoint: &Checkpoint, targets: &TargetModules) -> Vec<String> {
    let found = modules(checkpoint, targets).expect("modules");
    found.into_iter().map(|module| module.name).collect()
}

fn fault(model: &Model, targets: &TargetModules) -> ModuleError {
    match modules(&model.open(), targets) {
        Err(CheckpointError::Module(fault)) => fault,
        other => panic!("wanted an error of the modules, found {other:?}"),
    }
}

#[test]
fn layers_count_as_numbers_and_targets_in_their_order() {
    let tensors: Vec<String> = (0..12)
        .flat_map(|layer| {
            ["k_proj", "q_proj"].map(|name| format!("model.layers.{layer}.self_attn.{name}.weight"))
        })
        .collect();
    let checkpoint = Model::of_matrices(tensors.iter().map(String::as_str)).open();
    let found = names(&checkpoint, &suffixes(&["q_proj", "k_proj"]));
    let wanted: Vec<String> = (0..12)
        .flat_map(|layer| {
            ["q_proj", "k_proj"].map(|name| format!("model.layers.{layer}.self_attn.{name}"))
        })
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn experts_follow_their_layer_and_numbers_have_any_length() {
    let wanted = [
        "lm.q_proj",
        "l.0.q_proj",
        "l.0.up_proj",
        "l.0.experts.2.up_proj",
        "l.0.experts.10.up_proj",
        "l.1.q_proj",
        "l.007.q_proj",
        "l.7.q_proj",
        "l.18446744073709551616.q_proj",
        "l.18446744073709551617.q_proj",
        "l.100000000000000000000.q_proj",
    ];
    let tensors = wanted.map(|name| format!("{name}.weight"));
    let checkpoint = Model::of_matrices(tensors.iter().rev().map(String::as_str)).open();
    assert_eq!(
        names(&checkpoint, &suffixes(&["q_proj", "up_proj"])),
        wanted
    );
}

#[test]
fn a_target_is_whole_name_parts_at_the_end() {
    let tensors = [
        "q_proj.weight",
        "a.q_proj.weight",
        "a.xq_proj.weight",
        "a.q_proj.x.weight",
        "a.q_proj.bias",
        "b.o.c.weight",
    ];
    let checkpoint = Model::of_matrices(tensors).open();
    assert_eq!(
        names(&checkpoint, &suffixes(&["q_proj"])),
        ["a.q_proj", "q_proj"]
    );
    assert_eq!(names(&checkpoint, &suffixes(&["o.c"])), ["b.o.c"]);
}

#[test]
fn full_names_keep_the_order_of_the_list() {
    let checkpoint = Model::of_matrices(["l.0.q.weight", "l.1.q.weight", "l.1.k.weight"]).open();
    let listed = ["l.1.k", "l.0.q"].map(str::to_owned);
    assert_eq!(
        names(&checkpoint, &TargetModules::Modules(listed.to_vec())),
        listed
    );
    let missing = TargetModules::Modules(vec!["l.2.q".to_owned()]);
    assert_eq!(
        modules(&checkpoint, &missing)
            .expect_err("no layer 2")
            .to_string(),
        "the checkpoint has no module l.2.q"
    );
}

#[test]
fn a_module_knows_its_target_and_its_sizes() {
    let model = Model::of(&[
        ("l.0.k.weight", "F32", &[3, 2], vec![0; 24]),
        ("l.0.q.weight", "F16", &[2, 5], vec![0; 20]),
    ]);
    let found = modules(&model.open(), &suffixes(&["q", "k"])).expect("two modules");
    let sizes: Vec<_> = found
        .iter()
        .map(|module| (module.target, module.out_features, module.in_features))
        .collect();
    assert_eq!(sizes, [(0, 2, 5), (1, 3, 2)]);
    assert_eq!(found[0].tensor.dtype, Dtype::F16);
    let transposed = found[0].clone().stored_transposed();
    assert_eq!((transposed.out_features, transposed.in_features), (5, 2));
}

#[test]
fn the_number_of_modules_is_the_adapters() {
    let checkpoint = Model::of_matrices(["l.0.q.weight", "l.1.q.weight"]).open();
    assert_eq!(
        modules_exactly(&checkpoint, &suffixes(&["q"]), 2)
            .expect("two")
            .len(),
        2
    );
    let error = modules_exactly(&checkpoint, &suffixes(&["q"]), 3).expect_err("two");
    assert!(
        matches!(
            error,
            CheckpointError::Module(ModuleError::Count {
                expected: 3,
                found: 2
            })
        ),
        "{error}"
    );
}

#[test]
fn nothing_found_lists_the_linear_layers() {
    let model = Model::of_matrices([
        "h.0.attn.c_attn.weight",
        "h.0.mlp.c_fc.weight",
        "wte.weight",
    ]);
    let error = message(&fault(&model, &suffixes(&["q_proj", "k_proj"])));
    assert_eq!(
        error,
        "no module of the checkpoint is one of q_proj, k_proj; linear layers found: c_attn, c_fc"
    );
}

#[test]
fn a_weight_is_a_matrix_of_floats() {
    let of = |dtype, shape, bytes| {
        let tensor: Tensor<'_> = ("l.0.q.weight", dtype, shape, vec![0; bytes]);
        fault(&Model::of(&[tensor]), &suffixes(&["q"]))
    };
    assert!(
        matches!(of("BF16", &[4], 8), ModuleError::NotAMatrix { module, .. } if module == "l.0.q")
    );
    assert!(matches!(
        of("BF16", &[2, 2, 2], 16),
        ModuleError::NotAMatrix { .. }
    ));
    assert!(matches!(of("BF16", &[0, 2], 0), ModuleError::Empty { .. }));
    assert!(matches!(
        of("F64", &[2, 2], 32),
        ModuleError::Dtype {
            dtype: Dtype::F64,
            ..
        }
    ));
    assert!(matches!(of("I32", &[2, 2], 16), ModuleError::Dtype { .. }));
}

#[test]
fn fused_experts_are_refused() {
    let name = "model.layers.0.mlp.experts.gate_up_proj";
    let model = Model::of(&[
        (name, "BF16", &[4, 2, 2], vec![0; 32]),
        (
            "model.layers.0.self_attn.q_proj.weight",
            "BF16",
            &[2, 2],
            vec![0; 8],
        ),
    ]);
    let refused = fault(&model, &suffixes(&["q_proj", "gate_up_proj"]));
    assert!(matches!(refused, ModuleError::FusedExperts { tensor, .. } if tensor == name));
    assert_eq!(names(&model.open(), &suffixes(&["q_proj"])).len(), 1);
}
