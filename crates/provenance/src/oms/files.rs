//! The files of a model and their digests.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err::File;
use sha2::{Digest, Sha256};

use super::OmsError;

/// A file that is there.
pub(super) struct Found {
    /// Its path below the directory, with `/` between the parts.
    pub(super) name: String,
    pub(super) sha256: [u8; 32],
}

/// What belongs to a copy of a repository and not to the model.
const OF_GIT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// All files below a directory. Stops at the first one that is not signed, so that it reads no more than what is.
pub(super) fn of_directory(
    root: &Path,
    exempt: &[PathBuf],
    is_signed: impl Fn(&str) -> bool,
) -> Result<Vec<Found>, OmsError> {
    let exempt: Vec<PathBuf> = exempt
        .iter()
        .map(fs_err::canonicalize)
        .collect::<Result<_, _>>()?;
    let (mut found, mut left) = (Vec::new(), vec![String::new()]);
    while let Some(directory) = left.pop() {
        for name in names(root, &directory)? {
            let (top, path) = (directory.is_empty(), root.join(&name));
            if top && OF_GIT.contains(&name.as_str()) {
                continue;
            }
            let kind = fs_err::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                left.push(name);
            } else if !kind.is_file() {
                return Err(OmsError::NotAFile(path));
            } else if is_signed(&name) {
                found.push(Found {
                    sha256: sha256(&path)?,
                    name,
                });
            } else if !exempt.contains(&fs_err::canonicalize(&path)?) {
                return Err(OmsError::Unsigned { name });
            }
        }
    }
    Ok(found)
}

/// The paths of a directory's entries below the root, sorted.
fn names(root: &Path, directory: &str) -> Result<Vec<String>, OmsError> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(root.join(directory))? {
        let entry = entry?.file_name();
        // No bundle has a name for what is not Unicode.
        let Some(entry) = entry.to_str() else {
            return Err(OmsError::Unsigned {
                name: entry.to_string_lossy().into_owned(),
            });
        };
        names.push(if directory.is_empty() {
            entry.to_owned()
        } else {
            format!("{directory}/{entry}")
        });
    }
    names.sort();
    Ok(names)
}

pub(super) fn sha256(path: &Path) -> Result<[u8; 32], io::Error> {
    let (mut file, mut hash) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}
