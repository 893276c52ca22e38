//! The loop: sample, score, update, record; evaluate and keep a checkpoint every so often.

use std::sync::atomic::{AtomicBool, Ordering};

use tlora_grpo::AdamW;

use crate::config::RunConfig;
use crate::data::{Cursor, Stream};
use crate::evaluate::{Task, Verifiers};
use crate::prompts::Prompter;
use crate::records::{LogPosition, RunDirectory};
use crate::rollouts::Rollouts;
use crate::state::{Best, State, VERSION, bits, values};
use crate::{Policy, TrainError};

mod collected;
mod evaluation;
mod metrics;
mod observer;
mod step;

use collected::Collected;
pub use metrics::StepMetrics;
pub use observer::{Both, Observer, Phase};

/// What a run is made of.
pub struct Trainer<'a> {
    /// The settings.
    pub config: &'a RunConfig,
    /// The model.
    pub policy: &'a Policy,
    /// The prompts' settings.
    pub prompter: &'a Prompter<'a>,
    /// The engine.
    pub rollouts: &'a mut dyn Rollouts,
    /// Who judges completions.
    pub verifiers: &'a Verifiers,
    /// Problems to train on.
    pub train: &'a [Task],
    /// Problems to evaluate on.
    pub eval: &'a [Task],
    /// Who hears of it.
    pub observer: &'a dyn Observer,
    /// Set from outside to end the run after the step that is going on.
    pub stop: &'a AtomicBool,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Complete,
    /// There was no better evaluation for a while.
    Patience,
    /// It was asked to, and can be resumed.
    Interrupted,
}

/// What a run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// v of the adapter.
    pub v: Vec<f32>,
    /// The step that it is of.
    pub step: u64,
    /// Why the run ended.
    pub ending: Ending,
}

/// Where a run is.
struct Progress {
    step: u64,
    v: Vec<f32>,
    adam: AdamW,
    cursor: Cursor,
    best: Option<Best>,
    since_best: u64,
}

impl Trainer<'_> {
    /// Runs from the beginning or from a state.
    ///
    /// # Errors
    /// The engine, a verifier or the disk failed, or the numbers diverged. What was recorded stays, and can be resumed.
    pub fn run(
        &mut self,
        directory: &mut RunDirectory,
        identity: &str,
        state: Option<&State>,
    ) -> Result<Finished, TrainError> {
        let mut progress = self.start(state)?;
        if state.is_none() {
            directory.step(0, &progress.v, None)?;
        }
        if state.is_none_or(|state| state.evaluation_due) {
            self.evaluation_or_pending(directory, identity, &mut progress)?;
            self.save(directory, identity, &progress)?;
        }
        let mut ending = Ending::Complete;
        while progress.step < self.config.steps {
            if self.config.evaluation.patience > 0
                && progress.since_best >= self.config.evaluation.patience
            {
                ending = Ending::Patience;
                break;
            }
            if self.stop.load(Ordering::Relaxed) {
                ending = Ending::Interrupted;
                break;
            }
            self.step_or_pending(directory, identity, &mut progress)?;
            let step = progress.step;
            let last = step == self.config.steps;
            let every = self.config.evaluation.every;
            if last || (every > 0 && step.is_multiple_of(every)) {
                self.evaluation_or_pending(directory, identity, &mut progress)?;
            }
            if last || step.is_multiple_of(self.config.checkpoint.every) {
                self.save(directory, identity, &progress)?;
            }
        }
        if ending != Ending::Complete {
            self.save(directory, identity, &progress)?;
        }
        Ok(self.finished(progress, ending))
    }

    /// A step. If the engine gives out, nothing of it was recorded: it is begun again when the run is resumed.
    fn step_or_pending(
        &mut self,
        directory: &mut RunDirectory,
        identity: &str,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let cursor = progress.cursor;
        let done = self.step(directory, progress);
        if matches!(done, Err(TrainError::Rollouts(_))) {
            progress.cursor = cursor;
            self.save(directory, identity, progress)?;
        }
        done
    }

    /// An evaluation. If the engine gives out, the step before it is kept, and the evaluation is due when the run is resumed.
    fn evaluation_or_pending(
        &mut self,
        directory: &mut RunDirectory,
        identity: &str,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let logs = directory.position()?;
        let done = self.evaluation(directory, progress);
        if matches!(done, Err(TrainError::Rollouts(_))) {
            let state = self.state(identity, progress, logs);
            self.save_state(
                directory,
                progress,
                &State {
                    evaluation_due: true,
                    ..state
                },
            )?;
        }
        done
    }

    fn finished(&self, progress: Progress, ending: Ending) -> Finished {
        match progress.best.filter(|_| self.config.evaluation.keep_best) {
            Some(best) => Finished {
                v: values(&best.v),
                step: best.step,
                ending,
            },
            None => Finished {
                v: progress.v,
                step: progress.step,
                ending,
            },
        }
    }

    fn start(&self, state: Option<&State>) -> Result<Progress, TrainError> {
        let settings = self.config.optimizer;
        let count = self.policy.projections.values();
        let Some(state) = state else {
            return Ok(Progress {
                step: 0,
                v: initial_v(self.config, count),
                adam: AdamW::new(settings, count),
                cursor: Cursor::default(),
                best: None,
                since_best: 0,
            });
        };
        let adam = AdamW::resume(settings, count, &state.adam).filter(|_| state.v.len() == count);
        let adam = adam.ok_or_else(|| TrainError::Setting {
            key: "the trained numbers of the checkpoint".to_owned(),
            found: state.v.len().to_string(),
            wanted: count.to_string(),
        })?;
        Ok(Progress {
            step: state.step,
            v: values(&state.v),
            adam,
            cursor: state.cursor,
            best: state.best.clone(),
            since_best: state.since_best,
        })
    }

    fn save(
        &self,
        directory: &RunDirectory,
        identity: &str,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        let state = self.state(identity, progress, directory.position()?);
        self.save_state(directory, progress, &state)
    }

    fn state(&self, identity: &str, progress: &Progress, logs: LogPosition) -> State {
        State {
            version: VERSION,
            run: identity.to_owned(),
            step: progress.step,
            evaluation_due: false,
            v: bits(&progress.v),
            adam: progress.adam.state(),
            cursor: progress.cursor,
            best: progress.best.clone(),
            since_best: progress.since_best,
            logs,
        }
    }

    fn save_state(
        &self,
        directory: &RunDirectory,
        progress: &Progress,
        state: &State,
    ) -> Result<(), TrainError> {
        let precision = crate::precision(self.config.adapter.precision);
        let adapter = self.policy.adapter(&progress.v, precision)?.to_bytes();
        state.save(directory.path(), &adapter, self.config.checkpoint.keep)
    }
}

/// v before training.
fn initial_v(config: &RunConfig, count: usize) -> Vec<f32> {
    let mut stream = Stream::new("tlora 2026-11 initial v v1", &[config.seed]);
    let size = config.adapter.init;
    #[expect(clippy::cast_possible_truncation, reason = "v is f32")]
    let mut one = || (size * stream.symmetric()) as f32;
    (0..count)
        .map(|_| if size == 0.0 { 0.0 } else { one() })
        .collect()
}
