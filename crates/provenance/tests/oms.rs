//! Model Signing: what `model_signing` 1.1.1 signed, and what was changed afterwards. `fixtures/make.py` made the bundles.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tlora_provenance::oms::{self, OmsError};
use tlora_provenance::{
    Bundle, KeyType, PrivateKey, PublicKey, SignatureError, Statement, Subject, sign,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn bundle(name: &str) -> Bundle {
    Bundle::parse(&fs_err::read(fixtures().join("oms").join(name)).unwrap()).unwrap()
}

fn public(name: &str) -> PublicKey {
    PublicKey::from_pem(&fs_err::read_to_string(fixtures().join("keys").join(name)).unwrap())
        .unwrap()
}

fn private() -> PrivateKey {
    PrivateKey::from_pem(
        &fs_err::read_to_string(fixtures().join("keys/p256.pem")).unwrap(),
        None,
    )
    .unwrap()
}

/// A copy of the signed directory, to change things in.
fn model() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    fs_err::create_dir_all(copy.path().join("sub")).unwrap();
    for name in ["a.bin", "sub/b.txt"] {
        fs_err::copy(
            fixtures().join("oms/model").join(name),
            copy.path().join(name),
        )
        .unwrap();
    }
    copy
}

fn verify(directory: &TempDir) -> Result<(), OmsError> {
    oms::verify(
        &bundle("directory.sig"),
        &public("p256.pub"),
        directory.path(),
        &[],
    )
    .map(drop)
}

/// A bundle that is signed, and says something else.
fn signed(predicate_type: &str, predicate: Value, subject: &[u8; 32]) -> Bundle {
    let Value::Object(predicate) = predicate else {
        panic!("{predicate}")
    };
    let statement = Statement::new(Subject::new("a", subject), predicate_type, predicate);
    Bundle::parse(sign(&statement, &private()).as_bytes()).unwrap()
}

#[test]
fn accepts_the_directory_and_the_file_that_were_signed() {
    let model = model();
    verify(&model).unwrap();
    oms::verify(
        &bundle("file.sig"),
        &public("p256.pub"),
        &model.path().join("a.bin"),
        &[],
    )
    .unwrap();
    // The name of a single file is not signed.
    fs_err::rename(model.path().join("a.bin"), model.path().join("c.bin")).unwrap();
    oms::verify(
        &bundle("file.sig"),
        &public("p256.pub"),
        &model.path().join("c.bin"),
        &[],
    )
    .unwrap();
}

#[test]
fn rejects_another_key() {
    let model = model();
    let error = oms::verify(
        &bundle("directory.sig"),
        &public("other.pub"),
        model.path(),
        &[],
    )
    .unwrap_err();
    assert!(matches!(
        error,
        OmsError::Signature(SignatureError::Key { .. })
    ));
}

#[test]
fn rejects_a_changed_byte() {
    let model = model();
    fs_err::write(model.path().join("sub/b.txt"), "another fils\n").unwrap();
    assert!(matches!(verify(&model), Err(OmsError::Changed { name, .. }) if name == "sub/b.txt"));
    let path = model.path().join("a.bin");
    fs_err::write(&path, "some byteS\n").unwrap();
    let error = oms::verify(&bundle("file.sig"), &public("p256.pub"), &path, &[]).unwrap_err();
    assert!(matches!(error, OmsError::Changed { name, .. } if name == "."));
}

#[test]
fn rejects_a_missing_a_new_and_a_renamed_file() {
    let missing = model();
    fs_err::remove_file(missing.path().join("a.bin")).unwrap();
    assert!(matches!(verify(&missing), Err(OmsError::Missing { name }) if name == "a.bin"));
    let new = model();
    fs_err::write(new.path().join("sub/evil.py"), "").unwrap();
    assert!(matches!(verify(&new), Err(OmsError::Unsigned { name }) if name == "sub/evil.py"));
    let renamed = model();
    fs_err::rename(renamed.path().join("a.bin"), renamed.path().join("c.bin")).unwrap();
    assert!(matches!(verify(&renamed), Err(OmsError::Unsigned { name }) if name == "c.bin"));
}

