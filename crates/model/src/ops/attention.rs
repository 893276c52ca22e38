//! Causal attention over cached keys and values, for sequences that share prefixes, and its gradient.

use candle_core::{DType, Tensor};
use tlora_kernels::{self as kernels, KvCache, Query};

use super::elementwise::{Heads, put_rows};
use super::storage::{Element, change, read, tensor, with_element};
use crate::error::{ModelError, Result};

/// Where q, k and v stand in the fused buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QkvLayout {
    pub q: Heads,
    pub k: Heads,
    pub v: Heads,
}

/// Keys and values of one layer. Rows are allocated once; a sequence has a run of rows that begins at a multiple of 16.
pub(crate) enum LayerCache {
    F32(KvCache<f32>),
    F64(KvCache<f64>),
}

/// The element types again, with the cache of them.
trait Cached: Element {
    fn cache(cache: &LayerCache) -> Option<&KvCache<Self>>;
    fn cache_mut(cache: &mut LayerCache) -> Option<&mut KvCache<Self>>;
}

macro_rules! cached {
    ($T:ty, $variant:ident) => {
        impl Cached for $T {
            fn cache(cache: &LayerCache) -> Option<&KvCache<Self>> {
                match cache {
                    LayerCache::$variant(cache) => Some(cache),
                    _ => None,
                }
            }
            fn cache_mut(cache: &mut LayerCache) -> Option<&mut KvCache<Self>> {
                match cache {
                    LayerCache::$variant(cache) => Some(cache),
                    _ => None,
                }
            }
        }
    };
}
cached!(f32, F32);
cached!(f64, F64);

impl LayerCache {
    /// An empty cache of so many rows.
    pub(crate) fn new(dtype: DType, rows: usize, kv: Heads) -> Result<Self> {
        match dtype {
            DType::F32 => Ok(Self::F32(KvCache::new(rows, kv.count, kv.width))),
            DType::F64 => Ok(Self::F64(KvCache::new(rows, kv.count, kv.width))),
            other => Err(ModelError::NotImplemented {
                operation: "the cache of keys and values",
                found: format!("{other:?}"),
            }),
        }
    }

    /// Stores the keys and values of tokens in these rows.
    pub(crate) fn write(&mut self, qkv: &Tensor, layout: QkvLayout, rows: &[usize]) -> Result<()> {
        with_element!(qkv.dtype(), "the cache of keys and values", T => {
            let cache = T::cache_mut(self).ok_or_else(other_type)?;
            read::<T, _>(qkv, "the cache of keys and values", |qkv| {
                cache.write(rows, qkv, qkv, layout.k.stride, layout.k.offset, layout.v.offset);
            })
        })
    }
}

fn other_type() -> ModelError {
    ModelError::NotImplemented {
        operation: "attention",
        found: "a cache of another type than the activations".to_owned(),
    }
}

/// The heads' outputs, tokens × (heads · width).
pub(crate) fn attention(
    qkv: &Tensor,
    layout: QkvLayout,
    cache: &LayerCache,
    queries: &[Query],
) -> Result<Tensor> {
    let q = layout.q;
    with_element!(qkv.dtype(), "attention", T => {
        let cache = T::cache(cache).ok_or_else(other_type)?;
        let mut out = vec![T::of(0.0); queries.len() * q.count * q.width];
        read::<T, _>(qkv, "attention", |qkv| {
            kernels::attention(qkv, q.stride, q.offset, q.count, cache, queries, T::of(scale(q)), &mut out);
        })?;
        tensor(out, (queries.len(), q.count * q.width))
    })
}

/// The gradient of the fused buffer. `rows` are the cache's rows of the tokens, and `cache_rows` how many it has.
pub(crate) fn attention_backward(
    qkv: &Tensor,
    layout: QkvLayout,
    cache: &LayerCache,
    queries: &[Query],
    grad: &Tensor,
    (rows, cache_rows): (&[usize], usize),
) -> Result<Tensor> {
    let QkvLayout { q, k, v } = layout;
    with_element!(qkv.dtype(), "the gradient of attention", T => {
        let cache = T::cache(cache).ok_or_else(other_type)?;
        let width = k.count * k.width;
        let mut grad_k = vec![T::of(0.0); cache_rows * width];
        let mut grad_v = vec![T::of(0.0); cache_rows * width];
        let grad_qkv = tensor(vec![T::of(0.0); qkv.elem_count()], qkv.shape())?;
        read::<T, _>(qkv, "attention", |qkv| read::<T, _>(grad, "attention", |grad| {
            change::<T, _>(&grad_qkv, "attention", |grad_qkv| {
                kernels::attention_backward(
                    qkv, q.stride, q.offset, q.count, cache, queries, T::of(scale(q)), grad, grad_qkv, &mut grad_k,
                    &mut grad_v,
                );
                put_rows(grad_qkv, k, &grad_k, rows);
                put_rows(grad_qkv, v, &grad_v, rows);
            })
        }))???;
        Ok(grad_qkv)
    })
}

/// 1 / sqrt(width of a head).
#[expect(clippy::cast_precision_loss, reason = "a head is narrow")]
fn scale(q: Heads) -> f64 {
    1.0 / (q.width as f64).sqrt()
}
