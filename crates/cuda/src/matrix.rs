//! Frozen weights on the device, and their products with rows.
//!
//! A product's order of additions is cuBLAS's: the same for the same shapes on the same device, but not for every number of
//! rows, as it is on the CPU.

use half::{bf16, f16};

use crate::activation::Activation;
use crate::backend::Product;
use crate::buffer::Buffer;
use crate::device::Device;
use crate::error::{CudaError, Result, size, want, whole_rows};
use crate::launch::{Grid, Kernel, Launch, threads_for};

/// Weights in memory order, out × in.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Rows.
    pub rows: usize,
    /// rows × columns values.
    pub data: RowData<'a>,
}

/// The values of a block.
#[derive(Debug, Clone, Copy)]
pub enum RowData<'a> {
    /// bf16, as bits.
    Bf16(&'a [u16]),
    /// IEEE binary16, as bits.
    F16(&'a [u16]),
    /// f32.
    F32(&'a [f32]),
}

/// How a matrix is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// f32; products are in f32, without TF32.
    F32,
    /// bf16: values are rounded to it, and so are the rows that it is multiplied with; sums are in f32.
    Bf16,
}

#[derive(Debug)]
enum Values {
    F32(Buffer<f32>),
    Bf16(Buffer<u16>),
}

/// A matrix of weights, outputs × columns, in memory order.
///
/// Tensor cores are at their best if both sizes are multiples of 8; rows of zeros may fill a matrix up.
#[derive(Debug)]
pub struct Matrix {
    values: Values,
    outputs: usize,
    columns: usize,
}

impl Matrix {
    /// Uploads blocks of rows, the outputs of all one after another.
    ///
    /// # Errors
    /// A block has not rows × columns values, there are too many, or the device has no memory left.
    pub fn upload(
        device: &Device,
        blocks: &[Block<'_>],
        columns: usize,
        storage: Storage,
    ) -> Result<Self> {
        let outputs = blocks.iter().map(|block| block.rows).sum();
        size("Matrix::upload", "outputs", outputs)?;
        size("Matrix::upload", "columns", columns)?;
        for block in blocks {
            want(
                "Matrix::upload",
                "the values of a block",
                block.data.len(),
                block.rows * columns,
            )?;
        }
        let mut values = match storage {
            Storage::F32 => Values::F32(Buffer::uninitialised(device, outputs * columns)?),
            Storage::Bf16 => Values::Bf16(Buffer::uninitialised(device, outputs * columns)?),
        };
        let mut at = 0;
        for block in blocks {
            match &mut values {
                Values::F32(buffer) => block.data.upload_f32(buffer, at)?,
                Values::Bf16(buffer) => block.data.upload_bf16(buffer, at)?,
            }
            at += block.data.len();
        }
        Ok(Self {
            values,
            outputs,
            columns,
        })
    }

    /// Rows of the matrix.
    #[must_use]
    pub const fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of the matrix.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How it is kept.
    #[must_use]
    pub const fn storage(&self) -> Storage {
        match self.values {
            Values::F32(_) => Storage::F32,
            Values::Bf16(_) => Storage::Bf16,
        }
    }

    /// Bytes of the values.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match &self.values {
            Values::F32(values) => 4 * values.len(),
            Values::Bf16(values) => 2 * values.len(),
        }
    }

    /// Some rows of the matrix, as an embedding wants them; `out` is numbers × columns. A number beyond the matrix gives a row
    /// that is not a number.
    ///
    /// # Errors
    /// The sizes do not fit.
    pub fn rows(&self, numbers: &Buffer<u32>, out: &mut Buffer<f32>) -> Result<()> {
        let launch = |kernel| gather_launch("rows", kernel, out, numbers.len(), self.columns);
        let launch = match &self.values {
            Values::F32(values) => launch(Kernel::GatherF32)?.read(values),
            Values::Bf16(values) => launch(Kernel::GatherBf16)?.read(values),
        };
        launch
            .value(size("rows", "outputs", self.outputs)?)
            .value(size("rows", "columns", self.columns)?)
            .read(numbers)
            .write(out)
            .run()
    }

    /// y = x·Wᵀ, or x·W if `transposed`.
    fn product<T: Activation>(
        &self,
        operation: &'static str,
        transposed: bool,
        x: &Buffer<T>,
        y: &mut Buffer<f32>,
    ) -> Result<()> {
        let (inner, width) = if transposed {
            (self.outputs, self.columns)
        } else {
            (self.columns, self.outputs)
        };
        let rows = whole_rows(operation, "the elements of the rows", x.len(), inner)?;
        want(
            operation,
            "the elements of the result",
            y.len(),
            rows * width,
        )?;
        let device = y.device().clone();
        let (w, of) = match &self.values {
            Values::F32(values) => (values.address(), values.device()),
            Values::Bf16(values) => (values.address(), values.device()),
        };
        if *of != device || *x.device() != device {
            return Err(CudaError::OtherDevice { operation });
        }
        let mut product = Product {
            operation,
            bf16: false,
            transposed,
            w,
            outputs: size(operation, "outputs", self.outputs)?,
            columns: size(operation, "columns", self.columns)?,
            x: x.address(),
            rows: size(operation, "rows", rows)?,
            y: y.address(),
        };
        product.bf16 = self.storage() == Storage::Bf16;
        match (T::unrounded(x), product.bf16) {
            (Some(_), false) | (None, true) => device.backend().product(&product),
            (Some(x), true) => {
                let mut rounded = Buffer::<u16>::uninitialised(&device, x.len())?;
                round_bf16(x, &mut rounded)?;
                product.x = rounded.address();
                device.backend().product(&product)
            }
            (None, false) => Err(CudaError::Rounded { operation }),
        }
    }
}

