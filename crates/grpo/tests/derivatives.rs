//! The derivatives of the loss against finite differences, for what the vectors do not combine.

use tlora_grpo::{
    Correction, Denominators, KlKind, LossKind, LossSettings, RatioLevel, Sequence, loss,
};

const UPDATE: Denominators = Denominators {
    sequences: 4,
    counting: 3,
    tokens: 9,
    micro_batches: 2,
    micro_tokens: 5,
    max_tokens: 16,
};

const NEW: [f64; 5] = [-0.9, -1.7, -0.3, -2.2, -0.61];
const OLD: [f64; 5] = [-1.1, -1.2, -0.35, -2.9, -0.6];
const REFERENCE: [f64; 5] = [-1.0, -1.6, -0.1, -2.0, -0.9];
const SAMPLER: [f64; 5] = [-1.2, -1.25, -0.3, -2.5, f64::NAN];

fn sequence<'a>(new: &'a [f64], advantage: f64) -> Sequence<'a> {
    Sequence {
        advantage,
        new,
        old: Some(&OLD),
        sampler: Some(&SAMPLER),
        reference: Some(&REFERENCE),
        counts: true,
    }
}

fn all_settings() -> Vec<LossSettings> {
    let kinds = [
        LossKind::Grpo,
        LossKind::DrGrpo,
        LossKind::Dapo,
        LossKind::Bnpo,
        LossKind::Gspo,
        LossKind::SeqMeanTokenMean,
    ];
    let mut all = Vec::new();
    for kind in kinds {
        for kl in [KlKind::K1, KlKind::K2, KlKind::K3, KlKind::Abs] {
            for (kl_ratio, ratio) in [
                (false, RatioLevel::Token),
                (true, RatioLevel::Token),
                (true, RatioLevel::Sequence),
            ] {
                for (delta, dual_clip) in [(None, None), (Some(1.4), None), (None, Some(1.05))] {
                    all.push(LossSettings {
                        kind,
                        ratio,
                        kl,
                        kl_ratio,
                        delta,
                        dual_clip,
                        beta: 0.3,
                        eps_high: 0.28,
                        correction: Correction::TokenTruncate,
                        correction_cap: 1.3,
                        ..LossSettings::default()
                    });
                }
            }
        }
    }
    all
}

#[test]
fn gradients_are_central_differences() {
    for settings in all_settings() {
        for advantage in [0.8, -1.3] {
            let found = loss(&[sequence(&NEW, advantage)], &settings, &UPDATE);
            for t in 0..NEW.len() {
                let at = |h: f64| {
                    let mut new = NEW;
                    new[t] += h;
                    loss(&[sequence(&new, advantage)], &settings, &UPDATE).value
                };
                let slope = |h: f64| (at(h) - at(-h)) / (2.0 * h);
                let expected = (4.0 * slope(5e-5) - slope(1e-4)) / 3.0;
                let gradient = found.gradient[0][t];
                assert!(
                    (gradient - expected).abs() < 1e-9,
                    "{settings:?}, advantage {advantage}, token {t}: {gradient} and {expected}"
                );
            }
        }
    }
}
