//! Why an adapter is not exported.

use tlora_checkpoint::{CheckpointError, LayoutError, OutputError};
use tlora_format::Precision;
use tlora_rebuild::RebuildError;

/// Why there is no export. Nothing is written then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The adapter and the base do not come together, or the base cannot be read.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The rank that all modules shall have is less than that of one.
    #[error("the modules shall have rank {wanted}; {module} has rank {found}")]
    PadRank {
        /// The module.
        module: String,
        /// Its rank.
        found: usize,
        /// The rank asked for.
        wanted: u16,
    },
    /// No list of names selects just the modules of the adapter, as PEFT matches names.
    #[error("PEFT cannot select {module} alone: its name also selects {other}")]
    Ambiguous {
        /// The module.
        module: String,
        /// Another one.
        other: String,
    },
    /// PEFT numbers the modules by their order in the model, which the files do not show.
    #[error("the order of the modules in a model of type {} is not known, and PEFT's TinyLoRA needs it", model_type.as_deref().unwrap_or("(missing in the base's config.json)"))]
    UnknownOrder {
        /// `model_type` of the base.
        model_type: Option<String>,
    },
    /// PEFT's TinyLoRA clips ranks to the sides of a weight, and the factors in the file are not clipped.
    #[error(
        "{module} is {out_features} × {in_features} and has rank {rank}; PEFT's TinyLoRA has at most the smaller side"
    )]
    RankAboveSides {
        /// The module.
        module: String,
        /// Rows of its weight.
        out_features: usize,
        /// Columns of its weight.
        in_features: usize,
        /// Its rank.
        rank: usize,
    },
    /// A value is too large for the type.
    #[error("value {index} of {tensor} is {value:e}, too large for {dtype}")]
    TooLarge {
        /// The tensor.
        tensor: String,
        /// Its place, row by row.
        index: u64,
        /// The value.
        value: f64,
        /// The type.
        dtype: Precision,
    },
    /// The tensors cannot be laid out in a file.
    #[error("the tensors cannot be laid out")]
    Layout(#[from] LayoutError),
    /// The settings cannot be written as JSON.
    #[error("the settings cannot be written")]
    Settings(#[from] serde_json::Error),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing failed; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<CheckpointError> for ExportError {
    fn from(error: CheckpointError) -> Self {
        Self::Rebuild(error.into())
    }
}
