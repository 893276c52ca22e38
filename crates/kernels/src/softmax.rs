//! What the output head says: log-probabilities, entropy, probabilities, and the gradient of the logits.
//!
//! Sums go through 16 lanes by the number of the token, then in one order.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]

use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch, largest, sum};

/// ln Σ exp(x · `inverse_temperature`) of a row of logits.
#[must_use]
pub fn log_sum_exp<T: Float>(row: &[T], inverse_temperature: T) -> T {
    dispatch(LogSumExp(row, inverse_temperature))
}

struct LogSumExp<'a, T>(&'a [T], T);

impl<T: Float> Kernel<T> for LogSumExp<'_, T> {
    type Output = T;
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) -> T {
        let Self(row, inverse) = self;
        // SAFETY: the caller has the instruction set; `each` gives whole vectors.
        unsafe {
            let mut most = S::splat(T::NEGATIVE_INFINITY);
            let mut i = 0;
            while i < row.len() {
                most = S::max(most, at::<S>(row, i));
                i += LANES;
            }
            let most = largest::<S>(most) * inverse;
            let (scale, shift) = (S::splat(inverse), S::splat(most));
            let mut total = S::splat(T::ZERO);
            i = 0;
            while i < row.len() {
                let scaled = S::sub(S::mul(at::<S>(row, i), scale), shift);
                total = S::add(total, S::exp(scaled));
                i += LANES;
            }
            most + sum::<S>(total).logarithm()
        }
    }
}

/// Sixteen elements from `i` on; −∞ beyond the row.
#[inline(always)]
unsafe fn at<S: Simd>(row: &[S::E], i: usize) -> S::V {
    // SAFETY: a whole vector of the row or of a copy.
    unsafe {
        if i + LANES <= row.len() {
            return S::load(row.as_ptr().add(i));
        }
        let mut copy = [S::E::NEGATIVE_INFINITY; LANES];
        copy[..row.len() - i].copy_from_slice(&row[i..]);
        S::load(copy.as_ptr())
    }
}

/// Stores as many of sixteen elements as the row has from `i` on.
#[inline(always)]
unsafe fn put<S: Simd>(row: &mut [S::E], i: usize, v: S::V) {
    // SAFETY: a whole vector of the row or of a copy.
    unsafe {
        if i + LANES <= row.len() {
            return S::store(row.as_mut_ptr().add(i), v);
        }
        let mut copy = [S::E::ZERO; LANES];
        S::store(copy.as_mut_ptr(), v);
        let rest = row.len() - i;
        row[i..].copy_from_slice(&copy[..rest]);
    }
}

/// The probabilities of all tokens in place of their logits; `log_sum` is the row's [`log_sum_exp`].
pub fn probabilities<T: Float>(row: &mut [T], log_sum: T, inverse_temperature: T) {
    dispatch(Scaled {
        row,
        log_sum,
        inverse: inverse_temperature,
        factor: T::ONE,
    });
}

struct Scaled<'a, T> {
    row: &'a mut [T],
    log_sum: T,
    inverse: T,
    factor: T,
}

impl<T: Float> Kernel<T> for Scaled<'_, T> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        // SAFETY: the caller has the instruction set; whole vectors.
        unsafe {
            let (scale, shift) = (S::splat(self.inverse), S::splat(self.log_sum));
            let factor = S::splat(self.factor);
            let mut i = 0;
            while i < self.row.len() {
                let scaled = S::sub(S::mul(at::<S>(self.row, i), scale), shift);
                put::<S>(self.row, i, S::mul(S::exp(scaled), factor));
                i += LANES;
            }
        }
    }
}

/// The derivatives of `coefficient` times the log-probability of `target` by the logits, in their place.
///
/// # Panics
/// There is no such token.
pub fn log_prob_gradient<T: Float>(
    row: &mut [T],
    log_sum: T,
    inverse_temperature: T,
    target: usize,
    coefficient: T,
) {
    let factor = coefficient * inverse_temperature;
    dispatch(Scaled {
        row,
        log_sum,
        inverse: inverse_temperature,
        factor: T::ZERO - factor,
    });
    row[target] = row[target] + factor;
}

/// −Σ p ln p, in nats.
#[must_use]
pub fn entropy<T: Float>(row: &[T], log_sum: T, inverse_temperature: T) -> T {
    dispatch(Entropy {
        row,
        log_sum,
        inverse: inverse_temperature,
    })
}

struct Entropy<'a, T> {
    row: &'a [T],
    log_sum: T,
    inverse: T,
}

impl<T: Float> Kernel<T> for Entropy<'_, T> {
    type Output = T;
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) -> T {
        // SAFETY: the caller has the instruction set; whole vectors.
        unsafe {
            let (scale, shift) = (S::splat(self.inverse), S::splat(self.log_sum));
            // Where p is 0 its logarithm may be −∞: no log-probability counts as less than this.
            let least = S::splat(T::ZERO - T::from_count(10_000));
            let mut total = S::splat(T::ZERO);
            let mut i = 0;
            while i < self.row.len() {
                let log = S::sub(S::mul(at::<S>(self.row, i), scale), shift);
                total = S::fma(S::exp(log), S::max(log, least), total);
                i += LANES;
            }
            T::ZERO - sum::<S>(total)
        }
    }
}
