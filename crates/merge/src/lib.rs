//! Merging adapters into a base checkpoint, and measuring and making adapters.
//!
//! - [`merge()`] writes a merged checkpoint, streaming, whole or not at all (spec §10).
//! - [`merge_approved()`] does so under the limits of a policy, and reads the output once more before it appears.
//! - [`compare()`] says whether a checkpoint is base + adapters, bit for bit.
//! - [`measure()`] says how large an update is and how much of it survives rounding, without writing anything.
//! - [`create()`] makes an adapter for a base.
#![forbid(unsafe_code)]

mod approved;
mod compare;
mod config;
mod create;
mod error;
mod jobs;
mod layout;
mod measure;
mod merge;
mod record;
mod rows;
mod strength;

pub use approved::{Approval, ApprovalRecord, merge_approved};
pub use compare::{Agreement, Compared, FileDifference, FileFault, How, TensorFault, compare};
pub use create::{Created, Groups, Recipe, create};
pub use error::MergeError;
pub use measure::{Measured, OUTPUT_DTYPES, measure};
pub use merge::{MergeOptions, Merged, RECORD, merge};
pub use record::{
    AdapterRecord, MergeRecord, StrengthRecord, TypeRecord, UpdateRecord, file_digest,
};
pub use strength::{Strength, Strengths};
