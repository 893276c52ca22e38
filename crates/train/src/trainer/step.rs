//! One step: sample, score, update, record.

use std::time::Instant;

use serde_json::json;
use tlora_grpo::{Spread, advantages, clip, norm};
use tlora_model::{Sample, Sampling};

use super::collected::{of_solutions, rewards, sample_record};
use super::metrics::measured;
use super::{Collected, Phase, Progress, StepMetrics, Trainer};
use crate::TrainError;
use crate::config::Method;
use crate::evaluate::Task;
use crate::judge::Judge;
use crate::records::RunDirectory;
use crate::rollouts::{Heard, Prompt};
use crate::update::{Rollout, Update, Updated};

impl Trainer<'_> {
    pub(super) fn step(
        &mut self,
        directory: &mut RunDirectory,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        let start = Instant::now();
        let step = progress.step + 1;
        let collected = self.collect(step, progress)?;
        let sampled = start.elapsed();
        let before = progress.v.clone();
        let rate = self.config.optimizer.rate(progress.step, self.config.steps);
        let (updated, gradient_norm) = self.update(&collected, progress, rate)?;
        progress.step = step;
        let change: Vec<f64> = progress
            .v
            .iter()
            .zip(&before)
            .map(|(new, old)| f64::from(*new) - f64::from(*old))
            .collect();
        let metrics = measured(
            self.config,
            &collected,
            &updated,
            progress,
            (gradient_norm, rate, norm(&change)),
        );
        self.record(directory, &collected, progress, &metrics)?;
        let mut timing = json!({
            "step": step, "rollout_seconds": sampled.as_secs_f64(),
            "update_seconds": (start.elapsed() - sampled).as_secs_f64(),
        });
        let engine = self.rollouts.timing();
        if !engine.is_null() {
            timing["engine"] = engine;
        }
        directory.timing(&timing)?;
        self.observer.step(&metrics);
        self.guard(&metrics)
    }

    /// Completions of a step, scored. With resampling, groups without a difference are replaced by others, as far as the limit
    /// goes.
    fn collect(&mut self, step: u64, progress: &mut Progress) -> Result<Collected, TrainError> {
        let rollout = &self.config.rollout;
        if self.config.method == Method::Grpo {
            self.rollouts.publish(progress.step, Some(&progress.v))?;
        }
        let sampling = self.sampling(step);
        let wanted = rollout.prompts_per_step.min(self.train.len());
        let mut collected = self.sample(&sampling, progress, wanted)?;
        for _ in 0..rollout.resample {
            let mixed = |spread: &Spread| *spread == Spread::Mixed;
            let missing = collected
                .advantages
                .spreads
                .iter()
                .filter(|s| !mixed(s))
                .count();
            if missing == 0 {
                break;
            }
            let more = self.sample(&sampling, progress, missing.min(self.train.len()))?;
            collected.replace(more, self.config);
        }
        Ok(collected)
    }

    fn sample(
        &mut self,
        sampling: &Sampling,
        progress: &mut Progress,
        count: usize,
    ) -> Result<Collected, TrainError> {
        let tasks = progress
            .cursor
            .take(self.config.seed, self.train.len(), count);
        let prompts: Vec<&Prompt> = tasks.iter().map(|&task| &self.train[task].prompt).collect();
        let samples = self.config.rollout.samples_per_prompt;
        let of: Vec<&Task> = tasks.iter().map(|&task| &self.train[task]).collect();
        let mut judge = Judge::new(&self.policy.tokenizer, self.verifiers, of.clone());
        let samples = match self.config.method {
            Method::Grpo => {
                self.observer.phase(Phase::Rollout, count * samples);
                let observer = self.observer;
                let mut hear = |heard: Heard<'_>| match heard {
                    Heard::Tokens(tokens) => observer.drawn(tokens),
                    Heard::Group(number, samples) => judge.group(number, samples),
                };
                self.rollouts
                    .generate(&prompts, samples, sampling, &mut hear)?
            }
            Method::Sft => self.solutions(&of)?,
        };
        let scored = judge.finish(&samples)?;
        let rewards = rewards(self.config, sampling.step, &scored);
        let advantages = match self.config.method {
            Method::Grpo => advantages(
                &rewards,
                self.config.advantage.scale,
                self.config.advantage.epsilon,
            ),
            Method::Sft => of_solutions(rewards.len()),
        };
        Ok(Collected {
            rollout: Rollout {
                prompts: prompts.into_iter().cloned().collect(),
                samples,
            },
            tasks,
            scored,
            rewards,
            advantages,
            resampled: 0,
        })
    }

    /// The solution of each problem, in place of completions.
    fn solutions(&self, tasks: &[&Task]) -> Result<Vec<Vec<Sample>>, TrainError> {
        let limit = self.config.rollout.max_new_tokens;
        let solution = |task: &&Task| Ok(vec![self.prompter.solution(&task.problem, limit)?]);
        tasks.iter().map(solution).collect()
    }

    fn sampling(&self, step: u64) -> Sampling {
        let rollout = &self.config.rollout;
        Sampling {
            temperature: rollout.temperature,
            top_p: rollout.top_p,
            top_k: rollout.top_k,
            max_new_tokens: rollout.max_new_tokens,
            stop: self.prompter.stop.clone(),
            seed: self.config.seed,
            step,
        }
    }

    /// The updates of a step; gives what the last one came to, and the norm of its gradient.
    fn update(
        &self,
        collected: &Collected,
        progress: &mut Progress,
        rate: f64,
    ) -> Result<(Updated, f64), TrainError> {
        let completions: usize = collected.rollout.samples.iter().map(Vec::len).sum();
        self.observer.phase(Phase::Update, completions);
        let mut update = Update::new(
            self.policy,
            self.config,
            &collected.rollout,
            &collected.advantages,
        );
        let updates = self.config.update.updates_per_step;
        if updates > 1 {
            update.keep_old(&progress.v)?;
        }
        let mut last = (Updated::default(), 0.0);
        for _ in 0..updates {
            let mut updated = update.compute(&progress.v)?;
            let size = clip(&mut updated.gradient, self.config.optimizer.clip);
            if !size.is_finite() || !updated.loss.is_finite() {
                return Err(TrainError::Diverged {
                    what: "the gradient",
                    found: size.to_string(),
                });
            }
            // Nothing was learned: v does not drift on the momentum of earlier steps, or to 0 by the decay.
            if updated.computed > 0 {
                progress.adam.step(&mut progress.v, &updated.gradient, rate);
            }
            last = (updated, size);
        }
        Ok(last)
    }

    fn record(
        &self,
        directory: &mut RunDirectory,
        collected: &Collected,
        progress: &Progress,
        metrics: &StepMetrics,
    ) -> Result<(), TrainError> {
        let mut number = 0;
        for ((&task, scored), samples) in collected
            .tasks
            .iter()
            .zip(&collected.scored)
            .zip(&collected.rollout.samples)
        {
            let task = &self.train[task];
            for (scored, sample) in scored.iter().zip(samples) {
                let advantage = collected.advantages.values[number];
                number += 1;
                directory.sample(&sample_record(
                    metrics.step,
                    task,
                    scored,
                    sample,
                    advantage,
                ))?;
            }
        }
        let ids: Vec<String> = collected
            .tasks
            .iter()
            .map(|&task| self.train[task].problem.id.clone())
            .collect();
        let texts: Vec<String> = collected
            .scored
            .iter()
            .flatten()
            .map(|s| s.text.clone())
            .collect();
        // Unscorable completions have no reward; the log wants a number, and they had no influence.
        let rewards: Vec<f64> = collected
            .rewards
            .iter()
            .flatten()
            .map(|reward| reward.unwrap_or(0.0))
            .collect();
        directory.step(metrics.step, &progress.v, Some((&ids, &texts, &rewards)))?;
        directory.metrics(metrics)
    }

    fn guard(&self, metrics: &StepMetrics) -> Result<(), TrainError> {
        let limit = self.config.guard.max_kl;
        match metrics.kl {
            Some(kl) if limit > 0.0 && kl > limit => Err(TrainError::Diverged {
                what: "the KL to the base, which guard.max_kl limits,",
                found: kl.to_string(),
            }),
            _ => Ok(()),
        }
    }
}
