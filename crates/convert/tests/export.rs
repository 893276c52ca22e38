//! Exports of the golden checkpoints, computed as PEFT does and compared with the ΔW that PEFT and LoRA-XS have.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::Path;

use serde_json::{Value, json};
use support::{Outcome, case, cases, convert_case, distance, golden, run};
use tempfile::TempDir;
use tlora_basis::{Weight, WeightDtype, basis_check, exact_basis};
use tlora_checkpoint::Checkpoint;
use tlora_convert::{ConvertOptions, ExportError, ExportFormat, ExportOptions, Exported, export};
use tlora_format::{Adapter, Precision, SigmaSide, TargetModules, Tying};
use tlora_rebuild::{RebuildError, Run};

const LORA: ExportFormat = ExportFormat::PeftLora {
    dtype: Precision::F32,
    pad_rank: None,
};

/// An exported directory.
struct Directory {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    settings: Value,
}

impl Directory {
    fn read(path: &Path) -> Self {
        let file = Checkpoint::open_file(path, "adapter_model.safetensors").unwrap();
        let read = |tensor: &tlora_checkpoint::TensorInfo| {
            let mut bytes = vec![0; usize::try_from(tensor.bytes).unwrap()];
            file.read_at(tensor, 0, &mut bytes).unwrap();
            let shape = tensor.shape.iter();
            let shape = shape.map(|&side| usize::try_from(side).unwrap()).collect();
            let values = bytes.as_chunks().0.iter();
            let values = values.map(|&bytes| f64::from(f32::from_le_bytes(bytes)));
            (tensor.name.clone(), (shape, values.collect()))
        };
        let settings = fs_err::read(path.join("adapter_config.json")).unwrap();
        Self {
            tensors: file.tensors().values().map(read).collect(),
            settings: serde_json::from_slice(&settings).unwrap(),
        }
    }

    /// The tensor of a module: rows, columns and values.
    fn part(&self, module: &str, part: &str) -> Option<(usize, usize, &[f64])> {
        let (shape, values) = self
            .tensors
            .get(&format!("base_model.model.{module}.{part}"))?;
        let columns = *shape.last().unwrap();
        Some((values.len() / columns, columns, values))
    }

    /// B·A as `merge_and_unload` adds it to what is stored.
    fn lora(&self, module: &str) -> Vec<f64> {
        if let Some(a) = self.part(module, "lora_embedding_A") {
            let b = self.part(module, "lora_embedding_B").unwrap();
            return transposed(&product(b, a));
        }
        let a = self.part(module, "lora_A.weight").unwrap();
        let b = self.part(module, "lora_B.weight").unwrap();
        let alpha = self.settings["alpha_pattern"][module].as_f64();
        let alpha = alpha.unwrap_or_else(|| self.settings["lora_alpha"].as_f64().unwrap());
        assert_eq!(alpha.to_string(), a.0.to_string(), "the scaling is 1");
        self.stored(module, product(b, a))
    }

    /// B·R·A of a TinyLoRA, with the vector of a group.
    fn tinylora(&self, module: &str, group: usize) -> Vec<f64> {
        let a = self.part(module, "tinylora_A").unwrap();
        let b = self.part(module, "tinylora_B").unwrap();
        let (_, rank, p) = self.part(module, "tinylora_P").unwrap();
        let (_, v) = &self.tensors[&format!("base_model.tinylora_v.{group}")];
        let mut r = vec![0.0; rank * rank];
        for (v, p) in v.iter().zip(p.chunks_exact(rank * rank)) {
            r.iter_mut().zip(p).for_each(|(r, p)| *r += v * p);
        }
        let (rows, columns, br) = product(b, (rank, rank, &r));
        let delta = product((rows, columns, &br), a);
        self.stored(module, delta)
    }

    fn stored(&self, module: &str, delta: (usize, usize, Vec<f64>)) -> Vec<f64> {
        let conv1d = self.settings["fan_in_fan_out"] == true && !module.ends_with("wte");
        if conv1d { transposed(&delta) } else { delta.2 }
    }
}

