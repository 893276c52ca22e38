//! A merge compared with what is there: equal, and every way of being different that the comparison names.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::{Path, PathBuf};

use support::{Tensor, adapter_with_r, base_digest, basis, run, tensor, write_checkpoint};
use tempfile::TempDir;
use tlora_basis::WeightDtype;
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, SigmaSide};
use tlora_merge::{Compared, FileFault, How, MergeError, MergeOptions, compare, merge};
use tlora_rebuild::RebuildError;

const Q0: &str = "layers.0.q_proj";
const Q1: &str = "layers.1.q_proj";
const CONFIG: &str = r#"{"model_type": "llama", "torch_dtype": "bfloat16"}"#;

/// A base, an adapter for it, and their merge, which a test then spoils.
struct Case {
    directory: TempDir,
    base: Checkpoint,
    adapter: Adapter,
}

/// Finite bf16 weights between 2⁻⁷ and 2⁻⁴ that look like noise.
fn weights(count: usize, mut state: u32) -> Vec<u8> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [_, _, low, sign] = state.to_le_bytes();
        [low, 0x3c + (sign & 1) + (sign & 0x80)]
    };
    (0..count).flat_map(|_| next()).collect()
}

impl Case {
    fn new(dtype: Option<WeightDtype>) -> Self {
        let directory = TempDir::new().unwrap();
        let one = |name, seed| -> Tensor { (name, "BF16", vec![12, 10], weights(120, seed)) };
        let norm: Tensor = (
            "norm.weight",
            "F32",
            vec![2],
            vec![0, 0, 128, 63, 0, 0, 0, 64],
        );
        let tensors = [
            one("layers.0.q_proj.weight", 1),
            one("layers.1.q_proj.weight", 2),
            norm,
        ];
        let base = write_checkpoint(&directory.path().join("base"), &tensors);
        fs_err::write(base.dir().join("config.json"), CONFIG).unwrap();
        let of = |name: &str| {
            basis(
                WeightDtype::Bf16,
                12,
                10,
                &tensor(&base, &format!("{name}.weight")),
                2,
            )
        };
        let (q0, q1) = (of(Q0), of(Q1));
        let modules = [(Q0, &q0), (Q1, &q1)];
        let r = [0.25, -0.125, 0.5, 1.0];
        let adapter = adapter_with_r(base_digest(&base), &modules, &r, SigmaSide::Left, 1.0);
        let case = Self {
            directory,
            base,
            adapter,
        };
        case.merge(&case.adapter, "merged", dtype);
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn merge(&self, adapter: &Adapter, name: &str, dtype: Option<WeightDtype>) {
        let options = MergeOptions {
            dtype,
            force: false,
        };
        merge(
            &self.base,
            std::slice::from_ref(adapter),
            &self.path(name),
            &options,
            &run(2, None),
        )
        .unwrap();
    }

    fn compare(&self) -> Compared {
        let merged = Checkpoint::open(self.path("merged")).unwrap();
        let compared = compare(
            &self.base,
            std::slice::from_ref(&self.adapter),
            &merged,
            &run(2, None),
        )
        .unwrap();
        assert_eq!(compared.merged, base_digest(&merged));
        compared
    }

    /// The same adapter with another factor.
    fn scaled(&self, scale: f32) -> Adapter {
        let mut fields = self.adapter.clone().into_fields();
        fields.scale = scale;
        Adapter::new(fields).unwrap()
    }

    /// Puts a tensor of another checkpoint in the place of the merged one.
    fn take_tensor(&self, from: &Path, name: &str) {
        let bytes = tensor(&Checkpoint::open(from).unwrap(), name);
        self.change(name, |merged| merged.copy_from_slice(&bytes));
    }

    /// Changes the bytes of a merged tensor.
    fn change(&self, name: &str, change: impl FnOnce(&mut [u8])) {
        let merged = Checkpoint::open(self.path("merged")).unwrap();
        let info = &merged.tensors()[name];
        let path = self.path("merged").join("model.safetensors");
        let mut file = fs_err::read(&path).unwrap();
        let begin = usize::try_from(info.offset).unwrap();
        change(&mut file[begin..begin + usize::try_from(info.bytes).unwrap()]);
        fs_err::write(path, file).unwrap();
    }
}

#[track_caller]
fn assert_equal(compared: &Compared) {
    assert_eq!(compared.merged, compared.expected);
    assert_eq!(
        (
            compared.adapted.compared,
            compared.untouched.compared,
            compared.changed
        ),
        (2, 1, 2)
    );
    assert!(compared.adapted.differing.is_empty() && compared.untouched.differing.is_empty());
    assert_eq!(
        (compared.how, &compared.layout[..], &compared.files[..]),
        (None, &[][..], &[][..])
    );
}

#[test]
fn a_merge_is_base_plus_adapter_in_every_output_type() {
    for dtype in [
        None,
        Some(WeightDtype::F32),
        Some(WeightDtype::F16),
        Some(WeightDtype::Bf16),
    ] {
        assert_equal(&Case::new(dtype).compare());
    }
}

#[test]
fn names_the_first_tensor_that_was_reverted() {
    let case = Case::new(None);
    case.take_tensor(case.base.dir(), "layers.1.q_proj.weight");
    let compared = case.compare();
    assert_eq!(compared.adapted.differing, ["layers.1.q_proj.weight"]);
    assert_eq!((compared.how, compared.changed), (Some(How::Reverted), 1));
    assert_ne!(compared.merged, compared.expected);
}

#[test]
fn recognises_an_update_that_was_subtracted_doubled_or_scaled() {
    let case = Case::new(None);
    for (scale, how) in [(-1.0, How::Sign), (2.0, How::Twice)] {
        let name = format!("scaled{scale}");
        case.merge(&case.scaled(scale), &name, None);
        case.take_tensor(&case.path(&name), "layers.0.q_proj.weight");
        assert_eq!(case.compare().how, Some(how));
    }
    case.merge(&case.scaled(1.5), "more", None);
    case.take_tensor(&case.path("more"), "layers.0.q_proj.weight");
    let Some(How::Scaled(factor)) = case.compare().how else {
        panic!("{:?}", case.compare().how)
    };
    assert!((factor - 1.5).abs() < 0.05, "{factor}");
}

#[test]
fn recognises_one_step_of_one_value() {
    let case = Case::new(None);
    case.change("layers.0.q_proj.weight", |bytes| bytes[0] ^= 1);
    let compared = case.compare();
    assert_eq!(compared.how, Some(How::OneUlp { values: 1, of: 120 }));
}

#[test]
fn counts_values_that_differ_in_no_known_way() {
    let case = Case::new(None);
    case.change("layers.0.q_proj.weight", |bytes| {
        bytes[1] ^= 2;
        bytes[21] ^= 2;
    });
    assert_eq!(case.compare().how, Some(How::Other { values: 2, of: 120 }));
}

#[test]
fn finds_a_changed_byte_in_a_tensor_that_is_not_adapted() {
    let case = Case::new(None);
    case.change("norm.weight", |bytes| bytes[0] = 1);
    let compared = case.compare();
    assert_eq!(compared.untouched.differing, ["norm.weight"]);
    assert!(compared.adapted.differing.is_empty() && compared.how.is_none());
}

#[test]
fn names_tensors_that_are_missing_extra_or_of_another_type() {
    let case = Case::new(None);
    let merged = Checkpoint::open(case.path("merged")).unwrap();
    let keep =
        |name: &'static str| -> Tensor { (name, "BF16", vec![12, 10], tensor(&merged, name)) };
    let tensors: [Tensor; 3] = [
        keep("layers.0.q_proj.weight"),
        (
            "layers.1.q_proj.weight",
            "BF16",
            vec![10, 12],
            tensor(&merged, "layers.1.q_proj.weight"),
        ),
        ("backdoor.weight", "F32", vec![1], vec![0; 4]),
    ];
    write_checkpoint(&case.path("merged"), &tensors);
    let faults = case.compare().layout;
    let faults: Vec<_> = faults
        .iter()
        .map(|fault| {
            (
                &*fault.name,
                fault.expected.as_deref(),
                fault.found.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        faults,
        [
            ("backdoor.weight", None, Some("F32 [1]")),
            (
                "layers.1.q_proj.weight",
                Some("BF16 [12, 10]"),
                Some("BF16 [10, 12]")
            ),
            ("norm.weight", Some("F32 [2]"), None),
        ]
    );
}

#[test]
fn names_files_that_a_merge_does_not_write() {
    let case = Case::new(None);
    let write =
        |name: &str, text: &str| fs_err::write(case.path("merged").join(name), text).unwrap();
    write("modeling.py", "import os");
    write("notes.txt", "");
    write("README.md", "a model card");
    write(
        "config.json",
        r#"{"model_type": "llama", "auto_map": {"AutoModel": "modeling.Model"}}"#,
    );
    write("tlora-merge.json", "{}");
    let files = case.compare().files;
    let files: Vec<_> = files.iter().map(|file| (&*file.name, file.fault)).collect();
    assert_eq!(
        files,
        [
            ("config.json", FileFault::NamesCode),
            ("modeling.py", FileFault::Code),
            ("notes.txt", FileFault::Unexpected),
            ("tlora-merge.json", FileFault::OtherMerge),
        ]
    );
}

#[test]
fn a_configuration_of_another_type_than_the_weights_is_a_change() {
    let case = Case::new(Some(WeightDtype::F32));
    fs_err::write(case.path("merged").join("config.json"), CONFIG).unwrap();
    let files = case.compare().files;
    assert_eq!((files.len(), files[0].fault), (1, FileFault::Changed));
    fs_err::remove_file(case.path("merged").join("config.json")).unwrap();
    assert_eq!(case.compare().files[0].fault, FileFault::Missing);
}

#[test]
fn another_base_is_an_error_and_no_difference() {
    let case = Case::new(None);
    let merged = Checkpoint::open(case.path("merged")).unwrap();
    let error = compare(
        &merged,
        std::slice::from_ref(&case.adapter),
        &merged,
        &run(1, None),
    )
    .unwrap_err();
    assert!(
        matches!(error, MergeError::Rebuild(RebuildError::WrongBase { .. })),
        "{error}"
    );
}
