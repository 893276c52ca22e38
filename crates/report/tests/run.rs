//! Run directories, whole, cut off and broken, and their pages.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::Path;

use tempfile::TempDir;
use tlora_report::{ReportError, Run, Summary, page};

fn small() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/small"))
}

/// A directory with a configuration and one more file.
fn with(name: &str, text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs_err::write(directory.path().join("config.toml"), "seed = 1\n").unwrap();
    fs_err::write(directory.path().join(name), text).unwrap();
    directory
}

#[test]
fn a_run_is_read() {
    let run = Run::read(small()).unwrap();
    assert_eq!(
        (run.metrics.len(), run.trajectory.len(), run.parameters()),
        (40, 41, 6)
    );
    assert_eq!(run.setting("optimizer.lr"), Some("0.01"));
    assert_eq!(run.seconds(), 40.0 * 3.75);
    assert_eq!(run.samples.total, 320);
    assert!(run.samples.kept.len() <= 200);
    assert_eq!(run.samples.kept.first().unwrap().step, 1);
    assert_eq!(run.samples.kept.last().unwrap().step, 40);
    let summary = Summary::of(&run);
    let strict = summary.change("greedy-strict").unwrap();
    assert_eq!(strict.before.unwrap().right.round(), 20.0);
    assert_eq!(strict.after.unwrap().right.round(), 89.0);
    assert_eq!((summary.adapter_step, summary.best_step), (40, Some(40)));
}

/// `evaluation.keep_best`: the adapter is not that of the last step, and neither are the numbers after.
#[test]
fn after_is_the_step_of_the_adapter() {
    let result = "{\"version\": 1, \"ending\": \"complete\", \"step\": 20, \"v\": [0.5]}";
    let directory = with("result.json", result);
    let lines = [
        "{\"name\": \"greedy-strict\", \"step\": 0, \"score\": 0.2, \"items\": 10}",
        "{\"name\": \"greedy-strict\", \"step\": 20, \"score\": 0.9, \"items\": 10}",
        "{\"name\": \"greedy-strict\", \"step\": 40, \"score\": 0.7, \"items\": 10}",
    ];
    let log = directory.path().join("evaluations.jsonl");
    fs_err::write(log, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let run = Run::read(directory.path()).unwrap();
    let summary = Summary::of(&run);
    let strict = summary.change("greedy-strict").unwrap();
    assert_eq!((strict.step, strict.after.unwrap().right), (20, 9.0));
    assert_eq!(strict.before.unwrap().right, 2.0);
    assert_eq!(run.ending.unwrap().ending, "complete");
}

#[test]
fn a_run_that_has_just_begun_has_a_page() {
    let directory = with("metrics.jsonl", "{\"step\": 1, \"rew");
    let run = Run::read(directory.path()).unwrap();
    assert!(run.metrics.is_empty());
    assert!(page(&run).contains("No step is finished yet."));
}

#[test]
fn a_broken_line_is_named() {
    let directory = with(
        "metrics.jsonl",
        "{\"step\": 1}\n{\"step\": \n{\"step\": 3}\n",
    );
    let error = Run::read(directory.path()).unwrap_err();
    assert!(
        matches!(error, ReportError::Json { line: 2, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("metrics.jsonl, line 2"),
        "{error}"
    );
    let directory = with("metrics.jsonl", "{\"step\": 2}\n{\"step\": 1}\n");
    let error = Run::read(directory.path()).unwrap_err();
    assert!(
        matches!(
            error,
            ReportError::StepOrder {
                line: 2,
                before: 2,
                found: 1,
                ..
            }
        ),
        "{error}"
    );
    let steps = "{\"step\": 0, \"v\": \"00000000\"}\n{\"step\": 1, \"v\": \"0000000000000000\"}\n";
    let error = Run::read(with("steps.jsonl", steps).path()).unwrap_err();
    assert!(
        matches!(
            error,
            ReportError::V {
                line: 2,
                expected: 1,
                ..
            }
        ),
        "{error}"
    );
    let error = Run::read(with("samples.jsonl", &"x".repeat(2 << 20)).path()).unwrap_err();
    assert!(
        matches!(error, ReportError::LineTooLong { line: 1, .. }),
        "{error}"
    );
    let error = Run::read(with("config.toml", "a = [").path()).unwrap_err();
    assert!(matches!(error, ReportError::Config { .. }), "{error}");
}

#[test]
fn completions_stay_text() {
    let html = page(&Run::read(small()).unwrap());
    assert_eq!(html.matches("</script>").count(), 1);
    assert_eq!(html.matches("<script>").count(), 1);
    assert!(!html.contains("<img") && !html.contains("onerror=\"") && !html.contains('\u{202e}'));
    assert!(html.contains("&lt;/script&gt;&lt;img src=x onerror=&quot;"));
    assert!(!html.contains("NaN") && !html.contains("inf "));
}

#[test]
fn a_run_has_one_page() {
    assert_eq!(
        page(&Run::read(small()).unwrap()),
        page(&Run::read(small()).unwrap())
    );
}
