//! What is measured in a step: a line of metrics.jsonl.

use serde::Serialize;
use tlora_grpo::{Spread, norm};

use super::{Collected, Progress};
use crate::config::RunConfig;
use crate::evaluate::Scored;
use crate::update::Updated;

/// A line of metrics.jsonl; docs/metrics.md describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepMetrics {
    /// The version of this schema.
    pub version: u32,
    /// The step, from 1.
    pub step: u64,
    /// Mean reward of the scorable completions.
    pub reward: f64,
    /// Its sample standard deviation.
    pub reward_std: f64,
    /// Share of completions that the strict verifier accepts.
    pub strict: f64,
    /// Share that the lenient one accepts.
    pub lenient: Option<f64>,
    /// Completions that no verifier could judge.
    pub unscorable: usize,
    /// Mean tokens of a completion.
    pub length: f64,
    /// Tokens of the shortest.
    pub length_min: usize,
    /// Tokens of the longest.
    pub length_max: usize,
    /// Share of completions that were cut off.
    pub truncated: f64,
    /// Share of groups whose completions are all right.
    pub all_right: f64,
    /// Share of groups whose completions are all wrong.
    pub all_wrong: f64,
    /// Groups that were sampled in place of others.
    pub resampled: usize,
    /// The loss; near 0 by its nature.
    pub loss: f64,
    /// Norm of the gradient before it was cut.
    pub gradient_norm: f64,
    /// The learning rate.
    pub lr: f64,
    /// Norm of v.
    pub v_norm: f64,
    /// Norm of the change of v.
    pub v_change: f64,
    /// Mean log-probability of the tokens that were computed.
    pub log_prob: f64,
    /// Mean entropy of the tokens that were computed, in nats.
    pub entropy: f64,
    /// Mean KL estimate to the base, if there is a penalty.
    pub kl: Option<f64>,
    /// Share of tokens whose ratio was cut from below.
    pub clipped_low: f64,
    /// Share of tokens whose ratio was cut from above.
    pub clipped_high: f64,
    /// The smallest ratio.
    pub ratio_min: f64,
    /// The largest ratio.
    pub ratio_max: f64,
    /// Sampler against learner.
    pub mismatch: tlora_grpo::Mismatch,
    /// Tokens that were sampled.
    pub tokens: usize,
    /// Tokens that were computed for the update, prompts included.
    pub computed: usize,
    /// The number of times that all problems were taken.
    pub epoch: u64,
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of completions and tokens"
)]
pub(super) fn measured(
    config: &RunConfig,
    collected: &Collected,
    updated: &Updated,
    progress: &Progress,
    (gradient_norm, lr, v_change): (f64, f64, f64),
) -> StepMetrics {
    let all: Vec<&Scored> = collected.scored.iter().flatten().collect();
    let share = |count: usize| count as f64 / all.len().max(1) as f64;
    let rewards: Vec<f64> = collected
        .rewards
        .iter()
        .flatten()
        .copied()
        .flatten()
        .collect();
    let mean = rewards.iter().sum::<f64>() / rewards.len().max(1) as f64;
    let squares: f64 = rewards.iter().map(|r| (r - mean) * (r - mean)).sum();
    let right = |reward: Option<f64>| reward.is_some_and(|reward| reward >= 1.0);
    let groups = |spread: Spread| {
        let count = collected
            .advantages
            .spreads
            .iter()
            .filter(|s| **s == spread)
            .count();
        count as f64 / collected.tasks.len().max(1) as f64
    };
    let lengths = || all.iter().map(|scored| scored.tokens);
    let of_tokens = |count: usize| count as f64 / updated.metrics.tokens.max(1) as f64;
    let v: Vec<f64> = progress.v.iter().copied().map(f64::from).collect();
    let lenient = all.iter().filter_map(|s| s.lenient.as_ref());
    StepMetrics {
        version: 1,
        step: progress.step,
        reward: mean,
        reward_std: (squares / rewards.len().saturating_sub(1).max(1) as f64).sqrt(),
        strict: share(all.iter().filter(|s| right(s.strict.reward)).count()),
        lenient: all
            .iter()
            .any(|s| s.lenient.is_some())
            .then(|| share(lenient.filter(|score| right(score.reward)).count())),
        unscorable: all.iter().filter(|s| s.reward.reward.is_none()).count(),
        length: share(lengths().sum()),
        length_min: lengths().min().unwrap_or(0),
        length_max: lengths().max().unwrap_or(0),
        truncated: share(all.iter().filter(|s| s.truncated).count()),
        all_right: groups(Spread::AllRight),
        all_wrong: groups(Spread::AllWrong),
        resampled: collected.resampled,
        loss: updated.loss,
        gradient_norm,
        lr,
        v_norm: norm(&v),
        v_change,
        log_prob: updated.log_prob,
        entropy: updated.entropy,
        kl: (config.loss.beta > 0.0)
            .then(|| updated.metrics.kl / updated.metrics.tokens.max(1) as f64),
        clipped_low: of_tokens(updated.metrics.clipped_low),
        clipped_high: of_tokens(updated.metrics.clipped_high),
        ratio_min: updated.metrics.ratio_min,
        ratio_max: updated.metrics.ratio_max,
        mismatch: updated.mismatch,
        tokens: lengths().sum(),
        computed: updated.computed,
        epoch: progress.cursor.epoch,
    }
}
