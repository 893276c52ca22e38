//! The gradient of attention. Probabilities are computed again. Sequences that share no rows are tasks of their own, for each
//! head of keys and values; a task adds what its queries say in their order.

mod groups;
mod spread;
mod turn;

use std::ops::Range;

use super::scores::{dots, exponentials, room};
use super::weighted::{Rows, weighted};
use super::{TOGETHER, check, lots_of_heads};
use crate::cache::{KvCache, Query};
use crate::parallel::{Shared, each};
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch, sum};
use groups::{Group, independent};
use spread::Spread;
use turn::{by_block, by_row};

/// Tokens whose gradients are added to keys and values together.
const TOKENS: usize = 8;

/// The gradients of q (at its place in `grad_q`, which is added to), k and v (by row of the cache, rows × (kv heads · width)).
///
/// # Panics
/// As [`attention`](super::attention).
#[expect(
    clippy::too_many_arguments,
    reason = "buffers with their strides and offsets"
)]
pub fn attention_backward<T: Float>(
    q: &[T],
    stride: usize,
    offset: usize,
    heads: usize,
    cache: &KvCache<T>,
    queries: &[Query],
    scale: T,
    grad_out: &[T],
    grad_q: &mut [T],
    grad_k: &mut [T],
    grad_v: &mut [T],
) {
    let (width, kv_heads) = (cache.width(), cache.kv_heads());
    assert_eq!(grad_out.len(), queries.len() * heads * width);
    assert_eq!((grad_q.len(), grad_k.len()), (q.len(), grad_v.len()));
    assert!(heads.is_multiple_of(kv_heads));
    let rows = grad_k.len() / (kv_heads * width);
    assert!(rows <= cache.rows());
    check(q, stride, offset + heads * width, rows, queries);
    grad_k.fill(T::ZERO);
    grad_v.fill(T::ZERO);
    let operations = width * heads * queries.iter().map(Query::keys).sum::<usize>();
    let group = heads / kv_heads;
    let groups = independent(queries);
    let (to_q, to_k, to_v) = (
        Shared(grad_q.as_mut_ptr()),
        Shared(grad_k.as_mut_ptr()),
        Shared(grad_v.as_mut_ptr()),
    );
    each(groups.len() * kv_heads, operations, |task| {
        let (group_of, kv_head) = (&groups[task / kv_heads], task % kv_heads);
        dispatch(Backward {
            q,
            stride,
            offset,
            heads: kv_head * group..(kv_head + 1) * group,
            all_heads: heads,
            cache,
            kv_head,
            queries,
            group: group_of,
            scale,
            rows,
            grad_out,
            grad_q: to_q.get(),
            grad_k: to_k.get(),
            grad_v: to_v.get(),
        });
    });
}

struct Backward<'a, T> {
    q: &'a [T],
    stride: usize,
    offset: usize,
    heads: Range<usize>,
    all_heads: usize,
    cache: &'a KvCache<T>,
    kv_head: usize,
    queries: &'a [Query],
    group: &'a Group,
    scale: T,
    /// Rows of the gradients of keys and values.
    rows: usize,
    grad_out: &'a [T],
    grad_q: *mut T,
    grad_k: *mut T,
    grad_v: *mut T,
}

/// What a task works with: keys and values the other way round, and buffers.
struct Work<T> {
    /// Keys, row by row, padded.
    key_rows: Vec<T>,
    /// Values in blocks of 16 rows.
    value_blocks: Vec<T>,
    grad_keys: Vec<T>,
    grad_values: Vec<T>,
    /// For each token and head a row of probabilities, and one of the gradients of the scores.
    scores: Vec<T>,
    slopes: Vec<T>,
    /// For each token and head its query and its gradient, padded.
    q: Vec<T>,
    grad: Vec<T>,
    sums: Vec<T>,
}

impl<T: Float> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let (width, padded) = (self.cache.width(), self.cache.padded());
        let rows = &self.group.rows;
        let keys = &self.cache.keys(self.kv_head)[rows.start * width..rows.end * width];
        let values = &self.cache.values(self.kv_head)[rows.start * padded..rows.end * padded];
        let pairs = TOKENS * self.heads.len();
        let zeros = |count| vec![T::ZERO; count];
        let mut work = Work {
            key_rows: zeros(rows.len() * padded),
            value_blocks: zeros(rows.len() * width),
            grad_keys: zeros(rows.len() * padded),
            grad_values: zeros(rows.len() * padded),
            scores: Vec::new(),
            slopes: Vec::new(),
            q: zeros(pairs * padded),
            grad: zeros(pairs * padded),
            sums: zeros(TOGETHER * width),
        };
        // SAFETY: the caller has the instruction set.
        unsafe {
            by_row::<S>(keys, width, padded, &mut work.key_rows);
            by_block::<S>(values, width, padded, &mut work.value_blocks);
        }
        let mut first = self.group.queries.start;
        while first < self.group.queries.end {
            let tokens = self.alike(first);
            // SAFETY: sizes were compared; these places of the gradients belong to this task.
            unsafe { self.tokens::<S>(tokens.clone(), keys, &mut work) };
            first = tokens.end;
        }
        self.put(&work);
    }
}

