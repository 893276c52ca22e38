//! Scores of a token's queries with keys, and their exponentials.
//!
//! A row of scores has a place for every key, whole vectors and one vector more; its last place is what divides its sums.

use super::TOGETHER;
use crate::cache::Query;
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, largest, sum};

/// Places of a row of scores.
pub(super) const fn room(keys: usize) -> usize {
    (keys.div_ceil(LANES) + 1) * LANES
}

/// q·k for each of `count` heads, at most [`TOGETHER`], and each key: a row of `scores` for each head.
///
/// # Safety
/// The caller has the instruction set, and rows have [`room`] for the keys of the query.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd>(
    q: &[S::E],
    width: usize,
    keys: &[S::E],
    query: &Query,
    scores: &mut [S::E],
    count: usize,
) {
    assert!(q.len() == count * width && count <= TOGETHER);
    let room = scores.len() / count;
    assert!(room >= self::room(query.keys()));
    let mut before = 0;
    for (start, len) in query.runs() {
        // A run follows the last key of the one before, over what that one's last vector had too many.
        let blocks = &keys[start * width..(start + len.next_multiple_of(LANES)) * width];
        let mut lot = Blocks {
            q: q.as_ptr(),
            width,
            keys: blocks.as_ptr(),
            scores: scores[before..].as_mut_ptr(),
            room,
        };
        let mut left = len.div_ceil(LANES);
        while left > 0 {
            let many = if !S::MANY_REGISTERS || left < 2 {
                1
            } else if left < 4 {
                2
            } else {
                4
            };
            // SAFETY: so many blocks and places are left; the caller has the instruction set.
            unsafe {
                match many {
                    1 => lot.heads::<S, 1>(count),
                    2 => lot.heads::<S, 2>(count),
                    _ => lot.heads::<S, 4>(count),
                }
                lot.keys = lot.keys.add(many * width * LANES);
                lot.scores = lot.scores.wrapping_add(many * LANES);
            }
            left -= many;
        }
        before += len;
    }
}

/// Blocks of 16 keys, and where their scores go.
#[derive(Clone, Copy)]
struct Blocks<T> {
    q: *const T,
    width: usize,
    keys: *const T,
    scores: *mut T,
    room: usize,
}

impl<T: Float> Blocks<T> {
    #[inline(always)]
    unsafe fn heads<S: Simd<E = T>, const BLOCKS: usize>(self, count: usize) {
        // SAFETY: as the caller's.
        unsafe {
            match count {
                1 => S::apart(Dots::<T, 1, BLOCKS>(self)),
                2 => S::apart(Dots::<T, 2, BLOCKS>(self)),
                3 => S::apart(Dots::<T, 3, BLOCKS>(self)),
                _ => S::apart(Dots::<T, TOGETHER, BLOCKS>(self)),
            }
        }
    }
}

struct Dots<T, const HEADS: usize, const BLOCKS: usize>(Blocks<T>);

impl<T: Float, const HEADS: usize, const BLOCKS: usize> Kernel<T> for Dots<T, HEADS, BLOCKS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let Blocks {
            mut q,
            width,
            mut keys,
            scores,
            room,
        } = self.0;
        let block = width * LANES;
        // SAFETY: BLOCKS blocks of width × 16 keys, HEADS queries, and BLOCKS · 16 places in each row.
        unsafe {
            let mut sums = [[S::splat(T::ZERO); BLOCKS]; HEADS];
            for _ in 0..width {
                let mut k = [S::splat(T::ZERO); BLOCKS];
                for (i, k) in k.iter_mut().enumerate() {
                    *k = S::load(keys.wrapping_add(i * block));
                }
                for (head, sums) in sums.iter_mut().enumerate() {
                    S::keep_order();
                    let q = S::splat(*q.wrapping_add(head * width));
                    for (sum, &k) in sums.iter_mut().zip(&k) {
                        *sum = S::fma(q, k, *sum);
                    }
                }
                q = q.wrapping_add(1);
                keys = keys.wrapping_add(LANES);
            }
            for (head, sums) in sums.iter().enumerate() {
                for (i, &sum) in sums.iter().enumerate() {
                    S::store(scores.wrapping_add(head * room + i * LANES), sum);
                }
            }
        }
    }
}

/// A row of scores to exp(score − largest), in place; keys that are not attended to, and places without a key up to a whole
/// vector, get 0. The sum goes to the last place.
#[inline(always)]
pub(super) unsafe fn exponentials<S: Simd>(row: &mut [S::E], query: &Query, scale: S::E) {
    let (keys, last) = (query.keys(), row.len() - 1);
    row[..query.skip].fill(S::E::NEGATIVE_INFINITY);
    row[keys..].fill(S::E::NEGATIVE_INFINITY);
    // SAFETY: whole vectors of the row; the caller has the instruction set.
    unsafe {
        let scale = S::splat(scale);
        let mut most = S::splat(S::E::NEGATIVE_INFINITY);
        for vector in row.chunks_exact(LANES) {
            most = S::max(most, S::load(vector.as_ptr()));
        }
        let most = S::mul(S::splat(largest::<S>(most)), scale);
        let mut total = S::splat(S::E::ZERO);
        for vector in row[..keys.next_multiple_of(LANES)].chunks_exact_mut(LANES) {
            let e = S::exp(S::sub(S::mul(S::load(vector.as_ptr()), scale), most));
            S::store(vector.as_mut_ptr(), e);
            total = S::add(total, e);
        }
        row[last] = sum::<S>(total);
    }
}
