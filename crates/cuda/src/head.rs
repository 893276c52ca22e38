//! What the output head says of rows of logits: log-probabilities, entropies, the gradient of the logits, and tokens drawn.

use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{Result, size, want, whole_rows};
use crate::launch::{Grid, Kernel, Launch, threads_for};

/// What rows of logits say of their targets, a number for each row.
#[derive(Debug)]
pub struct Scores {
    /// The target's log-probability at the temperature.
    pub log_probs: Buffer<f32>,
    /// The entropy of the distribution, in nats.
    pub entropies: Buffer<f32>,
    /// ln Σ exp of the scaled logits; the gradient wants it.
    pub log_sums: Buffer<f32>,
}

/// Rows of `vocabulary` logits, and the grid of a kernel with a block for each.
fn blocks(operation: &'static str, len: usize, vocabulary: usize) -> Result<(usize, u32, Grid)> {
    let rows = whole_rows(operation, "the elements of the logits", len, vocabulary)?;
    let columns = size(operation, "the vocabulary", vocabulary)?;
    // Whole warps, at least two: the search for a token cuts a row into as many parts.
    let threads = (columns.div_ceil(4 * 32) * 32).clamp(64, 1024);
    Ok((
        rows,
        columns,
        Grid::rows(size(operation, "rows", rows)?, threads),
    ))
}

/// Scores the target of each row of `vocabulary` logits, which are multiplied with `inverse_temperature`. A target beyond the
/// vocabulary has a log-probability that is not a number.
///
/// # Errors
/// The sizes do not fit.
pub fn log_probs(
    logits: &Buffer<f32>,
    vocabulary: usize,
    inverse_temperature: f32,
    targets: &Buffer<u32>,
) -> Result<Scores> {
    let operation = "log_probs";
    let (rows, columns, grid) = blocks(operation, logits.len(), vocabulary)?;
    want(operation, "the number of targets", targets.len(), rows)?;
    let mut scores = Scores {
        log_probs: Buffer::uninitialised(logits.device(), rows)?,
        entropies: Buffer::uninitialised(logits.device(), rows)?,
        log_sums: Buffer::uninitialised(logits.device(), rows)?,
    };
    Launch::new(logits.device(), Kernel::Score, grid)
        .read(logits)
        .value(columns)
        .value(inverse_temperature)
        .read(targets)
        .write(&mut scores.log_probs)
        .write(&mut scores.entropies)
        .write(&mut scores.log_sums)
        .run()?;
    Ok(scores)
}

/// The derivatives of Σ coefficient · log-probability of the targets by the logits, in their place; `log_sums` are those of
/// [`log_probs`] of the same logits.
///
/// # Errors
/// The sizes do not fit.
pub fn log_prob_gradient(
    logits: &mut Buffer<f32>,
    vocabulary: usize,
    inverse_temperature: f32,
    targets: &Buffer<u32>,
    coefficients: &Buffer<f32>,
    log_sums: &Buffer<f32>,
) -> Result<()> {
    let operation = "log_prob_gradient";
    let (rows, columns, _) = blocks(operation, logits.len(), vocabulary)?;
    want(operation, "the number of targets", targets.len(), rows)?;
    want(
        operation,
        "the number of coefficients",
        coefficients.len(),
        rows,
    )?;
    want(operation, "the number of logarithms", log_sums.len(), rows)?;
    let threads = threads_for(columns.div_ceil(4));
    let grid = Grid {
        x: size(operation, "rows", rows)?,
        y: columns.div_ceil(4 * threads),
        threads,
        shared: 0,
    };
    Launch::new(targets.device(), Kernel::ScoreGradient, grid)
        .write(logits)
        .value(columns)
        .value(inverse_temperature)
        .read(targets)
        .read(coefficients)
        .read(log_sums)
        .run()
}

/// A token for each row of logits, and the log-probability that it was drawn with.
#[derive(Debug)]
pub struct Drawn {
    /// The tokens.
    pub tokens: Buffer<u32>,
    /// Their log-probabilities.
    pub log_probs: Buffer<f32>,
}

impl Drawn {
    fn new(device: &Device, rows: usize) -> Result<Self> {
        Ok(Self {
            tokens: Buffer::uninitialised(device, rows)?,
            log_probs: Buffer::uninitialised(device, rows)?,
        })
    }
}

/// Draws a token from each row of `vocabulary` logits: the first where the sum of the probabilities, in the order of the
/// tokens, passes the row's number of `uniforms`, which is from 0 to just below 1, of their whole.
///
/// # Errors
/// The sizes do not fit.
pub fn draw(
    logits: &Buffer<f32>,
    vocabulary: usize,
    inverse_temperature: f32,
    uniforms: &Buffer<f64>,
) -> Result<Drawn> {
    let (rows, columns, grid) = blocks("draw", logits.len(), vocabulary)?;
    want(
        "draw",
        "the number of uniform numbers",
        uniforms.len(),
        rows,
    )?;
    let mut drawn = Drawn::new(logits.device(), rows)?;
    Launch::new(logits.device(), Kernel::Draw, grid)
        .read(logits)
        .value(columns)
        .value(inverse_temperature)
        .read(uniforms)
        .write(&mut drawn.tokens)
        .write(&mut drawn.log_probs)
        .run()?;
    Ok(drawn)
}

/// The most probable token of each row of `vocabulary` logits, the lowest among equals, and its log-probability at
/// temperature 1.
///
/// # Errors
/// The sizes do not fit.
pub fn most_probable(logits: &Buffer<f32>, vocabulary: usize) -> Result<Drawn> {
    let (rows, columns, grid) = blocks("most_probable", logits.len(), vocabulary)?;
    let mut drawn = Drawn::new(logits.device(), rows)?;
    Launch::new(logits.device(), Kernel::MostProbable, grid)
        .read(logits)
        .value(columns)
        .write(&mut drawn.tokens)
        .write(&mut drawn.log_probs)
        .run()?;
    Ok(drawn)
}
