//! What a Hugging Face cache says about a checkpoint by where it stands and what its files link to.
//!
//! `models--OWNER--NAME/snapshots/COMMIT/FILE` links to `models--OWNER--NAME/blobs/ETAG`, and the ETag of a large file is
//! its sha256. These are claims of whoever filled the cache: [`crate::digest_files`] compares them with the bytes.

use std::io;
use std::path::{Path, PathBuf};

use crate::hub::is_commit;

/// A snapshot of a Hugging Face cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSnapshot {
    /// The model's name on the hub, `OWNER/NAME`.
    pub repository: String,
    /// The commit of the files, 40 lower-case hexadecimal digits.
    pub commit: String,
    blobs: PathBuf,
}

impl HubSnapshot {
    /// The snapshot that a directory is, if its real path is that of one.
    ///
    /// # Errors
    /// The directory is gone.
    pub fn of(directory: &Path) -> io::Result<Option<Self>> {
        Ok(Self::of_real(&fs_err::canonicalize(directory)?))
    }

    fn of_real(directory: &Path) -> Option<Self> {
        let snapshots = directory.parent()?;
        let model = snapshots.parent()?;
        let commit = directory.file_name()?.to_str()?;
        let name = model.file_name()?.to_str()?.strip_prefix("models--")?;
        if snapshots.file_name()? != "snapshots" || !is_commit(commit) {
            return None;
        }
        Some(Self {
            repository: name.replacen("--", "/", 1),
            commit: commit.to_owned(),
            blobs: model.join("blobs"),
        })
    }

    /// The name of the blob that a file of the snapshot links to; none for a file that stands in it itself.
    ///
    /// # Errors
    /// The file is gone.
    pub fn blob(&self, file: &Path) -> io::Result<Option<String>> {
        let target = fs_err::canonicalize(file)?;
        let name = (target.parent() == Some(&self.blobs))
            .then(|| target.file_name())
            .flatten();
        Ok(name.and_then(|name| name.to_str()).map(str::to_owned))
    }
}

/// The sha256 that a blob's name claims: a large file's name is one, a small file's is git's SHA-1.
pub(crate) fn claimed_sha256(blob: &str) -> Option<[u8; 32]> {
    let (pairs, rest) = blob.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != 32 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        let digit = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_known_by_its_path() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let at = |path: &str| HubSnapshot::of_real(Path::new(path));
        let snapshot = at(&format!("/c/models--org--name-1/snapshots/{commit}")).unwrap();
        assert_eq!(
            (snapshot.repository.as_str(), snapshot.commit.as_str()),
            ("org/name-1", commit)
        );
        assert_eq!(at("/c/models--org--name/snapshots/main"), None);
        assert_eq!(at(&format!("/c/models--org--name/{commit}")), None);
        assert_eq!(at(&format!("/c/datasets--o--n/snapshots/{commit}")), None);
    }

    #[test]
    fn only_64_hexadecimal_digits_claim_a_sha256() {
        let digits = "00ff".repeat(16);
        assert_eq!(claimed_sha256(&digits).unwrap()[..2], [0, 255]);
        for other in [&digits[..40], &digits[..62], "zz", &"+f".repeat(32)] {
            assert_eq!(claimed_sha256(other), None, "{other}");
        }
    }
}
