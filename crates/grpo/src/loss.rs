//! The loss of an update and its derivatives by the log-probabilities: one function for every variant.
//!
//! A token's loss is x = w·p + β·kl, with p the policy loss, w the correction for the sampler and kl the penalty; the variants
//! differ in p and in how the x are weighted (grpo.md, the derivations; TRL and verl, the numbers).

use crate::correction::corrections;
use crate::settings::{KlKind, LossKind, LossSettings};

/// One completion.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// Its advantage.
    pub advantage: f64,
    /// Log-probabilities of its tokens under the policy that is trained.
    pub new: &'a [f64],
    /// Those before the update; none if this is the first update on these samples, and they are the same.
    pub old: Option<&'a [f64]>,
    /// Those that the sampler drew with; NaN, or none at the end, where it did not say.
    pub sampler: Option<&'a [f64]>,
    /// Those under the base; needed if β is not 0.
    pub reference: Option<&'a [f64]>,
    /// Whether it counts: a masked completion has no loss, and stays in the number of completions.
    pub counts: bool,
}

/// What the weights of an update are made of: all of it, and the micro-batch that is computed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denominators {
    /// Completions of the update, those without loss included.
    pub sequences: usize,
    /// Completions of the update that count.
    pub counting: usize,
    /// Tokens of the completions that count.
    pub tokens: usize,
    /// Micro-batches of the update.
    pub micro_batches: usize,
    /// Tokens that count in this micro-batch, those of completions that are skipped for their zero advantage included.
    pub micro_tokens: usize,
    /// The most tokens that a completion may have.
    pub max_tokens: usize,
}

/// What one micro-batch adds to the loss of the update.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loss {
    /// The loss.
    pub value: f64,
    /// Its derivatives by `new`, for each token.
    pub gradient: Vec<Vec<f64>>,
    /// w·p + β·kl of each token; 0 in a completion that does not count.
    pub per_token: Vec<Vec<f64>>,
    /// What there is to report.
    pub metrics: LossMetrics,
}

/// Sums over tokens that count.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LossMetrics {
    /// Tokens.
    pub tokens: usize,
    /// Tokens whose ratio was cut from below.
    pub clipped_low: usize,
    /// Tokens whose ratio was cut from above.
    pub clipped_high: usize,
    /// Σ of the KL estimate.
    pub kl: f64,
    /// Σ of the ratio.
    pub ratio: f64,
    /// The smallest ratio.
    pub ratio_min: f64,
    /// The largest ratio.
    pub ratio_max: f64,
}

impl LossMetrics {
    /// Adds those of another micro-batch.
    pub fn add(&mut self, other: &Self) {
        if other.tokens == 0 {
            return;
        }
        let (min, max) = if self.tokens == 0 {
            (other.ratio_min, other.ratio_max)
        } else {
            (
                self.ratio_min.min(other.ratio_min),
                self.ratio_max.max(other.ratio_max),
            )
        };
        (self.ratio_min, self.ratio_max) = (min, max);
        self.tokens += other.tokens;
        self.clipped_low += other.clipped_low;
        self.clipped_high += other.clipped_high;
        self.kl += other.kl;
        self.ratio += other.ratio;
    }
}