#[test]
fn leaves_out_the_bundle_and_files_of_git_and_nothing_else() {
    let model = model();
    let beside = model.path().join("model.sig");
    fs_err::copy(fixtures().join("oms/directory.sig"), &beside).unwrap();
    fs_err::write(model.path().join(".gitattributes"), "").unwrap();
    assert!(matches!(verify(&model), Err(OmsError::Unsigned { name }) if name == "model.sig"));
    let key = public("p256.pub");
    oms::verify(
        &bundle("directory.sig"),
        &key,
        model.path(),
        std::slice::from_ref(&beside),
    )
    .unwrap();
    fs_err::write(model.path().join("sub/.gitattributes"), "").unwrap();
    let error = oms::verify(&bundle("directory.sig"), &key, model.path(), &[beside]).unwrap_err();
    assert!(matches!(error, OmsError::Unsigned { name } if name == "sub/.gitattributes"));
}

#[cfg(unix)]
#[test]
fn rejects_links() {
    let model = model();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs_err::copy(model.path().join("a.bin"), outside.path()).unwrap();
    fs_err::remove_file(model.path().join("a.bin")).unwrap();
    fs_err::os::unix::fs::symlink(outside.path(), model.path().join("a.bin")).unwrap();
    assert!(matches!(verify(&model), Err(OmsError::NotAFile(_))));
}

#[test]
fn what_the_signer_wants_ignored_does_not_count() {
    let model = model();
    fs_err::write(model.path().join("evil.py"), "").unwrap();
    let (predicate, subject) = predicate(&[("a.bin", A), ("sub/b.txt", B)]);
    let mut ignoring = predicate;
    ignoring["serialization"]["ignore_paths"] = json!(["evil.py"]);
    let bundle = signed(oms::PREDICATE_TYPE, ignoring, &subject);
    let error = oms::verify(&bundle, &public("p256.pub"), model.path(), &[]).unwrap_err();
    assert!(matches!(error, OmsError::Unsigned { name } if name == "evil.py"));
}

#[test]
fn a_name_that_leads_out_of_the_directory_is_a_missing_file() {
    let model = model();
    for name in [
        "../a.bin",
        "/etc/hostname",
        "sub/../a.bin",
        "./a.bin",
        "sub\\b.txt",
        "a.bin\0",
    ] {
        let (predicate, subject) = predicate(&[("a.bin", A), ("sub/b.txt", B), (name, A)]);
        let bundle = signed(oms::PREDICATE_TYPE, predicate, &subject);
        let error = oms::verify(&bundle, &public("p256.pub"), model.path(), &[]).unwrap_err();
        assert!(
            matches!(error, OmsError::Missing { name: found } if found == name),
            "{name}"
        );
    }
}

#[test]
fn rejects_older_predicates_other_hashes_and_other_methods() {
    let (good, subject) = predicate(&[("a.bin", A), ("sub/b.txt", B)]);
    let legacy = signed("https://model_signing/Digests/v0.1", good.clone(), &subject);
    assert!(matches!(check(&legacy), OmsError::PredicateType { .. }));
    for (pointer, value) in [
        ("/serialization/method", "shards"),
        ("/serialization/hash_type", "blake2b"),
        ("/resources/0/algorithm", "md5"),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value.into();
        let error = check(&signed(oms::PREDICATE_TYPE, other, &subject));
        assert!(matches!(error, OmsError::Unsupported { found, .. } if found == value));
    }
}

#[test]
fn rejects_a_subject_that_is_not_the_digest_of_the_resources() {
    let (predicate, _) = predicate(&[("a.bin", A), ("sub/b.txt", B)]);
    let error = check(&signed(oms::PREDICATE_TYPE, predicate, &[0; 32]));
    assert!(matches!(error, OmsError::Subject));
}

