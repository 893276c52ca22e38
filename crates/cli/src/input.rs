//! Files that somebody named: a FIFO would wait for a writer, and a device or a huge file would fill the memory.

use std::io::{self, Read};
use std::path::Path;

use fs_err::File;

/// Opens a regular file, or a link to one.
///
/// # Errors
/// It is something else, or cannot be opened; the message names it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    // Before opening: opening a FIFO waits.
    if fs_err::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::Error::other(format!(
            "{} is not a regular file",
            path.display()
        )))
    }
}

/// The format lets factors take 4 GiB. A file of them that is larger than this is larger than any LoRA.
const MAX_ADAPTER: u64 = 1 << 28;

/// Opens an adapter.
///
/// # Errors
/// It is no regular file, is larger than any that is read, or cannot be opened; the message names it.
pub(crate) fn open_adapter(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    if length > MAX_ADAPTER {
        return Err(io::Error::other(format!(
            "{} has {length} bytes; at most {MAX_ADAPTER} are read",
            path.display()
        )));
    }
    Ok(file)
}

/// The bytes of a regular file, or of what a link to one leads to.
///
/// # Errors
/// It is something else, has more than `limit` bytes, or reading fails; the message names it.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    open(path)?;
    read(path, limit)
}

/// The bytes of a file, or of a pipe that the user's own shell made.
///
/// # Errors
/// There are more than `limit`, or reading fails; the message names the file.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let found = File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if found as u64 > limit {
        return Err(io::Error::other(format!(
            "{} has more than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
