//! The directory of a version: written under a hidden name, made durable, then renamed. It appears whole or not at all.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::Builder;

/// Writes `{directory}/{name}-v{step}` and returns its absolute path. `write` fills a directory that is not the final one yet. What
/// it leaves may be read by everybody, since the server can be another user.
///
/// # Errors
/// The path is taken (a version is never replaced, because servers go by its name); `write` fails; the disk does.
pub fn write_versioned<E: From<io::Error>>(
    directory: &Path,
    name: &str,
    step: u64,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<PathBuf, E> {
    let directory = std::path::absolute(directory)?;
    let version = format!("{name}-v{step}");
    let path = directory.join(&version);
    if path.symlink_metadata().is_ok() {
        let text = format!("{} exists already", path.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text).into());
    }
    let temporary = Builder::new()
        .prefix(&format!(".{version}."))
        .tempdir_in(&directory)?;
    write(temporary.path())?;
    open_up(temporary.path())?;
    fs::rename(temporary.path(), &path)?;
    // Its old name is gone; there is nothing to remove.
    let _renamed: PathBuf = temporary.keep();
    sync_directory(&directory)?;
    Ok(path)
}

/// Makes files durable and readable, then their directory.
fn open_up(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            open_up(&path)?;
            continue;
        }
        set_mode(&path, 0o644)?;
        fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)?
            .sync_all()?;
    }
    set_mode(directory, 0o755)?;
    sync_directory(directory)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_directory(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Windows has no such call for directories.
#[cfg(not(unix))]
fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let failed: io::Result<PathBuf> = write_versioned(place.path(), "run", 3, |path| {
            fs::write(path.join("half"), "x")?;
            Err(io::Error::other("the disk"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "the disk");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
        let path = write_versioned(place.path(), "run", 3, |path| {
            fs::write(path.join("whole"), "x")
        })
        .unwrap();
        assert_eq!(path, place.path().join("run-v3"));
        assert_eq!(fs::read(path.join("whole")).unwrap(), b"x");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        let again = write_versioned(place.path(), "run", 3, |_| Ok::<(), io::Error>(()));
        assert!(
            again
                .unwrap_err()
                .to_string()
                .ends_with("run-v3 exists already")
        );
    }
}
