//! Additions, the rotary embedding and the gated activation.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]

use crate::parallel::rows;
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch};

/// a += b.
///
/// # Panics
/// The sizes differ.
pub fn add<T: Float>(a: &mut [T], b: &[T]) {
    assert_eq!(a.len(), b.len());
    dispatch(Add(a, b));
}

struct Add<'a, T>(&'a mut [T], &'a [T]);

impl<T: Float> Kernel<T> for Add<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        for (a, &b) in self.0.iter_mut().zip(self.1) {
            *a = *a + b;
        }
    }
}

/// Adds the bias to every row of `bias.len()` elements.
///
/// # Panics
/// `y` is not whole rows.
pub fn add_bias<T: Float>(y: &mut [T], bias: &[T]) {
    assert_eq!(y.len() % bias.len(), 0);
    for row in y.chunks_exact_mut(bias.len()) {
        add(row, bias);
    }
}

/// Turns pairs (i, i + width/2) of heads by the angles of their row, in place. Rows have `stride` elements, heads begin at
/// `offset`; `cos` and `sin` are rows × width/2. `inverse` turns back, which is the gradient.
///
/// # Panics
/// The sizes do not fit.
#[expect(
    clippy::too_many_arguments,
    reason = "a buffer with its stride and offset"
)]
pub fn rope<T: Float>(
    x: &mut [T],
    heads: usize,
    width: usize,
    stride: usize,
    offset: usize,
    cos: &[T],
    sin: &[T],
    inverse: bool,
) {
    let half = width / 2;
    let count = x.len() / stride;
    assert!(
        offset + heads * width <= stride && cos.len() == count * half && sin.len() == cos.len()
    );
    rows(x, stride, count * heads * width * 3, |first, x| {
        dispatch(Rope {
            x,
            heads,
            width,
            stride,
            offset,
            cos: &cos[first * half..],
            sin: &sin[first * half..],
            inverse,
        });
    });
}

struct Rope<'a, T> {
    x: &'a mut [T],
    heads: usize,
    width: usize,
    stride: usize,
    offset: usize,
    cos: &'a [T],
    sin: &'a [T],
    inverse: bool,
}

impl<T: Float> Kernel<T> for Rope<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let half = self.width / 2;
        let tables = self.cos.chunks_exact(half).zip(self.sin.chunks_exact(half));
        for (row, (cos, sin)) in self.x.chunks_exact_mut(self.stride).zip(tables) {
            let heads = &mut row[self.offset..self.offset + self.heads * self.width];
            for head in heads.chunks_exact_mut(self.width) {
                let (low, high) = head.split_at_mut(half);
                for (((a, b), &c), &s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
                    let s = if self.inverse { T::ZERO - s } else { s };
                    let (x, y) = (*a, *b);
                    *a = x * c - y * s;
                    *b = y * c + x * s;
                }
            }
        }
    }
}

/// y = silu(gate) · up, where gate and up are the first 2·n of each `stride` elements; y is rows × n.
///
/// # Panics
/// The sizes do not fit.
pub fn swiglu<T: Float>(gate_up: &[T], stride: usize, n: usize, y: &mut [T]) {
    let count = gate_up.len() / stride;
    assert!(2 * n <= stride && y.len() == count * n);
    rows(y, n, y.len() * 16, |first, y| {
        let lot = &gate_up[first * stride..][..y.len() / n * stride];
        dispatch(Swiglu {
            gate_up: lot,
            stride,
            n,
            y,
        });
    });
}

struct Swiglu<'a, T> {
    gate_up: &'a [T],
    stride: usize,
    n: usize,
    y: &'a mut [T],
}

impl<T: Float> Kernel<T> for Swiglu<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let n = self.n;
        for (row, y) in self
            .gate_up
            .chunks_exact(self.stride)
            .zip(self.y.chunks_exact_mut(n))
        {
            let (gate, up) = (&row[..n], &row[n..2 * n]);
            let mut i = 0;
            while i < n {
                let len = LANES.min(n - i);
                // SAFETY: the caller has the instruction set; whole vectors or copies of them.
                unsafe {
                    let (g, u) = (part::<S>(gate, i, len), part::<S>(up, i, len));
                    put::<S>(y, i, len, S::mul(S::mul(g, sigmoid::<S>(g)), u));
                }
                i += LANES;
            }
        }
    }
}

/// 1 / (1 + exp(−x)).
#[inline(always)]
unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = S::splat(S::E::ONE);
        let e = S::exp(S::sub(S::splat(S::E::ZERO), x));
        S::div(one, S::add(one, e))
    }
}

/// Up to 16 elements; those beyond are 0.
#[inline(always)]
unsafe fn part<S: Simd>(x: &[S::E], i: usize, len: usize) -> S::V {
    // SAFETY: whole vectors of the slice or of a copy.
    unsafe {
        if len == LANES {
            return S::load(x[i..i + LANES].as_ptr());
        }
        let mut copy = [S::E::ZERO; LANES];
        copy[..len].copy_from_slice(&x[i..i + len]);
        S::load(copy.as_ptr())
    }
}

