//! For programs. docs/json.md describes it.

use serde::Serialize;
use tlora_provenance::Finding;

use super::{NOT_PROVEN, Subject};
use crate::escape;

/// The version of the JSON's form; see docs/json.md.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    tool: &'static str,
    verdict: &'static str,
    adapter: AdapterPart<'a>,
    policy: Option<PolicyPart<'a>>,
    signers: &'a [String],
    checks: Vec<CheckPart<'a>>,
    not_proven: &'static str,
}

#[derive(Serialize)]
struct AdapterPart<'a> {
    path: &'a str,
    sha256: Option<&'a str>,
    bytes: usize,
}

#[derive(Serialize)]
struct PolicyPart<'a> {
    path: &'a str,
    sha256: &'a str,
}

#[derive(Serialize)]
struct CheckPart<'a> {
    id: &'static str,
    group: &'static str,
    outcome: &'static str,
    required: bool,
    message: &'a str,
    facts: Vec<FactPart<'a>>,
}

#[derive(Serialize)]
struct FactPart<'a> {
    name: &'a str,
    value: &'a str,
}

/// Names and messages are as they are: JSON has its own escapes, also for what a terminal would obey.
pub(super) fn render(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let policy = subject.policy.as_deref().zip(report.policy.as_deref());
    let document = Document {
        version: VERSION,
        tool: concat!("tlora ", env!("CARGO_PKG_VERSION")),
        verdict: report.verdict().name(),
        adapter: AdapterPart {
            path: &subject.adapter,
            sha256: report.sha256.as_deref(),
            bytes: report.bytes,
        },
        policy: policy.map(|(path, sha256)| PolicyPart { path, sha256 }),
        signers: &report.signers,
        checks: report.findings.iter().map(check).collect(),
        not_proven: NOT_PROVEN,
    };
    // All keys are strings and all numbers are whole.
    escape::json(&serde_json::to_string_pretty(&document).unwrap_or_default()) + "\n"
}

fn check(finding: &Finding) -> CheckPart<'_> {
    CheckPart {
        id: finding.check.id(),
        group: finding.check.group().name(),
        outcome: finding.outcome.name(),
        required: finding.required,
        message: &finding.message,
        facts: finding
            .facts
            .iter()
            .map(|(name, value)| FactPart { name, value })
            .collect(),
    }
}
