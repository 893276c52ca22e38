//! What goes wrong with one server, and what can be done about it.

/// What a server did, or did not do. Addresses are shown without what may be secret in them.
#[derive(Debug, thiserror::Error)]
#[error("the vLLM server {url} {fault}")]
pub struct ServerError {
    /// The address.
    pub url: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a server or with its answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It is no address.
    #[error("has an address that is not http://… or https://…")]
    Url,
    /// The variable that holds the key is not there, or holds what cannot be a header.
    #[error(
        "needs the key in the environment variable {variable}, which has none that can be sent"
    )]
    Key {
        /// The variable.
        variable: String,
    },
    /// No whole answer came.
    #[error("gave no whole answer to {path}, tried {tries} times: {text}")]
    Connection {
        /// What was asked.
        path: String,
        /// Requests that were made.
        tries: u32,
        /// Why the last one failed.
        text: String,
    },
    /// It took too long.
    #[error("gave no answer to {path} within {seconds} s")]
    Slow {
        /// What was asked.
        path: String,
        /// How long it had.
        seconds: f64,
    },
    /// It refuses, or is broken.
    #[error("says {status} to {path}, tried {tries} times: {text:?}")]
    Status {
        /// What was asked.
        path: String,
        /// HTTP's.
        status: u16,
        /// Requests that were made.
        tries: u32,
        /// What it says, or the beginning.
        text: String,
    },
    /// The key is missing or wrong.
    #[error(
        "refuses the key ({status} to {path}): name the environment variable that holds the right one"
    )]
    Forbidden {
        /// What was asked.
        path: String,
        /// HTTP's.
        status: u16,
    },
    /// There is no such model or adapter.
    #[error("does not serve {model:?}: {text:?}")]
    NoModel {
        /// What was asked for.
        model: String,
        /// What it says.
        text: String,
    },
    /// It sends us elsewhere.
    #[error("redirects {path} ({status}), which is not followed")]
    Redirect {
        /// What was asked.
        path: String,
        /// HTTP's.
        status: u16,
    },
    /// The answer is too long.
    #[error("gave an answer to {path} that is longer than {limit} bytes")]
    TooLong {
        /// What was asked.
        path: String,
        /// Bytes that it may have.
        limit: u64,
    },
    /// The answer is not the JSON that belongs there.
    #[error("gave an answer to {path} that is not its JSON, tried {tries} times: {text}")]
    Json {
        /// What was asked.
        path: String,
        /// Requests that were made.
        tries: u32,
        /// What the parser says.
        text: String,
    },
    /// The answer is of another model.
    #[error("answered with the model {found:?} where {wanted:?} was asked for")]
    WrongModel {
        /// The answer's.
        found: String,
        /// The request's.
        wanted: String,
    },
    /// There is not one choice.
    #[error("gave {found} choices where 1 was asked for")]
    Choices {
        /// How many.
        found: usize,
    },
    /// Tokens are missing.
    #[error(
        "gave no token ids: it does not know `return_token_ids` (vLLM before 0.10.2, or another server)"
    )]
    NoTokenIds,
    /// The prompt came back as another one.
    #[error(
        "computed another prompt: {found} tokens came back, {wanted} were sent, or some differ"
    )]
    PromptChanged {
        /// Tokens that came back.
        found: usize,
        /// Tokens that were sent.
        wanted: usize,
    },
    /// Log-probabilities are missing.
    #[error("gave no log-probabilities")]
    NoLogProbs,
    /// A log-probability is missing or cannot be one.
    #[error(
        "gave no log-probability for token {place} of {count}, or one that cannot be ({value})"
    )]
    LogProb {
        /// The token, from 1.
        place: usize,
        /// Tokens of the sample.
        count: usize,
        /// What it says.
        value: String,
    },
    /// Tokens and log-probabilities are not equally many, or not as many as they can be.
    #[error(
        "gave {tokens} tokens, {log_probs} log-probabilities and counts {counted}, of at most {most}"
    )]
    TokenCount {
        /// Tokens of the sample.
        tokens: usize,
        /// Log-probabilities.
        log_probs: usize,
        /// What it counts itself.
        counted: usize,
        /// Tokens that were allowed.
        most: usize,
    },
    /// A sample was cut before the limit that was asked for.
    #[error(
        "cut a sample after {found} of {wanted} tokens: it has a limit of its own (serve with --generation-config vllm)"
    )]
    CutEarly {
        /// Tokens of the sample.
        found: usize,
        /// Tokens that were allowed.
        wanted: usize,
    },
    /// A sample ended with a token that ends none.
    #[error("ended a sample with token {found:?}, which is not one that ends a completion")]
    StopToken {
        /// The last token.
        found: Option<u32>,
    },
    /// A sample ended for a reason that we do not know.
    #[error("ended a sample because of {reason:?}")]
    Finish {
        /// What it says.
        reason: Option<String>,
    },
    /// A path has characters that cannot be sent.
    #[error("cannot be sent a path that is not UTF-8: {path}")]
    Path {
        /// As well as it can be shown.
        path: String,
    },
}

impl Fault {
    /// Whether the same request can go well the next time: a broken connection or answer, 5xx, 408, 429, an aborted sample.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::Connection { .. } | Self::Json { .. } => true,
            Self::Status { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Self::Finish { reason } => matches!(reason.as_deref(), Some("abort" | "error")),
            _ => false,
        }
    }

    /// Whether another server can do what this one did not: it is broken, hangs, or has lost the adapter because it was started anew.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.passes() || matches!(self, Self::NoModel { .. } | Self::Slow { .. })
    }

    /// The fault after so many tries.
    pub(crate) fn tried(mut self, number: u32) -> Self {
        if let Self::Connection { tries, .. }
        | Self::Status { tries, .. }
        | Self::Json { tries, .. } = &mut self
        {
            *tries = number;
        }
        self
    }
}
