//! What the tests of this crate share: the golden checkpoints, and ΔW of an adapter as a whole matrix.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::slice;

use serde_json::Value;
use tlora_basis::factored_core;
use tlora_checkpoint::Checkpoint;
use tlora_convert::{ConvertError, ConvertOptions, Converted, convert};
use tlora_format::Adapter;
use tlora_rebuild::{Run, plan, prepare};

/// One golden checkpoint.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) outcome: Outcome,
    pub(crate) checkpoint: PathBuf,
    pub(crate) base: PathBuf,
    dir: PathBuf,
}

/// What `case.json` says of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Converts,
    /// Only with the factors in the file.
    Embeds,
    Refused,
}

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Every case, sorted by name.
pub(crate) fn cases() -> Vec<Case> {
    let entries = fs_err::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> = entries
        .filter(|path| path.join("case.json").is_file())
        .collect();
    dirs.sort();
    dirs.into_iter().map(Case::read).collect()
}

pub(crate) fn case(name: &str) -> Case {
    Case::read(golden().join(name))
}

impl Case {
    fn read(dir: PathBuf) -> Self {
        let text = fs_err::read(dir.join("case.json")).unwrap();
        let facts: Value = serde_json::from_slice(&text).unwrap();
        let has_weights = |path: &PathBuf| path.join("adapter_model.safetensors").is_file();
        let checkpoint = dir.join("checkpoint");
        let inside = fs_err::read_dir(&checkpoint)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let checkpoint = std::iter::once(checkpoint.clone())
            .chain(inside)
            .find(has_weights)
            .unwrap();
        Self {
            name: dir.file_name().unwrap().to_str().unwrap().to_owned(),
            outcome: match facts["outcome"].as_str().unwrap() {
                "converts" => Outcome::Converts,
                "embeds" => Outcome::Embeds,
                "refused" => Outcome::Refused,
                other => panic!("{other}"),
            },
            base: golden().join(facts["base"].as_str().unwrap()),
            checkpoint,
            dir,
        }
    }

    /// ΔW of every module by the name of its weight, as the program that wrote the checkpoint has it.
    pub(crate) fn expected(&self) -> BTreeMap<String, Vec<f64>> {
        let file = Checkpoint::open_file(&self.dir, "expected.safetensors").unwrap();
        let tensors = file.tensors().values();
        tensors
            .map(|tensor| {
                let mut bytes = vec![0; usize::try_from(tensor.bytes).unwrap()];
                file.read_at(tensor, 0, &mut bytes).unwrap();
                let values = bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&chunk| f64::from(f32::from_le_bytes(chunk)));
                (tensor.name.clone(), values.collect())
            })
            .collect()
    }
}

/// One thread, no cache, nobody who watches.
pub(crate) fn run() -> Run<'static> {
    Run {
        threads: NonZero::<usize>::MIN,
        cache: None,
        progress: &(),
    }
}

pub(crate) fn convert_case(
    case: &Case,
    options: &ConvertOptions,
) -> Result<Converted, ConvertError> {
    let base = Checkpoint::open(&case.base).unwrap();
    convert(&case.checkpoint, &base, options, &run())
}

/// ΔW of every module of a file, as stored: in × out where the base stores it so.
pub(crate) fn updates(bytes: &[u8], base: &Path) -> BTreeMap<String, Vec<f64>> {
    let (adapter, base) = (
        Adapter::parse(bytes).unwrap(),
        Checkpoint::open(base).unwrap(),
    );
    let plans = vec![plan(&base, &adapter).unwrap()];
    let prepared = prepare(&base, slice::from_ref(&adapter), plans, &run()).unwrap();
    let modules = prepared.plans[0].iter();
    modules
        .map(|module| {
            let factors = prepared.factors(0, module, adapter.sigma_side).unwrap();
            let core = factored_core(module.scale, &module.r, &module.negated);
            let (rank, rows, columns) = (factors.rank, factors.rows, factors.columns);
            let entry = |i: usize, j: usize| -> f64 {
                let term = |(c, k): (usize, usize)| {
                    factors.b[i * rank + c] * core[c * rank + k] * factors.a[k * columns + j]
                };
                (0..rank * rank)
                    .map(|at| term((at / rank, at % rank)))
                    .sum()
            };
            let whole = if module.weight.transposed {
                (0..rows * columns)
                    .map(|at| entry(at % rows, at / rows))
                    .collect()
            } else {
                (0..rows * columns)
                    .map(|at| entry(at / columns, at % columns))
                    .collect()
            };
            (format!("{}.weight", module.weight.name), whole)
        })
        .collect()
}

/// ‖a − b‖ / ‖a‖.
pub(crate) fn distance(wanted: &[f64], found: &[f64]) -> f64 {
    assert_eq!(wanted.len(), found.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut wanted.iter().zip(found).map(|(a, b)| a - b));
    difference / norm(&mut wanted.iter().copied())
}
