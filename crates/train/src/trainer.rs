//! The loop: sample, score, update, record; evaluate and keep a checkpoint every so often.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Serialize;
use serde_json::json;
use tlora_grpo::{AdamW, Advantages, Spread, advantages, clip, norm, overlong_penalty};
use tlora_model::{Sample, Sampling};

use crate::config::{RunConfig, TruncatedSetting};
use crate::data::{Cursor, Stream};
use crate::evaluate::{Result as EvaluationResult, Scored, Task, Verifiers, evaluate, score};
use crate::prompts::Prompter;
use crate::records::RunDirectory;
use crate::rollouts::{Prompt, Rollouts};
use crate::state::{Best, State, VERSION, bits, values};
use crate::update::{Rollout, Update, Updated};
use crate::{Policy, TrainError};

/// What a run hears from while it goes on.
pub trait Observer {
    /// Something begins, of so many completions.
    fn phase(&self, phase: Phase, completions: usize) {
        let _ = (phase, completions);
    }
    /// So many tokens more were drawn.
    fn drawn(&self, tokens: usize) {
        let _ = tokens;
    }
    /// A step is done.
    fn step(&self, metrics: &StepMetrics) {
        let _ = metrics;
    }
    /// An evaluation is done.
    fn evaluated(&self, step: u64, kind: &str, result: &EvaluationResult) {
        let _ = (step, kind, result);
    }
}

impl Observer for () {}

/// Parts of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Completions are sampled.
    Rollout,
    /// The gradient is computed.
    Update,
    /// Problems are answered for an evaluation.
    Evaluation,
}

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

/// What a run is made of.
pub struct Trainer<'a> {
    /// The settings.
    pub config: &'a RunConfig,
    /// The model.
    pub policy: &'a Policy,
    /// The prompts' settings.
    pub prompter: &'a Prompter<'a>,
    /// The engine.
    pub rollouts: &'a mut dyn Rollouts,
    /// Who judges completions.
    pub verifiers: &'a Verifiers,
    /// Problems to train on.
    pub train: &'a [Task],
    /// Problems to evaluate on.
    pub eval: &'a [Task],
    /// Who hears of it.
    pub observer: &'a dyn Observer,
    /// Set from outside to end the run after the step that is going on.
    pub stop: &'a AtomicBool,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Complete,
    /// There was no better evaluation for a while.
    Patience,
    /// It was asked to, and can be resumed.
    Interrupted,
}

/// What a run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// v of the adapter.
    pub v: Vec<f32>,
    /// The step that it is of.
    pub step: u64,
    /// Why the run ended.
    pub ending: Ending,
}

/// Where a run is.
struct Progress {
    step: u64,
    v: Vec<f32>,
    adam: AdamW,
    cursor: Cursor,
    best: Option<Best>,
    since_best: u64,
}

/// A step's completions with everything that was found of them.
struct Collected {
    tasks: Vec<usize>,
    rollout: Rollout,
    scored: Vec<Vec<Scored>>,
    rewards: Vec<Vec<Option<f64>>>,
    advantages: Advantages,
    resampled: usize,
}

