//! What goes wrong with a service.

use crate::ReplyError;

/// Why a service gave no scores. Addresses are shown without what follows `?` and without a password.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// It cannot be posted to.
    #[error("the url of the verifier `http` is {url:?}, not http://… or https://…")]
    Url {
        /// As it was given.
        url: String,
    },
    /// A time that cannot be waited for.
    #[error("timeout_seconds of the verifier `http` is {found}, not above 0 and at most 86400")]
    Timeout {
        /// As it was given.
        found: f64,
    },
    /// Requests without answers.
    #[error("batch of the verifier `http` is 0")]
    Batch,
    /// No whole response came.
    #[error("the verifier {url} could not be asked, tried {tries} times")]
    Connection {
        /// The address.
        url: String,
        /// Requests that were made.
        tries: u32,
        /// Why the last one failed.
        source: Box<ureq::Error>,
    },
    /// It refuses, or is broken.
    #[error("the verifier {url} says {status}, tried {tries} times: {text:?}")]
    Status {
        /// The address.
        url: String,
        /// Of the last response.
        status: u16,
        /// Requests that were made.
        tries: u32,
        /// The first characters of its body.
        text: String,
    },
    /// It sends us elsewhere.
    #[error("the verifier {url} redirects to {location:?} ({status}), which is not followed")]
    Redirect {
        /// The address.
        url: String,
        /// Of the response.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The response is too long.
    #[error("the response of the verifier {url} is longer than {limit} bytes")]
    TooLong {
        /// The address.
        url: String,
        /// What it may have.
        limit: u64,
    },
    /// The response is something else.
    #[error("the response of the verifier {url} is no JSON object with a list `scores`: {text:?}")]
    Format {
        /// The address.
        url: String,
        /// Its first characters.
        text: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// There are not as many scores as answers.
    #[error("the verifier {url} gave {found} scores for {wanted} answers")]
    Count {
        /// The address.
        url: String,
        /// Scores in the response.
        found: usize,
        /// Answers in the request.
        wanted: usize,
    },
    /// A score is wrong.
    #[error("score {number} of the verifier {url}")]
    Score {
        /// The address.
        url: String,
        /// From 1, in the response.
        number: usize,
        /// What is wrong with it.
        source: ReplyError,
    },
}
