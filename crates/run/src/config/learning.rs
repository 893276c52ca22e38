//! How a run learns: rewards, advantages, loss, optimizer. The names of the loss and of the optimizer are those of the room `grpo`,
//! which stands on the same floor and so is not imported.

use serde::{Deserialize, Serialize};
use toml::Table;

/// `[reward]`: what a completion is worth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RewardSettings {
    /// What is trained with: tables with `kind`, if need be `weight`, and the options of the kind.
    pub verifiers: Vec<Table>,
    /// The careful reading of an evaluation; empty takes that of the first verifier's kind.
    pub strict: Table,
    /// The generous reading of an evaluation; empty takes that of the first verifier's kind.
    pub lenient: Table,
    /// What becomes of completions that were cut off.
    pub truncated: Truncated,
    /// With `penalty`: it begins so many tokens before the limit.
    pub overlong_buffer: usize,
    /// The rewards of a step are exchanged at random between its completions: a control.
    pub shuffled: bool,
}

/// A verifier and how much it counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// The table without `weight`, as the room `reward` reads it.
    pub settings: Table,
    /// The weight; 1 if none is given.
    pub weight: f64,
}

/// What becomes of completions that were cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncated {
    /// They count as they are.
    #[default]
    Keep,
    /// They have no loss.
    Mask,
    /// Long ones lose reward, as in DAPO.
    Penalty,
}

/// `[advantage]`: from rewards to advantages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdvantageSettings {
    /// What they are divided by.
    pub scale: AdvantageScale,
    /// Added to it.
    pub epsilon: f64,
}

/// What advantages are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageScale {
    /// The sample standard deviation of the group.
    #[default]
    Group,
    /// The sample standard deviation of all completions.
    Batch,
    /// Nothing.
    None,
}

/// `[loss]`: how the loss of an update is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSettings {
    /// How tokens are weighted.
    pub kind: LossKind,
    /// What the ratio is taken of.
    pub ratio: RatioLevel,
    /// The ratio may fall below 1 by this.
    pub eps_low: f64,
    /// The ratio may rise above 1 by this; for cispo the cap of the ratio itself.
    pub eps_high: f64,
    /// Cap of the ratio in the unclipped branch; 0 is none.
    pub delta: f64,
    /// No loss of a negative advantage is larger than this times its size; 0 is no limit.
    pub dual_clip: f64,
    /// Weight of the KL penalty; 0 computes none.
    pub beta: f64,
    /// Its estimate.
    pub kl: KlKind,
    /// Whether it is multiplied by the ratio, as TRL does.
    pub kl_ratio: bool,
    /// Whether log-ratios are cut to ±20 and k3 to ±10, as verl does.
    pub clamp: bool,
    /// Correction for what the sampler computed otherwise.
    pub correction: Correction,
    /// Its upper limit.
    pub correction_cap: f64,
    /// Its lower limit.
    pub correction_min: f64,
}

/// How tokens are weighted; x is a token's loss, n the tokens of a completion, B the completions, N the tokens of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Σ x / (B·n).
    Grpo,
    /// Σ x / (B·L), with L the most tokens that a completion may have.
    DrGrpo,
    /// Σ x / N.
    #[default]
    Dapo,
    /// Σ x / (K·N of the micro-batch), K micro-batches.
    Bnpo,
    /// As grpo, with one ratio a completion.
    Gspo,
    /// As dapo, with the capped ratio as a constant weight of the log-probability.
    Cispo,
    /// verl's: as grpo, over completions that have tokens.
    SeqMeanTokenMean,
    /// verl's: Σ x / B.
    SeqMeanTokenSum,
    /// verl's: Σ x / L.
    SeqMeanTokenSumNorm,
}

/// What the ratio is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// Each token has its own.
    #[default]
    Token,
    /// A completion has one: exp of the mean log-ratio of its tokens.
    Sequence,
}

/// Which estimate of the KL to the base is penalised; d is log-probability of the base minus that of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlKind {
    /// −d.
    K1,
    /// d² / 2.
    K2,
    /// e^d − d − 1.
    #[default]
    K3,
    /// |d|.
    Abs,
}

/// How a difference between sampler and learner is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Not at all.
    #[default]
    None,
    /// A weight for each token, cut to the limits.
    TokenTruncate,
    /// A weight for each token, 0 outside the limits.
    TokenMask,
    /// A weight for each completion, cut to the limits.
    SequenceTruncate,
    /// A weight for each completion, 0 outside the limits.
    SequenceMask,
}

/// `[optimizer]`: AdamW on v.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// The learning rate.
    pub lr: f64,
    /// Decay of the mean of the gradient.
    pub beta1: f64,
    /// Decay of the mean of its square.
    pub beta2: f64,
    /// Added to the root of the latter.
    pub epsilon: f64,
    /// Pull of v to 0, by lr times this at each step.
    pub weight_decay: f64,
    /// Largest norm of the gradient; 0 does not clip.
    pub clip: f64,
    /// How the rate changes.
    pub schedule: Schedule,
    /// Steps in which the rate rises in a line from 0.
    pub warmup: u64,
}

/// How the learning rate changes over a run, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls to 0 in a line.
    Linear,
    /// It falls to 0 along half a cosine.
    Cosine,
}

/// `[update]`: how an update is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSettings {
    /// Updates on the samples of a step.
    pub updates_per_step: usize,
    /// Tokens that are computed together.
    pub micro_batch_tokens: usize,
}

impl Default for RewardSettings {
    fn default() -> Self {
        let mut verifier = Table::new();
        verifier.insert("kind".to_owned(), "gsm8k".into());
        Self {
            verifiers: vec![verifier],
            strict: Table::new(),
            lenient: Table::new(),
            truncated: Truncated::Keep,
            overlong_buffer: 0,
            shuffled: false,
        }
    }
}

impl Default for AdvantageSettings {
    fn default() -> Self {
        Self {
            scale: AdvantageScale::Group,
            epsilon: 1e-4,
        }
    }
}

impl Default for LossSettings {
    fn default() -> Self {
        Self {
            kind: LossKind::Dapo,
            ratio: RatioLevel::Token,
            eps_low: 0.2,
            eps_high: 0.2,
            delta: 0.0,
            dual_clip: 0.0,
            beta: 0.0,
            kl: KlKind::K3,
            kl_ratio: false,
            clamp: false,
            correction: Correction::None,
            correction_cap: 2.0,
            correction_min: 0.0,
        }
    }
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: 1.0,
            schedule: Schedule::Constant,
            warmup: 0,
        }
    }
}

impl Default for UpdateSettings {
    fn default() -> Self {
        Self {
            updates_per_step: 1,
            micro_batch_tokens: 4096,
        }
    }
}
