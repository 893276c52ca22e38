//! Signed statements: Sigstore bundle v0.3, in it a DSSE envelope, in it an in-toto statement.

mod bundle;
mod bundle_error;
mod dsse;
mod lines;
mod sign;
mod verified;
mod wire;

pub use bundle::Bundle;
pub use bundle_error::BundleError;
pub use lines::BundleLines;
pub use sign::sign;
pub use verified::{SignatureError, Verified};

#[cfg(test)]
mod tests;
