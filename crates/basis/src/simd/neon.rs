//! NEON: four registers are eight lanes.

use super::{Simd, odd_to_bf16, round_to_odd, scalar::Scalar};
use std::arch::aarch64::*;

/// NEON, which every aarch64 machine has.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

type Quad = [float64x2_t; 4];

#[inline(always)]
unsafe fn widen(low: float32x4_t, high: float32x4_t) -> Quad {
    // SAFETY: only NEON instructions.
    unsafe {
        [
            vcvt_f64_f32(vget_low_f32(low)),
            vcvt_high_f64_f32(low),
            vcvt_f64_f32(vget_low_f32(high)),
            vcvt_high_f64_f32(high),
        ]
    }
}

#[inline(always)]
fn zip(a: Quad, b: Quad, f: impl Fn(float64x2_t, float64x2_t) -> float64x2_t) -> Quad {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

#[inline(always)]
unsafe fn lanes(v: Quad) -> [f64; 8] {
    let mut out = [0.0; 8];
    // SAFETY: `out` has 8 elements.
    unsafe { Neon::store(out.as_mut_ptr(), v) };
    out
}

impl Simd for Neon {
    type V = Quad;
    const DOT_ROWS_OF_2: usize = 1;
    const ADDS_ROWS_AT_ONCE: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f64) -> Self::V {
        // SAFETY: only NEON instructions.
        unsafe { [vdupq_n_f64(x); 4] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self::V {
        // SAFETY: the caller vouches for 8 elements.
        unsafe {
            [
                vld1q_f64(from),
                vld1q_f64(from.add(2)),
                vld1q_f64(from.add(4)),
                vld1q_f64(from.add(6)),
            ]
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: Self::V) {
        for (i, two) in v.into_iter().enumerate() {
            // SAFETY: the caller vouches for 8 elements.
            unsafe { vst1q_f64(to.add(2 * i), two) };
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        zip(a, b, |a, b| unsafe { vaddq_f64(a, b) })
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        zip(a, b, |a, b| unsafe { vsubq_f64(a, b) })
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        zip(a, b, |a, b| unsafe { vmulq_f64(a, b) })
    }
    #[inline(always)]
    unsafe fn mul_add_exact(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        unsafe {
            [
                vfmaq_f64(c[0], a[0], b[0]),
                vfmaq_f64(c[1], a[1], b[1]),
                vfmaq_f64(c[2], a[2], b[2]),
                vfmaq_f64(c[3], a[3], b[3]),
            ]
        }
    }
    #[inline(always)]
    unsafe fn max_abs(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        zip(a, b, |a, b| unsafe { vmaxq_f64(a, vabsq_f64(b)) })
    }
    #[inline(always)]
    unsafe fn high_part(v: Self::V) -> Self::V {
        // SAFETY: only NEON instructions.
        v.map(|x| unsafe {
            vreinterpretq_f64_u64(vandq_u64(
                vreinterpretq_u64_f64(x),
                vdupq_n_u64(u64::MAX << 41),
            ))
        })
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f64 {
        // SAFETY: only NEON instructions.
        unsafe {
            // (0+4, 1+5) and (2+6, 3+7), then ((0+4)+(2+6), (1+5)+(3+7)).
            let two = vaddq_f64(vaddq_f64(v[0], v[2]), vaddq_f64(v[1], v[3]));
            vgetq_lane_f64::<0>(two) + vgetq_lane_f64::<1>(two)
        }
    }
    #[inline(always)]
    unsafe fn bf16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (32 bytes).
        unsafe {
            let first = vreinterpretq_u32_u8(vld1q_u8(from));
            let second = vreinterpretq_u32_u8(vld1q_u8(from.add(16)));
            let even = |pairs| vreinterpretq_f32_u32(vshlq_n_u32::<16>(pairs));
            let odd = |pairs| vreinterpretq_f32_u32(vandq_u32(pairs, vdupq_n_u32(0xFFFF_0000)));
            (
                widen(even(first), even(second)),
                widen(odd(first), odd(second)),
            )
        }
    }
    #[inline(always)]
    unsafe fn f16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights; the arrays have 8 elements each.
        unsafe {
            let (even, odd) = Scalar::f16(from);
            (Self::load(even.as_ptr()), Self::load(odd.as_ptr()))
        }
    }
    #[inline(always)]
    unsafe fn f32(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (64 bytes).
        unsafe {
            let four = |at: usize| vreinterpretq_f32_u8(vld1q_u8(from.add(at)));
            let (a, b, c, d) = (four(0), four(16), four(32), four(48));
            (
                widen(vuzp1q_f32(a, b), vuzp1q_f32(c, d)),
                widen(vuzp2q_f32(a, b), vuzp2q_f32(c, d)),
            )
        }
    }
    #[inline(always)]
    unsafe fn to_bf16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: the caller vouches for room for 16 weights (32 bytes).
        unsafe {
            let (even, odd) = (lanes(even), lanes(odd));
            for i in 0..8 {
                let pair = [even[i], odd[i]].map(|x| odd_to_bf16(round_to_odd(x)).to_le_bytes());
                to.add(4 * i).cast::<[[u8; 2]; 2]>().write_unaligned(pair);
            }
        }
    }
    #[inline(always)]
    unsafe fn to_f16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { Scalar::to_f16(lanes(even), lanes(odd), to) }
    }
    #[inline(always)]
    unsafe fn to_f32(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { Scalar::to_f32(lanes(even), lanes(odd), to) }
    }
}
