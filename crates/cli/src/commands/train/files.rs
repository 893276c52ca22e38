//! `provenance.json` and `result.json` of a run directory: what went in, and how the run ended.

use serde_json::{Value, json};
use tlora_checkpoint::{Checkpoint, digest_files};
use tlora_train::{RunConfig, RunDirectory};

use super::problems::Problems;
use crate::explain::{Subject, training};
use crate::failure::Failure;
use crate::terminal::warn;

const FILE: &str = "provenance.json";

/// The commit that this program was built from, if the build knew it.
const COMMIT: Option<&str> = option_env!("TLORA_COMMIT");

/// Writes what went in, if the directory does not have it yet.
pub(super) fn provenance(
    directory: &RunDirectory,
    checkpoint: &Checkpoint,
    config: &RunConfig,
    problems: &Problems,
) -> Result<(), Failure> {
    if directory.path().join(FILE).exists() {
        return Ok(());
    }
    let Some(commit) = COMMIT.filter(|commit| commit.len() == 40) else {
        warn(format_args!(
            "this program does not know the commit that it was built from, so that `tlora attest` will want {FILE} to be written by hand"
        ));
        return Ok(());
    };
    let subject = Subject {
        base: &config.model.base,
        adapters: &[],
    };
    let digested = digest_files(checkpoint, std::num::NonZero::<usize>::MIN, &|_| ())
        .map_err(|error| subject.checkpoint(error))?;
    let files: Vec<Value> = digested
        .files
        .iter()
        .map(|file| json!({ "name": file.name, "sha256": tlora_checkpoint::hexadecimal(&file.sha256) }))
        .collect();
    let datasets: Vec<Value> = problems
        .files
        .iter()
        .map(|(name, sha256)| json!({ "name": name, "sha256": sha256 }))
        .collect();
    let record = json!({
        "version": 1,
        "tool": { "name": "tlora", "version": env!("CARGO_PKG_VERSION") },
        "code": { "uri": env!("CARGO_PKG_REPOSITORY"), "commit": commit },
        "base": { "tmd1": digested.digested.digest.to_string(), "files": files },
        "datasets": datasets,
    });
    write(directory, &record)
}

/// Adds the step whose v the adapter has.
pub(super) fn adapter_step(directory: &RunDirectory, step: u64) -> Result<(), Failure> {
    let path = directory.path().join(FILE);
    let Ok(bytes) = fs_err::read(&path) else {
        return Ok(());
    };
    let mut record: Value = serde_json::from_slice(&bytes).map_err(|e| training(e.into()))?;
    record["adapter_step"] = step.into();
    write(directory, &record)
}

/// Writes how the run ended.
pub(super) fn result(directory: &RunDirectory, result: &Value) -> Result<(), Failure> {
    write_json(directory, "result.json", result)
}

fn write(directory: &RunDirectory, record: &Value) -> Result<(), Failure> {
    write_json(directory, FILE, record)
}

fn write_json(directory: &RunDirectory, name: &str, record: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(record).map_err(|e| training(e.into()))?;
    directory
        .file(name, format!("{text}\n").as_bytes())
        .map_err(training)
}
