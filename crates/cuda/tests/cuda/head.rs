//! Log-probabilities, their gradient, and tokens drawn.

use tlora_cuda::{Buffer, Device, draw, log_prob_gradient, log_probs, most_probable};
use tlora_kernels as kernels;

use crate::support::{UNIT, both, close, numbers, up, wide};

/// Rows of logits from −8 to 8.
fn logits(rows: usize, vocabulary: usize) -> Vec<f32> {
    numbers(5, rows * vocabulary)
        .iter()
        .map(|x| x * 8.0)
        .collect()
}

#[test]
fn scores_and_their_gradient() {
    for (vocabulary, inverse) in [(1, 1.0), (2, 0.7), (40, 1.3), (1001, 1.0), (5000, 0.5)] {
        let rows = 3;
        let mut all = logits(rows, vocabulary);
        if vocabulary > 3 {
            // Tokens that cannot be, and a row with one that must be.
            all[1] = f32::NEG_INFINITY;
            all[vocabulary + 2] = 200.0;
        }
        let last = u32::try_from(vocabulary - 1).unwrap();
        let (targets, coefficients) = ([0, 2.min(last), last], [1.0, -0.5, 2.0_f32]);
        let found = both(|device| {
            let mut row = up(device, &all);
            let targets = Buffer::from_slice(device, &targets).unwrap();
            let scores = log_probs(&row, vocabulary, inverse, &targets).unwrap();
            let coefficients = up(device, &coefficients);
            let sums = &scores.log_sums;
            log_prob_gradient(&mut row, vocabulary, inverse, &targets, &coefficients, sums)
                .unwrap();
            [&scores.log_probs, &scores.entropies, &row]
                .map(|b| b.download().unwrap())
                .concat()
        });
        let (mut probs, mut entropies, mut gradient) = (Vec::new(), Vec::new(), Vec::new());
        let inverse = f64::from(inverse);
        for (i, row) in all.chunks_exact(vocabulary).enumerate() {
            let mut row = wide(row);
            let sum = kernels::log_sum_exp(&row, inverse);
            probs.push(row[targets[i] as usize] * inverse - sum);
            entropies.push(kernels::entropy(&row, sum, inverse));
            let coefficient = f64::from(coefficients[i]);
            kernels::log_prob_gradient(&mut row, sum, inverse, targets[i] as usize, coefficient);
            gradient.extend(row);
        }
        // Logits up to 16, or 200 in one row, whose sums are rounded once more: 200 · 2 units.
        close(
            &found,
            &[probs, entropies, gradient].concat(),
            260.0 * 2.0 * UNIT,
        );
    }
}

#[test]
fn tokens_are_drawn_in_their_order() {
    for (vocabulary, inverse) in [(1, 1.0), (7, 1.0), (40, 0.8), (1003, 1.0), (5000, 0.3)] {
        let row = logits(1, vocabulary);
        let mut uniforms: Vec<f64> = (0..96).map(|i| f64::from(i) / 96.0).collect();
        uniforms.extend([1.0 - f64::EPSILON / 2.0, 1e-12]);
        let all: Vec<f32> = row.repeat(uniforms.len());
        let drawn = std::cell::RefCell::new(Vec::new());
        let log_probs = both(|device| {
            let numbers = Buffer::from_slice(device, &uniforms).unwrap();
            let found = draw(&up(device, &all), vocabulary, inverse, &numbers).unwrap();
            drawn.borrow_mut().push(found.tokens.download().unwrap());
            found.log_probs.download().unwrap()
        });
        let drawn = drawn.into_inner();
        assert_eq!(drawn[0], drawn[1]);
        let (mut p, inverse) = (wide(&row), f64::from(inverse));
        let sum = kernels::log_sum_exp(&p, inverse);
        kernels::probabilities(&mut p, sum, inverse);
        let before = |token: usize| p[..token].iter().sum::<f64>();
        for ((&uniform, &token), &log_prob) in uniforms.iter().zip(&drawn[0]).zip(&log_probs) {
            let token = token as usize;
            // Probabilities are within 20 units of their own, so the sums before a token are too.
            let (low, high) = (before(token), before(token + 1));
            let slack = 20.0 * UNIT;
            assert!(
                low - slack <= uniform && uniform <= high + slack,
                "{uniform}: {token}"
            );
            let wanted = f64::from(row[token]) * inverse - sum;
            assert!((f64::from(log_prob) - wanted).abs() <= 40.0 * UNIT);
        }
    }
}

/// Half of the tokens cannot be, at both ends too.
#[test]
fn what_cannot_be_is_not_drawn() {
    let vocabulary = 200;
    let possible = |i: usize| i % 3 == 1 && i < 150;
    let row: Vec<f32> = (0..vocabulary)
        .map(|i| if possible(i) { 1.0 } else { f32::NEG_INFINITY })
        .collect();
    let uniforms: Vec<f64> = (0..50).map(|i| (f64::from(i) + 0.5) / 50.0).collect();
    let device = Device::emulated();
    let all = up(&device, &row.repeat(50));
    let drawn = draw(
        &all,
        vocabulary,
        1.0,
        &Buffer::from_slice(&device, &uniforms).unwrap(),
    )
    .unwrap();
    let tokens = drawn.tokens.download().unwrap();
    let wanted: Vec<u32> = (0..200).filter(|&i| possible(i as usize)).collect();
    assert_eq!(tokens, wanted);
}

#[test]
fn the_first_of_the_most_probable() {
    for vocabulary in [1, 5, 300, 2049] {
        let mut all = logits(2, vocabulary);
        let last = vocabulary - 1;
        all[last] = 9.0;
        all[vocabulary / 2] = 9.0;
        let device = Device::emulated();
        let found = most_probable(&up(&device, &all), vocabulary).unwrap();
        let tokens = found.tokens.download().unwrap();
        let mut wanted = Vec::new();
        for (row, &token) in all.chunks_exact(vocabulary).zip(&tokens) {
            let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = row.iter().position(|&x| x == largest).unwrap();
            assert_eq!(token as usize, first);
            let row = wide(row);
            wanted.push(row[first] - kernels::log_sum_exp(&row, 1.0));
        }
        close(&found.log_probs.download().unwrap(), &wanted, 40.0 * UNIT);
    }
}