impl RowData<'_> {
    /// Values.
    const fn len(&self) -> usize {
        match self {
            Self::Bf16(values) | Self::F16(values) => values.len(),
            Self::F32(values) => values.len(),
        }
    }

    fn upload_f32(&self, to: &mut Buffer<f32>, at: usize) -> Result<()> {
        match self {
            Self::F32(values) => to.upload(at, values),
            Self::Bf16(bits) => {
                let wide = bits.iter().map(|&bits| bf16::from_bits(bits).to_f32());
                to.upload(at, &wide.collect::<Vec<_>>())
            }
            Self::F16(bits) => {
                let wide = bits.iter().map(|&bits| f16::from_bits(bits).to_f32());
                to.upload(at, &wide.collect::<Vec<_>>())
            }
        }
    }

    fn upload_bf16(&self, to: &mut Buffer<u16>, at: usize) -> Result<()> {
        let rounded = |x: f32| bf16::from_f32(x).to_bits();
        match self {
            Self::Bf16(bits) => to.upload(at, bits),
            Self::F32(values) => {
                to.upload(at, &values.iter().map(|&x| rounded(x)).collect::<Vec<_>>())
            }
            Self::F16(bits) => {
                let narrow = bits
                    .iter()
                    .map(|&bits| rounded(f16::from_bits(bits).to_f32()));
                to.upload(at, &narrow.collect::<Vec<_>>())
            }
        }
    }
}

/// y = x·Wᵀ: x is rows × columns, y rows × outputs.
///
/// # Errors
/// The sizes do not fit, x is rounded and the matrix is not, or cuBLAS fails.
pub fn linear<T: Activation>(x: &Buffer<T>, w: &Matrix, y: &mut Buffer<f32>) -> Result<()> {
    w.product("linear", false, x, y)
}

/// x = g·W: g is rows × outputs, x rows × columns.
///
/// # Errors
/// The sizes do not fit, or cuBLAS fails.
pub fn linear_backward(grad: &Buffer<f32>, w: &Matrix, grad_x: &mut Buffer<f32>) -> Result<()> {
    w.product("linear_backward", true, grad, grad_x)
}

/// The nearest bf16 of each element, as bits; ties to even.
///
/// # Errors
/// The sizes differ.
pub fn round_bf16(x: &Buffer<f32>, y: &mut Buffer<u16>) -> Result<()> {
    want("round_bf16", "the elements of the result", y.len(), x.len())?;
    let grid = Grid::items("round_bf16", x.len().div_ceil(4))?;
    Launch::new(x.device(), Kernel::RoundBf16, grid)
        .read(x)
        .write(y)
        .value(x.len() as u64)
        .run()
}

/// A launch that gathers rows, without its arguments.
pub(crate) fn gather_launch(
    operation: &'static str,
    kernel: Kernel,
    out: &Buffer<f32>,
    count: usize,
    width: usize,
) -> Result<Launch> {
    want(
        operation,
        "the elements of the result",
        out.len(),
        count * width,
    )?;
    let threads = threads_for(size(operation, "columns", width)?);
    let grid = Grid::rows(size(operation, "rows", count)?, threads);
    Ok(Launch::new(out.device(), kernel, grid))
}
