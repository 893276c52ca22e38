//! Output that appears whole or not at all: a temporary sibling, then a rename.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use tempfile::{Builder, TempDir};

use crate::permissions;
use crate::target::{Target, sync_directory};

/// A directory that is being written under a temporary name beside its final one.
///
/// It is removed when dropped, unless it was published.
#[derive(Debug)]
pub struct OutputDirectory {
    target: Target,
    temporary: TempDir,
    force: bool,
}

/// What an output directory must heed.
#[derive(Debug, Clone, Copy)]
pub struct OutputOptions<'a> {
    /// Replace an existing checkpoint.
    pub force: bool,
    /// Existing files and directories that the output must neither replace nor lie in, links resolved
    /// ([`Checkpoint::real_paths`](crate::Checkpoint::real_paths)).
    pub inputs: &'a [PathBuf],
    /// How many bytes will be written.
    pub bytes: u64,
}

/// Why output cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// The path ends in `..` or is a root.
    #[error("{} is not a name for an output", .0.display())]
    NoName(PathBuf),
    /// There is something already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// There is a link, which a rename would replace rather than follow.
    #[error("{} is a symbolic link", .0.display())]
    Link(PathBuf),
    /// What stands there is not what this output could have written.
    #[error("{} exists and is not {wanted}; it is not replaced", path.display())]
    NotReplaceable {
        /// The output.
        path: PathBuf,
        /// What would be replaced.
        wanted: &'static str,
    },
    /// Publishing the output would destroy an input, or write into it.
    #[error("the output {} and the input {} lie in one another", output.display(), input.display())]
    Overlap {
        /// The output.
        output: PathBuf,
        /// The input.
        input: PathBuf,
    },
    /// The file system is too full.
    #[error("{} has room for {available} bytes; {needed} are needed", path.display())]
    Space {
        /// The directory that the output is to stand in.
        path: PathBuf,
        /// Bytes that will be written.
        needed: u64,
        /// Bytes that are free.
        available: u64,
    },
    /// The new output could not be put in place, nor the old one back.
    #[error("cannot put the output in place; the old one is kept as {}", kept.display())]
    NotRestored {
        /// Where the old output is.
        kept: PathBuf,
        /// Why the new one could not be renamed.
        source: io::Error,
    },
    /// Input or output failed; the message names the path.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl OutputDirectory {
    /// Checks that `path` can become the output, and creates the temporary directory, readable by its owner alone.
    ///
    /// # Errors
    /// The path is taken (and not by a checkpoint that `force` replaces), a link, or entangled with an input; the
    /// disk is too full; the parent does not exist or cannot be written.
    pub fn create(path: &Path, options: &OutputOptions<'_>) -> Result<Self, OutputError> {
        let target = Target::new(path)?;
        target.check_vacant(options.force, is_checkpoint, "a checkpoint")?;
        target.check_apart(options.inputs)?;
        let (needed, available) = (options.bytes, fs4::available_space(target.parent())?);
        if needed > available {
            return Err(OutputError::Space {
                path: target.parent().to_owned(),
                needed,
                available,
            });
        }
        let temporary = Builder::new()
            .prefix(&target.hidden_name("partial"))
            .tempdir_in(target.parent())?;
        permissions::set(temporary.path(), permissions::PRIVATE)?;
        Ok(Self {
            target,
            temporary,
            force: options.force,
        })
    }

    /// The temporary directory.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Creates a file of `len` bytes, to be filled with [`write_all_at`](crate::write_all_at).
    ///
    /// # Errors
    /// The file exists already or cannot be created.
    pub fn create_file(&self, name: &str, len: u64) -> Result<File, OutputError> {
        let file = File::create_new(self.path().join(name))?;
        file.set_len(len)?;
        Ok(file)
    }

    /// Writes a whole file.
    ///
    /// # Errors
    /// The file exists already or cannot be written.
    pub fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), OutputError> {
        File::create_new(self.path().join(name))?.write_all(bytes)?;
        Ok(())
    }

    /// Copies a file, with the means of the file system where it has any.
    ///
    /// # Errors
    /// One of the files cannot be read or written.
    pub fn copy_file(&self, from: &Path, name: &str) -> Result<(), OutputError> {
        fs_err::copy(from, self.path().join(name))?;
        Ok(())
    }

    /// Makes everything durable and readable, and renames the directory to its final name.
    ///
    /// An old output is exchanged for the new one in one step where the system can, and then removed.
    ///
    /// # Errors
    /// The disk fails, or the path was taken in the meantime.
    pub fn publish(self) -> Result<(), OutputError> {
        for entry in fs_err::read_dir(self.path())? {
            let path = entry?.path();
            permissions::set(&path, permissions::FILE)?;
            File::options().write(true).open(&path)?.sync_all()?;
        }
        permissions::set(self.path(), permissions::DIRECTORY)?;
        sync_directory(self.path())?;
        let target = &self.target;
        if target.check_vacant(self.force, is_checkpoint, "a checkpoint")? {
            target.replace(self.path())?;
        } else {
            fs_err::rename(self.path(), target.path())?;
        }
        sync_directory(target.parent())?;
        drop(self.temporary.keep());
        Ok(())
    }
}

/// Writes a whole file, readable by all; with `force` it replaces a file of that name.
///
/// # Errors
/// As [`OutputDirectory::create`] and [`OutputDirectory::publish`].
pub fn write_file_atomically(path: &Path, bytes: &[u8], force: bool) -> Result<(), OutputError> {
    let target = Target::new(path)?;
    target.check_vacant(force, Path::is_file, "a file")?;
    let mut temporary = Builder::new()
        .prefix(&target.hidden_name("partial"))
        .tempfile_in(target.parent())?;
    temporary.write_all(bytes)?;
    permissions::set(temporary.path(), permissions::FILE)?;
    temporary.as_file().sync_all()?;
    let persisted = if force {
        temporary.persist(target.path())
    } else {
        temporary.persist_noclobber(target.path())
    };
    match persisted {
        Ok(_) => Ok(sync_directory(target.parent())?),
        Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
            Err(OutputError::Exists(target.path()))
        }
        Err(failed) => Err(failed.error.into()),
    }
}

/// Whether a directory is empty or has weights: `--force` with a mistyped path must not remove somebody's home.
fn is_checkpoint(path: &Path) -> bool {
    let Ok(entries) = fs_err::read_dir(path) else {
        return false;
    };
    let names: Vec<_> = entries
        .flatten()
        .map(|entry| PathBuf::from(entry.file_name()))
        .collect();
    names.is_empty()
        || names.iter().any(|name| {
            name.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
}
