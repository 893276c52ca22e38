//! Every `spec/vectors/exact/merge_*` through a whole merge: a checkpoint of two tensors, adapter files with that very R,
//! and the bytes that the reference computed, for a weight stored as it is and for one stored transposed.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use support::{adapter_with_r, base_digest, basis, run, tensor, write_checkpoint};
use tempfile::TempDir;
use tlora_basis::{BasisError, WeightDtype};
use tlora_checkpoint::Checkpoint;
use tlora_format::{Adapter, SigmaSide};
use tlora_merge::{MergeError, MergeOptions, merge};
use tlora_rebuild::RebuildError;

const MODULE: &str = "layers.0.q_proj";

struct Vector {
    fields: BTreeMap<String, String>,
    payload: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let header = std::str::from_utf8(&bytes[..end]).unwrap();
        let field = |line: &str| {
            line.split_once(": ")
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .unwrap()
        };
        Self {
            fields: header.lines().map(field).collect(),
            payload: bytes[end + 2..].to_vec(),
        }
    }

    fn text(&self, key: &str) -> &str {
        &self.fields[key]
    }

    fn number(&self, key: &str) -> usize {
        self.text(key).parse().unwrap()
    }

    fn dtype(&self, key: &str) -> (WeightDtype, &'static str) {
        match self.text(key) {
            "bf16" => (WeightDtype::Bf16, "BF16"),
            "f16" => (WeightDtype::F16, "F16"),
            _ => (WeightDtype::F32, "F32"),
        }
    }

    /// Adapter `a`, for a base.
    fn adapter(&self, a: usize, checkpoint: &Checkpoint, transposed: bool) -> Adapter {
        let (m, n) = (self.number("m"), self.number("n"));
        let (dtype, _) = self.dtype("dtype");
        let rank = self.number(&format!("rank.{a}"));
        let basis = basis(dtype, m, n, &self.payload[..m * n * dtype.size()], rank);
        let side = match self.text(&format!("side.{a}")) {
            "left" => SigmaSide::Left,
            "split" => SigmaSide::Split,
            _ => SigmaSide::Right,
        };
        let float = |digits: &str| f64::from_bits(u64::from_str_radix(digits, 16).unwrap());
        let r: Vec<f64> = self.text(&format!("r.{a}")).split(',').map(float).collect();
        let scale =
            f32::from_bits(u32::from_str_radix(self.text(&format!("scale.{a}")), 16).unwrap());
        let adapter = adapter_with_r(
            base_digest(checkpoint),
            &[(MODULE, &basis)],
            &r,
            side,
            scale,
        );
        let mut fields = adapter.into_fields();
        let negated = self.text(&format!("negated.{a}"));
        fields.signs = Some(
            (1..rank)
                .map(|column| negated.split(',').any(|c| c == column.to_string()))
                .collect(),
        );
        fields.transposed = Some(vec![transposed]);
        Adapter::new(fields).unwrap()
    }
}

fn transpose(bytes: &[u8], rows: usize, size: usize) -> Vec<u8> {
    let columns = bytes.len() / size / rows;
    let element = |row: usize, column: usize| {
        bytes[(row * columns + column) * size..][..size]
            .iter()
            .copied()
    };
    (0..columns)
        .flat_map(|column| (0..rows).flat_map(move |row| element(row, column)))
        .collect()
}

fn check(vector: &Vector, transposed: bool) {
    let (m, n) = (vector.number("m"), vector.number("n"));
    let (dtype, dtype_name) = vector.dtype("dtype");
    let (output, _) = vector.dtype("out");
    let (weight, expected) = vector.payload.split_at(m * n * dtype.size());
    let stored = |bytes: &[u8], size| {
        if transposed {
            transpose(bytes, m, size)
        } else {
            bytes.to_vec()
        }
    };
    let shape = if transposed { vec![n, m] } else { vec![m, n] };
    let directory = TempDir::new().unwrap();
    let untouched: Vec<u8> = (0..24).collect();
    let checkpoint = write_checkpoint(
        &directory.path().join("base"),
        &[
            (
                "layers.0.q_proj.weight",
                dtype_name,
                shape,
                stored(weight, dtype.size()),
            ),
            ("norm.weight", "F32", vec![6], untouched.clone()),
        ],
    );
    let adapters: Vec<_> = (0..vector.number("adapters"))
        .map(|a| vector.adapter(a, &checkpoint, transposed))
        .collect();
    let out = directory.path().join("out");
    let options = MergeOptions {
        dtype: Some(output),
        force: false,
    };
    let merged = merge(&checkpoint, &adapters, &out, &options, &run(2, None));
    if vector.text("expect") == "overflow" {
        let error = merged.unwrap_err();
        assert!(
            matches!(
                error,
                MergeError::Rebuild(RebuildError::Numeric {
                    source: BasisError::NotRepresentable { .. },
                    ..
                })
            ),
            "{error:?}"
        );
        assert!(!out.exists());
        return;
    }
    let digest = merged.unwrap().digest;
    let result = Checkpoint::open(&out).unwrap();
    assert_eq!(
        tensor(&result, "layers.0.q_proj.weight"),
        stored(expected, output.size())
    );
    assert_eq!(tensor(&result, "norm.weight"), untouched);
    assert_eq!(base_digest(&result), digest);
}

fn merge_vectors() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/exact");
    let files = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_merge = |path: &PathBuf| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("merge_")
    };
    let mut files: Vec<_> = files.filter(is_merge).collect();
    files.sort();
    files
}

#[test]
fn merges_every_vector_to_the_bytes_of_the_reference() {
    let files = merge_vectors();
    assert!(files.len() > 40, "only {} vectors", files.len());
    for file in files {
        println!("{}", file.display());
        let vector = Vector::read(&file);
        check(&vector, false);
        check(&vector, true);
    }
}
