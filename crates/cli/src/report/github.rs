//! Commands of GitHub's workflows: an annotation for everything that keeps a pull request from being merged.
//!
//! Where `GITHUB_STEP_SUMMARY` names a file the command also appends a table to it.

use tlora_provenance::Outcome;

use super::{NOT_PROVEN, Subject, in_one_line, made, summary, unsigned};
use crate::escape::Untrusted;

pub(super) fn render(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let file = property(&Untrusted(&subject.adapter).to_string());
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| text.push_str(&format!("{args}\n"));
    for finding in made(report) {
        let command = match finding.outcome {
            Outcome::Fail => "error",
            Outcome::Inconclusive => "warning",
            Outcome::Pass | Outcome::Skipped => continue,
        };
        let (id, message) = (finding.check.id(), data(&in_one_line(finding)));
        line(format_args!(
            "::{command} file={file},title={id}::{message}"
        ));
    }
    if let Some(unsigned) = unsigned(report) {
        line(format_args!("::notice file={file}::{unsigned}"));
    }
    line(format_args!("{NOT_PROVEN}"));
    line(format_args!("{}", summary(report)));
    text
}

/// The table for the step summary, in Markdown.
pub(crate) fn step_summary(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| text.push_str(&format!("{args}\n"));
    line(format_args!(
        "### tlora verify: {}\n",
        report.verdict().name()
    ));
    line(format_args!("Adapter {}\n", code(&subject.adapter)));
    line(format_args!("| outcome | check | |\n|---|---|---|"));
    for finding in made(report) {
        line(format_args!(
            "| {} | {} | {} |",
            finding.outcome,
            finding.check,
            code(&in_one_line(finding))
        ));
    }
    line(format_args!(""));
    if let Some(unsigned) = unsigned(report) {
        line(format_args!("{unsigned}\n"));
    }
    line(format_args!("{NOT_PROVEN}\n"));
    text
}

/// The text of a command, as GitHub wants it.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property of a command, as GitHub wants it.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Text that is neither Markdown nor HTML, and no end of a cell: everything but letters, digits and a few signs as a
/// character reference, in `<code>`.
fn code(text: &str) -> String {
    let mut code = String::from("<code>");
    for c in Untrusted(text).to_string().chars() {
        if c.is_alphanumeric() || " .,;/-()=+".contains(c) {
            code.push(c);
        } else {
            code.push_str(&format!("&#{};", u32::from(c)));
        }
    }
    code + "</code>"
}
