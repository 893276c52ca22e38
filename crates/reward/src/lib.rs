//! Verifiers: what a completion answers, and whether it is right.
//!
//! A [`Verifier`] scores a batch of [`Answer`]s, each against its gold answer, and says for each by a [`Score`] what it
//! found and by which rule. [`build`] makes one from [`VerifierSettings`], [`build_pair`] the strict and the lenient one
//! that an evaluation reports side by side. [`GoldError`] refuses a gold answer when data are loaded; [`RewardError`] is
//! a verifier that could not do its work at all.
#![forbid(unsafe_code)]

mod command;
mod error;
mod external;
mod extract;
mod gsm8k;
mod http;
mod math;
mod number;
mod numeral;
mod pattern;
mod qwen;
mod settings;
mod verifier;

pub use command::{Command, CommandError, CommandSettings, StderrTail};
pub use error::{GoldError, RewardError};
pub use external::ReplyError;
pub use gsm8k::{Gsm8k, Gsm8kMode, Gsm8kSettings};
pub use http::{Http, HttpError, HttpSettings};
pub use math::{MathEqual, MathMode, MathSettings};
pub use number::{Number, NumberMode, NumberSettings};
pub use pattern::{Pattern, PatternCompare, PatternError, PatternPick, PatternSettings};
pub use qwen::{QwenEval, QwenSettings};
pub use settings::{VerifierPair, VerifierSettings, build, build_pair};
pub use verifier::{Answer, Score, Verifier};