#[test]
fn rejects_two_subjects() {
    let (Value::Object(predicate), subject) = predicate(&[("a.bin", A), ("sub/b.txt", B)]) else {
        panic!("a predicate is an object")
    };
    let mut statement = Statement::new(Subject::new("a", &subject), oms::PREDICATE_TYPE, predicate);
    statement.subjects.push(Subject::new("b", &[0; 32]));
    let bundle = Bundle::parse(sign(&statement, &private()).as_bytes()).unwrap();
    assert!(matches!(check(&bundle), OmsError::Subject));
}

#[test]
fn rejects_two_resources_of_one_name() {
    let (predicate, subject) = predicate(&[("a.bin", B), ("sub/b.txt", B), ("a.bin", A)]);
    let error = check(&signed(oms::PREDICATE_TYPE, predicate, &subject));
    assert!(matches!(error, OmsError::Twice { name } if name == "a.bin"));
}

#[test]
fn rejects_a_predicate_without_its_fields() {
    let error = check(&signed(
        oms::PREDICATE_TYPE,
        json!({"resources": []}),
        &[0; 32],
    ));
    assert!(matches!(error, OmsError::Predicate(_)));
}

#[test]
fn signs_a_file_so_that_it_verifies() {
    let model = model();
    let bundle = oms::sign("a.bin", &sha256(A), &private()).unwrap();
    let bundle = Bundle::parse(bundle.as_bytes()).unwrap();
    // sha256 of the digest's 32 bytes; tests/interop/signatures.py has model_signing's word for it.
    assert_eq!(
        bundle.unverified_statement().subjects[0].digest["sha256"],
        SUBJECT_OF_A
    );
    oms::verify(
        &bundle,
        &public("p256.pub"),
        &model.path().join("a.bin"),
        &[],
    )
    .unwrap();
    assert!(
        oms::verify(
            &bundle,
            &public("p256.pub"),
            &model.path().join("sub/b.txt"),
            &[]
        )
        .is_err()
    );
}

#[test]
fn does_not_sign_with_ed25519() {
    let key = PrivateKey::generate(KeyType::Ed25519).unwrap();
    let error = oms::sign("a.bin", &[0; 32], &key).unwrap_err();
    assert!(matches!(
        error,
        OmsError::Key {
            found: KeyType::Ed25519
        }
    ));
}

fn check(bundle: &Bundle) -> OmsError {
    oms::verify(bundle, &public("p256.pub"), model().path(), &[]).unwrap_err()
}

/// A predicate of resources, and the digest that is its subject.
fn predicate(resources: &[(&str, &str)]) -> (Value, [u8; 32]) {
    use sha2::Digest;

    let mut root = sha2::Sha256::new();
    resources
        .iter()
        .for_each(|(_, digest)| root.update(sha256(digest)));
    let resources: Vec<Value> = resources
        .iter()
        .map(|(name, digest)| json!({"name": name, "algorithm": "sha256", "digest": digest}))
        .collect();
    let serialization = json!({"method": "files", "hash_type": "sha256", "allow_symlinks": false});
    (
        json!({"resources": resources, "serialization": serialization}),
        root.finalize().into(),
    )
}

fn sha256(hex: &str) -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

/// `sha256sum a.bin`.
const A: &str = "0c169d5251a72b0c10c2a2957d0eacf02c1c5f43d80bc589abcb724df71b3a76";
/// `sha256sum sub/b.txt`.
const B: &str = "bd4ef5a0775f7705a1758f3ecde220fd045cce6a3b3b816fc684aada794bc24a";
/// `sha256sum a.bin | xxd -r -p | sha256sum`.
const SUBJECT_OF_A: &str = "80cdc4f52741c80856412137ebdd2bc203828a43189402b210f87f952be126cc";
