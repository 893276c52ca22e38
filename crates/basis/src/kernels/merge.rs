//! One row of a merge: w + Σ_k t_k·V_k in binary64, then one rounding to the output type (spec §8).

use super::pass::{Bf16, F16, F32, Stored, padded_tail};
use crate::WeightDtype;
use crate::simd::{BLOCK, Simd};

/// What a row adds to the report: sums over its columns, in the lanes of spec §6.1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowSums {
    /// Σ w².
    pub(crate) weight_squared: f64,
    /// Σ δ², δ = Σ_k t_k·V_k.
    pub(crate) delta_squared: f64,
    /// Σ (w' − w)·δ, w' being the rounded result.
    pub(crate) kept: f64,
    /// The largest |result| before it was rounded; not finite if a result was not.
    pub(crate) largest: f64,
}

/// How a result is rounded and stored, and what it then is as binary64.
trait Output: Stored {
    unsafe fn encode<S: Simd>(even: S::V, odd: S::V, to: *mut u8);
}

impl Output for Bf16 {
    #[inline(always)]
    unsafe fn encode<S: Simd>(even: S::V, odd: S::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { S::to_bf16(even, odd, to) }
    }
}

impl Output for F16 {
    #[inline(always)]
    unsafe fn encode<S: Simd>(even: S::V, odd: S::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { S::to_f16(even, odd, to) }
    }
}

impl Output for F32 {
    #[inline(always)]
    unsafe fn encode<S: Simd>(even: S::V, odd: S::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { S::to_f32(even, odd, to) }
    }
}

/// The four running sums, per lane.
struct Sums<S: Simd> {
    weight_squared: S::V,
    delta_squared: S::V,
    kept: S::V,
    largest: S::V,
}

/// Eight elements: result and δ.
#[inline(always)]
unsafe fn element<S: Simd>(w: S::V, t: &[f64], v: *const f64, stride: usize) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set and a vector of `stride` elements behind v for each t.
    unsafe {
        let (mut result, mut delta) = (w, S::splat(0.0));
        for (k, &t) in t.iter().enumerate() {
            let step = S::mul(S::splat(t), S::load(v.add(k * stride)));
            result = S::add(result, step);
            delta = S::add(delta, step);
        }
        (result, delta)
    }
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    unsafe fn add(&mut self, w: S::V, delta: S::V, exact: S::V, rounded: S::V) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            self.weight_squared = S::add(self.weight_squared, S::mul(w, w));
            self.delta_squared = S::add(self.delta_squared, S::mul(delta, delta));
            self.kept = S::add(self.kept, S::mul(S::sub(rounded, w), delta));
            self.largest = S::max_abs(self.largest, exact);
        }
    }
}

/// One block of 16 weights.
#[inline(always)]
unsafe fn block<S: Simd, D: Stored, O: Output>(
    weights: *const u8,
    t: &[f64],
    v: *const f64,
    stride: usize,
    out: *mut u8,
    sums: &mut Sums<S>,
) {
    // SAFETY: the caller vouches for 16 weights, 16 outputs and a block of each column of v.
    unsafe {
        let (even, odd) = D::decode::<S>(weights);
        let (even_result, even_delta) = element::<S>(even, t, v, stride);
        let (odd_result, odd_delta) = element::<S>(odd, t, v.add(BLOCK / 2), stride);
        O::encode::<S>(even_result, odd_result, out);
        let (even_rounded, odd_rounded) = O::decode::<S>(out);
        sums.add(even, even_delta, even_result, even_rounded);
        sums.add(odd, odd_delta, odd_result, odd_rounded);
    }
}

#[inline(always)]
unsafe fn row_of<S: Simd, D: Stored, O: Output>(
    row: &[u8],
    t: &[f64],
    v: &[f64],
    out: &mut [u8],
) -> RowSums {
    let columns = row.len() / D::SIZE;
    let (whole, stride) = (columns / BLOCK, columns.next_multiple_of(BLOCK));
    // SAFETY: the caller has the instruction set and checked the lengths; the tail has room for a whole block.
    unsafe {
        let zero = S::splat(0.0);
        let mut sums = Sums {
            weight_squared: zero,
            delta_squared: zero,
            kept: zero,
            largest: zero,
        };
        let tail = padded_tail(row, whole, D::SIZE);
        let mut merged_tail = [0; BLOCK * 4];
        // The tail takes its turn in the same loop, which is compiled for many types.
        for b in 0..columns.div_ceil(BLOCK) {
            let (weights, to) = if b < whole {
                (
                    row.as_ptr().add(b * BLOCK * D::SIZE),
                    out.as_mut_ptr().add(b * BLOCK * O::SIZE),
                )
            } else {
                (tail.as_ptr(), merged_tail.as_mut_ptr())
            };
            block::<S, D, O>(weights, t, v.as_ptr().add(b * BLOCK), stride, to, &mut sums);
        }
        let rest = &mut out[whole * BLOCK * O::SIZE..];
        rest.copy_from_slice(&merged_tail[..rest.len()]);
        let mut largest = [0.0_f64; 8];
        S::store(largest.as_mut_ptr(), sums.largest);
        RowSums {
            weight_squared: S::sum(sums.weight_squared),
            delta_squared: S::sum(sums.delta_squared),
            kept: S::sum(sums.kept),
            largest: largest.into_iter().fold(0.0, f64::max),
        }
    }
}

/// A slice of known length lets the compiler unroll the sum over the rank for the usual one.
#[inline(always)]
unsafe fn row_by_rank<S: Simd, D: Stored, O: Output>(
    row: &[u8],
    t: &[f64],
    v: &[f64],
    out: &mut [u8],
) -> RowSums {
    // SAFETY: passed on.
    unsafe {
        match *t {
            [t0, t1] => row_of::<S, D, O>(row, &[t0, t1], v, out),
            _ => row_of::<S, D, O>(row, t, v, out),
        }
    }
}

#[inline(always)]
pub(super) unsafe fn merge_row<S: Simd>(
    dtype: WeightDtype,
    row: &[u8],
    t: &[f64],
    v: &[f64],
    output: WeightDtype,
    out: &mut [u8],
) -> RowSums {
    // SAFETY: passed on.
    unsafe {
        match (dtype, output) {
            (WeightDtype::Bf16, WeightDtype::Bf16) => row_by_rank::<S, Bf16, Bf16>(row, t, v, out),
            (WeightDtype::Bf16, WeightDtype::F16) => row_by_rank::<S, Bf16, F16>(row, t, v, out),
            (WeightDtype::Bf16, WeightDtype::F32) => row_by_rank::<S, Bf16, F32>(row, t, v, out),
            (WeightDtype::F16, WeightDtype::Bf16) => row_by_rank::<S, F16, Bf16>(row, t, v, out),
            (WeightDtype::F16, WeightDtype::F16) => row_by_rank::<S, F16, F16>(row, t, v, out),
            (WeightDtype::F16, WeightDtype::F32) => row_by_rank::<S, F16, F32>(row, t, v, out),
            (WeightDtype::F32, WeightDtype::Bf16) => row_by_rank::<S, F32, Bf16>(row, t, v, out),
            (WeightDtype::F32, WeightDtype::F16) => row_by_rank::<S, F32, F16>(row, t, v, out),
            (WeightDtype::F32, WeightDtype::F32) => row_by_rank::<S, F32, F32>(row, t, v, out),
        }
    }
}
