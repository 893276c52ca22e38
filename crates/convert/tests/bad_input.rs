//! Sources that are damaged, incomplete, hostile, or simply not this: one clear error each.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value, json};
use support::{case, run};
use tempfile::TempDir;
use tlora_checkpoint::{Checkpoint, CheckpointError, ModuleError};
use tlora_convert::{ConvertError, ConvertOptions, convert};
use tlora_rebuild::RebuildError;

/// A tensor: dtype, shape, bytes.
type Tensor = (String, Vec<u64>, Vec<u8>);

/// A copy of a golden checkpoint that a test may spoil.
struct Source {
    dir: TempDir,
    base: PathBuf,
    config: Map<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

impl Source {
    fn copy(name: &str) -> Self {
        let case = case(name);
        let config = fs_err::read(case.checkpoint.join("adapter_config.json")).unwrap();
        let file = Checkpoint::open_file(&case.checkpoint, "adapter_model.safetensors").unwrap();
        let tensors = file.tensors().values().map(|tensor| {
            let mut bytes = vec![0; usize::try_from(tensor.bytes).unwrap()];
            file.read_at(tensor, 0, &mut bytes).unwrap();
            let content = (tensor.dtype.name().to_owned(), tensor.shape.clone(), bytes);
            (tensor.name.clone(), content)
        });
        Self {
            dir: tempfile::tempdir().unwrap(),
            base: case.base,
            config: serde_json::from_slice(&config).unwrap(),
            tensors: tensors.collect(),
        }
    }

    /// TinyLoRA, f32, rank 2, 14 modules, one group.
    fn tinylora() -> Self {
        Self::copy("peft-qwen2-f32-tied")
    }

    fn lora_xs() -> Self {
        Self::copy("xs-f32")
    }

    fn set(mut self, field: &str, value: Value) -> Self {
        self.config.insert(field.to_owned(), value);
        self
    }

    fn without(mut self, field: &str) -> Self {
        self.config.remove(field);
        self
    }

    /// The first tensor whose name ends so.
    fn tensor(&mut self, end: &str) -> (String, &mut Tensor) {
        let (name, tensor) = self
            .tensors
            .iter_mut()
            .find(|(name, _)| name.ends_with(end))
            .unwrap();
        (name.clone(), tensor)
    }

    /// Four zero bytes under another name.
    fn with(mut self, name: &str) -> Self {
        self.tensors
            .insert(name.to_owned(), ("F32".to_owned(), vec![1], vec![0; 4]));
        self
    }

    /// The bytes of the file of tensors.
    fn file(&self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, (dtype, shape, bytes)) in &self.tensors {
            let begin = data.len();
            data.extend(bytes);
            header.insert(
                name.clone(),
                json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, data.len()]}),
            );
        }
        let header = serde_json::to_vec(&header).unwrap();
        [
            &u64::try_from(header.len()).unwrap().to_le_bytes(),
            header.as_slice(),
            &data,
        ]
        .concat()
    }

    fn write(&self) {
        fs_err::write(
            self.dir.path().join("adapter_model.safetensors"),
            self.file(),
        )
        .unwrap();
        fs_err::write(
            self.dir.path().join("adapter_config.json"),
            serde_json::to_vec(&self.config).unwrap(),
        )
        .unwrap();
    }

    fn convert(&self) -> ConvertError {
        self.write();
        self.convert_as_it_is()
    }

    fn convert_as_it_is(&self) -> ConvertError {
        let base = Checkpoint::open(&self.base).unwrap();
        match convert(self.dir.path(), &base, &ConvertOptions::default(), &run()) {
            Ok(_) => panic!("it was converted"),
            Err(error) => error,
        }
    }
}

macro_rules! refused {
    ($source:expr, $pattern:pat $(if $guard:expr)?) => {
        let error = $source.convert();
        assert!(matches!(&error, $pattern $(if $guard)?), "{error:?}");
    };
}

#[test]
fn an_unspoiled_copy_is_converted() {
    for source in [Source::tinylora(), Source::lora_xs()] {
        source.write();
        let base = Checkpoint::open(&source.base).unwrap();
        convert(source.dir.path(), &base, &ConvertOptions::default(), &run()).unwrap();
    }
}

