//! Decoder-only language models with a TinyLoRA adapter: logits, samples, and the gradient of v.
//!
//! - [`Decoder`] loads a checkpoint of the Qwen2, Qwen3, Llama or Mistral families, with an adapter in factored form.
//! - [`Generator`] samples completions; [`Learner`] scores them and computes the gradient. Both compute a token's
//!   log-probability by the same operations in the same order, so that on one machine they agree bit for bit.
//! - [`Projections`] and [`Steering`] are what stands between v and the modules.
//! - [`Tokenizer`] is the model's, with its chat template.
//!
//! Tensors of candle end in this room.
#![forbid(unsafe_code)]

mod config;
mod decoder;
mod error;
mod generate;
mod learner;
mod memory;
mod ops;
mod rotary;
mod steering;
mod tokenizer;

pub use config::{Family, ModelConfig, RopeScaling};
pub use decoder::{Compute, Decoder, RandomModel};
pub use error::{ModelError, Result};
pub use generate::{Generator, Request, Sample, Sampling};
pub use learner::{Learner, PromptGroup, Scores};
pub use memory::{MemoryPlan, RunSizes};
pub use ops::head::TokenScore;
pub use steering::{Projections, RGradient, Steering};
pub use tokenizer::{Message, Tokenizer};
