//! The derivatives of the loss against finite differences, for what the vectors do not combine.

use tlora_grpo::{
    AdamW, Correction, Denominators, KlKind, LossKind, LossSettings, OptimizerSettings, RatioLevel,
    Schedule, Sequence, clip, loss,
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

#[test]
fn a_masked_completion_has_no_loss_and_no_gradient() {
    let masked = Sequence {
        counts: false,
        ..sequence(&NEW, 1.0)
    };
    let found = loss(&[masked], &LossSettings::default(), &UPDATE);
    assert_eq!(found.value, 0.0);
    assert!(found.gradient[0].iter().all(|&g| g == 0.0));
}

/// torch 2.15 `torch.optim.AdamW` in binary64: lr 1e-2, four steps from [0.01, -0.02, 0.5].
const GRADIENTS: [[f64; 3]; 4] = [
    [0.3, -0.2, 1e-3],
    [0.1, 0.4, -2e-3],
    [-0.5, 0.05, 0.0],
    [0.2, 0.2, 5e-4],
];
const TORCH: [(f64, [f64; 3]); 2] = [
    (
        0.0,
        [
            -0.007_369_700_411_207_452_5,
            -0.022_182_408_877_326_04,
            0.497_483_786_844_475_53,
        ],
    ),
    (
        0.01,
        [
            -0.007_369_138_444_831_72,
            -0.022_176_325_340_649_16,
            0.497_285_801_349_779_9,
        ],
    ),
];

#[test]
fn adamw_is_torchs() {
    for (weight_decay, expected) in TORCH {
        let settings = OptimizerSettings {
            weight_decay,
            ..OptimizerSettings::default()
        };
        let mut v = [0.01, -0.02, 0.5];
        let mut adam = AdamW::new(settings, 3);
        for gradient in GRADIENTS {
            adam.step(&mut v, &gradient, 1e-2);
        }
        for (v, expected) in v.into_iter().zip(expected) {
            // v is rounded to f32 after each of the four steps.
            let tolerance = 4.0 * expected.abs() * 2_f64.powi(-24) + 1e-9;
            assert!(
                (f64::from(v) - expected).abs() <= tolerance,
                "{v} and {expected}"
            );
        }
    }
}

#[test]
fn a_resumed_optimizer_goes_on_with_the_same_bits() {
    let settings = OptimizerSettings::default();
    let (mut v, mut adam) = ([0.1_f32, -0.2], AdamW::new(settings, 2));
    adam.step(&mut v, &[0.3, 0.1], 1e-2);
    let json = serde_json::to_string(&adam.state()).unwrap();
    let state = serde_json::from_str(&json).unwrap();
    let mut resumed = AdamW::resume(settings, 2, &state).unwrap();
    assert_eq!(resumed, adam);
    let mut again = v;
    adam.step(&mut v, &[-0.2, 0.7], 1e-2);
    resumed.step(&mut again, &[-0.2, 0.7], 1e-2);
    assert_eq!(v.map(f32::to_bits), again.map(f32::to_bits));
    assert_eq!(AdamW::resume(settings, 3, &state), None);
}

#[test]
fn the_rate_rises_and_falls() {
    let settings = |schedule| OptimizerSettings {
        lr: 1.0,
        warmup: 4,
        schedule,
        ..OptimizerSettings::default()
    };
    let rates = |schedule| [0, 3, 4, 9, 14].map(|step| settings(schedule).rate(step, 14));
    assert_eq!(rates(Schedule::Constant), [0.25, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(rates(Schedule::Linear), [0.25, 1.0, 1.0, 0.5, 0.0]);
    let cosine = rates(Schedule::Cosine);
    assert!((cosine[3] - 0.5).abs() < 1e-12 && cosine[4].abs() < 1e-12);
}

#[test]
fn a_long_gradient_is_cut_to_the_limit_and_a_short_one_is_not() {
    let mut gradient = [3.0, 4.0];
    assert_eq!(clip(&mut gradient, 1.0), 5.0);
    assert!((gradient[0] - 0.6).abs() < 1e-15 && (gradient[1] - 0.8).abs() < 1e-15);
    assert_eq!(clip(&mut gradient, 0.0), 1.0);
}
