//! The operations on an NVIDIA GPU: sizes and buffers for those of `tlora-cuda`, one for each that this machine has.

pub(crate) mod attention;
pub(crate) mod batch;
pub(crate) mod head;
pub(crate) mod linear;

use candle_core::Shape;
use tlora_cuda::{self as cuda, Buffer, Device};

use super::array::Array;
use super::elementwise::Heads;
use crate::error::Result;
pub(crate) use attention::{attention, attention_backward, write_cache};
pub(crate) use batch::DeviceBatch;

/// A matrix on the device, row-major; a vector is one row.
#[derive(Debug)]
pub(crate) struct DeviceArray {
    pub buffer: Buffer<f32>,
    pub columns: usize,
}

impl DeviceArray {
    /// So many rows with anything in them.
    pub(crate) fn uninitialised(device: &Device, rows: usize, columns: usize) -> Result<Self> {
        Ok(Self {
            buffer: Buffer::uninitialised(device, rows * columns)?,
            columns,
        })
    }

    /// Numbers of this machine, rounded.
    pub(crate) fn upload(device: &Device, values: &[f64], shape: &Shape) -> Result<Self> {
        let values: Vec<f32> = values.iter().map(|&x| single(x)).collect();
        Ok(Self {
            buffer: Buffer::from_slice(device, &values)?,
            columns: shape.dims().last().copied().unwrap_or(1),
        })
    }

    /// A matrix of the same shape, with anything in it.
    fn like(&self) -> Result<Self> {
        Self::uninitialised(self.on(), self.rows(), self.columns)
    }

    pub(crate) fn rows(&self) -> usize {
        self.buffer.len() / self.columns.max(1)
    }

    pub(crate) fn on(&self) -> &Device {
        self.buffer.device()
    }

    /// Some adjacent rows, in the same memory.
    pub(crate) fn part(&self, start: usize, len: usize) -> Result<Self> {
        Ok(Self {
            buffer: self.buffer.part(start * self.columns, len * self.columns)?,
            columns: self.columns,
        })
    }

    /// A copy of some adjacent rows.
    pub(crate) fn slice(&self, start: usize, len: usize) -> Result<Self> {
        let mut rows = Self::uninitialised(self.on(), len, self.columns)?;
        let (at, count) = (start * self.columns, len * self.columns);
        rows.buffer.copy_from(0, &self.buffer, at, count)?;
        Ok(rows)
    }

    /// The rows of all, one after another; at least one is there.
    pub(crate) fn cat(parts: &[&Self]) -> Result<Self> {
        let rows = parts.iter().map(|part| part.rows()).sum();
        let mut whole = Self::uninitialised(parts[0].on(), rows, parts[0].columns)?;
        let mut at = 0;
        for part in parts {
            let len = part.buffer.len();
            whole.buffer.copy_from(at, &part.buffer, 0, len)?;
            at += len;
        }
        Ok(whole)
    }
}

/// Rows in bf16 on the device, as a product with a matrix of bf16 reads them.
#[derive(Debug)]
pub(crate) struct RoundedRows {
    pub buffer: Buffer<u16>,
    pub columns: usize,
}

impl RoundedRows {
    fn uninitialised(device: &Device, rows: usize, columns: usize) -> Result<Self> {
        Ok(Self {
            buffer: Buffer::uninitialised(device, rows * columns)?,
            columns,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.buffer.len() / self.columns.max(1)
    }
}

const fn heads(heads: Heads) -> cuda::Heads {
    cuda::Heads {
        stride: heads.stride,
        offset: heads.offset,
        count: heads.count,
        width: heads.width,
    }
}

/// As f32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the rounding that is wanted"
)]
pub(crate) const fn single(number: f64) -> f32 {
    number as f32
}

/// Row numbers as the device wants them; a batch has less than 2³² rows.
fn numbers(rows: &[usize]) -> Vec<u32> {
    let number = |&row| u32::try_from(row).unwrap_or(u32::MAX);
    rows.iter().map(number).collect()
}

pub(crate) fn rms_norm(x: &DeviceArray, weight: &Array, epsilon: f64) -> Result<Array> {
    let weight = weight.device("rms_norm")?;
    let mut y = x.like()?;
    cuda::rms_norm(&x.buffer, &weight.buffer, single(epsilon), &mut y.buffer)?;
    Ok(Array::Device(y))
}

/// [`rms_norm`], rounded.
pub(crate) fn rounded_rms_norm(x: &DeviceArray, weight: &Array, epsilon: f64) -> Result<Array> {
    let weight = weight.device("rms_norm")?;
    let mut y = RoundedRows::uninitialised(x.on(), x.rows(), x.columns)?;
    cuda::rms_norm(&x.buffer, &weight.buffer, single(epsilon), &mut y.buffer)?;
    Ok(Array::Rounded(y))
}

