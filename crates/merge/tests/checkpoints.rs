//! What a merge writes around the tensors, what it does not depend on, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    Tensor, adapter_with_r, base_digest, basis, run, tensor, weights, write_checkpoint, write_shard,
};
use tempfile::TempDir;
use tlora_basis::{Update, Weight, WeightDtype, core_matrix, merge_rows};
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, Precision, ProjectionKind, SigmaSide};
use tlora_merge::{MergeError, MergeOptions, measure, merge};
use tlora_rebuild::{Cache, RebuildError, plan};

const Q0: &str = "layers.0.q_proj";
const Q1: &str = "layers.1.q_proj";
const R: [f64; 4] = [0.25, -0.125, 0.5, 1.0];

fn base_tensors() -> Vec<Tensor> {
    vec![
        (
            "layers.0.q_proj.weight",
            "BF16",
            vec![12, 10],
            weights(120, 1),
        ),
        (
            "layers.1.q_proj.weight",
            "BF16",
            vec![12, 10],
            weights(120, 2),
        ),
        (
            "norm.weight",
            "F32",
            vec![2],
            vec![0, 0, 128, 63, 0, 0, 0, 64],
        ),
    ]
}

fn adapter(checkpoint: &Checkpoint) -> Adapter {
    let basis_of = |name: &str| {
        basis(
            WeightDtype::Bf16,
            12,
            10,
            &tensor(checkpoint, &format!("{name}.weight")),
            2,
        )
    };
    let (q0, q1) = (basis_of(Q0), basis_of(Q1));
    adapter_with_r(
        base_digest(checkpoint),
        &[(Q0, &q0), (Q1, &q1)],
        &R,
        SigmaSide::Left,
        1.0,
    )
}

fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = |path: std::path::PathBuf| {
        (
            path.file_name().unwrap().to_str().unwrap().to_owned(),
            fs_err::read(&path).unwrap(),
        )
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

#[test]
fn the_bytes_depend_neither_on_threads_nor_on_the_cache() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let adapters = [adapter(&checkpoint)];
    let cache = Cache::open(Some(directory.path().join("cache"))).unwrap();
    let mut results = Vec::new();
    for (threads, cache) in [(1, None), (2, Some(&cache)), (3, Some(&cache)), (7, None)] {
        let out = directory.path().join(format!("out{}", results.len()));
        merge(
            &checkpoint,
            &adapters,
            &out,
            &MergeOptions::default(),
            &run(threads, cache),
        )
        .unwrap();
        results.push(files(&out));
    }
    assert!(results.iter().all(|result| *result == results[0]));
}

#[test]
fn a_damaged_cache_is_rebuilt() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let adapters = [adapter(&checkpoint)];
    let cache_directory = directory.path().join("cache");
    let cache = Cache::open(Some(cache_directory.clone())).unwrap();
    let merged = |name: &str| {
        let out = directory.path().join(name);
        merge(
            &checkpoint,
            &adapters,
            &out,
            &MergeOptions::default(),
            &run(2, Some(&cache)),
        )
        .unwrap()
        .digest
    };
    let first = merged("first");
    let mut entries = 0;
    damage(&cache_directory.join("basis"), &mut entries);
    assert_eq!(entries, 2);
    assert_eq!(merged("second"), first);
}

fn damage(directory: &Path, entries: &mut usize) {
    for entry in fs_err::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path, entries);
        } else {
            let mut bytes = fs_err::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs_err::write(&path, bytes).unwrap();
            *entries += 1;
        }
    }
}

