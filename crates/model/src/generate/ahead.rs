//! Several tokens of all running samples on a device, before this machine looks at them.
//!
//! Positions, rows of the cache and random numbers of the next tokens are known before the tokens are, so they go there once
//! for all steps; a token that was drawn is the next one's input where it is. A sample that has come to its end is computed
//! until the last step all the same, and what it draws then is dropped.

use tlora_cuda::{Buffer, Device};

use super::sample::{Sampling, Stream};
use super::slots::Slots;
use crate::decoder::batch::Batch;
use crate::decoder::{Compute, Decoder};
use crate::error::{ModelError, Result};
use crate::ops::attention::LayerCache;
use crate::ops::device;
use crate::steering::Steering;

/// What steps need, whichever samples run.
pub(super) struct Ahead<'a> {
    decoder: &'a Decoder,
    device: &'a Device,
    sampling: &'a Sampling,
    steering: Option<&'a Steering>,
}

impl<'a> Ahead<'a> {
    /// None where tokens are not drawn on a device.
    pub(super) fn new(
        decoder: &'a Decoder,
        sampling: &'a Sampling,
        steering: Option<&'a Steering>,
    ) -> Option<Self> {
        match &decoder.compute {
            Compute::Cuda { device, .. } if sampling.is_plain() => Some(Self {
                decoder,
                device,
                sampling,
                steering,
            }),
            _ => None,
        }
    }

    /// Draws at most `most` tokens of each running sample, which are given with their last tokens. Gives how many each step
    /// drew that are of samples that had not ended.
    pub(super) fn run(
        &self,
        slots: &mut Slots<'_>,
        running: &[(usize, u32)],
        most: usize,
        caches: &mut [LayerCache],
    ) -> Result<Vec<usize>> {
        let steps = most.min(slots.longest());
        let mut batch = Batch::default();
        for _ in 0..steps {
            for &(slot, _) in running {
                slots.go_ahead(slot, &mut batch);
            }
        }
        let mut streams: Vec<Stream> = running
            .iter()
            .filter_map(|&(slot, _)| slots.take_stream(slot))
            .collect();
        let uniforms = self.uniforms(&mut streams, steps);
        let last: Vec<u32> = running.iter().map(|&(_, token)| token).collect();
        let drawn = self.draw(&batch, &last, &uniforms, caches)?;
        let mut drawn_each = vec![0; steps];
        for (number, (&(slot, _), stream)) in running.iter().zip(streams).enumerate() {
            let tokens = drawn.iter().skip(number).step_by(running.len());
            let tokens: Vec<(u32, f32)> = tokens.copied().collect();
            let taken = slots.push(slot, stream, &tokens, self.sampling);
            drawn_each[..taken].iter_mut().for_each(|step| *step += 1);
        }
        Ok(drawn_each)
    }

    /// A number for each sample in each step, step by step; none where nothing is left to chance.
    fn uniforms(&self, streams: &mut [Stream], steps: usize) -> Vec<f64> {
        if self.sampling.temperature == 0.0 {
            return Vec::new();
        }
        let step = |_| streams.iter_mut().map(Stream::next).collect::<Vec<_>>();
        (0..steps).flat_map(step).collect()
    }

    /// The tokens of all steps with their log-probabilities, step by step.
    fn draw(
        &self,
        batch: &Batch,
        last: &[u32],
        uniforms: &[f64],
        caches: &mut [LayerCache],
    ) -> Result<Vec<(u32, f32)>> {
        let (count, empty) = (last.len(), Batch::default());
        let prepared = self.decoder.prepared(batch)?;
        let uniforms = Buffer::from_slice(self.device, uniforms)?;
        let mut ids = Buffer::from_slice(self.device, last)?;
        let mut tokens = Buffer::uninitialised(self.device, batch.len())?;
        let mut log_probs = Buffer::uninitialised(self.device, batch.len())?;
        for at in (0..batch.len()).step_by(count.max(1)) {
            let part = prepared.part(&empty, at, count)?;
            let x = self.decoder.embed_there(&ids)?;
            let hidden = self.decoder.layers(x, &part, caches, self.steering)?;
            let logits = self.decoder.all_logits(&hidden)?;
            let of_step = if uniforms.is_empty() { 0 } else { count };
            let drawn = device::head::draw(
                logits.device("drawing")?,
                self.sampling.temperature,
                &uniforms.part(at.min(uniforms.len()), of_step)?,
            )?;
            tokens.copy_from(at, &drawn.tokens, 0, count)?;
            log_probs.copy_from(at, &drawn.log_probs, 0, count)?;
            ids = drawn.tokens;
        }
        let tokens = tokens.download().map_err(ModelError::from)?;
        Ok(tokens.into_iter().zip(log_probs.download()?).collect())
    }
}
