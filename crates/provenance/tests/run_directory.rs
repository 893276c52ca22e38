//! Run directories, good and bad, and what is stated from them. `fixtures/make_run.py` made the good one.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tlora_format::{
    Adapter, AdapterFields, BaseDigest, BasisKind, Precision, ProjectionKind, Rounding, SigmaSide,
    TargetModules, Tying,
};
use tlora_provenance::{RunDirectory, RunError, claim, file_predicate, run_predicate};
use tlora_provenance::{SLSA_PROVENANCE, Statement, Subject};

/// A copy of the good run, to change things in.
struct Run(TempDir);

impl Run {
    fn new() -> Self {
        let (copy, from) = (
            tempfile::tempdir().unwrap(),
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run"),
        );
        fs_err::create_dir_all(copy.path().join("evaluations")).unwrap();
        for name in [
            "config.toml",
            "provenance.json",
            "steps.jsonl",
            "metrics.jsonl",
            "evaluations.jsonl",
            "evaluations/gsm8k-2.jsonl",
        ] {
            fs_err::copy(from.join(name), copy.path().join(name)).unwrap();
        }
        Self(copy)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Replaces a text that must be there.
    fn replace(self, name: &str, from: &str, to: &str) -> Self {
        let text = fs_err::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name} has no {from}");
        fs_err::write(self.path(name), text.replacen(from, to, 1)).unwrap();
        self
    }

    /// Changes a fact.
    fn fact(self, pointer: &str, value: Value) -> Self {
        let text = fs_err::read_to_string(self.path("provenance.json")).unwrap();
        let mut facts: Value = serde_json::from_str(&text).unwrap();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        facts.pointer_mut(parent).unwrap()[key] = value;
        fs_err::write(self.path("provenance.json"), facts.to_string()).unwrap();
        self
    }

    fn read(&self) -> Result<RunDirectory, RunError> {
        RunDirectory::read(self.0.path())
    }
}

/// An adapter for the base of the run.
fn adapter(precision: Precision, v: &[f64]) -> Adapter {
    Adapter::new(AdapterFields {
        precision,
        v: precision.pack(v).unwrap(),
        rank: 2,
        u: 2,
        module_count: 4,
        group_count: 1,
        n_tie: 4,
        tying: Tying::Tiled,
        targets: TargetModules::Suffixes(vec!["q_proj".to_owned()]),
        sigma_side: SigmaSide::Left,
        basis: BasisKind::Exact,
        basis_rounding: Rounding::None,
        projection: ProjectionKind::Native { seed: 42 },
        scale: 1.0,
        base: BaseDigest([0x56; 32]),
        basis_check: [0; 8],
        module_ranks: None,
        module_scales: None,
        transposed: None,
        signs: None,
        corrections: tlora_format::Corrections::default(),
        text: BTreeMap::new(),
        unknown: BTreeMap::new(),
    })
    .unwrap()
}

fn trained() -> Adapter {
    adapter(Precision::Bf16, &[0.125, -0.25])
}

fn statement(predicate: serde_json::Map<String, Value>) -> Statement {
    Statement::new(
        Subject::new("a.tlora", &[0; 32]),
        SLSA_PROVENANCE,
        predicate,
    )
}

#[test]
fn states_everything_that_went_in_and_came_out() {
    let predicate = run_predicate(&trained(), &Run::new().read().unwrap()).unwrap();
    let expected: Value =
        serde_json::from_str(include_str!("fixtures/run-predicate.json")).unwrap();
    assert_eq!(Value::Object(predicate), expected);
}

#[test]
fn makes_the_claims_that_a_policy_can_ask_for() {
    let statement = statement(run_predicate(&trained(), &Run::new().read().unwrap()).unwrap());
    for (name, value) in [
        ("config.seed", json!(7)),
        ("config.optimizer.lr", json!(0.05)),
        ("base.tmd1", json!("56".repeat(32))),
        ("base.commit", json!("34".repeat(20))),
        ("dataset.digest", json!("9a".repeat(32))),
        ("code.commit", json!("12".repeat(20))),
        ("eval.gsm8k", json!(0.625)),
    ] {
        assert_eq!(claim(&statement, name), Some(value), "{name}");
    }
}

