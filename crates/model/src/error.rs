//! Why a model cannot be loaded or run.

use tlora_checkpoint::CheckpointError;
use tlora_rebuild::RebuildError;

/// What is wrong with a model, its tokenizer, or what it is asked to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The family has no decoder here.
    #[error("model_type is {found:?}; qwen2, qwen3, llama and mistral can be run")]
    Family {
        /// `model_type` of config.json, or what stands in its place.
        found: String,
    },
    /// A setting of config.json is missing, or has a value that the decoder does not implement.
    #[error("{key} in config.json is {found}, wanted {wanted}")]
    Config {
        /// The key.
        key: &'static str,
        /// What it is.
        found: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// A tensor that the family has is not there.
    #[error("the checkpoint has no tensor {name}")]
    MissingTensor {
        /// Its name.
        name: String,
    },
    /// A tensor has another shape or type than config.json says.
    #[error("{name} is {found}, wanted {wanted}")]
    Tensor {
        /// Its name.
        name: String,
        /// Type and shape that it has.
        found: String,
        /// Type and shape that it has to have.
        wanted: String,
    },
    /// An adapter steers a module that the decoder does not compute as a linear layer of its own.
    #[error(
        "the adapter steers {module}, which cannot be trained or sampled here; q, k, v, o, gate, up and down projections can"
    )]
    Module {
        /// The module.
        module: String,
    },
    /// A token number is beyond the vocabulary.
    #[error("token {token} is beyond the vocabulary of {vocabulary}")]
    Token {
        /// The number.
        token: u32,
        /// Tokens that the model has.
        vocabulary: usize,
    },
    /// A request that makes no sense.
    #[error("{what} is {found}, wanted {wanted}")]
    Request {
        /// What it is about.
        what: &'static str,
        /// What was given.
        found: String,
        /// What may be given.
        wanted: &'static str,
    },
    /// The tokenizer's file is missing or not valid.
    #[error("tokenizer.json cannot be used: {reason}")]
    Tokenizer {
        /// What the tokenizers library says.
        reason: String,
    },
    /// There is no chat template, or it does not render.
    #[error("the chat template cannot be used: {reason}")]
    ChatTemplate {
        /// Why.
        reason: String,
    },
    /// An operation has no implementation for the device or type of its tensors.
    #[error("{operation} has no implementation for {found}")]
    NotImplemented {
        /// The operation.
        operation: &'static str,
        /// The device or type.
        found: String,
    },
    /// The adapter and the base do not come together.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The GPU refuses.
    #[cfg(feature = "cuda")]
    #[error(transparent)]
    Cuda(#[from] tlora_cuda::CudaError),
    /// The tensor library refuses.
    #[error("a tensor operation failed")]
    Tensors(#[from] candle_core::Error),
}

/// The result of this room.
pub type Result<T> = std::result::Result<T, ModelError>;
