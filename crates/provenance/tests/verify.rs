//! The checks of a file under a policy: who signed, what was said, what is pinned, and that requirements only add up.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use support::{BASE, Case, PROVENANCE, adapter, policy, predicate, sha256, signed};
use tlora_format::{Adapter, ProjectionKind};
use tlora_provenance::{
    BundleFile, Check, Finding, Lock, Outcome, Pinned, Policy, Report, Verdict, canonical_seed, oms,
};

const SIGNERS: &str = r#"
[[signer]]
name = "release"
type = "p256"
key = "p256.pub"
not_after = "2027-12-31"
[[signer]]
name = "second"
type = "ed25519"
key = "ed25519.pub"
"#;

fn with(lines: &str) -> Policy {
    policy(&format!("version = 1\n{lines}{SIGNERS}")).unwrap()
}

fn this_file() -> [u8; 32] {
    sha256(&adapter().to_bytes())
}

fn provenance(key: &str, score: f64) -> BundleFile {
    signed(key, &this_file(), PROVENANCE, predicate(score))
}

#[track_caller]
fn outcome(report: &Report, check: Check) -> Outcome {
    report.finding(check).unwrap().outcome
}

#[test]
fn without_a_policy_no_signature_counts() {
    let report = Case::new(None, vec![provenance("p256.pem", 1.0)]).verify();
    assert_eq!(report.verdict(), Verdict::Pass);
    let finding = report.finding(Check::Signature).unwrap();
    assert_eq!(
        (finding.outcome, finding.message.as_str()),
        (Outcome::Skipped, "not checked (no policy)")
    );
}

#[test]
fn a_signature_by_a_key_of_the_policy_passes() {
    let policy = with("[require]\nchecks = [\"signature\"]\n");
    let report = Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)]).verify();
    assert_eq!(report.verdict(), Verdict::Pass);
    assert_eq!(report.signers, ["release"]);
}

#[test]
fn a_signature_by_another_key_of_another_file_or_none_fails() {
    let policy = with("[require]\nchecks = [\"signature\"]\n");
    let other_file = signed("p256.pem", &[7; 32], PROVENANCE, predicate(1.0));
    let broken = BundleFile::read("broken", b"{}", false).remove(0);
    for bundles in [
        vec![provenance("other.pem", 1.0)],
        vec![other_file],
        vec![broken],
        vec![],
    ] {
        let report = Case::new(Some(&policy), bundles).verify();
        assert_eq!(outcome(&report, Check::Signature), Outcome::Fail);
        assert_eq!(report.verdict(), Verdict::Fail);
    }
}

#[test]
fn a_bundle_of_model_signing_names_the_digest_of_the_digest() {
    let policy = with("[require]\nchecks = [\"signature\"]\n");
    let predicate = json!({"resources": []});
    let right = signed(
        "p256.pem",
        &sha256(&this_file()),
        oms::PREDICATE_TYPE,
        predicate.clone(),
    );
    assert_eq!(
        Case::new(Some(&policy), vec![right]).verify().verdict(),
        Verdict::Pass
    );
    let wrong = signed("p256.pem", &this_file(), oms::PREDICATE_TYPE, predicate);
    assert_eq!(
        Case::new(Some(&policy), vec![wrong]).verify().verdict(),
        Verdict::Fail
    );
}

#[test]
fn a_threshold_counts_distinct_signers() {
    let policy = with("[require]\nthreshold = 2\n");
    let twice = vec![provenance("p256.pem", 1.0), provenance("p256.pem", 0.9)];
    let report = Case::new(Some(&policy), twice).verify();
    assert_eq!(outcome(&report, Check::Signature), Outcome::Pass);
    assert_eq!(outcome(&report, Check::Threshold), Outcome::Fail);
    let both = vec![provenance("p256.pem", 1.0), provenance("ed25519.pem", 1.0)];
    assert_eq!(
        Case::new(Some(&policy), both).verify().verdict(),
        Verdict::Pass
    );
}