impl Trainer<'_> {
    /// Runs from the beginning or from a state.
    ///
    /// # Errors
    /// The engine, a verifier or the disk failed, or the numbers diverged. What was recorded stays, and can be resumed.
    pub fn run(
        &mut self,
        directory: &mut RunDirectory,
        identity: &str,
        state: Option<&State>,
    ) -> Result<Finished, TrainError> {
        let mut progress = self.start(state)?;
        if state.is_none() {
            directory.step(0, &progress.v, None)?;
            self.evaluation(directory, &mut progress)?;
            self.save(directory, identity, &progress)?;
        }
        let mut ending = Ending::Complete;
        while progress.step < self.config.steps {
            if self.config.evaluation.patience > 0
                && progress.since_best >= self.config.evaluation.patience
            {
                ending = Ending::Patience;
                break;
            }
            if self.stop.load(Ordering::Relaxed) {
                ending = Ending::Interrupted;
                break;
            }
            self.step(directory, &mut progress)?;
            let step = progress.step;
            let last = step == self.config.steps;
            let every = self.config.evaluation.every;
            if last || (every > 0 && step.is_multiple_of(every)) {
                self.evaluation(directory, &mut progress)?;
            }
            if last || step.is_multiple_of(self.config.checkpoint.every) {
                self.save(directory, identity, &progress)?;
            }
        }
        if ending != Ending::Complete {
            self.save(directory, identity, &progress)?;
        }
        Ok(self.finished(progress, ending))
    }

    fn finished(&self, progress: Progress, ending: Ending) -> Finished {
        match progress.best.filter(|_| self.config.evaluation.keep_best) {
            Some(best) => Finished {
                v: values(&best.v),
                step: best.step,
                ending,
            },
            None => Finished {
                v: progress.v,
                step: progress.step,
                ending,
            },
        }
    }

    fn start(&self, state: Option<&State>) -> Result<Progress, TrainError> {
        let settings = self.config.optimizer;
        let count = self.policy.projections.values();
        let Some(state) = state else {
            return Ok(Progress {
                step: 0,
                v: initial_v(self.config, count),
                adam: AdamW::new(settings, count),
                cursor: Cursor::default(),
                best: None,
                since_best: 0,
            });
        };
        let adam = AdamW::resume(settings, count, &state.adam).filter(|_| state.v.len() == count);
        let adam = adam.ok_or_else(|| TrainError::Setting {
            key: "the trained numbers of the checkpoint".to_owned(),
            found: state.v.len().to_string(),
            wanted: count.to_string(),
        })?;
        Ok(Progress {
            step: state.step,
            v: values(&state.v),
            adam,
            cursor: state.cursor,
            best: state.best.clone(),
            since_best: state.since_best,
        })
    }

    fn save(
        &self,
        directory: &RunDirectory,
        identity: &str,
        progress: &Progress,
    ) -> Result<(), TrainError> {
        let state = State {
            version: VERSION,
            run: identity.to_owned(),
            step: progress.step,
            v: bits(&progress.v),
            adam: progress.adam.state(),
            cursor: progress.cursor,
            best: progress.best.clone(),
            since_best: progress.since_best,
            logs: directory.position()?,
        };
        let precision = crate::precision(self.config.adapter.precision);
        let adapter = self.policy.adapter(&progress.v, precision)?.to_bytes();
        state.save(directory.path(), &adapter, self.config.checkpoint.keep)
    }

    fn step(
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
        directory.timing(&json!({
            "step": step, "rollout_seconds": sampled.as_secs_f64(),
            "update_seconds": (start.elapsed() - sampled).as_secs_f64(),
        }))?;
        self.observer.step(&metrics);
        self.guard(&metrics)
    }

    /// Completions of a step, scored. With resampling, groups without a difference are replaced by others, as far as the limit
    /// goes.
    fn collect(&mut self, step: u64, progress: &mut Progress) -> Result<Collected, TrainError> {
        let rollout = &self.config.rollout;
        self.rollouts.publish(Some(&progress.v))?;
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
        self.observer.phase(Phase::Rollout, count * samples);
        let observer = self.observer;
        let mut drawn = |tokens| observer.drawn(tokens);
        let samples = self
            .rollouts
            .generate(&prompts, samples, sampling, &mut drawn)?;
        let of: Vec<&Task> = tasks.iter().map(|&task| &self.train[task]).collect();
        let scored = score(self.policy, self.verifiers, &of, &samples)?;
        let rewards = rewards(self.config, sampling.step, &scored);
        let advantages = advantages(
            &rewards,
            self.config.advantage.scale,
            self.config.advantage.epsilon,
        );
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

    fn evaluation(
        &mut self,
        directory: &mut RunDirectory,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        if self.eval.is_empty() {
            return Ok(());
        }
        self.rollouts.publish(Some(&progress.v))?;
        let settings = &self.config.evaluation;
        let limit = self.config.evaluation_tokens();
        let greedy = Sampling::greedy(limit, self.prompter.stop.clone());
        let result = self.evaluate_once(directory, progress.step, "greedy", 1, &greedy)?;
        if settings.samples > 0 {
            let sampled = Sampling {
                temperature: settings.temperature,
                // The same random numbers at every step, so that a difference is one of v.
                seed: self.config.seed ^ 0x6576_616c,
                ..greedy
            };
            self.evaluate_once(
                directory,
                progress.step,
                "sampled",
                settings.samples,
                &sampled,
            )?;
        }
        let score = result.strict.share;
        let better = progress
            .best
            .as_ref()
            .is_none_or(|best| score > f64::from_bits(best.score));
        if better {
            progress.best = Some(Best {
                step: progress.step,
                score: score.to_bits(),
                v: bits(&progress.v),
            });
            progress.since_best = 0;
        } else {
            progress.since_best += 1;
        }
        Ok(())
    }

    fn evaluate_once(
        &mut self,
        directory: &mut RunDirectory,
        step: u64,
        kind: &str,
        samples: usize,
        sampling: &Sampling,
    ) -> Result<EvaluationResult, TrainError> {
        self.observer
            .phase(Phase::Evaluation, self.eval.len() * samples);
        let observer = self.observer;
        let found = evaluate(
            self.policy,
            self.rollouts,
            self.verifiers,
            self.eval,
            (samples, sampling),
            &mut |tokens| observer.drawn(tokens),
        )?;
        let ids: Vec<String> = self
            .eval
            .iter()
            .map(|task| task.problem.id.clone())
            .collect();
        let result = directory.evaluation(step, kind, &ids, &found)?;
        self.observer.evaluated(step, kind, &result);
        Ok(result)
    }
}

impl Collected {
    /// Puts the groups of `more` that have a difference in the place of those that have none.
    fn replace(&mut self, more: Self, config: &RunConfig) {
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

/// v before training.
fn initial_v(config: &RunConfig, count: usize) -> Vec<f32> {
    let mut stream = Stream::new("tlora 2026-11 initial v v1", &[config.seed]);
    let size = config.adapter.init;
    #[expect(clippy::cast_possible_truncation, reason = "v is f32")]
    let mut one = || (size * stream.symmetric()) as f32;
    (0..count)
        .map(|_| if size == 0.0 { 0.0 } else { one() })
        .collect()
}

/// What each completion is worth in training.
fn rewards(config: &RunConfig, step: u64, scored: &[Vec<Scored>]) -> Vec<Vec<Option<f64>>> {
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

fn sample_record(
    step: u64,
    task: &Task,
    scored: &Scored,
    sample: &Sample,
    advantage: f64,
) -> serde_json::Value {
    json!({
        "step": step,
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

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of completions and tokens"
)]
fn measured(
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
