//! How much memory sampling and an update need, before they begin: a run that cannot fit is refused with these numbers.
//!
//! Counted are the weights and the large buffers that live at once; the allocator and the tokenizer come on top.

use crate::decoder::batch::aligned;
use crate::decoder::{Compute, Decoder};
use crate::learner::head_rows;

/// Bytes of f32, the type of activations.
const NUMBER: usize = 4;

/// Bytes that a run holds at once, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The frozen weights.
    pub weights: usize,
    /// Keys and values of all running samples.
    pub cache: usize,
    /// The inputs of all layers for one micro-batch.
    pub layer_inputs: usize,
    /// The activations and gradients of one layer for one micro-batch.
    pub layer: usize,
    /// Logits.
    pub head: usize,
}

impl MemoryPlan {
    /// The most that is held at once: the cache of the sampler and the buffers of an update never live together.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.weights + self.head + self.cache.max(self.layer_inputs + self.layer)
    }
}

/// The sizes of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunSizes {
    /// Samples that run at once.
    pub slots: usize,
    /// Tokens of the longest prompt.
    pub prompt: usize,
    /// Tokens of the longest completion.
    pub completion: usize,
    /// Samples of a prompt.
    pub samples: usize,
    /// Tokens of a micro-batch.
    pub micro_batch: usize,
}

impl Compute {
    /// Bytes of a number in the cache of keys and values.
    const fn cache_bytes(&self) -> usize {
        match self {
            #[cfg(feature = "cuda")]
            Self::Cuda {
                storage: tlora_cuda::Storage::Bf16,
                ..
            } => 2,
            _ => NUMBER,
        }
    }
}

impl Decoder {
    /// What a run of these sizes holds.
    #[must_use]
    pub fn memory_plan(&self, sizes: RunSizes) -> MemoryPlan {
        let config = &self.config;
        let layer = &self.layers[0];
        let areas = sizes.slots / sizes.samples.max(1) + 2;
        let rows = areas * aligned(sizes.prompt) + sizes.slots * aligned(sizes.completion);
        let kv = 2 * config.kv_heads * config.head_dim;
        // Of one group at least, whatever the budget.
        let group = sizes.prompt + sizes.completion;
        let tokens = sizes.micro_batch.max(group);
        let qkv = layer.qkv.width();
        let attended = config.heads * config.head_dim;
        let gate_up = layer.gate_up.width();
        // Forward: two norms, q k v, attended, output, middle, gate and up, active, down. Backward: the largest of them again.
        let forward = 4 * config.hidden + qkv + attended + gate_up + config.intermediate;
        let backward = gate_up + config.intermediate + 2 * config.hidden;
        MemoryPlan {
            weights: self.bytes(),
            cache: config.layers * rows * kv * self.compute.cache_bytes(),
            layer_inputs: config.layers * tokens * config.hidden * NUMBER,
            layer: tokens * (forward + backward + 2 * kv) * NUMBER,
            head: head_rows(config.vocabulary).min(tokens) * config.vocabulary * NUMBER,
        }
    }
}