#[test]
fn an_expired_signer_does_not_count() {
    let policy = with("[require]\nchecks = [\"signature\"]\n");
    for (today, verdict) in [("2027-12-31", Verdict::Pass), ("2028-01-01", Verdict::Fail)] {
        let mut case = Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)]);
        case.today = today;
        let report = case.verify();
        assert_eq!(report.verdict(), verdict, "{today}");
        if verdict == Verdict::Fail {
            let facts = &report.finding(Check::Threshold).unwrap().facts;
            assert_eq!(facts[0].1, "expired after 2027-12-31");
        }
    }
}

#[test]
fn the_deny_list_refuses_files_and_signers() {
    let denied = this_file().map(|byte| format!("{byte:02x}")).concat();
    for deny in [
        format!("adapters = [\"sha256:{denied}\"]"),
        "signers = [\"release\"]".to_owned(),
    ] {
        let policy = with(&format!("[deny]\n{deny}\n"));
        let report = Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)]).verify();
        assert_eq!(outcome(&report, Check::Denied), Outcome::Fail, "{deny}");
    }
    let policy = with("[deny]\nsigners = [\"somebody\"]\n");
    let report = Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)]).verify();
    assert_eq!(outcome(&report, Check::Denied), Outcome::Pass);
}

#[test]
fn claims_are_those_of_a_signer_of_the_policy() {
    let policy = with(
        "[claims]\nrequired = [\"dataset.digest\", \"config.seed\"]\nmin = { \"eval.gsm8k\" = 0.85 }\n",
    );
    let verdict = |bundles| Case::new(Some(&policy), bundles).verify().verdict();
    assert_eq!(verdict(vec![provenance("p256.pem", 0.85)]), Verdict::Pass);
    assert_eq!(verdict(vec![provenance("p256.pem", 0.84)]), Verdict::Fail);
    assert_eq!(verdict(vec![provenance("other.pem", 0.99)]), Verdict::Fail);
    // Of two statements the lower result counts.
    assert_eq!(
        verdict(vec![
            provenance("p256.pem", 0.99),
            provenance("ed25519.pem", 0.5)
        ]),
        Verdict::Fail
    );
    // A statement of another kind is no provenance.
    let other = signed(
        "p256.pem",
        &this_file(),
        "https://slsa.dev/provenance/v0.2",
        predicate(0.99),
    );
    assert_eq!(verdict(vec![other]), Verdict::Fail);
}

#[test]
fn a_statement_about_another_base_fails() {
    let policy = with("[require]\nchecks = [\"provenance\"]\n");
    let mut other = predicate(1.0);
    other["buildDefinition"]["resolvedDependencies"][0]["digest"]["tmd1"] = "aa".repeat(32).into();
    let report = Case::new(
        Some(&policy),
        vec![signed("p256.pem", &this_file(), PROVENANCE, other)],
    )
    .verify();
    assert_eq!(outcome(&report, Check::Agreement), Outcome::Fail);
    assert_eq!(outcome(&report, Check::Provenance), Outcome::Pass);
}

#[test]
fn the_commit_of_the_base_is_the_policys() {
    let of = |commit: &str| {
        let base = format!(
            "[[base]]\nid = \"m\"\ntmd1 = \"{}\"\ncommit = \"{commit}\"\n",
            "b5".repeat(32)
        );
        let policy = with(&format!("[require]\nchecks = [\"provenance\"]\n{base}"));
        Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)])
            .verify()
            .verdict()
    };
    assert_eq!(of(&"c0".repeat(20)), Verdict::Pass);
    assert_eq!(of(&"c1".repeat(20)), Verdict::Fail);
}

#[test]
fn a_base_that_is_not_listed_fails() {
    let of = |digits: &str| {
        let policy = with(&format!(
            "[[base]]\nid = \"m\"\ntmd1 = \"{}\"\n",
            digits.repeat(32)
        ));
        Case::new(Some(&policy), Vec::new()).verify().verdict()
    };
    assert_eq!(of("b5"), Verdict::Pass);
    assert_eq!(of("b6"), Verdict::Fail);
}