fn product(b: (usize, usize, &[f64]), a: (usize, usize, &[f64])) -> (usize, usize, Vec<f64>) {
    let ((rows, inner, b), (_, columns, a)) = (b, a);
    let entry = |at: usize| {
        let (i, j) = (at / columns, at % columns);
        (0..inner)
            .map(|k| b[i * inner + k] * a[k * columns + j])
            .sum()
    };
    (rows, columns, (0..rows * columns).map(entry).collect())
}

fn transposed((rows, columns, values): &(usize, usize, Vec<f64>)) -> Vec<f64> {
    (0..rows * columns)
        .map(|at| values[at % rows * columns + at / rows])
        .collect()
}

fn export_to(
    base: &Path,
    adapter: &Adapter,
    output: &Path,
    format: ExportFormat,
) -> Result<Exported, ExportError> {
    let options = ExportOptions {
        format,
        base_name: "org/base",
        revision: None,
        force: false,
    };
    let base = Checkpoint::open(base).unwrap();
    export(&base, adapter, output, &options, &run())
}

fn adapter(name: &str) -> Adapter {
    let options = ConvertOptions::default();
    convert_case(&case(name), &options).unwrap().adapter
}

fn exported(name: &str, adapter: &Adapter, format: ExportFormat) -> (Exported, Directory) {
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out");
    let report = export_to(&case(name).base, adapter, &out, format).unwrap();
    (report, Directory::read(&out))
}

/// PEFT's number of each module, and its groups (`TinyLoraModel._create_and_replace`).
fn group(settings: &Value, modules: usize, number: usize) -> usize {
    let tying = settings["weight_tying"].as_f64().unwrap();
    let count = f64::from(u32::try_from(modules).unwrap()) * (1.0 - tying);
    let count: usize = count
        .round_ties_even()
        .max(1.0)
        .to_string()
        .parse()
        .unwrap();
    let size = (modules / count).max(1);
    (number / size).min(count - 1)
}

/// The modules of a tiny model in the order of `named_modules()`.
fn in_torch_order<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    const PARTS: [&str; 13] = [
        "wte",
        "embed_tokens",
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
        "c_attn",
        "attn.c_proj",
        "c_fc",
        "mlp.c_proj",
    ];
    let place = |name: &String| {
        let layer = name.split('.').find_map(|part| part.parse::<u32>().ok());
        (
            layer,
            PARTS.iter().position(|part| name.ends_with(part)).unwrap(),
        )
    };
    let mut names: Vec<String> = names.cloned().collect();
    names.sort_by_key(place);
    names
}

#[test]
fn what_peft_makes_of_an_export_is_the_update_that_it_was_made_from() {
    for case in cases()
        .into_iter()
        .filter(|case| case.outcome != Outcome::Refused)
    {
        let limit = match case.name.as_str() {
            "xs-f16-rslora" => 1e-3,
            name if name.starts_with("xs-") => 1e-4,
            _ => 1e-5,
        };
        let embedding = ConvertOptions {
            embed_basis: case.outcome == Outcome::Embeds,
            ..ConvertOptions::default()
        };
        let adapter = convert_case(&case, &embedding).unwrap().adapter;
        let expected = case.expected();
        let modules = expected
            .keys()
            .map(|name| name.trim_end_matches(".weight").to_owned());
        let modules: Vec<String> = modules.collect();
        let (_, lora) = exported(&case.name, &adapter, LORA);
        let (_, tiny) = exported(&case.name, &adapter, ExportFormat::PeftTinyLora);
        for (number, module) in in_torch_order(modules.iter()).iter().enumerate() {
            let wanted = &expected[&format!("{module}.weight")];
            let group = group(&tiny.settings, modules.len(), number);
            for found in [lora.lora(module), tiny.tinylora(module, group)] {
                let found = distance(wanted, &found);
                assert!(found < limit, "{}: {module}: {found:.1e}", case.name);
            }
        }
    }
}

