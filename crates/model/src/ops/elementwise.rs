//! Norms, the rotary embedding and the gated activation, with their gradients.

use tlora_kernels as kernels;

use super::array::{Array, on_device};
#[cfg(feature = "cuda")]
use super::device;
use super::storage::{Element, array, change, read, with_element};
use crate::decoder::batch::Prepared;
use crate::error::Result;

/// x / sqrt(mean(x²) + ε) · weight, row by row.
pub(crate) fn rms_norm(x: &Array, weight: &Array, epsilon: f64) -> Result<Array> {
    on_device!(x, x => device::rms_norm(x, weight, epsilon));
    with_element!(x.dtype(), "rms_norm", T => {
        let mut y = vec![T::of(0.0); x.elem_count()];
        read::<T, _>(x, "rms_norm", |x| read::<T, _>(weight, "rms_norm", |weight| {
            kernels::rms_norm(x, weight, T::of(epsilon), &mut y);
        }))??;
        array(y, x.shape())
    })
}

/// The gradient of x.
pub(crate) fn rms_norm_backward(
    x: &Array,
    weight: &Array,
    epsilon: f64,
    grad: &Array,
) -> Result<Array> {
    on_device!(x, x => device::rms_norm_backward(x, weight, epsilon, grad));
    with_element!(x.dtype(), "rms_norm", T => {
        let mut grad_x = vec![T::of(0.0); x.elem_count()];
        read::<T, _>(x, "rms_norm", |x| read::<T, _>(weight, "rms_norm", |weight| {
            read::<T, _>(grad, "rms_norm", |grad| {
                kernels::rms_norm_backward(x, weight, T::of(epsilon), grad, &mut grad_x);
            })
        }))???;
        array(grad_x, x.shape())
    })
}

/// Adjacent columns of a buffer that hold some heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// Columns of the buffer.
    pub stride: usize,
    /// The first column.
    pub offset: usize,
    /// Number of heads.
    pub count: usize,
    /// Columns of a head.
    pub width: usize,
}

/// Turns heads by their positions, in place; `inverse` turns back, which is the gradient.
pub(crate) fn rope(x: &mut Array, heads: Heads, batch: &Prepared<'_>, inverse: bool) -> Result<()> {
    on_device!(x, x => device::rope(x, heads, batch.on_device("rope")?, inverse));
    with_element!(x.dtype(), "rope", T => {
        let wide = |table: &[f32]| -> Vec<T> { table.iter().map(|&x| T::of(f64::from(x))).collect() };
        let (cos, sin) = (wide(&batch.cos), wide(&batch.sin));
        change::<T, _>(x, "rope", |x| {
            kernels::rope(x, heads.count, heads.width, heads.stride, heads.offset, &cos, &sin, inverse);
        })
    })
}

/// Copies heads out of a buffer, rows × (count · width).
pub(crate) fn take_heads(x: &Array, heads: Heads) -> Result<Array> {
    on_device!(x, x => device::take_heads(x, heads));
    with_element!(x.dtype(), "heads", T => {
        let columns = heads.count * heads.width;
        let taken: Vec<T> = read::<T, _>(x, "heads", |x| {
            let mut taken = Vec::with_capacity(x.len() / heads.stride * columns);
            for row in x.chunks_exact(heads.stride) {
                taken.extend_from_slice(&row[heads.offset..heads.offset + columns]);
            }
            taken
        })?;
        let rows = taken.len() / columns;
        array(taken, (rows, columns))
    })
}

/// Copies heads into a buffer.
pub(crate) fn put_heads(into: &mut Array, heads: Heads, from: &Array) -> Result<()> {
    on_device!(into, into => device::put_heads(into, heads, from));
    with_element!(into.dtype(), "heads", T => {
        let columns = heads.count * heads.width;
        read::<T, _>(from, "heads", |from| change::<T, _>(into, "heads", |into| {
            for (row, from) in into.chunks_exact_mut(heads.stride).zip(from.chunks_exact(columns)) {
                row[heads.offset..heads.offset + columns].copy_from_slice(from);
            }
        }))?
    })
}

