//! What can go wrong between a hub id and a snapshot directory.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use super::id::HubId;
use crate::error::IndexError;

/// Why a model could not be had from the hub or the cache. URLs are shown without their query, which may be signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// `HF_HUB_OFFLINE` is set and the cache does not have all of the model.
    #[error("{id} is not complete in the cache {}, and HF_HUB_OFFLINE is set; missing: {}", cache.display(), missing.join(", "))]
    Offline {
        /// The model.
        id: HubId,
        /// The cache's folder.
        cache: PathBuf,
        /// The files, or the revision, that the cache lacks.
        missing: Vec<String>,
    },
    /// HTTP 401 or 403.
    #[error("the hub denies access to {id} (HTTP {status}: {message})")]
    Denied {
        /// The model.
        id: HubId,
        /// The status.
        status: u16,
        /// What the server said.
        message: String,
        /// Whether a token was sent.
        with_token: bool,
        /// The page of the model, where terms are accepted.
        page: String,
    },
    /// HTTP 404.
    #[error("{url} does not exist (HTTP 404: {message})")]
    NotFound {
        /// The address.
        url: String,
        /// What the server said.
        message: String,
    },
    /// Any other status that is not a success.
    #[error("{url} answers HTTP {status}: {message}")]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// What the server said.
        message: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// No connection, or one that broke.
    #[error("the connection to {url} failed")]
    Connection {
        /// The address.
        url: String,
        /// Whether another attempt may succeed.
        transient: bool,
        /// What happened.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects to {location:?}: {reason}")]
    Redirect {
        /// The address.
        url: String,
        /// The target.
        location: String,
        /// Why it is not followed.
        reason: &'static str,
    },
    /// An answer that the hub's interface does not allow.
    #[error("the answer of {url} is not usable: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The repository lacks a file that is needed.
    #[error("{id} has no {file} at commit {commit}")]
    NoFile {
        /// The model.
        id: HubId,
        /// The commit.
        commit: String,
        /// The file.
        file: String,
    },
    /// A name of a file that is not one inside of a repository.
    #[error("{file:?} is not the name of a file in a repository")]
    FileName {
        /// The name.
        file: String,
    },
    /// The model has no safetensors weights.
    #[error(
        "{id} has neither model.safetensors nor model.safetensors.index.json at commit {commit}"
    )]
    NoWeights {
        /// The model.
        id: HubId,
        /// The commit.
        commit: String,
    },
    /// `model.safetensors.index.json` is not an index.
    #[error("{} is not an index of safetensors shards", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<IndexError>,
    },
    /// The index names a shard that is in the same directory but not a safetensors file.
    #[error("{} names the shard {shard:?}, which is not a safetensors file", path.display())]
    ShardName {
        /// The index.
        path: PathBuf,
        /// The name.
        shard: String,
    },
    /// A file came with another size than announced.
    #[error(
        "{file} has {found} bytes, not the {expected} that the hub announced; the download was removed"
    )]
    Size {
        /// The file.
        file: String,
        /// The announced size.
        expected: u64,
        /// The size that came.
        found: u64,
    },
    /// A file came with other bytes than announced.
    #[error(
        "{file} has the SHA-256 {found}, not the announced {expected}; the download was removed"
    )]
    Digest {
        /// The file.
        file: String,
        /// The announced hash.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// The endpoint cannot be used.
    #[error("the hub's endpoint {endpoint:?} is not a URL")]
    Endpoint {
        /// The endpoint.
        endpoint: String,
    },
    /// The cache cannot be read or written; the message names the path.
    #[error("the hub's cache cannot be used")]
    Cache(#[from] std::io::Error),
}

impl HubError {
    /// What the user can do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Offline { id, .. } => Some(format!(
                "unset HF_HUB_OFFLINE, or run `hf download {}` where there is a network",
                id.download_arguments()
            )),
            Self::Denied {
                with_token: false,
                page,
                ..
            } => Some(format!(
                "it does not exist, or is private or gated: set HF_TOKEN (or run `hf auth login`), and accept the terms at {page} if there are any"
            )),
            Self::Denied {
                with_token: true,
                page,
                ..
            } => Some(format!(
                "the account of the token may not read it: look at {page}, and accept the terms there if there are any"
            )),
            Self::NotFound { .. } => {
                Some("check the spelling of the id, and of the revision after the @".to_owned())
            }
            Self::NoWeights { .. } => {
                Some("convert the weights to safetensors first and give the directory".to_owned())
            }
            Self::Connection { .. } => {
                Some("HF_HUB_OFFLINE=1 uses what the cache has; run again to resume".to_owned())
            }
            Self::Size { .. } | Self::Digest { .. } => {
                Some("run again to download it from the start".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the same request may succeed a little later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            // 403 here is the storage behind the hub: a signed address has run out, the next attempt gets a new one.
            Self::Status { status, .. } => matches!(status, 403 | 408 | 429 | 500..=599),
            Self::Connection { transient, .. } => *transient,
            _ => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(super) fn answer(url: &str, reason: impl Into<String>) -> Self {
        Self::Answer {
            url: without_query(url),
            reason: reason.into(),
        }
    }
}

/// A URL as it may be shown: a signed query is as good as a password.
pub(super) fn without_query(url: &str) -> String {
    url.split('?').next().unwrap_or_default().to_owned()
}
