//! Attention of tokens over cached keys and values, and its gradient.
//!
//! A token's scores are chains over the width of a head, its softmax sums in 16 lanes by the number of the key, its output is
//! a chain over the keys from the oldest on. Nothing depends on who else is in the batch.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]
#![expect(
    clippy::too_many_arguments,
    reason = "buffers with their strides and offsets"
)]

use crate::cache::{KvCache, Query};
use crate::parallel::{Shared, each};
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch, largest, sum};

/// Query heads that are scored together; more that share a key are done in several goes.
const TOGETHER: usize = 4;

/// Attends: token t's `heads` queries stand at t · `stride` + `offset` of `q`; `out` is tokens × (heads · width). Consecutive
/// heads share a head of keys and values.
///
/// # Panics
/// The sizes do not fit, or a query is beyond the cache.
pub fn attention<T: Float>(
    q: &[T],
    stride: usize,
    offset: usize,
    heads: usize,
    cache: &KvCache<T>,
    queries: &[Query],
    scale: T,
    out: &mut [T],
) {
    let width = cache.width();
    assert_eq!(out.len(), queries.len() * heads * width);
    check(q, stride, offset + heads * width, cache, queries);
    let to = Shared(out.as_mut_ptr());
    let operations = 2 * width * heads * queries.iter().map(Query::keys).sum::<usize>() / 8;
    let group = heads / cache.kv_heads();
    let lot = queries.len().div_ceil(8).max(1);
    let lots = queries.len().div_ceil(lot);
    each(lots * cache.kv_heads(), operations, |task| {
        let (kv_head, first) = (task / lots, task % lots * lot);
        let queries = &queries[first..(first + lot).min(queries.len())];
        dispatch(Forward {
            q,
            stride,
            offset,
            heads: kv_head * group..(kv_head + 1) * group,
            all_heads: heads,
            cache,
            kv_head,
            queries,
            first,
            scale,
            out: to.get(),
        });
    });
}

fn check<T: Float>(q: &[T], stride: usize, end: usize, cache: &KvCache<T>, queries: &[Query]) {
    assert!(end <= stride && q.len() == queries.len() * stride);
    for query in queries {
        let inside =
            |(start, len): (usize, usize)| start % LANES == 0 && start + len <= cache.rows();
        assert!(query.runs().into_iter().all(inside) && query.skip < query.keys());
    }
}

struct Forward<'a, T> {
    q: &'a [T],
    stride: usize,
    offset: usize,
    heads: std::ops::Range<usize>,
    all_heads: usize,
    cache: &'a KvCache<T>,
    kv_head: usize,
    queries: &'a [Query],
    first: usize,
    scale: T,
    out: *mut T,
}

impl<T: Float> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let width = self.cache.width();
        let (keys, values) = (
            self.cache.keys(self.kv_head),
            self.cache.values(self.kv_head),
        );
        let mut scores = Vec::new();
        for (number, query) in self.queries.iter().enumerate() {
            let token = self.first + number;
            let mut head = self.heads.start;
            while head < self.heads.end {
                let count = TOGETHER.min(self.heads.end - head);
                let q =
                    &self.q[token * self.stride + self.offset + head * width..][..count * width];
                let out = (token * self.all_heads + head) * width;
                // SAFETY: sizes were compared; these places of `out` belong to this task.
                unsafe {
                    let out = self.out.add(out);
                    softmax_many::<S>(q, width, count, keys, query, self.scale, &mut scores);
                    weighted_many::<S>(&scores, count, values, self.cache, query, out);
                }
                head += count;
            }
        }
    }
}

/// Elements of a row of scores: those of all keys, and one vector more that may be written.
const fn room(keys: usize) -> usize {
    (keys.div_ceil(LANES) + 1) * LANES
}

