//! Sixteen lanes as an array: the compiler makes of it what the machine has.
//!
//! [`Baseline`] is the same for x86-64 without FMA, where a fused product is a call of a function for each lane: sixteen calls
//! in a row at every use would be a good part of the program, so they stand in functions of their own.

use super::{LANES, Simd, exponential as e, transpose_in_memory};
use std::marker::PhantomData;

#[derive(Clone, Copy)]
pub(crate) struct Portable<T>(PhantomData<T>);

#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct Baseline<T>(PhantomData<T>);
#[cfg(not(target_arch = "x86_64"))]
pub(crate) use Portable as Baseline;

macro_rules! portable {
    ($Lanes:ident, $T:ty, $exp:expr, $fused:ident) => {
        impl Simd for $Lanes<$T> {
            type E = $T;
            type V = [$T; LANES];
            const TILE_ROWS: usize = 3;
            const MANY_REGISTERS: bool = false;

            #[inline(always)]
            unsafe fn splat(x: $T) -> Self::V {
                [x; LANES]
            }
            #[inline(always)]
            unsafe fn load(from: *const $T) -> Self::V {
                // SAFETY: the caller vouches for 16 elements.
                unsafe { from.cast::<Self::V>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn load_bf16_pairs(from: *const u16) -> (Self::V, Self::V) {
                // SAFETY: the caller vouches for 32 elements.
                let bits = unsafe { from.cast::<[u16; 2 * LANES]>().read_unaligned() };
                let (mut even, mut odd) = ([0.0; LANES], [0.0; LANES]);
                for i in 0..LANES {
                    even[i] = <$T>::from(f32::from_bits(u32::from(bits[2 * i]) << 16));
                    odd[i] = <$T>::from(f32::from_bits(u32::from(bits[2 * i + 1]) << 16));
                }
                (even, odd)
            }
            #[inline(always)]
            unsafe fn store(to: *mut $T, v: Self::V) {
                // SAFETY: the caller vouches for 16 elements.
                unsafe { to.cast::<Self::V>().write_unaligned(v) }
            }
            #[inline(always)]
            unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
                let mut v = a;
                for i in 0..LANES {
                    v[i] += b[i];
                }
                v
            }
            #[inline(always)]
            unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
                let mut v = a;
                for i in 0..LANES {
                    v[i] -= b[i];
                }
                v
            }
            #[inline(always)]
            unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
                let mut v = a;
                for i in 0..LANES {
                    v[i] *= b[i];
                }
                v
            }
            #[inline(always)]
            unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
                let mut v = a;
                for i in 0..LANES {
                    v[i] /= b[i];
                }
                v
            }
            #[inline($fused)]
            unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                let mut v = c;
                for i in 0..LANES {
                    v[i] = a[i].mul_add(b[i], c[i]);
                }
                v
            }
            #[inline(always)]
            unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
                let mut v = b;
                for i in 0..LANES {
                    if a[i] > b[i] {
                        v[i] = a[i];
                    }
                }
                v
            }
            #[inline($fused)]
            unsafe fn exp(v: Self::V) -> Self::V {
                let mut y = v;
                for y in &mut y {
                    *y = $exp(*y);
                }
                y
            }
            #[inline(always)]
            unsafe fn transpose(v: &mut [Self::V; LANES]) {
                // SAFETY: the caller has the instruction set.
                unsafe { transpose_in_memory::<Self>(v) }
            }
        }
    };
}
portable!(Portable, f32, exp_f32, always);
portable!(Portable, f64, f64::exp, always);
#[cfg(target_arch = "x86_64")]
portable!(Baseline, f32, exp_f32, never);
#[cfg(target_arch = "x86_64")]
portable!(Baseline, f64, f64::exp, never);

/// One lane of the exponential, operation by operation as the vectors do it.
#[inline(always)]
fn exp_f32(x: f32) -> f32 {
    if x < e::LEAST {
        return 0.0;
    }
    let x = if x > e::MOST { e::MOST } else { x };
    let shifted = x.mul_add(e::LOG2_E, e::MAGIC);
    let n = shifted - e::MAGIC;
    let r = n.mul_add(-e::LN2_HIGH, x);
    let r = n.mul_add(-e::LN2_LOW, r);
    let mut y = e::TERMS[0];
    for &term in &e::TERMS[1..] {
        y = y.mul_add(r, term);
    }
    y * f32::from_bits(shifted.to_bits() << 23)
}
