//! What servers have to say under given weights: the learner's log-probabilities of a fixed text, the probe.

use tlora_model::{Learner as Scorer, PromptGroup};
use tlora_train::evaluate::Task;
use tlora_train::{Policy, TrainError};

use super::error::EngineError;

/// Tokens of a probe.
const PROBE: usize = 64;
/// Rounding to bf16 comes to some hundredths, a quantised base to a tenth; another model is farther away.
pub(super) const SAME_MODEL: f32 = 0.25;
/// The least tolerance for merged checkpoints: what rounding to bf16 comes to.
const MERGED: f32 = 0.05;
/// The least tolerance: servers in f32 come to 1e-5.
const LEAST: f32 = 1e-3;

/// The first prompts, one after the other, as far as a probe goes.
pub(crate) fn probe(tasks: &[Task]) -> Vec<u32> {
    let tokens = tasks.iter().flat_map(|task| &task.prompt.tokens);
    tokens.copied().take(PROBE).collect()
}

/// The learner as a measure for servers.
pub(crate) struct Learner<'a> {
    policy: &'a Policy,
    probe: Vec<u32>,
    base: Vec<f32>,
    /// How far movements may differ on average, nats.
    tolerance: f32,
}

/// A v, and the probe's log-probabilities under it.
pub(super) struct Trial {
    pub(super) v: Vec<f32>,
    pub(super) scores: Vec<f32>,
}

impl<'a> Learner<'a> {
    /// Scores the probe under the base. A tolerance of 0 is measured by [`Self::meet`].
    pub(crate) fn new(
        policy: &'a Policy,
        probe: Vec<u32>,
        tolerance: f64,
    ) -> Result<Self, TrainError> {
        let mut learner = Self {
            policy,
            probe,
            base: Vec::new(),
            #[expect(clippy::cast_possible_truncation, reason = "a tolerance")]
            tolerance: tolerance as f32,
        };
        learner.base = learner.scores(None)?;
        Ok(learner)
    }

    pub(super) fn probe(&self) -> &[u32] {
        &self.probe
    }

    pub(super) fn base(&self) -> &[f32] {
        &self.base
    }

    pub(super) const fn tolerance(&self) -> f32 {
        self.tolerance
    }

    /// A merged checkpoint is rounded to the base's type, which can take all of a small update, and of any moves the sums as bf16 does.
    pub(super) fn tolerance_of_merged(&self, scores: &[f32]) -> f32 {
        let moved = mean_difference(&self.base, scores);
        self.tolerance.max(moved).max(MERGED)
    }

    /// Log-probabilities of the probe's tokens but the first, at temperature 1.
    pub(super) fn scores(&self, v: Option<&[f32]>) -> Result<Vec<f32>, TrainError> {
        let Some((first, rest)) = self.probe.split_first() else {
            return Ok(Vec::new());
        };
        let group = PromptGroup {
            prompt: std::slice::from_ref(first),
            completions: vec![rest],
        };
        let steering = v.map(|v| self.policy.steering(v));
        let scorer = Scorer::new(&self.policy.decoder, &self.policy.projections);
        let scores = scorer.scores(&[group], steering.as_ref(), 1.0)?;
        #[expect(clippy::cast_possible_truncation, reason = "servers give f32")]
        let scores = scores.iter().flatten().map(|score| score.log_prob as f32);
        Ok(scores.collect())
    }

    /// Compares the base of a server with the learner's, and widens the tolerance to what the server's rounding needs.
    pub(super) fn meet(
        &mut self,
        url: &str,
        scores: &[f32],
        measured: bool,
    ) -> Result<f32, EngineError> {
        let difference = mean_difference(&self.base, scores);
        if difference > SAME_MODEL {
            return Err(EngineError::AnotherBase {
                url: url.to_owned(),
                difference,
                limit: SAME_MODEL,
            });
        }
        if measured {
            // A movement has the rounding of two scores, and rounding is not the same for each v.
            self.tolerance = self.tolerance.max(4.0 * difference).max(LEAST);
        }
        Ok(difference)
    }

    /// A v that moves the probe by more than the tolerance on average; none if nothing does.
    pub(super) fn trial(&self) -> Result<Option<Trial>, TrainError> {
        let mut size = 0.02;
        for _ in 0..12 {
            let signs = (0..self.policy.projections.values()).map(|i| i % 2 == 0);
            let v: Vec<f32> = signs.map(|even| if even { size } else { -size }).collect();
            let scores = self.scores(Some(&v))?;
            if mean_difference(&self.base, &scores) > 2.0 * self.tolerance {
                return Ok(Some(Trial { v, scores }));
            }
            size *= 2.0;
        }
        Ok(None)
    }
}

/// The mean of |a − b|.
pub(super) fn mean_difference(a: &[f32], b: &[f32]) -> f32 {
    let (sum, count) = a
        .iter()
        .zip(b)
        .fold((0.0_f32, 0.0_f32), |(sum, count), (a, b)| {
            (sum + (a - b).abs(), count + 1.0)
        });
    sum / count.max(1.0)
}
