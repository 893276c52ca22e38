//! JUnit XML, for the test reports of a CI: one case a check.

use tlora_provenance::{Finding, Outcome};

use super::{NOT_PROVEN, Subject, in_one_line, unsigned};

pub(super) fn render(subject: &Subject<'_>) -> String {
    let report = subject.report;
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
        report.findings.len(),
        report.count(Outcome::Fail),
        report.count(Outcome::Inconclusive),
        report.count(Outcome::Skipped)
    );
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let mut line = |args: std::fmt::Arguments<'_>| xml.push_str(&format!("{args}\n"));
    let name = escaped(&crate::escape::Untrusted(&subject.adapter).to_string());
    line(format_args!("<testsuites name=\"tlora verify\" {counts}>"));
    line(format_args!("  <testsuite name=\"{name}\" {counts}>"));
    for finding in &report.findings {
        case(&mut line, finding);
    }
    let said = [unsigned(report), Some(NOT_PROVEN)];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    line(format_args!(
        "    <system-out>{}</system-out>",
        escaped(&said.join(" "))
    ));
    line(format_args!("  </testsuite>"));
    line(format_args!("</testsuites>"));
    xml
}

fn case(line: &mut dyn FnMut(std::fmt::Arguments<'_>), finding: &Finding) {
    let (id, name) = (finding.check.id(), escaped(finding.check.meaning()));
    let group = finding.check.group().name();
    let open = format!("    <testcase classname=\"tlora.{group}\" name=\"{id}: {name}\"");
    let message = escaped(&in_one_line(finding));
    match finding.outcome {
        Outcome::Pass => line(format_args!("{open}/>")),
        Outcome::Fail => line(format_args!(
            "{open}><failure type=\"{id}\" message=\"{message}\"/></testcase>"
        )),
        Outcome::Inconclusive => line(format_args!(
            "{open}><error type=\"inconclusive\" message=\"{message}\"/></testcase>"
        )),
        Outcome::Skipped => line(format_args!(
            "{open}><skipped message=\"{message}\"/></testcase>"
        )),
    }
}

/// Text for an attribute or an element. Characters that XML 1.0 does not have, however they are written, become U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{9}' | '\u{a}' | '\u{d}' => escaped.push_str(&format!("&#{};", u32::from(c))),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
