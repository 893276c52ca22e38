//! `tlora keygen`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use tlora_provenance::{KeyType, PrivateKey};

use crate::arguments::{KeyTypeOption, KeygenOptions};
use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::key_file;
use crate::terminal::note;

pub(crate) fn run(options: &KeygenOptions) -> Result<Exit, Failure> {
    let (private, public) = (options.output.as_path(), beside(&options.output));
    for path in [private, &public] {
        if fs_err::symlink_metadata(path).is_ok() {
            return Err(
                Failure::unknown(format!("{} exists already", path.display()))
                    .hint("a key is never replaced: whatever it signed could not be made again"),
            );
        }
    }
    let passphrase = key_file::passphrase(&options.passphrase)?;
    let passphrase = passphrase.as_ref().map(|text| text.as_slice());
    let failed = |error| Failure::unknown("no key was made").caused_by(error);
    let key = PrivateKey::generate(options.key_type.into()).map_err(failed)?;
    let pem = key.to_pem(passphrase).map_err(failed)?;
    write(private, &public, &pem, key.public_key().to_pem())
        .map_err(|error| Failure::unknown("no key was made").caused_by(error))?;
    let kind = if passphrase.is_some() {
        "encrypted"
    } else {
        "not encrypted"
    };
    note(format_args!(
        "wrote {}, the private key, {kind}, and {}, the public one",
        Untrusted(private.display()),
        Untrusted(public.display())
    ));
    note(format_args!(
        "fingerprint  {}",
        key.public_key().fingerprint()
    ));
    Ok(Exit::Done)
}

/// `FILE.pub`.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

/// Writes both halves or neither.
fn write(private: &Path, public: &Path, private_pem: &str, public_pem: &str) -> io::Result<()> {
    write_new(owner_only(), private, private_pem)?;
    write_new(File::options(), public, public_pem).inspect_err(|_| {
        // It is ours, and of no use without its other half.
        let _already_gone = fs_err::remove_file(private);
    })
}

fn write_new(mut options: OpenOptions, path: &Path, text: &str) -> io::Result<()> {
    let mut file = options.write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A file that is for its owner alone from the moment it exists.
fn owner_only() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "modes are of Unix"))]
    let mut options = File::options();
    #[cfg(unix)]
    {
        use fs_err::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

impl From<KeyTypeOption> for KeyType {
    fn from(option: KeyTypeOption) -> Self {
        match option {
            KeyTypeOption::P256 => Self::P256,
            KeyTypeOption::Ed25519 => Self::Ed25519,
        }
    }
}
