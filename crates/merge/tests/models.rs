//! Every `spec/vectors/model`: a base, adapters of all kinds over several modules, and the merged file of the reference.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use support::run;
use tempfile::TempDir;
use tlora_basis::WeightDtype;
use tlora_checkpoint::Checkpoint;
use tlora_format::Adapter;
use tlora_merge::{MergeError, MergeOptions, merge};
use tlora_rebuild::RebuildError;

struct Model {
    fields: BTreeMap<String, String>,
    base: Vec<u8>,
    adapters: Vec<Adapter>,
    merged: Vec<u8>,
}

impl Model {
    fn read(path: &Path) -> Self {
        let bytes = fs_err::read(path).unwrap();
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
        let lines = std::str::from_utf8(&bytes[..end]).unwrap().lines();
        let fields: BTreeMap<_, _> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let (base, mut rest) = bytes[end + 2..].split_at(fields["base"].parse().unwrap());
        let mut adapters = Vec::new();
        for length in fields["adapters"].split(',') {
            let (adapter, after) = rest.split_at(length.parse().unwrap());
            adapters.push(Adapter::parse(adapter).unwrap());
            rest = after;
        }
        Self {
            base: base.to_vec(),
            adapters,
            merged: rest.to_vec(),
            fields,
        }
    }

    fn check(&self) {
        let directory = TempDir::new().unwrap();
        let (base, out) = (directory.path().join("base"), directory.path().join("out"));
        fs_err::create_dir(&base).unwrap();
        fs_err::write(base.join("model.safetensors"), &self.base).unwrap();
        let options = MergeOptions {
            dtype: match self.fields["dtype"].as_str() {
                "base" => None,
                "bf16" => Some(WeightDtype::Bf16),
                "f16" => Some(WeightDtype::F16),
                _ => Some(WeightDtype::F32),
            },
            force: false,
        };
        let base = Checkpoint::open(&base).unwrap();
        match merge(&base, &self.adapters, &out, &options, &run(2, None)) {
            Ok(_) => {
                assert_eq!(self.fields["expect"], "ok");
                let merged = fs_err::read(out.join("model.safetensors")).unwrap();
                assert!(merged == self.merged, "the merged file differs");
            }
            Err(error) => assert_eq!(refusal(&error), self.fields["expect"], "{error:?}"),
        }
    }
}

/// Why a merge is refused, in the words of the vectors.
fn refusal(error: &MergeError) -> &'static str {
    match error {
        MergeError::Transposition(_) => "transposed",
        MergeError::Rebuild(error) if error.is_not_representable() => "overflow",
        MergeError::Rebuild(error) => match error {
            RebuildError::WrongBase { .. } => "base",
            RebuildError::Modules { .. } => "modules",
            RebuildError::BasisCheck { .. } => "basis-check",
            RebuildError::FactorSize { .. } => "factors",
            RebuildError::SmallerThanProjections { .. } => "projections",
            RebuildError::Corrections { .. } => "correction",
            _ => "another reason",
        },
        _ => "another reason",
    }
}

#[test]
fn merges_every_model_as_the_reference_does() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../spec/vectors/model");
    let mut files: Vec<_> = fs_err::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() > 20, "only {} vectors", files.len());
    for file in files {
        println!("{}", file.display());
        Model::read(&file).check();
    }
}
