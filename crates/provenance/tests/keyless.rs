//! Keyless verification on a real attestation of GitHub Actions; no test here has a use for the network.
#![cfg(feature = "keyless")]
#![cfg_attr(feature = "keyless", expect(clippy::unwrap_used, reason = "a test"))]

use serde_json::Value;
use tlora_provenance::{Bundle, BundleError, SignatureError, TrustedRoot};

const ATTESTATION: &str = include_str!("fixtures/keyless/github-actions.sigstore.json");
/// A log entry of the same log and another time.
const OTHER_ENTRY: &str = include_str!("fixtures/keyless/other-log-entry.json");
const IDENTITY: &str =
    "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main";
const ISSUER: &str = "https://token.actions.githubusercontent.com";
/// `sha256sum` of the package that the attestation is about.
const PACKAGE: &str = "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";
/// The log that the attestation is in, as its bundle and the trusted root name it.
const REKOR: &str = "wNI9atQGlz+VWfO6LRygH4QUfY/8W4RFwiT5i5WRgB0=";

fn package() -> [u8; 32] {
    std::array::from_fn(|i| u8::from_str_radix(&PACKAGE[2 * i..2 * i + 2], 16).unwrap())
}

fn verify(
    bundle: &str,
    package: &[u8; 32],
    identity: &str,
    issuer: &str,
    root: &TrustedRoot,
) -> Result<(), SignatureError> {
    let bundle = Bundle::parse(bundle.as_bytes()).unwrap();
    bundle
        .verify_with_identity(package, identity, issuer, root)
        .map(|verified| {
            assert_eq!(
                verified.statement().subjects[0].name,
                "signed-package-2.1.0-hb0f4dca_0.conda"
            );
        })
}

fn root() -> TrustedRoot {
    TrustedRoot::public_good().unwrap()
}

#[test]
fn accepts_the_workflow_that_signed() {
    verify(ATTESTATION, &package(), IDENTITY, ISSUER, &root()).unwrap();
}

#[test]
fn rejects_another_workflow_branch_or_a_longer_name() {
    for other in [
        "https://github.com/prefix-dev/sigstore-example/.github/workflows/other.yaml@refs/heads/main",
        "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/dev",
        "https://github.com/prefix-dev/sigstore-example",
        "https://github.com/prefix-dev/sigstore-example/.github/workflows/action.yaml@refs/heads/main2",
        "https://github.com/.*",
        "",
    ] {
        let error = verify(ATTESTATION, &package(), other, ISSUER, &root()).unwrap_err();
        assert!(
            matches!(&error, SignatureError::Identity { expected, found } if expected == other && found.as_deref() == Some(IDENTITY)),
            "{error:?}"
        );
    }
}

#[test]
fn rejects_another_issuer() {
    let error = verify(
        ATTESTATION,
        &package(),
        IDENTITY,
        "https://accounts.google.com",
        &root(),
    )
    .unwrap_err();
    assert!(matches!(error, SignatureError::Issuer { found: Some(found), .. } if found == ISSUER));
}

#[test]
fn rejects_a_file_with_one_bit_changed() {
    for bit in [0, 100, 255] {
        let mut other = package();
        other[bit / 8] ^= 1 << (bit % 8);
        let error = verify(ATTESTATION, &other, IDENTITY, ISSUER, &root()).unwrap_err();
        assert!(matches!(error, SignatureError::OtherSubject { .. }));
    }
}

#[test]
fn says_inconclusive_when_the_root_does_not_know_the_log() {
    let mut json: Value =
        serde_json::from_str(include_str!("../src/keyless/public-good-2026-10-23.json")).unwrap();
    let logs = json["tlogs"].as_array_mut().unwrap();
    logs.retain(|log| log["logId"]["keyId"] != REKOR);
    assert_eq!(logs.len(), 1, "the root has the old log and the new one");
    let other = TrustedRoot::from_json(&json.to_string()).unwrap();
    let error = verify(ATTESTATION, &package(), IDENTITY, ISSUER, &other).unwrap_err();
    assert!(
        matches!(&error, SignatureError::UnknownLog { log } if log == REKOR),
        "{error:?}"
    );
    assert!(error.is_inconclusive());
}

#[test]
fn rejects_when_the_root_has_another_certificate_authority() {
    let mut json: Value =
        serde_json::from_str(include_str!("../src/keyless/public-good-2026-10-23.json")).unwrap();
    // What is left is the authority of before April 2022.
    json["certificateAuthorities"]
        .as_array_mut()
        .unwrap()
        .truncate(1);
    let other = TrustedRoot::from_json(&json.to_string()).unwrap();
    let error = verify(ATTESTATION, &package(), IDENTITY, ISSUER, &other).unwrap_err();
    assert!(matches!(error, SignatureError::Keyless(_)), "{error:?}");
}

