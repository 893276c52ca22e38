//! What goes wrong: with a gold answer when data are loaded, with a verifier when it is built or asked.

/// Why a gold answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoldError {
    /// Nothing is left of it after trimming. An empty completion would be right.
    #[error("the gold answer is empty")]
    Empty,
    /// The verifier has no way to compare with it.
    #[error("the gold answer {gold:?} is not {wanted}")]
    Unusable {
        /// As the data have it, shortened to 80 characters.
        gold: String,
        /// What the verifier takes.
        wanted: &'static str,
    },
}

/// Why a verifier could not be built, or could not score a batch.
#[derive(Debug, thiserror::Error)]
pub enum RewardError {
    /// A gold answer that `check_gold` refuses reached `score`.
    #[error("answer {id:?}")]
    Gold {
        /// Of the answer.
        id: String,
        /// What is wrong with its gold answer.
        source: GoldError,
    },
    /// Two answers of a batch have the same id, and an external verifier could not tell them apart.
    #[error("the id {id:?} occurs twice in a batch")]
    RepeatedId {
        /// Of both.
        id: String,
    },
    /// The verifier `regex` cannot be built.
    #[error(transparent)]
    Pattern(#[from] crate::PatternError),
    /// The verifier `command` cannot be built, or failed.
    #[error(transparent)]
    Command(#[from] crate::CommandError),
    /// The verifier `http` cannot be built, or failed.
    #[error(transparent)]
    Http(#[from] crate::HttpError),
}
