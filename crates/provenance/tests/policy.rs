//! Policies: what is read, and that nothing that is not understood lets anything through.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::policy;
use tlora_provenance::{Group, PolicyError, SeedRule, SignerIdentity};

const WHOLE: &str = r#"version = 1
[require]
checks = ["format", "base", "signature", "provenance"]
threshold = 2
[[signer]]
name = "release"
type = "p256"
key = "p256.pub"
not_before = "2026-01-01"
not_after = "2027-12-31"
[[signer]]
name = "second"
type = "ed25519"
key = "ed25519.pub"
[[signer]]
name = "ci"
type = "github"
identity = "https://github.com/acme/adapters/.github/workflows/train.yml@refs/heads/main"
issuer = "https://token.actions.githubusercontent.com"
[[base]]
id = "m"
tmd1 = "b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5b5"
commit = "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0"
[limits]
max_delta_ratio = 0.05
max_params = 1024
seed = "canonical"
[claims]
required = ["dataset.digest", "code.commit"]
min = { "eval.gsm8k" = 0.85, "eval.math" = 1 }
[deny]
adapters = ["sha256:0000000000000000000000000000000000000000000000000000000000000000"]
signers = ["old"]
"#;

#[test]
fn reads_every_key() {
    let policy = policy(WHOLE).unwrap();
    assert_eq!(policy.threshold.get(), 2);
    assert!(
        policy.requires(Group::Base)
            && !policy.requires(Group::Merged)
            && !policy.requires(Group::Lock)
    );
    assert!(matches!(policy.signers[0].identity, SignerIdentity::Key(_)));
    assert_eq!(
        policy.signers[0].not_after.unwrap().to_string(),
        "2027-12-31"
    );
    assert!(matches!(
        policy.signers[2].identity,
        SignerIdentity::Workflow { .. }
    ));
    assert_eq!(policy.bases[0].tmd1, support::BASE);
    assert_eq!(
        (policy.limits.max_params, policy.limits.max_delta_ratio),
        (Some(1024), Some(0.05))
    );
    assert_eq!(policy.limits.seed, SeedRule::Canonical);
    assert_eq!(
        (
            policy.claims.min["eval.gsm8k"],
            policy.claims.min["eval.math"]
        ),
        (0.85, 1.0)
    );
    assert_eq!(
        (policy.deny.adapters.len(), policy.deny.signers.len()),
        (1, 1)
    );
}

#[test]
fn rejects_an_unknown_key_at_every_level_and_names_its_line() {
    let lines: Vec<&str> = WHOLE.lines().collect();
    for number in 0..lines.len() {
        let mut changed = lines.clone();
        changed.insert(number + 1, "typo = 1");
        // After the last line of a table the key belongs to that table; in the middle of nothing it is one more key.
        match policy(&changed.join("\n")) {
            Err(PolicyError::Syntax { line, message }) => {
                assert!(message.contains("unknown field `typo`"), "{message}");
                assert_eq!(line, number + 2, "{message}");
            }
            other => panic!("line {number}: {other:?}"),
        }
    }
}

