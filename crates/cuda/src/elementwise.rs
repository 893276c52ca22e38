//! Additions, norms, the rotary embedding and the gated activation, with their gradients.

use crate::activation::{Activation, writes};
use crate::buffer::Buffer;
use crate::error::{CudaError, Result, size, want, whole_rows};
use crate::launch::{Grid, Kernel, Launch, threads_for};

/// a += b.
///
/// # Errors
/// The sizes differ.
pub fn add(a: &mut Buffer<f32>, b: &Buffer<f32>) -> Result<()> {
    want("add", "the elements of b", b.len(), a.len())?;
    let grid = Grid::items("add", a.len().div_ceil(4))?;
    Launch::new(b.device(), Kernel::Add, grid)
        .write(a)
        .read(b)
        .value(b.len() as u64)
        .run()
}

/// Adds the bias to every row of `bias.len()` elements.
///
/// # Errors
/// `y` is not whole rows.
pub fn add_bias(y: &mut Buffer<f32>, bias: &Buffer<f32>) -> Result<()> {
    let rows = whole_rows("add_bias", "the elements of y", y.len(), bias.len())?;
    let width = size("add_bias", "columns", bias.len())?;
    let grid = Grid::columns(size("add_bias", "rows", rows)?, width);
    Launch::new(bias.device(), Kernel::AddBias, grid)
        .write(y)
        .read(bias)
        .value(width)
        .run()
}

/// y = x / sqrt(mean(x²) + ε) · weight for each row of `weight.len()` elements.
///
/// # Errors
/// The sizes do not fit.
pub fn rms_norm<T: Activation>(
    x: &Buffer<f32>,
    weight: &Buffer<f32>,
    epsilon: f32,
    y: &mut Buffer<T>,
) -> Result<()> {
    let rows = whole_rows("rms_norm", "the elements of x", x.len(), weight.len())?;
    want("rms_norm", "the elements of y", y.len(), x.len())?;
    let width = size("rms_norm", "columns", weight.len())?;
    let grid = Grid::rows(size("rms_norm", "rows", rows)?, threads_for(width));
    let kernel = writes::<T>(Kernel::RmsNormF32, Kernel::RmsNormBf16);
    Launch::new(x.device(), kernel, grid)
        .read(x)
        .read(weight)
        .value(width)
        .value(epsilon)
        .write(y)
        .run()
}

/// The gradient of x under [`rms_norm`].
///
/// # Errors
/// The sizes do not fit.
pub fn rms_norm_backward(
    x: &Buffer<f32>,
    weight: &Buffer<f32>,
    epsilon: f32,
    grad: &Buffer<f32>,
    grad_x: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "rms_norm_backward";
    let rows = whole_rows(operation, "the elements of x", x.len(), weight.len())?;
    want(
        operation,
        "the elements of the gradient",
        grad.len(),
        x.len(),
    )?;
    want(
        operation,
        "the elements of the gradient of x",
        grad_x.len(),
        x.len(),
    )?;
    let width = size(operation, "columns", weight.len())?;
    let grid = Grid::rows(size(operation, "rows", rows)?, threads_for(width));
    Launch::new(x.device(), Kernel::RmsNormBackward, grid)
        .read(x)
        .read(weight)
        .value(width)
        .value(epsilon)
        .read(grad)
        .write(grad_x)
        .run()
}

/// Adjacent columns of a buffer that hold some heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Columns of the buffer.
    pub stride: usize,
    /// The first column.
    pub offset: usize,
    /// Number of heads.
    pub count: usize,
    /// Columns of a head.
    pub width: usize,
}

impl Heads {
    /// Columns of all heads.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.count * self.width
    }

    /// The rows of a buffer with these columns.
    pub(crate) fn rows(&self, operation: &'static str, len: usize) -> Result<usize> {
        let end = self.offset + self.columns();
        if end > self.stride {
            want(operation, "the last column of the heads", end, self.stride)?;
        }
        size(operation, "columns", self.stride)?;
        whole_rows(operation, "the elements of the buffer", len, self.stride)
    }
}

/// Turns pairs (i, i + width/2) of heads by the angles of their row, in place; `cos` and `sin` are rows × width/2. `inverse`
/// turns back, which is the gradient.
///
/// # Errors
/// The sizes do not fit, or the width is odd.
pub fn rope(
    x: &mut Buffer<f32>,
    heads: Heads,
    cos: &Buffer<f32>,
    sin: &Buffer<f32>,
    inverse: bool,
) -> Result<()> {
    let rows = heads.rows("rope", x.len())?;
    if !heads.width.is_multiple_of(2) {
        return Err(CudaError::Limit {
            operation: "rope",
            what: "the width of a head",
            found: heads.width,
            wanted: "an even number",
        });
    }
    want(
        "rope",
        "the elements of cos",
        cos.len(),
        rows * heads.width / 2,
    )?;
    want("rope", "the elements of sin", sin.len(), cos.len())?;
    let int = |value| size("rope", "a number", value);
    let grid = Grid::rows(int(rows)?, threads_for(int(heads.columns() / 2)?));
    Launch::new(cos.device(), Kernel::Rope, grid)
        .write(x)
        .value(int(heads.count)?)
        .value(int(heads.width)?)
        .value(int(heads.stride)?)
        .value(int(heads.offset)?)
        .read(cos)
        .read(sin)
        .value(if inverse { -1.0 } else { 1.0 })
        .run()
}

/// Rows, and the grid of an operation on the first 2·n columns of them.
fn gated(
    operation: &'static str,
    len: usize,
    stride: usize,
    n: usize,
    result: usize,
) -> Result<Grid> {
    let rows = whole_rows(operation, "the elements of gate and up", len, stride)?;
    if 2 * n > stride {
        want(operation, "the columns of gate and up", 2 * n, stride)?;
    }
    want(
        operation,
        "the elements of the activation",
        result,
        rows * n,
    )?;
    Ok(Grid::columns(
        size(operation, "rows", rows)?,
        size(operation, "columns", n)?,
    ))
}

/// y = silu(gate) · up, where gate and up are the first 2·n of each `stride` elements; y is rows × n.
///
/// # Errors
/// The sizes do not fit.
pub fn swiglu<T: Activation>(
    gate_up: &Buffer<f32>,
    stride: usize,
    n: usize,
    y: &mut Buffer<T>,
) -> Result<()> {
    let grid = gated("swiglu", gate_up.len(), stride, n, y.len())?;
    let kernel = writes::<T>(Kernel::SwigluF32, Kernel::SwigluBf16);
    Launch::new(gate_up.device(), kernel, grid)
        .read(gate_up)
        .value(size("swiglu", "columns", stride)?)
        .value(size("swiglu", "columns", n)?)
        .write(y)
        .run()
}

/// The gradient of gate and up, in the same places; other columns are left as they are.
///
/// # Errors
/// The sizes do not fit.
pub fn swiglu_backward(
    gate_up: &Buffer<f32>,
    stride: usize,
    n: usize,
    grad: &Buffer<f32>,
    grad_gate_up: &mut Buffer<f32>,
) -> Result<()> {
    let operation = "swiglu_backward";
    let grid = gated(operation, gate_up.len(), stride, n, grad.len())?;
    want(
        operation,
        "the elements of the gradient",
        grad_gate_up.len(),
        gate_up.len(),
    )?;
    Launch::new(gate_up.device(), Kernel::SwigluBackward, grid)
        .read(gate_up)
        .value(size(operation, "columns", stride)?)
        .value(size(operation, "columns", n)?)
        .read(grad)
        .write(grad_gate_up)
        .run()
}
