//! Samples from vLLM servers, for a trainer whose weights reach them as small LoRA adapters.
//!
//! - [`Server`]: one address; typed requests, answers that are checked, tries again where that can help.
//! - [`Fleet`]: many servers that sample under one published [`Version`]. [`Fleet::connect`] finds out what they can do
//!   ([`Probe`]) and refuses what would give wrong samples.
//! - [`Fleet::generate`]: samples of prompts, in their order whatever the timing; a server that dies loses nothing.
//! - [`Fleet::publish`], [`Fleet::verify_sync`], [`Fleet::retire`]: an adapter under a name of its own for each step.
//!   [`Fleet::reload`] is the other path, a [`MergedDirectory`].
//! - [`sample_seed`]: the seed of a sample, from the run, the step, the problem and its number.
//!
//! Shapes are those of vLLM 0.32.0. An adapter is never loaded in place of another of the same name: the server would read it from disk
//! at every step of its engine, and would go on with prefixes that it computed under the old one.
#![forbid(unsafe_code)]

mod completion;
mod connection;
mod error;
mod fleet;
mod generate;
mod merged;
mod probe;
mod publish;
mod reload;
mod safetensors;
mod schedule;
mod seed;
mod server;
mod sync_error;
mod verify;
mod worker;

pub use completion::{Sample, Sampling};
pub use connection::Connect;
pub use error::{Fault, ServerError};
pub use fleet::{Fleet, FleetSettings, Version};
pub use generate::{GenerateError, Generated, Prompt, Throughput};
pub use merged::{MergedDirectory, MergedError};
pub use probe::{Found, Need, Probe, ProbeError, SyncPath};
pub use publish::{Published, Retired};
pub use seed::sample_seed;
pub use server::{ModelCard, Server};
pub use sync_error::SyncError;
pub use verify::{SyncCheck, SyncProof};
