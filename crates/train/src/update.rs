//! From scored completions to a gradient of v: advantages, micro-batches, the loss.

use tlora_grpo::{Advantages, Denominators, LossMetrics, Mismatch, Sequence, Spread, loss};
use tlora_model::{Learner, PromptGroup, RGradient, Sample, Scores, Steering};

use crate::batches::{Piece, micro_batches};
use crate::config::{RunConfig, TruncatedSetting};
use crate::rollouts::Prompt;
use crate::{Policy, TrainError};

/// The completions of a step, group by group.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    /// The prompt of each group.
    pub prompts: Vec<Prompt>,
    /// Its completions.
    pub samples: Vec<Vec<Sample>>,
}

/// What an update is computed from.
pub(crate) struct Update<'a> {
    policy: &'a Policy,
    config: &'a RunConfig,
    rollout: &'a Rollout,
    advantages: &'a Advantages,
    /// Log-probabilities before the first update, if there are several.
    old: Option<Vec<Vec<Vec<f64>>>>,
}

/// What an update came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Updated {
    /// ∂L/∂v.
    pub gradient: Vec<f64>,
    /// The loss.
    pub loss: f64,
    /// Of the loss.
    pub metrics: LossMetrics,
    /// Sampler against learner.
    pub mismatch: Mismatch,
    /// Mean log-probability of the tokens that were computed.
    pub log_prob: f64,
    /// Mean entropy of the tokens that were computed.
    pub entropy: f64,
    /// Tokens that were computed, prompts included.
    pub computed: usize,
}

impl<'a> Update<'a> {
    pub(crate) fn new(
        policy: &'a Policy,
        config: &'a RunConfig,
        rollout: &'a Rollout,
        advantages: &'a Advantages,
    ) -> Self {
        Self {
            policy,
            config,
            rollout,
            advantages,
            old: None,
        }
    }

    /// Keeps the log-probabilities of now as those before the updates.
    pub(crate) fn keep_old(&mut self, v: &[f32]) -> Result<(), TrainError> {
        let steering = self.policy.steering(v);
        let mut old: Vec<Vec<Vec<f64>>> = self
            .rollout
            .samples
            .iter()
            .map(|samples| vec![Vec::new(); samples.len()])
            .collect();
        for pieces in self.micro_batches() {
            let groups = self.groups(&pieces);
            let scores = self
                .learner()
                .scores(&groups, Some(&steering), self.temperature())?;
            for ((group, sample), scores) in members(&pieces).zip(scores) {
                old[group][sample] = scores.iter().map(|score| score.log_prob).collect();
            }
        }
        self.old = Some(old);
        Ok(())
    }

    /// The gradient at a v.
    pub(crate) fn compute(&self, v: &[f32]) -> Result<Updated, TrainError> {
        let steering = self.policy.steering(v);
        let batches = self.micro_batches();
        let mut updated = Updated::default();
        let mut sum = self.policy.projections.no_gradient();
        let (mut pairs, mut entropy, mut log_prob, mut tokens) = (Vec::new(), 0.0, 0.0, 0_usize);
        for pieces in &batches {
            let (scores, gradient) =
                self.micro_batch(pieces, batches.len(), &steering, &mut updated)?;
            sum.add(&gradient);
            for ((group, sample), scores) in members(pieces).zip(&scores) {
                let sampler = &self.rollout.samples[group][sample].log_probs;
                let both = scores.iter().zip(sampler);
                pairs.extend(both.map(|(score, &sampler)| (score.log_prob, f64::from(sampler))));
                entropy += scores.iter().map(|score| score.entropy).sum::<f64>();
                log_prob += scores.iter().map(|score| score.log_prob).sum::<f64>();
                tokens += scores.len();
            }
        }
        updated.gradient = self.policy.projections.gradient(&sum);
        updated.mismatch = Mismatch::of(pairs);
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens")]
        let count = tokens.max(1) as f64;
        updated.entropy = entropy / count;
        updated.log_prob = log_prob / count;
        Ok(updated)
    }

    fn micro_batch(
        &self,
        pieces: &[Piece],
        micro_batches: usize,
        steering: &Steering,
        updated: &mut Updated,
    ) -> Result<(Scores, RGradient), TrainError> {
        let groups = self.groups(pieces);
        let learner = self.learner();
        updated.computed += groups.iter().map(PromptGroup::tokens).sum::<usize>();
        // The base is the same model without the adapter: it costs a pass and no memory.
        let reference = if self.config.loss.beta > 0.0 {
            Some(learner.scores(&groups, None, self.temperature())?)
        } else {
            None
        };
        let mut found = None;
        let result = learner.gradient(&groups, steering, self.temperature(), |scores| {
            let loss = self.loss(pieces, micro_batches, scores, reference.as_ref());
            let gradient = loss.gradient.clone();
            found = Some(loss);
            gradient
        })?;
        if let Some(loss) = found {
            updated.loss += loss.value;
            updated.metrics.add(&loss.metrics);
        }
        Ok(result)
    }

