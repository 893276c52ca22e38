//! Attention of tokens over cached keys and values, and its gradient.
//!
//! A token's scores are chains over the width of a head, its softmax sums in 16 lanes by the number of the key, its output is
//! a chain over the keys from the oldest on. Nothing depends on who else is in the batch.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]

mod backward;
mod scores;

use crate::cache::{KvCache, Query};
use crate::parallel::{Shared, each};
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch};
use scores::softmax_many;

pub use backward::attention_backward;

/// Query heads that are scored together; more that share a key are done in several goes.
const TOGETHER: usize = 4;

/// Attends: token t's `heads` queries stand at t · `stride` + `offset` of `q`; `out` is tokens × (heads · width). Consecutive
/// heads share a head of keys and values.
///
/// # Panics
/// The sizes do not fit, or a query is beyond the cache.
#[expect(
    clippy::too_many_arguments,
    reason = "buffers with their strides and offsets"
)]
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
    check(q, stride, offset + heads * width, cache.rows(), queries);
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

fn check<T>(q: &[T], stride: usize, end: usize, rows: usize, queries: &[Query]) {
    assert!(end <= stride && q.len() == queries.len() * stride);
    for query in queries {
        let inside =
            |(start, len): (usize, usize)| start.is_multiple_of(LANES) && start + len <= rows;
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
