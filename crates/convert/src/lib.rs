//! Adapters of other programs: LoRA-XS and PEFT TinyLoRA checkpoints in, PEFT adapters out.
//!
//! - [`convert()`] makes a `.tlora` file of a directory that PEFT or LoRA-XS wrote, and proves that it is the same adapter.
//! - [`export()`] writes a directory that PEFT, transformers and vLLM load.
//!
//! A conversion goes: `source` and `settings` read, `tinylora` or `lora_xs` make a `draft`, `compare` rebuilds its factors
//! and finds signs and corrections, `assemble` makes the file, `prove` compares it with the source again.
#![forbid(unsafe_code)]

mod assemble;
mod base;
mod compare;
mod convert;
mod corrections;
mod draft;
mod draws;
mod error;
mod export;
mod fields;
mod flatten;
mod keys;
mod lora_xs;
mod matching;
mod options;
mod order;
mod projections;
mod prove;
mod rebuilt;
mod report;
mod residual;
mod settings;
mod source;
mod spelling;
mod tinylora;
mod tying;
mod values;
mod vectors;
mod version;

pub use convert::{Converted, convert};
pub use error::ConvertError;
pub use export::{ExportError, ExportFormat, ExportOptions, Exported, ExportedTying, export};
pub use options::{ConvertOptions, EXACT_LIMIT, SINGLE_PRECISION_LIMIT, UNROUNDED_LIMIT};
pub use report::{
    BasisOrigin, BasisReport, ModuleReport, Note, ProjectionOrigin, ProjectionReport, Report,
    ResidualReport, SourceKind, SourceReport,
};
