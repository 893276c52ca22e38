//! Frozen linear layers with their adapters on the device.

use std::sync::OnceLock;
use tlora_cuda::{self as cuda, Buffer, Device, Inner, Matrices, Matrix};

use super::{DeviceArray, DeviceBatch, single};
use crate::error::Result;
use crate::ops::array::Array;
use crate::ops::linear::{AdaptedLinear, Part, PartAdapter};
use crate::steering::{RGradient, Steering};

/// x·Wᵀ.
pub(crate) fn product(device: &Device, matrix: &Matrix, x: &Array) -> Result<Array> {
    let rows = x.elem_count() / matrix.columns();
    let mut y = DeviceArray::uninitialised(device, rows, matrix.outputs())?;
    if let Array::Rounded(x) = x {
        cuda::linear(&x.buffer, matrix, &mut y.buffer)?;
    } else {
        cuda::linear(&x.device("linear")?.buffer, matrix, &mut y.buffer)?;
    }
    Ok(Array::Device(y))
}

/// g·W.
pub(crate) fn transposed_product(matrix: &Matrix, grad: &Array) -> Result<Array> {
    let grad = grad.device("the gradient of linear")?;
    let mut x = DeviceArray::uninitialised(grad.on(), grad.rows(), matrix.columns())?;
    cuda::linear_backward(&grad.buffer, matrix, &mut x.buffer)?;
    Ok(Array::Device(x))
}

/// Rows of an embedding.
pub(crate) fn rows(device: &Device, matrix: &Matrix, numbers: &[u32]) -> Result<Array> {
    rows_there(matrix, &Buffer::from_slice(device, numbers)?)
}

/// Rows of an embedding whose numbers are on the device.
pub(crate) fn rows_there(matrix: &Matrix, numbers: &Buffer<u32>) -> Result<Array> {
    let mut rows = DeviceArray::uninitialised(numbers.device(), numbers.len(), matrix.columns())?;
    matrix.rows(numbers, &mut rows.buffer)?;
    Ok(Array::Device(rows))
}

/// scale · R of all modules, in one buffer.
#[derive(Debug)]
pub(crate) struct DeviceSteering {
    matrices: Buffer<f32>,
    /// Where each module's of the first adapter begins.
    offsets: Vec<usize>,
    adapters: usize,
}

impl DeviceSteering {
    fn new(device: &Device, adapters: &[Vec<Vec<f64>>]) -> Result<Self> {
        let all = adapters.iter().flatten().flatten();
        let all: Vec<f32> = all.map(|&x| single(x)).collect();
        Ok(Self {
            matrices: Buffer::from_slice(device, &all)?,
            offsets: adapters
                .first()
                .map(|first| offsets(first))
                .unwrap_or_default(),
            adapters: adapters.len(),
        })
    }

    fn of(&self, module: usize) -> (&Buffer<f32>, Matrices) {
        let place = Matrices {
            offset: self.offsets[module],
            between: self.matrices.len() / self.adapters.max(1),
            adapters: self.adapters,
        };
        (&self.matrices, place)
    }
}

/// The matrices on the device, where the first use of a steering has brought them.
fn steered<'a>(device: &Device, steering: &'a Steering) -> Result<&'a DeviceSteering> {
    let there: &OnceLock<DeviceSteering> = steering.on_device();
    if let Some(there) = there.get() {
        return Ok(there);
    }
    let made = DeviceSteering::new(device, steering.all())?;
    Ok(there.get_or_init(|| made))
}

fn offsets(matrices: &[Vec<f64>]) -> Vec<usize> {
    let mut end = 0;
    let mut next = |matrix: &Vec<f64>| {
        let start = end;
        end += matrix.len();
        start
    };
    matrices.iter().map(&mut next).collect()
}

/// ∂L/∂R of all modules while it is summed.
pub(crate) struct DeviceRSum {
    sums: Buffer<f64>,
    offsets: Vec<usize>,
}

impl DeviceRSum {
    /// Zeros in the shape of `like`.
    pub(crate) fn new(device: &Device, like: &RGradient) -> Result<Self> {
        let matrices = like.matrices();
        let len = matrices.iter().map(Vec::len).sum();
        Ok(Self {
            sums: Buffer::zeros(device, len)?,
            offsets: offsets(matrices),
        })
    }

    /// Adds the sums to a gradient of this machine.
    pub(crate) fn add_to(&self, gradient: &mut RGradient) -> Result<()> {
        let sums = self.sums.download()?;
        let places = gradient.matrices_mut().iter_mut().flatten();
        places.zip(sums).for_each(|(place, sum)| *place += sum);
        Ok(())
    }
}

fn inner_of(linear: &AdaptedLinear, adapter: &PartAdapter) -> Inner {
    Inner {
        stride: linear.width(),
        offset: adapter.p_offset,
        rank: adapter.rank,
    }
}

