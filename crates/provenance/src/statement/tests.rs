//! Statements, good and bad.

use serde_json::{Value, json};

use super::{Statement, StatementError};

const SHA256: &str = "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a", "digest": {"sha256": SHA256}}],
        "predicateType": "p",
    })
}

fn parse(value: &Value) -> Result<Statement, StatementError> {
    Statement::parse(value.to_string().as_bytes())
}

fn digest() -> [u8; 32] {
    crate::encoding::from_hex(SHA256)
        .unwrap()
        .try_into()
        .unwrap()
}

#[test]
fn reads_the_smallest_statement() {
    let statement = parse(&statement()).unwrap();
    assert!(statement.predicate.is_empty());
    assert!(statement.names_sha256(&digest()));
    assert!(!statement.names_sha256(&[0; 32]));
}

#[test]
fn is_about_every_one_of_its_subjects() {
    let mut value = statement();
    value["subject"] = json!([{"digest": {"sha256": "00".repeat(32)}}, {"digest": {"sha256": SHA256, "gitCommit": "AB"}}]);
    let statement = parse(&value).unwrap();
    assert!(statement.names_sha256(&digest()));
    assert!(statement.names_sha256(&[0; 32]));
}

#[test]
fn ignores_fields_that_in_toto_may_add() {
    let mut value = statement();
    value["subject"][0]["annotations"] = json!({"a": 1});
    value["future"] = json!(1);
    parse(&value).unwrap();
}

#[test]
fn rejects_other_types() {
    for found in [
        "https://in-toto.io/Statement/v0.1",
        "https://in-toto.io/Statement/v1.1",
        "",
    ] {
        let mut value = statement();
        value["_type"] = found.into();
        assert!(
            matches!(parse(&value), Err(StatementError::Type { found: other }) if other == found)
        );
    }
}

#[test]
fn rejects_a_statement_about_nothing_or_that_says_nothing() {
    let (mut nothing, mut untyped) = (statement(), statement());
    nothing["subject"] = json!([]);
    assert!(matches!(parse(&nothing), Err(StatementError::NoSubject)));
    untyped["predicateType"] = "".into();
    assert!(matches!(
        parse(&untyped),
        Err(StatementError::NoPredicateType)
    ));
}

#[test]
fn rejects_digests_in_upper_case_or_of_another_length() {
    for (algorithm, text) in [
        ("sha256", SHA256.to_uppercase()),
        ("sha256", SHA256[..62].to_owned()),
        ("sha256", format!("{SHA256}00")),
        ("sha256", format!("sha256:{SHA256}")),
        ("sha256", String::new()),
        ("sha512", SHA256.to_owned()),
        ("sha384", SHA256.to_owned()),
    ] {
        let mut value = statement();
        value["subject"][0]["digest"] = json!({"sha256": SHA256});
        value["subject"][0]["digest"][algorithm] = text.clone().into();
        assert!(
            matches!(parse(&value), Err(StatementError::Digest { algorithm: found, .. }) if found == algorithm),
            "{text}"
        );
    }
    let mut value = statement();
    value["subject"][0]["digest"] = json!({});
    assert!(matches!(parse(&value), Err(StatementError::Digest { .. })));
}

#[test]
fn a_digest_of_another_algorithm_names_no_file() {
    let mut value = statement();
    value["subject"][0]["digest"] = json!({"sha512": "00".repeat(64), "blake3": SHA256});
    assert!(!parse(&value).unwrap().names_sha256(&digest()));
}
