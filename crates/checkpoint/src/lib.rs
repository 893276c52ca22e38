//! Hugging Face checkpoint directories: strict reading, the base digest `tmd1`, module discovery, deterministic writing.
//!
//! - [`Checkpoint::open`] reads `model.safetensors` or the shards of an index, by the rules C1-C8 of `spec/tlora.md` §9.
//! - [`tmd1`] computes the digest that a `.tlora` file names its base by.
//! - [`digest_files`] gives the sha256 of each file as well, and what the Hugging Face cache says of them.
//! - [`modules()`] lists the linear layers that an adapter steers, in the order of §5.2.
//! - [`ShardLayout`] and [`OutputDirectory`] write the merged checkpoint of §10.
//! - [`BaseLocation`] reads a command's BASE argument; [`hub`] fetches a base by its hub id (feature `hub`).
//! - [`basis_cache`] keeps rebuilt bases between runs.
#![forbid(unsafe_code)]

mod base_location;
pub mod basis_cache;
mod checkpoint;
mod companions;
mod config;
mod dtype;
mod error;
mod file_hash;
mod files;
mod header;
pub mod hub;
mod hub_snapshot;
mod index;
mod layout;
mod loose;
mod modules;
mod output;
mod permissions;
mod pieces;
mod positioned;
mod quantised;
mod source;
mod target;
mod targets;
pub mod tmd1;

pub use base_location::{Base, BaseLocation, BaseLocationError};
pub use checkpoint::{Checkpoint, Shard, TensorInfo};
pub use companions::{Companion, Companions, LeftOut, can_be_code, companion_files};
pub use config::{Config, read_json_object};
pub use dtype::Dtype;
pub use error::{CheckpointError, HeaderError, IndexError, ModuleError};
pub use files::{DigestedFiles, FileDigest, digest_files, hexadecimal};
pub use hub_snapshot::HubSnapshot;
pub use layout::{LayoutError, ShardLayout, Slot, index_json};
pub use modules::{Module, modules, modules_exactly};
pub use output::{OutputDirectory, OutputError, OutputOptions, write_file_atomically};
pub use positioned::write_all_at;
pub use quantised::Quantisation;
pub use targets::{default_targets, stores_transposed};
