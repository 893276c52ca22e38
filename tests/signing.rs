//! `tlora keygen`, `sign` and `attest` as commands: what they write, and what they refuse to.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::Scratch;
use tlora_provenance::{Bundle, PrivateKey, PublicKey, SLSA_PROVENANCE, oms};

/// A directory with an adapter and a key.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    scratch.done(&["keygen", "-o", "key.pem"]);
    scratch
}

fn text(scratch: &Scratch, name: &str) -> String {
    fs_err::read_to_string(scratch.path(name)).unwrap()
}

fn public(scratch: &Scratch) -> PublicKey {
    PublicKey::from_pem(&text(scratch, "key.pem.pub")).unwrap()
}

fn bundle(scratch: &Scratch, name: &str) -> Bundle {
    Bundle::parse(text(scratch, name).as_bytes()).unwrap()
}

#[test]
fn signs_so_that_the_public_key_verifies() {
    let scratch = scratch();
    let ended = scratch.done(&["sign", "adapter.tlora", "--key", "key.pem", "--oms"]);
    assert_eq!(ended.stdout, "");
    let (bundle, key) = (
        bundle(&scratch, "adapter.tlora.sigstore.json"),
        public(&scratch),
    );
    let statement = bundle.verify_with_key(&key).unwrap().statement();
    assert_eq!(statement.predicate_type, SLSA_PROVENANCE);
    assert_eq!(statement.subjects[0].name, "adapter.tlora");
    let model = self::bundle(&scratch, "adapter.tlora.sig");
    oms::verify(&model, &key, &scratch.path("adapter.tlora"), &[]).unwrap();
    assert!(ended.stderr.contains(&key.fingerprint()));
}

#[test]
fn the_same_file_and_key_give_the_same_bytes() {
    let scratch = scratch();
    scratch.done(&["sign", "adapter.tlora", "--key", "key.pem", "-o", "first"]);
    scratch.done(&["sign", "adapter.tlora", "--key", "key.pem", "-o", "second"]);
    assert_eq!(text(&scratch, "first"), text(&scratch, "second"));
}

#[test]
fn replaces_nothing_unless_forced_and_writes_both_files_or_none() {
    let scratch = scratch();
    fs_err::write(scratch.path("adapter.tlora.sigstore.json"), "mine").unwrap();
    let arguments = ["sign", "adapter.tlora", "--key", "key.pem", "--oms"];
    let ended = scratch.tlora(&arguments);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(!scratch.path("adapter.tlora.sig").exists());
    assert_eq!(text(&scratch, "adapter.tlora.sigstore.json"), "mine");
    scratch.done(&[&arguments[..], &["--force"]].concat());
    bundle(&scratch, "adapter.tlora.sigstore.json")
        .verify_with_key(&public(&scratch))
        .unwrap();
}

#[test]
fn keygen_never_replaces_a_key() {
    let scratch = scratch();
    let before = text(&scratch, "key.pem");
    assert_eq!(scratch.tlora(&["keygen", "-o", "key.pem"]).code, Some(2));
    assert_eq!(text(&scratch, "key.pem"), before);
    fs_err::write(scratch.path("other.pem.pub"), "mine").unwrap();
    assert_eq!(scratch.tlora(&["keygen", "-o", "other.pem"]).code, Some(2));
    assert!(!scratch.path("other.pem").exists());
}

#[test]
fn takes_the_passphrase_from_a_file_or_the_environment_and_shows_it_nowhere() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    fs_err::write(scratch.path("passphrase"), "a secret word\r\nmore\n").unwrap();
    scratch.done(&[
        "keygen",
        "-o",
        "key.pem",
        "--type",
        "ed25519",
        "--passphrase-file",
        "passphrase",
    ]);
    assert!(text(&scratch, "key.pem").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    PrivateKey::from_pem(&text(&scratch, "key.pem"), Some(b"a secret word")).unwrap();
    let sign = ["sign", "adapter.tlora", "--key", "key.pem", "--force"];
    let without = scratch
        .command(&sign)
        .env_remove("TLORA_KEY_PASSPHRASE")
        .output()
        .unwrap();
    assert_eq!(without.status.code(), Some(2));
    let wrong = scratch
        .command(&sign)
        .env("TLORA_KEY_PASSPHRASE", "a secret wort")
        .output()
        .unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    let right = scratch
        .command(&sign)
        .env("TLORA_KEY_PASSPHRASE", "a secret word")
        .output()
        .unwrap();
    assert_eq!(right.status.code(), Some(0));
    scratch.done(&[&sign[..], &["--passphrase-file", "passphrase"]].concat());
    for output in [without, wrong, right] {
        assert!(!String::from_utf8_lossy(&output.stderr).contains("secret"));
    }
}

