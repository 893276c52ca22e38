//! Bundles, good and bad: class 9 of the bad input, each with the error that it gives.

use serde_json::{Value, json};

use super::sign::sign_payload;
use crate::{
    Bundle, BundleError, JsonError, PrivateKey, PublicKey, SignatureError, Statement,
    StatementError, sign,
};

const P256: &str = include_str!("../../tests/fixtures/bundles/p256.sigstore.json");
const ED25519: &str = include_str!("../../tests/fixtures/bundles/ed25519.sigstore.json");
const STATEMENT: &str = include_str!("../../tests/fixtures/bundles/statement.json");
/// The order of P-256's group, SEC 2 §2.4.2.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

macro_rules! private {
    ($name:literal) => {
        PrivateKey::from_pem(
            include_str!(concat!("../../tests/fixtures/keys/", $name, ".pem")),
            None,
        )
        .unwrap()
    };
}

macro_rules! public {
    ($name:literal) => {
        PublicKey::from_pem(include_str!(concat!(
            "../../tests/fixtures/keys/",
            $name,
            ".pub"
        )))
        .unwrap()
    };
}

fn parse(bundle: &Value) -> Result<Bundle, BundleError> {
    Bundle::parse(bundle.to_string().as_bytes())
}

/// The good bundle with one value changed.
fn with(pointer: &str, value: Value) -> Value {
    let mut bundle: Value = serde_json::from_str(P256).unwrap();
    *bundle.pointer_mut(pointer).unwrap() = value;
    bundle
}

/// A signed bundle with another payload.
fn payload(text: &str) -> Result<Bundle, BundleError> {
    Bundle::parse(sign_payload(text.as_bytes(), &private!("p256")).as_bytes())
}

/// The good bundle with another signature.
fn signature(der: &[u8]) -> Bundle {
    parse(&with(
        "/dsseEnvelope/signatures/0/sig",
        crate::encoding::to_base64(der).into(),
    ))
    .unwrap()
}

#[test]
fn signs_as_another_implementation_does_byte_for_byte() {
    let statement = Statement::parse(STATEMENT.as_bytes()).unwrap();
    assert_eq!(sign(&statement, &private!("p256")), P256);
    assert_eq!(sign(&statement, &private!("ed25519")), ED25519);
}

#[test]
fn accepts_what_another_implementation_signed() {
    for (bundle, key) in [(P256, public!("p256")), (ED25519, public!("ed25519"))] {
        let bundle = Bundle::parse(bundle.as_bytes()).unwrap();
        let verified = bundle.verify_with_key(&key).unwrap();
        assert_eq!(
            verified.statement().predicate_type,
            "https://example.com/predicate/v1"
        );
        assert_eq!(
            verified.statement().predicate["numbers"],
            json!([1, -2, 0.5])
        );
        assert_eq!(
            bundle.unverified_key_hint(),
            Some(key.fingerprint().as_str())
        );
    }
}

#[test]
fn rejects_every_other_key() {
    let (p256, ed25519) = (
        Bundle::parse(P256.as_bytes()).unwrap(),
        Bundle::parse(ED25519.as_bytes()).unwrap(),
    );
    for (bundle, key) in [
        (&p256, public!("other")),
        (&p256, public!("ed25519")),
        (&ed25519, public!("p256")),
        (&ed25519, public!("other")),
    ] {
        let error = bundle.verify_with_key(&key).unwrap_err();
        assert!(
            matches!(error, SignatureError::Key { fingerprint, .. } if fingerprint == key.fingerprint())
        );
    }
}

#[test]
fn rejects_a_changed_payload() {
    let mut bundle: Value = serde_json::from_str(P256).unwrap();
    let changed = STATEMENT.replace("0.5", "0.6");
    bundle["dsseEnvelope"]["payload"] = crate::encoding::to_base64(changed.as_bytes()).into();
    assert!(
        parse(&bundle)
            .unwrap()
            .verify_with_key(&public!("p256"))
            .is_err()
    );
}

#[test]
fn rejects_every_flip_of_a_bit_in_payload_and_signature() {
    let key = public!("p256");
    let json: Value = serde_json::from_str(P256).unwrap();
    for pointer in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
        let bytes =
            crate::encoding::from_base64(json.pointer(pointer).unwrap().as_str().unwrap()).unwrap();
        for bit in 0..8 * bytes.len() {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let bundle = with(pointer, crate::encoding::to_base64(&changed).into());
            let accepted = parse(&bundle).is_ok_and(|bundle| bundle.verify_with_key(&key).is_ok());
            assert!(!accepted, "bit {bit} of {pointer} does not matter");
        }
    }
}

