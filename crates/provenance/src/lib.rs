//! What an adapter is, what it applies to and who made it: signatures, statements, policies and the checks of a CI.
//!
//! Signatures and statements:
//! - [`Bundle::parse`] reads a signed file, [`Bundle::verify_with_key`] and [`Bundle::verify_with_identity`] give a
//!   [`Verified`] one, and only that has a [`Statement`] that somebody vouches for.
//! - [`sign()`] makes one with a [`PrivateKey`]; [`oms`] does both for bundles of OpenSSF Model Signing.
//! - [`file_predicate`] and [`run_predicate`] are what is signed: what a file says, and how a [`RunDirectory`] came to it.
//!
//! Checks:
//! - [`Policy::read`] reads what a user wants of an adapter, [`Check`] has the checks and their ids.
//! - [`verify()`] makes those that need no weights and gives a [`Report`]; [`Lock`] pins files.
#![forbid(unsafe_code)]

mod attest;
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
mod run_directory;
mod signature;
mod statement;
mod verify;

pub use attest::{SLSA_PROVENANCE, file_predicate, parse_predicate, run_predicate};
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
pub use run_directory::{RunDirectory, RunError};
pub use signature::{Bundle, BundleError, BundleLines, SignatureError, Verified, sign};
pub use statement::{Statement, StatementError, Subject};
pub use verify::{BundleFile, Evidence, canonical_seed, claim, verify};
