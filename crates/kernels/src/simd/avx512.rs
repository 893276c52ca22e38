//! AVX-512: one register is sixteen lanes.

use super::{Kernel, LANES, Simd, exponential as e};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

impl Simd for Avx512 {
    type E = f32;
    type V = __m512;
    const TILE_ROWS: usize = 8;
    const MANY_REGISTERS: bool = true;

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
    unsafe fn load_bf16_pairs(from: *const u16) -> (Self::V, Self::V) {
        // SAFETY: the caller vouches for 32 elements and the instruction set.
        unsafe {
            let pairs = _mm512_loadu_si512(from.cast());
            let odd = _mm512_and_si512(pairs, _mm512_set1_epi32(-1 << 16));
            (
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pairs)),
                _mm512_castsi512_ps(odd),
            )
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
    #[inline(always)]
    unsafe fn transpose(v: &mut [Self::V; LANES]) {
        // SAFETY: the caller has the instruction set.
        unsafe {
            let mut a = *v;
            for i in 0..8 {
                // Pairs of rows, by pairs of columns.
                a[2 * i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]);
                a[2 * i + 1] = _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
            }
            let mut b = [_mm512_setzero_pd(); LANES];
            for i in 0..4 {
                // Column 4·quarter + j of rows 4·i … 4·i + 3 is the quarter of b[4·i + j].
                let (p, q) = (_mm512_castps_pd(a[4 * i]), _mm512_castps_pd(a[4 * i + 1]));
                let (r, s) = (
                    _mm512_castps_pd(a[4 * i + 2]),
                    _mm512_castps_pd(a[4 * i + 3]),
                );
                b[4 * i] = _mm512_unpacklo_pd(p, r);
                b[4 * i + 1] = _mm512_unpackhi_pd(p, r);
                b[4 * i + 2] = _mm512_unpacklo_pd(q, s);
                b[4 * i + 3] = _mm512_unpackhi_pd(q, s);
            }
            for j in 0..4 {
                let (p, q) = (_mm512_castpd_ps(b[j]), _mm512_castpd_ps(b[4 + j]));
                let (r, s) = (_mm512_castpd_ps(b[8 + j]), _mm512_castpd_ps(b[12 + j]));
                let (even, even_below) = (
                    _mm512_shuffle_f32x4::<0x88>(p, q),
                    _mm512_shuffle_f32x4::<0x88>(r, s),
                );
                let (odd, odd_below) = (
                    _mm512_shuffle_f32x4::<0xDD>(p, q),
                    _mm512_shuffle_f32x4::<0xDD>(r, s),
                );
                v[j] = _mm512_shuffle_f32x4::<0x88>(even, even_below);
                v[4 + j] = _mm512_shuffle_f32x4::<0x88>(odd, odd_below);
                v[8 + j] = _mm512_shuffle_f32x4::<0xDD>(even, even_below);
                v[12 + j] = _mm512_shuffle_f32x4::<0xDD>(odd, odd_below);
            }
        }
    }
    #[inline(always)]
    unsafe fn prefetch(from: *const u8) {
        // SAFETY: an instruction that never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(from.cast()) }
    }
    #[inline(always)]
    unsafe fn keep_order() {
        // SAFETY: no instruction at all.
        unsafe { std::arch::asm!("", options(nostack, preserves_flags)) }
    }
    #[inline(always)]
    unsafe fn apart<K: Kernel<f32>>(kernel: K) -> K::Output {
        // SAFETY: the caller has the instruction set.
        unsafe { super::f32_avx512(kernel) }
    }
}
