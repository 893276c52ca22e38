//! Log-probabilities under the output head, and the gradient of the hidden states, without keeping logits.

use candle_core::DType;
use rayon::prelude::*;
use tlora_kernels as kernels;

use super::array::{Array, on_device};
#[cfg(feature = "cuda")]
use super::device;
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

/// The head with what it is asked.
#[derive(Clone, Copy)]
pub(crate) struct Head<'a> {
    /// The weights, vocabulary × hidden.
    pub weights: &'a Packed,
    /// A token for each row of hidden states.
    pub targets: &'a [u32],
    /// What logits are divided by.
    pub temperature: f64,
    /// Rows of logits that are held at a time.
    pub rows_at_once: usize,
}

/// Scores of targets, and the logits that they are from, if all were held at once.
pub(crate) struct Scored {
    pub scores: Vec<TokenScore>,
    pub logits: Option<Array>,
}

impl Head<'_> {
    /// Scores the target of each row of hidden states.
    pub(crate) fn scores(&self, hidden: &Array) -> Result<Scored> {
        on_device!(hidden, hidden => device::head::scores(self, hidden));
        let mut scores = Vec::with_capacity(self.targets.len());
        let mut kept = None;
        for (start, targets) in self.lots() {
            let logits = self.weights.product(&hidden.slice(start, targets.len())?)?;
            scores.extend(self.scores_of(&logits, targets)?);
            kept = self.is_one_lot().then_some(logits);
        }
        Ok(Scored {
            scores,
            logits: kept,
        })
    }

    /// The gradient of the hidden states for L = Σ coefficient · log-probability. Logits that were not kept are computed again.
    pub(crate) fn backward(
        &self,
        hidden: &Array,
        mut kept: Option<Array>,
        coefficients: &[f64],
    ) -> Result<Array> {
        on_device!(hidden, hidden => device::head::backward(self, hidden, kept, coefficients));
        let mut grads = Vec::new();
        for ((start, targets), coefficients) in
            self.lots().zip(coefficients.chunks(self.rows_at_once))
        {
            let mut logits = match kept.take() {
                Some(logits) => logits,
                None => {
                    let rows = hidden.slice(start, targets.len())?;
                    self.weights.product(&rows)?
                }
            };
            self.differentiate(&mut logits, targets, coefficients)?;
            grads.push(self.weights.transposed_product(&logits)?);
        }
        Array::cat(grads)
    }

    /// The scores of some rows of logits.
    fn scores_of(&self, logits: &Array, targets: &[u32]) -> Result<Vec<TokenScore>> {
        with_element!(logits.dtype(), "log-probabilities", T => read::<T, _>(logits, "log-probabilities", |logits| {
            let inverse = T::of(1.0 / self.temperature);
            let rows = logits.par_chunks_exact(self.weights.outputs()).zip(targets);
            rows.map(|(row, &target)| {
                let lse = kernels::log_sum_exp(row, inverse);
                TokenScore {
                    log_prob: (row[target as usize] * inverse - lse).wide(),
                    entropy: kernels::entropy(row, lse, inverse).wide(),
                }
            })
            .collect()
        }))
    }

    /// The gradient of some rows of logits, in their place.
    fn differentiate(
        &self,
        logits: &mut Array,
        targets: &[u32],
        coefficients: &[f64],
    ) -> Result<()> {
        with_element!(logits.dtype(), "log-probabilities", T => change::<T, _>(logits, "log-probabilities", |logits| {
            let inverse = T::of(1.0 / self.temperature);
            let rows = logits.par_chunks_exact_mut(self.weights.outputs());
            rows.zip(targets).zip(coefficients).for_each(|((row, &target), &coefficient)| {
                let lse = kernels::log_sum_exp(row, inverse);
                kernels::log_prob_gradient(row, lse, inverse, target as usize, T::of(coefficient));
            });
        }))
    }

    /// Whether all logits are held at once.
    pub(super) const fn is_one_lot(&self) -> bool {
        self.targets.len() <= self.rows_at_once
    }

    pub(super) fn lots(&self) -> impl Iterator<Item = (usize, &[u32])> {
        let starts = (0..).step_by(self.rows_at_once);
        starts.zip(self.targets.chunks(self.rows_at_once))
    }
}

/// The values of a row of a matrix, as f32.
pub(crate) fn rows_f32(x: &Array) -> Result<Vec<f32>> {
    on_device!(x, x => Ok(x.buffer.download()?));
    if x.dtype() == DType::F32 {
        return read::<f32, _>(x, "logits", <[f32]>::to_vec);
    }
    with_element!(x.dtype(), "logits", T => read::<T, _>(x, "logits", |x| {
        #[expect(clippy::cast_possible_truncation, reason = "a check in f64 may look at f32")]
        x.iter().map(|x| x.wide() as f32).collect::<Vec<f32>>()
    }))
}

#[cfg(test)]
mod tests {
    use tlora_kernels::{Block, PackedMatrix, RowData};

    use super::super::storage::array;
    use super::*;

    /// Logits that are kept and logits that are computed again, in lots, give the same bits.
    #[test]
    fn lots_change_nothing() {
        let number = |i: usize| (f32::from(u16::try_from(i * 37 % 101).unwrap()) - 50.0) / 40.0;
        let (vocabulary, width) = (40, 6);
        let data: Vec<f32> = (0..vocabulary * width).map(number).collect();
        let block = Block {
            rows: vocabulary,
            data: RowData::Full(&data),
        };
        let weights = Packed::F32(PackedMatrix::pack(&[block], width));
        let targets = [3, 39, 0, 17, 8];
        let rows: Vec<f32> = (0..targets.len() * width).map(|i| number(i + 7)).collect();
        let hidden = array(rows, (targets.len(), width)).unwrap();
        let bits = |rows_at_once: usize| {
            let head = Head {
                weights: &weights,
                targets: &targets,
                temperature: 0.7,
                rows_at_once,
            };
            let Scored { scores, logits } = head.scores(&hidden).unwrap();
            assert_eq!(logits.is_some(), rows_at_once >= targets.len());
            let coefficients = [1.0, -0.5, 0.25, 0.0, 2.0];
            let gradient = head.backward(&hidden, logits, &coefficients).unwrap();
            let gradient = read::<f32, _>(&gradient, "", <[f32]>::to_vec).unwrap();
            let scores = scores.iter().flat_map(|s| [s.log_prob, s.entropy]);
            let scores: Vec<u64> = scores.map(f64::to_bits).collect();
            let gradient: Vec<u32> = gradient.into_iter().map(f32::to_bits).collect();
            (scores, gradient)
        };
        let whole = bits(5);
        for rows_at_once in [1, 2, 4, 9] {
            assert_eq!(bits(rows_at_once), whole, "{rows_at_once} rows at once");
        }
    }
}
