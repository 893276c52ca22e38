//! JSONL: an object a line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Line, Lines, hexadecimal};
use crate::TrainError;

/// Longer lines are no problems.
const MAX_LINE: usize = 1 << 20;

#[derive(Deserialize)]
struct Object {
    id: Option<serde_json::Value>,
    question: String,
    answer: String,
    #[serde(flatten)]
    other: BTreeMap<String, serde_json::Value>,
}

pub(super) fn read(path: &Path, limit: usize) -> Result<Lines, TrainError> {
    let mut file = BufReader::new(fs_err::File::open(path)?);
    let (mut lines, mut hash) = (Vec::new(), Sha256::new());
    for number in 1.. {
        let fault = |reason: String| TrainError::Data {
            file: path.to_owned(),
            line: number,
            reason,
        };
        let mut line = Vec::new();
        file.by_ref()
            .take(MAX_LINE as u64 + 1)
            .read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        if line.len() > MAX_LINE {
            return Err(fault(format!("longer than {MAX_LINE} bytes")));
        }
        hash.update(&line);
        if line.iter().all(u8::is_ascii_whitespace) || (limit > 0 && lines.len() >= limit) {
            continue;
        }
        let object: Object = serde_json::from_slice(&line)
            .map_err(|error| fault(format!("not an object with question and answer: {error}")))?;
        let line = Line {
            id: object.id.as_ref().map(name),
            question: object.question,
            answer: object.answer,
            other: object.other.into_keys().collect(),
        };
        lines.push((number, line));
    }
    Ok(Lines {
        lines,
        sha256: hexadecimal(&hash.finalize()),
    })
}

fn name(id: &serde_json::Value) -> String {
    match id {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
