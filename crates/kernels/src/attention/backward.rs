//! The gradient of attention. Probabilities are computed again; each head of keys and values is one task, which adds what
//! the queries say in their order.

use super::check;
use super::scores::{dots, room, softmax_many};
use crate::cache::{KvCache, Query};
use crate::parallel::{Shared, each};
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch, sum};

/// The gradients of q (at its place in `grad_q`, which is added to), k and v (by row of the cache, rows × (kv heads · width)).
///
/// # Panics
/// As [`attention`].
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
    let rows = grad_k.len() / (kv_heads * width);
    assert!(rows <= cache.rows());
    check(q, stride, offset + heads * width, rows, queries);
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
