//! Sums of rows, weighted by scores.

use super::TOGETHER;
use crate::cache::Query;
use crate::simd::{Float, Kernel, LANES, Simd};

/// Rows of `width` elements that are padded to whole vectors.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) rows: &'a [T],
    pub(super) width: usize,
    pub(super) padded: usize,
}

/// Σ score · row over the keys of the query that it attends to, divided by the last place of the scores, for each of `count`
/// heads.
///
/// # Safety
/// The caller has the instruction set, and vouches for `out`, count × width.
#[inline(always)]
pub(super) unsafe fn weighted<S: Simd>(
    scores: &[S::E],
    count: usize,
    of: Rows<'_, S::E>,
    query: &Query,
    out: *mut S::E,
) {
    let mut runs = query.runs();
    let skipped = query.skip.min(runs[0].1);
    runs[0] = (runs[0].0 + skipped, runs[0].1 - skipped);
    let skipped = query.skip - skipped;
    runs[1] = (runs[1].0 + skipped, runs[1].1 - skipped);
    for (start, len) in runs {
        assert!((start + len) * of.padded <= of.rows.len());
    }
    let room = scores.len() / count;
    assert!(room > query.keys() && count <= TOGETHER);
    let mut from = 0;
    while from < of.padded {
        let sums = Columns {
            scores: scores[query.skip..].as_ptr(),
            totals: scores[room - 1..].as_ptr(),
            room,
            runs: [0, 1].map(|i| {
                (
                    of.rows.as_ptr().wrapping_add(runs[i].0 * of.padded + from),
                    runs[i].1,
                )
            }),
            padded: of.padded,
            width: of.width,
            left: of.width - from,
            out: out.wrapping_add(from),
        };
        // SAFETY: the caller vouches for it; so many columns are left.
        unsafe {
            match (of.padded - from) / LANES {
                1 => sums.heads::<S, 1>(count),
                2 | 3 => sums.heads::<S, 2>(count),
                _ => sums.heads::<S, 4>(count),
            }
        }
        from += match (of.padded - from) / LANES {
            1 => LANES,
            2 | 3 => 2 * LANES,
            _ => 4 * LANES,
        };
    }
}

/// Some vectors of the columns.
#[derive(Clone, Copy)]
struct Columns<T> {
    scores: *const T,
    totals: *const T,
    room: usize,
    runs: [(*const T, usize); 2],
    padded: usize,
    width: usize,
    left: usize,
    out: *mut T,
}

impl<T: Float> Columns<T> {
    #[inline(always)]
    unsafe fn heads<S: Simd<E = T>, const VECTORS: usize>(self, count: usize) {
        // SAFETY: as the caller's.
        unsafe {
            match count {
                1 => S::apart(Sums::<T, 1, VECTORS>(self)),
                2 => S::apart(Sums::<T, 2, VECTORS>(self)),
                3 => S::apart(Sums::<T, 3, VECTORS>(self)),
                _ => S::apart(Sums::<T, TOGETHER, VECTORS>(self)),
            }
        }
    }
}

struct Sums<T, const HEADS: usize, const VECTORS: usize>(Columns<T>);

impl<T: Float, const HEADS: usize, const VECTORS: usize> Kernel<T> for Sums<T, HEADS, VECTORS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let of = self.0;
        let mut scores = of.scores;
        // SAFETY: the runs have padded rows, the scores HEADS rows of `room`, `out` HEADS of `width`.
        unsafe {
            let mut sums = [[S::splat(T::ZERO); VECTORS]; HEADS];
            for (mut row, len) in of.runs {
                for _ in 0..len {
                    let mut v = [S::splat(T::ZERO); VECTORS];
                    for (i, v) in v.iter_mut().enumerate() {
                        *v = S::load(row.wrapping_add(i * LANES));
                    }
                    for (head, sums) in sums.iter_mut().enumerate() {
                        S::keep_order();
                        let p = S::splat(*scores.wrapping_add(head * of.room));
                        for (sum, &v) in sums.iter_mut().zip(&v) {
                            *sum = S::fma(p, v, *sum);
                        }
                    }
                    row = row.wrapping_add(of.padded);
                    scores = scores.wrapping_add(1);
                }
            }
            for (head, sums) in sums.iter().enumerate() {
                let total = S::splat(*of.totals.wrapping_add(head * of.room));
                for (i, &sum) in sums.iter().enumerate() {
                    let to = of.out.wrapping_add(head * of.width + i * LANES);
                    let sum = S::div(sum, total);
                    if (i + 1) * LANES <= of.left {
                        S::store(to, sum);
                    } else {
                        let mut buffer = [T::ZERO; LANES];
                        S::store(buffer.as_mut_ptr(), sum);
                        let columns = of.left.saturating_sub(i * LANES);
                        to.copy_from_nonoverlapping(buffer.as_ptr(), columns);
                    }
                }
            }
        }
    }
}
