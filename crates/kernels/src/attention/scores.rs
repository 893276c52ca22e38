//! Scores of a token's queries with its keys, and their exponentials.

use crate::cache::Query;
use crate::simd::{Dispatch, LANES, Simd, largest, sum};

/// Elements of a row of scores: those of all keys, and one vector more that may be written.
pub(super) const fn room(keys: usize) -> usize {
    (keys.div_ceil(LANES) + 1) * LANES
}

/// exp(score − largest) for each head and key, and in the last place of each row their sum.
#[inline(always)]
pub(super) unsafe fn softmax_many<S: Simd>(
    q: &[S::E],
    width: usize,
    count: usize,
    keys: &[S::E],
    query: &Query,
    scale: S::E,
    scores: &mut Vec<S::E>,
) {
    let room = room(query.keys());
    scores.clear();
    scores.resize(count * room, S::E::ZERO);
    // SAFETY: the caller has the instruction set, and rows have room for whole vectors.
    unsafe {
        match count {
            1 => dots::<S, 1>(q, width, keys, query, scores, room),
            2 => dots::<S, 2>(q, width, keys, query, scores, room),
            3 => dots::<S, 3>(q, width, keys, query, scores, room),
            _ => dots::<S, 4>(q, width, keys, query, scores, room),
        }
        for row in scores.chunks_exact_mut(room) {
            exponentials::<S>(row, query, scale);
        }
    }
}

/// q·k for each head and key.
#[inline(always)]
pub(super) unsafe fn dots<S: Simd, const HEADS: usize>(
    q: &[S::E],
    width: usize,
    keys: &[S::E],
    query: &Query,
    scores: &mut [S::E],
    room: usize,
) {
    let mut before = 0;
    for (start, len) in query.runs() {
        for number in 0..len.div_ceil(LANES) {
            // A run follows the last key of the one before, over what that one's last vector had too many.
            let at = before + number * LANES;
            let block = &keys[(start / LANES + number) * width * LANES..][..width * LANES];
            // SAFETY: the block has width × 16 keys, q HEADS × width; a row has room for a whole vector after the last key.
            unsafe {
                let mut sums = [S::splat(S::E::ZERO); HEADS];
                for d in 0..width {
                    let k = S::load(block.as_ptr().add(d * LANES));
                    for (head, sum) in sums.iter_mut().enumerate() {
                        *sum = S::fma(S::splat(*q.get_unchecked(head * width + d)), k, *sum);
                    }
                }
                for (head, sum) in sums.into_iter().enumerate() {
                    S::store(scores.as_mut_ptr().add(head * room + at), sum);
                }
            }
        }
        before += len;
    }
}

/// Scores to exponentials, in place; the sum goes to the last place.
#[inline(always)]
unsafe fn exponentials<S: Simd>(row: &mut [S::E], query: &Query, scale: S::E) {
    let (keys, last) = (query.keys(), row.len() - 1);
    row[..query.skip].fill(S::E::NEGATIVE_INFINITY);
    row[keys..].fill(S::E::NEGATIVE_INFINITY);
    // SAFETY: whole vectors of the row; the caller has the instruction set.
    unsafe {
        let scale = S::splat(scale);
        let mut most = S::splat(S::E::NEGATIVE_INFINITY);
        let mut i = 0;
        while i < keys {
            most = S::max(most, S::load(row.as_ptr().add(i)));
            i += LANES;
        }
        let most = S::mul(S::splat(largest::<S>(most)), scale);
        let mut total = S::splat(S::E::ZERO);
        i = 0;
        while i < keys {
            let at = row.as_mut_ptr().add(i);
            let e = S::exp(S::sub(S::mul(S::load(at), scale), most));
            S::store(at, e);
            total = S::add(total, e);
            i += LANES;
        }
        row[last] = sum::<S>(total);
    }
}
