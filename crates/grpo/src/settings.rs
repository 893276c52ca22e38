//! The settings of a policy update, as they stand in a configuration.

use serde::{Deserialize, Serialize};

/// Which loss: how tokens are weighted, and what the ratio is taken of.
///
/// With x for a token's loss, n the tokens of a completion, B the completions and N the tokens of an update:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Mean over completions of the mean over tokens: Σ x / (B·n).
    Grpo,
    /// Σ x / (B·L), with L the most tokens that a completion may have: length has no influence.
    DrGrpo,
    /// Σ x / N, whatever the micro-batches.
    Dapo,
    /// Σ x / (K·N of the micro-batch), K micro-batches: depends on how they are cut.
    Bnpo,
    /// As grpo, with one ratio a completion whatever [`LossSettings::ratio`] says.
    Gspo,
    /// As dapo, with the capped ratio as a constant weight of the log-probability.
    Cispo,
    /// verl's seq-mean-token-mean: as grpo, over completions that have tokens.
    SeqMeanTokenMean,
    /// verl's seq-mean-token-sum: Σ x / B.
    SeqMeanTokenSum,
    /// verl's seq-mean-token-sum-norm: Σ x / L.
    SeqMeanTokenSumNorm,
}

/// What the ratio is taken of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioLevel {
    /// Each token has its own.
    Token,
    /// A completion has one: exp of the mean log-ratio of its tokens.
    Sequence,
}

/// Which estimate of KL(policy ‖ base) is penalised; d is log-probability of the base minus that of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlKind {
    /// −d.
    K1,
    /// d² / 2.
    K2,
    /// e^d − d − 1.
    K3,
    /// |d|.
    Abs,
}

/// What advantages are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageScale {
    /// The sample standard deviation of the group.
    Group,
    /// The sample standard deviation of all completions.
    Batch,
    /// Nothing.
    None,
}

/// How a difference between sampler and learner is corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Not at all.
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

/// How the loss of an update is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LossSettings {
    /// Which loss.
    pub kind: LossKind,
    /// What the ratio is taken of.
    pub ratio: RatioLevel,
    /// The ratio may fall below 1 by this.
    pub eps_low: f64,
    /// The ratio may rise above 1 by this; for cispo the cap of the ratio itself, 1 or more.
    pub eps_high: f64,
    /// Cap of the ratio in the unclipped branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delta: Option<f64>,
    /// Dual clip: no loss of a negative advantage is larger than this times its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dual_clip: Option<f64>,
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

impl Default for LossSettings {
    fn default() -> Self {
        Self {
            kind: LossKind::Dapo,
            ratio: RatioLevel::Token,
            eps_low: 0.2,
            eps_high: 0.2,
            delta: None,
            dual_clip: None,
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

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} is {found}, wanted {wanted}")]
pub struct SettingError {
    /// The setting.
    pub key: &'static str,
    /// Its value.
    pub found: String,
    /// What it may be.
    pub wanted: &'static str,
}

impl LossSettings {
    /// Checks the ranges, and that nothing is set that the loss would not read.
    ///
    /// # Errors
    /// The first setting that is out of range, or that has no meaning for `kind`.
    pub fn check(&self) -> Result<(), SettingError> {
        self.check_ranges()?;
        let of_cispo = self.kind == LossKind::Cispo;
        let wrong = |key, found: f64, wanted| {
            Err(SettingError {
                key,
                found: found.to_string(),
                wanted,
            })
        };
        match (self.delta, self.dual_clip) {
            (Some(delta), _) if of_cispo => wrong("delta", delta, "none with cispo"),
            (_, Some(limit)) if of_cispo => wrong("dual_clip", limit, "none with cispo"),
            // The cap itself, not a distance from 1: a cap below 1 cuts even the ratio of a policy that has not moved.
            _ if of_cispo && self.eps_high < 1.0 => {
                wrong("eps_high", self.eps_high, "1 or more with cispo")
            }
            _ => Ok(()),
        }
    }

    fn check_ranges(&self) -> Result<(), SettingError> {
        let number = |key, value: f64, least: f64, wanted| {
            if value.is_finite() && value >= least {
                return Ok(());
            }
            Err(SettingError {
                key,
                found: value.to_string(),
                wanted,
            })
        };
        number("eps_low", self.eps_low, 0.0, "0 or more")?;
        number("eps_high", self.eps_high, 0.0, "0 or more")?;
        number("beta", self.beta, 0.0, "0 or more")?;
        number("correction_min", self.correction_min, 0.0, "0 or more")?;
        number(
            "correction_cap",
            self.correction_cap,
            self.correction_min,
            "correction_min or more",
        )?;
        number("delta", self.delta.unwrap_or(2.0), 1.0, "1 or more")?;
        number("dual_clip", self.dual_clip.unwrap_or(2.0), 1.0, "1 or more")
    }

    /// Whether the ratio is one of the whole completion.
    pub(crate) const fn is_of_sequence(&self) -> bool {
        matches!(self.kind, LossKind::Gspo) || matches!(self.ratio, RatioLevel::Sequence)
    }
}
