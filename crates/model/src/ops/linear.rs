//! A frozen linear layer with its adapter: x·Wᵀ, x·Aᵀ in the same product, then + (x·Aᵀ)·Rᵀ·Bᵀ.
//!
//! ΔW = B·R·A is never formed. The rows of A are appended to those of W, so that one product gives both, and no
//! gradient of a weight is ever computed: what v needs are x·Aᵀ, kept in the output, and g·B (design §8).

use tlora_kernels::{self as kernels, PackedMatrix};

use super::array::{Array, on_device};
#[cfg(feature = "cuda")]
use super::device;
use super::elementwise::{narrow_add, rms_norm, swiglu};
use super::storage::{Element, array, change, read, with_element};
use crate::decoder::Compute;
use crate::decoder::batch::Prepared;
use crate::error::{ModelError, Result};
use crate::steering::{RGradient, Steering};

/// A matrix in the layout of the kernels, or on a device.
#[derive(Debug)]
pub(crate) enum Packed {
    F32(PackedMatrix<f32>),
    F64(PackedMatrix<f64>),
    #[cfg(feature = "cuda")]
    Device(tlora_cuda::Device, tlora_cuda::Matrix),
}

/// The element types again, with what is packed of them.
pub(crate) trait Packable: Element {
    fn packed(packed: &Packed) -> Option<&PackedMatrix<Self>>;
}

impl Packable for f32 {
    fn packed(packed: &Packed) -> Option<&PackedMatrix<Self>> {
        match packed {
            Packed::F32(matrix) => Some(matrix),
            _ => None,
        }
    }
}

impl Packable for f64 {
    fn packed(packed: &Packed) -> Option<&PackedMatrix<Self>> {
        match packed {
            Packed::F64(matrix) => Some(matrix),
            _ => None,
        }
    }
}

impl Packed {
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.outputs(),
            Self::F64(matrix) => matrix.outputs(),
            #[cfg(feature = "cuda")]
            Self::Device(_, matrix) => matrix.outputs(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::F32(matrix) => matrix.bytes(),
            Self::F64(matrix) => matrix.bytes(),
            #[cfg(feature = "cuda")]
            Self::Device(_, matrix) => matrix.bytes(),
        }
    }

    pub(crate) fn dtype(&self) -> candle_core::DType {
        match self {
            Self::F32(_) => candle_core::DType::F32,
            Self::F64(_) => candle_core::DType::F64,
            #[cfg(feature = "cuda")]
            Self::Device(..) => candle_core::DType::F32,
        }
    }

    /// Whether rows are rounded to bf16 before they are multiplied, so that they may come in bf16.
    #[cfg(feature = "cuda")]
    fn rounds(&self) -> bool {
        matches!(self, Self::Device(_, matrix) if matrix.storage() == tlora_cuda::Storage::Bf16)
    }

    /// [`rms_norm`] for a product with this matrix and nothing else: in bf16 if that would round it.
    pub(crate) fn rms_norm(&self, x: &Array, weight: &Array, epsilon: f64) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if self.rounds() {
            return device::rounded_rms_norm(x.device("rms_norm")?, weight, epsilon);
        }
        rms_norm(x, weight, epsilon)
    }

    /// [`swiglu`], likewise.
    pub(crate) fn swiglu(&self, gate_up: &Array, n: usize, stride: usize) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if self.rounds() {
            return device::rounded_swiglu(gate_up.device("swiglu")?, n, stride);
        }
        swiglu(gate_up, n, stride)
    }

    /// x·Wᵀ of rows of a tensor.
    pub(crate) fn product(&self, x: &Array) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if let Self::Device(device, matrix) = self {
            return device::linear::product(device, matrix, x);
        }
        with_element!(x.dtype(), "linear", T => {
            let matrix = of::<T>(self)?;
            let rows = x.elem_count() / matrix.columns();
            let mut y = vec![T::of(0.0); rows * matrix.outputs()];
            read::<T, _>(x, "linear", |x| kernels::linear(x, matrix, &mut y))?;
            array(y, (rows, matrix.outputs()))
        })
    }

    /// g·W of rows of a tensor.
    pub(crate) fn transposed_product(&self, grad: &Array) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if let Self::Device(_, matrix) = self {
            return device::linear::transposed_product(matrix, grad);
        }
        with_element!(grad.dtype(), "the gradient of linear", T => {
            let matrix = of::<T>(self)?;
            let rows = grad.elem_count() / matrix.outputs();
            let mut x = vec![T::of(0.0); rows * matrix.columns()];
            read::<T, _>(grad, "the gradient of linear", |grad| kernels::linear_backward(grad, matrix, &mut x))?;
            array(x, (rows, matrix.columns()))
        })
    }

    /// Some rows of the matrix, as an embedding wants them.
    pub(crate) fn rows(&self, numbers: &[u32]) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if let Self::Device(device, matrix) = self {
            return device::linear::rows(device, matrix, numbers);
        }
        with_element!(self.dtype(), "embedding", T => {
            let matrix = of::<T>(self)?;
            let width = matrix.columns();
            let mut rows = vec![T::of(0.0); numbers.len() * width];
            for (&number, row) in numbers.iter().zip(rows.chunks_exact_mut(width)) {
                matrix.row(number as usize, row);
            }
            array(rows, (numbers.len(), width))
        })
    }
}

