//! Why a key cannot be used. No message has a part of a key in it.

use std::io;
use std::path::PathBuf;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is not that of a file of the size that a key can have.
    #[error("{} is not a file of at most {limit} bytes", path.display())]
    NotAKeyFile {
        /// The path.
        path: PathBuf,
        /// The most bytes that are read.
        limit: u64,
    },
    /// Others than its owner can read or write the file.
    #[error("{} has mode {mode:04o}; a private key must be for its owner alone, such as 0600", path.display())]
    Permissions {
        /// The path.
        path: PathBuf,
        /// The permission bits.
        mode: u32,
    },
    /// There is no PEM block, or its text is damaged.
    #[error("not a PEM text")]
    Pem,
    /// A PEM block of another kind, such as a public key where a private one is needed.
    #[error("the PEM block is {found:?}; expected {expected}")]
    Label {
        /// Its label.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// The kind of key is another one than P-256 or Ed25519.
    #[error("keys of the algorithm {algorithm} are not supported; P-256 and Ed25519 are")]
    Algorithm {
        /// Its name or object identifier.
        algorithm: String,
    },
    /// The key has the form of a key but no value that one may have.
    #[error("the key is not valid")]
    Invalid,
    /// The private key is encrypted and there is no passphrase.
    #[error("the private key is encrypted; its passphrase is needed")]
    PassphraseNeeded,
    /// The private key is encrypted with a passphrase other than the given one.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// The private key is not encrypted, and there is a passphrase.
    #[error("the private key is not encrypted, but there is a passphrase for it")]
    NotEncrypted,
    /// The private key is encrypted in the way that OpenSSL had before PKCS #8.
    #[error(
        "the private key is encrypted in a way that is not supported; `openssl pkcs8 -topk8` rewrites it"
    )]
    Encryption,
    /// The system has no random numbers.
    #[error("the system gives no random numbers")]
    Random,
}
