//! The gradient of v: against finite differences of the whole model in binary64, and against torch.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use serde::Deserialize;
use tlora_format::{Adapter, SigmaSide};
use tlora_merge::Groups;
use tlora_model::{Compute, Learner, PromptGroup};

use support::{adapted, adapter, cases, checkpoint, golden, numbers};

const TEMPERATURE: f64 = 0.7;

/// Two prompts, one with three completions of different lengths and one with a single token.
fn groups() -> Vec<PromptGroup<'static>> {
    vec![
        PromptGroup {
            prompt: &[3, 1, 4, 1, 5],
            completions: vec![&[9, 2, 6], &[5], &[3, 5, 8, 9, 7, 9]],
        },
        PromptGroup {
            prompt: &[2],
            completions: vec![&[7, 1, 8, 2]],
        },
    ]
}

/// Coefficients of the log-probabilities: those of the shape of `groups`.
fn coefficients() -> Vec<Vec<f64>> {
    let flat = numbers(14, 1.0);
    let mut flat = flat.into_iter();
    [3, 1, 6, 4]
        .map(|n| flat.by_ref().take(n).collect())
        .to_vec()
}

fn loss(learner: &Learner<'_>, steering: &tlora_model::Steering) -> f64 {
    let scores = learner
        .scores(&groups(), Some(steering), TEMPERATURE)
        .unwrap();
    let pairs = scores.concat().into_iter().zip(coefficients().concat());
    pairs
        .map(|(score, coefficient)| coefficient * score.log_prob)
        .sum()
}

#[test]
fn equals_central_differences_in_binary64_for_every_family_tying_and_sigma_side() {
    let all = cases("")
        .into_iter()
        .filter(|name| !name.starts_with("gradient"));
    let mut checked = 0;
    for case in all {
        let checkpoint = checkpoint(&case);
        for (side, tying) in [
            (SigmaSide::Left, Groups::One),
            (SigmaSide::Split, Groups::Untied),
            (
                SigmaSide::Right,
                Groups::Count(std::num::NonZero::new(3).unwrap()),
            ),
        ] {
            let adapter = adapter(&checkpoint, 3, tying, side);
            let (decoder, projections) = adapted(&checkpoint, &adapter, Compute::F64);
            let learner = Learner::new(&decoder, &projections);
            let v = numbers(projections.values(), 0.1);
            let steering = projections.steering(&v);
            let (_, gradient) = learner
                .gradient(&groups(), &steering, TEMPERATURE, |_| coefficients())
                .unwrap();
            let gradient = learner.v_gradient(&gradient);
            let size = gradient.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
            for i in 0..v.len().min(4) {
                let at = |h: f64| {
                    let mut v = v.clone();
                    v[i] += h;
                    loss(&learner, &projections.steering(&v))
                };
                let slope = |h: f64| (at(h) - at(-h)) / (2.0 * h);
                // Richardson: the error is of the fourth order in h.
                let expected = (4.0 * slope(5e-4) - slope(1e-3)) / 3.0;
                let error = (gradient[i] - expected).abs() / size;
                assert!(
                    error < 1e-7,
                    "{case} {side:?} v[{i}]: {} and {expected}",
                    gradient[i]
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 60, "{checked} slopes only");
}

#[derive(Deserialize)]
struct Expected {
    tokens: Vec<u32>,
    prompt_length: usize,
    temperature: f64,
    coefficients: Vec<f64>,
    logp: Vec<f64>,
    loss: f64,
    grad_v: Vec<Vec<f64>>,
}

/// The adapter's v, group by group.
fn v_of(adapter: &Adapter) -> Vec<f64> {
    let groups = 0..adapter.group_count;
    groups
        .flat_map(|group| adapter.v(group).unwrap().collect::<Vec<_>>())
        .collect()
}

#[test]
fn equals_torch_through_peft_and_by_hand_for_every_sigma_side_and_tying() {
    let all = cases("gradient-");
    assert!(all.len() >= 6, "{all:?}");
    for case in all {
        let read = |name: &str| fs_err::read(golden().join(&case).join(name)).unwrap();
        let expected: Expected = serde_json::from_slice(&read("expected.json")).unwrap();
        let adapter = Adapter::parse(&read("adapter.tlora")).unwrap();
        let (prompt, completion) = expected.tokens.split_at(expected.prompt_length);
        let groups = [PromptGroup {
            prompt,
            completions: vec![completion],
        }];
        // PEFT's factors in the signs case are those of LAPACK, rounded to f32, and ours are exact.
        let limit = if case == "gradient-peft-signs" {
            1e-4
        } else {
            1e-6
        };
        for (compute, tolerance) in [(Compute::F64, limit), (Compute::F32, 1e-4)] {
            let (decoder, projections) = adapted(&checkpoint(&case), &adapter, compute.clone());
            let learner = Learner::new(&decoder, &projections);
            let steering = projections.steering(&v_of(&adapter));
            let (scores, gradient) = learner
                .gradient(&groups, &steering, expected.temperature, |_| {
                    vec![expected.coefficients.clone()]
                })
                .unwrap();
            for (score, logp) in scores[0].iter().zip(&expected.logp) {
                assert!((score.log_prob - logp).abs() < tolerance * 10.0, "{case}");
            }
            let loss: f64 = scores[0]
                .iter()
                .zip(&expected.coefficients)
                .map(|(s, c)| c * s.log_prob)
                .sum();
            assert!(
                (loss - expected.loss).abs() < tolerance * 50.0,
                "{case}: {loss} and {}",
                expected.loss
            );
            let wanted = expected.grad_v.concat();
            let size = wanted.iter().fold(0.0, |m: f64, g| m.max(g.abs()));
            for (found, wanted) in learner.v_gradient(&gradient).iter().zip(&wanted) {
                let error = (found - wanted).abs() / size;
                assert!(
                    error < tolerance,
                    "{case} {compute:?}: {found} and {wanted}"
                );
            }
        }
    }
}
