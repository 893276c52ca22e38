//! Sums and combinations of paired vectors (spec §6.1, §6.4, §6.6).

use crate::simd::{BLOCK, Simd};

/// Elements per chunk of the loops over many columns: a chunk of 32 columns stays in the second-level cache.
const CHUNK: usize = 512;

#[inline(always)]
pub(super) unsafe fn dot<S: Simd>(a: &[f64], b: &[f64]) -> f64 {
    // SAFETY: the caller has the instruction set; a and b have the same whole number of blocks.
    unsafe {
        let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
        for at in (0..a.len()).step_by(BLOCK) {
            let (a, b) = (a.as_ptr().add(at), b.as_ptr().add(at));
            even = S::add(even, S::mul(S::load(a), S::load(b)));
            odd = S::add(
                odd,
                S::mul(S::load(a.add(BLOCK / 2)), S::load(b.add(BLOCK / 2))),
            );
        }
        S::sum(S::add(even, odd))
    }
}

/// (a − θ·v)² of eight elements.
#[inline(always)]
unsafe fn squared_difference<S: Simd>(a: *const f64, v: *const f64, theta: S::V) -> S::V {
    // SAFETY: passed on.
    unsafe {
        let difference = S::sub(S::load(a), S::mul(theta, S::load(v)));
        S::mul(difference, difference)
    }
}

#[inline(always)]
pub(super) unsafe fn residual<S: Simd>(a: &[f64], v: &[f64], theta: f64) -> f64 {
    // SAFETY: as in `dot`.
    unsafe {
        let theta = S::splat(theta);
        let (mut even, mut odd) = (S::splat(0.0), S::splat(0.0));
        for at in (0..a.len()).step_by(BLOCK) {
            let (a, v) = (a.as_ptr().add(at), v.as_ptr().add(at));
            even = S::add(even, squared_difference::<S>(a, v, theta));
            odd = S::add(
                odd,
                squared_difference::<S>(a.add(BLOCK / 2), v.add(BLOCK / 2), theta),
            );
        }
        S::sum(S::add(even, odd)).sqrt()
    }
}

/// Elementwise, so the compiler may vectorise it without changing a bit.
#[inline(always)]
pub(super) fn subtract(q: &[f64], h: &[f64], length: usize, x: &mut [f64]) {
    let terms = q.len() / length;
    for start in (0..length).step_by(CHUNK) {
        let size = CHUNK.min(length - start);
        for (c, x) in x.chunks_exact_mut(length).enumerate() {
            let x = &mut x[start..][..size];
            for (i, &h) in h[c * terms..][..terms].iter().enumerate() {
                for (x, &q) in x.iter_mut().zip(&q[i * length + start..][..size]) {
                    *x -= q * h;
                }
            }
        }
    }
}

/// Elementwise, as [`subtract`].
#[inline(always)]
pub(super) fn combine(q: &[f64], s: &[f64], count: usize, out: &mut [f64]) {
    let length = out.len() / count.max(1);
    let terms = s.len() / count.max(1);
    for start in (0..length).step_by(CHUNK) {
        let size = CHUNK.min(length - start);
        for c in 0..count {
            let out = &mut out[c * length + start..][..size];
            out.fill(0.0);
            for (i, &s) in s[c * terms..][..terms].iter().enumerate() {
                for (out, &q) in out.iter_mut().zip(&q[i * length + start..][..size]) {
                    *out += q * s;
                }
            }
        }
    }
}
