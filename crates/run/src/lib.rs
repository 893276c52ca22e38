//! A training run on disk: what it was told and what it left.
//!
//! - [`RunConfig`] is everything that a run depends on; [`mod@config`] makes it of a preset, a file and single settings.
//! - [`mod@data`] reads problems and says in which order a run takes them.
//! - [`PromptTemplate`] makes a question the text of a prompt.
#![forbid(unsafe_code)]

pub mod config;
pub mod data;
pub mod prompt;

pub use config::{ConfigError, RunConfig};
pub use data::{Cursor, DataError, Problem, Problems};
pub use prompt::{PromptTemplate, Rendered, Turn};
