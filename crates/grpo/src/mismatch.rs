//! How far the sampler's log-probabilities are from the learner's.

use serde::Serialize;

/// Over all tokens whose sampler log-probability is known; d is learner minus sampler.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Mismatch {
    /// Tokens.
    pub tokens: usize,
    /// Mean |d|.
    pub mean: f64,
    /// Largest |d|.
    pub max: f64,
    /// KL(sampler ‖ learner) by k1: mean −d.
    pub k1: f64,
    /// The same by k3: mean e^d − d − 1.
    pub k3: f64,
    /// Effective sample size, as a share of the tokens: (Σ e^d)² / (tokens · Σ e^2d).
    pub effective: f64,
    /// The smallest e^d.
    pub ratio_min: f64,
    /// Mean e^d.
    pub ratio_mean: f64,
    /// The largest e^d.
    pub ratio_max: f64,
}

impl Mismatch {
    /// Of pairs (learner, sampler). Those whose difference is not finite are left out; no result is NaN.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let differences = pairs
            .into_iter()
            .map(|(learner, sampler)| learner - sampler);
        let finite: Vec<f64> = differences.filter(|d| d.is_finite()).collect();
        if finite.is_empty() {
            return Self::default();
        }
        let mut found = Self {
            tokens: finite.len(),
            ratio_min: f64::INFINITY,
            ..Self::default()
        };
        for &d in &finite {
            let ratio = libm::exp(d);
            found.mean += d.abs();
            found.max = found.max.max(d.abs());
            found.k1 -= d;
            found.k3 += ratio - d - 1.0;
            found.ratio_min = found.ratio_min.min(ratio);
            found.ratio_mean += ratio;
            found.ratio_max = found.ratio_max.max(ratio);
        }
        let count = finite.len() as f64;
        found.mean /= count;
        found.k1 /= count;
        found.k3 /= count;
        found.ratio_mean /= count;
        found.effective = effective(&finite) / count;
        found
    }
}

/// (Σ e^d)² / Σ e^2d, relative to the largest e^d, so that neither sum overflows or vanishes.
fn effective(differences: &[f64]) -> f64 {
    let largest = differences
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    let (mut sum, mut squares) = (0.0, 0.0);
    for d in differences {
        let weight = libm::exp(d - largest);
        sum += weight;
        squares += weight * weight;
    }
    sum * sum / squares
}
