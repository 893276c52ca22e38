//! What an adapter is, what it applies to and who made it: signatures, statements, policies and the checks of a CI.
//!
//! Signatures and statements:
//! - [`Bundle::parse`] reads a signed file, [`Bundle::verify_with_key`] and [`Bundle::verify_with_identity`] give a
//!   [`Verified`] one, and only that has a [`Statement`] that somebody vouches for.
//! - [`sign()`] makes one with a [`PrivateKey`]; [`oms`] does both for bundles of OpenSSF Model Signing.
#![forbid(unsafe_code)]

mod encoding;
mod json;
mod keys;
mod signature;
mod statement;

pub use json::JsonError;
pub use keys::{KeyError, KeyType, PrivateKey, PublicKey};
pub use signature::{Bundle, BundleError, BundleLines, SignatureError, Verified, sign};
pub use statement::{Statement, StatementError, Subject};
