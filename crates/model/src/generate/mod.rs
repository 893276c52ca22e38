//! Sampling with a cache of keys and values: prompts of any lengths, and a finished sample's place is taken at once.
//!
//! A prompt is computed once for all its samples, whose own keys and values follow it in rows of their own. Every step
//! computes one token of each running sample and some tokens of prompts that are about to start, in one batch.

#[cfg(feature = "cuda")]
mod ahead;
mod sample;
mod slots;

use crate::decoder::batch::Batch;
use crate::decoder::{Compute, Decoder};
use crate::error::{ModelError, Result};
use crate::ops::array::Array;
use crate::ops::attention::LayerCache;
#[cfg(feature = "cuda")]
use crate::ops::device::{self, DeviceArray};
use crate::ops::head::rows_f32;
use crate::steering::Steering;
use rayon::prelude::*;
pub use sample::Sampling;
use sample::{Stream, draw};
use slots::{Slots, Source};
#[cfg(feature = "cuda")]
use tlora_cuda::Buffer;

/// A prompt, and how many samples are wanted of it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Names the prompt: a sample's random numbers depend on it.
    pub id: &'a str,
    /// Its tokens, at least one.
    pub prompt: &'a [u32],
    /// How many samples.
    pub samples: usize,
    /// The adapter that they are drawn under, of those that the steering has; 0 if there is one or none.
    pub adapter: u32,
}

/// A sample of a prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Its tokens, with the stop token if it came to one.
    pub tokens: Vec<u32>,
    /// The log-probability that each was drawn with.
    pub log_probs: Vec<f32>,
    /// Whether it ended because it was long enough, and not with a stop token.
    pub truncated: bool,
}

/// Samples from a decoder.
#[derive(Debug, Clone, Copy)]
pub struct Generator<'a> {
    decoder: &'a Decoder,
    slots: usize,
}

/// Tokens of prompts in one batch.
pub(crate) const PROMPT_TOKENS: usize = 512;

/// Tokens of each sample that are drawn before this machine looks whether it has come to its end: one here, some on a device,
/// where looking costs the time of many kernels.
pub(crate) const fn steps_ahead(compute: &Compute) -> usize {
    match compute {
        Compute::F32 | Compute::F64 => 1,
        #[cfg(feature = "cuda")]
        Compute::Cuda { .. } => 8,
    }
}

impl<'a> Generator<'a> {
    /// A generator that runs so many samples at once.
    #[must_use]
    pub fn new(decoder: &'a Decoder, slots: usize) -> Self {
        Self {
            decoder,
            slots: slots.max(1),
        }
    }

