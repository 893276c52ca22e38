//! Class 9: signatures that are none, or somebody else's.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tlora_provenance::{Bundle, PrivateKey, PublicKey, Statement, Subject, sign};

use super::{ADAPTER, Case, library, many, one, write};
use crate::seeded::Seeded;
use crate::support::Scratch;

const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const BUNDLE: &str = "adapter.tlora.sigstore.json";
const SIG: &str = "/dsseEnvelope/signatures/0/sig";
const PAYLOAD: &str = "/dsseEnvelope/payload";

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "signed" => one(|scratch| bundle(scratch, &good())),
        "unsigned" => one(policy),
        "every_bundle_flip" => library(every_flip),
        "bundle_flip" => many(84, |scratch, variant| {
            let leaf = if variant % 2 == 0 { SIG } else { PAYLOAD };
            let mut seeded = Seeded(0x2602_0411 + u64::try_from(variant).unwrap());
            bundle(scratch, &flipped(leaf, |end| seeded.below(end)));
            String::new()
        }),
        "bundle_of_another_adapter" => one(|scratch| bundle(scratch, &about(&[0; 32]))),
        "bundle_by_another_key" => {
            one(|scratch| bundle(scratch, &signed(&statement(&digest()), "other")))
        }
        "bundle_field" => {
            let fields = fields();
            many(fields.len(), move |scratch, variant| {
                let (pointer, value) = &fields[variant];
                let mut changed: Value = serde_json::from_str(&good()).unwrap();
                *changed.pointer_mut(pointer).unwrap() = value.clone();
                bundle(scratch, &changed.to_string());
                String::new()
            })
        }
        "repeated_bundle_key" => many(4, |scratch, variant| {
            let key = [
                "\"mediaType\"",
                "\"payload\"",
                "\"sig\"",
                "\"dsseEnvelope\"",
            ][variant];
            let text = good().replacen(key, &format!("{key}:null,{key}"), 1);
            bundle(scratch, &text);
            String::new()
        }),
        "statement_field" => {
            let statements = statements();
            many(statements.len(), move |scratch, variant| {
                bundle(scratch, &envelope(&statements[variant]));
                String::new()
            })
        }
        "bundle_of_10_mb" => one(|scratch| bundle(scratch, &" ".repeat(10_000_000))),
        "deep_bundle" => one(|scratch| bundle(scratch, &"[".repeat(200_000))),
        "no_bundle" => one(|scratch| bundle(scratch, "{}")),
        "junk_lines" => one(|scratch| {
            policy(scratch);
            let lines = format!("junk\n\u{1b}[2J\n{{}}\n[]\n{}\n\n::error::x\n", good());
            write(scratch, "adapter.tlora.sigstore.jsonl", lines.as_bytes());
        }),
        "only_junk_lines" => one(|scratch| {
            policy(scratch);
            write(scratch, "adapter.tlora.sigstore.jsonl", b"junk\n{}\n[]\n");
        }),
        "fifo_bundle" => one(|scratch| {
            policy(scratch);
            super::files::fifo(scratch, BUNDLE);
        }),
        "hostile_statement" => many(super::names::HOSTILE.len(), |scratch, variant| {
            let name = super::names::HOSTILE[variant];
            let mut predicate = Map::new();
            predicate.insert(name.to_owned(), json!({"text": name}));
            let subject = Subject::new(name, &[7; 32]);
            let statement = Statement::new(subject, format!("https://{name}"), predicate);
            bundle(scratch, &signed(&statement, "p256"));
            String::new()
        }),
        _ => None,
    }
}