#[test]
fn settings_that_are_missing_or_of_another_type() {
    for field in [
        "peft_type",
        "r",
        "u",
        "weight_tying",
        "projection_seed",
        "bias",
        "target_modules",
    ] {
        refused!(Source::tinylora().without(field), ConvertError::MissingField { field: found, .. } if found == field);
        refused!(Source::tinylora().set(field, json!({"a": 1})), ConvertError::FieldType { field: found, .. } if found == field);
    }
    for field in ["r", "lora_alpha"] {
        refused!(Source::lora_xs().without(field), ConvertError::MissingField { field: found, .. } if found == field);
        refused!(Source::lora_xs().set(field, json!("8")), ConvertError::FieldType { field: found, .. } if found == field);
    }
    for (field, value) in [
        ("fan_in_fan_out", json!("yes")),
        ("peft_version", json!(0.21)),
        ("modules_to_save", json!("lm_head")),
        ("weight_tying", json!(1.5)),
        ("weight_tying", json!(-0.1)),
        ("projection_seed", json!(0.5)),
        ("r", json!(-2)),
        ("save_projection", json!(1)),
    ] {
        refused!(Source::tinylora().set(field, value), ConvertError::FieldType { field: found, .. } if found == field);
    }
    refused!(
        Source::lora_xs().set("rank_pattern", json!({"q_proj": "2"})),
        ConvertError::FieldType { .. }
    );
}

#[test]
fn settings_of_something_that_a_file_cannot_hold() {
    refused!(Source::tinylora().set("target_modules", json!(".*_proj")), ConvertError::RegexTargets { found } if found == ".*_proj");
    refused!(Source::tinylora().set("modules_to_save", json!(["lm_head"])), ConvertError::ModulesToSave(names) if names == &["lm_head"]);
    refused!(
        Source::tinylora().set("bias", json!("all")),
        ConvertError::TrainedBias { .. }
    );
    refused!(
        Source::tinylora().set("peft_type", json!("LORA")),
        ConvertError::OtherType {
            wanted: "TINYLORA",
            ..
        }
    );
    refused!(
        Source::lora_xs().set("peft_type", json!("VERA")),
        ConvertError::OtherType { wanted: "LORA", .. }
    );
    refused!(
        Source::lora_xs().set("use_dora", json!(true)),
        ConvertError::Variant { field: "use_dora" }
    );
    refused!(
        Source::lora_xs().set("alpha_pattern", json!({"q.*": 2})),
        ConvertError::RegexPattern {
            field: "alpha_pattern",
            ..
        }
    );
}

#[test]
fn settings_that_contradict_the_tensors() {
    refused!(
        Source::tinylora().set("weight_tying", json!(0.5)),
        ConvertError::GroupCount {
            found: 1,
            wanted: 7,
            modules: 14,
            ..
        }
    );
    refused!(
        Source::tinylora().set("r", json!(3)),
        ConvertError::Shape { .. }
    );
    refused!(
        Source::tinylora().set("u", json!(2)),
        ConvertError::Shape { .. }
    );
    refused!(
        Source::tinylora().set("r", json!(0)),
        ConvertError::Rank { found: 0, .. }
    );
    refused!(
        Source::lora_xs().set("r", json!(5)),
        ConvertError::Shape { .. }
    );
    refused!(
        Source::lora_xs().set("r", json!(u64::MAX)),
        ConvertError::Rank {
            found: u64::MAX,
            ..
        }
    );
}

