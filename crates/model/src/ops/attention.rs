//! Causal attention over cached keys and values, for sequences that share prefixes, and its gradient.

use tlora_kernels::{self as kernels, KvCache};

use super::array::{Array, on_device};
#[cfg(feature = "cuda")]
use super::device;
use super::elementwise::{Heads, put_rows};
use super::storage::{Element, array, change, read, with_element};
use crate::decoder::Compute;
use crate::decoder::batch::Prepared;
use crate::error::{ModelError, Result};

/// Where q, k and v stand in the fused buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QkvLayout {
    pub q: Heads,
    pub k: Heads,
    pub v: Heads,
}

impl QkvLayout {
    /// The heads that are turned by their positions: those of q, and of k, which follow them.
    pub(crate) const fn turned(&self) -> Heads {
        Heads {
            count: self.q.count + self.k.count,
            ..self.q
        }
    }
}

/// Keys and values of one layer. Rows are allocated once; a sequence has a run of rows that begins at a multiple of 16.
pub(crate) enum LayerCache {
    F32(KvCache<f32>),
    F64(KvCache<f64>),
    #[cfg(feature = "cuda")]
    Device(tlora_cuda::KvCache),
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
    pub(crate) fn new(compute: &Compute, rows: usize, kv: Heads) -> Result<Self> {
        Ok(match compute {
            Compute::F32 => Self::F32(KvCache::new(rows, kv.count, kv.width)),
            Compute::F64 => Self::F64(KvCache::new(rows, kv.count, kv.width)),
            #[cfg(feature = "cuda")]
            Compute::Cuda { device, storage } => Self::Device(tlora_cuda::KvCache::new(
                device, rows, kv.count, kv.width, *storage,
            )?),
        })
    }

    /// Stores the keys and values of tokens in these rows.
    pub(crate) fn write(
        &mut self,
        qkv: &Array,
        layout: QkvLayout,
        batch: &Prepared<'_>,
    ) -> Result<()> {
        on_device!(qkv, qkv => device::write_cache(self, qkv, layout, batch.on_device("cache")?));
        let rows = &batch.batch.rows;
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

/// What attention gives.
pub(crate) struct Attended {
    /// The heads' outputs, tokens × (heads · width).
    pub out: Array,
    /// ln Σ exp of the scores of each token and head: a device's way back reads them, this machine's computes them again.
    #[cfg(feature = "cuda")]
    pub log_sums: Option<tlora_cuda::Buffer<f32>>,
}

/// Attends over what the cache has.
pub(crate) fn attention(
    qkv: &Array,
    layout: QkvLayout,
    cache: &LayerCache,
    (batch, windowed): (&Prepared<'_>, bool),
) -> Result<Attended> {
    on_device!(qkv, qkv => device::attention(qkv, layout, cache, batch.on_device("attention")?, windowed));
    let queries = batch.queries(windowed);
    let q = layout.q;
    with_element!(qkv.dtype(), "attention", T => {
        let cache = T::cache(cache).ok_or_else(other_type)?;
        let mut out = vec![T::of(0.0); queries.len() * q.count * q.width];
        read::<T, _>(qkv, "attention", |qkv| {
            kernels::attention(qkv, q.stride, q.offset, q.count, cache, queries, T::of(scale(q)), &mut out);
        })?;
        Ok(Attended {
            out: array(out, (queries.len(), q.count * q.width))?,
            #[cfg(feature = "cuda")]
            log_sums: None,
        })
    })
}

/// The gradient of the fused buffer. `attended` is what attention gave. `cache_rows` are the rows of the cache.
#[cfg_attr(
    not(feature = "cuda"),
    expect(unused_variables, reason = "only a device reads it")
)]
pub(crate) fn attention_backward(
    qkv: &Array,
    layout: QkvLayout,
    (cache, cache_rows): (&LayerCache, usize),
    (batch, windowed): (&Prepared<'_>, bool),
    attended: &Attended,
    grad: &Array,
) -> Result<Array> {
    on_device!(qkv, qkv => {
        device::attention_backward(qkv, layout, cache, (batch.on_device("attention")?, windowed), attended, grad)
    });
    let (queries, rows) = (batch.queries(windowed), &batch.batch.rows);
    let QkvLayout { q, k, v } = layout;
    with_element!(qkv.dtype(), "the gradient of attention", T => {
        let cache = T::cache(cache).ok_or_else(other_type)?;
        let width = k.count * k.width;
        let mut grad_k = vec![T::of(0.0); cache_rows * width];
        let mut grad_v = vec![T::of(0.0); cache_rows * width];
        let grad_qkv = array(vec![T::of(0.0); qkv.elem_count()], qkv.shape())?;
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
pub(super) fn scale(q: Heads) -> f64 {
    1.0 / (q.width as f64).sqrt()
}
