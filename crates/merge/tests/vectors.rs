//! Every `spec/vectors/exact/merge_*` through a whole merge: a checkpoint of two tensors, adapter files with that very R,
//! and the bytes that the reference computed, for a weight stored as it is and for one stored transposed.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use support::{base_digest, fields_with_r, run, tensor, write_checkpoint};
use tempfile::TempDir;
use tlora_basis::{BasisCheck, BasisError, Rsvd, Weight, WeightDtype, exact_basis, rsvd_factors};
use tlora_checkpoint::Checkpoint;
use tlora_format::{
    Adapter, BasisKind, Correction, Corrections, Factors, Precision, Rounding, SigmaSide,
};
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

    fn float(digits: &str) -> f64 {
        f64::from_bits(u64::from_str_radix(digits, 16).unwrap())
    }

    /// W, the factors of the explicit adapters, and the merged weight, each out × in.
    fn parts(&self) -> (Vec<u8>, Vec<f64>, Vec<u8>) {
        let (m, n) = (self.number("m"), self.number("n"));
        let ranks = (0..self.number("adapters"))
            .filter(|a| self.text(&format!("basis.{a}")) == "explicit")
            .map(|a| self.number(&format!("rank.{a}")));
        let values = ranks.sum::<usize>() * (m + n);
        let (dtype, _) = self.dtype("dtype");
        let (weight, rest) = self.payload.split_at(m * n * dtype.size());
        let (factors, merged) = rest.split_at(values * 8);
        let factors = factors.as_chunks().0.iter();
        let logical = |bytes: &[u8], size| {
            if self.fields.contains_key("transposed") {
                transpose(bytes, n, size)
            } else {
                bytes.to_vec()
            }
        };
        (
            logical(weight, dtype.size()),
            factors.map(|&bytes| f64::from_le_bytes(bytes)).collect(),
            logical(merged, self.dtype("out").0.size()),
        )
    }

    /// Adapter `a`, for a base with this weight. `factors` are those of the explicit adapters from this one on.
    fn adapter(
        &self,
        a: usize,
        checkpoint: &Checkpoint,
        transposed: bool,
        weight: &[u8],
        factors: &mut &[f64],
    ) -> Adapter {
        let (m, n) = (self.number("m"), self.number("n"));
        let (dtype, _) = self.dtype("dtype");
        let text = |key: &str| self.text(&format!("{key}.{a}"));
        let rank = self.number(&format!("rank.{a}"));
        let r: Vec<f64> = text("r").split(',').map(Self::float).collect();
        let scale = f32::from_bits(u32::from_str_radix(text("scale"), 16).unwrap());
        let mut fields = fields_with_r(base_digest(checkpoint), &[MODULE], &r, scale);
        fields.transposed = Some(vec![transposed]);
        let negated = text("negated");
        let is_negated = |column: usize| negated.split(',').any(|c| c == column.to_string());
        fields.signs = Some((1..rank).map(is_negated).collect());
        let weight = Weight::new(dtype, m, n, weight).unwrap();
        let mut check = BasisCheck::new();
        match text("basis") {
            "rsvd" => {
                let [seed, n_iter, oversample] = numbers(text("rsvd"));
                let (n_iter, oversample) = (narrow(n_iter), narrow(oversample));
                let rsvd = Rsvd {
                    seed,
                    n_iter,
                    oversample,
                };
                check.rsvd(MODULE, &rsvd_factors(&weight, rank, rsvd).unwrap());
                fields.basis = BasisKind::Rsvd {
                    seed,
                    n_iter,
                    oversample,
                };
                fields.basis_check = check.finish();
            }
            "explicit" => {
                let (own, rest) = factors.split_at(rank * (m + n));
                *factors = rest;
                fields.basis = explicit(m, n, rank, own);
                fields.signs = None;
                let content = fields.factors_content().unwrap();
                fields.basis_check = BasisCheck::of_factors(&content);
            }
            exact => {
                check.exact(MODULE, &exact_basis(&weight, rank).unwrap().basis);
                fields.basis_check = check.finish();
                if exact == "rounded" {
                    (fields.sigma_side, fields.basis_rounding) = (
                        SigmaSide::Split,
                        match text("rounding") {
                            "bf16" => Rounding::Bf16,
                            _ => Rounding::F16,
                        },
                    );
                    fields.corrections = corrections(text("corrections"));
                } else {
                    fields.sigma_side = match text("side") {
                        "left" => SigmaSide::Left,
                        "split" => SigmaSide::Split,
                        _ => SigmaSide::Right,
                    };
                }
            }
        }
        Adapter::new(fields).unwrap()
    }
}

fn numbers(text: &str) -> [u32; 3] {
    let numbers: Vec<u32> = text
        .split(' ')
        .map(|number| number.parse().unwrap())
        .collect();
    numbers.try_into().unwrap()
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap()
}

/// A basis of kind explicit with these factors, B and then A.
fn explicit(m: usize, n: usize, rank: usize, values: &[f64]) -> BasisKind {
    let precision = Precision::F32;
    let bits = precision.pack(values).unwrap();
    let back: Vec<f64> = bits.iter().map(|&bits| precision.to_f64(bits)).collect();
    assert_eq!(back, values, "the vector's factors are outside of f32");
    let (b, a) = bits.split_at(m * rank);
    let side = |side: usize| u32::try_from(side).unwrap();
    BasisKind::Explicit {
        precision,
        factors: vec![Factors {
            out_features: side(m),
            in_features: side(n),
            b: b.to_vec(),
            a: a.to_vec(),
        }],
    }
}

/// The content of a corrections section, in hexadecimal digits (spec §4.6).
fn corrections(digits: &str) -> Corrections {
    if digits == "none" {
        return Corrections::default();
    }
    let byte = |at: usize| u64::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let (mut tokens, mut token, mut shift) = (Vec::new(), 0, 0);
    for byte in (0..digits.len()).step_by(2).map(byte) {
        token |= (byte & 0x7F) << shift;
        shift += 7;
        if byte < 0x80 {
            tokens.push(token);
            (token, shift) = (0, 0);
        }
    }
    let (mut steps, mut next): (BTreeMap<u64, i64>, u64) = (BTreeMap::new(), 0);
    for token in tokens {
        next += token / 2;
        *steps.entry(next - 1).or_default() += if token % 2 == 0 { 1 } else { -1 };
    }
    let steps = steps.into_iter();
    Corrections::new(steps.map(|(entry, steps)| Correction { entry, steps })).unwrap()
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
    let (weight, factors, expected) = vector.parts();
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
                stored(&weight, dtype.size()),
            ),
            ("norm.weight", "F32", vec![6], untouched.clone()),
        ],
    );
    let mut factors = factors.as_slice();
    let adapters: Vec<_> = (0..vector.number("adapters"))
        .map(|a| vector.adapter(a, &checkpoint, transposed, &weight, &mut factors))
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
        stored(&expected, output.size())
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
    assert!(files.len() > 70, "only {} vectors", files.len());
    for file in files {
        println!("{}", file.display());
        let vector = Vector::read(&file);
        check(&vector, false);
        check(&vector, true);
    }
}