#[test]
fn tensors_that_are_something_else() {
    refused!(Source::tinylora().with("base_model.model.lm_head.weight"), ConvertError::UnknownTensor { tensor, .. } if tensor == "base_model.model.lm_head.weight");
    refused!(
        Source::tinylora().with("base_model.model.model.norm.bias"),
        ConvertError::BiasTensor { .. }
    );
    refused!(
        Source::lora_xs().with("base_model.model.classifier.weight"),
        ConvertError::UnknownTensor { .. }
    );
    refused!(
        Source::tinylora().with("base_model.model.x.lora_A.weight"),
        ConvertError::TwoKinds { .. }
    );
    refused!(
        Source::tinylora().with("base_model.model.x.base_layer.weight"),
        ConvertError::UnknownTensor { .. }
    );
    refused!(Source::tinylora().with("base_model.tinylora_v.2"), ConvertError::MissingTensor { tensor } if tensor == "base_model.tinylora_v.1");
    let mut plain = Source::lora_xs();
    plain.tensors.retain(|name, _| !name.contains("latent"));
    refused!(plain, ConvertError::PlainLora { .. });
    let mut other = Source::tinylora();
    other.tensors.clear();
    refused!(other.with("model.weight"), ConvertError::UnknownKind(_));
}

#[test]
fn tensors_that_are_missing() {
    for end in [
        "q_proj.tinylora_A",
        "q_proj.tinylora_B",
        "q_proj.tinylora_P",
    ] {
        let mut source = Source::tinylora();
        let (name, _) = source.tensor(end);
        source.tensors.remove(&name);
        refused!(source, ConvertError::MissingTensor { tensor } if *tensor == name);
    }
    for end in ["lora_A.weight", "lora_B.weight", "latent_mapping.weight"] {
        let mut source = Source::lora_xs();
        let (name, _) = source.tensor(end);
        source.tensors.remove(&name);
        // Without any R it would be a plain LoRA.
        let error = source.convert();
        assert!(
            matches!(
                error,
                ConvertError::MissingTensor { .. } | ConvertError::PlainLora { .. }
            ),
            "{error:?}"
        );
    }
    let mut without_v = Source::tinylora();
    without_v.tensors.remove("base_model.tinylora_v.0");
    refused!(without_v, ConvertError::GroupCount { found: 0, .. });
}

#[test]
fn tensors_of_another_shape_or_type() {
    for end in [
        "q_proj.tinylora_A",
        "q_proj.tinylora_B",
        "q_proj.tinylora_P",
        "tinylora_v.0",
    ] {
        let mut source = Source::tinylora();
        let (name, (_, shape, _)) = source.tensor(end);
        shape.push(1);
        refused!(source, ConvertError::Shape { tensor, .. } if *tensor == name);
    }
    for end in ["k_proj.tinylora_A", "tinylora_v.0"] {
        let mut source = Source::tinylora();
        let (name, (dtype, ..)) = source.tensor(end);
        "I32".clone_into(dtype);
        refused!(source, ConvertError::TensorDtype { tensor, .. } if *tensor == name);
    }
    let mut turned = Source::tinylora();
    let (_, (_, shape, _)) = turned.tensor("q_proj.tinylora_B");
    shape.reverse();
    refused!(turned, ConvertError::ModuleShape { .. });
}

#[test]
fn values_that_are_no_numbers() {
    for end in ["tinylora_A", "tinylora_B", "tinylora_P", "tinylora_v.0"] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut source = Source::tinylora();
            let (name, (_, _, bytes)) = source.tensor(end);
            bytes[..4].copy_from_slice(&value.to_le_bytes());
            refused!(source, ConvertError::NotFinite { tensor, index: 0, .. } if *tensor == name);
        }
    }
    let mut source = Source::lora_xs();
    let (name, (_, _, bytes)) = source.tensor("latent_mapping.weight");
    bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    refused!(source, ConvertError::NotFinite { tensor, index: 1, .. } if *tensor == name);
}

#[test]
fn files_that_are_cut_off_or_lie() {
    let source = Source::tinylora();
    let whole = source.file();
    for length in [0, 7, 8, 100, whole.len() / 2, whole.len() - 1] {
        source.write();
        fs_err::write(
            source.dir.path().join("adapter_model.safetensors"),
            &whole[..length],
        )
        .unwrap();
        let error = source.convert_as_it_is();
        assert!(
            matches!(error, ConvertError::Source(CheckpointError::Header { .. })),
            "{length}: {error:?}"
        );
    }
    let mut lying = Source::tinylora();
    let (_, (_, shape, _)) = lying.tensor("tinylora_A");
    *shape = vec![1 << 40, 1 << 40];
    refused!(lying, ConvertError::Source(CheckpointError::Header { .. }));
}