    /// All samples of all prompts, in their order. `drawn` hears how many tokens each step drew.
    ///
    /// # Errors
    /// A prompt is empty or too long for the model, a token is beyond the vocabulary, or a setting makes no sense.
    pub fn generate(
        &self,
        requests: &[Request<'_>],
        sampling: &Sampling,
        steering: Option<&Steering>,
        mut drawn: impl FnMut(usize),
    ) -> Result<Vec<Vec<Sample>>> {
        sampling.check()?;
        self.check(requests, sampling)?;
        check_adapters(requests, steering)?;
        let ahead = steps_ahead(&self.decoder.compute);
        let mut slots = Slots::new(requests, sampling, self.slots, ahead - 1);
        let mut caches = self.caches(slots.rows())?;
        while slots.refill() {
            #[cfg(feature = "cuda")]
            if let Some(steps) = ahead::Ahead::new(self.decoder, sampling, steering)
                && let Some(running) = slots.decoding()
            {
                let drawn_each = steps.run(&mut slots, &running, ahead, &mut caches)?;
                drawn_each.into_iter().for_each(&mut drawn);
                continue;
            }
            drawn(self.step(&mut slots, &mut caches, sampling, steering)?);
        }
        Ok(slots.finish())
    }

    /// One token of each running sample, and some of prompts; gives how many were drawn.
    fn step(
        &self,
        slots: &mut Slots<'_>,
        caches: &mut [LayerCache],
        sampling: &Sampling,
        steering: Option<&Steering>,
    ) -> Result<usize> {
        let mut batch = Batch::default();
        let sources = slots.fill(&mut batch, PROMPT_TOKENS);
        if !batch.is_empty() {
            let hidden = self.decoder.forward(&batch, caches, steering)?;
            let rows: Vec<usize> = sources.iter().map(|(_, row)| *row).collect();
            if !rows.is_empty() {
                let logits = self.decoder.logits(&hidden, &rows)?;
                self.draw_next(slots, &sources, &logits, sampling)?;
            }
        }
        Ok(slots.draw_first(sampling) + sources.iter().filter(|s| s.0.is_slot()).count())
    }

    /// Draws the next token of each running sample, whose logits come first, and keeps the logits after prompts.
    fn draw_next(
        &self,
        slots: &mut Slots<'_>,
        sources: &[(Source, usize)],
        logits: &Array,
        sampling: &Sampling,
    ) -> Result<()> {
        // One that has a token, as those in a batch do, has its stream: the rows are theirs in this order.
        let running: Vec<usize> = sources.iter().map_while(|(s, _)| s.slot()).collect();
        let mut streams: Vec<(usize, Stream)> = running
            .iter()
            .filter_map(|&slot| Some((slot, slots.take_stream(slot)?)))
            .collect();
        #[cfg(feature = "cuda")]
        if let Array::Device(logits) = logits
            && sampling.is_plain()
        {
            let rest = logits.part(running.len(), sources.len() - running.len())?;
            slots.take_prompt_logits(&sources[running.len()..], &rest.buffer.download()?);
            return draw_there(slots, streams, logits, sampling);
        }
        let logits = rows_f32(logits)?;
        let (drawn, kept) = logits.split_at(running.len() * self.decoder.config.vocabulary);
        slots.take_prompt_logits(&sources[running.len()..], kept);
        let rows = drawn.par_chunks_exact(self.decoder.config.vocabulary);
        let tokens: Vec<(u32, f32)> = streams
            .par_iter_mut()
            .zip(rows)
            .map(|((_, stream), row)| draw(&mut row.to_vec(), sampling, stream))
            .collect();
        for ((slot, stream), token) in streams.into_iter().zip(tokens) {
            slots.push(slot, stream, &[token], sampling);
        }
        Ok(())
    }

    fn caches(&self, rows: usize) -> Result<Vec<LayerCache>> {
        let layers = self.decoder.layers.iter();
        layers.map(|_| self.decoder.cache(rows)).collect()
    }

    fn check(&self, requests: &[Request<'_>], sampling: &Sampling) -> Result<()> {
        let limit = self.decoder.config.max_positions;
        for request in requests {
            let length = request.prompt.len();
            if length == 0 || length.saturating_add(sampling.max_new_tokens) > limit {
                return Err(ModelError::Request {
                    what: "the number of tokens of a prompt and its completion",
                    found: format!("{length} + {} for {}", sampling.max_new_tokens, request.id),
                    wanted: "at least 1 of the prompt, and together no more than max_position_embeddings",
                });
            }
        }
        Ok(())
    }
}

/// Every request's adapter is one of the steering's.
fn check_adapters(requests: &[Request<'_>], steering: Option<&Steering>) -> Result<()> {
    let Some(steering) = steering else {
        return Ok(());
    };
    match requests
        .iter()
        .find(|r| r.adapter as usize >= steering.adapters())
    {
        None => Ok(()),
        Some(request) => Err(ModelError::Request {
            what: "the adapter of a request",
            found: format!("{} for {}", request.adapter, request.id),
            wanted: "less than the number of adapters of the steering",
        }),
    }
}

/// Draws on the device, where the logits are: a number goes there for each sample, and two come back.
#[cfg(feature = "cuda")]
fn draw_there(
    slots: &mut Slots<'_>,
    mut streams: Vec<(usize, Stream)>,
    logits: &DeviceArray,
    sampling: &Sampling,
) -> Result<()> {
    if streams.is_empty() {
        return Ok(());
    }
    let uniforms: Vec<f64> = if sampling.temperature == 0.0 {
        Vec::new()
    } else {
        streams.iter_mut().map(|(_, s)| s.next()).collect()
    };
    let rows = logits.part(0, streams.len())?;
    let uniforms = Buffer::from_slice(logits.on(), &uniforms)?;
    let drawn = device::head::draw(&rows, sampling.temperature, &uniforms)?;
    let tokens = drawn.tokens.download()?.into_iter();
    let tokens = tokens.zip(drawn.log_probs.download()?);
    for ((slot, stream), token) in streams.into_iter().zip(tokens) {
        slots.push(slot, stream, &[token], sampling);
    }
    Ok(())
}
