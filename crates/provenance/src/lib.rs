//! What an adapter is, what it applies to and who made it: signatures, statements, policies and the checks of a CI.
//!
//! Signatures and statements:
//! - [`Bundle::parse`] reads a signed file, [`Bundle::verify_with_key`] and [`Bundle::verify_with_identity`] give a
//!   [`Verified`] one, and only that has a [`Statement`] that somebody vouches for.
//! - [`sign()`] makes one with a [`PrivateKey`]; [`oms`] does both for bundles of OpenSSF Model Signing.
//!
//! Checks:
//! - [`Policy::read`] reads what a user wants of an adapter, [`Check`] has the checks and their ids.
#![forbid(unsafe_code)]

mod check;
mod encoding;
mod json;
#[cfg(feature = "keyless")]
mod keyless;
mod keys;
mod policy;
mod signature;
mod statement;

pub use check::{Check, Group, Outcome};
pub use json::JsonError;
#[cfg(feature = "keyless")]
pub use keyless::{TrustedRoot, TrustedRootError};
pub use keys::{KeyError, KeyType, PrivateKey, PublicKey};
pub use policy::{
    ClaimPolicy, Date, Deny, Limits, Policy, PolicyBase, PolicyError, SeedRule, Signer,
    SignerIdentity,
};
pub use signature::{Bundle, BundleError, BundleLines, SignatureError, Verified, sign};
pub use statement::{Statement, StatementError, Subject};
