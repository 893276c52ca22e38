//! Log-probabilities of completions, and ∂L/∂R of a loss over them.
//!
//! No weight has a gradient. The forward pass keeps the input of each layer; the backward pass computes a layer's
//! activations again from it. A prompt is computed once for all its completions, and its gradient is the sum of theirs.

use crate::decoder::batch::{Batch, Run, aligned};
use crate::decoder::{Compute, Decoder};
use crate::error::{ModelError, Result};
use crate::ops::array::Array;
use crate::ops::elementwise::{gather_rows, rms_norm, rms_norm_backward, scatter_rows};
use crate::ops::head::{Head, Scored, TokenScore};
use crate::ops::linear::RSum;
use crate::steering::{Projections, RGradient, Steering};

/// A prompt and completions of it.
#[derive(Debug, Clone)]
pub struct PromptGroup<'a> {
    /// The tokens before the completions, at least one.
    pub prompt: &'a [u32],
    /// The tokens of each completion, at least one each.
    pub completions: Vec<&'a [u32]>,
}

impl PromptGroup<'_> {
    /// Tokens that the model computes for the group: the last token of a completion is only a target.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let completions = self.completions.iter();
        self.prompt.len()
            + completions
                .map(|c| c.len().saturating_sub(1))
                .sum::<usize>()
    }
}

/// One score for each token of each completion, in the order of the groups.
pub type Scores = Vec<Vec<TokenScore>>;

/// Computes log-probabilities and gradients under a frozen model and its adapter.
#[derive(Debug, Clone, Copy)]
pub struct Learner<'a> {
    decoder: &'a Decoder,
    projections: &'a Projections,
    head_rows: usize,
}

impl<'a> Learner<'a> {
    /// A learner on a loaded model.
    #[must_use]
    pub fn new(decoder: &'a Decoder, projections: &'a Projections) -> Self {
        Self {
            decoder,
            projections,
            head_rows: head_rows(&decoder.compute, decoder.config.vocabulary),
        }
    }

