//! AVX-512 F: one register is eight lanes.

use super::Simd;
use super::avx2::{store_bf16, store_f16};
use std::arch::x86_64::*;

/// The features that an entry point for [`Avx512`] enables.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// The even elements of 16 floats, then the odd ones, as two groups of 8 doubles.
#[inline(always)]
unsafe fn split(floats: __m512) -> (__m512d, __m512d) {
    // SAFETY: only AVX-512 F and DQ instructions, which the caller has.
    unsafe {
        let order = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
        let sorted = _mm512_permutexvar_ps(order, floats);
        let odd = _mm512_extractf32x8_ps::<1>(sorted);
        (
            _mm512_cvtps_pd(_mm512_castps512_ps256(sorted)),
            _mm512_cvtps_pd(odd),
        )
    }
}

/// [`super::round_to_odd`] of eight lanes, as bits.
#[inline(always)]
unsafe fn round_to_odd(x: __m512d) -> __m256i {
    // SAFETY: only AVX-512 F and VL instructions, which the caller has.
    unsafe {
        let cut = _mm512_cvt_roundpd_ps::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(x);
        let inexact = _mm512_cmp_pd_mask::<_CMP_NEQ_UQ>(_mm512_cvtps_pd(cut), x);
        let bits = _mm256_castps_si256(cut);
        _mm256_mask_or_epi32(bits, inexact, bits, _mm256_set1_epi32(1))
    }
}

impl Simd for Avx512 {
    type V = __m512d;
    const DOT_ROWS_OF_2: usize = 4;
    const ADDS_ROWS_AT_ONCE: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f64) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_set1_pd(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self::V {
        // SAFETY: the caller vouches for 8 elements and the instruction set.
        unsafe { _mm512_loadu_pd(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: Self::V) {
        // SAFETY: the caller vouches for 8 elements and the instruction set.
        unsafe { _mm512_storeu_pd(to, v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_add_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_sub_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_mul_pd(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add_exact(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_fmadd_pd(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max_abs(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { _mm512_max_pd(a, _mm512_abs_pd(b)) }
    }
    #[inline(always)]
    unsafe fn high_part(v: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let bits = _mm512_castpd_si512(v);
            _mm512_castsi512_pd(_mm512_and_si512(bits, _mm512_set1_epi64(-1 << 41)))
        }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f64 {
        // SAFETY: the caller has the instruction set.
        unsafe {
            // (0+4, 1+5, 2+6, 3+7), then ((0+4)+(2+6), (1+5)+(3+7)).
            let four = _mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd::<1>(v));
            let two = _mm_add_pd(
                _mm256_castpd256_pd128(four),
                _mm256_extractf128_pd::<1>(four),
            );
            _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)))
        }
    }
    #[inline(always)]
    unsafe fn bf16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (32 bytes) and the instruction set.
        unsafe {
            let pairs = _mm256_loadu_si256(from.cast());
            let even = _mm256_slli_epi32::<16>(pairs);
            let odd = _mm256_and_si256(pairs, _mm256_set1_epi32(-1 << 16));
            (
                _mm512_cvtps_pd(_mm256_castsi256_ps(even)),
                _mm512_cvtps_pd(_mm256_castsi256_ps(odd)),
            )
        }
    }
    #[inline(always)]
    unsafe fn f16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (32 bytes) and the instruction set.
        unsafe { split(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }
    #[inline(always)]
    unsafe fn f32(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (64 bytes) and the instruction set.
        unsafe { split(_mm512_loadu_ps(from.cast())) }
    }
    #[inline(always)]
    unsafe fn to_bf16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: the caller vouches for room for 16 weights (32 bytes) and the instruction set.
        unsafe { store_bf16(round_to_odd(even), round_to_odd(odd), to) }
    }
    #[inline(always)]
    unsafe fn to_f16(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: the caller vouches for room for 16 weights (32 bytes) and the instruction set.
        unsafe { store_f16(round_to_odd(even), round_to_odd(odd), to) }
    }
    #[inline(always)]
    unsafe fn to_f32(even: Self::V, odd: Self::V, to: *mut u8) {
        // SAFETY: the caller vouches for room for 16 weights (64 bytes) and the instruction set.
        unsafe {
            let (even, odd) = (_mm512_cvtpd_ps(even), _mm512_cvtpd_ps(odd));
            let order = _mm512_setr_epi32(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15);
            let both = _mm512_insertf32x8::<1>(_mm512_castps256_ps512(even), odd);
            _mm512_storeu_ps(to.cast(), _mm512_permutexvar_ps(order, both));
        }
    }
}
