//! AVX-512: one register is sixteen lanes.

use super::{LANES, Simd, exponential as e};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

impl Simd for Avx512 {
    type E = f32;
    type V = __m512;
    const TILE_ROWS: usize = 10;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller vouches for 16 elements and the instruction set.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_bf16(from: *const u16) -> Self::V {
        const { assert!(LANES == 16) };
        // SAFETY: as for `load`.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: as for `load`.
        unsafe { _mm512_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn exp(v: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let kept = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(v, _mm512_set1_ps(e::LEAST));
            // The second operand where one is NaN.
            let x = _mm512_min_ps(_mm512_set1_ps(e::MOST), v);
            let magic = _mm512_set1_ps(e::MAGIC);
            let shifted = _mm512_fmadd_ps(x, _mm512_set1_ps(e::LOG2_E), magic);
            let n = _mm512_sub_ps(shifted, magic);
            let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-e::LN2_HIGH), x);
            let r = _mm512_fmadd_ps(n, _mm512_set1_ps(-e::LN2_LOW), r);
            let mut y = _mm512_set1_ps(e::TERMS[0]);
            let mut i = 1;
            while i < e::TERMS.len() {
                y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(e::TERMS[i]));
                i += 1;
            }
            let scale = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(shifted)));
            _mm512_maskz_mul_ps(kept, y, scale)
        }
    }
}
