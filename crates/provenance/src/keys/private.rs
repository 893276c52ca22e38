//! Private keys. They are wiped from memory when dropped, and show as their public half.

use std::fmt;
use std::io::Read;
use std::path::Path;

use ed25519_dalek::pkcs8::KeypairBytes;
use fs_err::File;
use p256::ecdsa;
use p256::elliptic_curve::Generate;
use pkcs8::der::Decode;
use pkcs8::{
    EncodePrivateKey, EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument,
};
use zeroize::Zeroizing;

use super::public::check_algorithm;
use super::{KeyError, KeyType, PublicKey, pem};

/// A key that signs.
pub struct PrivateKey {
    key: Key,
    public: PublicKey,
}

enum Key {
    P256(Box<ecdsa::SigningKey>),
    Ed25519(Box<ed25519_dalek::SigningKey>),
}

/// A key file has a few hundred bytes.
const SIZE_LIMIT: u64 = 64 << 10;

impl PrivateKey {
    /// Makes a new key with the system's random numbers.
    ///
    /// # Errors
    /// If the system has none.
    pub fn generate(key_type: KeyType) -> Result<Self, KeyError> {
        match key_type {
            KeyType::P256 => Self::from_p256(
                ecdsa::SigningKey::try_generate()
                    .ok()
                    .ok_or(KeyError::Random)?,
            ),
            KeyType::Ed25519 => {
                // A scalar's bytes are 32 random ones nearly always, but a seed is any 32 bytes.
                let mut seed = Zeroizing::new([0; 32]);
                fill_random(seed.as_mut_slice())?;
                Self::from_ed25519(ed25519_dalek::SigningKey::from_bytes(&seed))
            }
        }
    }

    /// Reads a key file that nobody but its owner can read.
    ///
    /// # Errors
    /// If it cannot be read, its permissions are too wide, or as [`from_pem`](Self::from_pem).
    pub fn read(path: &Path, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let refused = || KeyError::NotAKeyFile {
            path: path.to_owned(),
            limit: SIZE_LIMIT,
        };
        // Looked at before it is opened, since opening a FIFO waits; and again, since only then it stays the same.
        if !fs_err::metadata(path)?.is_file() {
            return Err(refused());
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > SIZE_LIMIT {
            return Err(refused());
        }
        check_mode(path, &metadata)?;
        let mut text = Zeroizing::new(String::new());
        file.take(SIZE_LIMIT).read_to_string(&mut text)?;
        Self::from_pem(&text, passphrase)
    }

    /// Reads a PEM text: PKCS #8 (`PRIVATE KEY`), encrypted PKCS #8 with its passphrase, or the `EC PRIVATE KEY` that
    /// `openssl ecparam -genkey` writes.
    ///
    /// # Errors
    /// If it is none of them, of another algorithm, or the passphrase does not open it.
    pub fn from_pem(text: &str, passphrase: Option<&[u8]>) -> Result<Self, KeyError> {
        let (label, block) = pem::find(text)?;
        match (label, passphrase) {
            ("ENCRYPTED PRIVATE KEY", None) => Err(KeyError::PassphraseNeeded),
            ("ENCRYPTED PRIVATE KEY", Some(passphrase)) => {
                Self::from_pkcs8(&decrypt(&document(block)?, passphrase)?)
            }
            ("PRIVATE KEY" | "EC PRIVATE KEY", Some(_)) => Err(KeyError::NotEncrypted),
            ("PRIVATE KEY", None) => Self::from_pkcs8(&document(block)?),
            ("EC PRIVATE KEY", None) => Self::from_sec1(block),
            (other, _) => Err(KeyError::Label {
                found: other.to_owned(),
                expected: "a private key in PKCS #8",
            }),
        }
    }

    /// The key as a PEM text in PKCS #8, encrypted (scrypt, AES-256-CBC) if there is a passphrase.
    ///
    /// # Errors
    /// If the system has no random numbers for the encryption.
    pub fn to_pem(&self, passphrase: Option<&[u8]>) -> Result<Zeroizing<String>, KeyError> {
        let line_ending = LineEnding::LF;
        let pem = match (&self.key, passphrase) {
            (Key::P256(key), None) => key.to_pkcs8_pem(line_ending),
            (Key::P256(key), Some(secret)) => key.to_pkcs8_encrypted_pem(secret, line_ending),
            (Key::Ed25519(key), None) => seed_only(key).to_pkcs8_pem(line_ending),
            (Key::Ed25519(key), Some(secret)) => {
                seed_only(key).to_pkcs8_encrypted_pem(secret, line_ending)
            }
        };
        pem.ok().ok_or(KeyError::Random)
    }

    /// The other half.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The signature of a message: DER for P-256 (nonce by RFC 6979), 64 bytes for Ed25519. The same message has the
    /// same signature.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        use ecdsa::signature::Signer;
        match &self.key {
            Key::P256(key) => {
                let signature: ecdsa::DerSignature = key.sign(message);
                signature.as_bytes().to_vec()
            }
            Key::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    fn from_pkcs8(document: &SecretDocument) -> Result<Self, KeyError> {
        let info = PrivateKeyInfoRef::from_der(document.as_bytes())
            .ok()
            .ok_or(KeyError::Invalid)?;
        match check_algorithm(&info.algorithm.oid, info.algorithm.parameters_oid().ok())? {
            KeyType::P256 => Self::from_p256(info.try_into().ok().ok_or(KeyError::Invalid)?),
            KeyType::Ed25519 => Self::from_ed25519(info.try_into().ok().ok_or(KeyError::Invalid)?),
        }
    }

    fn from_sec1(block: &str) -> Result<Self, KeyError> {
        if block.contains("Proc-Type:") {
            return Err(KeyError::Encryption);
        }
        let secret = p256::SecretKey::from_sec1_pem(block);
        Self::from_p256(secret.ok().ok_or(KeyError::Invalid)?.into())
    }

    fn from_p256(key: ecdsa::SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_p256(*key.verifying_key())?;
        Ok(Self {
            key: Key::P256(Box::new(key)),
            public,
        })
    }

    fn from_ed25519(key: ed25519_dalek::SigningKey) -> Result<Self, KeyError> {
        let public = PublicKey::from_ed25519(key.verifying_key())?;
        Ok(Self {
            key: Key::Ed25519(Box::new(key)),
            public,
        })
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey(of {:?})", self.public)
    }
}

/// Without the public half, with which OpenSSL cannot read it.
fn seed_only(key: &ed25519_dalek::SigningKey) -> KeypairBytes {
    KeypairBytes {
        secret_key: key.to_bytes(),
        public_key: None,
    }
}

fn document(block: &str) -> Result<SecretDocument, KeyError> {
    SecretDocument::from_pem(block)
        .map(|(_, document)| document)
        .ok()
        .ok_or(KeyError::Pem)
}

fn decrypt(document: &SecretDocument, passphrase: &[u8]) -> Result<SecretDocument, KeyError> {
    let encrypted = EncryptedPrivateKeyInfoRef::from_der(document.as_bytes())
        .ok()
        .ok_or(KeyError::Encryption)?;
    encrypted
        .decrypt(passphrase)
        .ok()
        .ok_or(KeyError::WrongPassphrase)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), KeyError> {
    getrandom::fill(bytes).ok().ok_or(KeyError::Random)
}

#[cfg(unix)]
fn check_mode(path: &Path, metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;

    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "the permissions of other systems are not looked at"
)]
fn check_mode(_path: &Path, _metadata: &std::fs::Metadata) -> Result<(), KeyError> {
    Ok(())
}