    fn loss(
        &self,
        pieces: &[Piece],
        micro_batches: usize,
        scores: &Scores,
        reference: Option<&Scores>,
    ) -> tlora_grpo::Loss {
        let log_probs = |scores: &Scores| -> Vec<Vec<f64>> {
            let logs = scores.iter();
            logs.map(|scores| scores.iter().map(|score| score.log_prob).collect())
                .collect()
        };
        let (new, reference) = (log_probs(scores), reference.map(log_probs));
        let samples = members(pieces).map(|(group, sample)| &self.rollout.samples[group][sample]);
        let sampler: Vec<Vec<f64>> = samples
            .map(|sample| sample.log_probs.iter().copied().map(f64::from).collect())
            .collect();
        let sequences: Vec<Sequence<'_>> = members(pieces)
            .enumerate()
            .map(|(i, (group, sample))| Sequence {
                advantage: self.advantages.values[self.number(group, sample)],
                new: &new[i],
                old: self.old.as_ref().map(|old| &*old[group][sample]),
                sampler: Some(&sampler[i]),
                reference: reference.as_ref().map(|reference| &*reference[i]),
                counts: self.counts(group, sample),
            })
            .collect();
        loss(
            &sequences,
            &self.config.loss,
            &self.denominators(pieces, micro_batches),
        )
    }

    /// Groups that have no gradient are not computed; they stay in these numbers, or the size of a step would depend on them.
    fn denominators(&self, pieces: &[Piece], micro_batches: usize) -> Denominators {
        let samples = &self.rollout.samples;
        let all = || {
            samples.iter().enumerate().flat_map(|(group, samples)| {
                samples
                    .iter()
                    .enumerate()
                    .map(move |(number, sample)| (group, number, sample))
            })
        };
        let counting = || all().filter(|&(group, number, _)| self.counts(group, number));
        let micro = members(pieces).filter(|&(group, sample)| self.counts(group, sample));
        Denominators {
            sequences: all().count(),
            counting: counting().count(),
            tokens: counting().map(|(_, _, sample)| sample.tokens.len()).sum(),
            micro_batches,
            micro_tokens: micro
                .map(|(group, sample)| samples[group][sample].tokens.len())
                .sum(),
            max_tokens: self.config.rollout.max_new_tokens,
        }
    }

    /// Without a KL penalty a group without a difference has no gradient.
    fn micro_batches(&self) -> Vec<Vec<Piece>> {
        let all: Vec<usize> = (0..self.rollout.prompts.len())
            .filter(|&group| {
                self.config.loss.beta > 0.0 || self.advantages.spreads[group] == Spread::Mixed
            })
            .collect();
        let groups: Vec<PromptGroup<'_>> = all
            .iter()
            .map(|&group| PromptGroup {
                prompt: &self.rollout.prompts[group].tokens,
                completions: tokens(&self.rollout.samples[group]),
            })
            .collect();
        let mut batches = micro_batches(&groups, self.config.update.micro_batch_tokens);
        for piece in batches.iter_mut().flatten() {
            piece.group = all[piece.group];
        }
        batches
    }

    fn groups(&self, pieces: &[Piece]) -> Vec<PromptGroup<'_>> {
        pieces
            .iter()
            .map(|piece| PromptGroup {
                prompt: &self.rollout.prompts[piece.group].tokens,
                completions: tokens(
                    &self.rollout.samples[piece.group][piece.first..piece.first + piece.count],
                ),
            })
            .collect()
    }

    /// The number of a completion among all of the step.
    fn number(&self, group: usize, sample: usize) -> usize {
        let before = self.rollout.samples[..group].iter();
        before.map(Vec::len).sum::<usize>() + sample
    }

    fn counts(&self, group: usize, sample: usize) -> bool {
        let masked = self.config.reward.truncated == TruncatedSetting::Mask;
        !(masked && self.rollout.samples[group][sample].truncated)
    }

    fn learner(&self) -> Learner<'a> {
        Learner::new(&self.policy.decoder, &self.policy.projections)
    }

    fn temperature(&self) -> f64 {
        self.config.rollout.temperature
    }
}

fn tokens(samples: &[Sample]) -> Vec<&[u32]> {
    samples.iter().map(|sample| &*sample.tokens).collect()
}

/// Group and number of the completions of a micro-batch.
fn members(pieces: &[Piece]) -> impl Iterator<Item = (usize, usize)> + '_ {
    pieces.iter().flat_map(|piece| {
        (piece.first..piece.first + piece.count).map(|sample| (piece.group, sample))
    })
}
