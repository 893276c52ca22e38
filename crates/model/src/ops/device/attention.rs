//! Attention on the device. The way back wants what the way there found, where this machine computes it again.

use tlora_cuda::{self as cuda, Buffer, KvCache};

use super::{DeviceArray, DeviceBatch, heads, single};
use crate::error::{ModelError, Result};
use crate::ops::array::Array;
use crate::ops::attention::{Attended, LayerCache, QkvLayout, scale};

fn layout_of(layout: QkvLayout) -> cuda::QkvLayout {
    cuda::QkvLayout {
        q: heads(layout.q),
        k: heads(layout.k),
        v: heads(layout.v),
    }
}

fn elsewhere() -> ModelError {
    ModelError::NotImplemented {
        operation: "attention",
        found: "a cache in another place than the activations".to_owned(),
    }
}

fn on_device(cache: &LayerCache) -> Result<&KvCache> {
    match cache {
        LayerCache::Device(cache) => Ok(cache),
        _ => Err(elsewhere()),
    }
}

pub(crate) fn write_cache(
    cache: &mut LayerCache,
    qkv: &DeviceArray,
    layout: QkvLayout,
    batch: &DeviceBatch,
) -> Result<()> {
    let LayerCache::Device(cache) = cache else {
        return Err(elsewhere());
    };
    Ok(cache.write(&qkv.buffer, layout_of(layout), &batch.rows)?)
}

pub(crate) fn attention(
    qkv: &DeviceArray,
    layout: QkvLayout,
    cache: &LayerCache,
    batch: &DeviceBatch,
    windowed: bool,
) -> Result<Attended> {
    let (q, rows) = (layout.q, qkv.rows());
    let mut out = DeviceArray::uninitialised(qkv.on(), rows, q.count * q.width)?;
    let mut log_sums = Buffer::uninitialised(qkv.on(), rows * q.count)?;
    cuda::attention(
        &qkv.buffer,
        heads(q),
        on_device(cache)?,
        batch.queries(windowed),
        single(scale(q)),
        &mut out.buffer,
        Some(&mut log_sums),
    )?;
    Ok(Attended {
        out: Array::Device(out),
        log_sums: Some(log_sums),
    })
}

pub(crate) fn attention_backward(
    qkv: &DeviceArray,
    layout: QkvLayout,
    cache: &LayerCache,
    (batch, windowed): (&DeviceBatch, bool),
    attended: &Attended,
    grad: &Array,
) -> Result<Array> {
    let attended = cuda::Attended {
        out: &attended.out.device("attention")?.buffer,
        log_sums: attended.log_sums.as_ref().ok_or_else(elsewhere)?,
        grad: &grad.device("attention")?.buffer,
    };
    let mut grad_qkv = qkv.like()?;
    grad_qkv.buffer.clear()?;
    cuda::attention_backward(
        &qkv.buffer,
        layout_of(layout),
        on_device(cache)?,
        batch.queries(windowed),
        batch.ranges(windowed)?,
        single(scale(layout.q)),
        attended,
        &mut grad_qkv.buffer,
    )?;
    Ok(Array::Device(grad_qkv))
}