/// One of the keys of the provenance crate's tests: committed, known to everybody, and good for nothing else.
fn key_file(name: &str) -> String {
    let path = format!(
        "{}/crates/provenance/tests/fixtures/keys/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    fs_err::read_to_string(path).unwrap()
}

/// A policy that wants a signature by the key `p256`.
pub(super) fn policy(scratch: &Scratch) {
    write(scratch, "p256.pub", key_file("p256.pub").as_bytes());
    write(scratch, "policy.toml", POLICY.as_bytes());
}

pub(super) const POLICY: &str = r#"version = 1
[require]
checks = ["format", "signature"]
threshold = 1
[[signer]]
name = "release"
type = "p256"
key = "p256.pub"
"#;

fn bundle(scratch: &Scratch, text: &str) {
    policy(scratch);
    write(scratch, BUNDLE, text.as_bytes());
}

pub(super) fn digest() -> [u8; 32] {
    Sha256::digest(&*ADAPTER).into()
}

fn statement(sha256: &[u8; 32]) -> Statement {
    Statement::new(Subject::new("adapter.tlora", sha256), PREDICATE, Map::new())
}

fn signed(statement: &Statement, key: &str) -> String {
    let key = PrivateKey::from_pem(&key_file(&format!("{key}.pem")), None).unwrap();
    sign(statement, &key)
}

fn about(sha256: &[u8; 32]) -> String {
    signed(&statement(sha256), "p256")
}

pub(super) fn good() -> String {
    about(&digest())
}

/// The good bundle with one bit of a text changed.
fn flipped(leaf: &str, mut choose: impl FnMut(usize) -> usize) -> String {
    let mut changed: Value = serde_json::from_str(&good()).unwrap();
    let leaf = changed.pointer_mut(leaf).unwrap();
    let mut bytes = leaf.as_str().unwrap().as_bytes().to_vec();
    let at = choose(bytes.len());
    bytes[at] ^= 1 << choose(7);
    *leaf = String::from_utf8(bytes).unwrap().into();
    changed.to_string()
}

fn every_flip() {
    let key = PublicKey::from_pem(&key_file("p256.pub")).unwrap();
    let holds = |text: &str| {
        Bundle::parse(text.as_bytes()).is_ok_and(|bundle| bundle.verify_with_key(&key).is_ok())
    };
    assert!(holds(&good()));
    let whole: Value = serde_json::from_str(&good()).unwrap();
    for leaf in [SIG, PAYLOAD] {
        for at in 0..whole.pointer(leaf).unwrap().as_str().unwrap().len() {
            for bit in 0..7 {
                let mut choices = [at, bit].into_iter();
                let changed = flipped(leaf, |_| choices.next().unwrap());
                assert!(!holds(&changed), "bit {bit} of character {at} of {leaf}");
            }
        }
    }
}

/// Fields of the bundle and what must not stand there.
fn fields() -> Vec<(&'static str, Value)> {
    let whole: Value = serde_json::from_str(&good()).unwrap();
    let signature = whole.pointer("/dsseEnvelope/signatures/0").unwrap().clone();
    let text = |pointer: &str| whole.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let (sig, payload) = (text(SIG), text(PAYLOAD));
    vec![
        (
            "/mediaType",
            "application/vnd.dev.sigstore.bundle+json;version=0.1".into(),
        ),
        ("/mediaType", "".into()),
        ("/mediaType", 3.into()),
        ("/dsseEnvelope/payloadType", "text/plain".into()),
        ("/dsseEnvelope/payload", "".into()),
        ("/dsseEnvelope/payload", Value::Null),
        ("/dsseEnvelope/payload", format!("{payload}=").into()),
        ("/dsseEnvelope/signatures", json!([])),
        ("/dsseEnvelope/signatures", json!([signature, signature])),
        ("/dsseEnvelope/signatures/0/sig", "".into()),
        (
            "/dsseEnvelope/signatures/0/sig",
            sig.trim_end_matches('=')
                .to_owned()
                .replacen('M', "-", 1)
                .into(),
        ),
        // SEQUENCE of two INTEGERs of 0, and one with a needless zero.
        ("/dsseEnvelope/signatures/0/sig", "MAYCAQACAQA=".into()),
        ("/dsseEnvelope/signatures/0/sig", "MAgCAgABAgIAAQ==".into()),
        ("/verificationMaterial", json!({})),
        ("/dsseEnvelope", Value::Null),
    ]
}

/// Statements that nobody may be believed, though the right key signed them.
fn statements() -> Vec<Value> {
    let whole: Value = serde_json::from_str(&statement(&digest()).to_json()).unwrap();
    let with = |pointer: &str, value: Value| {
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    let sha256 = whole
        .pointer("/subject/0/digest/sha256")
        .unwrap()
        .as_str()
        .unwrap();
    vec![
        with("/_type", "https://in-toto.io/Statement/v0.1".into()),
        with("/subject", json!([])),
        with("/subject/0/digest", json!({})),
        with("/subject/0/digest", json!({"sha1": &sha256[..40]})),
        with(
            "/subject/0/digest",
            json!({"sha256": sha256.to_uppercase()}),
        ),
        with("/subject/0/digest", json!({"sha256": &sha256[..32]})),
        with(
            "/subject/0/digest",
            json!({"sha256": format!("{sha256}00")}),
        ),
        with("/predicateType", "".into()),
        Value::Null,
        json!([whole]),
    ]
}

/// A bundle whose payload is any JSON, signed with the right key over its pre-authentication encoding.
fn envelope(payload: &Value) -> String {
    // The library signs statements only. A statement of the same length cannot be forged, so the payload is replaced and
    // the signature left: a reader that judged the content before the signature would say something else.
    let mut changed: Value = serde_json::from_str(&good()).unwrap();
    changed["dsseEnvelope"]["payload"] = base64(payload.to_string().as_bytes()).into();
    changed.to_string()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |group: &[u8]| {
        let bits = group
            .iter()
            .chain(&[0, 0])
            .take(3)
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let digit =
            |i: usize| char::from(ALPHABET[usize::try_from(bits >> (18 - 6 * i) & 63).unwrap()]);
        (0..4)
            .map(|i| if i <= group.len() { digit(i) } else { '=' })
            .collect::<String>()
    };
    bytes.chunks(3).map(encode).collect()
}