#[test]
fn limits_hold_for_the_number_of_values_and_the_bound_of_the_update() {
    // Four numbers; R = [[0.03, 0.04], [0, 0]], so that ‖R‖ = 0.05.
    for (limits, verdict) in [
        ("max_params = 4", Verdict::Pass),
        ("max_params = 3", Verdict::Fail),
        ("max_delta_ratio = 0.0501", Verdict::Pass),
        ("max_delta_ratio = 0.0499", Verdict::Inconclusive),
    ] {
        let policy = with(&format!("[limits]\n{limits}\n"));
        assert_eq!(
            Case::new(Some(&policy), Vec::new()).verify().verdict(),
            verdict,
            "{limits}"
        );
    }
}

#[test]
fn what_the_file_does_not_prove_the_base_decides() {
    let policy = with("[limits]\nmax_delta_ratio = 0.01\n");
    let of = |finding: Finding| {
        let mut case = Case::new(Some(&policy), Vec::new());
        case.elsewhere = vec![finding];
        case.verify().verdict()
    };
    assert_eq!(
        of(Finding::pass(Check::Strength, "measured")),
        Verdict::Pass
    );
    assert_eq!(
        of(Finding::fail(Check::Strength, "measured")),
        Verdict::Fail
    );
    assert_eq!(
        of(Finding::inconclusive(Check::Strength, "not measured")),
        Verdict::Inconclusive
    );
}

/// `python3 -c "import blake3; d = blake3.blake3(bytes([0xb5]*32), derive_key_context='tlora 2026-11 canonical projection
/// seed v1').digest(); print(int.from_bytes(d[:8], 'little'))"`
const CANONICAL: u64 = 2_399_165_240_611_181_389;

#[test]
fn the_canonical_seed_follows_from_the_base() {
    assert_eq!(canonical_seed(&BASE), CANONICAL);
    let policy = with("[limits]\nseed = \"canonical\"\n");
    for (seed, verdict) in [(CANONICAL, Verdict::Pass), (42, Verdict::Fail)] {
        let mut fields = adapter().into_fields();
        fields.projection = ProjectionKind::Native { seed };
        let mut case = Case::new(Some(&policy), Vec::new());
        case.adapter = Adapter::new(fields).unwrap();
        assert_eq!(case.verify().verdict(), verdict);
    }
}

#[test]
fn a_lock_pins_digest_base_and_signers() {
    let pinned = Pinned {
        sha256: this_file().map(|byte| format!("{byte:02x}")).concat(),
        tmd1: BASE,
        signers: BTreeSet::from(["release".to_owned()]),
    };
    let policy = with("[require]\nchecks = [\"lock\"]\n");
    let of = |path: &str, pinned: Pinned, bundles| {
        let lock = Lock {
            adapters: BTreeMap::from([(path.to_owned(), pinned)]),
        };
        let mut case = Case::new(Some(&policy), bundles);
        case.lock = Some(&lock);
        outcome(&case.verify(), Check::Lock)
    };
    let release = || vec![provenance("p256.pem", 1.0)];
    assert_eq!(of("a.tlora", pinned.clone(), release()), Outcome::Pass);
    assert_eq!(of("b.tlora", pinned.clone(), release()), Outcome::Fail);
    assert_eq!(
        of(
            "a.tlora",
            pinned.clone(),
            vec![provenance("ed25519.pem", 1.0)]
        ),
        Outcome::Fail
    );
    let other = Pinned {
        sha256: "00".repeat(32),
        ..pinned.clone()
    };
    assert_eq!(of("a.tlora", other, release()), Outcome::Fail);
    assert_eq!(
        Case::new(Some(&policy), release()).verify().verdict(),
        Verdict::Inconclusive
    );
}

