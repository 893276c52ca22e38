//! What a person looks at of a training: nothing here trains, and nothing here needs a model.
//!
//! - [`Run`]: a run directory as it was read, with its numbers before and after in [`Summary`].
//! - [`page()`]: the report of a run, one HTML file that needs nothing else.
//! - [`EventFile`] with [`metric_scalars`]: what TensorBoard reads.
//! - [`SweepRow`], [`comparison()`]: many runs beside each other.
//! - [`Figure`]: accuracy against the number of trained parameters, as a file of its own; [`reward_figure`]: rewards of several runs.
//!
//! The same input gives the same bytes: no clock, no random numbers, logarithms by `libm`.
#![forbid(unsafe_code)]

mod accuracy;
mod axis;
mod chart;
mod charts;
mod comparison;
mod crc32c;
mod error;
mod event;
mod event_file;
mod figure;
mod heat_map;
mod html;
mod lines;
mod number;
mod page;
mod records;
mod run;
mod sample_browser;
mod samples;
mod scalars;
mod summary;
mod sweep;

pub use accuracy::Accuracy;
pub use comparison::comparison;
pub use error::ReportError;
pub use event_file::EventFile;
pub use figure::{Figure, FigureSeries, reward_figure};
pub use page::page;
pub use records::{Evaluation, Metrics, Mismatch, SampleRecord, Timing};
pub use run::{Ending, Provenance, Run, VStep};
pub use samples::Samples;
pub use scalars::metric_scalars;
pub use summary::{Change, Summary};
pub use sweep::{Status, SweepRow, mean};
