//! The lines of a run directory's files, as far as they are shown. Unknown fields are ignored.

use serde::{Deserialize, Serialize};

/// A line of metrics.jsonl.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// The step, from 1.
    pub step: u64,
    /// Mean reward.
    pub reward: Option<f64>,
    /// Share of completions that the strict verifier accepts.
    pub strict: Option<f64>,
    /// Share that the lenient one accepts.
    pub lenient: Option<f64>,
    /// Mean tokens of a completion.
    pub length: Option<f64>,
    /// Tokens of the shortest.
    pub length_min: Option<f64>,
    /// Tokens of the longest.
    pub length_max: Option<f64>,
    /// Share of completions that were cut off.
    pub truncated: Option<f64>,
    /// Share of groups whose completions are all right.
    pub all_right: Option<f64>,
    /// Share of groups whose completions are all wrong.
    pub all_wrong: Option<f64>,
    /// Norm of the gradient before it was cut.
    pub gradient_norm: Option<f64>,
    /// Norm of v.
    pub v_norm: Option<f64>,
    /// Mean log-probability of the tokens.
    pub log_prob: Option<f64>,
    /// Mean entropy of the tokens, in nats.
    pub entropy: Option<f64>,
    /// KL to the base, if there is a penalty.
    pub kl: Option<f64>,
    /// Sampler against learner.
    pub mismatch: Mismatch,
}

/// Sampler against learner, of one step.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Mismatch {
    /// KL(sampler ‖ learner) by k3.
    pub k3: Option<f64>,
    /// Largest difference of log-probabilities.
    pub max: Option<f64>,
}

/// A line of evaluations.jsonl.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Such as `greedy-strict`.
    pub name: String,
    /// The step whose v was evaluated; 0 is the base.
    pub step: u64,
    /// The mean over all items.
    pub score: f64,
    /// How many there are.
    pub items: u64,
}

/// A line of timing.jsonl.
#[derive(Debug, Clone, Copy, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Timing {
    /// The step.
    pub step: u64,
    /// Seconds of sampling and scoring.
    pub rollout_seconds: f64,
    /// Seconds of the updates.
    pub update_seconds: f64,
}

/// A line of steps.jsonl, as far as it is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct StepLine {
    pub(crate) step: u64,
    pub(crate) v: String,
}

/// A line of samples.jsonl. Texts are cut to a length that can be shown.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct SampleRecord {
    /// The step that drew it.
    pub step: u64,
    /// The problem.
    pub id: String,
    /// Its question.
    pub question: String,
    /// What the model said.
    pub completion: String,
    /// What the verifier took for the answer.
    pub extracted: Option<String>,
    /// The right answer.
    pub gold: String,
    /// What it was worth; none if no verifier could judge.
    pub reward: Option<f64>,
    /// What the strict verifier says.
    pub strict: Option<f64>,
    /// What the lenient one says.
    pub lenient: Option<f64>,
    /// Its advantage in its group.
    pub advantage: Option<f64>,
    /// Whether it was cut off at the limit of tokens.
    pub truncated: bool,
    /// Its tokens.
    pub tokens: u64,
}