/// silu(gate) · up of a buffer whose first 2·n columns are gate and up.
pub(crate) fn swiglu(gate_up: &Array, n: usize, stride: usize) -> Result<Array> {
    on_device!(gate_up, gate_up => device::swiglu(gate_up, n, stride));
    with_element!(gate_up.dtype(), "swiglu", T => {
        let rows = gate_up.elem_count() / stride;
        let mut y = vec![T::of(0.0); rows * n];
        read::<T, _>(gate_up, "swiglu", |gate_up| kernels::swiglu(gate_up, stride, n, &mut y))?;
        array(y, (rows, n))
    })
}

/// The gradient of the buffer; the columns after gate and up are 0.
pub(crate) fn swiglu_backward(
    gate_up: &Array,
    n: usize,
    stride: usize,
    grad: &Array,
) -> Result<Array> {
    on_device!(gate_up, gate_up => device::swiglu_backward(gate_up, n, stride, grad));
    with_element!(gate_up.dtype(), "swiglu", T => {
        let mut grad_gate_up = vec![T::of(0.0); gate_up.elem_count()];
        read::<T, _>(gate_up, "swiglu", |gate_up| read::<T, _>(grad, "swiglu", |grad| {
            kernels::swiglu_backward(gate_up, stride, n, grad, &mut grad_gate_up);
        }))??;
        array(grad_gate_up, gate_up.shape())
    })
}

/// A matrix with more columns, which are 0.
pub(crate) fn widen(x: &Array, columns: usize) -> Result<Array> {
    on_device!(x, x => device::widen(x, columns));
    let width = x.columns();
    let rows = x.elem_count() / width;
    with_element!(x.dtype(), "widen", T => {
        let wide: Vec<T> = read::<T, _>(x, "widen", |x| {
            let mut wide = Vec::with_capacity(rows * columns);
            for row in x.chunks_exact(width) {
                wide.extend_from_slice(row);
                wide.resize(wide.len() + columns - width, T::of(0.0));
            }
            wide
        })?;
        array(wide, (rows, columns))
    })
}

/// a + b, in a's place.
pub(crate) fn add(a: &mut Array, b: &Array) -> Result<()> {
    on_device!(a, a => device::add(a, b));
    with_element!(a.dtype(), "add", T => {
        read::<T, _>(b, "add", |b| change::<T, _>(a, "add", |a| kernels::add(a, b)))?
    })
}

/// The first columns of a matrix, and another matrix added, which has only those.
pub(crate) fn narrow_add(x: &Array, other: &Array) -> Result<Array> {
    on_device!(x, x => device::narrow_add(x, other));
    let columns = Heads {
        stride: x.columns(),
        offset: 0,
        count: 1,
        width: other.columns(),
    };
    let mut y = take_heads(x, columns)?;
    add(&mut y, other)?;
    Ok(y)
}

/// Some rows of a matrix, in the order given.
pub(crate) fn gather_rows(x: &Array, rows: &[usize]) -> Result<Array> {
    on_device!(x, x => device::gather_rows(x, rows));
    let width = x.columns();
    with_element!(x.dtype(), "gather", T => {
        let taken: Vec<T> = read::<T, _>(x, "gather", |x| {
            let mut taken = Vec::with_capacity(rows.len() * width);
            for &row in rows {
                taken.extend_from_slice(&x[row * width..][..width]);
            }
            taken
        })?;
        array(taken, (rows.len(), width))
    })
}

/// A matrix of `count` rows of zeros, to whose rows those of `x` are added in their order.
pub(crate) fn scatter_rows(x: &Array, rows: &[usize], count: usize) -> Result<Array> {
    on_device!(x, x => device::scatter_rows(x, rows, count));
    let width = x.columns();
    with_element!(x.dtype(), "scatter", T => {
        let mut sum = vec![T::of(0.0); count * width];
        read::<T, _>(x, "scatter", |x| {
            for (&row, x) in rows.iter().zip(x.chunks_exact(width)) {
                kernels::add(&mut sum[row * width..][..width], x);
            }
        })?;
        array(sum, (count, width))
    })
}

/// Adds `from`'s rows (each `width` columns) into columns of a buffer, from row numbers of `from`.
pub(crate) fn put_rows<T: Element>(into: &mut [T], heads: Heads, from: &[T], rows: &[usize]) {
    let columns = heads.count * heads.width;
    for (into, &row) in into.chunks_exact_mut(heads.stride).zip(rows) {
        into[heads.offset..heads.offset + columns]
            .copy_from_slice(&from[row * columns..][..columns]);
    }
}
