//! Models with random weights: benchmarks take them for models, so they have to be ones.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use support::{random, small};
use tlora_model::{Compute, Decoder, Learner, Projections, PromptGroup, RandomModel};

fn model(seed: u64) -> RandomModel {
    random(small(), seed)
}

const IDS: [u32; 9] = [5, 9, 2, 6, 91, 3, 5, 8, 0];

/// The sum of the log-probabilities of all tokens but the first, and its gradient.
fn objective((decoder, projections): &(Decoder, Projections), v: &[f64]) -> (f64, Vec<f64>) {
    let learner = Learner::new(decoder, projections);
    let group = PromptGroup {
        prompt: &IDS[..1],
        completions: vec![&IDS[1..]],
    };
    let (scores, gradient) = learner
        .gradient(&[group], &projections.steering(v), 1.0, |scores| {
            scores.iter().map(|s| vec![1.0; s.len()]).collect()
        })
        .unwrap();
    let sum = scores.concat().iter().map(|score| score.log_prob).sum();
    (sum, learner.v_gradient(&gradient))
}

#[test]
fn every_number_of_the_adapter_steers_the_model() {
    let model = model(1).make(Compute::F32, |_| ()).unwrap();
    let v = [0.3, -0.2, 0.1];
    let (_, gradient) = objective(&model, &v);
    for (i, found) in gradient.into_iter().enumerate() {
        let at = |step: f64| {
            let mut v = v;
            v[i] += step;
            objective(&model, &v).0
        };
        // Binary32: log-probabilities of 4.6 are rounded at 2e-7 each, so that a difference is off by 2e-4 or so.
        let difference = (at(0.01) - at(-0.01)) / 0.02;
        assert!(
            (found - difference).abs() < 0.01 * difference.abs() && difference.abs() > 0.05,
            "v[{i}]: {found}, by differences {difference}"
        );
    }
}

#[test]
fn a_seed_makes_a_model_and_another_seed_another_one() {
    let logits = |seed| {
        let (decoder, _) = model(seed).make(Compute::F32, |_| ()).unwrap();
        decoder.sequence_logits(&IDS, None).unwrap()
    };
    let (one, other) = (logits(1), logits(2));
    assert!(one.iter().all(|logit| logit.is_finite()));
    assert_eq!(one, logits(1));
    assert_ne!(one, other);
}

#[test]
fn weights_take_two_bytes_and_layers_are_told() {
    let mut told = Vec::new();
    let (decoder, _) = model(1)
        .make(Compute::F32, |layer| told.push(layer))
        .unwrap();
    assert_eq!(told, [1, 2]);
    let config = decoder.config();
    let projections = config.layers * config.hidden * (3 * 64 + 3 * config.intermediate);
    let weights = projections + 2 * config.vocabulary * config.hidden;
    // Rows of A on top, in binary32 and in panels that are padded.
    assert!(decoder.bytes() >= 2 * weights, "{}", decoder.bytes());
    assert!(decoder.bytes() < 4 * weights, "{}", decoder.bytes());
}
