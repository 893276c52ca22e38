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
    /// Of pairs (learner, sampler). Those that are not finite are left out.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of tokens")]
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut found = Self {
            ratio_min: f64::INFINITY,
            ..Self::default()
        };
        let (mut ratios, mut squares) = (0.0, 0.0);
        for (learner, sampler) in pairs {
            let d = learner - sampler;
            if !d.is_finite() {
                continue;
            }
            let ratio = d.exp();
            found.tokens += 1;
            found.mean += d.abs();
            found.max = found.max.max(d.abs());
            found.k1 -= d;
            found.k3 += ratio - d - 1.0;
            found.ratio_min = found.ratio_min.min(ratio);
            found.ratio_max = found.ratio_max.max(ratio);
            ratios += ratio;
            squares += ratio * ratio;
        }
        if found.tokens == 0 {
            return Self::default();
        }
        let count = found.tokens as f64;
        found.mean /= count;
        found.k1 /= count;
        found.k3 /= count;
        found.ratio_mean = ratios / count;
        found.effective = ratios * ratios / (count * squares);
        found
    }
}
