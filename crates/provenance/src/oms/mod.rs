//! Bundles of OpenSSF Model Signing 1.0, in the form that `model_signing` 1.1.1 writes and verifies.
//!
//! It names its subject by a digest over the digests of all files, so one bundle cannot be both this and the attestation
//! of a file. Resources have names, but no file is opened by a name from a bundle: the files that are there are hashed,
//! and their names looked up.

mod error;
mod files;
mod predicate;
mod sign;
mod verify;

pub use error::OmsError;
pub use sign::sign;
pub use verify::verify;

/// The one predicate type. The older `https://model_signing/Digests/v0.1`, which signs less, is refused.
pub const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