pub(crate) fn rms_norm_backward(
    x: &DeviceArray,
    weight: &Array,
    epsilon: f64,
    grad: &Array,
) -> Result<Array> {
    let (weight, grad) = (weight.device("rms_norm")?, grad.device("rms_norm")?);
    let mut grad_x = x.like()?;
    cuda::rms_norm_backward(
        &x.buffer,
        &weight.buffer,
        single(epsilon),
        &grad.buffer,
        &mut grad_x.buffer,
    )?;
    Ok(Array::Device(grad_x))
}

pub(crate) fn rope(
    x: &mut DeviceArray,
    of: Heads,
    batch: &DeviceBatch,
    inverse: bool,
) -> Result<()> {
    let (cos, sin) = batch.tables();
    Ok(cuda::rope(&mut x.buffer, heads(of), cos, sin, inverse)?)
}

pub(crate) fn take_heads(x: &DeviceArray, of: Heads) -> Result<Array> {
    let of = heads(of);
    let mut taken = DeviceArray::uninitialised(x.on(), x.rows(), of.columns())?;
    cuda::take_heads(&x.buffer, of, &mut taken.buffer)?;
    Ok(Array::Device(taken))
}

pub(crate) fn put_heads(into: &mut DeviceArray, of: Heads, from: &Array) -> Result<()> {
    let from = from.device("heads")?;
    Ok(cuda::put_heads(&mut into.buffer, heads(of), &from.buffer)?)
}

pub(crate) fn swiglu(gate_up: &DeviceArray, n: usize, stride: usize) -> Result<Array> {
    let mut y = DeviceArray::uninitialised(gate_up.on(), gate_up.rows(), n)?;
    cuda::swiglu(&gate_up.buffer, stride, n, &mut y.buffer)?;
    Ok(Array::Device(y))
}

/// [`swiglu`], rounded.
pub(crate) fn rounded_swiglu(gate_up: &DeviceArray, n: usize, stride: usize) -> Result<Array> {
    let mut y = RoundedRows::uninitialised(gate_up.on(), gate_up.rows(), n)?;
    cuda::swiglu(&gate_up.buffer, stride, n, &mut y.buffer)?;
    Ok(Array::Rounded(y))
}

pub(crate) fn swiglu_backward(
    gate_up: &DeviceArray,
    n: usize,
    stride: usize,
    grad: &Array,
) -> Result<Array> {
    let grad = grad.device("swiglu")?;
    let mut grad_gate_up = gate_up.like()?;
    if 2 * n < stride {
        grad_gate_up.buffer.clear()?;
    }
    cuda::swiglu_backward(
        &gate_up.buffer,
        stride,
        n,
        &grad.buffer,
        &mut grad_gate_up.buffer,
    )?;
    Ok(Array::Device(grad_gate_up))
}

pub(crate) fn widen(x: &DeviceArray, columns: usize) -> Result<Array> {
    let mut wide = DeviceArray::uninitialised(x.on(), x.rows(), columns)?;
    cuda::widen(&x.buffer, x.columns, columns, &mut wide.buffer)?;
    Ok(Array::Device(wide))
}

pub(crate) fn narrow_add(x: &DeviceArray, other: &Array) -> Result<Array> {
    let other = other.device("add")?;
    let mut y = other.like()?;
    cuda::narrow_add(&x.buffer, x.columns, &other.buffer, &mut y.buffer)?;
    Ok(Array::Device(y))
}

pub(crate) fn add(a: &mut DeviceArray, b: &Array) -> Result<()> {
    Ok(cuda::add(&mut a.buffer, &b.device("add")?.buffer)?)
}

pub(crate) fn gather_rows(x: &DeviceArray, rows: &[usize]) -> Result<Array> {
    let numbers = Buffer::from_slice(x.on(), &numbers(rows))?;
    let mut taken = DeviceArray::uninitialised(x.on(), rows.len(), x.columns)?;
    cuda::gather_rows(&x.buffer, x.columns, &numbers, &mut taken.buffer)?;
    Ok(Array::Device(taken))
}

pub(crate) fn scatter_rows(x: &DeviceArray, rows: &[usize], count: usize) -> Result<Array> {
    let scatter = cuda::Scatter::new(x.on(), &numbers(rows), count)?;
    let mut sum = DeviceArray::uninitialised(x.on(), count, x.columns)?;
    cuda::scatter_rows(&x.buffer, x.columns, &scatter, &mut sum.buffer)?;
    Ok(Array::Device(sum))
}
