//! Why weights did not reach the servers, or did not arrive as they were sent.

use std::path::PathBuf;

use crate::{MergedError, ServerError, SyncPath, Version};

/// Why a version was not published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The servers take weights in another way, or none.
    #[error("the servers take weights as {}, not this way", match .path {
        SyncPath::Fixed => "they were started, with no updates",
        SyncPath::Adapter => "adapters",
        SyncPath::Merged => "merged checkpoints",
    })]
    Path {
        /// As the probe found it.
        path: SyncPath,
    },
    /// There is a version of this step.
    #[error("step {step} is published already; a name is never used twice")]
    Again {
        /// The step.
        step: u64,
    },
    /// It is not an adapter.
    #[error("{} has no adapter_config.json and adapter_model.safetensors", path.display())]
    NoAdapter {
        /// The directory.
        path: PathBuf,
    },
    /// It is not a checkpoint that a server survives.
    #[error(transparent)]
    Merged(#[from] MergedError),
    /// A server refused it, so the version stays where it was.
    #[error("{version} is not published, because a server refused it")]
    Refused {
        /// The version.
        version: Version,
        /// What it says.
        source: ServerError,
    },
    /// A server took it and does not have it.
    #[error(
        "{url} says that it loaded {model:?} and does not list it ({seen} of {asked} times, as {found:?}): there is more than one \
         engine behind the address, or another server; name the servers themselves"
    )]
    NotListed {
        /// The address.
        url: String,
        /// The adapter.
        model: String,
        /// How often it was listed.
        seen: usize,
        /// How often that was asked.
        asked: usize,
        /// Where it says that the adapter is.
        found: Option<String>,
    },
    /// All servers are gone.
    #[error(
        "no vLLM server is left; nothing of the run is lost: start the servers again, then resume it{}",
        .faults.iter().map(|fault| format!("; {fault}")).collect::<String>()
    )]
    AllDown {
        /// What each said.
        faults: Vec<String>,
    },
    /// Log-probabilities of a server could not be asked for.
    #[error("the published weights cannot be checked")]
    Score(#[source] ServerError),
    /// No server has both versions.
    #[error("no server has both {before} and {after}")]
    NoVersions {
        /// The one.
        before: Version,
        /// The other.
        after: Version,
    },
    /// What was given for comparison does not fit.
    #[error(
        "the learner's log-probabilities are {before} and {after}; the probe has {wanted}, and all have to be finite"
    )]
    Learner {
        /// Before.
        before: usize,
        /// After.
        after: usize,
        /// The tokens of the probe but the first.
        wanted: usize,
    },
    /// A load that changed nothing.
    #[error(
        "{url} says that it loaded {after} and samples as under {before}: the learner's log-probabilities moved by up to {learner}, its \
         own by nothing. The names of the adapter's tensors do not match its model, or it ignores them"
    )]
    NoEffect {
        /// The address.
        url: String,
        /// The version before.
        before: Version,
        /// The version after.
        after: Version,
        /// Largest movement of the learner's.
        learner: f32,
    },
    /// Server and learner moved differently.
    #[error(
        "{url} does not sample as the learner would: from {before} to {after} its log-probabilities moved otherwise, by {difference} \
         on average where {tolerance} is allowed"
    )]
    Differs {
        /// The address.
        url: String,
        /// The version before.
        before: Version,
        /// The version after.
        after: Version,
        /// Mean difference of the movements, nats.
        difference: f32,
        /// What was allowed.
        tolerance: f32,
    },
}
