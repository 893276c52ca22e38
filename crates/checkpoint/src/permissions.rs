//! Modes of output files; systems without modes keep their defaults.

use std::io;
use std::path::Path;

/// A directory that only its owner can use.
pub(crate) const PRIVATE: u32 = 0o700;
/// A directory that all can read.
pub(crate) const DIRECTORY: u32 = 0o755;
/// A file that all can read.
pub(crate) const FILE: u32 = 0o644;

#[cfg(unix)]
pub(crate) fn set(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn set(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
