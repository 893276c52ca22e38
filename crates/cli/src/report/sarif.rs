//! SARIF 2.1.0, for code scanning: one rule a check, one result a check that was made or should have been.

use serde_json::{Value, json};
use tlora_provenance::{Check, Finding, Outcome, Verdict};

use super::{NOT_PROVEN, Subject, in_one_line, made, unsigned};
use crate::escape;

const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn render(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let location = uri(&subject.adapter);
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "tlora",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "fullDescription": {"text": NOT_PROVEN},
                "rules": Check::ALL.map(rule),
            }},
            "invocations": [{
                "executionSuccessful": report.verdict() != Verdict::Inconclusive,
                "toolExecutionNotifications": unsigned(report).map(|text| json!({"level": "note", "message": {"text": text}})).into_iter().collect::<Vec<_>>(),
            }],
            "artifacts": [{"location": {"uri": location}, "length": report.bytes, "hashes": hashes(report.sha256.as_deref())}],
            "columnKind": "unicodeCodePoints",
            "results": made(report).map(|finding| result(finding, &location)).collect::<Vec<_>>(),
        }],
    });
    escape::json(&format!("{document:#}")) + "\n"
}

fn hashes(sha256: Option<&str>) -> Value {
    match sha256 {
        Some(sha256) => json!({ "sha-256": sha256 }),
        None => json!({}),
    }
}

fn rule(check: Check) -> Value {
    json!({
        "id": check.id(),
        "shortDescription": {"text": check.meaning()},
        "properties": {"group": check.group().name()},
    })
}

fn result(finding: &Finding, location: &str) -> Value {
    let (kind, level) = match finding.outcome {
        Outcome::Fail => ("fail", "error"),
        Outcome::Inconclusive => ("open", "none"),
        Outcome::Pass => ("pass", "none"),
        Outcome::Skipped => ("notApplicable", "none"),
    };
    json!({
        "ruleId": finding.check.id(),
        "ruleIndex": Check::ALL.iter().position(|check| *check == finding.check),
        "kind": kind,
        "level": level,
        "message": {"text": in_one_line(finding)},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": location}}}],
        // The same finding about the same file is the same alert.
        "partialFingerprints": {"check/v1": format!("{}:{location}", finding.check.id())},
    })
}

/// A path as a relative reference: everything but unreserved characters and `/` is percent-encoded, so that none is taken
/// for a scheme, a query or a command.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}