#[test]
fn a_weight_of_several_chunks_is_merged_like_one_of_one() {
    let directory = TempDir::new().unwrap();
    let (rows, columns) = (2500, 2100);
    let bytes = weights(rows * columns, 7);
    let tensors = [(
        "layers.0.q_proj.weight",
        "BF16",
        vec![rows, columns],
        bytes.clone(),
    )];
    let checkpoint = write_checkpoint(&directory.path().join("base"), &tensors);
    let basis = basis(WeightDtype::Bf16, rows, columns, &bytes, 2);
    let adapter = adapter_with_r(
        base_digest(&checkpoint),
        &[(Q0, &basis)],
        &R,
        SigmaSide::Left,
        1.0,
    );
    let options = MergeOptions {
        dtype: Some(WeightDtype::F32),
        force: false,
    };
    let out = directory.path().join("out");
    let merged = merge(&checkpoint, &[adapter], &out, &options, &run(2, None)).unwrap();

    let updates = [Update::new(
        &basis,
        core_matrix(SigmaSide::Left, 1.0, &R, &basis.sigma, &[false; 2]),
    )];
    let mut expected = vec![0; rows * columns * 4];
    let weight = Weight::new(WeightDtype::Bf16, rows, columns, &bytes).unwrap();
    let sums = merge_rows(&weight, 0, &updates, WeightDtype::F32, &mut expected).unwrap();
    assert!(tensor(&Checkpoint::open(&out).unwrap(), "layers.0.q_proj.weight") == expected);
    let nominal = merged.strengths.total.nominal();
    assert!(
        (nominal / sums.delta_squared.sqrt() - 1.0).abs() < 1e-12,
        "{nominal}"
    );
}

#[test]
fn shards_index_configuration_and_companions_are_those_of_the_base() {
    let directory = TempDir::new().unwrap();
    let base = directory.path().join("base");
    fs_err::create_dir_all(&base).unwrap();
    let tensors = base_tensors();
    write_shard(&base.join("model-1.safetensors"), &tensors[..1]);
    write_shard(&base.join("model-2.safetensors"), &tensors[1..]);
    let index = r#"{"weight_map":{"layers.0.q_proj.weight":"model-1.safetensors",
        "layers.1.q_proj.weight":"model-2.safetensors","norm.weight":"model-2.safetensors"}}"#;
    fs_err::write(base.join("model.safetensors.index.json"), index).unwrap();
    fs_err::write(
        base.join("config.json"),
        r#"{"hidden_size": 10, "torch_dtype": "bfloat16"}"#,
    )
    .unwrap();
    fs_err::write(base.join("tokenizer.json"), "{}").unwrap();
    fs_err::write(base.join("modeling.py"), "import os").unwrap();
    let checkpoint = Checkpoint::open(&base).unwrap();
    let adapters = [adapter(&checkpoint)];

    let plain = directory.path().join("plain");
    let merged = merge(
        &checkpoint,
        &adapters,
        &plain,
        &MergeOptions::default(),
        &run(2, None),
    )
    .unwrap();
    let names: Vec<_> = files(&plain).into_iter().map(|(name, _)| name).collect();
    let expected = [
        "config.json",
        "model-1.safetensors",
        "model-2.safetensors",
        "model.safetensors.index.json",
        "tlora-merge.json",
        "tokenizer.json",
    ];
    assert_eq!(names, expected);
    assert_eq!(
        fs_err::read(plain.join("config.json")).unwrap(),
        fs_err::read(base.join("config.json")).unwrap()
    );
    assert_eq!(
        base_digest(&Checkpoint::open(&plain).unwrap()),
        merged.digest
    );
    let json = |path: &Path| serde_json::from_slice::<Value>(&fs_err::read(path).unwrap()).unwrap();
    let record = json(&plain.join("tlora-merge.json"));
    assert_eq!(record["base"], base_digest(&checkpoint).to_string());
    assert_eq!(record["merged"], merged.digest.to_string());
    assert_eq!(
        record["adapters"][0]["blake3"],
        blake3::hash(&adapters[0].to_bytes()).to_hex().as_str()
    );
    // 2 · 120 bf16 weights and 2 f32 weights.
    assert_eq!(
        json(&plain.join("model.safetensors.index.json"))["metadata"]["total_size"],
        2 * 240 + 8
    );

    let wide = directory.path().join("wide");
    let options = MergeOptions {
        dtype: Some(WeightDtype::F32),
        force: false,
    };
    merge(&checkpoint, &adapters, &wide, &options, &run(2, None)).unwrap();
    assert_eq!(json(&wide.join("config.json"))["torch_dtype"], "float32");
    assert_eq!(
        json(&wide.join("model.safetensors.index.json"))["metadata"]["total_size"],
        2 * 480 + 8
    );
}

