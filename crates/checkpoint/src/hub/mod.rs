//! Base models by hub id: `org/name` becomes a snapshot directory in the Hugging Face cache. So do files of data sets.
//!
//! The cache is the one that Python's `huggingface_hub` keeps, file for file, so what either has fetched the other finds.
//! Only what a checkpoint is read and merged from is fetched: no code, no pickles, no other formats.
//!
//! The client is our own on `ureq` because of what the crate hf-hub 0.5 does: it appends a full answer (200) to a partial
//! file, checks neither size nor hash, joins file names and ETags from the server to paths unchecked, asserts on answers
//! of the server, and does not know `HF_HUB_OFFLINE`, `HF_HUB_CACHE` or `HF_TOKEN`. What would be left of it is the
//! layout of the cache.
//!
//! The types here compile without the feature `hub`; `resolve` needs it.

#[cfg(feature = "hub")]
mod cache;
#[cfg(feature = "hub")]
mod client;
#[cfg(feature = "hub")]
mod download;
#[cfg(feature = "hub")]
mod error;
mod id;
#[cfg(feature = "hub")]
mod listing;
mod options;
#[cfg(feature = "hub")]
mod origin;
mod progress;
#[cfg(feature = "hub")]
mod resolve;
#[cfg(feature = "hub")]
mod retry;

#[cfg(feature = "hub")]
pub use error::HubError;
pub(crate) use id::is_commit;
pub use id::{HubId, HubIdError, RepositoryKind};
pub use options::{HubOptions, HubOptionsError, Token};
pub use progress::HubProgress;
#[cfg(feature = "hub")]
pub use resolve::{Resolved, resolve, resolve_file};
