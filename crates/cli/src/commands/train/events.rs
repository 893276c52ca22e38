//! Metrics as TensorBoard reads them, in `tensorboard/` of the run directory.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use tlora_report::{EventFile, ReportError, metric_scalars};
use tlora_train::evaluate::{Result as EvaluationResult, Share};
use tlora_train::{Observer, StepMetrics};

use crate::failure::Failure;
use crate::terminal::warn;

/// An event file that hears of a run. It has times, and nothing depends on it: where it fails, the run goes on.
pub(super) struct Events {
    file: RefCell<EventFile>,
    failed: Cell<bool>,
}

impl Events {
    /// A file for the steps after `step`.
    pub(super) fn new(run: &Path, step: u64) -> Result<Self, Failure> {
        let file = EventFile::create(&run.join("tensorboard"), step, now());
        let file = file.map_err(|error| {
            Failure::unknown("the file for TensorBoard cannot be made").caused_by(error)
        })?;
        Ok(Self {
            file: RefCell::new(file),
            failed: Cell::new(false),
        })
    }

    fn scalars(&self, step: u64, scalars: &[(String, f32)]) {
        if self.failed.get() {
            return;
        }
        let scalars: Vec<(&str, f32)> = scalars.iter().map(|(tag, x)| (&**tag, *x)).collect();
        let written = self.file.borrow_mut().scalars(step, now(), &scalars);
        if let Err(error) = written {
            self.failed.set(true);
            let error: &ReportError = &error;
            warn(format_args!(
                "nothing more is written for TensorBoard: {error}"
            ));
        }
    }
}

impl Observer for Events {
    fn step(&self, metrics: &StepMetrics) {
        // What can be written as JSON is written to metrics.jsonl, and fails there.
        if let Ok(line) = serde_json::to_value(metrics) {
            self.scalars(metrics.step, &metric_scalars(&line));
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an event has an f32")]
    fn evaluated(&self, step: u64, kind: &str, result: &EvaluationResult) {
        let share = |name: &str, share: &Share| (format!("eval/{kind}-{name}"), share.share as f32);
        let lenient = result.lenient.as_ref();
        let mut scalars = vec![share("strict", &result.strict)];
        scalars.extend(lenient.map(|lenient| share("lenient", lenient)));
        scalars.push((format!("eval/{kind}-length"), result.tokens as f32));
        self.scalars(step, &scalars);
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
