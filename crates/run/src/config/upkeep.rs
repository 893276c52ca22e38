//! What a run looks at and keeps on the way, and when it stops by itself.

use serde::{Deserialize, Serialize};

/// `[evaluation]`: what is measured on held-out problems, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluationSettings {
    /// Whether the untrained model is evaluated.
    pub at_start: bool,
    /// Steps from one to the next; 0 only at the beginning and the end.
    pub every: u64,
    /// Samples of each problem beside the greedy one, for avg@k and pass@k; 0 for none.
    pub samples: usize,
    /// Their temperature.
    pub temperature: f64,
    /// Tokens of a completion at most; 0 takes that of `[rollout]`.
    pub max_new_tokens: usize,
    /// Whether the adapter is that of the best evaluation, rather than of the last step.
    pub keep_best: bool,
    /// Evaluations without a better one after which the run ends; 0 never.
    pub patience: u64,
}

/// `[checkpoint]`: what is kept on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointSettings {
    /// Steps from one to the next.
    pub every: u64,
    /// How many are kept; 0 is all.
    pub keep: usize,
}

/// `[guard]`: when a run stops by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuardSettings {
    /// The run ends when the KL to the base is larger; 0 never. Needs `loss.beta`.
    pub max_kl: f64,
    /// The run ends when a loss or gradient is no number; otherwise that update is left out.
    pub stop_on_nan: bool,
}

impl Default for EvaluationSettings {
    fn default() -> Self {
        Self {
            at_start: true,
            every: 0,
            samples: 0,
            temperature: 1.0,
            max_new_tokens: 0,
            keep_best: false,
            patience: 0,
        }
    }
}

impl Default for CheckpointSettings {
    fn default() -> Self {
        Self { every: 10, keep: 3 }
    }
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self {
            max_kl: 0.0,
            stop_on_nan: true,
        }
    }
}