/// exp(score − largest) for each head and key, and in the last place of each row their sum.
#[inline(always)]
unsafe fn softmax_many<S: Simd>(
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
unsafe fn dots<S: Simd, const HEADS: usize>(
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

/// Σ p·v / Σ p for each head.
#[inline(always)]
unsafe fn weighted_many<S: Simd>(
    scores: &[S::E],
    count: usize,
    values: &[S::E],
    cache: &KvCache<S::E>,
    query: &Query,
    out: *mut S::E,
) {
    // SAFETY: the caller vouches for `out`, count × width.
    unsafe {
        match count {
            1 => weighted::<S, 1>(scores, values, cache, query, out),
            2 => weighted::<S, 2>(scores, values, cache, query, out),
            3 => weighted::<S, 3>(scores, values, cache, query, out),
            _ => weighted::<S, 4>(scores, values, cache, query, out),
        }
    }
}

#[inline(always)]
unsafe fn weighted<S: Simd, const HEADS: usize>(
    scores: &[S::E],
    values: &[S::E],
    cache: &KvCache<S::E>,
    query: &Query,
    out: *mut S::E,
) {
    let (width, padded) = (cache.width(), cache.padded());
    let room = scores.len() / HEADS;
    let mut from = 0;
    while from < padded {
        let vectors = ((padded - from) / LANES).min(4);
        // SAFETY: values have padded rows; the buffer takes what is beyond the width.
        unsafe {
            let mut sums = [[S::splat(S::E::ZERO); 4]; HEADS];
            let mut key = 0;
            for (start, len) in query.runs() {
                for row in start..start + len {
                    if key >= query.skip {
                        let v = values.as_ptr().add(row * padded + from);
                        for (head, sums) in sums.iter_mut().enumerate() {
                            let p = S::splat(*scores.get_unchecked(head * room + key));
                            for (i, sum) in sums.iter_mut().enumerate() {
                                if i < vectors {
                                    *sum = S::fma(p, S::load(v.add(i * LANES)), *sum);
                                }
                            }
                        }
                    }
                    key += 1;
                }
            }
            for (head, sums) in sums.iter().enumerate() {
                let total = S::splat(scores[(head + 1) * room - 1]);
                let mut buffer = [S::E::ZERO; 4 * LANES];
                for (i, &sum) in sums.iter().enumerate() {
                    S::store(buffer.as_mut_ptr().add(i * LANES), S::div(sum, total));
                }
                let columns = (4 * LANES).min(width.saturating_sub(from));
                out.add(head * width + from)
                    .copy_from_nonoverlapping(buffer.as_ptr(), columns);
            }
        }
        from += 4 * LANES;
    }
}

/// The gradients of q (at its place in `grad_q`, which is added to), k and v (by row of the cache, rows × (kv heads · width)).
///
/// # Panics
/// As [`attention`].
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
    assert!(grad_k.len() <= cache.rows() * kv_heads * width);
    check(q, stride, offset + heads * width, cache, queries);
    let rows = grad_k.len() / (kv_heads * width);
    let operations = 8 * width * heads * queries.iter().map(Query::keys).sum::<usize>() / 8;
    let group = heads / kv_heads;
    let (to_q, to_k, to_v) = (
        Shared(grad_q.as_mut_ptr()),
        Shared(grad_k.as_mut_ptr()),
        Shared(grad_v.as_mut_ptr()),
    );
    each(kv_heads, operations, |kv_head| {
        dispatch(Backward {
            q,
            stride,
            offset,
            heads: kv_head * group..(kv_head + 1) * group,
            all_heads: heads,
            cache,
            kv_head,
            queries,
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
    heads: std::ops::Range<usize>,
    all_heads: usize,
    cache: &'a KvCache<T>,
    kv_head: usize,
    queries: &'a [Query],
    scale: T,
    rows: usize,
    grad_out: &'a [T],
    grad_q: *mut T,
    grad_k: *mut T,
    grad_v: *mut T,
}

impl<T: Float> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let (width, padded) = (self.cache.width(), self.cache.padded());
        let keys = self.cache.keys(self.kv_head);
        let key_rows = by_row(keys, self.rows, width, padded);
        let value_blocks = by_block(
            self.cache.values(self.kv_head),
            self.cache.rows(),
            width,
            padded,
        );
        let mut grads = vec![T::ZERO; 2 * self.rows * padded];
        let (grad_keys, grad_values) = grads.split_at_mut(self.rows * padded);
        let (mut scores, mut slopes) = (Vec::new(), Vec::new());
        let (mut padded_q, mut padded_g) = (vec![T::ZERO; padded], vec![T::ZERO; padded]);
        for (token, query) in self.queries.iter().enumerate() {
            for head in self.heads.clone() {
                let at = token * self.stride + self.offset + head * width;
                let q = &self.q[at..at + width];
                let grad = &self.grad_out[(token * self.all_heads + head) * width..][..width];
                padded_q[..width].copy_from_slice(q);
                padded_g[..width].copy_from_slice(grad);
                let room = room(query.keys());
                // SAFETY: sizes were compared; these places of the gradients belong to this task.
                unsafe {
                    softmax_many::<S>(q, width, 1, keys, query, self.scale, &mut scores);
                    slopes.clear();
                    slopes.resize(room, T::ZERO);
                    dots::<S, 1>(grad, width, &value_blocks, query, &mut slopes, room);
                    score_gradient::<S>(&mut scores, &mut slopes, query, self.scale);
                    let q_sums = spread::<S>(
                        (&scores, &slopes),
                        (&padded_q, &padded_g),
                        &key_rows,
                        (grad_keys, grad_values),
                        query,
                    );
                    for (d, &sum) in q_sums.iter().take(width).enumerate() {
                        let to = self.grad_q.add(at + d);
                        *to = *to + sum;
                    }
                }
            }
        }
        let columns = self.cache.kv_heads() * width;
        for row in 0..self.rows {
            for d in 0..width {
                // SAFETY: the columns of this head belong to this task.
                unsafe {
                    let at = row * columns + self.kv_head * width + d;
                    *self.grad_k.add(at) = grad_keys[row * padded + d];
                    *self.grad_v.add(at) = grad_values[row * padded + d];
                }
            }
        }
    }
}

/// Probabilities in place of the exponentials, and the gradients of the scores before the scale in place of the slopes.
#[inline(always)]
unsafe fn score_gradient<S: Simd>(
    scores: &mut [S::E],
    slopes: &mut [S::E],
    query: &Query,
    scale: S::E,
) {
    let (keys, last) = (query.keys(), scores.len() - 1);
    slopes[keys..].fill(S::E::ZERO);
    // SAFETY: whole vectors of both rows; the caller has the instruction set.
    unsafe {
        let total = S::splat(scores[last]);
        let mut dot = S::splat(S::E::ZERO);
        let mut i = 0;
        while i < keys {
            let at = scores.as_mut_ptr().add(i);
            let p = S::div(S::load(at), total);
            S::store(at, p);
            dot = S::fma(p, S::load(slopes.as_ptr().add(i)), dot);
            i += LANES;
        }
        let (dot, scale) = (S::splat(sum::<S>(dot)), S::splat(scale));
        i = 0;
        while i < keys {
            let at = slopes.as_mut_ptr().add(i);
            let p = S::load(scores.as_ptr().add(i));
            S::store(at, S::mul(S::mul(p, S::sub(S::load(at), dot)), scale));
            i += LANES;
        }
    }
}

/// Adds what one query says to the gradients of keys and values, and gives its own.
#[inline(always)]
unsafe fn spread<S: Simd>(
    (scores, slopes): (&[S::E], &[S::E]),
    (q, grad): (&[S::E], &[S::E]),
    key_rows: &[S::E],
    (grad_keys, grad_values): (&mut [S::E], &mut [S::E]),
    query: &Query,
) -> Vec<S::E> {
    let padded = q.len();
    let mut q_sums = vec![S::E::ZERO; padded];
    let mut from = 0;
    while from < padded {
        // SAFETY: all rows are padded to whole vectors.
        unsafe {
            let (q, g) = (
                S::load(q.as_ptr().add(from)),
                S::load(grad.as_ptr().add(from)),
            );
            let mut q_sum = S::splat(S::E::ZERO);
            let mut key = 0;
            for (start, len) in query.runs() {
                for row in start..start + len {
                    if key >= query.skip {
                        let at = row * padded + from;
                        let slope = S::splat(*slopes.get_unchecked(key));
                        let p = S::splat(*scores.get_unchecked(key));
                        q_sum = S::fma(slope, S::load(key_rows.as_ptr().add(at)), q_sum);
                        let to = grad_keys.as_mut_ptr().add(at);
                        S::store(to, S::fma(slope, q, S::load(to)));
                        let to = grad_values.as_mut_ptr().add(at);
                        S::store(to, S::fma(p, g, S::load(to)));
                    }
                    key += 1;
                }
            }
            S::store(q_sums.as_mut_ptr().add(from), q_sum);
        }
        from += LANES;
    }
    q_sums
}

/// Blocks of width × 16 as rows of the padded width.
fn by_row<T: Float>(blocks: &[T], rows: usize, width: usize, padded: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; rows * padded];
    for (row, out) in out.chunks_exact_mut(padded).enumerate() {
        let block = &blocks[row / LANES * width * LANES..][..width * LANES];
        let cells = block.iter().skip(row % LANES).step_by(LANES);
        out.iter_mut().zip(cells).for_each(|(out, &x)| *out = x);
    }
    out
}

/// Rows of the padded width as blocks of width × 16.
fn by_block<T: Float>(values: &[T], rows: usize, width: usize, padded: usize) -> Vec<T> {
    let mut out = vec![T::ZERO; rows * width];
    for (block, rows) in out
        .chunks_exact_mut(width * LANES)
        .zip(values.chunks_exact(padded * LANES))
    {
        for (lane, row) in rows.chunks_exact(padded).enumerate() {
            let cells = block.iter_mut().skip(lane).step_by(LANES);
            cells.zip(row).for_each(|(cell, &x)| *cell = x);
        }
    }
    out
}
