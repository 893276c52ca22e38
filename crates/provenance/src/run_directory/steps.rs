//! `steps.jsonl`: the whole path of v through a training, each line with the digest of the one before.

use std::path::Path;

use serde::Deserialize;

use super::RunError;
use super::files::{Line, Lines};
use crate::encoding::{from_hex, to_hex};

/// What remains of a step log that was read.
#[derive(Debug)]
pub(crate) struct StepLog {
    /// The number of the last step; the first one, 0, is before training.
    pub(crate) last: u64,
    /// The digest of the last line, which all lines before are chained to.
    pub(crate) head: [u8; 32],
    /// The step that the adapter is of.
    pub(crate) step: u64,
    /// v after that step.
    pub(crate) v: Vec<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    step: u64,
    previous: String,
    /// v as little-endian f32, in hexadecimal.
    v: String,
    #[serde(default)]
    batch: Vec<String>,
    #[serde(default)]
    rollouts: Vec<String>,
    #[serde(default)]
    rewards: Vec<f64>,
}

impl StepLog {
    /// Reads the log up to its end and keeps v of `step`, or of the last one; beside it the digest of the file. The first
    /// line continues `config.toml`.
    pub(super) fn read(
        directory: &Path,
        config: [u8; 32],
        step: Option<u64>,
    ) -> Result<(Self, [u8; 32]), RunError> {
        let mut lines = Lines::open(directory, FILE.to_owned())?;
        let (mut head, mut steps, mut kept) = (config, 0, Vec::new());
        let mut length = None;
        while let Some(Line {
            number,
            value,
            sha256,
        }) = lines.next::<Step>()?
        {
            check(&value, number, &head, &lines.place())?;
            let v = decode(&value.v, &lines.place())?;
            if *length.get_or_insert(v.len()) != v.len() {
                return Err(wrong(
                    &lines.place(),
                    "v",
                    &value.v,
                    "as many numbers as in the first line",
                ));
            }
            if step.is_none_or(|step| step == value.step) {
                kept = v;
            }
            (head, steps) = (sha256, number);
        }
        let last = steps
            .checked_sub(1)
            .ok_or(RunError::NoStep { step: 0, steps })?;
        let step = step.unwrap_or(last);
        if step > last {
            return Err(RunError::NoStep { step, steps });
        }
        Ok((
            Self {
                last,
                head,
                step,
                v: kept,
            },
            lines.finish().1,
        ))
    }
}

fn check(step: &Step, number: u64, head: &[u8; 32], place: &str) -> Result<(), RunError> {
    if step.step != number - 1 {
        return Err(wrong(
            place,
            "step",
            &step.step.to_string(),
            "the number after that of the line before, from 0",
        ));
    }
    if from_hex(&step.previous).as_deref() != Some(head) {
        return Err(RunError::Chain {
            line: number,
            expected: to_hex(head),
            found: step.previous.clone(),
        });
    }
    let trained = [
        step.batch.is_empty(),
        step.rollouts.is_empty(),
        step.rewards.is_empty(),
    ];
    if trained.contains(&(step.step != 0)) || step.rollouts.len() != step.rewards.len() {
        return Err(wrong(
            place,
            "batch",
            "",
            "batch, rollouts and as many rewards, and none of them before training",
        ));
    }
    for rollout in &step.rollouts {
        if from_hex(rollout).is_none_or(|bytes| bytes.len() != 32) {
            return Err(wrong(
                place,
                "rollouts",
                rollout,
                "the SHA-256 of each rollout, 64 lower-case hexadecimal digits",
            ));
        }
    }
    Ok(())
}

fn decode(text: &str, place: &str) -> Result<Vec<f64>, RunError> {
    let bytes = from_hex(text).unwrap_or_default();
    let (values, rest) = bytes.as_chunks::<4>();
    let values: Vec<f64> = values
        .iter()
        .map(|&bytes| f64::from(f32::from_le_bytes(bytes)))
        .collect();
    if values.is_empty() || !rest.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return Err(wrong(
            place,
            "v",
            text,
            "finite little-endian f32 values in lower-case hexadecimal",
        ));
    }
    Ok(values)
}

fn wrong(place: &str, field: &'static str, found: &str, wanted: &'static str) -> RunError {
    RunError::Field {
        file: place.to_owned(),
        field,
        found: found.to_owned(),
        wanted,
    }
}

const FILE: &str = "steps.jsonl";
