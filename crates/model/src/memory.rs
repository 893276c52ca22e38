//! How much memory sampling and an update need, before they begin: a run that cannot fit is refused with these numbers.
//!
//! Counted are the weights and the large buffers that live at once; the allocator and the tokenizer come on top.

use crate::decoder::batch::aligned;
use crate::decoder::layer::Layer;
use crate::decoder::{Compute, Decoder};
use crate::generate::{PROMPT_TOKENS, steps_ahead};
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
    /// The activations of a layer in a step of sampling, or the logits after it.
    pub sampling: usize,
    /// The inputs of all layers for one micro-batch.
    pub layer_inputs: usize,
    /// The activations and gradients of one layer for one micro-batch.
    pub layer: usize,
    /// Logits of an update, and what they are computed from.
    pub head: usize,
}

impl MemoryPlan {
    /// The most that is held at once: the buffers of sampling and those of an update never live together, nor do those of a
    /// layer and of the head.
    #[must_use]
    pub fn peak(&self) -> usize {
        let sampling = self.cache + self.sampling;
        let update = self.layer_inputs + self.layer.max(self.head);
        self.weights + sampling.max(update)
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

impl RunSizes {
    /// Tokens of a step of sampling at most: of running samples, and of prompts for those that are not. Either are all slots
    /// taken or all prompts begin; where prompts are more than a step takes, both may be.
    fn step(&self) -> usize {
        let prompts = self.slots.div_ceil(self.samples.max(1)) * self.prompt;
        match self.slots {
            0 => 0,
            slots if prompts > PROMPT_TOKENS => slots + PROMPT_TOKENS,
            slots => slots.max(prompts),
        }
    }
}

impl Compute {
    /// Whether rows are rounded to bf16 before they are multiplied, and the cache is bf16.
    const fn rounds(&self) -> bool {
        match self {
            Self::F32 | Self::F64 => false,
            #[cfg(feature = "cuda")]
            Self::Cuda { storage, .. } => matches!(storage, tlora_cuda::Storage::Bf16),
        }
    }

    /// Bytes of a number in the cache of keys and values.
    const fn cache_bytes(&self) -> usize {
        if self.rounds() { 2 } else { NUMBER }
    }
}

impl Decoder {
    /// What a run of these sizes holds.
    #[must_use]
    pub fn memory_plan(&self, sizes: RunSizes) -> MemoryPlan {
        let (config, rounds) = (&self.config, self.compute.rounds());
        let kv = 2 * config.kv_heads * config.head_dim * self.compute.cache_bytes();
        // Of one group at least, whatever the budget.
        let tokens = sizes.micro_batch.max(sizes.prompt + sizes.completion);
        let layer = LayerSizes::of(&self.layers[0], config.heads, rounds);
        let rows = head_rows(&self.compute, config.vocabulary);
        MemoryPlan {
            weights: self.bytes(),
            cache: config.layers * self.cache_rows(sizes) * kv,
            sampling: NUMBER
                * (sizes.step() * layer.forward()).max(sizes.slots * config.vocabulary),
            layer_inputs: config.layers * tokens * config.hidden * NUMBER,
            layer: tokens * (NUMBER * layer.update() + kv),
            head: head_bytes(config.hidden, config.vocabulary, (tokens, rows), rounds),
        }
    }

    /// Rows of the cache while sampling: areas of prompts, and of each running sample.
    fn cache_rows(&self, sizes: RunSizes) -> usize {
        if sizes.slots == 0 {
            return 0;
        }
        let areas = sizes.slots / sizes.samples.max(1) + 2;
        let own = sizes.completion + steps_ahead(&self.compute) - 1;
        areas * aligned(sizes.prompt) + sizes.slots * aligned(own)
    }
}

/// Logits of a lot of rows, rounded for the way back if the device does so, beside four times the hidden states: as they come,
/// gathered, normalised, and their gradient.
const fn head_bytes(
    hidden: usize,
    vocabulary: usize,
    (tokens, rows): (usize, usize),
    rounds: bool,
) -> usize {
    let lot = if rows < tokens { rows } else { tokens };
    let number = if rounds { NUMBER + NUMBER / 2 } else { NUMBER };
    4 * tokens * hidden * NUMBER + lot * vocabulary * number
}

/// Numbers of a token in the buffers of a layer.
struct LayerSizes {
    hidden: usize,
    intermediate: usize,
    attended: usize,
    heads: usize,
    qkv: usize,
    output: usize,
    gate_up: usize,
    down: usize,
    rounds: bool,
}

impl LayerSizes {
    fn of(layer: &Layer, heads: usize, rounds: bool) -> Self {
        Self {
            hidden: layer.input_norm.columns(),
            intermediate: layer.intermediate,
            attended: layer.layout.q.count * layer.layout.q.width,
            heads,
            qkv: layer.qkv.width(),
            output: layer.output.width(),
            gate_up: layer.gate_up.width(),
            down: layer.down.width(),
            rounds,
        }
    }

    /// The rounded copy of rows that are multiplied.
    const fn rounded(&self, columns: usize) -> usize {
        if self.rounds { columns / 2 } else { 0 }
    }

    /// What the way back needs of the forward pass.
    const fn tape(&self) -> usize {
        self.qkv + self.attended + self.heads + self.output + self.hidden + self.gate_up + self.down
    }

    /// Rows that only a product reads, in bf16 where it rounds.
    const fn multiplied(&self, columns: usize) -> usize {
        if self.rounds { columns / 2 } else { columns }
    }

    /// What the forward pass has at its end beside the tape: two norms and the active part of the MLP.
    const fn passing(&self) -> usize {
        2 * self.multiplied(self.hidden) + self.multiplied(self.intermediate)
    }

    /// The forward pass at its end, with its input.
    const fn forward(&self) -> usize {
        self.hidden + self.tape() + self.passing()
    }

    /// A layer of an update, without its input: beside the tape and the gradient of its output the forward pass, the way back
    /// through the MLP where gate and up have their gradient, or that through attention.
    fn update(&self) -> usize {
        let mlp =
            self.down + self.intermediate + self.gate_up + self.hidden + self.rounded(self.gate_up);
        let attention =
            2 * self.hidden + self.output + self.attended + self.qkv + self.rounded(self.qkv);
        self.tape() + self.hidden + self.passing().max(mlp).max(attention)
    }
}
