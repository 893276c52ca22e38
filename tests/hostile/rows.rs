//! The rows as tests.

use std::path::Path;

use libtest_mimic::{Failed, Trial};

use crate::cases::names::{HOSTILE, PLACEHOLDER};
use crate::cases::{self, Case};
use crate::harmless;
use crate::limits::{self, Run};
use crate::support::Scratch;
use crate::table::{self, Row};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// One test for each row, and one for the table.
pub(crate) fn trials() -> Vec<Trial> {
    let readme = fs_err::read_to_string(format!("{ROOT}/tests/hostile/README.md")).unwrap();
    let rows = table::rows(&readme);
    let classes: Vec<String> = rows.iter().map(|row| row.class.clone()).collect();
    let complete = Trial::test("the_table_has_all_twelve_classes", move || {
        let missing = (1..=12).find(|class| !classes.contains(&class.to_string()));
        missing.map_or(Ok(()), |class| fail(&format!("no row of class {class}")))
    });
    let rows = rows.into_iter().map(|row| {
        let name = format!("{}::{}::{}", row.class, row.case, row.command);
        Trial::test(name, move || test(&row))
    });
    rows.chain([complete]).collect()
}

fn fail(message: &str) -> Result<(), Failed> {
    Err(message.into())
}

fn test(row: &Row) -> Result<(), Failed> {
    if let Some((file, test)) = row.command.split_once("::") {
        return exists(file, test);
    }
    let Some(case) = cases::find(&row.case) else {
        return fail("no generator has this name");
    };
    if row.command == "library" {
        (case.make)(&Scratch::new(), 0);
        return Ok(());
    }
    for variant in 0..case.variants {
        test_variant(row, &case, variant)
            .map_err(|fault| format!("variant {variant} of {}: {fault}", case.variants))?;
    }
    Ok(())
}

/// Whether a test of that name is in a file of this directory's parent, where `cargo test` runs it.
fn exists(file: &str, test: &str) -> Result<(), Failed> {
    let path = Path::new(ROOT).join(file);
    let text = fs_err::read_to_string(path)?;
    if text.contains(&format!("fn {test}()")) {
        Ok(())
    } else {
        fail(&format!("{file} has no test {test}"))
    }
}

fn test_variant(row: &Row, case: &Case, variant: usize) -> Result<(), String> {
    let scratch = cases::prepared();
    let finding = (case.make)(&scratch, variant);
    let before = scratch.names();
    let named = format!("{}.tlora", HOSTILE[variant % HOSTILE.len()]);
    let words = row.command.split_whitespace();
    let words = words.map(|word| {
        if word == PLACEHOLDER {
            named.as_str()
        } else {
            word
        }
    });
    let arguments: Vec<&str> = words.collect();
    let run = limits::run(&scratch, &arguments);
    let code = code(&run)?;
    if !row.exits.contains(&code) {
        return Err(format!(
            "exit code {code}, wanted {:?}: {}",
            row.exits, run.output
        ));
    }
    let texts = row.findings.iter().chain([&finding]);
    if let Some(text) = texts.into_iter().find(|text| !run.output.contains(*text)) {
        return Err(format!("no {text:?} in: {}", run.output));
    }
    let github = arguments.contains(&"github");
    let files = arguments.iter().filter(|name| name.starts_with("report."));
    let written = files.filter_map(|name| fs_err::read_to_string(scratch.path(name)).ok());
    let record = fs_err::read_to_string(scratch.path("out/tlora-merge.json")).ok();
    let outputs = [run.output.clone()]
        .into_iter()
        .chain(written)
        .chain(record);
    if let Some(fault) = outputs
        .filter_map(|output| harmless::fault(&output, github))
        .next()
    {
        return Err(format!("the output has {fault}"));
    }
    left(&scratch, before, code)
}

/// The exit code of a run that ended by itself and did not panic.
fn code(run: &Run) -> Result<i32, String> {
    let status = run.status.ok_or("it had to be killed")?;
    if run.output.contains("panicked at") {
        return Err(format!("it panicked: {}", run.output));
    }
    status
        .code()
        .ok_or_else(|| format!("{status}: {}", run.output))
}

/// Nothing new is left where a run failed.
fn left(scratch: &Scratch, before: Vec<String>, code: i32) -> Result<(), String> {
    let is_new =
        |name: &String| name != "cache" && !name.starts_with("report.") && !before.contains(name);
    let left: Vec<String> = scratch.names().into_iter().filter(is_new).collect();
    if code == 0 || left.is_empty() {
        Ok(())
    } else {
        Err(format!("it left {left:?}"))
    }
}
