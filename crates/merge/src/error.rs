//! Why adapters cannot be merged, measured or made.

use tlora_checkpoint::{CheckpointError, LayoutError, OutputError};
use tlora_format::{BaseDigest, InvalidAdapter};
use tlora_rebuild::RebuildError;

/// Why a run ended without a result. Nothing is left behind then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// An adapter and the base do not come together, or the base cannot be read.
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    /// The base was written to while it was read, without its files showing it.
    #[error("the base changed while it was read: its digest was {before} and is {after}")]
    BaseChanged {
        /// The digest at first.
        before: BaseDigest,
        /// The digest of what was merged.
        after: BaseDigest,
    },
    /// Two adapters disagree on whether the checkpoint stores this weight transposed.
    #[error("the adapters disagree on whether the weight of {0} is stored transposed")]
    Transposition(String),
    /// The parameters do not make an adapter.
    #[error("the parameters do not make an adapter")]
    Invalid(#[from] InvalidAdapter),
    /// A parameter of a new adapter does not fit the base.
    #[error("{what}: expected {wanted}, found {found}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// What it should be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// The update is larger than the policy allows.
    #[error("‖ΔW‖ / ‖W‖ of {module} is {found:.4}; the policy allows {limit}")]
    TooStrong {
        /// The module.
        module: String,
        /// Its ratio.
        found: f64,
        /// The largest that is allowed.
        limit: f64,
    },
    /// The output was read once more, and is not what was written.
    #[error("the output was written with the digest {expected} and reads as {found}")]
    NotWritten {
        /// The digest that was computed.
        expected: BaseDigest,
        /// The digest of what is there.
        found: BaseDigest,
    },
    /// The tensors cannot be laid out in a file.
    #[error("the merged checkpoint cannot be laid out")]
    Layout(#[from] LayoutError),
    /// The output cannot be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The merge record cannot be written as JSON.
    #[error("the merge record cannot be written")]
    Record(#[from] serde_json::Error),
    /// Writing failed; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl From<CheckpointError> for MergeError {
    fn from(error: CheckpointError) -> Self {
        Self::Rebuild(error.into())
    }
}

impl MergeError {
    /// Whether a merged weight is too large for the output type.
    pub(crate) const fn is_not_representable(&self) -> bool {
        matches!(self, Self::Rebuild(error) if error.is_not_representable())
    }
}
