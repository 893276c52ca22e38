//! What a policy can do: problems, greedy and sampled, by a strict and a lenient verifier on the same completions.

use serde::Serialize;
use tlora_model::{Sampling, Tokenizer};
use tlora_reward::{Score, Verifier, VerifierSettings, build, build_pair};

use crate::TrainError;
use crate::data::Problem;
use crate::judge::Judge;
use crate::rollouts::{Heard, Prompt, Rollouts};

/// Problems with their prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The problem.
    pub problem: Problem,
    /// Its prompt.
    pub prompt: Prompt,
}

/// Who judges completions.
pub struct Verifiers {
    /// What is trained with: the kind and mode of the settings.
    pub reward: Box<dyn Verifier>,
    /// The strict reading of that kind.
    pub strict: Box<dyn Verifier>,
    /// The lenient reading, if the kind has one.
    pub lenient: Option<Box<dyn Verifier>>,
}

impl Verifiers {
    /// The verifiers of a configuration.
    ///
    /// # Errors
    /// Options that no verifier can be built from.
    pub fn new(settings: &VerifierSettings) -> std::result::Result<Self, TrainError> {
        let pair = build_pair(settings)?;
        Ok(Self {
            reward: build(settings)?,
            strict: pair.strict,
            lenient: pair.lenient,
        })
    }

    /// All of them: gold answers have to be usable by each.
    #[must_use]
    pub fn all(&self) -> Vec<&dyn Verifier> {
        let both = [self.reward.as_ref(), self.strict.as_ref()].into_iter();
        both.chain(self.lenient.as_deref()).collect()
    }
}

/// A completion with what the verifiers say.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The completion as text, without stop tokens.
    pub text: String,
    /// Its tokens, the stop token included.
    pub tokens: usize,
    /// Whether it was cut off.
    pub truncated: bool,
    /// What it is worth in training.
    pub reward: Score,
    /// What the strict verifier says.
    pub strict: Score,
    /// What the lenient one says, if there is one.
    pub lenient: Option<Score>,
}

/// Right answers of some number, with Wilson's interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Right ones; means of several samples are not whole.
    pub right: f64,
    /// All.
    pub of: usize,
    /// right / of.
    pub share: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Share {
    /// The share and its interval.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of problems")]
    pub fn new(right: f64, of: usize) -> Self {
        const Z: f64 = 1.959_963_984_540_054;
        let n = of.max(1) as f64;
        let p = right / n;
        let (middle, spread) = (
            p + Z * Z / (2.0 * n),
            Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt(),
        );
        let scale = 1.0 + Z * Z / n;
        Self {
            right,
            of,
            share: p,
            low: ((middle - spread) / scale).max(0.0),
            high: ((middle + spread) / scale).min(1.0),
        }
    }
}

/// The results of one way of answering.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Result {
    /// By the strict verifier.
    pub strict: Share,
    /// By the lenient one.
    pub lenient: Option<Share>,
    /// Problems that one of the samples got right, strictly.
    pub pass: Share,
    /// Mean tokens of a completion.
    pub tokens: f64,
    /// Share of completions that were cut off.
    pub truncated: f64,
    /// Completions that no verifier could judge.
    pub unscorable: usize,
}

/// An evaluation: each problem's completions, problem by problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// One list a problem.
    pub completions: Vec<Vec<Scored>>,
}

/// Answers all tasks and scores the answers.
///
/// # Errors
/// The engine or a verifier failed.
pub fn evaluate(
    tokenizer: &Tokenizer,
    rollouts: &mut dyn Rollouts,
    verifiers: &Verifiers,
    tasks: &[Task],
    (samples, sampling): (usize, &Sampling),
    drawn: &mut dyn FnMut(usize),
) -> std::result::Result<Evaluation, TrainError> {
    let prompts: Vec<&Prompt> = tasks.iter().map(|task| &task.prompt).collect();
    let mut judge = Judge::new(tokenizer, verifiers, tasks.iter().collect());
    let completions = rollouts.generate(&prompts, samples, sampling, &mut |heard| match heard {
        Heard::Tokens(tokens) => drawn(tokens),
        Heard::Group(number, samples) => judge.group(number, samples),
    })?;
    Ok(Evaluation {
        completions: judge.finish(&completions)?,
    })
}

impl Evaluation {
    /// The numbers.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of completions")]
    pub fn result(&self) -> Result {
        let all: Vec<&Scored> = self.completions.iter().flatten().collect();
        let count = all.len().max(1) as f64;
        let tokens: usize = all.iter().map(|scored| scored.tokens).sum();
        let truncated = all.iter().filter(|scored| scored.truncated).count();
        let strict = |scored: &Scored| scored.strict.reward;
        let lenient = |scored: &Scored| scored.lenient.as_ref().and_then(|score| score.reward);
        let passes = self.completions.iter().filter(|completions| {
            completions
                .iter()
                .any(|scored| strict(scored).is_some_and(|reward| reward >= 1.0))
        });
        let has_lenient = all.iter().any(|scored| scored.lenient.is_some());
        Result {
            strict: self.share(strict),
            lenient: has_lenient.then(|| self.share(lenient)),
            pass: Share::new(passes.count() as f64, self.completions.len()),
            tokens: tokens as f64 / count,
            truncated: truncated as f64 / count,
            unscorable: all.iter().filter(|s| s.strict.reward.is_none()).count(),
        }
    }

    /// The mean reward over problems; a problem's is the mean over its scorable completions, and those without one are left
    /// out.
    fn share(&self, reward: impl Fn(&Scored) -> Option<f64>) -> Share {
        let items = self.item_scores(reward);
        let scorable: Vec<f64> = items.into_iter().flatten().collect();
        Share::new(scorable.iter().sum(), scorable.len())
    }

    /// The mean reward of each problem.
    #[expect(clippy::cast_precision_loss, reason = "counts of samples")]
    pub(crate) fn item_scores(&self, reward: impl Fn(&Scored) -> Option<f64>) -> Vec<Option<f64>> {
        self.completions
            .iter()
            .map(|completions| {
                let rewards: Vec<f64> = completions.iter().filter_map(&reward).collect();
                let sum: f64 = rewards.iter().sum();
                (!rewards.is_empty()).then(|| (sum / rewards.len() as f64).clamp(0.0, 1.0))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // scipy: binomtest(4, 40).proportion_ci(method="wilson"), binomtest(0, 10) likewise.
        let share = Share::new(4.0, 40);
        assert!(
            (share.low - 0.039_579_528_682_606_36).abs() < 1e-12,
            "{share:?}"
        );
        assert!(
            (share.high - 0.230_517_752_275_222_98).abs() < 1e-12,
            "{share:?}"
        );
        let none = Share::new(0.0, 10);
        assert_eq!(none.low, 0.0);
        assert!(
            (none.high - 0.277_532_799_862_889_26).abs() < 1e-12,
            "{none:?}"
        );
    }
}