/// The loss of a micro-batch, at settings that [`LossSettings::check`] accepts.
///
/// # Panics
/// If `old` or `reference` of a completion has another length than `new`.
#[must_use]
pub fn loss(sequences: &[Sequence<'_>], settings: &LossSettings, update: &Denominators) -> Loss {
    let mut loss = Loss::default();
    for sequence in sequences {
        let one = Tokens::new(sequence, settings).loss(weight(sequence, settings, update));
        loss.value += one.value;
        loss.gradient.extend(one.gradient);
        loss.per_token.extend(one.per_token);
        loss.metrics.add(&one.metrics);
    }
    loss
}

/// The weight of each token of a completion.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of tokens and completions"
)]
fn weight(sequence: &Sequence<'_>, settings: &LossSettings, update: &Denominators) -> f64 {
    let over = |count: usize| 1.0 / count.max(1) as f64;
    let (own, all) = (sequence.new.len(), update.sequences);
    match settings.kind {
        LossKind::Grpo | LossKind::Gspo => over(all) * over(own),
        LossKind::DrGrpo => over(all) * over(update.max_tokens),
        LossKind::Dapo | LossKind::Cispo => over(update.tokens),
        LossKind::Bnpo => over(update.micro_batches) * over(update.micro_tokens),
        LossKind::SeqMeanTokenMean => over(update.counting) / (own as f64 + 1e-8),
        LossKind::SeqMeanTokenSum => over(all),
        LossKind::SeqMeanTokenSumNorm => over(update.max_tokens),
    }
}

/// The quantities of one completion's tokens.
struct Tokens<'a> {
    sequence: &'a Sequence<'a>,
    settings: &'a LossSettings,
    /// new / old, of the token or of the completion.
    ratios: Vec<f64>,
    /// The correction for the sampler.
    corrections: Vec<f64>,
}

/// A branch that is chosen, and its slope.
#[derive(Clone, Copy)]
struct Branch {
    value: f64,
    /// By the ratio.
    slope: f64,
}

impl<'a> Tokens<'a> {
    fn new(sequence: &'a Sequence<'a>, settings: &'a LossSettings) -> Self {
        let old = sequence.old.unwrap_or(sequence.new);
        let differences = sequence.new.iter().zip(old).map(|(new, old)| new - old);
        let ratios = if settings.is_of_sequence() {
            #[expect(clippy::cast_precision_loss, reason = "tokens of a completion")]
            let mean = differences.sum::<f64>() / sequence.new.len().max(1) as f64;
            vec![libm::exp(mean); sequence.new.len()]
        } else {
            let cut = |d: f64| {
                if settings.clamp {
                    d.clamp(-20.0, 20.0)
                } else {
                    d
                }
            };
            differences.map(|d| libm::exp(cut(d))).collect()
        };
        Self {
            corrections: corrections(old, sequence.sampler, settings),
            sequence,
            settings,
            ratios,
        }
    }

    fn loss(&self, weight: f64) -> Loss {
        let count = self.sequence.new.len();
        let mut one = Loss {
            gradient: vec![vec![0.0; count]],
            per_token: vec![Vec::with_capacity(count)],
            ..Loss::default()
        };
        if !self.sequence.counts {
            // Not 0 times its numbers: they may be infinite.
            one.per_token[0].resize(count, 0.0);
            return one;
        }
        let mut by_ratio = vec![0.0; count];
        for (t, by_ratio) in by_ratio.iter_mut().enumerate() {
            let (ratio, correction) = (self.ratios[t], self.corrections[t]);
            let policy = self.policy(t);
            let (kl, kl_slope) = self.kl(t);
            let (kl_value, kl_factor) = if self.settings.kl_ratio {
                (kl * ratio, ratio)
            } else {
                (kl, 1.0)
            };
            let beta = self.settings.beta;
            let x = correction * policy.value + beta * kl_value;
            one.per_token[0].push(x);
            one.value += weight * x;
            *by_ratio = weight * correction * policy.slope;
            if self.settings.kl_ratio {
                *by_ratio += weight * beta * kl;
            }
            one.gradient[0][t] = weight * beta * kl_slope * kl_factor;
            if self.settings.kind == LossKind::Cispo {
                one.gradient[0][t] += weight * correction * self.cispo(t);
            }
            self.count(&mut one.metrics, ratio, kl);
        }
        self.chain(&by_ratio, &mut one.gradient[0]);
        one
    }

