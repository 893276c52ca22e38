//! `evaluations.jsonl`: results, each with the records of its items where they were kept.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::files::{FileDigest, Lines, exists};
use super::{Facts, RunError};
use crate::encoding::from_hex;

/// One result.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evaluation {
    pub(crate) name: String,
    /// The step whose v was evaluated.
    pub(crate) step: u64,
    /// The mean over all items, 0 to 1.
    pub(crate) score: f64,
    /// How many items there are.
    pub(crate) items: u64,
    /// The dataset's name in `provenance.json`.
    pub(crate) dataset: Option<String>,
    /// The file of the items' records, in `evaluations/`.
    pub(crate) records: Option<String>,
    #[serde(skip)]
    pub(crate) records_sha256: Option<[u8; 32]>,
}

/// What became of one item.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    item: String,
    /// The SHA-256 of what the model said.
    output: String,
    /// 0 to 1.
    score: f64,
}

const FILE: &str = "evaluations.jsonl";
/// Means of the same numbers may be summed in another order.
const TOLERANCE: f64 = 1e-9;

/// The results, if there are any, and the digests of the files they stand in.
pub(super) fn read(
    directory: &Path,
    facts: &Facts,
) -> Result<(Vec<Evaluation>, Vec<FileDigest>), RunError> {
    let (mut evaluations, mut digests, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
    if !exists(directory, FILE) {
        return Ok((evaluations, digests));
    }
    let mut lines = Lines::open(directory, FILE.to_owned())?;
    while let Some(line) = lines.next::<Evaluation>()? {
        let mut evaluation = line.value;
        check(&evaluation, facts, &lines.place())?;
        if !seen.insert((evaluation.name.clone(), evaluation.step)) {
            let name = format!("{} at step {}", evaluation.name, evaluation.step);
            return Err(RunError::Twice {
                file: FILE.to_owned(),
                what: "the evaluation",
                name,
            });
        }
        if let Some(file) = evaluation.records.clone() {
            let digest = check_records(directory, &file, &evaluation)?;
            evaluation.records_sha256 = Some(digest.1);
            digests.push(digest);
        }
        evaluations.push(evaluation);
    }
    digests.insert(0, lines.finish());
    Ok((evaluations, digests))
}

fn check(evaluation: &Evaluation, facts: &Facts, place: &str) -> Result<(), RunError> {
    if !is_name(&evaluation.name) {
        return Err(wrong(
            place,
            "name",
            &evaluation.name,
            "letters, digits, `_`, `-` and dots between them",
        ));
    }
    if !(0.0..=1.0).contains(&evaluation.score) {
        return Err(wrong(
            place,
            "score",
            &evaluation.score.to_string(),
            "a number from 0 to 1",
        ));
    }
    if let Some(name) = &evaluation.dataset
        && facts.datasets.iter().all(|set| set.name != *name)
    {
        return Err(wrong(
            place,
            "dataset",
            name,
            "the name of a dataset in provenance.json",
        ));
    }
    match &evaluation.records {
        Some(file) if !is_name(file) => Err(wrong(
            place,
            "records",
            file,
            "the name of a file in evaluations/",
        )),
        _ => Ok(()),
    }
}

/// Checks that the summary is that of the records.
fn check_records(
    directory: &Path,
    file: &str,
    evaluation: &Evaluation,
) -> Result<FileDigest, RunError> {
    let mut lines = Lines::open(directory, format!("evaluations/{file}"))?;
    let (mut items, mut sum) = (BTreeSet::new(), 0.0);
    while let Some(line) = lines.next::<Record>()? {
        let Record {
            item,
            output,
            score,
        } = line.value;
        if from_hex(&output).is_none_or(|bytes| bytes.len() != 32) {
            return Err(wrong(
                &lines.place(),
                "output",
                &output,
                "64 lower-case hexadecimal digits",
            ));
        }
        if !(0.0..=1.0).contains(&score) {
            return Err(wrong(
                &lines.place(),
                "score",
                &score.to_string(),
                "a number from 0 to 1",
            ));
        }
        sum += score;
        if let Some(name) = items.replace(item) {
            return Err(RunError::Twice {
                file: file.to_owned(),
                what: "the item",
                name,
            });
        }
    }
    let found = items.len() as u64;
    let mean = sum / (found.max(1) as f64);
    if found != evaluation.items || (mean - evaluation.score).abs() > TOLERANCE {
        return Err(RunError::Score {
            name: evaluation.name.clone(),
            claimed: format!("{} over {} items", evaluation.score, evaluation.items),
            found: format!("{mean} over {found} items"),
        });
    }
    Ok(lines.finish())
}

/// Parts of letters, digits, `_` and `-`, with dots between: a part of a claim's name, and no path.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    name.split('.').all(is_part)
}

fn wrong(place: &str, field: &'static str, found: &str, wanted: &'static str) -> RunError {
    RunError::Field {
        file: place.to_owned(),
        field,
        found: found.to_owned(),
        wanted,
    }
}