#[test]
fn directories_without_an_adapter() {
    let source = Source::tinylora();
    assert!(matches!(
        source.convert_as_it_is(),
        ConvertError::NoAdapter(_)
    ));
    fs_err::write(source.dir.path().join("adapter_model.bin"), b"\x80\x02").unwrap();
    assert!(
        matches!(source.convert_as_it_is(), ConvertError::Pickle(path) if path.ends_with("adapter_model.bin"))
    );
    fs_err::write(
        source.dir.path().join("adapter_model.safetensors"),
        source.file(),
    )
    .unwrap();
    assert!(matches!(
        source.convert_as_it_is(),
        ConvertError::NoConfig(_)
    ));
    fs_err::write(source.dir.path().join("adapter_config.json"), b"{").unwrap();
    assert!(matches!(
        source.convert_as_it_is(),
        ConvertError::Source(CheckpointError::Json { .. })
    ));
}

#[test]
fn bases_that_are_not_the_adapters() {
    let bases = support::golden().join("bases");
    let mut other_type = Source::copy("peft-qwen2-bf16");
    other_type.base = bases.join("qwen2-f32");
    refused!(
        other_type,
        ConvertError::BaseDtype {
            source_dtype: tlora_checkpoint::Dtype::Bf16,
            found: tlora_checkpoint::Dtype::F32,
            ..
        }
    );
    let mut other_family = Source::tinylora();
    other_family.base = bases.join("gpt2-f32");
    refused!(
        other_family,
        ConvertError::MissingModules { missing: 14, .. }
    );
    let mut other_size = Source::tinylora();
    other_size.base = bases.join("flat-f32");
    refused!(
        other_size,
        ConvertError::ModuleShape { .. } | ConvertError::MissingModules { .. }
    );
}

#[test]
fn a_quantised_base() {
    let mut source = Source::tinylora();
    let quantised = tempfile::tempdir().unwrap();
    fs_err::copy(
        source.base.join("model.safetensors"),
        quantised.path().join("model.safetensors"),
    )
    .unwrap();
    let config = json!({"model_type": "qwen2", "quantization_config": {"quant_method": "gptq"}});
    fs_err::write(
        quantised.path().join("config.json"),
        serde_json::to_vec(&config).unwrap(),
    )
    .unwrap();
    source.base = quantised.path().to_owned();
    refused!(
        source,
        ConvertError::Rebuild(RebuildError::Checkpoint(CheckpointError::Module(
            ModuleError::Quantised { .. }
        )))
    );
}

#[test]
fn an_order_that_nothing_shows() {
    let mut source = Source::copy("peft-qwen2-f32-unsaved");
    let unknown = tempfile::tempdir().unwrap();
    fs_err::copy(
        source.base.join("model.safetensors"),
        unknown.path().join("model.safetensors"),
    )
    .unwrap();
    fs_err::write(
        unknown.path().join("config.json"),
        br#"{"model_type": "mystery"}"#,
    )
    .unwrap();
    source.base = unknown.path().to_owned();
    refused!(source, ConvertError::UnknownOrder { model_type: Some(found) } if found == "mystery");
}

#[test]
fn settings_of_the_reconstruction_that_are_not_numbers() {
    let source = Source::lora_xs();
    source.write();
    for (text, field) in [
        (
            r#"{"svd": {"random_state": "42", "n_iter": 10}}"#,
            "random_state",
        ),
        (
            r#"{"svd": {"random_state": 4294967296, "n_iter": 10}}"#,
            "random_state",
        ),
        (r#"{"svd": {"random_state": 42, "n_iter": 1001}}"#, "n_iter"),
        (r#"{"svd": 3}"#, "svd"),
    ] {
        fs_err::write(source.dir.path().join("reconstr_config.json"), text).unwrap();
        let error = source.convert_as_it_is();
        assert!(
            matches!(&error, ConvertError::FieldType { file: "reconstr_config.json", field: found, .. } if found == field),
            "{error:?}"
        );
    }
}