/// Bias and updates on top of a product.
pub(crate) fn adapt(
    linear: &AdaptedLinear,
    y: &mut DeviceArray,
    batch: &DeviceBatch,
    steering: Option<&Steering>,
) -> Result<()> {
    let device = y.on().clone();
    if let (Some(b), Some(steering)) = (&linear.stacked, steering) {
        let steering = steered(&device, steering)?;
        let parts = parts_of(linear, steering);
        let update = update_of(linear, b, &parts, batch, steering)?;
        return Ok(cuda::adapt(&mut y.buffer, update)?);
    }
    if let Some(bias) = bias_of(linear)? {
        cuda::add_bias(&mut y.buffer, bias)?;
    }
    let Some(steering) = steering else {
        return Ok(());
    };
    let steering = steered(&device, steering)?;
    for (part, adapter) in linear.adapted() {
        let (r, place) = steering.of(adapter.module);
        let mut c = Buffer::uninitialised(&device, y.rows() * adapter.rank)?;
        let (p, of_rows) = (inner_of(linear, adapter), batch.adapters());
        cuda::inner(&y.buffer, p, r, place, of_rows, &mut c)?;
        let b = &adapter.b.device("adapter")?.buffer;
        cuda::rank_update(&mut y.buffer, linear.width(), part.offset, b, &c)?;
    }
    Ok(())
}

/// Bias and updates on top of a product, and its outputs on top of `other`.
pub(crate) fn add_to(
    linear: &AdaptedLinear,
    y: &mut DeviceArray,
    other: &Array,
    batch: &DeviceBatch,
    steering: Option<&Steering>,
) -> Result<Array> {
    if let (Some(b), Some(steering)) = (&linear.stacked, steering) {
        let steering = steered(y.on(), steering)?;
        let parts = parts_of(linear, steering);
        let update = update_of(linear, b, &parts, batch, steering)?;
        let other = other.device("add")?;
        let mut sum = other.like()?;
        cuda::adapt_onto(&y.buffer, update, &other.buffer, &mut sum.buffer)?;
        return Ok(Array::Device(sum));
    }
    adapt(linear, y, batch, steering)?;
    super::narrow_add(y, other)
}

/// The B of all parts as one matrix, if all are adapted with one rank on a device.
pub(crate) fn stacked(parts: &[Part]) -> Result<Option<DeviceArray>> {
    let all: Option<Vec<&DeviceArray>> = parts.iter().map(of_part).collect();
    match all {
        Some(all)
            if (1..=cuda::MOST_PARTS).contains(&all.len())
                && all.iter().all(|b| b.columns == all[0].columns) =>
        {
            DeviceArray::cat(&all).map(Some)
        }
        _ => Ok(None),
    }
}

fn of_part(part: &Part) -> Option<&DeviceArray> {
    match &part.adapter.as_ref()?.b {
        Array::Device(b) => Some(b),
        Array::Host(_) | Array::Rounded(_) => None,
    }
}

/// The columns of the parts, which are all adapted.
fn parts_of(linear: &AdaptedLinear, steering: &DeviceSteering) -> Vec<cuda::Part> {
    let adapted = linear.adapted();
    let part = |(part, adapter): (&Part, &PartAdapter)| cuda::Part {
        end: part.offset + part.outputs,
        matrices: steering.of(adapter.module).1,
    };
    adapted.map(part).collect()
}

fn bias_of(linear: &AdaptedLinear) -> Result<Option<&Buffer<f32>>> {
    let bias = linear.bias.as_ref().map(|bias| bias.device("bias"));
    Ok(bias.transpose()?.map(|bias| &bias.buffer))
}

/// Bias and updates of a layer whose parts are all adapted, for one pass.
fn update_of<'a>(
    linear: &'a AdaptedLinear,
    b: &'a DeviceArray,
    parts: &'a [cuda::Part],
    batch: &'a DeviceBatch,
    steering: &'a DeviceSteering,
) -> Result<cuda::Update<'a>> {
    let p = Inner {
        stride: linear.width(),
        offset: b.rows(),
        rank: b.columns,
    };
    Ok(cuda::Update {
        p,
        parts,
        bias: bias_of(linear)?,
        r: &steering.matrices,
        of_rows: batch.adapters(),
        b: &b.buffer,
    })
}

/// ∂L/∂R of all modules, and the gradients of x·Aᵀ into their columns.
pub(crate) fn adapt_backward(
    linear: &AdaptedLinear,
    grad: &mut DeviceArray,
    y: &Array,
    steering: &Steering,
    sum: &mut DeviceRSum,
) -> Result<()> {
    let device = grad.on().clone();
    let steering = steered(&device, steering)?;
    let y = &y.device("adapter")?.buffer;
    for (part, adapter) in linear.adapted() {
        let (p, width) = (inner_of(linear, adapter), linear.width());
        let b = &adapter.b.device("adapter")?.buffer;
        let mut s = Buffer::uninitialised(&device, grad.rows() * adapter.rank)?;
        cuda::rank_gradient(&grad.buffer, width, part.offset, b, part.outputs, &mut s)?;
        let place = Matrices::one(sum.offsets[adapter.module]);
        cuda::accumulate(&s, y, p, None, &mut sum.sums, place)?;
        let (r, place) = steering.of(adapter.module);
        cuda::fill_p(&mut grad.buffer, p, r, place, None, &s)?;
    }
    Ok(())
}
