//! Root-mean-square norms of rows, and their gradient.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]

use crate::parallel::rows;
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch, sum};

/// y = x / sqrt(mean(x²) + ε) · weight for each row of `weight.len()` elements.
///
/// # Panics
/// The sizes do not fit.
pub fn rms_norm<T: Float>(x: &[T], weight: &[T], epsilon: T, y: &mut [T]) {
    let width = weight.len();
    assert!(x.len() == y.len() && x.len().is_multiple_of(width));
    rows(y, width, x.len() * 2, |first, y| {
        let x = &x[first * width..][..y.len()];
        dispatch(Forward {
            x,
            weight,
            epsilon,
            y,
        });
    });
}

struct Forward<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    epsilon: T,
    y: &'a mut [T],
}

impl<T: Float> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let width = self.weight.len();
        for (x, y) in self
            .x
            .chunks_exact(width)
            .zip(self.y.chunks_exact_mut(width))
        {
            // SAFETY: the caller has the instruction set.
            let factor = unsafe { factor::<S>(x, self.epsilon) };
            for ((y, &x), &weight) in y.iter_mut().zip(x).zip(self.weight) {
                *y = x * factor * weight;
            }
        }
    }
}

/// 1 / sqrt(mean(x²) + ε).
#[inline(always)]
unsafe fn factor<S: Simd>(x: &[S::E], epsilon: S::E) -> S::E {
    // SAFETY: as the caller's.
    let squares = unsafe { dot::<S>(x, x) };
    S::E::ONE / (squares / S::E::from_count(x.len()) + epsilon).square_root()
}

/// Σ a·b in 16 lanes by the index, then in the order of [`sum`].
#[inline(always)]
pub(crate) unsafe fn dot<S: Simd>(a: &[S::E], b: &[S::E]) -> S::E {
    // SAFETY: whole vectors inside both slices; the caller has the instruction set.
    unsafe {
        let mut lanes = S::splat(S::E::ZERO);
        let whole = a.len() / LANES * LANES;
        let mut i = 0;
        while i < whole {
            lanes = S::fma(
                S::load(a.as_ptr().add(i)),
                S::load(b.as_ptr().add(i)),
                lanes,
            );
            i += LANES;
        }
        if i < a.len() {
            let (mut rest_a, mut rest_b) = ([S::E::ZERO; LANES], [S::E::ZERO; LANES]);
            rest_a[..a.len() - i].copy_from_slice(&a[i..]);
            rest_b[..a.len() - i].copy_from_slice(&b[i..a.len()]);
            lanes = S::fma(S::load(rest_a.as_ptr()), S::load(rest_b.as_ptr()), lanes);
        }
        sum::<S>(lanes)
    }
}

/// The gradient of x.
///
/// # Panics
/// The sizes do not fit.
pub fn rms_norm_backward<T: Float>(
    x: &[T],
    weight: &[T],
    epsilon: T,
    grad: &[T],
    grad_x: &mut [T],
) {
    let width = weight.len();
    assert!(x.len() == grad.len() && x.len() == grad_x.len() && x.len().is_multiple_of(width));
    rows(grad_x, width, x.len() * 4, |first, grad_x| {
        let range = first * width..first * width + grad_x.len();
        dispatch(Backward {
            x: &x[range.clone()],
            weight,
            epsilon,
            grad: &grad[range],
            grad_x,
        });
    });
}

struct Backward<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    epsilon: T,
    grad: &'a [T],
    grad_x: &'a mut [T],
}

impl<T: Float> Kernel<T> for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let width = self.weight.len();
        let rows = self
            .x
            .chunks_exact(width)
            .zip(self.grad.chunks_exact(width));
        for ((x, grad), grad_x) in rows.zip(self.grad_x.chunks_exact_mut(width)) {
            for ((to, &g), &weight) in grad_x.iter_mut().zip(grad).zip(self.weight) {
                *to = g * weight;
            }
            // SAFETY: the caller has the instruction set.
            let (factor, along) = unsafe { (factor::<S>(x, self.epsilon), dot::<S>(grad_x, x)) };
            let back = T::ZERO - along * factor * factor * factor / T::from_count(width);
            for (to, &x) in grad_x.iter_mut().zip(x) {
                *to = back.fused(x, *to * factor);
            }
        }
    }
}