#[test]
fn a_tinylora_comes_back_as_peft_wrote_it() {
    let name = "peft-qwen2-bf16";
    let source = case(name);
    let (report, found) = exported(name, &adapter(name), ExportFormat::PeftTinyLora);
    let source = Directory::read(&source.checkpoint);
    // Rounded factors with their corrections, drawn projections and v: all of them to the bit.
    for (tensor, (shape, values)) in &source.tensors {
        assert_eq!(found.tensors[tensor].0, *shape, "{tensor}");
        let differing = values
            .iter()
            .zip(&found.tensors[tensor].1)
            .filter(|(a, b)| a != b);
        let signs = found.tensors[tensor]
            .1
            .iter()
            .zip(values)
            .filter(|(a, b)| **a == -**b);
        // A column of B and the row of A may both be negated.
        assert_eq!(
            differing.count(),
            signs.filter(|(a, _)| **a != 0.0).count(),
            "{tensor}"
        );
    }
    assert_eq!(found.tensors.len(), source.tensors.len());
    let tying = report.tying.unwrap();
    assert!(tying.as_in_adapter);
    for setting in [
        "r",
        "u",
        "peft_type",
        "save_projection",
        "projection_seed",
        "fan_in_fan_out",
    ] {
        assert_eq!(
            found.settings[setting], source.settings[setting],
            "{setting}"
        );
    }
}

#[test]
fn every_side_of_sigma_is_the_same_lora_and_tinylora() {
    let name = "peft-qwen2-f32-tied";
    for side in [SigmaSide::Left, SigmaSide::Split, SigmaSide::Right] {
        let mut fields = adapter(name).into_fields();
        fields.sigma_side = side;
        fields.scale = -1.5;
        let adapter = Adapter::new(fields).unwrap();
        let (_, lora) = exported(name, &adapter, LORA);
        let (_, tiny) = exported(name, &adapter, ExportFormat::PeftTinyLora);
        for module in case(name).expected().keys() {
            let module = module.trim_end_matches(".weight");
            let (wanted, found) = (lora.lora(module), tiny.tinylora(module, 0));
            assert!(distance(&wanted, &found) < 1e-6, "{side:?} {module}");
        }
    }
}

#[test]
fn the_settings_are_those_of_peft() {
    let name = "peft-gpt2-f32";
    let (_, found) = exported(name, &adapter(name), LORA);
    let targets = found.settings["target_modules"].clone();
    assert_eq!(
        found.settings,
        json!({
            "alpha_pattern": {}, "auto_mapping": null, "base_model_name_or_path": "org/base", "bias": "none",
            "fan_in_fan_out": true, "inference_mode": true, "init_lora_weights": true, "layers_pattern": null,
            "layers_to_transform": null, "lora_alpha": 2, "lora_dropout": 0.0, "modules_to_save": null,
            "peft_type": "LORA", "r": 2, "rank_pattern": {}, "revision": null, "target_modules": targets,
            "task_type": "CAUSAL_LM", "use_dora": false, "use_rslora": false,
        })
    );
}

#[test]
fn an_embedding_that_is_the_head_too_is_named() {
    let gpt2 = "peft-gpt2-f32";
    let (report, _) = exported(gpt2, &adapter(gpt2), LORA);
    assert_eq!(report.tied_embedding, None);
    // GPT-2 has no head of its own; the adapter is one of the embedding now.
    let mut fields = adapter(gpt2).into_fields();
    fields.targets = TargetModules::Modules(vec!["transformer.wte".to_owned()]);
    (fields.module_count, fields.group_count, fields.n_tie) = (1, 1, 1);
    (fields.tying, fields.signs, fields.transposed) = (Tying::Tiled, None, None);
    fields.v.truncate(usize::from(fields.u));
    let base = Checkpoint::open(case(gpt2).base).unwrap();
    let weight = &base.tensors()["transformer.wte.weight"];
    let mut bytes = vec![0; usize::try_from(weight.bytes).unwrap()];
    base.read_at(weight, 0, &mut bytes).unwrap();
    let basis = exact_basis(&Weight::new(WeightDtype::F32, 20, 8, &bytes).unwrap(), 2).unwrap();
    fields.basis_check = basis_check([("transformer.wte", &basis.basis)]);
    let (report, _) = exported(gpt2, &Adapter::new(fields).unwrap(), LORA);
    assert_eq!(report.tied_embedding.as_deref(), Some("transformer.wte"));
}