#[test]
fn rejects_an_attestation_without_its_log_entry() {
    let mut json: Value = serde_json::from_str(ATTESTATION).unwrap();
    json["verificationMaterial"]["tlogEntries"] = Value::Array(Vec::new());
    let error = verify(&json.to_string(), &package(), IDENTITY, ISSUER, &root()).unwrap_err();
    assert!(matches!(error, SignatureError::Keyless(_)), "{error:?}");
}

/// CVE-2022-36056: a log entry that is genuine, and of another signature.
#[test]
fn rejects_the_genuine_log_entry_of_another_signature() {
    let mut json: Value = serde_json::from_str(ATTESTATION).unwrap();
    json["verificationMaterial"]["tlogEntries"][0] = serde_json::from_str(OTHER_ENTRY).unwrap();
    let error = verify(&json.to_string(), &package(), IDENTITY, ISSUER, &root()).unwrap_err();
    assert!(matches!(error, SignatureError::Keyless(_)), "{error:?}");
}

/// The same with the entry beside the right one, whose time it may not lend.
#[test]
fn rejects_the_log_entry_of_another_signature_beside_the_right_one() {
    let mut json: Value = serde_json::from_str(ATTESTATION).unwrap();
    let entries = json["verificationMaterial"]["tlogEntries"]
        .as_array_mut()
        .unwrap();
    entries.push(serde_json::from_str(OTHER_ENTRY).unwrap());
    let error = verify(&json.to_string(), &package(), IDENTITY, ISSUER, &root()).unwrap_err();
    assert!(matches!(error, SignatureError::Keyless(_)), "{error:?}");
}

#[test]
fn rejects_an_envelope_with_two_signatures() {
    let mut json: Value = serde_json::from_str(ATTESTATION).unwrap();
    let signatures = json["dsseEnvelope"]["signatures"].as_array_mut().unwrap();
    signatures.push(signatures[0].clone());
    let error = Bundle::parse(json.to_string().as_bytes()).unwrap_err();
    assert!(matches!(error, BundleError::Signatures { found: 2 }));
}

#[test]
fn rejects_a_bundle_signed_by_a_key() {
    let bundle = Bundle::parse(include_bytes!("fixtures/bundles/p256.sigstore.json")).unwrap();
    let error = bundle
        .verify_with_identity(&package(), IDENTITY, ISSUER, &root())
        .unwrap_err();
    assert!(matches!(error, SignatureError::NotKeyless));
}

/// Every string in the attestation that is base64, each with one bit changed at a place that a seed chooses, in several
/// rounds. The exceptions are fields that nobody signs and that decide nothing.
#[test]
fn rejects_every_flip_of_a_bit_in_what_is_signed() {
    let json: Value = serde_json::from_str(ATTESTATION).unwrap();
    let mut leaves = Vec::new();
    collect(&json, String::new(), &mut leaves);
    assert!(leaves.len() >= 12, "{leaves:?}");
    let (root, mut state, mut flips) = (root(), 0x9e37_79b9_7f4a_7c15_u64, 0);
    for round in 0..8 {
        for leaf in &leaves {
            let mut changed = json.clone();
            let text = changed.pointer_mut(leaf).unwrap();
            let mut bytes = base64(text.as_str().unwrap());
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let bit = usize::try_from(state >> 33).unwrap() % (8 * bytes.len());
            bytes[bit / 8] ^= 1 << (bit % 8);
            *text = Value::String(to_base64(&bytes));
            flips += 1;
            let parsed = Bundle::parse(changed.to_string().as_bytes());
            let accepted = parsed.is_ok_and(|bundle| {
                bundle
                    .verify_with_identity(&package(), IDENTITY, ISSUER, &root)
                    .is_ok()
            });
            assert!(
                !accepted,
                "round {round}: bit {bit} of {leaf} does not matter"
            );
        }
    }
    assert!(flips >= 80, "{flips}");
}

/// The pointers of all strings that are base64 of 16 bytes or more.
fn collect(value: &Value, pointer: String, leaves: &mut Vec<String>) {
    match value {
        Value::String(text) if decode(text).is_some_and(|bytes| bytes.len() >= 16) => {
            leaves.push(pointer);
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                collect(value, format!("{pointer}/{index}"), leaves);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                collect(value, format!("{pointer}/{key}"), leaves);
            }
        }
        _ => {}
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

fn base64(text: &str) -> Vec<u8> {
    decode(text).unwrap()
}

fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