/// Stores up to 16 elements.
#[inline(always)]
unsafe fn put<S: Simd>(x: &mut [S::E], i: usize, len: usize, v: S::V) {
    // SAFETY: whole vectors of the slice or of a copy.
    unsafe {
        if len == LANES {
            return S::store(x[i..i + LANES].as_mut_ptr(), v);
        }
        let mut copy = [S::E::ZERO; LANES];
        S::store(copy.as_mut_ptr(), v);
        x[i..i + len].copy_from_slice(&copy[..len]);
    }
}

/// The gradient of gate and up, in the same places; other columns are left as they are.
///
/// # Panics
/// The sizes do not fit.
pub fn swiglu_backward<T: Float>(
    gate_up: &[T],
    stride: usize,
    n: usize,
    grad: &[T],
    grad_gate_up: &mut [T],
) {
    let count = gate_up.len() / stride;
    assert!(2 * n <= stride && grad.len() == count * n && grad_gate_up.len() == gate_up.len());
    rows(grad_gate_up, stride, grad.len() * 24, |first, to| {
        let count = to.len() / stride;
        dispatch(SwigluBackward {
            gate_up: &gate_up[first * stride..][..to.len()],
            stride,
            n,
            grad: &grad[first * n..][..count * n],
            to,
        });
    });
}

struct SwigluBackward<'a, T> {
    gate_up: &'a [T],
    stride: usize,
    n: usize,
    grad: &'a [T],
    to: &'a mut [T],
}

impl<T: Float> Kernel<T> for SwigluBackward<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let n = self.n;
        let rows = self
            .gate_up
            .chunks_exact(self.stride)
            .zip(self.grad.chunks_exact(n));
        for ((row, grad), to) in rows.zip(self.to.chunks_exact_mut(self.stride)) {
            let (gate, up) = (&row[..n], &row[n..2 * n]);
            let (to_gate, to_up) = to[..2 * n].split_at_mut(n);
            let mut i = 0;
            while i < n {
                let len = LANES.min(n - i);
                // SAFETY: the caller has the instruction set; whole vectors or copies of them.
                unsafe {
                    let (g, u) = (part::<S>(gate, i, len), part::<S>(up, i, len));
                    let d = part::<S>(grad, i, len);
                    let s = sigmoid::<S>(g);
                    let silu = S::mul(g, s);
                    put::<S>(to_up, i, len, S::mul(d, silu));
                    // The derivative of silu: s + g·s·(1 − s).
                    let slope = S::fma(silu, S::sub(S::splat(T::ONE), s), s);
                    put::<S>(to_gate, i, len, S::mul(S::mul(d, u), slope));
                }
                i += LANES;
            }
        }
    }
}

/// y += c·Bᵀ: `b` is outputs × rank, `c` rows × rank; the outputs of a row begin at `offset` of its `stride` elements.
///
/// # Panics
/// The sizes do not fit.
pub fn rank_update<T: Float>(y: &mut [T], stride: usize, offset: usize, b: &[T], c: &[T]) {
    let count = y.len() / stride;
    let rank = c.len() / count.max(1);
    let outputs = b.len() / rank.max(1);
    assert!(c.len() == count * rank && b.len() == outputs * rank && offset + outputs <= stride);
    let turned = columns(b, rank);
    rows(y, stride, count * outputs * rank, |first, y| {
        for (row, c) in y
            .chunks_exact_mut(stride)
            .zip(c[first * rank..].chunks_exact(rank))
        {
            let row = &mut row[offset..offset + outputs];
            for (&c, b) in c.iter().zip(turned.chunks_exact(outputs)) {
                dispatch(Axpy { c, b, y: row });
            }
        }
    });
}

/// A matrix of `rank` columns, column by column.
fn columns<T: Float>(b: &[T], rank: usize) -> Vec<T> {
    (0..rank)
        .flat_map(|j| b.iter().skip(j).step_by(rank).copied())
        .collect()
}

struct Axpy<'a, T> {
    c: T,
    b: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel<T> for Axpy<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        for (y, &b) in self.y.iter_mut().zip(self.b) {
            *y = self.c.fused(b, *y);
        }
    }
}

/// s = g·B: the `outputs` gradients of a row begin at `offset` of its `stride` elements; `s` is rows × rank.
///
/// # Panics
/// The sizes do not fit.
pub fn rank_gradient<T: Float>(
    grad: &[T],
    stride: usize,
    offset: usize,
    b: &[T],
    outputs: usize,
    s: &mut [T],
) {
    let count = grad.len() / stride;
    let rank = b.len() / outputs;
    assert!(s.len() == count * rank && offset + outputs <= stride);
    let turned = columns(b, rank);
    rows(s, rank.max(1), count * outputs * rank, |first, s| {
        let grads = grad[first * stride..].chunks_exact(stride);
        for (row, s) in grads.zip(s.chunks_exact_mut(rank)) {
            let row = &row[offset..offset + outputs];
            for (s, b) in s.iter_mut().zip(turned.chunks_exact(outputs)) {
                *s = dispatch(Dot(row, b));
            }
        }
    });
}

struct Dot<'a, T>(&'a [T], &'a [T]);

impl<T: Float> Kernel<T> for Dot<'_, T> {
    type Output = T;
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) -> T {
        // SAFETY: the caller has the instruction set.
        unsafe { crate::norm::dot::<S>(self.0, self.1) }
    }
}
