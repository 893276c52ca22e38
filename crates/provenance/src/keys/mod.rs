//! Keys: ECDSA on P-256, and Ed25519. All other kinds are refused by name.

mod error;
mod pem;
mod private;
mod public;

pub use error::KeyError;
pub use private::PrivateKey;
pub use public::PublicKey;

/// The kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// ECDSA on the curve P-256 with SHA-256: what all verifiers of this ecosystem have.
    P256,
    /// Ed25519.
    Ed25519,
}

impl KeyType {
    /// The word for it: `p256` or `ed25519`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::Ed25519 => "ed25519",
        }
    }
}
