//! A run directory as it was read. `docs/run-directory.md` and `docs/train.md` define its files.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::lines::{each_line, parse, records};
use crate::records::StepLine;
use crate::{Evaluation, Metrics, ReportError, Samples, Timing};

/// What a run left. Only config.toml has to be there; a run that has just begun has little else.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Run {
    /// The name of the directory.
    pub name: String,
    /// The settings: `table.key` and the value as text, in the order of the file.
    pub settings: Vec<(String, String)>,
    /// What went in, if it was recorded.
    pub provenance: Provenance,
    /// How it ended; none while it goes on.
    pub ending: Option<Ending>,
    /// A line a step.
    pub metrics: Vec<Metrics>,
    /// Evaluations, in the order in which they were made.
    pub evaluations: Vec<Evaluation>,
    /// v after each step; step 0 is before training.
    pub trajectory: Vec<VStep>,
    /// Some of the completions.
    pub samples: Samples,
    /// Seconds of each step.
    pub timing: Vec<Timing>,
}

/// What is read of result.json.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Ending {
    /// `complete`, `patience` or `interrupted`.
    pub ending: String,
    /// The step whose v the adapter has.
    pub step: u64,
}

/// v after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct VStep {
    /// The step.
    pub step: u64,
    /// All trained numbers.
    pub v: Vec<f32>,
}

/// What is shown of provenance.json.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// The program that trained.
    pub tool: Tool,
    /// The base.
    pub base: Base,
    /// The step whose v the adapter has; none is the last.
    pub adapter_step: Option<u64>,
}

/// The program that trained.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The base.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct Base {
    /// Its hub id.
    pub id: Option<String>,
    /// Its digest.
    pub tmd1: String,
}

impl Run {
    /// Reads a run directory, which may be one that is still being written.
    ///
    /// # Errors
    /// config.toml is missing, or a file is malformed; a last line without its newline is not.
    pub fn read(directory: &Path) -> Result<Self, ReportError> {
        let file = |name: &str| directory.join(name);
        let name = fs_err::canonicalize(directory)?;
        Ok(Self {
            name: name
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            settings: settings(file("config.toml"))?,
            provenance: whole(file("provenance.json"))?.unwrap_or_default(),
            ending: whole(file("result.json"))?,
            metrics: records(&file("metrics.jsonl"), |line: &Metrics| line.step)?,
            evaluations: records(&file("evaluations.jsonl"), |line: &Evaluation| line.step)?,
            trajectory: trajectory(&file("steps.jsonl"))?,
            samples: Samples::read(&file("samples.jsonl"))?,
            timing: records(&file("timing.jsonl"), |line: &Timing| line.step)?,
        })
    }

    /// The value of a setting as text, such as `optimizer.lr`.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// How many numbers are trained; 0 if no step was recorded.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.trajectory.first().map_or(0, |step| step.v.len())
    }

    /// Seconds of all steps, evaluations not counted.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        let steps = self.timing.iter();
        steps.map(|t| t.rollout_seconds + t.update_seconds).sum()
    }

    /// The last step that was recorded.
    #[must_use]
    pub fn last_step(&self) -> u64 {
        let trained = self.trajectory.last().map_or(0, |step| step.step);
        trained.max(self.metrics.last().map_or(0, |line| line.step))
    }
}

fn settings(path: PathBuf) -> Result<Vec<(String, String)>, ReportError> {
    let text = fs_err::read_to_string(&path)?;
    let table: Table = toml::from_str(&text).map_err(|source| ReportError::Config {
        path,
        source: Box::new(source),
    })?;
    let mut found = Vec::new();
    flatten("", &table, &mut found);
    Ok(found)
}

fn flatten(prefix: &str, table: &Table, found: &mut Vec<(String, String)>) {
    for (key, value) in table {
        match value {
            Value::Table(table) => flatten(&format!("{prefix}{key}."), table, found),
            Value::String(text) => found.push((format!("{prefix}{key}"), text.clone())),
            value => found.push((format!("{prefix}{key}"), value.to_string())),
        }
    }
}

/// A file of one record; none if it is not there.
fn whole<T: DeserializeOwned>(path: PathBuf) -> Result<Option<T>, ReportError> {
    match fs_err::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| ReportError::Json {
                line: source.line(),
                path,
                source,
            }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn trajectory(path: &Path) -> Result<Vec<VStep>, ReportError> {
    let mut found: Vec<VStep> = Vec::new();
    each_line(path, |line, text| {
        let record: StepLine = parse(path, line, text)?;
        let expected = found.first().map_or(0, |step| step.v.len());
        let v = floats(&record.v).filter(|v| expected == 0 || v.len() == expected);
        let Some(v) = v else {
            return Err(ReportError::V {
                path: path.to_owned(),
                line,
                expected,
            });
        };
        let before = found.last().map_or(0, |step| step.step);
        if record.step < before {
            return Err(ReportError::StepOrder {
                path: path.to_owned(),
                line,
                before,
                found: record.step,
            });
        }
        found.push(VStep {
            step: record.step,
            v,
        });
        Ok(())
    })?;
    Ok(found)
}

/// Little-endian f32 in hexadecimal.
fn floats(text: &str) -> Option<Vec<f32>> {
    let digits: Option<Vec<u8>> = text.bytes().map(digit).collect();
    let digits = digits?;
    if !digits.len().is_multiple_of(8) {
        return None;
    }
    let number = |eight: &[u8]| {
        let mut bytes = [0; 4];
        for (byte, two) in bytes.iter_mut().zip(eight.chunks_exact(2)) {
            *byte = two.iter().fold(0, |high, low| high << 4 | low);
        }
        f32::from_le_bytes(bytes)
    };
    Some(digits.chunks_exact(8).map(number).collect())
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_is_little_endian() {
        assert_eq!(floats("0000803f000000c0"), Some(vec![1.0, -2.0]));
        assert_eq!(floats("0000803"), None);
        assert_eq!(floats("0000803g"), None);
    }
}