/// A hint is for messages: the key decides. (`model_signing` is stricter, and rejects a hint other than its own.)
#[test]
fn believes_the_signature_and_not_the_hint() {
    for hint in [json!({}), json!({"hint": ""}), json!({"hint": "other"})] {
        let bundle = parse(&with("/verificationMaterial/publicKey", hint)).unwrap();
        bundle.verify_with_key(&public!("p256")).unwrap();
        assert!(bundle.verify_with_key(&public!("other")).is_err());
    }
}

#[test]
fn rejects_other_versions_and_types() {
    for found in [
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle.v0.4+json",
        "",
    ] {
        let error = parse(&with("/mediaType", found.into())).unwrap_err();
        assert!(matches!(error, BundleError::MediaType { found: other } if other == found));
    }
    let error = parse(&with("/dsseEnvelope/payloadType", "text/plain".into())).unwrap_err();
    assert!(matches!(error, BundleError::PayloadType { found } if found == "text/plain"));
}

#[test]
fn rejects_no_signature_and_two() {
    let one = json!({"sig": "AAAA", "keyid": ""});
    for signatures in [json!([]), json!([one, one])] {
        let count = signatures.as_array().unwrap().len();
        let error = parse(&with("/dsseEnvelope/signatures", signatures)).unwrap_err();
        assert!(matches!(error, BundleError::Signatures { found } if found == count));
    }
}

#[test]
fn rejects_material_of_no_signer_or_of_two() {
    for (material, count) in [
        (json!({"tlogEntries": []}), 0),
        (
            json!({"publicKey": {"hint": ""}, "certificate": {"rawBytes": ""}}),
            2,
        ),
        (
            json!({"x509CertificateChain": {}, "certificate": {"rawBytes": ""}}),
            2,
        ),
    ] {
        let error = parse(&with("/verificationMaterial", material)).unwrap_err();
        assert!(matches!(error, BundleError::Material { found } if found == count));
    }
}

#[test]
fn rejects_a_key_for_a_bundle_signed_with_a_certificate() {
    let material = json!({"certificate": {"rawBytes": "AAAA"}});
    let bundle = parse(&with("/verificationMaterial", material)).unwrap();
    assert!(matches!(
        bundle.verify_with_key(&public!("p256")),
        Err(SignatureError::NotKeySigned)
    ));
}

#[test]
fn rejects_a_bundle_that_signs_bytes() {
    let mut bundle: Value = serde_json::from_str(P256).unwrap();
    bundle["messageSignature"] = json!({"signature": "AAAA"});
    assert!(matches!(parse(&bundle), Err(BundleError::NoEnvelope)));
    bundle.as_object_mut().unwrap().remove("dsseEnvelope");
    assert!(matches!(parse(&bundle), Err(BundleError::NoEnvelope)));
}

#[test]
fn rejects_unknown_missing_and_mistyped_fields() {
    let mut unknown: Value = serde_json::from_str(P256).unwrap();
    unknown["dsseEnvelope"]["signatures"][0]["extra"] = 1.into();
    let mut missing: Value = serde_json::from_str(P256).unwrap();
    missing["dsseEnvelope"]
        .as_object_mut()
        .unwrap()
        .remove("payload");
    let key_in_material = with(
        "/verificationMaterial/publicKey",
        json!({"hint": "", "rawBytes": "AAAA"}),
    );
    for bundle in [
        unknown,
        missing,
        key_in_material,
        with("/dsseEnvelope", 1.into()),
        json!([]),
        json!(null),
    ] {
        assert!(
            matches!(parse(&bundle), Err(BundleError::Json(JsonError::Fields(_)))),
            "{bundle}"
        );
    }
}

#[test]
fn rejects_a_key_that_stands_twice_at_every_level() {
    let doubled = |object: &str, key: &str| {
        P256.replacen(
            &format!("{{\"{object}"),
            &format!("{{\"{key}\":0,\"{object}"),
            1,
        )
    };
    for (object, key) in [
        ("mediaType", "mediaType"),
        ("publicKey", "publicKey"),
        ("hint", "hint"),
        ("payload", "payload"),
        ("sig", "keyid"),
    ] {
        let error = Bundle::parse(doubled(object, key).as_bytes()).unwrap_err();
        assert!(
            matches!(error, BundleError::Json(JsonError::DuplicateKey(found)) if found == key),
            "{object}"
        );
    }
    for (object, key) in [
        ("_type", "subject"),
        ("text", "none"),
        ("sha256", "sha256"),
        ("name", "digest"),
    ] {
        let found = STATEMENT.find(&format!("\"{object}\"")).unwrap();
        let (before, after) = STATEMENT.split_at(found);
        let error = payload(&format!("{before}\"{key}\": 0, {after}")).unwrap_err();
        assert!(
            matches!(error, BundleError::Statement(StatementError::Json(JsonError::DuplicateKey(found))) if found == key),
            "{object}"
        );
    }
}

