//! Opening the files of a checkpoint directory.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use fs_err::File;

use crate::error::CheckpointError;

/// Opens the file `name` of the directory, if it is a regular file that lies in the checkpoint.
pub(crate) fn open(dir: &Path, name: &str) -> Result<File, CheckpointError> {
    let path = resolve(dir, name)?;
    Ok(File::open(path)?)
}

/// The path of the file `name`, checked to be a regular file in the directory, or one that a link of the Hugging Face
/// cache leads to.
pub(crate) fn resolve(dir: &Path, name: &str) -> Result<PathBuf, CheckpointError> {
    let path = dir.join(name);
    // Before opening: opening a FIFO would wait for a writer.
    if !fs_err::metadata(&path)?.is_file() {
        return Err(CheckpointError::NotAFile(path));
    }
    if fs_err::symlink_metadata(&path)?.is_symlink() {
        let target = fs_err::canonicalize(&path)?;
        if !target.starts_with(fs_err::canonicalize(dir)?) && !is_cache_blob(&target) {
            return Err(CheckpointError::LinkOutside { path, target });
        }
    }
    Ok(path)
}

/// Whether the path is `models--OWNER--NAME/blobs/HASH`, as the Hugging Face cache stores files.
fn is_cache_blob(path: &Path) -> bool {
    let mut parents = path
        .ancestors()
        .skip(1)
        .map(|parent| parent.file_name().unwrap_or_default());
    parents.next().is_some_and(|name| name == "blobs")
        && parents
            .next()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"models--"))
}

/// The bytes of a JSON file of the directory, if the file exists. What is made of them takes up to sixty times as much
/// memory, so `limit` is what the largest public model needs, several times over.
pub(crate) fn read_json_file(
    dir: &Path,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, CheckpointError> {
    let file = match open(dir, name) {
        Ok(file) => file,
        Err(CheckpointError::Io(error))
            if error.kind() == io::ErrorKind::NotFound && !exists(dir, name) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let found = file.metadata()?.len();
    if found > limit {
        return Err(CheckpointError::TooLarge {
            file: dir.join(name),
            found,
            limit,
        });
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether there is anything of that name, a dangling link included: an index that cannot be followed is not absent.
fn exists(dir: &Path, name: &str) -> bool {
    fs_err::symlink_metadata(dir.join(name)).is_ok()
}
