//! The `.tlora` file: bytes to and from an [`Adapter`], as `spec/tlora.md` §1-§4 defines it.
//!
//! [`Adapter::parse`] and [`Adapter::to_bytes`] are each other's inverse: there is one byte string for each adapter.
//! [`Adapter::new`] builds one from [`AdapterFields`]. [`groups`] says which module is in which group, [`layout()`] what
//! each byte of a file means.
#![forbid(unsafe_code)]
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod adapter;
mod canonical;
mod class;
mod codes;
mod corrections;
mod cursor;
mod digest;
mod error;
mod explicit;
mod fit;
mod grouping;
mod header;
mod layout;
mod modules;
mod parse;
mod precision;
mod section;
mod size;
mod targets;
mod text;
mod values;
mod write;

pub use adapter::*;
pub use class::FailureClass;
pub use corrections::{Correction, Corrections};
pub use digest::{BaseDigest, ParseDigestError};
pub use error::{ParseError, PerModule};
pub use fit::InvalidAdapter;
pub use grouping::{Grouping, WrongModuleCount, groups, paper_grouping, peft_grouping};
pub use header::{HEADER_LENGTH, MAGIC};
pub use layout::{Field, layout};
pub use precision::{NotFinite, Precision};
pub use size::{ReadError, size_limit};
pub use targets::{STANDARD_TARGETS, TargetModules};
