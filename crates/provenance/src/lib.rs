//! What an adapter is, what it applies to and who made it: signatures, statements, policies and the checks of a CI.
//!
//! Signatures and statements:
//! - [`Bundle::parse`] reads a signed file, [`Bundle::verify_with_key`] and [`Bundle::verify_with_identity`] give a
//!   [`Verified`] one, and only that has a [`Statement`] that somebody vouches for.
//! - [`sign()`] makes one with a [`PrivateKey`]; [`oms`] does both for bundles of OpenSSF Model Signing.
//!
//! Checks:
//! - [`Policy::read`] reads what a user wants of an adapter, [`Check`] has the checks and their ids.
//! - [`verify()`] makes those that need no weights and gives a [`Report`]; [`Lock`] pins files.
#![forbid(unsafe_code)]

mod check;
mod encoding;
mod json;
#[cfg(feature = "keyless")]
mod keyless;
mod keys;
mod lock;
pub mod oms;
mod policy;
mod report;
mod signature;
mod statement;
mod verify;

pub use check::{Check, Group, Outcome};
pub use json::JsonError;
#[cfg(feature = "keyless")]
pub use keyless::{TrustedRoot, TrustedRootError};
pub use keys::{KeyError, KeyType, PrivateKey, PublicKey};
pub use lock::{Lock, LockError, Pinned};
pub use policy::{
    ClaimPolicy, Date, Deny, Limits, Policy, PolicyBase, PolicyError, SeedRule, Signer,
    SignerIdentity,
};
pub use report::{Finding, Report, Verdict};
pub use signature::{Bundle, BundleError, BundleLines, SignatureError, Verified, sign};
pub use statement::{Statement, StatementError, Subject};
pub use verify::{BundleFile, Evidence, canonical_seed, claim, verify};
