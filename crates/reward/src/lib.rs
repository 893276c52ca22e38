//! Verifiers: what a completion answers, and whether it is right.
//!
//! A [`Verifier`] scores a batch of [`Answer`]s, each against its gold answer, and says for each by a [`Score`] what it
//! found and by which rule. [`GoldError`] refuses a gold answer when data are loaded; [`RewardError`] is a verifier that
//! could not do its work at all.
#![forbid(unsafe_code)]

mod error;
mod verifier;

pub use error::{GoldError, RewardError};
pub use verifier::{Answer, Score, Verifier};
