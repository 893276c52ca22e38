//! `tlora verify` and `tlora merge --policy` as users run them: exit codes, and which check says what.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use serde_json::Value;
use support::{Scratch, names};

const POLICY: &str = "version = 1\n[require]\nchecks = [\"signature\"]\n[[signer]]\nname = \"release\"\ntype = \"p256\"\nkey = \"release.pub\"\n";

/// A base, an adapter, its merge, a key, a signature and a policy.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let base = scratch.base_and_adapter();
    fs_err::write(base.join("config.json"), "{\"model_type\": \"llama\"}").unwrap();
    scratch.done(&["merge", "base", "adapter.tlora", "-o", "merged"]);
    scratch.done(&["keygen", "-o", "release"]);
    scratch.done(&["sign", "adapter.tlora", "--key", "release"]);
    fs_err::write(scratch.path("policy.toml"), POLICY).unwrap();
    scratch
}

/// Runs a verification and gives its exit code and the outcomes of all checks that were made.
fn verify(scratch: &Scratch, arguments: &[&str]) -> (i32, Vec<(String, String)>) {
    let ended =
        scratch.tlora(&[&["verify", "adapter.tlora", "--format", "json"], arguments].concat());
    let report: Value =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let checks = report["checks"].as_array().unwrap().iter();
    let text = |check: &Value, field: &str| check[field].as_str().unwrap().to_owned();
    let made = checks.filter(|check| check["outcome"] != "skipped");
    (
        ended.code.unwrap(),
        made.map(|check| (text(check, "id"), text(check, "outcome")))
            .collect(),
    )
}

/// The exit code, and the checks that did not pass.
fn failed(scratch: &Scratch, arguments: &[&str]) -> (i32, Vec<String>) {
    let (code, made) = verify(scratch, arguments);
    (
        code,
        made.into_iter()
            .filter(|(_, outcome)| outcome != "pass")
            .map(|(id, _)| id)
            .collect(),
    )
}

const MERGED: [&str; 4] = ["--base", "base", "--merged", "merged"];

#[test]
fn passes_what_was_merged_and_signed() {
    let scratch = scratch();
    let (code, made) = verify(
        &scratch,
        &[&MERGED[..], &["--policy", "policy.toml"]].concat(),
    );
    let ids: Vec<&str> = made.iter().map(|(id, _)| &**id).collect();
    assert_eq!(code, 0, "{made:?}");
    let merged = ["TL-MRG-1", "TL-MRG-2", "TL-MRG-3", "TL-MRG-4"];
    let base = [
        "TL-FMT-1",
        "TL-BASE-1",
        "TL-BASE-2",
        "TL-BASE-3",
        "TL-BASE-4",
    ];
    assert_eq!(
        ids,
        [
            &base[..],
            &merged,
            &["TL-SIG-1", "TL-SIG-2", "TL-CLM-1", "TL-CLM-4"]
        ]
        .concat()
    );
}

#[test]
fn another_base_fails_before_anything_is_computed() {
    let scratch = scratch();
    assert_eq!(
        failed(&scratch, &["--base", "merged"]),
        (1, vec!["TL-BASE-1".to_owned()])
    );
}

#[test]
fn an_equivalent_base_passes_and_an_unrelated_one_does_not() {
    let scratch = scratch();
    // The same weights and one tensor more.
    let more = [
        support::small_base(),
        vec![support::Tensor::bf16("extra.weight", &[2, 2])],
    ]
    .concat();
    support::write_checkpoint(&scratch.path("resaved"), &more);
    let digest = |path: &str| scratch.done(&["digest", path]).stdout.trim().to_owned();
    let (own, resaved) = (digest("base"), digest("resaved"));
    let policy = |first: &str, second: &str| {
        let base = |id: &str, tmd1: &str| format!("[[base]]\nid = \"{id}\"\ntmd1 = \"{tmd1}\"\n");
        let text = format!(
            "version = 1\n{}{}",
            base(first, &own),
            base(second, &resaved)
        );
        fs_err::write(scratch.path("bases.toml"), text).unwrap();
        failed(&scratch, &["--base", "resaved", "--policy", "bases.toml"])
    };
    assert_eq!(policy("m", "m"), (0, vec![]));
    assert_eq!(policy("m", "n"), (1, vec!["TL-BASE-1".to_owned()]));
}

