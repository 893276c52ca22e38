//! An event file, which TensorBoard shows while it grows.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::ReportError;
use crate::event::{What, record};

/// An open event file.
#[derive(Debug)]
pub struct EventFile {
    file: fs_err::File,
}

impl EventFile {
    /// A new file in a directory, which is made if it is not there. `step` is the first step that it will have: what older
    /// files of the directory have from that step on is no longer shown, so that a resumed run replaces what it repeats.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn create(directory: &Path, step: u64, wall_time: f64) -> Result<Self, ReportError> {
        fs_err::create_dir_all(directory)?;
        let mut file = Self {
            file: unused(directory, wall_time)?,
        };
        file.write(&record(wall_time, 0, &What::Version))?;
        file.write(&record(wall_time, step, &What::Start))?;
        Ok(file)
    }

    /// Numbers of a step by their tags, as one event.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn scalars(
        &mut self,
        step: u64,
        wall_time: f64,
        scalars: &[(&str, f32)],
    ) -> Result<(), ReportError> {
        self.write(&record(wall_time, step, &What::Scalars(scalars)))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.path().to_owned()
    }

    /// A record at once, so that a reader never sees half of one that will not be finished.
    fn write(&mut self, record: &[u8]) -> Result<(), ReportError> {
        Ok(self.file.write_all(record)?)
    }
}

/// Files of a directory are read in the order of their names: the time, then a number for those of the same second.
fn unused(directory: &Path, wall_time: f64) -> Result<fs_err::File, ReportError> {
    let mut number = 0_u32;
    loop {
        let name = format!(
            "events.out.tfevents.{:010.0}.{number:04}.tlora",
            wall_time.floor()
        );
        let mut options = fs_err::OpenOptions::new();
        let opened = options
            .write(true)
            .create_new(true)
            .open(directory.join(name));
        match opened {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            opened => return Ok(opened?),
        }
    }
}