#[test]
fn rejects_base64_of_another_alphabet_padding_or_with_stray_bits() {
    for (text, field) in [
        ("_-8=", "dsseEnvelope.payload"),
        ("e30", "dsseEnvelope.payload"),
        ("e31=", "dsseEnvelope.payload"),
        ("e30=\n", "dsseEnvelope.payload"),
    ] {
        let error = parse(&with("/dsseEnvelope/payload", text.into())).unwrap_err();
        assert!(
            matches!(error, BundleError::Base64 { field: found } if found == field),
            "{text:?}"
        );
    }
    let error = parse(&with("/dsseEnvelope/signatures/0/sig", "AA-A".into())).unwrap_err();
    assert!(matches!(
        error,
        BundleError::Base64 {
            field: "dsseEnvelope.signatures[0].sig"
        }
    ));
}

#[test]
fn rejects_what_is_larger_than_any_bundle() {
    let large = " ".repeat(Bundle::SIZE_LIMIT + 1);
    assert!(matches!(
        Bundle::parse(large.as_bytes()),
        Err(BundleError::TooLarge { .. })
    ));
    assert!(matches!(
        Bundle::parse_lines(large.as_bytes()),
        Err(BundleError::TooLarge { .. })
    ));
}

#[test]
fn rejects_every_truncation() {
    for length in 0..P256.trim_end().len() {
        let error = Bundle::parse(&P256.as_bytes()[..length]).unwrap_err();
        assert!(
            matches!(error, BundleError::Json(JsonError::Syntax(_))),
            "{length}"
        );
    }
}

#[test]
fn rejects_payloads_that_are_no_statement() {
    assert!(matches!(
        payload("{}"),
        Err(BundleError::Statement(StatementError::Json(
            JsonError::Fields(_)
        )))
    ));
    assert!(matches!(
        payload("\u{feff}{}"),
        Err(BundleError::Statement(StatementError::Json(
            JsonError::Syntax(_)
        )))
    ));
    let deep = format!("{{\"a\":{}", "[".repeat(500_000));
    assert!(matches!(
        payload(&deep),
        Err(BundleError::Statement(StatementError::Json(
            JsonError::Syntax(_)
        )))
    ));
}

#[test]
fn rejects_malformed_signatures() {
    let (r, s) = (&[0x2a; 32][..], &[0x2b; 32][..]);
    let encoded = |r: &[u8], s: &[u8]| {
        let integer = |bytes: &[u8]| [&[2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
        let body = [integer(r), integer(s)].concat();
        [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
    };
    let positive_order = [&[0], &ORDER[..]].concat();
    let trailing = [encoded(r, s), vec![0]].concat();
    for der in [
        encoded(&[0], s),
        encoded(r, &[0]),
        encoded(&positive_order, s),
        encoded(r, &positive_order),
        encoded(&[&[0], r].concat(), s),
        trailing,
        Vec::new(),
        vec![0; 64],
    ] {
        assert!(
            signature(&der).verify_with_key(&public!("p256")).is_err(),
            "{der:02x?}"
        );
    }
}

/// (r, n − s) is as valid a signature as (r, s), so no two parties may be told apart by signature bytes.
#[test]
fn accepts_the_other_of_the_two_signatures() {
    let json: Value = serde_json::from_str(P256).unwrap();
    let sig = crate::encoding::from_base64(
        json["dsseEnvelope"]["signatures"][0]["sig"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let parsed = p256::ecdsa::Signature::from_der(&sig).unwrap();
    let (r, s) = parsed.split_scalars();
    let other = p256::ecdsa::Signature::from_scalars(r, -s).unwrap();
    assert_ne!(other, parsed);
    signature(other.to_der().as_bytes())
        .verify_with_key(&public!("p256"))
        .unwrap();
}

#[test]
fn reads_the_bundles_among_other_lines() {
    let lines = format!("\n{P256}{{\"other\": 1}}\r\nnot json\n   \n{ED25519}");
    let lines = Bundle::parse_lines(lines.as_bytes()).unwrap();
    let numbers: Vec<_> = lines.bundles.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [2, 6]);
    let ignored: Vec<_> = lines.ignored.iter().map(|(number, _)| *number).collect();
    assert_eq!(ignored, [3, 4]);
    lines.bundles[1]
        .1
        .verify_with_key(&public!("ed25519"))
        .unwrap();
}
