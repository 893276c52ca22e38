//! Merging adapters into a base checkpoint, and measuring and making adapters.
//!
//! - [`merge()`] writes a merged checkpoint, streaming, whole or not at all (spec §10).
//! - [`measure()`] says how large an update is and how much of it survives rounding, without writing anything.
//! - [`create()`] makes an adapter for a base.
//! - [`plan()`] finds the modules of an adapter and their R; [`digest()`] hashes a base.
#![forbid(unsafe_code)]

mod bases;
mod config;
mod create;
mod error;
mod jobs;
mod known_bases;
mod layout;
mod measure;
mod merge;
mod module;
mod plan;
mod prepare;
mod progress;
mod r_norm;
mod record;
mod rows;
mod store;
mod strength;
mod workers;

pub use bases::BasisNote;
pub use create::{Created, Groups, Recipe, create};
pub use error::{MergeError, Undefined};
pub use known_bases::{Difference, TensorDifference};
pub use measure::{Measured, OUTPUT_DTYPES, measure};
pub use merge::{MergeOptions, Merged, RECORD, merge};
pub use module::ModuleWeight;
pub use plan::{AdaptedModule, plan};
pub use prepare::{Run, digest};
pub use progress::{Progress, Stage};
pub use r_norm::{RNorm, r_norms};
pub use record::{
    AdapterRecord, MergeRecord, StrengthRecord, TypeRecord, UpdateRecord, file_digest,
};
pub use store::Cache;
pub use strength::{Strength, Strengths};