#[test]
fn an_update_that_rounding_undoes_is_measured_as_not_kept() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let tiny = Adapter::new({
        let mut fields = adapter(&checkpoint).into_fields();
        fields.scale = 1e-7;
        fields
    });
    let measured = measure(&checkpoint, &tiny.unwrap(), &run(2, None)).unwrap();
    let [bf16, _, f32] = measured.by_dtype.map(|strengths| strengths.unwrap().total);
    assert!(bf16.kept_fraction().unwrap() < 0.1, "{bf16:?}");
    assert!(f32.kept_fraction().unwrap() > 0.5, "{f32:?}");
    assert_eq!(bf16.modules, 2);
}

#[test]
fn a_basis_that_is_not_the_adapters_is_refused() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let mut fields = adapter(&checkpoint).into_fields();
    fields.basis_check[0] ^= 1;
    let wrong = [adapter(&checkpoint), Adapter::new(fields).unwrap()];
    let out = directory.path().join("out");
    let error = merge(
        &checkpoint,
        &wrong,
        &out,
        &MergeOptions::default(),
        &run(2, None),
    )
    .unwrap_err();
    assert!(
        matches!(
            error,
            MergeError::Rebuild(RebuildError::BasisCheck { adapter: 1, .. })
        ),
        "{error:?}"
    );
    assert!(!out.exists());
}

#[test]
fn a_warm_cache_does_not_hide_that_the_base_is_another() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let adapters = [adapter(&checkpoint)];
    let cache = Cache::open(Some(directory.path().join("cache"))).unwrap();
    let merge_to = |checkpoint: &Checkpoint, name: &str| {
        merge(
            checkpoint,
            &adapters,
            &directory.path().join(name),
            &MergeOptions::default(),
            &run(2, Some(&cache)),
        )
    };
    merge_to(&checkpoint, "right").unwrap();
    let mut tensors = base_tensors();
    tensors[2].3[0] = 1;
    let other = write_checkpoint(&directory.path().join("other"), &tensors);
    let error = merge_to(&other, "wrong").unwrap_err();
    assert!(
        matches!(
            error,
            MergeError::Rebuild(RebuildError::WrongBase { adapter: 0, .. })
        ),
        "{error:?}"
    );
    assert!(!directory.path().join("wrong").exists());
}

#[test]
fn explicit_projections_belong_to_their_module() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let mut fields = adapter(&checkpoint).into_fields();
    let bits = |values: &[f32]| {
        values
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    fields.u = 2;
    fields.v = bits(&[2.0, 3.0]);
    // Module by module, P_0 and P_1, each 2 × 2.
    let first = [1.0, 0.0, 0.0, 0.0, /* */ 0.0, 1.0, 0.0, 0.0];
    let second = [0.0, 0.0, 4.0, 0.0, /* */ 0.0, 0.0, 0.0, 5.0];
    let values = bits(&[first, second].concat());
    fields.projection = ProjectionKind::Explicit {
        precision: Precision::F32,
        shared: false,
        values,
    };
    let modules = plan(&checkpoint, &Adapter::new(fields).unwrap()).unwrap();
    assert_eq!(modules[0].r, [2.0, 3.0, 0.0, 0.0]);
    assert_eq!(modules[1].r, [0.0, 0.0, 8.0, 15.0]);
}

#[test]
fn a_module_smaller_than_the_stored_projections_is_refused() {
    let directory = TempDir::new().unwrap();
    let checkpoint = write_checkpoint(&directory.path().join("base"), &base_tensors());
    let mut fields = adapter(&checkpoint).into_fields();
    fields.rank = 64;
    fields.u = 1;
    fields.v = vec![0; usize::try_from(fields.group_count).unwrap()];
    fields.projection = ProjectionKind::Explicit {
        precision: Precision::F32,
        shared: true,
        values: vec![0; 64 * 64],
    };
    let error = plan(&checkpoint, &Adapter::new(fields).unwrap()).unwrap_err();
    assert!(
        matches!(error, RebuildError::SmallerThanProjections { rank: 64, .. }),
        "{error:?}"
    );
}
