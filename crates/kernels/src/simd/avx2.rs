//! AVX2 with FMA: two registers are sixteen lanes.

use super::{LANES, Simd, exponential as e, transpose_in_memory};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// One operation on both halves.
macro_rules! both {
    ($operation:ident($($v:ident),*)) => {
        // SAFETY: the caller has the instruction set.
        unsafe { ($operation($($v.0),*), $operation($($v.1),*)) }
    };
}

impl Simd for Avx2 {
    type E = f32;
    type V = (__m256, __m256);
    const TILE_ROWS: usize = 3;
    const MANY_REGISTERS: bool = false;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { (_mm256_set1_ps(x), _mm256_set1_ps(x)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for 16 elements and the instruction set.
        unsafe { (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))) }
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs(from: *const u16) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 32 elements and the instruction set.
        unsafe {
            let low = _mm256_loadu_si256(from.cast());
            let high = _mm256_loadu_si256(from.add(LANES).cast());
            let mask = _mm256_set1_epi32(-1 << 16);
            let even = (_mm256_slli_epi32::<16>(low), _mm256_slli_epi32::<16>(high));
            let odd = (_mm256_and_si256(low, mask), _mm256_and_si256(high, mask));
            (
                (_mm256_castsi256_ps(even.0), _mm256_castsi256_ps(even.1)),
                (_mm256_castsi256_ps(odd.0), _mm256_castsi256_ps(odd.1)),
            )
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: as for `load`.
        unsafe {
            _mm256_storeu_ps(to, v.0);
            _mm256_storeu_ps(to.add(8), v.1);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_add_ps(a, b))
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_sub_ps(a, b))
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_mul_ps(a, b))
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_div_ps(a, b))
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        both!(_mm256_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        both!(_mm256_max_ps(a, b))
    }
    #[inline(always)]
    unsafe fn exp(v: Self::V) -> Self::V {
        both!(exp(v))
    }
    #[inline(always)]
    unsafe fn transpose(v: &mut [Self::V; LANES]) {
        // SAFETY: the caller has the instruction set.
        unsafe { transpose_in_memory::<Self>(v) }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        // SAFETY: an instruction that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
}

#[inline(always)]
unsafe fn exp(v: __m256) -> __m256 {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let kept = _mm256_cmp_ps::<_CMP_NLT_UQ>(v, _mm256_set1_ps(e::LEAST));
        // The second operand where one is NaN.
        let x = _mm256_min_ps(_mm256_set1_ps(e::MOST), v);
        let magic = _mm256_set1_ps(e::MAGIC);
        let shifted = _mm256_fmadd_ps(x, _mm256_set1_ps(e::LOG2_E), magic);
        let n = _mm256_sub_ps(shifted, magic);
        let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-e::LN2_HIGH), x);
        let r = _mm256_fmadd_ps(n, _mm256_set1_ps(-e::LN2_LOW), r);
        let mut y = _mm256_set1_ps(e::TERMS[0]);
        let mut i = 1;
        while i < e::TERMS.len() {
            y = _mm256_fmadd_ps(y, r, _mm256_set1_ps(e::TERMS[i]));
            i += 1;
        }
        let scale = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(shifted)));
        _mm256_and_ps(_mm256_mul_ps(y, scale), kept)
    }
}
