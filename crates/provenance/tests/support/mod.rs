//! An adapter, keys and policies for the tests of the checks.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tlora_format::{
    Adapter, AdapterFields, BaseDigest, BasisKind, Corrections, Precision, ProjectionKind,
    Rounding, SigmaSide, TargetModules, Tying,
};
use tlora_provenance::{
    BundleFile, Evidence, Finding, Lock, Policy, PolicyError, PrivateKey, Report, Statement,
    Subject, sign, verify,
};

pub(crate) const BASE: BaseDigest = BaseDigest([0xb5; 32]);
pub(crate) const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

pub(crate) fn keys() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/keys")
}

/// One group of two numbers, for two modules, with R of norm 0.05.
pub(crate) fn adapter() -> Adapter {
    Adapter::new(AdapterFields {
        precision: Precision::F32,
        v: vec![0.03_f32.to_bits(), 0.04_f32.to_bits(), 0, 0],
        rank: 2,
        u: 4,
        module_count: 2,
        group_count: 1,
        n_tie: 2,
        tying: Tying::Tiled,
        targets: TargetModules::Suffixes(vec!["q_proj".to_owned()]),
        sigma_side: SigmaSide::Left,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: ProjectionKind::Standard,
        scale: 1.0,
        base: BASE,
        basis_check: [0; 8],
        module_ranks: None,
        module_scales: None,
        transposed: None,
        signs: None,
        corrections: Corrections::default(),
        text: BTreeMap::new(),
        unknown: BTreeMap::new(),
    })
    .unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A policy whose keys are the fixtures'.
pub(crate) fn policy(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, &mut |path| fs_err::read(keys().join(path)))
}

pub(crate) fn no_keys(_: &Path) -> io::Result<Vec<u8>> {
    Err(io::ErrorKind::NotFound.into())
}

/// How an adapter was made, as `tlora attest` says it.
pub(crate) fn predicate(score: f64) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://example.org/test",
            "externalParameters": {"config": {"seed": 1}},
            "resolvedDependencies": [
                {"name": "base", "digest": {"tmd1": "b5".repeat(32), "gitCommit": "c0".repeat(20)}},
                {"name": "dataset/gsm8k", "digest": {"sha256": "d5".repeat(32)}},
            ],
        },
        "runDetails": {"byproducts": [{"name": "eval/gsm8k", "annotations": {"score": score}}]},
    })
}

/// A bundle by the key of a fixture.
pub(crate) fn signed(key: &str, subject: &[u8; 32], kind: &str, predicate: Value) -> BundleFile {
    let key =
        PrivateKey::from_pem(&fs_err::read_to_string(keys().join(key)).unwrap(), None).unwrap();
    let predicate: Map<String, Value> = serde_json::from_value(predicate).unwrap();
    let statement = Statement::new(Subject::new("a.tlora", subject), kind, predicate);
    BundleFile::read("test", sign(&statement, &key).as_bytes(), false).remove(0)
}

/// What is checked of the test's adapter.
pub(crate) struct Case<'a> {
    pub(crate) adapter: Adapter,
    pub(crate) policy: Option<&'a Policy>,
    pub(crate) bundles: Vec<BundleFile>,
    pub(crate) lock: Option<&'a Lock>,
    pub(crate) today: &'a str,
    pub(crate) elsewhere: Vec<Finding>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(policy: Option<&'a Policy>, bundles: Vec<BundleFile>) -> Self {
        Self {
            adapter: adapter(),
            policy,
            bundles,
            lock: None,
            today: "2026-11-22",
            elsewhere: Vec::new(),
        }
    }

    pub(crate) fn verify(self) -> Report {
        let bytes = self.adapter.to_bytes();
        verify(Evidence {
            bytes: &bytes,
            whole: true,
            adapter: &Ok(self.adapter),
            policy: self.policy,
            bundles: &self.bundles,
            lock: self.lock.map(|lock| (lock, "a.tlora")),
            today: Some(self.today.parse().unwrap()),
            #[cfg(feature = "keyless")]
            root: &tlora_provenance::TrustedRoot::public_good().unwrap(),
            elsewhere: self.elsewhere,
        })
    }
}