#[test]
fn a_workflow_does_not_sign_with_a_key() {
    let workflow = "[require]\nchecks = [\"signature\"]\n[[signer]]\nname = \"ci\"\ntype = \"github\"\n\
        identity = \"https://github.com/a/b/.github/workflows/c.yml@refs/heads/main\"\nissuer = \"https://token.actions.githubusercontent.com\"\n";
    let policy = policy(&format!("version = 1\n{workflow}")).unwrap();
    let report = Case::new(Some(&policy), vec![provenance("p256.pem", 1.0)]).verify();
    assert_eq!(report.verdict(), Verdict::Fail);
}

/// All lines of a policy that ask for something, each on its own removable.
const REQUIREMENTS: [&str; 8] = [
    "[require]\nchecks = [\"signature\"]\n",
    "[require]\nchecks = [\"provenance\"]\n",
    "[require]\nchecks = [\"base\"]\n",
    "[require]\nthreshold = 2\n",
    "[limits]\nmax_params = 1\n",
    "[limits]\nseed = \"canonical\"\n",
    "[claims]\nrequired = [\"code.commit\"]\n",
    "[deny]\nsigners = [\"second\"]\n",
];

/// A policy of some of the requirements.
fn of_requirements(chosen: u32) -> Policy {
    let is_chosen = |number: usize| chosen >> number & 1 == 1;
    let checks: Vec<&str> = ["\"signature\"", "\"provenance\"", "\"base\""]
        .into_iter()
        .enumerate()
        .filter_map(|(number, name)| is_chosen(number).then_some(name))
        .collect();
    let mut text = format!("[require]\nchecks = [{}]\n", checks.join(", "));
    if is_chosen(3) {
        text += "threshold = 2\n";
    }
    text += "[limits]\n";
    for (number, line) in [(4, "max_params = 1\n"), (5, "seed = \"canonical\"\n")] {
        text += if is_chosen(number) { line } else { "" };
    }
    for (number, requirement) in REQUIREMENTS.iter().enumerate().skip(6) {
        text += if is_chosen(number) { requirement } else { "" };
    }
    with(&text)
}

/// Every subset of the requirements, for several sets of signatures: one requirement less never makes a report worse, and
/// never better than what the others allow by themselves.
#[test]
fn removing_a_requirement_never_hides_that_another_fails() {
    let keys: [&[&str]; 4] = [
        &[],
        &["p256.pem"],
        &["p256.pem", "ed25519.pem"],
        &["other.pem"],
    ];
    let mut native = adapter().into_fields();
    native.projection = ProjectionKind::Native { seed: 42 };
    let native = Adapter::new(native).unwrap();
    let file = sha256(&native.to_bytes());
    for keys in keys {
        let verdict = |chosen: u32| {
            let policy = of_requirements(chosen);
            let bundles = keys
                .iter()
                .map(|key| signed(key, &file, PROVENANCE, predicate(1.0)))
                .collect();
            let mut case = Case::new(Some(&policy), bundles);
            case.adapter = native.clone();
            case.verify().verdict()
        };
        let all: Vec<Verdict> = (0..1 << REQUIREMENTS.len()).map(verdict).collect();
        for chosen in 0..all.len() {
            let alone = (0..REQUIREMENTS.len())
                .filter(|number| chosen >> number & 1 == 1)
                .map(|number| all[1 << number]);
            let worst = alone.fold(Verdict::Pass, |worst, verdict| match (worst, verdict) {
                (Verdict::Fail, _) | (_, Verdict::Fail) => Verdict::Fail,
                (Verdict::Inconclusive, _) | (_, Verdict::Inconclusive) => Verdict::Inconclusive,
                _ => Verdict::Pass,
            });
            // A denied signer can make a threshold fail that would hold without: worse than each alone is allowed.
            let not_better = match worst {
                Verdict::Fail => all[chosen] == Verdict::Fail,
                Verdict::Inconclusive => all[chosen] != Verdict::Pass,
                Verdict::Pass => true,
            };
            assert!(
                not_better,
                "{chosen:08b}: {:?}, though {worst:?} alone",
                all[chosen]
            );
        }
    }
}