#[test]
fn groups_that_peft_cannot_make_are_untied() {
    let name = "peft-qwen2-f32-tied";
    let mut fields = adapter(name).into_fields();
    let u = usize::from(fields.u);
    (fields.tying, fields.group_count, fields.n_tie) = (
        Tying::Explicit(
            (0..fields.module_count)
                .map(|module| u16::from(module % 2 == 1))
                .collect(),
        ),
        2,
        0,
    );
    fields.v = vec![1.0_f32.to_bits(); 2 * u];
    fields.v[u..].fill(2.0_f32.to_bits());
    let adapter = Adapter::new(fields).unwrap();
    let (report, found) = exported(name, &adapter, ExportFormat::PeftTinyLora);
    let tying = report.tying.unwrap();
    assert_eq!((tying.weight_tying, tying.as_in_adapter), (0.0, false));
    let vector = |number: usize| found.tensors[&format!("base_model.tinylora_v.{number}")].1[0];
    assert_eq!([0, 1, 2, 3].map(vector), [1.0, 2.0, 1.0, 2.0]);
    assert_eq!(tying.vectors, report.modules);
}

#[test]
fn padding_adds_zeros_and_is_never_less_than_a_rank() {
    let name = "peft-qwen2-f32-tied";
    let (adapter, padded) = (adapter(name), |pad_rank| ExportFormat::PeftLora {
        dtype: Precision::F32,
        pad_rank: Some(pad_rank),
    });
    let (report, found) = exported(name, &adapter, padded(8));
    assert_eq!((report.rank, &found.settings["lora_alpha"]), (8, &json!(8)));
    let (_, plain) = exported(name, &adapter, LORA);
    for module in case(name).expected().keys() {
        let module = module.trim_end_matches(".weight");
        assert_eq!(found.lora(module), plain.lora(module));
        assert_eq!(found.part(module, "lora_A.weight").unwrap().0, 8);
    }
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out");
    let error = export_to(&case(name).base, &adapter, &out, padded(1)).unwrap_err();
    assert!(
        matches!(
            error,
            ExportError::PadRank {
                found: 2,
                wanted: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(!out.exists());
}

#[test]
fn the_bytes_do_not_depend_on_threads() {
    let name = "peft-gpt2-bf16";
    let (adapter, base) = (adapter(name), Checkpoint::open(&case(name).base).unwrap());
    let scratch = TempDir::new().unwrap();
    let files = [1, 3].map(|threads| {
        let out = scratch.path().join(threads.to_string());
        let options = ExportOptions {
            format: ExportFormat::PeftTinyLora,
            base_name: "base",
            revision: Some("main"),
            force: false,
        };
        let run = Run {
            threads: NonZero::new(threads).unwrap(),
            cache: None,
            progress: &(),
        };
        export(&base, &adapter, &out, &options, &run).unwrap();
        ["adapter_config.json", "adapter_model.safetensors"]
            .map(|name| fs_err::read(out.join(name)).unwrap())
    });
    assert_eq!(files[0], files[1]);
}

#[test]
fn another_base_is_refused_and_nothing_is_left() {
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out");
    let adapter = adapter("peft-qwen2-f32-tied");
    let other = golden().join("bases/qwen2-bf16");
    let error = export_to(&other, &adapter, &out, LORA).unwrap_err();
    assert!(
        matches!(error, ExportError::Rebuild(RebuildError::WrongBase { .. })),
        "{error:?}"
    );
    assert_eq!(fs_err::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_value_that_is_too_large_for_the_type_is_an_error() {
    let name = "peft-qwen2-f32-tied";
    let mut fields = adapter(name).into_fields();
    fields.scale = 1e30;
    let adapter = Adapter::new(fields).unwrap();
    let scratch = TempDir::new().unwrap();
    let out = scratch.path().join("out");
    let format = ExportFormat::PeftLora {
        dtype: Precision::F16,
        pad_rank: None,
    };
    let error = export_to(&case(name).base, &adapter, &out, format).unwrap_err();
    assert!(matches!(error, ExportError::TooLarge { .. }), "{error:?}");
    assert!(!out.exists());
}
