//! Adapters of every kind of basis and projection on a base: what they are checked for, and that they are all used alike.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use support::{base_digest, fields_with_r, run, tensor, weights, write_checkpoint};
use tempfile::TempDir;
use tlora_basis::{
    BasisCheck, Rsvd, Weight, WeightDtype, exact_basis, rsvd_factors, torch_projections,
};
use tlora_checkpoint::Checkpoint;
use tlora_format::{
    Adapter, AdapterFields, BasisKind, Correction, Corrections, Factors, Precision, ProjectionKind,
    Rounding, SeedRule, SigmaSide,
};
use tlora_merge::{MergeError, MergeOptions, measure, merge};
use tlora_rebuild::{Cache, RNorm, RebuildError, plan, r_norms};

const MODULES: [&str; 2] = ["layers.0.q_proj", "layers.1.q_proj"];
const SIZE: (usize, usize) = (12, 10);
const R: [f64; 4] = [0.25, -0.125, 0.5, 1.0];
const RSVD: Rsvd = Rsvd {
    seed: 42,
    n_iter: 3,
    oversample: 4,
};

fn base(directory: &Path, seed: u32) -> Checkpoint {
    let shape = vec![SIZE.0, SIZE.1];
    let weight = |layer| weights(SIZE.0 * SIZE.1, seed + layer);
    write_checkpoint(
        directory,
        &[
            ("layers.0.q_proj.weight", "BF16", shape.clone(), weight(0)),
            ("layers.1.q_proj.weight", "BF16", shape, weight(1)),
        ],
    )
}

fn fields(checkpoint: &Checkpoint) -> AdapterFields {
    fields_with_r(base_digest(checkpoint), &MODULES, &R, 1.0)
}

/// The basis check of this base with these records.
fn check(checkpoint: &Checkpoint, record: impl Fn(&mut BasisCheck, &str, &Weight<'_>)) -> [u8; 8] {
    let mut check = BasisCheck::new();
    for name in MODULES {
        let bytes = tensor(checkpoint, &format!("{name}.weight"));
        let weight = Weight::new(WeightDtype::Bf16, SIZE.0, SIZE.1, &bytes).unwrap();
        record(&mut check, name, &weight);
    }
    check.finish()
}

fn rsvd_adapter(checkpoint: &Checkpoint) -> Adapter {
    let Rsvd {
        seed,
        n_iter,
        oversample,
    } = RSVD;
    Adapter::new(AdapterFields {
        basis: BasisKind::Rsvd {
            seed,
            n_iter,
            oversample,
        },
        basis_check: check(checkpoint, |check, name, weight| {
            check.rsvd(name, &rsvd_factors(weight, 2, RSVD).unwrap());
        }),
        ..fields(checkpoint)
    })
    .unwrap()
}

fn rounded_adapter(checkpoint: &Checkpoint, corrections: Corrections) -> Adapter {
    Adapter::new(AdapterFields {
        sigma_side: SigmaSide::Split,
        basis_rounding: Rounding::Bf16,
        basis_check: check(checkpoint, |check, name, weight| {
            check.exact(name, &exact_basis(weight, 2).unwrap().basis);
        }),
        corrections,
        ..fields(checkpoint)
    })
    .unwrap()
}

fn explicit_adapter(checkpoint: &Checkpoint, rows: u32) -> Adapter {
    let precision = Precision::Bf16;
    let values = |count: u32| vec![precision.round(0.5); usize::try_from(count).unwrap()];
    let pair = || Factors {
        out_features: rows,
        in_features: 10,
        b: values(rows * 2),
        a: values(20),
    };
    let mut fields = AdapterFields {
        basis: BasisKind::Explicit {
            precision,
            factors: vec![pair(), pair()],
        },
        ..fields(checkpoint)
    };
    fields.basis_check = BasisCheck::of_factors(&fields.factors_content().unwrap());
    Adapter::new(fields).unwrap()
}

fn merge_to(
    checkpoint: &Checkpoint,
    adapter: &Adapter,
    output: &Path,
    threads: usize,
) -> Result<tlora_merge::Merged, MergeError> {
    let (adapters, options) = (std::slice::from_ref(adapter), MergeOptions::default());
    merge(checkpoint, adapters, output, &options, &run(threads, None))
}

#[test]
fn every_kind_is_measured_as_it_is_merged() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let adapters = [
        rsvd_adapter(&checkpoint),
        rounded_adapter(&checkpoint, Corrections::default()),
        explicit_adapter(&checkpoint, 12),
    ];
    for (number, adapter) in adapters.iter().enumerate() {
        let out = directory.path().join(format!("out{number}"));
        let merged = merge_to(&checkpoint, adapter, &out, 1).unwrap();
        let measured = measure(&checkpoint, adapter, &run(3, None)).unwrap();
        assert_eq!(measured.by_dtype[0].as_ref(), Some(&merged.strengths));
        assert!(merged.strengths.total.nominal() > 0.0);
        let again = directory.path().join(format!("again{number}"));
        assert_eq!(
            merge_to(&checkpoint, adapter, &again, 3).unwrap().digest,
            merged.digest
        );
    }
}

#[test]
fn a_correction_changes_what_is_merged() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let digest = |name: &str, corrections| {
        let adapter = rounded_adapter(&checkpoint, corrections);
        merge_to(&checkpoint, &adapter, &directory.path().join(name), 2)
            .unwrap()
            .digest
    };
    // The first entry of the second module's B, eight steps up.
    let entry = 12 * 2 + 10 * 2;
    let correction = Correction { entry, steps: 8 };
    assert_ne!(
        digest("plain", Corrections::default()),
        digest("corrected", Corrections::new([correction]).unwrap())
    );
}

