//! What came out of a run.

use std::path::Path;

use serde::Deserialize;
use tlora_train::evaluate::Share;

use super::planned::{Planned, Stage, result};
use crate::failure::Failure;

/// A run with its first and its last evaluation.
pub(super) struct Row {
    pub(super) name: String,
    /// What was varied, but for the seed.
    pub(super) settings: Vec<(String, String)>,
    pub(super) seed: u64,
    /// Trained numbers.
    pub(super) parameters: Option<usize>,
    pub(super) ending: String,
    pub(super) scores: Vec<Score>,
}

/// A way of counting, before training and after.
pub(super) struct Score {
    /// Such as `greedy-strict`.
    pub(super) name: String,
    pub(super) before: Share,
    pub(super) after: Share,
    /// The step of the last evaluation.
    pub(super) step: u64,
}

/// A line of evaluations.jsonl.
#[derive(Deserialize)]
struct Line {
    name: String,
    step: u64,
    score: f64,
    items: usize,
}

impl Row {
    pub(super) fn read(run: &Planned) -> Result<Self, Failure> {
        let settings = run.combination.settings.iter();
        let result = result(&run.directory);
        let text = |key: &str| result.as_ref().and_then(|result| result[key].as_str());
        Ok(Self {
            name: run.combination.name(),
            settings: settings.filter(|(key, _)| key != "seed").cloned().collect(),
            seed: run.config.seed,
            parameters: result
                .as_ref()
                .and_then(|result| result["v"].as_array().map(Vec::len)),
            ending: match (text("ending"), run.stage) {
                (Some(ending), _) => ending.to_owned(),
                (None, Stage::New) if !run.directory.exists() => "not begun".to_owned(),
                (None, _) => "not finished".to_owned(),
            },
            scores: match run.directory.exists() {
                true => scores(&run.directory)?,
                false => Vec::new(),
            },
        })
    }

    /// Whether it ended, by itself.
    pub(super) fn is_finished(&self) -> bool {
        matches!(&*self.ending, "complete" | "patience")
    }

    /// The score of a name, if there is one.
    pub(super) fn score(&self, name: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.name == name)
    }
}

/// The first and the last evaluation of each way of counting, in the order of the log.
fn scores(directory: &Path) -> Result<Vec<Score>, Failure> {
    let path = directory.join("evaluations.jsonl");
    let unread = |error| Failure::unknown("evaluations cannot be read").caused_by(error);
    let text = fs_err::read_to_string(&path).map_err(unread)?;
    let mut scores: Vec<Score> = Vec::new();
    for line in text.lines() {
        // The last line of a run that was killed may be cut off.
        let Ok(line) = serde_json::from_str::<Line>(line) else {
            continue;
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of problems")]
        let share = Share::new(line.score * line.items as f64, line.items);
        match scores.iter_mut().find(|score| score.name == line.name) {
            Some(score) => (score.after, score.step) = (share, line.step),
            None => scores.push(Score {
                name: line.name,
                before: share,
                after: share,
                step: line.step,
            }),
        }
    }
    Ok(scores)
}
