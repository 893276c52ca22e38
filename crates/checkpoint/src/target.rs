//! Where an output is to stand: what may be there before, and how it is replaced.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::Builder;

use crate::output::OutputError;

/// The final name of an output, and its directory with links resolved.
#[derive(Debug)]
pub(crate) struct Target {
    parent: PathBuf,
    name: OsString,
}

impl Target {
    pub(crate) fn new(path: &Path) -> Result<Self, OutputError> {
        let Some(name) = path.file_name() else {
            return Err(OutputError::NoName(path.to_owned()));
        };
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Ok(Self {
            parent: fs_err::canonicalize(parent)?,
            name: name.to_owned(),
        })
    }

    pub(crate) fn parent(&self) -> &Path {
        &self.parent
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.parent.join(&self.name)
    }

    /// The beginning of a temporary name beside the target: `.NAME.KIND-`.
    pub(crate) fn hidden_name(&self, kind: &str) -> OsString {
        [
            OsStr::new("."),
            &self.name,
            OsStr::new("."),
            OsStr::new(kind),
            OsStr::new("-"),
        ]
        .into_iter()
        .collect()
    }

    /// Whether there is something that is to be replaced; an error if there is something that must not be.
    pub(crate) fn check_vacant(
        &self,
        force: bool,
        replaceable: impl Fn(&Path) -> bool,
        wanted: &'static str,
    ) -> Result<bool, OutputError> {
        let path = self.path();
        match fs_err::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error.into()),
            Ok(metadata) if metadata.is_symlink() => Err(OutputError::Link(path)),
            Ok(_) if !force => Err(OutputError::Exists(path)),
            Ok(_) if !replaceable(&path) => Err(OutputError::NotReplaceable { path, wanted }),
            Ok(_) => Ok(true),
        }
    }

    /// Checks that no input is the target, contains it or lies in it.
    pub(crate) fn check_apart(&self, inputs: &[PathBuf]) -> Result<(), OutputError> {
        let output = self.path();
        for input in inputs {
            let input = fs_err::canonicalize(input)?;
            if input.starts_with(&output) || output.starts_with(&input) {
                return Err(OutputError::Overlap { output, input });
            }
        }
        Ok(())
    }

    /// Exchanges the old output for the new one and removes it. Where the system cannot exchange two directories, the old one is renamed
    /// aside and the new one into place; if that fails, the old one back.
    pub(crate) fn replace(&self, new: &Path) -> Result<(), OutputError> {
        let aside = Builder::new()
            .prefix(&self.hidden_name("old"))
            .tempdir_in(&self.parent)?;
        let old = aside.path().join(&self.name);
        if exchange(new, &self.path()) {
            // What is at `new` now is the old output; `aside` goes with all that is in it.
            return Ok(fs_err::rename(new, &old)?);
        }
        fs_err::rename(self.path(), &old)?;
        let Err(source) = fs_err::rename(new, self.path()) else {
            return Ok(());
        };
        if fs_err::rename(&old, self.path()).is_err() {
            let kept = aside.keep().join(&self.name);
            return Err(OutputError::NotRestored { kept, source });
        }
        Err(source.into())
    }
}

/// Swaps two directories in one step, if the system and the file system can.
#[cfg(any(target_os = "linux", target_os = "macos"))]
fn exchange(a: &Path, b: &Path) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
}

/// There is no such call.
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
fn exchange(_: &Path, _: &Path) -> bool {
    false
}

/// Makes renames in a directory durable.
#[cfg(unix)]
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    fs_err::File::open(path)?.sync_all()
}

/// Windows has no such call for directories.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_output_is_put_back_if_the_new_one_cannot_take_its_place() {
        let place = tempfile::tempdir().expect("a temporary directory");
        let out = place.path().join("out");
        fs_err::create_dir_all(&out).expect("a directory");
        fs_err::write(out.join("old"), b"x").expect("room");
        let target = Target::new(&out).expect("an existing parent");
        let failed = target
            .replace(&place.path().join("missing"))
            .expect_err("nothing to rename");
        assert!(matches!(failed, OutputError::Io(_)), "{failed}");
        assert_eq!(fs_err::read(out.join("old")).expect("the old file"), b"x");
        assert_eq!(
            fs_err::read_dir(place.path()).expect("a directory").count(),
            1
        );
    }
}
