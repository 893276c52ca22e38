//! Why servers cannot be used although they answer.

use tlora_train::TrainError;

/// What is wrong with what servers say.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error(
        "{url} has another model than the learner: on the probe their log-probabilities differ by {difference:.3} nats on average, \
         where rounding makes {limit} at most"
    )]
    AnotherBase {
        url: String,
        difference: f32,
        limit: f32,
    },
    #[error(
        "{url} loads adapters and samples as if it had not: the log-probabilities of the probe are those of the base to the last digit"
    )]
    NoEffect { url: String },
    #[error("the directory for weights cannot be made: {path}")]
    Directory {
        path: String,
        source: std::io::Error,
    },
}

/// As the trainer hears of it: the run can go on later.
pub(super) fn failed(error: impl std::error::Error + Send + Sync + 'static) -> TrainError {
    TrainError::Rollouts(Box::new(error))
}