fn of<T: Packable>(packed: &Packed) -> Result<&PackedMatrix<T>> {
    T::packed(packed).ok_or_else(|| ModelError::NotImplemented {
        operation: "linear",
        found: format!(
            "a {:?} weight and activations of another type",
            packed.dtype()
        ),
    })
}

/// One module of a layer whose weights are stacked: its rows, and its adapter.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its first column in the output.
    pub offset: usize,
    /// Its outputs.
    pub outputs: usize,
    /// Its adapter, if it has one.
    pub adapter: Option<PartAdapter>,
}

/// The frozen factors of an adapted module, in place.
#[derive(Debug)]
pub(crate) struct PartAdapter {
    /// The module's number.
    pub module: usize,
    /// r.
    pub rank: usize,
    /// The column of the output where x·Aᵀ begins.
    pub p_offset: usize,
    /// B, outputs × r.
    pub b: Array,
}

/// Several modules that read the same input, as one product.
#[derive(Debug)]
pub(crate) struct AdaptedLinear {
    pub packed: Packed,
    /// One number for each output and 0 for each x·Aᵀ, if a module has a bias.
    pub bias: Option<Array>,
    pub parts: Vec<Part>,
    /// The B of all parts, one after another, where it is on a device and all are adapted with one rank.
    #[cfg(feature = "cuda")]
    pub stacked: Option<device::DeviceArray>,
}

impl AdaptedLinear {
    /// Columns of the output: those of all modules, then x·Aᵀ of each adapted one.
    pub(crate) fn width(&self) -> usize {
        self.packed.outputs()
    }

    /// rows × width: the outputs of all modules with their updates, then x·Aᵀ.
    /// A row is a token of the batch.
    pub(crate) fn forward(
        &self,
        x: &Array,
        batch: &Prepared<'_>,
        steering: Option<&Steering>,
    ) -> Result<Array> {
        let mut y = self.packed.product(x)?;
        self.adapt(&mut y, batch, steering)?;
        Ok(y)
    }

    /// Bias and updates on top of a product, and its outputs on top of `other`, which has only those. In `y` the columns of x·Aᵀ
    /// are as they were, the outputs may have changed.
    pub(crate) fn add_to(
        &self,
        y: &mut Array,
        other: &Array,
        batch: &Prepared<'_>,
        steering: Option<&Steering>,
    ) -> Result<Array> {
        on_device!(y, y => device::linear::add_to(self, y, other, batch.on_device("adapter")?, steering));
        self.adapt(y, batch, steering)?;
        narrow_add(y, other)
    }

    /// Bias and updates on top of the product.
    fn adapt(
        &self,
        y: &mut Array,
        batch: &Prepared<'_>,
        steering: Option<&Steering>,
    ) -> Result<()> {
        on_device!(y, y => device::linear::adapt(self, y, batch.on_device("adapter")?, steering));
        with_element!(y.dtype(), "linear", T => {
            if let Some(bias) = &self.bias {
                read::<T, _>(bias, "bias", |bias| change::<T, _>(y, "bias", |y| kernels::add_bias(y, bias)))??;
            }
            let Some(steering) = steering else { return Ok(()) };
            for (part, adapter) in self.adapted() {
                read::<T, _>(&adapter.b, "adapter", |b| change::<T, _>(y, "adapter", |y| {
                    let c = inner::<T>(y, self.width(), adapter, steering, &batch.batch.adapters);
                    kernels::rank_update(y, self.width(), part.offset, b, &c);
                }))??;
            }
            Ok(())
        })
    }

    /// The gradient of x. `grad` is that of the output, with anything in the columns of x·Aᵀ; `y` is what `forward` gave.
    pub(crate) fn backward(
        &self,
        grad: &mut Array,
        y: &Array,
        steering: &Steering,
        gradient: &mut RSum,
    ) -> Result<Array> {
        #[cfg(feature = "cuda")]
        if let (Array::Device(there), RSum::Device(sum)) = (&mut *grad, &mut *gradient) {
            device::linear::adapt_backward(self, there, y, steering, sum)?;
            return self.packed.transposed_product(grad);
        }
        let gradient = gradient.here()?;
        with_element!(grad.dtype(), "the gradient of an adapter", T => {
            for (part, adapter) in self.adapted() {
                let rows = grad.elem_count() / self.width();
                let mut s = vec![T::of(0.0); rows * adapter.rank];
                read::<T, _>(&adapter.b, "adapter", |b| read::<T, _>(grad, "adapter", |grad| {
                    kernels::rank_gradient(grad, self.width(), part.offset, b, part.outputs, &mut s);
                }))??;
                read::<T, _>(y, "adapter", |y| accumulate(gradient, adapter, &s, y, self.width()))?;
                let r = steering.matrix(adapter.module);
                change::<T, _>(grad, "adapter", |grad| {
                    fill_p(grad, self.width(), adapter, r, &s);
                })?;
            }
            self.packed.transposed_product(grad)
        })
    }

