//! Rows of some tokens and heads, added to those of the keys that they read.

use crate::cache::Query;
use crate::simd::{Float, Kernel, LANES, Simd};

/// How the rows of some tokens and heads are added to the keys that they read.
pub(super) struct Spread {
    pub(super) pairs: usize,
    pub(super) room: usize,
    pub(super) padded: usize,
    /// Keys that none of them attends to.
    pub(super) skip: usize,
    pub(super) keys: usize,
}

impl Spread {
    /// to[key] += factor[pair][key] · rows[pair], pair after pair.
    #[inline(always)]
    pub(super) unsafe fn run<S: Simd>(
        &self,
        factors: &[S::E],
        rows: &[S::E],
        query: &Query,
        to: &mut [S::E],
    ) {
        assert!(factors.len() >= self.pairs * self.room && rows.len() >= self.pairs * self.padded);
        let own = self.keys - query.prefix_len;
        let mut before = 0;
        for (start, len) in [
            (query.prefix_start, query.prefix_len),
            (query.own_start, own),
        ] {
            let skipped = self.skip.saturating_sub(before).min(len);
            let to = &mut to[(start + skipped) * self.padded..(start + len) * self.padded];
            let factors = &factors[before + skipped..];
            for (lot, to) in to.chunks_mut(4 * self.padded).enumerate() {
                let mut from = 0;
                while from < self.padded {
                    let few = Few {
                        pairs: self.pairs,
                        factors: factors[4 * lot..].as_ptr(),
                        room: self.room,
                        rows: rows[from..].as_ptr(),
                        padded: self.padded,
                        to: to[from..].as_mut_ptr(),
                    };
                    let vectors = ((self.padded - from) / LANES).min(2);
                    // SAFETY: there are so many keys and vectors, and so many rows and factors of each.
                    unsafe {
                        match (to.len() / self.padded, vectors) {
                            (4, 2) => S::apart(Added::<S::E, 4, 2>(few)),
                            (4, _) => S::apart(Added::<S::E, 4, 1>(few)),
                            (count, _) => {
                                for key in 0..count {
                                    S::apart(Added::<S::E, 1, 1>(few.of_key(key)));
                                    if vectors == 2 {
                                        S::apart(Added::<S::E, 1, 1>(few.of_key(key).next()));
                                    }
                                }
                            }
                        }
                    }
                    from += vectors * LANES;
                }
            }
            before += len;
        }
    }
}

/// A few keys, and some vectors of their columns.
#[derive(Clone, Copy)]
struct Few<T> {
    pairs: usize,
    factors: *const T,
    room: usize,
    rows: *const T,
    padded: usize,
    to: *mut T,
}

impl<T> Few<T> {
    #[inline(always)]
    fn of_key(self, key: usize) -> Self {
        Self {
            factors: self.factors.wrapping_add(key),
            to: self.to.wrapping_add(key * self.padded),
            ..self
        }
    }

    /// The next vector.
    #[inline(always)]
    fn next(self) -> Self {
        Self {
            rows: self.rows.wrapping_add(LANES),
            to: self.to.wrapping_add(LANES),
            ..self
        }
    }
}

struct Added<T, const KEYS: usize, const VECTORS: usize>(Few<T>);

impl<T: Float, const KEYS: usize, const VECTORS: usize> Kernel<T> for Added<T, KEYS, VECTORS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let of = self.0;
        let (mut factors, mut rows) = (of.factors, of.rows);
        // SAFETY: the caller vouches for KEYS rows of `to`, and `pairs` rows and factors.
        unsafe {
            let mut sums = [[S::splat(T::ZERO); VECTORS]; KEYS];
            for (key, sums) in sums.iter_mut().enumerate() {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = S::load(of.to.wrapping_add(key * of.padded + i * LANES));
                }
            }
            for _ in 0..of.pairs {
                let mut row = [S::splat(T::ZERO); VECTORS];
                for (i, row) in row.iter_mut().enumerate() {
                    *row = S::load(rows.wrapping_add(i * LANES));
                }
                for (key, sums) in sums.iter_mut().enumerate() {
                    let factor = S::splat(*factors.wrapping_add(key));
                    for (sum, &row) in sums.iter_mut().zip(&row) {
                        *sum = S::fma(factor, row, *sum);
                    }
                }
                factors = factors.wrapping_add(of.room);
                rows = rows.wrapping_add(of.padded);
            }
            for (key, sums) in sums.iter().enumerate() {
                for (i, &sum) in sums.iter().enumerate() {
                    S::store(of.to.wrapping_add(key * of.padded + i * LANES), sum);
                }
            }
        }
    }
}
