//! AdamW on v, with the schedule of its learning rate and the clipping of the gradient.
//!
//! v is f32, as it would be in a trainer of large models, and everything between the gradient and the new v is f64.

use serde::{Deserialize, Serialize};

use crate::settings::SettingError;

/// How the learning rate changes over a run, after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays.
    Constant,
    /// It falls to 0 in a line.
    Linear,
    /// It falls to 0 along half a cosine.
    Cosine,
}

/// The settings of the optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// The learning rate.
    pub lr: f64,
    /// Decay of the mean of the gradient.
    pub beta1: f64,
    /// Decay of the mean of its square.
    pub beta2: f64,
    /// Added to the root of the latter; above 0, for a gradient of 0 would make v NaN otherwise.
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

impl OptimizerSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), SettingError> {
        let within = |key, value: f64, below: f64, wanted| {
            if value >= 0.0 && value < below {
                return Ok(());
            }
            Err(SettingError {
                key,
                found: value.to_string(),
                wanted,
            })
        };
        let any = f64::INFINITY;
        within("lr", self.lr, any, "0 or more")?;
        within("beta1", self.beta1, 1.0, "0 or more, below 1")?;
        within("beta2", self.beta2, 1.0, "0 or more, below 1")?;
        if self.epsilon == 0.0 {
            return Err(SettingError {
                key: "epsilon",
                found: "0".to_owned(),
                wanted: "more than 0",
            });
        }
        within("epsilon", self.epsilon, any, "more than 0")?;
        within("weight_decay", self.weight_decay, any, "0 or more")?;
        within("clip", self.clip, any, "0 or more")
    }

    /// The learning rate of a step, from 0, of so many.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of steps")]
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let whole = steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / whole).min(1.0);
        match self.schedule {
            Schedule::Constant => self.lr,
            Schedule::Linear => self.lr * (1.0 - done),
            Schedule::Cosine => self.lr * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done)),
        }
    }
}

/// The moments of AdamW, as bits, so that what is read back is what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdamState {
    /// Steps taken.
    pub steps: u64,
    /// Mean of the gradient, f64 bits.
    pub mean: Vec<u64>,
    /// Mean of its square, f64 bits.
    pub square: Vec<u64>,
}

/// AdamW (Loshchilov and Hutter), with bias correction.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamW {
    settings: OptimizerSettings,
    steps: u64,
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl AdamW {
    /// Before the first step, for so many numbers.
    #[must_use]
    pub fn new(settings: OptimizerSettings, count: usize) -> Self {
        Self {
            settings,
            steps: 0,
            mean: vec![0.0; count],
            square: vec![0.0; count],
        }
    }

    /// Where a run left off; none if the state is of another number of values.
    #[must_use]
    pub fn resume(settings: OptimizerSettings, count: usize, state: &AdamState) -> Option<Self> {
        let numbers = |bits: &[u64]| bits.iter().map(|&bits| f64::from_bits(bits)).collect();
        (state.mean.len() == count && state.square.len() == count).then(|| Self {
            settings,
            steps: state.steps,
            mean: numbers(&state.mean),
            square: numbers(&state.square),
        })
    }

    /// What a resumed run needs.
    #[must_use]
    pub fn state(&self) -> AdamState {
        let bits = |numbers: &[f64]| numbers.iter().map(|x| x.to_bits()).collect();
        AdamState {
            steps: self.steps,
            mean: bits(&self.mean),
            square: bits(&self.square),
        }
    }

    /// One step at this rate.
    pub fn step(&mut self, v: &mut [f32], gradient: &[f64], rate: f64) {
        let OptimizerSettings {
            beta1,
            beta2,
            epsilon,
            weight_decay,
            ..
        } = self.settings;
        self.steps += 1;
        let bias = |beta: f64| 1.0 - power(beta, self.steps);
        let (bias1, bias2) = (bias(beta1), bias(beta2));
        let moments = self.mean.iter_mut().zip(&mut self.square);
        for ((v, &g), (mean, square)) in v.iter_mut().zip(gradient).zip(moments) {
            *mean = beta1 * *mean + (1.0 - beta1) * g;
            *square = beta2 * *square + (1.0 - beta2) * g * g;
            let kept = f64::from(*v) * (1.0 - rate * weight_decay);
            let change = rate * (*mean / bias1) / ((*square / bias2).sqrt() + epsilon);
            #[expect(clippy::cast_possible_truncation, reason = "v is f32")]
            let new = (kept - change) as f32;
            *v = new;
        }
    }
}

/// x^n by multiplication: no libm between a gradient and v.
fn power(x: f64, n: u64) -> f64 {
    let (mut result, mut base, mut n) = (1.0, x, n);
    while n > 0 {
        if n & 1 == 1 {
            result *= base;
        }
        base *= base;
        n >>= 1;
    }
    result
}

/// Scales the gradient to norm `limit` if it is longer, and gives its norm before that. 0 does not clip.
pub fn clip(gradient: &mut [f64], limit: f64) -> f64 {
    let norm = norm(gradient);
    if limit > 0.0 && norm > limit {
        gradient.iter_mut().for_each(|g| *g *= limit / norm);
    }
    norm
}

/// The Euclidean norm.
#[must_use]
pub fn norm(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum::<f64>().sqrt()
}