#[test]
fn the_file_alone_claims_its_base_and_nothing_about_training() {
    let statement = statement(file_predicate(&trained()));
    assert_eq!(claim(&statement, "base.tmd1"), Some(json!("56".repeat(32))));
    assert_eq!(
        statement.predicate["buildDefinition"]["externalParameters"]["adapter"]["seed"],
        42
    );
    for name in [
        "config.seed",
        "dataset.digest",
        "code.commit",
        "eval.gsm8k",
        "base.commit",
    ] {
        assert_eq!(claim(&statement, name), None, "{name}");
    }
}

#[test]
fn rejects_an_adapter_that_the_run_did_not_make() {
    let run = Run::new().read().unwrap();
    let other = adapter(Precision::Bf16, &[0.125, -0.251953125]);
    assert!(matches!(
        run_predicate(&other, &run),
        Err(RunError::OtherV { step: 2 })
    ));
    let exact = adapter(Precision::F32, &[0.125, -0.25]);
    assert!(matches!(
        run_predicate(&exact, &run),
        Err(RunError::OtherV { step: 2 })
    ));
    let mut fields = trained().into_fields();
    fields.base = BaseDigest([0; 32]);
    let elsewhere = Adapter::new(fields).unwrap();
    assert!(matches!(
        run_predicate(&elsewhere, &run),
        Err(RunError::OtherBase { .. })
    ));
}

#[test]
fn takes_the_step_that_the_facts_name() {
    let run = Run::new().fact("/adapter_step", json!(1)).read().unwrap();
    assert!(matches!(
        run_predicate(&trained(), &run),
        Err(RunError::OtherV { step: 1 })
    ));
    let predicate = run_predicate(&adapter(Precision::F32, &[0.1, -0.2]), &run).unwrap();
    assert_eq!(
        claim(&statement(predicate), "eval.gsm8k"),
        None,
        "no evaluation of step 1"
    );
    let beyond = Run::new().fact("/adapter_step", json!(3));
    assert!(matches!(
        beyond.read(),
        Err(RunError::NoStep { step: 3, steps: 3 })
    ));
}

