//! The decoder of the Qwen2, Qwen3, Llama and Mistral families, with the adapter in factored form.
//!
//! One decoder of our own for all of them: those of candle-transformers cannot be trained, take no ragged batches, and
//! compute rotary tables in the type of the weights.

pub(crate) mod batch;
pub(crate) mod layer;
mod load;
mod random;

use tlora_checkpoint::Checkpoint;
use tlora_format::Adapter;
use tlora_rebuild::{Run, plan_all, prepare};

use crate::config::ModelConfig;
use crate::error::{ModelError, Result};
use crate::ops::array::Array;
use crate::ops::attention::{LayerCache, QkvLayout};
use crate::ops::elementwise::gather_rows;
use crate::ops::head::rows_f32;
use crate::ops::linear::Packed;
use crate::rotary::Rotary;
use crate::steering::{Projections, Steering};
use batch::{Batch, Prepared};
use layer::Layer;
pub(crate) use load::ModuleFactors;
pub use random::RandomModel;

/// A frozen model, and the frozen factors of an adapter if it was loaded with one.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) config: ModelConfig,
    pub(crate) rotary: Rotary,
    pub(crate) compute: Compute,
    pub(crate) layers: Vec<Layer>,
    embedding: Packed,
    /// None if it is the embedding.
    head: Option<Packed>,
    pub(crate) final_norm: Array,
}

/// Where and in which type activations are computed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compute {
    /// By this machine, in binary32.
    F32,
    /// By this machine, in binary64, to check the others.
    F64,
    /// On an NVIDIA GPU, in binary32. Weights and the cache of keys and values are as `storage` says: with bf16, rows are
    /// rounded to it before they are multiplied with weights, and sums are in binary32.
    #[cfg(feature = "cuda")]
    Cuda {
        /// The GPU.
        device: tlora_cuda::Device,
        /// How weights are kept there.
        storage: tlora_cuda::Storage,
    },
}

impl Decoder {
    /// Loads a model without an adapter. `loaded` hears how many layers are there.
    ///
    /// # Errors
    /// The family or a setting is not implemented, or a tensor is missing or of another shape.
    pub fn load(
        checkpoint: &Checkpoint,
        compute: Compute,
        loaded: impl FnMut(usize),
    ) -> Result<Self> {
        let config = ModelConfig::read(&checkpoint.config()?)?;
        load::load(checkpoint, config, compute, ModuleFactors::new(), loaded)
    }

    /// Loads a model with the factors of an adapter, and how its v steers them. v itself comes with each call.
    ///
    /// # Errors
    /// As [`Self::load`]; the adapter is for another base; it steers something else than projections.
    pub fn load_adapted(
        checkpoint: &Checkpoint,
        adapter: &Adapter,
        compute: Compute,
        run: &Run<'_>,
        loaded: impl FnMut(usize),
    ) -> Result<(Self, Projections)> {
        let config = ModelConfig::read(&checkpoint.config()?)?;
        let adapters = std::slice::from_ref(adapter);
        let plans = plan_all(checkpoint, adapters, run)?;
        let prepared = prepare(checkpoint, adapters, plans, run)?;
        let mut factors = ModuleFactors::new();
        let modules = &prepared.plans[0];
        for module in modules {
            let pair = prepared
                .factors(0, module, adapter.sigma_side)?
                .into_owned();
            factors.insert(module.weight.name.clone(), (module.number, pair));
        }
        let projections = Projections::new(adapter, modules);
        let decoder = load::load(checkpoint, config, compute, factors, loaded)?;
        Ok((decoder, projections))
    }

    /// The sizes and settings of the model.
    #[must_use]
    pub const fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Bytes of the weights in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let linears = self.layers.iter().flat_map(|layer| {
            [&layer.qkv, &layer.output, &layer.gate_up, &layer.down].map(|l| l.packed.bytes())
        });
        let head = self.head.as_ref().map_or(0, Packed::bytes);
        linears.sum::<usize>() + self.embedding.bytes() + head
    }

    pub(crate) fn head(&self) -> &Packed {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// The hidden states that the first layer reads, tokens × hidden.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Array> {
        let vocabulary = self.config.vocabulary;
        if let Some(&token) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return Err(ModelError::Token { token, vocabulary });
        }
        self.embedding.rows(ids)
    }

    /// The same for tokens that are on the device, of the vocabulary because they were drawn there.
    #[cfg(feature = "cuda")]
    pub(crate) fn embed_there(&self, ids: &tlora_cuda::Buffer<u32>) -> Result<Array> {
        match &self.embedding {
            Packed::Device(_, matrix) => crate::ops::device::linear::rows_there(matrix, ids),
            Packed::F32(_) | Packed::F64(_) => Err(ModelError::NotImplemented {
                operation: "embedding",
                found: "tokens in another place than the weights".to_owned(),
            }),
        }
    }

    pub(crate) fn prepared<'a>(&self, batch: &'a Batch) -> Result<Prepared<'a>> {
        Prepared::new(batch, &self.config, &self.rotary, &self.compute)
    }

    /// An empty cache of one layer.
    pub(crate) fn cache(&self, rows: usize) -> Result<LayerCache> {
        let QkvLayout { k, .. } = self.layers[0].layout;
        LayerCache::new(&self.compute, rows, k)
    }

    /// The hidden states after all layers, without the final norm, from caches that hold what came before.
    pub(crate) fn forward(
        &self,
        batch: &Batch,
        caches: &mut [LayerCache],
        steering: Option<&Steering>,
    ) -> Result<Array> {
        self.layers(
            self.embed(&batch.ids)?,
            &self.prepared(batch)?,
            caches,
            steering,
        )
    }

    /// The same from the hidden states that the first layer reads.
    pub(crate) fn layers(
        &self,
        mut x: Array,
        prepared: &Prepared<'_>,
        caches: &mut [LayerCache],
        steering: Option<&Steering>,
    ) -> Result<Array> {
        for (layer, cache) in self.layers.iter().zip(caches) {
            x = layer.forward(&x, prepared, cache, steering)?;
        }
        Ok(x)
    }

    /// The logits after every token of one sequence, tokens × vocabulary: for comparisons with other programs.
    ///
    /// # Errors
    /// A token beyond the vocabulary.
    pub fn sequence_logits(&self, ids: &[u32], steering: Option<&Steering>) -> Result<Vec<f32>> {
        let (mut batch, mut run) = (Batch::default(), batch::Run::default());
        for &id in ids {
            batch.push(id, batch::Run::default(), &mut run);
        }
        let layers = self.layers.iter();
        let mut caches: Vec<_> = layers
            .map(|_| self.cache(batch::aligned(ids.len())))
            .collect::<Result<_>>()?;
        let hidden = self.forward(&batch, &mut caches, steering)?;
        let rows: Vec<usize> = (0..ids.len()).collect();
        rows_f32(&self.logits(&hidden, &rows)?)
    }

    /// Logits of some tokens of a batch, rows × vocabulary.
    pub(crate) fn logits(&self, hidden: &Array, rows: &[usize]) -> Result<Array> {
        self.all_logits(&gather_rows(hidden, rows)?)
    }

    /// Logits of all tokens of a batch.
    pub(crate) fn all_logits(&self, hidden: &Array) -> Result<Array> {
        let (head, epsilon) = (self.head(), self.config.norm_epsilon);
        head.product(&head.rms_norm(hidden, &self.final_norm, epsilon)?)
    }
}
