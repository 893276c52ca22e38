//! AVX2, FMA and F16C: two registers are eight lanes.

use super::Simd;
use std::arch::x86_64::*;

/// The features that an entry point for [`Avx2`] enables.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

type Pair = (__m256d, __m256d);

#[inline(always)]
unsafe fn widen(floats: __m256) -> Pair {
    // SAFETY: only AVX instructions, which the caller has.
    unsafe {
        let high = _mm256_extractf128_ps::<1>(floats);
        (
            _mm256_cvtps_pd(_mm256_castps256_ps128(floats)),
            _mm256_cvtps_pd(high),
        )
    }
}

/// 0 2 8 10 | 4 6 12 14, as a shuffle within 128-bit halves leaves them, in order and widened.
#[inline(always)]
unsafe fn widen_in_order(mixed: __m256) -> Pair {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe {
        let pieces = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(mixed));
        widen(_mm256_castpd_ps(pieces))
    }
}

/// 16 floats in order as (even, odd).
#[inline(always)]
unsafe fn split(first: __m256, second: __m256) -> (Pair, Pair) {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe {
        let even = widen_in_order(_mm256_shuffle_ps::<0b10_00_10_00>(first, second));
        (
            even,
            widen_in_order(_mm256_shuffle_ps::<0b11_01_11_01>(first, second)),
        )
    }
}

/// The lower halves of four 64-bit masks.
#[inline(always)]
unsafe fn narrow(mask: __m256d) -> __m128i {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe {
        let low_words = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
        _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(
            _mm256_castpd_si256(mask),
            low_words,
        ))
    }
}

/// [`super::round_to_odd`] of four lanes, as bits.
#[inline(always)]
unsafe fn round_four_to_odd(x: __m256d) -> __m128i {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe {
        let nearest = _mm256_cvtpd_ps(x);
        let back = _mm256_cvtps_pd(nearest);
        let sign = _mm256_set1_pd(-0.0);
        let away =
            _mm256_cmp_pd::<_CMP_GT_OQ>(_mm256_andnot_pd(sign, back), _mm256_andnot_pd(sign, x));
        let inexact = _mm256_cmp_pd::<_CMP_NEQ_UQ>(back, x);
        // A mask is −1 where it is set.
        let cut = _mm_add_epi32(_mm_castps_si128(nearest), narrow(away));
        _mm_or_si128(cut, _mm_and_si128(narrow(inexact), _mm_set1_epi32(1)))
    }
}

#[inline(always)]
unsafe fn round_to_odd(x: Pair) -> __m256i {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe { _mm256_set_m128i(round_four_to_odd(x.1), round_four_to_odd(x.0)) }
}

/// Adds to values rounded to odd what makes their upper halves the nearest bf16.
#[inline(always)]
unsafe fn bf16_in_upper_half(bits: __m256i) -> __m256i {
    // SAFETY: only AVX2 instructions, which the caller has.
    unsafe {
        let last = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
        _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7FFF)))
    }
}

/// Stores 16 bf16 from the bits of even and odd values that were rounded to odd.
#[inline(always)]
pub(super) unsafe fn store_bf16(even: __m256i, odd: __m256i, to: *mut u8) {
    // SAFETY: only AVX2 instructions, which the caller has; it vouches for 32 bytes.
    unsafe {
        let even = _mm256_srli_epi32::<16>(bf16_in_upper_half(even));
        let odd = _mm256_and_si256(bf16_in_upper_half(odd), _mm256_set1_epi32(-1 << 16));
        _mm256_storeu_si256(to.cast(), _mm256_or_si256(even, odd));
    }
}

/// Values rounded to odd, as f16 in the lower half of 32 bits.
#[inline(always)]
unsafe fn f16_in_lower_half(bits: __m256i) -> __m256i {
    // SAFETY: only AVX2 and F16C instructions, which the caller has.
    unsafe {
        let floats = _mm256_castsi256_ps(bits);
        _mm256_cvtepu16_epi32(_mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(floats))
    }
}

/// Stores 16 f16 from the bits of even and odd values that were rounded to odd.
#[inline(always)]
pub(super) unsafe fn store_f16(even: __m256i, odd: __m256i, to: *mut u8) {
    // SAFETY: only AVX2 and F16C instructions, which the caller has; it vouches for 32 bytes.
    unsafe {
        let odd = _mm256_slli_epi32::<16>(f16_in_lower_half(odd));
        _mm256_storeu_si256(to.cast(), _mm256_or_si256(f16_in_lower_half(even), odd));
    }
}

impl Simd for Avx2 {
    type V = Pair;
    const DOT_ROWS_OF_2: usize = 1;
    const ADDS_ROWS_AT_ONCE: bool = true;

    #[inline(always)]
    unsafe fn splat(x: f64) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { (_mm256_set1_pd(x), _mm256_set1_pd(x)) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f64) -> Self::V {
        // SAFETY: the caller vouches for 8 elements and the instruction set.
        unsafe { (_mm256_loadu_pd(from), _mm256_loadu_pd(from.add(4))) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f64, v: Self::V) {
        // SAFETY: the caller vouches for 8 elements and the instruction set.
        unsafe {
            _mm256_storeu_pd(to, v.0);
            _mm256_storeu_pd(to.add(4), v.1);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { (_mm256_add_pd(a.0, b.0), _mm256_add_pd(a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { (_mm256_sub_pd(a.0, b.0), _mm256_sub_pd(a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe { (_mm256_mul_pd(a.0, b.0), _mm256_mul_pd(a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn mul_add_exact(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            (
                _mm256_fmadd_pd(a.0, b.0, c.0),
                _mm256_fmadd_pd(a.1, b.1, c.1),
            )
        }
    }
    #[inline(always)]
    unsafe fn max_abs(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let sign = _mm256_set1_pd(-0.0);
            (
                _mm256_max_pd(a.0, _mm256_andnot_pd(sign, b.0)),
                _mm256_max_pd(a.1, _mm256_andnot_pd(sign, b.1)),
            )
        }
    }
    #[inline(always)]
    unsafe fn high_part(v: Self::V) -> Self::V {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let mask = _mm256_castsi256_pd(_mm256_set1_epi64x(-1 << 41));
            (_mm256_and_pd(v.0, mask), _mm256_and_pd(v.1, mask))
        }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f64 {
        // SAFETY: the caller has the instruction set.
        unsafe {
            // (0+4, 1+5, 2+6, 3+7), then ((0+4)+(2+6), (1+5)+(3+7)).
            let four = _mm256_add_pd(v.0, v.1);
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
                widen(_mm256_castsi256_ps(even)),
                widen(_mm256_castsi256_ps(odd)),
            )
        }
    }
    #[inline(always)]
    unsafe fn f16(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (32 bytes) and the instruction set.
        unsafe {
            let first = _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
            split(first, _mm256_cvtph_ps(_mm_loadu_si128(from.add(16).cast())))
        }
    }
    #[inline(always)]
    unsafe fn f32(from: *const u8) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 16 weights (64 bytes) and the instruction set.
        unsafe {
            split(
                _mm256_loadu_ps(from.cast()),
                _mm256_loadu_ps(from.add(32).cast()),
            )
        }
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
            for (at, even, odd) in [(0, even.0, odd.0), (32, even.1, odd.1)] {
                let (even, odd) = (_mm256_cvtpd_ps(even), _mm256_cvtpd_ps(odd));
                _mm_storeu_ps(to.add(at).cast(), _mm_unpacklo_ps(even, odd));
                _mm_storeu_ps(to.add(at + 16).cast(), _mm_unpackhi_ps(even, odd));
            }
        }
    }
}