impl<T: Float> Backward<'_, T> {
    /// From this one on, the queries of one sequence, as many as are done together.
    fn alike(&self, first: usize) -> Range<usize> {
        let run = |query: &Query| (query.prefix_start, query.prefix_len, query.own_start);
        let most = self.group.queries.end.min(first + TOKENS);
        let other = |&number: &usize| run(&self.queries[number]) != run(&self.queries[first]);
        first..(first..most).find(other).unwrap_or(most)
    }

    /// The query by the rows of the group.
    fn query(&self, token: usize) -> Query {
        let query = self.queries[token];
        Query {
            prefix_start: query.prefix_start.saturating_sub(self.group.rows.start),
            own_start: query.own_start - self.group.rows.start,
            ..query
        }
    }

    /// Adds what some tokens of one sequence say.
    #[inline(always)]
    unsafe fn tokens<S: Simd<E = T>>(&self, tokens: Range<usize>, keys: &[T], work: &mut Work<T>) {
        let (width, padded) = (self.cache.width(), self.cache.padded());
        let most = tokens.clone().map(|token| self.queries[token].keys()).max();
        let room = room(most.unwrap_or(0));
        let group = self.heads.len();
        let size = tokens.len() * group * room;
        work.scores.resize(size.max(work.scores.len()), T::ZERO);
        work.slopes.resize(size.max(work.slopes.len()), T::ZERO);
        let key_rows = Rows {
            rows: &work.key_rows,
            width,
            padded,
        };
        for token in tokens.clone() {
            let query = self.query(token);
            for (head, count) in lots_of_heads(&self.heads) {
                let pair = (token - tokens.start) * group + head - self.heads.start;
                let places = pair * room..(pair + count) * room;
                let (scores, slopes) = (&mut work.scores[places.clone()], &mut work.slopes[places]);
                let at = token * self.stride + self.offset + head * width;
                let q = &self.q[at..at + count * width];
                let grad = (token * self.all_heads + head) * width;
                let grad = &self.grad_out[grad..grad + count * width];
                // SAFETY: the caller has the instruction set; `sums` has room for the heads.
                unsafe {
                    dots::<S>(q, width, keys, &query, scores, count);
                    dots::<S>(grad, width, &work.value_blocks, &query, slopes, count);
                    let rows = scores
                        .chunks_exact_mut(room)
                        .zip(slopes.chunks_exact_mut(room));
                    for (scores, slopes) in rows {
                        exponentials::<S>(scores, &query, self.scale);
                        score_gradient::<S>(scores, slopes, &query, self.scale);
                    }
                    weighted::<S>(slopes, count, key_rows, &query, work.sums.as_mut_ptr());
                    for (i, &sum) in work.sums.iter().take(count * width).enumerate() {
                        let to = self.grad_q.add(at + i);
                        *to = *to + sum;
                    }
                }
                for i in 0..count {
                    let to = (pair + i) * padded..(pair + i) * padded + width;
                    work.q[to.clone()].copy_from_slice(&q[i * width..(i + 1) * width]);
                    work.grad[to].copy_from_slice(&grad[i * width..(i + 1) * width]);
                }
            }
        }
        let pairs = tokens.len() * group;
        let last = self.query(tokens.end - 1);
        let skip = tokens
            .map(|token| self.queries[token].skip)
            .min()
            .unwrap_or(0);
        let spread = Spread {
            pairs,
            room,
            padded,
            skip,
            keys: most.unwrap_or(0),
        };
        // SAFETY: the caller has the instruction set.
        unsafe {
            spread.run::<S>(&work.slopes, &work.q, &last, &mut work.grad_keys);
            spread.run::<S>(&work.scores, &work.grad, &last, &mut work.grad_values);
        }
    }

    /// The gradients of keys and values to their places.
    fn put(&self, work: &Work<T>) {
        let (width, padded) = (self.cache.width(), self.cache.padded());
        let columns = self.cache.kv_heads() * width;
        let rows = self.group.rows.start..self.group.rows.end.min(self.rows);
        for (number, row) in rows.enumerate() {
            let from = number * padded..number * padded + width;
            // SAFETY: the columns of this head and the rows of this group belong to this task.
            unsafe {
                let at = row * columns + self.kv_head * width;
                let keys = work.grad_keys[from.clone()].as_ptr();
                self.grad_k.add(at).copy_from_nonoverlapping(keys, width);
                let values = work.grad_values[from].as_ptr();
                self.grad_v.add(at).copy_from_nonoverlapping(values, width);
            }
        }
    }
}

/// Probabilities in place of the exponentials, and the gradients of the scores before the scale in place of the slopes, whose
/// last place becomes 1. Places without a key get 0.
#[inline(always)]
unsafe fn score_gradient<S: Simd>(
    scores: &mut [S::E],
    slopes: &mut [S::E],
    query: &Query,
    scale: S::E,
) {
    let (keys, last) = (query.keys(), scores.len() - 1);
    let vectors = keys.next_multiple_of(LANES);
    slopes[keys..].fill(S::E::ZERO);
    slopes[last] = S::E::ONE;
    // SAFETY: whole vectors of both rows; the caller has the instruction set.
    unsafe {
        let total = S::splat(scores[last]);
        scores[vectors..].fill(S::E::ZERO);
        let rows = scores[..vectors]
            .chunks_exact_mut(LANES)
            .zip(slopes[..vectors].chunks_exact(LANES));
        let mut dot = S::splat(S::E::ZERO);
        for (scores, slopes) in rows {
            let p = S::div(S::load(scores.as_ptr()), total);
            S::store(scores.as_mut_ptr(), p);
            dot = S::fma(p, S::load(slopes.as_ptr()), dot);
        }
        let (dot, scale) = (S::splat(sum::<S>(dot)), S::splat(scale));
        let rows = scores[..vectors]
            .chunks_exact(LANES)
            .zip(slopes[..vectors].chunks_exact_mut(LANES));
        for (scores, slopes) in rows {
            let slope = S::sub(S::load(slopes.as_ptr()), dot);
            let slope = S::mul(S::mul(S::load(scores.as_ptr()), slope), scale);
            S::store(slopes.as_mut_ptr(), slope);
        }
    }
}
