//! From logits to a token: temperature, top-k and top-p, and the log-probability of what was drawn.
//!
//! What is drawn depends on the seed of the sample and the position in it, and not on what else is in the batch.

use tlora_kernels as kernels;

use crate::error::{ModelError, Result};

/// How tokens are drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; 0 takes the most probable token.
    pub temperature: f64,
    /// Only the most probable tokens that together have this probability; 1 is all.
    pub top_p: f64,
    /// Only so many of the most probable tokens; 0 is all.
    pub top_k: usize,
    /// Tokens of a completion at most, the stop token included.
    pub max_new_tokens: usize,
    /// Tokens that end a completion; they are part of it.
    pub stop: Vec<u32>,
    /// The seed of the run.
    pub seed: u64,
    /// The step of the run, or whatever tells one set of samples of a prompt from another.
    pub step: u64,
}

impl Sampling {
    /// The most probable tokens.
    #[must_use]
    pub const fn greedy(max_new_tokens: usize, stop: Vec<u32>) -> Self {
        Self {
            temperature: 0.0,
            top_p: 1.0,
            top_k: 0,
            max_new_tokens,
            stop,
            seed: 0,
            step: 0,
        }
    }

    /// Whether any token may be drawn.
    #[cfg(feature = "cuda")]
    pub(super) fn is_plain(&self) -> bool {
        self.temperature == 0.0 || (self.top_k == 0 && self.top_p >= 1.0)
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |what, found: String, wanted| {
            Err(ModelError::Request {
                what,
                found,
                wanted,
            })
        };
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return wrong("temperature", self.temperature.to_string(), "0 or more");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", self.top_p.to_string(), "more than 0, at most 1");
        }
        if self.max_new_tokens == 0 {
            return wrong("max_new_tokens", "0".to_owned(), "at least 1");
        }
        Ok(())
    }
}

/// The random numbers of one sample.
pub(super) struct Stream(blake3::OutputReader);

impl Stream {
    /// The stream of a sample of a prompt in a step of a run.
    pub(super) fn new(sampling: &Sampling, prompt: &str, sample: usize) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("tlora 2026-11 sample v1");
        hasher.update(&sampling.seed.to_le_bytes());
        hasher.update(&sampling.step.to_le_bytes());
        hasher.update(&(sample as u64).to_le_bytes());
        hasher.update(prompt.as_bytes());
        Self(hasher.finalize_xof())
    }

    /// A number from 0 to just below 1.
    pub(super) fn next(&mut self) -> f64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        #[expect(clippy::cast_precision_loss, reason = "53 bits are left")]
        let integer = (u64::from_le_bytes(bytes) >> 11) as f64;
        integer / (1_u64 << 53) as f64
    }
}

/// Draws a token from a row of logits, which is overwritten; gives the token and its log-probability. With top-k or top-p it is
/// the log-probability among the tokens that are kept.
pub(super) fn draw(logits: &mut [f32], sampling: &Sampling, stream: &mut Stream) -> (u32, f32) {
    if sampling.temperature == 0.0 {
        return most_probable(logits);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rounding that is wanted"
    )]
    let inverse = (1.0 / sampling.temperature) as f32;
    let log_sum = kernels::log_sum_exp(logits, inverse);
    let uniform = stream.next();
    if sampling.top_k == 0 && sampling.top_p >= 1.0 {
        let scores = logits.to_vec();
        kernels::probabilities(logits, log_sum, inverse);
        let token = at(logits.iter().copied(), uniform);
        return (number(token), scores[token] * inverse - log_sum);
    }
    let scores = logits.to_vec();
    kernels::probabilities(logits, log_sum, inverse);
    let (kept, mass) = kept(&scores, logits, sampling);
    let chosen = kept[at(kept.iter().map(|&token| logits[token]), uniform)];
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the rounding that is wanted"
    )]
    let log_prob = (f64::from(scores[chosen] * inverse - log_sum) - libm::log(mass)) as f32;
    (number(chosen), log_prob)
}

fn most_probable(logits: &[f32]) -> (u32, f32) {
    let better =
        |best: usize, (i, &logit): (usize, &f32)| if logit > logits[best] { i } else { best };
    let token = logits.iter().enumerate().fold(0, better);
    (
        number(token),
        logits[token] - kernels::log_sum_exp(logits, 1.0),
    )
}

/// The first place where the sum of the probabilities passes `uniform` of the whole.
fn at(probabilities: impl Iterator<Item = f32> + Clone, uniform: f64) -> usize {
    let total: f64 = probabilities.clone().map(f64::from).sum();
    let (mut sum, mut last) = (0.0, 0);
    for (i, p) in probabilities.enumerate() {
        sum += f64::from(p);
        if p > 0.0 {
            last = i;
        }
        if sum > uniform * total {
            return i;
        }
    }
    last
}

/// The tokens that top-k and top-p keep, the most probable first, and their probability.
fn kept(scores: &[f32], probabilities: &[f32], sampling: &Sampling) -> (Vec<usize>, f64) {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    if sampling.top_k > 0 {
        order.truncate(sampling.top_k);
    }
    let whole: f64 = order.iter().map(|&i| f64::from(probabilities[i])).sum();
    let (mut mass, mut count) = (0.0, 0);
    for &i in &order {
        mass += f64::from(probabilities[i]);
        count += 1;
        if mass >= sampling.top_p * whole {
            break;
        }
    }
    order.truncate(count);
    (order, mass)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "vocabularies have less than 2^28 tokens"
)]
const fn number(token: usize) -> u32 {
    token as u32
}