#[test]
fn corrections_of_entries_that_are_not_there_are_refused() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let entries = 2 * (12 * 2 + 10 * 2);
    let correction = |entry| Corrections::new([Correction { entry, steps: 1 }]).unwrap();
    let last = rounded_adapter(&checkpoint, correction(entries - 1));
    assert!(plan(&checkpoint, &last).is_ok());
    let beyond = rounded_adapter(&checkpoint, correction(entries));
    let error = plan(&checkpoint, &beyond).unwrap_err();
    assert!(
        matches!(
            error,
            RebuildError::Corrections {
                entry: 88,
                entries: 88
            }
        ),
        "{error:?}"
    );
}

#[test]
fn factors_of_another_size_are_refused() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let error = plan(&checkpoint, &explicit_adapter(&checkpoint, 13)).unwrap_err();
    assert!(
        matches!(
            error,
            RebuildError::FactorSize {
                out_features: 12,
                stored: (13, 10),
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_basis_of_any_kind_that_is_not_the_adapters_is_refused() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let adapters = [
        rsvd_adapter(&checkpoint),
        rounded_adapter(&checkpoint, Corrections::default()),
        explicit_adapter(&checkpoint, 12),
    ];
    for adapter in adapters {
        let mut fields = adapter.into_fields();
        fields.basis_check[7] ^= 1;
        let adapter = Adapter::new(fields).unwrap();
        let out = directory.path().join("out");
        let error = merge_to(&checkpoint, &adapter, &out, 2).unwrap_err();
        assert!(
            matches!(
                error,
                MergeError::Rebuild(RebuildError::BasisCheck { adapter: 0, .. })
            ),
            "{error:?}"
        );
        assert!(!out.exists());
    }
}

#[test]
fn another_base_is_named_before_its_basis_is_computed() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let other = base(&directory.path().join("other"), 5);
    let cache = Cache::open(Some(directory.path().join("cache")));
    for adapter in [rsvd_adapter(&checkpoint), explicit_adapter(&checkpoint, 12)] {
        let error = merge(
            &other,
            &[adapter],
            &directory.path().join("out"),
            &MergeOptions::default(),
            &run(2, cache.as_ref()),
        )
        .unwrap_err();
        assert!(
            matches!(
                error,
                MergeError::Rebuild(RebuildError::WrongBase { adapter: 0, .. })
            ),
            "{error:?}"
        );
    }
}

/// P of `spec/vectors/exact/projection_torch_8_values`, which torch draws from the seed of the file.
fn torch_p() -> (u64, Vec<f64>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../spec/vectors/exact/projection_torch_8_values");
    let bytes = fs_err::read(path).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let header = std::str::from_utf8(&bytes[..end]).unwrap();
    let value = |key: &str| {
        let line = header.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap().to_owned()
    };
    assert_eq!(
        (value("u: "), value("rank: ")),
        ("2".to_owned(), "2".to_owned())
    );
    let (p, _) = bytes[end + 2..].as_chunks();
    let p = p.iter().take(8).map(|&bytes| f64::from_le_bytes(bytes));
    (value("seed: ").parse().unwrap(), p.collect())
}

#[test]
fn the_seed_rule_says_which_module_torch_draws_a_projection_for() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let (seed, expected) = torch_p();
    let drawn = |seed, seed_rule| {
        let adapter = Adapter::new(AdapterFields {
            u: 2,
            v: vec![1.0_f32.to_bits(), 0.5_f32.to_bits()],
            projection: ProjectionKind::Torch {
                seed,
                seed_rule,
                rounding: Rounding::None,
            },
            ..fields(&checkpoint)
        })
        .unwrap();
        let modules = plan(&checkpoint, &adapter).unwrap();
        let modules = modules.iter();
        modules
            .map(|module| module.projections(&adapter).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        drawn(seed, SeedRule::Shared),
        [expected.clone(), expected.clone()]
    );
    let by_module = drawn(seed.wrapping_sub(1), SeedRule::PerModule);
    assert_eq!(by_module[1], expected);
    assert_ne!(by_module[0], expected);
}

#[test]
fn the_size_of_r_with_torch_is_known_without_the_base() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 1);
    let (seed, p) = torch_p();
    let adapter = Adapter::new(AdapterFields {
        u: 2,
        v: vec![0.5_f32.to_bits(), (-0.25_f32).to_bits()],
        projection: ProjectionKind::Torch {
            seed,
            seed_rule: SeedRule::Shared,
            rounding: Rounding::None,
        },
        ..fields(&checkpoint)
    })
    .unwrap();
    let r = (0..4).map(|at| 0.5 * p[at] - 0.25 * p[4 + at]);
    let whole = r.map(|x| x * x).sum::<f64>().sqrt();
    // A module with a side of 1 has rank 1, and other projections.
    let p: Vec<f64> = torch_projections(seed, 2, 1, Rounding::None).collect();
    let clipped = (0.5 * p[0] - 0.25 * p[1]).abs();
    assert_eq!(r_norms(&adapter), [RNorm::Largest(whole.max(clipped))]);
}

#[test]
fn the_size_of_r_is_that_of_the_modules_with_the_whole_rank() {
    let directory = TempDir::new().unwrap();
    let checkpoint = base(&directory.path().join("base"), 2);
    let adapter = Adapter::new(AdapterFields {
        u: 4,
        v: [3.0_f32, 0.0, 0.0, 4.0].map(f32::to_bits).to_vec(),
        projection: ProjectionKind::Standard,
        module_ranks: Some(vec![1, 2]),
        ..fields(&checkpoint)
    })
    .unwrap();
    assert_eq!(r_norms(&adapter), [RNorm::Largest(5.0)]);
}