    /// From derivatives by the ratios to derivatives by the log-probabilities.
    #[expect(clippy::cast_precision_loss, reason = "tokens of a completion")]
    fn chain(&self, by_ratio: &[f64], gradient: &mut [f64]) {
        if self.settings.is_of_sequence() {
            let ratio = self.ratios.first().copied().unwrap_or_default();
            let each = by_ratio.iter().sum::<f64>() * ratio / by_ratio.len().max(1) as f64;
            gradient.iter_mut().for_each(|g| *g += each);
        } else {
            let slopes = by_ratio.iter().zip(&self.ratios);
            for (t, (g, (slope, ratio))) in gradient.iter_mut().zip(slopes).enumerate() {
                if !self.is_cut(t) {
                    *g += slope * ratio;
                }
            }
        }
    }

    /// Whether the log-ratio of a token is at verl's limit, where it has no slope.
    fn is_cut(&self, t: usize) -> bool {
        let old = self.sequence.old.unwrap_or(self.sequence.new);
        self.settings.clamp && (self.sequence.new[t] - old[t]).abs() > 20.0
    }

    /// p, and its slope by the ratio.
    fn policy(&self, t: usize) -> Branch {
        let (a, r) = (self.sequence.advantage, self.ratios[t]);
        let LossSettings {
            eps_low, eps_high, ..
        } = *self.settings;
        if self.settings.kind == LossKind::Cispo {
            return Branch {
                value: self.cispo(t) * self.sequence.new[t],
                slope: 0.0,
            };
        }
        let capped = self.settings.delta.is_some_and(|delta| r > delta);
        let open = self.settings.delta.map_or(r, |delta| r.min(delta));
        let free = Branch {
            value: -open * a,
            slope: if capped { 0.0 } else { -a },
        };
        let held = r.clamp(1.0 - eps_low, 1.0 + eps_high);
        let inside = (1.0 - eps_low..=1.0 + eps_high).contains(&r);
        let cut = Branch {
            value: -held * a,
            slope: if inside { -a } else { 0.0 },
        };
        let chosen = if cut.value > free.value { cut } else { free };
        match self.settings.dual_clip {
            Some(limit) if a < 0.0 && -limit * a < chosen.value => Branch {
                value: -limit * a,
                slope: 0.0,
            },
            _ => chosen,
        }
    }

    /// −min(ratio, cap)·A, the constant weight of the log-probability.
    fn cispo(&self, t: usize) -> f64 {
        -self.ratios[t].min(self.settings.eps_high) * self.sequence.advantage
    }

    /// The KL estimate, and its slope by the log-probability.
    fn kl(&self, t: usize) -> (f64, f64) {
        let Some(reference) = self.sequence.reference else {
            return (0.0, 0.0);
        };
        let d = reference[t] - self.sequence.new[t];
        match self.settings.kl {
            KlKind::K1 => (-d, 1.0),
            KlKind::Abs => (d.abs(), if d == 0.0 { 0.0 } else { -d.signum() }),
            KlKind::K2 => (d * d / 2.0, -d),
            KlKind::K3 if self.settings.clamp => {
                let held = d.clamp(-20.0, 20.0);
                let growth = libm::exp(held);
                let k3 = growth - held - 1.0;
                let slope = if (d - held).abs() > 0.0 || k3 > 10.0 {
                    0.0
                } else {
                    1.0 - growth
                };
                (k3.min(10.0), slope)
            }
            KlKind::K3 => {
                let growth = libm::exp(d);
                (growth - d - 1.0, 1.0 - growth)
            }
        }
    }

    fn count(&self, metrics: &mut LossMetrics, ratio: f64, kl: f64) {
        let a = self.sequence.advantage;
        let (least, most) = match self.settings.kind {
            LossKind::Cispo => (f64::NEG_INFINITY, self.settings.eps_high),
            _ => (1.0 - self.settings.eps_low, 1.0 + self.settings.eps_high),
        };
        metrics.add(&LossMetrics {
            tokens: 1,
            clipped_low: usize::from(ratio < least && a < 0.0),
            clipped_high: usize::from(ratio > most && a > 0.0),
            kl,
            ratio,
            ratio_min: ratio,
            ratio_max: ratio,
        });
    }
}
