//! For people.

use tlora_provenance::Outcome;

use super::{NOT_PROVEN, Subject, made, summary, unsigned};
use crate::escape::Untrusted;

/// No line begins with text that others wrote.
pub(super) fn render(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| text.push_str(&format!("{args}\n"));
    line(format_args!(
        "adapter       {} ({} bytes)",
        Untrusted(&subject.adapter),
        report.bytes
    ));
    if let Some(sha256) = &report.sha256 {
        line(format_args!("sha256        {sha256}"));
    }
    if let (Some(path), Some(sha256)) = (&subject.policy, &report.policy) {
        line(format_args!(
            "policy        {} (sha256 {sha256})",
            Untrusted(path)
        ));
    }
    line(format_args!(""));
    for finding in made(report) {
        line(format_args!(
            "{:<12}  {:<9}  {}",
            finding.outcome.name(),
            finding.check.id(),
            Untrusted(&finding.message)
        ));
        let names = finding
            .facts
            .iter()
            .map(|(name, _)| Untrusted(name).to_string());
        let names: Vec<String> = names.collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, (_, value)) in names.iter().zip(&finding.facts) {
            line(format_args!(
                "{:<25}  {name:width$}  {}",
                "",
                Untrusted(value)
            ));
        }
    }
    let skipped = report
        .findings
        .iter()
        .filter(|finding| finding.outcome == Outcome::Skipped);
    let skipped: Vec<&str> = skipped.map(|finding| finding.check.id()).collect();
    if !skipped.is_empty() {
        line(format_args!("{:<12}  {}", "skipped", skipped.join(" ")));
    }
    line(format_args!(""));
    if let Some(unsigned) = unsigned(report) {
        line(format_args!("{unsigned}"));
    }
    line(format_args!("{NOT_PROVEN}"));
    line(format_args!("{}", summary(report)));
    text
}
