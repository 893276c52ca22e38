//! Runs of a sweep, and the groups that differ in nothing but their seed.

use serde::{Deserialize, Serialize};

use crate::{Accuracy, Run, Summary};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All its steps are done, or it ended by its own rules.
    Complete,
    /// It is not at its end, and can be resumed.
    Unfinished,
    /// It ended with an error, and why.
    Failed(String),
}

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// The name of its directory.
    pub name: String,
    /// The settings that the sweep varies but for the seed, each as `table.key` and its value.
    pub settings: Vec<(String, String)>,
    /// The seed.
    pub seed: u64,
    /// How many numbers are trained.
    pub parameters: u64,
    /// Greedy answers of the base by the strict verifier.
    pub before_strict: Option<Accuracy>,
    /// The same by the lenient one.
    pub before_lenient: Option<Accuracy>,
    /// Greedy answers with the adapter by the strict verifier.
    pub after_strict: Option<Accuracy>,
    /// The same by the lenient one.
    pub after_lenient: Option<Accuracy>,
    /// The strict mean over sampled answers with the adapter.
    pub after_sampled: Option<f64>,
    /// The step of the best evaluation.
    pub best_step: Option<u64>,
    /// Seconds of the steps.
    pub seconds: Option<f64>,
    /// How it ended.
    pub status: Status,
}

impl SweepRow {
    /// The row of a run; the keys of `varied` are its settings.
    #[must_use]
    pub fn of_run(run: &Run, varied: &[&str], status: Status) -> Self {
        let summary = Summary::of(run);
        let change = |name: &str| summary.change(name);
        let before = |name: &str| change(name).and_then(|change| change.before);
        let after = |name: &str| change(name).and_then(|change| change.after);
        let setting = |key: &&str| Some(((*key).to_owned(), run.setting(key)?.to_owned()));
        Self {
            name: run.name.clone(),
            settings: varied.iter().filter_map(setting).collect(),
            seed: run
                .setting("seed")
                .and_then(|seed| seed.parse().ok())
                .unwrap_or(0),
            parameters: run.parameters() as u64,
            before_strict: before("greedy-strict"),
            before_lenient: before("greedy-lenient"),
            after_strict: after("greedy-strict"),
            after_lenient: after("greedy-lenient"),
            after_sampled: after("sampled-strict").map(Accuracy::share),
            best_step: summary.best_step,
            seconds: (!run.timing.is_empty()).then(|| run.seconds()),
            status,
        }
    }

    /// How much the strict greedy accuracy rose.
    #[must_use]
    pub fn gain(&self) -> Option<f64> {
        Some(self.after_strict?.share() - self.before_strict?.share())
    }
}

/// Rows that differ in nothing but the seed, in the order in which the first of them came.
pub(crate) fn groups(rows: &[SweepRow]) -> Vec<Vec<&SweepRow>> {
    let mut groups: Vec<Vec<&SweepRow>> = Vec::new();
    for row in rows {
        let same = |first: &&SweepRow| {
            first.settings == row.settings && first.parameters == row.parameters
        };
        match groups
            .iter_mut()
            .find(|group| group.first().is_some_and(same))
        {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

/// Mean and sample deviation; one number has no deviation.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a handful of seeds")]
pub fn mean(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
    (!values.is_empty()).then_some((mean, deviation))
}
