//! Keys and their passphrases. Neither is ever an argument, which every user of a machine can see, nor in a message.

use std::path::Path;

use tlora_provenance::{KeyError, PrivateKey};
use zeroize::Zeroizing;

use crate::arguments::PassphraseOption;
use crate::failure::Failure;
use crate::input;

/// The environment variable with a passphrase.
const VARIABLE: &str = "TLORA_KEY_PASSPHRASE";
/// The most bytes of a file with a passphrase.
const LIMIT: u64 = 4096;

/// Reads a private key. A passphrase in the environment is for keys that are encrypted; one in a file wants an encrypted
/// key.
pub(crate) fn read(path: &Path, option: &PassphraseOption) -> Result<PrivateKey, Failure> {
    let given = from_file(option)?;
    let key = match PrivateKey::read(path, given.as_ref().map(|text| text.as_slice())) {
        Err(KeyError::PassphraseNeeded) => match from_environment() {
            Some(text) => PrivateKey::read(path, Some(&text)),
            None => Err(KeyError::PassphraseNeeded),
        },
        read => read,
    };
    key.map_err(|error| explain(path, error))
}

/// The passphrase for a new key, if there is to be one.
pub(crate) fn passphrase(option: &PassphraseOption) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    Ok(from_file(option)?.or_else(from_environment))
}

fn from_file(option: &PassphraseOption) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let Some(path) = &option.passphrase_file else {
        return Ok(None);
    };
    let unusable = || Failure::unknown("the passphrase cannot be used");
    let text = input::read(path, LIMIT).map_err(|error| unusable().caused_by(error))?;
    let text = Zeroizing::new(text);
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Err(unusable().hint(format!("the first line of {} is empty", path.display())));
    }
    Ok(Some(Zeroizing::new(line.to_vec())))
}

fn from_environment() -> Option<Zeroizing<Vec<u8>>> {
    let text = std::env::var(VARIABLE).ok().map(Zeroizing::new)?;
    (!text.is_empty()).then(|| Zeroizing::new(text.as_bytes().to_vec()))
}

fn explain(path: &Path, error: KeyError) -> Failure {
    let hint = match &error {
        KeyError::Permissions { .. } => Some(format!("chmod 600 {}", path.display())),
        KeyError::PassphraseNeeded => Some(format!(
            "give it in --passphrase-file, or in the environment variable {VARIABLE}"
        )),
        KeyError::Algorithm { .. } => Some("`tlora keygen` makes a key".to_owned()),
        KeyError::Label { found, .. } if found == "PUBLIC KEY" => {
            Some("signing takes the private key; this is the public one".to_owned())
        }
        _ => None,
    };
    let failure = Failure::unknown(format!("{} cannot sign", path.display())).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
