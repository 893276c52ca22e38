//! What came out of a run.

use tlora_report::{Accuracy, Run, Status, Summary, SweepRow};
use tlora_train::evaluate::Share;

use super::planned::Planned;
use crate::commands::report::explained;
use crate::failure::Failure;

/// A run with its evaluations before and after training.
pub(super) struct Row {
    pub(super) name: String,
    /// What was varied, but for the seed.
    pub(super) settings: Vec<(String, String)>,
    pub(super) seed: u64,
    /// Trained numbers.
    pub(super) parameters: Option<usize>,
    pub(super) ending: String,
    pub(super) scores: Vec<Score>,
    /// As the page has it, if the run has begun.
    pub(super) entry: Option<SweepRow>,
}

/// A way of counting, before training and after.
pub(super) struct Score {
    /// Such as `greedy-strict`.
    pub(super) name: String,
    pub(super) before: Share,
    pub(super) after: Share,
    /// The step of `after`: the adapter's, if it was evaluated.
    pub(super) step: u64,
}

impl Row {
    /// Reads the run's directory; `failed` says why the run failed, if it did.
    pub(super) fn read(run: &Planned, failed: Option<&String>) -> Result<Self, Failure> {
        let settings = run.combination.settings.iter();
        let mut row = Self {
            name: run.combination.name(),
            settings: settings.filter(|(key, _)| key != "seed").cloned().collect(),
            seed: run.config.seed,
            parameters: None,
            ending: "not begun".to_owned(),
            scores: Vec::new(),
            entry: None,
        };
        if run.directory.exists() {
            let found = Run::read(&run.directory);
            row.fill(
                &found.map_err(|error| explained(&run.directory, error))?,
                failed,
            );
        }
        Ok(row)
    }

    fn fill(&mut self, run: &Run, failed: Option<&String>) {
        self.ending = match (&run.ending, failed) {
            (_, Some(_)) => "failed".to_owned(),
            (Some(ending), None) => ending.ending.clone(),
            (None, None) => "not finished".to_owned(),
        };
        self.parameters = Some(run.parameters()).filter(|_| self.is_finished());
        let scores = Summary::of(run).changes.into_iter();
        let share = |accuracy: Accuracy| {
            Share::new(
                accuracy.right,
                usize::try_from(accuracy.of).unwrap_or(usize::MAX),
            )
        };
        let scores = scores.filter_map(|change| {
            let before = share(change.before?);
            Some(Score {
                name: change.name,
                before,
                after: change.after.map_or(before, share),
                step: change.step,
            })
        });
        self.scores = scores.collect();
        let keys: Vec<&str> = self.settings.iter().map(|(key, _)| &**key).collect();
        let status = match failed {
            Some(reason) => Status::Failed(reason.clone()),
            None if self.is_finished() => Status::Complete,
            None => Status::Unfinished,
        };
        self.entry = Some(SweepRow::of_run(run, &keys, status));
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
