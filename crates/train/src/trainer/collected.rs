//! A step's completions, and what they are worth.

use serde_json::json;
use tlora_grpo::{Advantages, Spread, advantages, overlong_penalty};
use tlora_model::Sample;

use crate::config::{RunConfig, TruncatedSetting};
use crate::data::Stream;
use crate::evaluate::{Scored, Task};
use crate::update::Rollout;

/// A step's completions with everything that was found of them.
pub(super) struct Collected {
    pub(super) tasks: Vec<usize>,
    pub(super) rollout: Rollout,
    pub(super) scored: Vec<Vec<Scored>>,
    pub(super) rewards: Vec<Vec<Option<f64>>>,
    pub(super) advantages: Advantages,
    pub(super) resampled: usize,
}

impl Collected {
    /// Puts the groups of `more` that have a difference in the place of those that have none.
    pub(super) fn replace(&mut self, more: Self, config: &RunConfig) {
        let mixed = more
            .advantages
            .spreads
            .iter()
            .map(|spread| *spread == Spread::Mixed);
        let mut fresh: Vec<usize> = mixed
            .enumerate()
            .filter_map(|(group, mixed)| mixed.then_some(group))
            .collect();
        fresh.reverse();
        for group in 0..self.tasks.len() {
            if self.advantages.spreads[group] == Spread::Mixed {
                continue;
            }
            let Some(from) = fresh.pop() else { break };
            self.tasks[group] = more.tasks[from];
            self.rollout.prompts[group] = more.rollout.prompts[from].clone();
            self.rollout.samples[group].clone_from(&more.rollout.samples[from]);
            self.scored[group].clone_from(&more.scored[from]);
            self.rewards[group].clone_from(&more.rewards[from]);
            self.resampled += 1;
        }
        self.advantages = advantages(
            &self.rewards,
            config.advantage.scale,
            config.advantage.epsilon,
        );
    }
}

/// What each completion is worth in training.
pub(super) fn rewards(
    config: &RunConfig,
    step: u64,
    scored: &[Vec<Scored>],
) -> Vec<Vec<Option<f64>>> {
    let limit = config.rollout.max_new_tokens;
    let buffer = config.reward.overlong_buffer;
    let one = |scored: &Scored| {
        let penalty = match config.reward.truncated {
            TruncatedSetting::Penalty => overlong_penalty(scored.tokens, limit, buffer),
            TruncatedSetting::Keep | TruncatedSetting::Mask => 0.0,
        };
        scored.reward.reward.map(|reward| reward + penalty)
    };
    let mut rewards: Vec<Vec<Option<f64>>> = scored
        .iter()
        .map(|completions| completions.iter().map(one).collect())
        .collect();
    if config.reward.shuffled {
        shuffle(config.seed, step, &mut rewards);
    }
    rewards
}

/// Every solution is to become likelier, as much as any other.
pub(super) fn of_solutions(groups: usize) -> Advantages {
    Advantages {
        values: vec![1.0; groups],
        spreads: vec![Spread::Mixed; groups],
    }
}

/// Exchanges the rewards of a step between all its completions.
fn shuffle(seed: u64, step: u64, rewards: &mut [Vec<Option<f64>>]) {
    let mut flat: Vec<Option<f64>> = rewards.concat();
    let mut stream = Stream::new("tlora 2026-11 shuffled rewards v1", &[seed, step]);
    for i in (1..flat.len()).rev() {
        flat.swap(i, stream.below(i + 1));
    }
    let mut flat = flat.into_iter();
    rewards
        .iter_mut()
        .flatten()
        .zip(&mut flat)
        .for_each(|(reward, other)| *reward = other);
}

pub(super) fn sample_record(
    step: u64,
    task: &Task,
    scored: &Scored,
    sample: &Sample,
    advantage: f64,
) -> serde_json::Value {
    json!({
        "step": step,
        "policy_step": step - 1,
        "id": task.problem.id,
        "question": task.problem.question,
        "completion": scored.text,
        "extracted": scored.reward.extracted,
        "mode": scored.reward.mode,
        "gold": task.problem.answer,
        "reward": scored.reward.reward,
        "strict": scored.strict.reward,
        "lenient": scored.lenient.as_ref().and_then(|score| score.reward),
        "advantage": advantage,
        "truncated": sample.truncated,
        "tokens": sample.tokens.len(),
    })
}