#[test]
fn a_changed_merge_fails_the_checks_that_it_breaks() {
    let scratch = scratch();
    fs_err::write(scratch.path("merged/evil.py"), "").unwrap();
    assert_eq!(failed(&scratch, &MERGED), (1, vec!["TL-MRG-2".to_owned()]));
    fs_err::remove_file(scratch.path("merged/evil.py")).unwrap();
    // The base in the place of its merge.
    fs_err::copy(
        scratch.path("base/model.safetensors"),
        scratch.path("merged/model.safetensors"),
    )
    .unwrap();
    assert_eq!(
        failed(&scratch, &MERGED),
        (1, vec!["TL-MRG-1".to_owned(), "TL-MRG-3".to_owned()])
    );
    let text = scratch
        .tlora(&[&["verify", "adapter.tlora"], &MERGED[..]].concat())
        .stdout;
    assert!(
        text.contains("reverted: it is that of the base, without the update"),
        "{text}"
    );
}

#[test]
fn what_is_required_and_not_given_is_inconclusive() {
    let scratch = scratch();
    let policy = POLICY.replace("[\"signature\"]", "[\"signature\", \"base\", \"lock\"]");
    fs_err::write(scratch.path("policy.toml"), policy).unwrap();
    let wanted = ["TL-BASE-1", "TL-BASE-2", "TL-BASE-3", "TL-LOCK-1"].map(str::to_owned);
    assert_eq!(
        failed(&scratch, &["--policy", "policy.toml"]),
        (3, wanted.to_vec())
    );
}

#[test]
fn without_its_bundle_or_with_another_file_a_signature_fails() {
    let scratch = scratch();
    fs_err::rename(
        scratch.path("adapter.tlora.sigstore.json"),
        scratch.path("elsewhere.json"),
    )
    .unwrap();
    let both = ["TL-SIG-1", "TL-SIG-2"].map(str::to_owned).to_vec();
    assert_eq!(
        failed(&scratch, &["--policy", "policy.toml"]),
        (1, both.clone())
    );
    assert_eq!(
        failed(
            &scratch,
            &["--policy", "policy.toml", "--bundle", "elsewhere.json"]
        ),
        (0, vec![])
    );
    scratch.done(&[
        "init",
        "base",
        "-o",
        "adapter.tlora",
        "--force",
        "--targets",
        "q_proj",
        "--v",
        "0.06",
    ]);
    assert_eq!(
        failed(
            &scratch,
            &["--policy", "policy.toml", "--bundle", "elsewhere.json"]
        ),
        (1, both)
    );
}

#[test]
fn usage_policies_and_missing_files_end_with_2() {
    let scratch = scratch();
    fs_err::write(
        scratch.path("typo.toml"),
        POLICY.replace("threshold", "thresold") + "[limits]\nmax_parms = 1\n",
    )
    .unwrap();
    scratch
        .tlora(&["verify", "adapter.tlora", "--policy", "typo.toml"])
        .failed(2, &["line 9", "unknown field `max_parms`"]);
    scratch
        .tlora(&["verify", "absent.tlora"])
        .failed(2, &["absent.tlora cannot be read"]);
    scratch
        .tlora(&["verify", "adapter.tlora", "--merged", "merged"])
        .failed(2, &["--base"]);
    scratch
        .tlora(&["verify", "adapter.tlora", "--base", "absent"])
        .failed(2, &[]);
    scratch
        .tlora(&[
            "verify",
            "adapter.tlora",
            "--base",
            "base",
            "--merged",
            "absent",
        ])
        .failed(2, &["absent"]);
    scratch
        .tlora(&["verify", "base"])
        .failed(2, &["not a regular file"]);
}

#[test]
fn a_damaged_file_fails_its_form() {
    let scratch = scratch();
    let mut bytes = fs_err::read(scratch.path("adapter.tlora")).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs_err::write(scratch.path("adapter.tlora"), bytes).unwrap();
    assert_eq!(failed(&scratch, &[]), (1, vec!["TL-FMT-1".to_owned()]));
}

