//! The configuration of a run: TOML in which every key has a default, and a key that is not known is an error.
//!
//! [`keys::KEYS`] has each key once, with its meaning and what it may be. Checks, the comments of the resolved copy and
//! docs/train-config.md all come from it, so that they agree. The types here hold the values and their defaults.

mod error;
mod learning;
mod settings;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use learning::{
    AdvantageScale, AdvantageSettings, CheckpointSettings, Correction, EvaluationSettings,
    GuardSettings, KlKind, LossKind, LossSettings, OptimizerSettings, RatioLevel, RewardSettings,
    Schedule, Truncated, UpdateSettings, Weighted,
};
pub use settings::{
    AdapterSettings, DataSettings, Device, Dtype, Engine, GoldRule, Init, ModelSettings, Precision,
    PromptSettings, RolloutSettings, Sharing, SigmaSide, Tying,
};

/// Everything that a run depends on. Paths are as they were given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// The seed of samples, of the order of the problems, and of an init that is not zeros.
    pub seed: u64,
    /// Steps of the run; each samples once.
    pub steps: u64,
    /// Times that all problems are taken, in place of `steps`; 0 uses `steps`.
    pub epochs: u64,
    /// What is trained on.
    pub model: ModelSettings,
    /// What is trained.
    pub adapter: AdapterSettings,
    /// The problems.
    pub data: DataSettings,
    /// How a question becomes a prompt.
    pub prompt: PromptSettings,
    /// How completions are sampled.
    pub rollout: RolloutSettings,
    /// What a completion is worth.
    pub reward: RewardSettings,
    /// From rewards to advantages.
    pub advantage: AdvantageSettings,
    /// The loss.
    pub loss: LossSettings,
    /// The optimizer.
    pub optimizer: OptimizerSettings,
    /// How an update is computed.
    pub update: UpdateSettings,
    /// What is measured on held-out problems.
    pub evaluation: EvaluationSettings,
    /// What is kept on the way.
    pub checkpoint: CheckpointSettings,
    /// When a run stops by itself.
    pub guard: GuardSettings,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            steps: 100,
            epochs: 0,
            model: ModelSettings::default(),
            adapter: AdapterSettings::default(),
            data: DataSettings::default(),
            prompt: PromptSettings::default(),
            rollout: RolloutSettings::default(),
            reward: RewardSettings::default(),
            advantage: AdvantageSettings::default(),
            loss: LossSettings::default(),
            optimizer: OptimizerSettings::default(),
            update: UpdateSettings::default(),
            evaluation: EvaluationSettings::default(),
            checkpoint: CheckpointSettings::default(),
            guard: GuardSettings::default(),
        }
    }
}
