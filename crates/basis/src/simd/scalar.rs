//! Plain Rust: every machine, and the meaning of the others.

use super::{Simd, odd_to_bf16, round_to_odd};
use half::f16;

/// Eight lanes in an array. Conversions of sixteen numbers are long, and so are not inlined.
#[derive(Clone, Copy)]
pub(crate) struct Scalar;

#[inline(always)]
fn zip(a: [f64; 8], b: [f64; 8], f: impl Fn(f64, f64) -> f64) -> [f64; 8] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

/// 16 values of `size` bytes as (even, odd).
#[inline(always)]
unsafe fn unpack<const SIZE: usize>(
    from: *const u8,
    decode: impl Fn([u8; SIZE]) -> f64,
) -> ([f64; 8], [f64; 8]) {
    // SAFETY: the caller vouches for 16 values.
    let value =
        |j: usize| decode(unsafe { from.add(j * SIZE).cast::<[u8; SIZE]>().read_unaligned() });
    (
        std::array::from_fn(|i| value(2 * i)),
        std::array::from_fn(|i| value(2 * i + 1)),
    )
}

#[inline(always)]
unsafe fn pack<const SIZE: usize>(
    even: [f64; 8],
    odd: [f64; 8],
    to: *mut u8,
    encode: impl Fn(f64) -> [u8; SIZE],
) {
    for i in 0..8 {
        // SAFETY: the caller vouches for room for 16 values.
        unsafe {
            to.add(2 * i * SIZE)
                .cast::<[u8; SIZE]>()
                .write_unaligned(encode(even[i]));
            to.add((2 * i + 1) * SIZE)
                .cast::<[u8; SIZE]>()
                .write_unaligned(encode(odd[i]));
        }
    }
}

impl Simd for Scalar {
    type V = [f64; 8];
    const DOT_ROWS_OF_2: usize = 1;
    const ADDS_ROWS_AT_ONCE: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f64) -> Self::V {
        [x; 8]
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self::V {
        // SAFETY: the caller vouches for 8 elements.
        unsafe { from.cast::<[f64; 8]>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: Self::V) {
        // SAFETY: the caller vouches for 8 elements.
        unsafe { to.cast::<[f64; 8]>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn mul_add_exact(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    unsafe fn max_abs(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a.max(b.abs()))
    }
    #[inline(always)]
    unsafe fn high_part(v: Self::V) -> Self::V {
        v.map(|x| f64::from_bits(x.to_bits() >> 41 << 41))
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f64 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
    #[inline(always)]
    unsafe fn bf16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: passed on.
        unsafe {
            unpack(from, |b| {
                f64::from(f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16))
            })
        }
    }
    #[inline(never)]
    unsafe fn f16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: passed on.
        unsafe { unpack(from, |b| f64::from(f16::from_le_bytes(b).to_f32_const())) }
    }
    #[inline(always)]
    unsafe fn f32(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: passed on.
        unsafe { unpack(from, |b| f64::from(f32::from_le_bytes(b))) }
    }
    #[inline(never)]
    unsafe fn to_bf16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe {
            pack(even, odd, to, |x| {
                odd_to_bf16(round_to_odd(x)).to_le_bytes()
            });
        }
    }
    #[inline(never)]
    unsafe fn to_f16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: passed on.
        unsafe {
            pack(even, odd, to, |x| {
                f16::from_f32_const(round_to_odd(x)).to_le_bytes()
            });
        }
    }
    #[inline(always)]
    unsafe fn to_f32(even: Self::V, odd: Self::V, to: *mut u8) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the rounding is what is wanted"
        )]
        // SAFETY: passed on.
        unsafe {
            pack(even, odd, to, |x| (x as f32).to_le_bytes());
        }
    }
}
