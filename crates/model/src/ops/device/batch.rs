//! What all layers need of a batch, on the device once.

use std::sync::OnceLock;
use tlora_cuda::{Buffer, Device, Indices, KeyRanges, Queries, Query};

use super::numbers;
use crate::decoder::batch::Batch;
use crate::error::Result;

/// Rotary tables, rows of the cache, and what attends to what.
#[derive(Debug)]
pub(crate) struct DeviceBatch {
    cos: Buffer<f32>,
    sin: Buffer<f32>,
    pub(super) rows: Indices,
    /// Of each token, if there are several.
    adapters: Option<Indices>,
    full: Attending,
    /// In layers with a sliding window.
    windowed: Option<Attending>,
}

/// What each token attends to, and by whom each key is attended to.
#[derive(Debug)]
struct Attending {
    queries: Vec<Query>,
    rows: Vec<u32>,
    on_device: Queries,
    /// Only the way back wants them.
    ranges: OnceLock<KeyRanges>,
}

impl DeviceBatch {
    pub(crate) fn new(
        device: &Device,
        batch: &Batch,
        (cos, sin): (&[f32], &[f32]),
        windowed: &[tlora_kernels::Query],
    ) -> Result<Self> {
        let rows = numbers(&batch.rows);
        let several = batch.adapters.iter().any(|&adapter| adapter > 0);
        let adapters = several.then(|| Indices::new(device, &batch.adapters));
        let windowed = (!windowed.is_empty()).then(|| Attending::new(device, windowed, &rows));
        Ok(Self {
            cos: Buffer::from_slice(device, cos)?,
            sin: Buffer::from_slice(device, sin)?,
            full: Attending::new(device, &batch.queries, &rows)?,
            windowed: windowed.transpose()?,
            rows: Indices::new(device, &rows)?,
            adapters: adapters.transpose()?,
        })
    }

    /// What layers need of some adjacent tokens, without the way back.
    pub(crate) fn part(&self, at: usize, tokens: usize) -> Result<Self> {
        let half = self.cos.len() / self.rows.len().max(1);
        let table = |table: &Buffer<f32>| table.part(at * half, tokens * half);
        let windowed = self.windowed.as_ref();
        Ok(Self {
            cos: table(&self.cos)?,
            sin: table(&self.sin)?,
            rows: self.rows.part(at, tokens)?,
            adapters: match &self.adapters {
                Some(adapters) => Some(adapters.part(at, tokens)?),
                None => None,
            },
            full: self.full.part(at, tokens)?,
            windowed: windowed
                .map(|attending| attending.part(at, tokens))
                .transpose()?,
        })
    }

    /// The adapters of the tokens; none if all have the first.
    pub(super) const fn adapters(&self) -> Option<&Indices> {
        self.adapters.as_ref()
    }

    pub(super) const fn tables(&self) -> (&Buffer<f32>, &Buffer<f32>) {
        (&self.cos, &self.sin)
    }

    pub(super) fn queries(&self, windowed: bool) -> &Queries {
        &self.attending(windowed).on_device
    }

    pub(super) fn ranges(&self, windowed: bool) -> Result<&KeyRanges> {
        let Attending {
            queries,
            rows,
            ranges,
            ..
        } = self.attending(windowed);
        if let Some(ranges) = ranges.get() {
            return Ok(ranges);
        }
        let made = KeyRanges::new(self.cos.device(), queries, rows)?;
        Ok(ranges.get_or_init(|| made))
    }

    fn attending(&self, windowed: bool) -> &Attending {
        let windowed = self.windowed.as_ref().filter(|_| windowed);
        windowed.unwrap_or(&self.full)
    }
}

impl Attending {
    /// Of some adjacent tokens, without the way back.
    fn part(&self, at: usize, tokens: usize) -> Result<Self> {
        Ok(Self {
            queries: Vec::new(),
            rows: Vec::new(),
            on_device: self.on_device.part(at, tokens)?,
            ranges: OnceLock::new(),
        })
    }

    fn new(device: &Device, queries: &[tlora_kernels::Query], rows: &[u32]) -> Result<Self> {
        let query = |query: &tlora_kernels::Query| Query {
            prefix_start: query.prefix_start,
            prefix_len: query.prefix_len,
            own_start: query.own_start,
            own_len: query.own_len,
            skip: query.skip,
        };
        let queries: Vec<Query> = queries.iter().map(query).collect();
        Ok(Self {
            on_device: Queries::new(device, &queries)?,
            queries,
            rows: rows.to_vec(),
            ranges: OnceLock::new(),
        })
    }
}