#[test]
fn a_lock_pins_what_passed_and_notices_another_file() {
    let scratch = scratch();
    let lock = ["--policy", "policy.toml", "--lock", "tlora.lock"];
    assert_eq!(failed(&scratch, &lock), (1, vec!["TL-LOCK-1".to_owned()]));
    assert_eq!(
        failed(&scratch, &[&lock[..], &["--write-lock"]].concat()),
        (0, vec![])
    );
    assert!(
        fs_err::read_to_string(scratch.path("tlora.lock"))
            .unwrap()
            .contains("signers = [\"release\"]")
    );
    assert_eq!(failed(&scratch, &lock), (0, vec![]));
    scratch.done(&[
        "init",
        "base",
        "-o",
        "adapter.tlora",
        "--force",
        "--targets",
        "q_proj",
        "--v",
        "0.06",
    ]);
    scratch.done(&["sign", "adapter.tlora", "--key", "release", "--force"]);
    assert_eq!(failed(&scratch, &lock), (1, vec!["TL-LOCK-1".to_owned()]));
}

#[test]
fn a_lock_is_not_written_for_what_fails() {
    let scratch = scratch();
    fs_err::remove_file(scratch.path("adapter.tlora.sigstore.json")).unwrap();
    let arguments = [
        "--policy",
        "policy.toml",
        "--lock",
        "tlora.lock",
        "--write-lock",
    ];
    assert_eq!(failed(&scratch, &arguments).0, 1);
    assert!(!scratch.path("tlora.lock").exists());
}

#[test]
fn a_merge_under_a_policy_records_it_and_gives_the_same_weights() {
    let scratch = scratch();
    scratch.done(&[
        "merge",
        "base",
        "adapter.tlora",
        "-o",
        "allowed",
        "--policy",
        "policy.toml",
    ]);
    let record: Value =
        serde_json::from_slice(&fs_err::read(scratch.path("allowed/tlora-merge.json")).unwrap())
            .unwrap();
    assert_eq!(
        record["policy"]["signers"],
        serde_json::json!([["release"]])
    );
    assert_eq!(record["policy"]["sha256"].as_str().unwrap().len(), 64);
    let weights = |name: &str| fs_err::read(scratch.path(name).join("model.safetensors")).unwrap();
    assert_eq!(weights("allowed"), weights("merged"));
    assert_eq!(
        failed(&scratch, &["--base", "base", "--merged", "allowed"]),
        (0, vec![])
    );
}

#[test]
fn a_merge_that_the_policy_does_not_allow_reads_no_base_and_writes_nothing() {
    let scratch = scratch();
    fs_err::remove_file(scratch.path("adapter.tlora.sigstore.json")).unwrap();
    let before = scratch.names();
    // A base that is not there: it is not even looked for.
    let merge = [
        "merge",
        "absent",
        "adapter.tlora",
        "-o",
        "refused",
        "--policy",
        "policy.toml",
    ];
    scratch.tlora(&merge).failed(
        1,
        &["does not allow adapter.tlora to be merged", "TL-SIG-1"],
    );
    let lock = POLICY.replace("[\"signature\"]", "[\"lock\"]");
    fs_err::write(scratch.path("policy.toml"), lock).unwrap();
    scratch.tlora(&merge).failed(3, &["TL-LOCK-1"]);
    assert_eq!(scratch.names(), before);
}

#[test]
fn a_merge_that_is_too_strong_for_the_policy_leaves_nothing() {
    let scratch = scratch();
    fs_err::write(
        scratch.path("policy.toml"),
        "version = 1\n[limits]\nmax_delta_ratio = 1e-9\n",
    )
    .unwrap();
    let before = scratch.names();
    let merge = [
        "merge",
        "base",
        "adapter.tlora",
        "-o",
        "refused",
        "--policy",
        "policy.toml",
    ];
    scratch
        .tlora(&merge)
        .failed(1, &["the policy does not allow this merge"]);
    assert_eq!(scratch.names(), before);
    let (code, failed) = failed(&scratch, &["--base", "base", "--policy", "policy.toml"]);
    assert_eq!((code, failed.contains(&"TL-BASE-4".to_owned())), (1, true));
}

#[test]
fn a_report_is_written_to_a_file_that_is_not_there_yet() {
    let scratch = scratch();
    let report = [
        "verify",
        "adapter.tlora",
        "--format",
        "sarif",
        "-o",
        "report.sarif",
    ];
    assert_eq!(scratch.done(&report).stdout, "");
    scratch.tlora(&report).failed(2, &["exists already"]);
    scratch.done(&[&report[..], &["--force"]].concat());
    assert!(names(&scratch.path("")).contains(&"report.sarif".to_owned()));
}