/// A change of the whole policy, the line of the error, and a part of it.
const WRONG: [(&str, &str, usize, &str); 26] = [
    ("version = 1", "version = 2", 1, "wanted 1, found \"2\""),
    (
        "\"format\", \"base\"",
        "\"format\", \"bass\"",
        3,
        "found \"bass\"",
    ),
    ("threshold = 2", "threshold = 0", 4, "1 or more"),
    ("threshold = 2", "threshold = -1", 4, "1 or more"),
    (
        "threshold = 2",
        "threshold = 4",
        4,
        "only 3 distinct signers",
    ),
    (
        "threshold = 2",
        "threshold = 2\nthreshold = 1",
        5,
        "duplicate key",
    ),
    ("type = \"p256\"", "type = \"rsa\"", 7, "found \"rsa\""),
    (
        "type = \"p256\"",
        "type = \"ed25519\"",
        5,
        "a key of another type",
    ),
    (
        "key = \"p256.pub\"\n",
        "",
        5,
        "key, the file with the public key, is missing",
    ),
    (
        "key = \"p256.pub\"",
        "key = \"\"",
        8,
        "the path of a file with a public key",
    ),
    (
        "key = \"p256.pub\"",
        "key = \"absent.pub\"",
        8,
        "cannot be read",
    ),
    (
        "key = \"p256.pub\"",
        "key = \"p384.pub\"",
        8,
        "no usable key",
    ),
    (
        "key = \"p256.pub\"",
        "key = \"p256.pem\"",
        8,
        "no usable key",
    ),
    ("name = \"release\"", "name = \"\"", 5, "the name is empty"),
    ("2026-01-01", "2026-13-01", 9, "a day such as"),
    ("train.yml@refs/heads/main", "*", 18, "without wildcards"),
    (
        "https://github.com/acme",
        "^https://github.com/acme",
        18,
        "without wildcards",
    ),
    (
        "train.yml@refs/heads/main",
        "[a-z].yml",
        18,
        "without wildcards",
    ),
    (
        "issuer = \"https://token.actions.githubusercontent.com\"\n",
        "",
        15,
        "needs identity and issuer",
    ),
    (
        "tmd1 = \"b5",
        "tmd1 = \"B5",
        22,
        "64 lower-case hexadecimal digits",
    ),
    ("commit = \"c0", "commit = \"", 23, "40 or 64"),
    (
        "max_delta_ratio = 0.05",
        "max_delta_ratio = nan",
        25,
        "a number, 0 or more",
    ),
    ("max_params = 1024", "max_params = -1", 26, "0 or more"),
    (
        "seed = \"canonical\"",
        "seed = \"mine\"",
        27,
        "found \"mine\"",
    ),
    ("\"code.commit\"", "\"commit\"", 29, "a name such as"),
    ("sha256:0000", "sha1:0000", 32, "sha256: and 64"),
];

#[test]
fn rejects_values_that_cannot_stand_there_and_names_their_line() {
    for (from, to, line, part) in WRONG {
        assert!(WHOLE.contains(from), "{from}");
        let error = policy(&WHOLE.replacen(from, to, 1))
            .expect_err(to)
            .to_string();
        assert!(
            error.starts_with(&format!("line {line}: ")),
            "{to}: {error}"
        );
        assert!(error.contains(part), "{to}: {error}");
    }
}

#[test]
fn a_required_signature_needs_somebody_who_could_give_it() {
    for text in [
        "version = 1\n[require]\nchecks = [\"signature\"]\n",
        "version = 1\n[require]\nchecks = [\"provenance\"]\n",
        "version = 1\n[claims]\nrequired = [\"code.commit\"]\n",
    ] {
        assert!(
            matches!(policy(text), Err(PolicyError::NoSigners)),
            "{text}"
        );
    }
}

#[test]
fn a_key_that_is_listed_twice_is_one_signer() {
    let twice = "version = 1\n[require]\nthreshold = 2\n\
        [[signer]]\nname = \"a\"\ntype = \"p256\"\nkey = \"p256.pub\"\n\
        [[signer]]\nname = \"b\"\ntype = \"p256\"\nkey = \"p256.pub\"\n";
    assert!(matches!(
        policy(twice),
        Err(PolicyError::Threshold {
            line: 3,
            signers: 1,
            ..
        })
    ));
}

#[test]
fn the_path_of_a_key_is_relative_to_the_policy_file() {
    let directory = tempfile::tempdir().unwrap();
    fs_err::create_dir(directory.path().join("keys")).unwrap();
    fs_err::copy(
        support::keys().join("p256.pub"),
        directory.path().join("keys/release.pub"),
    )
    .unwrap();
    let path = directory.path().join("policy.toml");
    fs_err::write(
        &path,
        "version = 1\n[[signer]]\nname = \"a\"\ntype = \"p256\"\nkey = \"keys/release.pub\"\n",
    )
    .unwrap();
    assert_eq!(
        tlora_provenance::Policy::read(&path).unwrap().signers.len(),
        1
    );
}

#[test]
fn a_policy_that_is_no_file_or_too_long_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        tlora_provenance::Policy::read(directory.path()),
        Err(PolicyError::Io(_))
    ));
    let path = directory.path().join("long.toml");
    fs_err::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(matches!(
        tlora_provenance::Policy::read(&path),
        Err(PolicyError::TooLarge { .. })
    ));
}
