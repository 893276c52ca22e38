//! Log-probabilities under the output head, and the gradient of the hidden states, without keeping logits.

use candle_core::Tensor;
use tlora_kernels as kernels;

use super::linear::Packed;
use super::storage::{Element, change, read, with_element};
use crate::error::Result;

/// What the head says of one token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenScore {
    /// Its log-probability at the temperature.
    pub log_prob: f64,
    /// The entropy of the distribution that it is from, in nats.
    pub entropy: f64,
}

/// Scores a target token for each row of hidden states. The logits of a few rows are held at a time.
pub(crate) fn scores(
    hidden: &Tensor,
    head: &Packed,
    targets: &[u32],
    temperature: f64,
    rows_at_once: usize,
) -> Result<Vec<TokenScore>> {
    let mut scores = Vec::with_capacity(targets.len());
    for (start, targets) in lots(targets, rows_at_once) {
        let logits = head.product(&hidden.narrow(0, start, targets.len())?)?;
        with_element!(logits.dtype(), "log-probabilities", T => read::<T, _>(&logits, "log-probabilities", |logits| {
            let inverse = T::of(1.0 / temperature);
            for (row, &target) in logits.chunks_exact(head.outputs()).zip(targets) {
                let lse = kernels::log_sum_exp(row, inverse);
                scores.push(TokenScore {
                    log_prob: (row[target as usize] * inverse - lse).wide(),
                    entropy: kernels::entropy(row, lse, inverse).wide(),
                });
            }
        }))?;
    }
    Ok(scores)
}

/// The gradient of the hidden states for L = Σ coefficient · log-probability.
pub(crate) fn backward(
    hidden: &Tensor,
    head: &Packed,
    targets: &[u32],
    coefficients: &[f64],
    temperature: f64,
    rows_at_once: usize,
) -> Result<Tensor> {
    let mut grads = Vec::new();
    for ((start, targets), coefficients) in
        lots(targets, rows_at_once).zip(coefficients.chunks(rows_at_once))
    {
        let logits = head.product(&hidden.narrow(0, start, targets.len())?)?;
        with_element!(logits.dtype(), "log-probabilities", T => change::<T, _>(&logits, "log-probabilities", |logits| {
            let inverse = T::of(1.0 / temperature);
            let rows = logits.chunks_exact_mut(head.outputs()).zip(targets.iter().zip(coefficients));
            for (row, (&target, &coefficient)) in rows {
                let lse = kernels::log_sum_exp(row, inverse);
                kernels::log_prob_gradient(row, lse, inverse, target as usize, T::of(coefficient));
            }
        }))?;
        grads.push(head.transposed_product(&logits)?);
    }
    Ok(Tensor::cat(&grads, 0)?)
}

fn lots<T>(items: &[T], size: usize) -> impl Iterator<Item = (usize, &[T])> {
    (0..).step_by(size).zip(items.chunks(size))
}

/// The values of a row of a matrix, as f32.
pub(crate) fn rows_f32(x: &Tensor) -> Result<Vec<f32>> {
    with_element!(x.dtype(), "logits", T => read::<T, _>(x, "logits", |x| {
        #[expect(clippy::cast_possible_truncation, reason = "a check in f64 may look at f32")]
        x.iter().map(|x| x.wide() as f32).collect::<Vec<f32>>()
    }))
}
