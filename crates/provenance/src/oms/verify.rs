//! Checking a file or a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::OmsError;
use super::files::{self, Found};
use super::predicate::{SINGLE_FILE, resources};
use crate::encoding::to_hex;
use crate::{Bundle, PublicKey, Verified};

/// Checks that `key` signed the model at `path`: a single file, or every file of a directory.
///
/// All files of a directory must be signed, except those of git at its top (`.git`, `.gitattributes`, `.github`,
/// `.gitignore`) and the `exempt` ones, which the caller knows for the bundle itself. What the signer wanted ignored
/// does not count.
///
/// # Errors
/// If the signature does not hold, or a file is missing, changed, not signed, or a link.
pub fn verify<'a>(
    bundle: &'a Bundle,
    key: &PublicKey,
    path: &Path,
    exempt: &[PathBuf],
) -> Result<Verified<'a>, OmsError> {
    let verified = bundle.verify_with_key(key)?;
    let mut signed = resources(verified.statement())?;
    let found = if fs_err::metadata(path)?.is_dir() {
        files::of_directory(path, exempt, |name| signed.contains_key(name))?
    } else {
        vec![single(path, &signed)?]
    };
    for Found { name, sha256 } in found {
        match signed.remove(&name) {
            Some(expected) if expected == sha256 => {}
            Some(expected) => {
                let (expected, found) = (to_hex(&expected), to_hex(&sha256));
                return Err(OmsError::Changed {
                    name,
                    expected,
                    found,
                });
            }
            None => return Err(OmsError::Unsigned { name }),
        }
    }
    match signed.into_keys().next() {
        Some(name) => Err(OmsError::Missing { name }),
        None => Ok(verified),
    }
}

/// The one file, under the name that the bundle has for it: `.` as `model_signing` writes, or the file's own as the
/// standard says.
fn single(path: &Path, signed: &BTreeMap<String, [u8; 32]>) -> Result<Found, OmsError> {
    let own = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = if signed.contains_key(SINGLE_FILE) {
        SINGLE_FILE.to_owned()
    } else {
        own
    };
    Ok(Found {
        name,
        sha256: files::sha256(path)?,
    })
}
