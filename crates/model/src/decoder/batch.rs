//! Tokens that go through the decoder together: whose they are, where they stand, and what each attends to.

use tlora_kernels::Query;

use super::Compute;
use crate::config::ModelConfig;
use crate::error::Result;
#[cfg(feature = "cuda")]
use crate::ops::device::DeviceBatch;
use crate::rotary::Rotary;

/// Rows of a cache are given out in runs that begin at multiples of this.
pub(crate) const ALIGNMENT: usize = 16;

/// Rows that a run of `tokens` takes.
pub(crate) const fn aligned(tokens: usize) -> usize {
    tokens.div_ceil(ALIGNMENT) * ALIGNMENT
}

/// Tokens of any number of sequences, in any order: a token's results do not depend on the others.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The tokens.
    pub ids: Vec<u32>,
    /// The position of each in its sequence, from 0.
    pub positions: Vec<usize>,
    /// The row of the cache where each one's key and value go.
    pub rows: Vec<usize>,
    /// What each attends to.
    pub queries: Vec<Query>,
    /// The adapter of each, if there are several.
    pub adapters: Vec<u32>,
}

/// A run of cache rows that other sequences may read too, such as a prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The first row.
    pub start: usize,
    /// How many tokens are in it.
    pub len: usize,
}

impl Batch {
    /// Adds a token of the first adapter at the end of `own`, which follows `prefix`; gives its number in the batch.
    pub(crate) fn push(&mut self, id: u32, prefix: Run, own: &mut Run) -> usize {
        self.push_for(0, id, prefix, own)
    }

    /// Adds a token of an adapter.
    pub(crate) fn push_for(&mut self, adapter: u32, id: u32, prefix: Run, own: &mut Run) -> usize {
        self.adapters.push(adapter);
        self.ids.push(id);
        self.positions.push(prefix.len + own.len);
        self.rows.push(own.start + own.len);
        own.len += 1;
        self.queries.push(Query {
            prefix_start: prefix.start,
            prefix_len: prefix.len,
            own_start: own.start,
            own_len: own.len,
            skip: 0,
        });
        self.ids.len() - 1
    }

    pub(crate) const fn len(&self) -> usize {
        self.ids.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A batch with what all layers need of it.
#[derive(Debug)]
pub(crate) struct Prepared<'a> {
    pub batch: &'a Batch,
    pub cos: Vec<f32>,
    pub sin: Vec<f32>,
    /// The queries of layers with a sliding window.
    windowed: Vec<Query>,
    /// The same on a device.
    #[cfg(feature = "cuda")]
    there: Option<DeviceBatch>,
}

impl<'a> Prepared<'a> {
    #[cfg_attr(
        not(feature = "cuda"),
        expect(clippy::unnecessary_wraps, reason = "a device may have no memory left")
    )]
    pub(crate) fn new(
        batch: &'a Batch,
        config: &ModelConfig,
        rotary: &Rotary,
        compute: &Compute,
    ) -> Result<Self> {
        let (cos, sin) = rotary.tables(&batch.positions);
        let windowed = config.sliding_window.map_or_else(Vec::new, |window| {
            let within = |query: &Query| Query {
                skip: (query.prefix_len + query.own_len).saturating_sub(window),
                ..*query
            };
            batch.queries.iter().map(within).collect()
        });
        #[cfg(feature = "cuda")]
        let there = match compute {
            Compute::F32 | Compute::F64 => None,
            Compute::Cuda { device, .. } => {
                Some(DeviceBatch::new(device, batch, (&cos, &sin), &windowed)?)
            }
        };
        #[cfg(not(feature = "cuda"))]
        let _ = compute;
        Ok(Self {
            batch,
            cos,
            sin,
            windowed,
            #[cfg(feature = "cuda")]
            there,
        })
    }

    /// Some adjacent tokens of a batch that is on a device, for a batch of this machine that stays empty.
    #[cfg(feature = "cuda")]
    pub(crate) fn part<'e>(
        &self,
        empty: &'e Batch,
        at: usize,
        tokens: usize,
    ) -> Result<Prepared<'e>> {
        Ok(Prepared {
            batch: empty,
            cos: Vec::new(),
            sin: Vec::new(),
            windowed: Vec::new(),
            there: Some(self.on_device("a part of a batch")?.part(at, tokens)?),
        })
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn on_device(&self, operation: &'static str) -> Result<&DeviceBatch> {
        let there = self.there.as_ref();
        there.ok_or_else(|| crate::error::ModelError::NotImplemented {
            operation,
            found: "a batch in another place than the activations".to_owned(),
        })
    }

    /// What each token attends to in a layer.
    pub(crate) fn queries(&self, windowed: bool) -> &[Query] {
        if windowed {
            &self.windowed
        } else {
            &self.batch.queries
        }
    }
}