#[cfg(unix)]
#[test]
fn refuses_a_key_that_others_can_read_and_makes_none() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = scratch();
    let mode = |name| {
        fs_err::metadata(scratch.path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("key.pem"), mode("key.pem.pub")), (0o600, 0o644));
    fs_err::set_permissions(scratch.path("key.pem"), PermissionsExt::from_mode(0o640)).unwrap();
    let ended = scratch.tlora(&["sign", "adapter.tlora", "--key", "key.pem"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("0640"), "{}", ended.stderr);
    assert!(!scratch.path("adapter.tlora.sigstore.json").exists());
}

#[test]
fn an_ed25519_key_signs_no_model_and_then_nothing_at_all() {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    scratch.done(&["keygen", "-o", "key.pem", "--type", "ed25519"]);
    let ended = scratch.tlora(&["sign", "adapter.tlora", "--key", "key.pem", "--oms"]);
    assert_eq!(ended.code, Some(2));
    assert!(!scratch.path("adapter.tlora.sigstore.json").exists());
}

#[test]
fn signs_no_file_that_is_not_an_adapter() {
    let scratch = scratch();
    let mut bytes = fs_err::read(scratch.path("adapter.tlora")).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs_err::write(scratch.path("broken.tlora"), bytes).unwrap();
    let ended = scratch.tlora(&["sign", "broken.tlora", "--key", "key.pem"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!scratch.path("broken.tlora.sigstore.json").exists());
}

#[test]
fn signs_the_predicate_that_it_is_given() {
    let scratch = scratch();
    let sign = [
        "sign",
        "adapter.tlora",
        "--key",
        "key.pem",
        "--predicate",
        "predicate.json",
        "--force",
    ];
    fs_err::write(
        scratch.path("predicate.json"),
        r#"{"buildDefinition": {"mine": 1}}"#,
    )
    .unwrap();
    scratch.done(&sign);
    let bundle = bundle(&scratch, "adapter.tlora.sigstore.json");
    assert_eq!(
        bundle.unverified_statement().predicate["buildDefinition"]["mine"],
        1
    );
    for other in ["[]", r#"{"a": 1, "a": 1}"#, "{"] {
        fs_err::write(scratch.path("predicate.json"), other).unwrap();
        assert_eq!(scratch.tlora(&sign).code, Some(1), "{other}");
    }
}

#[test]
fn signs_no_statement_that_is_too_long_to_be_read() {
    let scratch = scratch();
    let predicate = format!(r#"{{"a": "{}"}}"#, "x".repeat(800 << 10));
    fs_err::write(scratch.path("predicate.json"), predicate).unwrap();
    let ended = scratch.tlora(&[
        "sign",
        "adapter.tlora",
        "--key",
        "key.pem",
        "--predicate",
        "predicate.json",
    ]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!scratch.path("adapter.tlora.sigstore.json").exists());
}

#[test]
fn attests_what_sign_signs() {
    let scratch = scratch();
    scratch.done(&["sign", "adapter.tlora", "--key", "key.pem"]);
    let printed = scratch.done(&["attest", "adapter.tlora"]).stdout;
    let bundle = bundle(&scratch, "adapter.tlora.sigstore.json");
    assert_eq!(
        printed,
        format!("{}\n", bundle.unverified_statement().to_json())
    );
    let predicate = scratch
        .done(&["attest", "adapter.tlora", "--predicate-only"])
        .stdout;
    let (statement, predicate): (Value, Value) = (
        serde_json::from_str(&printed).unwrap(),
        serde_json::from_str(&predicate).unwrap(),
    );
    assert_eq!(statement["predicate"], predicate);
    scratch.done(&["attest", "adapter.tlora", "-o", "statement.json"]);
    assert_eq!(text(&scratch, "statement.json"), printed);
}

#[test]
fn says_no_to_a_run_that_did_not_make_the_adapter() {
    let scratch = scratch();
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/provenance/tests/fixtures/run");
    let run = run.to_str().unwrap();
    for command in [
        &["attest", "adapter.tlora", "--run", run][..],
        &["sign", "adapter.tlora", "--key", "key.pem", "--run", run],
    ] {
        let ended = scratch.tlora(command);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            ended
                .stderr
                .contains("is not the run that made this adapter"),
            "{}",
            ended.stderr
        );
    }
    assert_eq!(
        scratch
            .tlora(&["attest", "adapter.tlora", "--run", "nowhere"])
            .code,
        Some(2)
    );
    assert!(!scratch.path("adapter.tlora.sigstore.json").exists());
}
