//! Every format with names that want to be taken for something else.

use tlora_provenance::{Evidence, Finding, Report, verify};

use super::*;

/// Names of files, tensors and signers can have all of this.
const HOSTILE: &str =
    "\x1b[2J\u{9b}31m\u{202e}\u{200b}\n::error::forged\n##[error]x ]]> <b>&\"'|`*\u{fffe} %0A";

fn report() -> Report {
    let adapter = tlora_format::Adapter::parse(b"no adapter");
    let elsewhere = vec![
        Finding::fail(Check::Equal, format!("the first is {HOSTILE}")).fact(HOSTILE, HOSTILE),
        Finding::inconclusive(Check::Files, HOSTILE),
    ];
    verify(Evidence {
        bytes: b"no adapter",
        whole: true,
        adapter: &adapter,
        policy: None,
        bundles: &[],
        lock: None,
        today: None,
        #[cfg(feature = "keyless")]
        root: &tlora_provenance::TrustedRoot::public_good().unwrap(),
        elsewhere,
    })
}

const FORMATS: [ReportFormat; 5] = [
    ReportFormat::Text,
    ReportFormat::Json,
    ReportFormat::Sarif,
    ReportFormat::Junit,
    ReportFormat::Github,
];

fn rendered(format: ReportFormat) -> String {
    let report = report();
    render(
        &Subject {
            report: &report,
            adapter: HOSTILE.to_owned(),
            policy: None,
        },
        format,
    )
}

#[test]
fn no_format_has_a_character_that_a_terminal_obeys_or_that_hides_text() {
    let obeyed = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{200b}' | '\u{fffe}')
    };
    for format in FORMATS {
        // U+FFFE is forbidden in XML only.
        let text = rendered(format);
        let found: Vec<char> = text
            .chars()
            .filter(|&c| obeyed(c) && (c != '\u{fffe}' || format == ReportFormat::Junit))
            .collect();
        assert!(found.is_empty(), "{format:?}: {found:?}");
    }
}

#[test]
fn no_line_is_a_command_that_others_wrote() {
    for format in FORMATS {
        let text = rendered(format);
        for line in text.lines().map(str::trim_start) {
            let is_own = format == ReportFormat::Github
                && ["::error file=", "::warning file=", "::notice file="]
                    .iter()
                    .any(|own| line.starts_with(own));
            assert!(is_own || !line.starts_with("::"), "{format:?}: {line}");
            assert!(!line.contains("##["), "{format:?}: {line}");
        }
    }
}

#[test]
fn the_formats_for_programs_can_be_read() {
    let json: serde_json::Value = serde_json::from_str(&rendered(ReportFormat::Json)).unwrap();
    assert_eq!(
        (&json["version"], &json["verdict"]),
        (&1.into(), &"fail".into())
    );
    assert_eq!(json["adapter"]["path"], HOSTILE);
    assert_eq!(json["checks"].as_array().unwrap().len(), Check::ALL.len());
    let sarif: serde_json::Value = serde_json::from_str(&rendered(ReportFormat::Sarif)).unwrap();
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .unwrap();
    assert_eq!(rules.len(), Check::ALL.len());
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn the_step_summary_has_no_markup_that_others_wrote() {
    let report = report();
    let summary = step_summary(&Subject {
        report: &report,
        adapter: HOSTILE.to_owned(),
        policy: None,
    });
    for forbidden in ["<b>", "`", "*", "]]>"] {
        assert!(!summary.contains(forbidden), "{forbidden} in {summary}");
    }
    assert_eq!(
        summary.lines().filter(|line| line.starts_with('|')).count(),
        5
    );
}

#[test]
fn no_format_says_that_anything_is_safe_and_all_say_what_cannot_be_proven() {
    for format in FORMATS {
        let text = rendered(format);
        assert!(!text.to_lowercase().contains("safe"), "{format:?}");
        assert!(text.contains("Not provable by any check"), "{format:?}");
    }
}

#[test]
fn without_a_policy_it_is_said_that_no_signature_was_checked() {
    for format in FORMATS {
        let said = match format {
            ReportFormat::Json => "not checked (no policy)",
            _ => "signature: not checked (no policy)",
        };
        assert!(rendered(format).contains(said), "{format:?}");
    }
}
