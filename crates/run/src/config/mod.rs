//! The configuration of a run: TOML in which every key has a default, and a key that is not known is an error.
//!
//! [`keys::KEYS`] has each key once, with its meaning and what it may be. Checks, the comments of the resolved copy and
//! docs/train-config.md all come from it, so that they agree. The types here hold the values and their defaults.

mod check;
mod error;
pub mod keys;
mod layers;
mod learning;
mod presets;
mod resolved;
mod settings;
mod upkeep;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use error::ConfigError;
pub use layers::{layered, merge, parse, set};
pub use learning::{
    AdvantageScale, AdvantageSettings, Correction, KlKind, LossKind, LossSettings,
    OptimizerSettings, RatioLevel, RewardSettings, Schedule, Truncated, UpdateSettings, Weighted,
};
pub use presets::{PRESETS, preset};
pub use resolved::reference;
pub use settings::{
    AdapterSettings, DataSettings, Device, Dtype, Engine, GoldRule, Init, ModelSettings, Precision,
    PromptSettings, RolloutSettings, Sharing, SigmaSide, Tying,
};
pub use upkeep::{CheckpointSettings, EvaluationSettings, GuardSettings};

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

impl RunConfig {
    /// Steps of the run on so many problems.
    #[must_use]
    pub fn total_steps(&self, problems: usize) -> u64 {
        // What is left of an epoch is left out, but a step takes all problems if there are too few.
        let each = self.rollout.prompts_per_step.clamp(1, problems.max(1));
        match self.epochs {
            0 => self.steps,
            epochs => epochs.saturating_mul((problems / each) as u64),
        }
    }

    /// The seed of the order of the problems.
    #[must_use]
    pub const fn order_seed(&self) -> u64 {
        match self.data.shuffle_seed {
            0 => self.seed,
            seed => seed,
        }
    }

    /// Tokens of an evaluated completion at most.
    #[must_use]
    pub const fn evaluation_tokens(&self) -> usize {
        match self.evaluation.max_new_tokens {
            0 => self.rollout.max_new_tokens,
            tokens => tokens,
        }
    }

    /// Reads relative paths of data as relative to this directory.
    pub fn resolve_paths(&mut self, directory: &Path) {
        for path in [&mut self.data.train, &mut self.data.eval] {
            if !path.as_os_str().is_empty() && path.is_relative() {
                *path = directory.join(&path);
            }
        }
    }
}
