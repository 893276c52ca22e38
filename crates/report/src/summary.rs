//! The main numbers of a run: before, after, best.

use crate::{Accuracy, Run};

/// One way of counting, before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The evaluation, such as `greedy-strict`.
    pub name: String,
    /// At step 0.
    pub before: Option<Accuracy>,
    /// At `step`.
    pub after: Option<Accuracy>,
    /// The adapter's step, or the last that was evaluated if that was not.
    pub step: u64,
}

/// The main numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The step whose v the adapter has.
    pub adapter_step: u64,
    /// Each way of counting, in the order of the first evaluation.
    pub changes: Vec<Change>,
    /// The step of the best evaluation (greedy, strict; the first of equals).
    pub best_step: Option<u64>,
}

impl Summary {
    /// The numbers of a run.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let evaluated = run.evaluations.last().map_or(0, |last| last.step);
        let recorded = run.ending.as_ref().map(|ending| ending.step);
        let adapter_step = recorded
            .or(run.provenance.adapter_step)
            .unwrap_or(run.last_step());
        let mut names: Vec<&str> = Vec::new();
        for evaluation in &run.evaluations {
            if !names.contains(&evaluation.name.as_str()) {
                names.push(&evaluation.name);
            }
        }
        let at = |name: &str, step: u64| {
            let mut all = run.evaluations.iter();
            let found = all.find(|e| e.name == name && e.step == step)?;
            Some(accuracy(found.score, found.items))
        };
        let changes = names.into_iter().map(|name| {
            let step = match at(name, adapter_step) {
                Some(_) => adapter_step,
                None => evaluated,
            };
            Change {
                name: name.to_owned(),
                before: at(name, 0),
                after: at(name, step).filter(|_| evaluated > 0),
                step,
            }
        });
        let changes = changes.collect();
        let mut best: Option<(u64, f64)> = None;
        for evaluation in run.evaluations.iter().filter(|e| e.name == "greedy-strict") {
            if best.is_none_or(|(_, score)| evaluation.score > score) {
                best = Some((evaluation.step, evaluation.score));
            }
        }
        Self {
            adapter_step,
            changes,
            best_step: best.map(|(step, _)| step),
        }
    }

    /// One way of counting.
    #[must_use]
    pub fn change(&self, name: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.name == name)
    }
}

/// The accuracy that a score over so many items is.
#[expect(clippy::cast_precision_loss, reason = "counts of problems")]
pub(crate) fn accuracy(score: f64, items: u64) -> Accuracy {
    Accuracy {
        right: score * items as f64,
        of: items,
    }
}
