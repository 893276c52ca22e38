//! Attention of tokens over cached keys and values, and its gradient.
//!
//! A token's scores are chains over the width of a head, its softmax sums in 16 lanes by the number of the key, its output is
//! a chain over the keys from the oldest on. Nothing depends on who else is in the batch.
#![expect(unsafe_code, reason = "registers are loaded through pointers")]

mod backward;
mod scores;
mod weighted;

use std::ops::Range;

use crate::cache::{KvCache, Query};
use crate::parallel::{Shared, each};
use crate::simd::{Float, Kernel, LANES, Simd, dispatch};
use scores::{dots, exponentials, room};
use weighted::{Rows, weighted};

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
    assert!(heads.is_multiple_of(cache.kv_heads()));
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
    heads: Range<usize>,
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
        let keys = self.cache.keys(self.kv_head);
        let values = Rows {
            rows: self.cache.values(self.kv_head),
            width,
            padded: self.cache.padded(),
        };
        let mut scores = Vec::new();
        for (number, query) in self.queries.iter().enumerate() {
            let token = self.first + number;
            let room = room(query.keys());
            for (head, count) in lots_of_heads(&self.heads) {
                let from = token * self.stride + self.offset + head * width;
                let q = &self.q[from..from + count * width];
                scores.resize((count * room).max(scores.len()), T::ZERO);
                let scores = &mut scores[..count * room];
                // SAFETY: sizes were compared; these places of `out` belong to this task.
                unsafe {
                    dots::<S>(q, width, keys, query, scores, count);
                    for row in scores.chunks_exact_mut(room) {
                        exponentials::<S>(row, query, self.scale);
                    }
                    let out = self.out.add((token * self.all_heads + head) * width);
                    weighted::<S>(scores, count, values, query, out);
                }
            }
        }
    }
}

/// Heads in lots that are done together, as (first, how many).
fn lots_of_heads(heads: &Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<> {
    let end = heads.end;
    let lot = move |head| (head, TOGETHER.min(end - head));
    heads.clone().step_by(TOGETHER).map(lot)
}
