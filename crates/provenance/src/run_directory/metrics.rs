//! `metrics.jsonl`: whatever was measured on the way.

use std::path::Path;

use serde_json::{Map, Value};

use super::RunError;
use super::files::{FileDigest, Lines, exists};

const FILE: &str = "metrics.jsonl";

/// The file and its digest, if it is there.
pub(super) fn read(directory: &Path) -> Result<Option<FileDigest>, RunError> {
    if !exists(directory, FILE) {
        return Ok(None);
    }
    let mut lines = Lines::open(directory, FILE.to_owned())?;
    let mut before = 0;
    while let Some(line) = lines.next::<Map<String, Value>>()? {
        let found = line.value.get("step");
        match found.and_then(Value::as_u64) {
            Some(step) if step >= before => before = step,
            _ => {
                return Err(RunError::Field {
                    file: lines.place(),
                    field: "step",
                    found: found.map(Value::to_string).unwrap_or_default(),
                    wanted: "a number, and none below that of the line before",
                });
            }
        }
    }
    Ok(Some(lines.finish()))
}
