//! Who hears from a run while it goes on.

use super::StepMetrics;
use crate::evaluate::Result as EvaluationResult;

/// What a run hears from while it goes on.
pub trait Observer {
    /// Something begins, of so many completions.
    fn phase(&self, phase: Phase, completions: usize) {
        let _ = (phase, completions);
    }
    /// So many tokens more were drawn.
    fn drawn(&self, tokens: usize) {
        let _ = tokens;
    }
    /// A step is done.
    fn step(&self, metrics: &StepMetrics) {
        let _ = metrics;
    }
    /// An evaluation is done.
    fn evaluated(&self, step: u64, kind: &str, result: &EvaluationResult) {
        let _ = (step, kind, result);
    }
}

impl Observer for () {}

/// Two that hear the same.
pub struct Both<'a>(pub &'a dyn Observer, pub &'a dyn Observer);

impl Observer for Both<'_> {
    fn phase(&self, phase: Phase, completions: usize) {
        self.0.phase(phase, completions);
        self.1.phase(phase, completions);
    }

    fn drawn(&self, tokens: usize) {
        self.0.drawn(tokens);
        self.1.drawn(tokens);
    }

    fn step(&self, metrics: &StepMetrics) {
        self.0.step(metrics);
        self.1.step(metrics);
    }

    fn evaluated(&self, step: u64, kind: &str, result: &EvaluationResult) {
        self.0.evaluated(step, kind, result);
        self.1.evaluated(step, kind, result);
    }
}

/// Parts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Completions are sampled.
    Rollout,
    /// The gradient is computed.
    Update,
    /// Problems are answered for an evaluation.
    Evaluation,
}
