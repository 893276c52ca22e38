//! An adapter on its base: its modules, what steers them, and their bases, rebuilt and checked.
//!
//! What merging, measuring, exporting, converting and verifying have in common.
//!
//! - [`plan()`] finds the modules of an adapter and their R; [`ModuleWeight`] reads a module's weight as out × in.
//! - [`prepare()`] plans several adapters and gets all bases, from the cache or computed, and checks them.
//! - [`digest()`] hashes a base; [`ensure_base()`] compares, and [`Difference`] says what is different.
//! - [`share_out()`] gives the modules to threads; [`Progress`] hears of it.
#![forbid(unsafe_code)]

mod base;
mod bases;
mod budget;
mod check;
mod error;
mod known_bases;
mod module;
mod module_basis;
mod plan;
mod prepare;
mod progress;
mod r_norm;
mod store;
mod workers;

pub use base::{Run, digest, ensure_base, plan_all};
pub use bases::{Bases, BasisNote, bases};
pub use error::RebuildError;
pub use known_bases::{Difference, TensorDifference};
pub use module::{ModuleWeight, tensor_dtype, transpose};
pub use module_basis::ModuleBasis;
pub use plan::{AdaptedModule, plan};
pub use prepare::{Prepared, prepare};
pub use progress::{Progress, Stage};
pub use r_norm::{RNorm, r_norms};
pub use store::Cache;
pub use workers::share_out;