    /// Log-probability and entropy of every token of every completion; without steering, those of the base.
    ///
    /// # Errors
    /// A token beyond the vocabulary, or an empty prompt or completion.
    pub fn scores(
        &self,
        groups: &[PromptGroup<'_>],
        steering: Option<&Steering>,
        temperature: f64,
    ) -> Result<Scores> {
        let packed = Packed::new(groups)?;
        let prepared = self.decoder.prepared(&packed.batch)?;
        let mut cache = self.decoder.cache(packed.rows)?;
        let mut x = self.decoder.embed(&packed.batch.ids)?;
        for layer in &self.decoder.layers {
            x = layer.forward(&x, &prepared, &mut cache, steering)?;
        }
        let (_, scored) = self.head(&packed, &x, temperature)?;
        Ok(packed.split(scored.scores))
    }

    /// The scores, and ∂L/∂R for the loss L whose derivatives by the log-probabilities `coefficients` makes of them.
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub fn gradient(
        &self,
        groups: &[PromptGroup<'_>],
        steering: &Steering,
        temperature: f64,
        coefficients: impl FnOnce(&Scores) -> Vec<Vec<f64>>,
    ) -> Result<(Scores, RGradient)> {
        let packed = Packed::new(groups)?;
        let prepared = self.decoder.prepared(&packed.batch)?;
        let mut cache = self.decoder.cache(packed.rows)?;
        let mut inputs = vec![self.decoder.embed(&packed.batch.ids)?];
        for layer in &self.decoder.layers {
            let x = layer.forward(
                &inputs[inputs.len() - 1],
                &prepared,
                &mut cache,
                Some(steering),
            )?;
            inputs.push(x);
        }
        let last = inputs.pop().ok_or_else(empty)?;
        let (normed, Scored { scores, logits }) = self.head(&packed, &last, temperature)?;
        let scores = packed.split(scores);
        let coefficients: Vec<f64> = coefficients(&scores).concat();
        let mut gradient = self.projections.no_gradient();
        let mut sum = RSum::new(&self.decoder.compute, &gradient)?;
        let head = self.head_of(&packed, temperature);
        let grad_normed = head.backward(&normed, logits, &coefficients)?;
        drop(normed);
        let mut grad = self.head_backward(&packed, &last, &grad_normed)?;
        drop((last, grad_normed));
        for layer in self.decoder.layers.iter().rev() {
            let x = inputs.pop().ok_or_else(empty)?;
            let cache = (&mut cache, packed.rows);
            grad = layer.backward(&x, &prepared, cache, steering, &grad, &mut sum)?;
        }
        sum.finish(&mut gradient)?;
        Ok((scores, gradient))
    }

    /// ∂L/∂v, group by group.
    #[must_use]
    pub fn v_gradient(&self, gradient: &RGradient) -> Vec<f64> {
        self.projections.gradient(gradient)
    }

    /// The normalised hidden states before each target, and the scores of the targets.
    fn head(&self, packed: &Packed, x: &Array, temperature: f64) -> Result<(Array, Scored)> {
        let (config, norm) = (&self.decoder.config, &self.decoder.final_norm);
        let hidden = gather_rows(x, &packed.before)?;
        let normed = rms_norm(&hidden, norm, config.norm_epsilon)?;
        let scored = self.head_of(packed, temperature).scores(&normed)?;
        Ok((normed, scored))
    }

    fn head_of<'p>(&self, packed: &'p Packed, temperature: f64) -> Head<'p>
    where
        'a: 'p,
    {
        Head {
            weights: self.decoder.head(),
            targets: &packed.targets,
            temperature,
            rows_at_once: self.head_rows,
        }
    }

    /// The gradient of the hidden states after the last layer, from that of the normalised ones.
    fn head_backward(&self, packed: &Packed, x: &Array, grad_normed: &Array) -> Result<Array> {
        let (config, norm) = (&self.decoder.config, &self.decoder.final_norm);
        let hidden = gather_rows(x, &packed.before)?;
        let grad = rms_norm_backward(&hidden, norm, config.norm_epsilon, grad_normed)?;
        scatter_rows(&grad, &packed.before, packed.batch.len())
    }
}

/// Rows of logits that are held at once: as many as are as fast as more.
pub(crate) fn head_rows(compute: &Compute, vocabulary: usize) -> usize {
    let (numbers, most) = match compute {
        Compute::F32 | Compute::F64 => (16 << 20, 1024),
        // A product fills a GPU with some thousand rows only.
        #[cfg(feature = "cuda")]
        Compute::Cuda { .. } => (256 << 20, 2048),
    };
    (numbers / vocabulary).clamp(1, most)
}

/// Groups as one batch.
struct Packed {
    batch: Batch,
    /// Rows of the cache.
    rows: usize,
    /// All tokens of all completions.
    targets: Vec<u32>,
    /// For each target the token of the batch before it.
    before: Vec<usize>,
    /// Tokens of each completion.
    lengths: Vec<usize>,
}

impl Packed {
    fn new(groups: &[PromptGroup<'_>]) -> Result<Self> {
        let mut packed = Self {
            batch: Batch::default(),
            rows: 0,
            targets: Vec::new(),
            before: Vec::new(),
            lengths: Vec::new(),
        };
        for group in groups {
            packed.push(group)?;
        }
        if packed.targets.is_empty() {
            return Err(empty());
        }
        Ok(packed)
    }

    fn push(&mut self, group: &PromptGroup<'_>) -> Result<()> {
        let mut prompt = self.run(group.prompt.len());
        let mut last = None;
        for &id in group.prompt {
            last = Some(self.batch.push(id, Run::default(), &mut prompt));
        }
        let last = last.ok_or_else(empty)?;
        for completion in &group.completions {
            let (_, inputs) = completion.split_last().ok_or_else(empty)?;
            let mut own = self.run(inputs.len());
            self.before.push(last);
            for &id in inputs {
                let number = self.batch.push(id, prompt, &mut own);
                self.before.push(number);
            }
            self.targets.extend_from_slice(completion);
            self.lengths.push(completion.len());
        }
        Ok(())
    }

    fn run(&mut self, tokens: usize) -> Run {
        let start = self.rows;
        self.rows += aligned(tokens);
        Run { start, len: 0 }
    }

    fn split(&self, flat: Vec<TokenScore>) -> Scores {
        let mut flat = flat.into_iter();
        let lengths = self.lengths.iter();
        lengths
            .map(|&len| flat.by_ref().take(len).collect())
            .collect()
    }
}

fn empty() -> ModelError {
    ModelError::Request {
        what: "a prompt or completion",
        found: "empty".to_owned(),
        wanted: "at least one token",
    }
}
