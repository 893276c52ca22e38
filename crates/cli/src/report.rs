//! A report of `tlora verify` in the formats that people and CI systems read.

mod github;
mod json;
mod junit;
mod sarif;
mod text;

pub(crate) use github::step_summary;
use tlora_provenance::{Check, Finding, Outcome, Report};

use crate::arguments::ReportFormat;
use crate::escape::Untrusted;

/// A report, and the names under which its files were given.
pub(crate) struct Subject<'a> {
    pub(crate) report: &'a Report,
    pub(crate) adapter: String,
    pub(crate) policy: Option<String>,
}

/// What no check can tell.
const NOT_PROVEN: &str = "Not provable by any check: that the model behaves well, that no backdoor is in it, and that what \
    its signers say about data and training is true. A signature says who answers for it.";

/// The report as text, in one of the formats.
pub(crate) fn render(subject: &Subject<'_>, format: ReportFormat) -> String {
    match format {
        ReportFormat::Text => text::render(subject),
        ReportFormat::Json => json::render(subject),
        ReportFormat::Sarif => sarif::render(subject),
        ReportFormat::Junit => junit::render(subject),
        ReportFormat::Github => github::render(subject),
    }
}

/// The findings that say something: those that were made or should have been.
fn made(report: &Report) -> impl Iterator<Item = &Finding> {
    report
        .findings
        .iter()
        .filter(|finding| finding.outcome != Outcome::Skipped)
}

/// A finding in one line: its message and details.
fn in_one_line(finding: &Finding) -> String {
    let facts = finding
        .facts
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    let parts: Vec<String> = std::iter::once(finding.message.clone())
        .chain(facts)
        .collect();
    Untrusted(parts.join("; ")).to_string()
}

/// What is said about signatures where nobody asked for them.
fn unsigned(report: &Report) -> Option<&'static str> {
    let finding = report.finding(Check::Signature)?;
    (report.policy.is_none() && finding.outcome == Outcome::Skipped)
        .then_some("signature: not checked (no policy)")
}

/// The last line: the verdict and how many checks came out how.
fn summary(report: &Report) -> String {
    let counts = [
        Outcome::Pass,
        Outcome::Fail,
        Outcome::Inconclusive,
        Outcome::Skipped,
    ];
    let counts = counts.map(|outcome| format!("{} {}", report.count(outcome), word(outcome)));
    format!("{}: {}", report.verdict().name(), counts.join(", "))
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "passed",
        Outcome::Fail => "failed",
        Outcome::Inconclusive => "inconclusive",
        Outcome::Skipped => "skipped",
    }
}

#[cfg(test)]
mod tests;
