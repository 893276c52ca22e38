//! AdamW against torch, its state, the schedules and the clipping of the gradient.

use tlora_grpo::{AdamW, OptimizerSettings, Schedule, clip};

/// Half the distance of 1 to the next f32.
const EPSILON: f64 = 5.960_464_477_539_063e-8;

/// For each step, `p.grad` of `p = torch.nn.Parameter(torch.tensor([0.01, -0.02, 0.5], dtype=torch.float64))` before
/// `torch.optim.AdamW([p], lr=1e-2, weight_decay=w).step()`; torch 2.15. `TORCH` has w and `p` after the fourth.
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
            let tolerance = 4.0 * expected.abs() * EPSILON + 1e-9;
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

#[test]
fn a_gradient_of_zero_moves_v_by_the_decay_alone() {
    let settings = OptimizerSettings {
        weight_decay: 0.5,
        ..OptimizerSettings::default()
    };
    let (mut v, mut adam) = ([2.0, -4.0], AdamW::new(settings, 2));
    adam.step(&mut v, &[0.0, 0.0], 0.25);
    assert_eq!(v, [1.75, -3.5]);
}

#[test]
fn a_setting_that_makes_no_step_is_refused_by_its_name() {
    type Change = fn(&mut OptimizerSettings);
    let changes: [(&str, Change); 6] = [
        ("lr", |s| s.lr = f64::INFINITY),
        ("beta1", |s| s.beta1 = 1.0),
        ("beta2", |s| s.beta2 = -0.1),
        ("epsilon", |s| s.epsilon = 0.0),
        ("weight_decay", |s| s.weight_decay = f64::NAN),
        ("clip", |s| s.clip = -1.0),
    ];
    assert_eq!(OptimizerSettings::default().check(), Ok(()));
    for (key, change) in changes {
        let mut settings = OptimizerSettings::default();
        change(&mut settings);
        assert_eq!(settings.check().unwrap_err().key, key);
    }
}