    pub(super) fn adapted(&self) -> impl Iterator<Item = (&Part, &PartAdapter)> {
        let parts = self.parts.iter();
        parts.filter_map(|part| part.adapter.as_ref().map(|adapter| (part, adapter)))
    }
}

/// ∂L/∂R of all modules while it is summed: here, or where the activations are.
pub(crate) enum RSum {
    Host(RGradient),
    #[cfg(feature = "cuda")]
    Device(device::linear::DeviceRSum),
}

impl RSum {
    /// Zeros in the shape of `like`, which are zeros too.
    pub(crate) fn new(compute: &Compute, like: &RGradient) -> Result<Self> {
        Ok(match compute {
            Compute::F32 | Compute::F64 => Self::Host(like.clone()),
            #[cfg(feature = "cuda")]
            Compute::Cuda { device, .. } => {
                Self::Device(device::linear::DeviceRSum::new(device, like)?)
            }
        })
    }

    #[cfg_attr(
        not(feature = "cuda"),
        expect(clippy::unnecessary_wraps, reason = "all sums are here")
    )]
    fn here(&mut self) -> Result<&mut RGradient> {
        match self {
            Self::Host(gradient) => Ok(gradient),
            #[cfg(feature = "cuda")]
            Self::Device(_) => Err(elsewhere()),
        }
    }

    /// Puts the sums into what they were made like.
    #[cfg_attr(
        not(feature = "cuda"),
        expect(clippy::unnecessary_wraps, reason = "all sums are here")
    )]
    pub(crate) fn finish(self, zeros: &mut RGradient) -> Result<()> {
        match self {
            Self::Host(gradient) => *zeros = gradient,
            #[cfg(feature = "cuda")]
            Self::Device(sum) => sum.add_to(zeros)?,
        }
        Ok(())
    }
}

#[cfg(feature = "cuda")]
fn elsewhere() -> ModelError {
    ModelError::NotImplemented {
        operation: "the gradient of an adapter",
        found: "sums in another place than the activations".to_owned(),
    }
}

/// c = p·Rᵀ of every row, where p stands in the row and R is that of the row's adapter.
fn inner<T: Element>(
    y: &[T],
    width: usize,
    adapter: &PartAdapter,
    steering: &Steering,
    of_rows: &[u32],
) -> Vec<T> {
    let rank = adapter.rank;
    let all = steering.matrices(adapter.module);
    let all: Vec<Vec<T>> = all.map(|r| r.iter().map(|&x| T::of(x)).collect()).collect();
    let mut c = Vec::with_capacity(y.len() / width * rank);
    for (row, &of) in y.chunks_exact(width).zip(of_rows) {
        let p = &row[adapter.p_offset..adapter.p_offset + rank];
        let r = all[of as usize].chunks_exact(rank);
        c.extend(r.map(|r| dot(r, p)));
    }
    c
}

/// The gradient of p, s·R, into its columns.
fn fill_p<T: Element>(grad: &mut [T], width: usize, adapter: &PartAdapter, r: &[f64], s: &[T]) {
    let rank = adapter.rank;
    let columns: Vec<Vec<T>> = (0..rank)
        .map(|j| r.iter().skip(j).step_by(rank).map(|&x| T::of(x)).collect())
        .collect();
    for (row, s) in grad.chunks_exact_mut(width).zip(s.chunks_exact(rank)) {
        let p = &mut row[adapter.p_offset..adapter.p_offset + rank];
        for (p, column) in p.iter_mut().zip(&columns) {
            *p = dot(column, s);
        }
    }
}

/// ∂L/∂R += sᵀ·p, summed over the rows in their order, in binary64.
fn accumulate<T: Element>(
    gradient: &mut RGradient,
    adapter: &PartAdapter,
    s: &[T],
    y: &[T],
    width: usize,
) {
    let rank = adapter.rank;
    let sum = gradient.matrix_mut(adapter.module);
    for (s, row) in s.chunks_exact(rank).zip(y.chunks_exact(width)) {
        let p = &row[adapter.p_offset..adapter.p_offset + rank];
        for (sum, &s) in sum.chunks_exact_mut(rank).zip(s) {
            for (sum, &p) in sum.iter_mut().zip(p) {
                *sum += s.wide() * p.wide();
            }
        }
    }
}

fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let products = a.iter().zip(b);
    products.fold(T::of(0.0), |sum, (&a, &b)| sum + a * b)
}
