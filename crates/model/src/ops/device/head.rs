//! The output head on the device: only a few numbers for each row come back.

use tlora_cuda::{self as cuda, Buffer};

use super::{DeviceArray, single};
use crate::error::Result;
use crate::ops::head::TokenScore;

/// Scores of rows of logits.
pub(crate) fn scores(
    logits: &DeviceArray,
    targets: &[u32],
    temperature: f64,
) -> Result<Vec<TokenScore>> {
    let targets = Buffer::from_slice(logits.on(), targets)?;
    let inverse = single(1.0 / temperature);
    let scores = cuda::log_probs(&logits.buffer, logits.columns, inverse, &targets)?;
    let entropies = scores.entropies.download()?;
    let log_probs = scores.log_probs.download()?.into_iter();
    Ok(log_probs
        .zip(entropies)
        .map(|(log_prob, entropy)| TokenScore {
            log_prob: f64::from(log_prob),
            entropy: f64::from(entropy),
        })
        .collect())
}

/// The gradient of the logits for Σ coefficient · log-probability, in their place.
pub(crate) fn gradient(
    logits: &mut DeviceArray,
    targets: &[u32],
    temperature: f64,
    coefficients: &[f64],
) -> Result<()> {
    let device = logits.on().clone();
    let inverse = single(1.0 / temperature);
    let targets = Buffer::from_slice(&device, targets)?;
    let coefficients: Vec<f32> = coefficients.iter().map(|&x| single(x)).collect();
    let coefficients = Buffer::from_slice(&device, &coefficients)?;
    // The sums are a small part of the work, and keeping them would mean keeping them for every lot.
    let scores = cuda::log_probs(&logits.buffer, logits.columns, inverse, &targets)?;
    Ok(cuda::log_prob_gradient(
        &mut logits.buffer,
        logits.columns,
        inverse,
        &targets,
        &coefficients,
        &scores.log_sums,
    )?)
}

/// Draws a token from each of the first rows of logits by its uniform number, or takes the most probable one; gives tokens and
/// log-probabilities.
pub(crate) fn draw(
    logits: &DeviceArray,
    temperature: f64,
    uniforms: &[f64],
) -> Result<Vec<(u32, f32)>> {
    let drawn = if temperature == 0.0 {
        cuda::most_probable(&logits.buffer, logits.columns)?
    } else {
        let uniforms = Buffer::from_slice(logits.on(), uniforms)?;
        let inverse = single(1.0 / temperature);
        cuda::draw(&logits.buffer, logits.columns, inverse, &uniforms)?
    };
    let log_probs = drawn.log_probs.download()?;
    Ok(drawn
        .tokens
        .download()?
        .into_iter()
        .zip(log_probs)
        .collect())
}
