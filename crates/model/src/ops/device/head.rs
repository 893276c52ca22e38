//! The output head on the device: only a few numbers for each row come back.

use tlora_cuda::{self as cuda, Buffer};

use super::{DeviceArray, single};
use crate::error::Result;
use crate::ops::array::Array;
use crate::ops::head::{Head, Scored, TokenScore};

/// Scores the target of each row of hidden states; what they are waits on the device until all lots are asked for.
pub(crate) fn scores(head: &Head<'_>, hidden: &DeviceArray) -> Result<Scored> {
    let (device, inverse) = (hidden.on(), single(1.0 / head.temperature));
    let targets = Buffer::from_slice(device, head.targets)?;
    let mut log_probs = Buffer::uninitialised(device, targets.len())?;
    let mut entropies = Buffer::uninitialised(device, targets.len())?;
    let mut kept = None;
    for (at, lot) in head.lots() {
        let logits = logits_of(head, hidden, at, lot.len())?;
        let there = logits.device("log-probabilities")?;
        let targets = targets.part(at, lot.len())?;
        let scores = cuda::log_probs(&there.buffer, there.columns, inverse, &targets)?;
        log_probs.copy_from(at, &scores.log_probs, 0, lot.len())?;
        entropies.copy_from(at, &scores.entropies, 0, lot.len())?;
        kept = head.is_one_lot().then_some(logits);
    }
    let pairs = log_probs.download()?.into_iter().zip(entropies.download()?);
    let score = |(log_prob, entropy)| TokenScore {
        log_prob: f64::from(log_prob),
        entropy: f64::from(entropy),
    };
    Ok(Scored {
        scores: pairs.map(score).collect(),
        logits: kept,
    })
}

/// The gradient of the hidden states for L = Σ coefficient · log-probability.
pub(crate) fn backward(
    head: &Head<'_>,
    hidden: &DeviceArray,
    mut kept: Option<Array>,
    coefficients: &[f64],
) -> Result<Array> {
    let (device, inverse) = (hidden.on(), single(1.0 / head.temperature));
    let targets = Buffer::from_slice(device, head.targets)?;
    let coefficients: Vec<f32> = coefficients.iter().map(|&x| single(x)).collect();
    let coefficients = Buffer::from_slice(device, &coefficients)?;
    let mut grad = DeviceArray::uninitialised(device, hidden.rows(), hidden.columns)?;
    for (at, lot) in head.lots() {
        let mut logits = match kept.take() {
            Some(logits) => logits,
            None => logits_of(head, hidden, at, lot.len())?,
        };
        differentiate(
            logits.device_mut("the gradient of log-probabilities")?,
            inverse,
            &targets.part(at, lot.len())?,
            &coefficients.part(at, lot.len())?,
        )?;
        let of_lot = head.weights.transposed_product(&logits)?;
        let of_lot = of_lot.device("the gradient of log-probabilities")?;
        let (at, len) = (at * grad.columns, of_lot.buffer.len());
        grad.buffer.copy_from(at, &of_lot.buffer, 0, len)?;
    }
    Ok(Array::Device(grad))
}

fn logits_of(head: &Head<'_>, hidden: &DeviceArray, at: usize, rows: usize) -> Result<Array> {
    let rows = Array::Device(hidden.slice(at, rows)?);
    head.weights.product(&rows)
}

/// The gradient of rows of logits, in their place.
fn differentiate(
    logits: &mut DeviceArray,
    inverse: f32,
    targets: &Buffer<u32>,
    coefficients: &Buffer<f32>,
) -> Result<()> {
    // The sums are a small part of the work, and keeping them would mean keeping them for every lot.
    let scores = cuda::log_probs(&logits.buffer, logits.columns, inverse, targets)?;
    Ok(cuda::log_prob_gradient(
        &mut logits.buffer,
        logits.columns,
        inverse,
        targets,
        coefficients,
        &scores.log_sums,
    )?)
}

/// Draws a token from each row of logits by its uniform number, or takes the most probable one.
pub(crate) fn draw(
    logits: &DeviceArray,
    temperature: f64,
    uniforms: &Buffer<f64>,
) -> Result<cuda::Drawn> {
    Ok(if temperature == 0.0 {
        cuda::most_probable(&logits.buffer, logits.columns)?
    } else {
        let inverse = single(1.0 / temperature);
        cuda::draw(&logits.buffer, logits.columns, inverse, uniforms)?
    })
}