#[test]
fn rejects_a_step_log_whose_chain_is_broken() {
    let changed = Run::new().replace("steps.jsonl", "\"rewards\": [1.0", "\"rewards\": [0.5");
    assert!(matches!(
        changed.read(),
        Err(RunError::Chain { line: 3, .. })
    ));
    let other_config = Run::new().replace("config.toml", "0.05", "0.06");
    assert!(matches!(
        other_config.read(),
        Err(RunError::Chain { line: 1, .. })
    ));
    let text = fs_err::read_to_string(Run::new().path("steps.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let without_second = Run::new();
    fs_err::write(
        without_second.path("steps.jsonl"),
        format!("{}\n{}\n", lines[0], lines[2]),
    )
    .unwrap();
    assert!(matches!(
        without_second.read(),
        Err(RunError::Field { field: "step", .. })
    ));
    let empty = Run::new();
    fs_err::write(empty.path("steps.jsonl"), "").unwrap();
    assert!(matches!(empty.read(), Err(RunError::NoStep { .. })));
}

#[test]
fn rejects_steps_that_are_none() {
    for (from, to, field) in [
        ("\"v\": \"0000000000000000\"", "\"v\": \"\"", "v"),
        (
            "\"v\": \"0000000000000000\"",
            "\"v\": \"0000c07f00000000\"",
            "v",
        ),
        (
            "\"v\": \"0000000000000000\"",
            "\"v\": \"00000000000000\"",
            "v",
        ),
        ("{\"step\": 0", "{\"batch\": [\"q\"], \"step\": 0", "batch"),
        ("{\"step\": 0", "{\"step\": 1", "step"),
    ] {
        let run = Run::new().replace("steps.jsonl", from, to);
        assert!(
            matches!(run.read(), Err(RunError::Field { field: found, .. }) if found == field),
            "{to}"
        );
    }
    let cut = Run::new();
    let text = fs_err::read_to_string(cut.path("steps.jsonl")).unwrap();
    fs_err::write(cut.path("steps.jsonl"), text.trim_end()).unwrap();
    assert!(matches!(
        cut.read(),
        Err(RunError::Field {
            field: "the end",
            ..
        })
    ));
}

#[test]
fn rejects_a_score_that_its_records_do_not_give() {
    for (from, to) in [
        ("0.625", "0.9"),
        (
            "\"items\": 4, \"dataset\": \"gsm8k_train\", \"step\": 2",
            "\"items\": 5, \"dataset\": \"gsm8k_train\", \"step\": 2",
        ),
    ] {
        let run = Run::new().replace("evaluations.jsonl", from, to);
        assert!(matches!(run.read(), Err(RunError::Score { .. })), "{to}");
    }
    let doubled = Run::new().replace("evaluations/gsm8k-2.jsonl", "\"q1\"", "\"q0\"");
    assert!(matches!(doubled.read(), Err(RunError::Twice { .. })));
}

#[test]
fn rejects_evaluations_that_are_none() {
    for (from, to, field) in [
        ("\"name\": \"gsm8k\"", "\"name\": \"gsm 8k\"", "name"),
        ("\"score\": 0.25", "\"score\": 1.5", "score"),
        ("gsm8k_train", "other", "dataset"),
        ("gsm8k-2.jsonl", "../steps.jsonl", "records"),
        ("gsm8k-2.jsonl", "a/b", "records"),
        ("gsm8k-2.jsonl", "..", "records"),
    ] {
        let run = Run::new().replace("evaluations.jsonl", from, to);
        assert!(
            matches!(run.read(), Err(RunError::Field { field: found, .. }) if found == field),
            "{to}"
        );
    }
    let twice = Run::new().replace("evaluations.jsonl", "\"step\": 0", "\"step\": 2");
    assert!(matches!(twice.read(), Err(RunError::Twice { .. })));
}

#[test]
fn rejects_facts_that_are_none() {
    for (pointer, value, field) in [
        ("/version", json!(2), "version"),
        ("/code/commit", json!("main"), "code.commit"),
        ("/base/commit", json!("34".repeat(19)), "base.commit"),
        ("/base/tmd1", json!("56".repeat(32)), "base.tmd1"),
        ("/started", json!("yesterday"), "started"),
        (
            "/datasets",
            json!([{"name": "a", "sha256": "AB".repeat(32)}]),
            "datasets[].sha256",
        ),
        (
            "/container",
            json!({"uri": "a", "sha256": ""}),
            "container.sha256",
        ),
    ] {
        let run = Run::new().fact(pointer, value);
        assert!(
            matches!(run.read(), Err(RunError::Field { field: found, .. }) if found == field),
            "{pointer}"
        );
    }
    let set = json!({"name": "a", "sha256": "00".repeat(32)});
    let twice = Run::new().fact("/datasets", json!([set, set]));
    assert!(matches!(twice.read(), Err(RunError::Twice { .. })));
    for run in [
        Run::new().fact("/unknown", json!(1)),
        Run::new().replace(
            "provenance.json",
            "\"version\": 1",
            "\"version\": 1, \"version\": 1",
        ),
        Run::new().replace("provenance.json", "\"code\"", "\"codes\""),
    ] {
        assert!(matches!(run.read(), Err(RunError::Document { .. })));
    }
}

#[test]
fn rejects_other_broken_files() {
    let config = Run::new().replace("config.toml", "seed = 7", "seed = ");
    assert!(matches!(config.read(), Err(RunError::Config(_))));
    let infinite = Run::new().replace("metrics.jsonl", "{\"step\": 1", "{\"step\": -1");
    assert!(matches!(
        infinite.read(),
        Err(RunError::Field { field: "step", .. })
    ));
    let junk = Run::new().replace("metrics.jsonl", "{", "");
    assert!(matches!(junk.read(), Err(RunError::Line { line: 1, .. })));
    let missing = Run::new();
    fs_err::remove_file(missing.path("provenance.json")).unwrap();
    assert!(matches!(missing.read(), Err(RunError::Io(_))));
    let large = Run::new();
    fs_err::write(large.path("config.toml"), "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(large.read(), Err(RunError::TooLarge { .. })));
    let long = Run::new();
    fs_err::write(long.path("metrics.jsonl"), " ".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(
        long.read(),
        Err(RunError::LineTooLong { line: 1, .. })
    ));
}

#[test]
fn does_without_metrics_and_evaluations() {
    let run = Run::new();
    fs_err::remove_file(run.path("metrics.jsonl")).unwrap();
    fs_err::remove_file(run.path("evaluations.jsonl")).unwrap();
    run_predicate(&trained(), &run.read().unwrap()).unwrap();
}

#[cfg(unix)]
#[test]
fn does_not_follow_links() {
    let run = Run::new();
    fs_err::remove_file(run.path("metrics.jsonl")).unwrap();
    fs_err::os::unix::fs::symlink("/etc/passwd", run.path("metrics.jsonl")).unwrap();
    assert!(matches!(run.read(), Err(RunError::NotAFile(_))));
}
