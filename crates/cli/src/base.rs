//! The BASE argument, opened.

use std::cell::RefCell;
use std::collections::BTreeMap;

use tlora_checkpoint::hub::{HubOptions, HubProgress};
use tlora_checkpoint::{BaseLocation, Checkpoint};

use crate::explain::{Subject, no_base};
use crate::failure::Failure;
use crate::progress::Bar;

/// Opens a directory, or the snapshot of a hub id, which is downloaded if need be.
pub(crate) fn open(base: &str, bar: &Bar) -> Result<Checkpoint, Failure> {
    let location = BaseLocation::parse(base).map_err(no_base)?;
    let directory = match location {
        BaseLocation::Directory(directory) => directory,
        BaseLocation::Hub(_) => {
            let options = HubOptions::from_env().map_err(|error| {
                Failure::unknown("the settings of the hub are not usable").caused_by(error)
            })?;
            location
                .fetch(&options, &Download::new(bar))
                .map_err(no_base)?
                .directory
        }
    };
    Checkpoint::open(directory).map_err(|error| {
        Subject {
            base,
            adapters: &[],
        }
        .checkpoint(error)
    })
}

/// Shows a download of several files as one.
struct Download<'a> {
    bar: &'a Bar,
    done: RefCell<BTreeMap<String, u64>>,
}

impl<'a> Download<'a> {
    fn new(bar: &'a Bar) -> Self {
        Self {
            bar,
            done: RefCell::default(),
        }
    }
}

impl HubProgress for Download<'_> {
    fn planned(&self, _files: usize, bytes: u64) {
        self.bar.begin("downloading", bytes);
    }

    fn position(&self, file: &str, done: u64, _size: u64) {
        let mut files = self.done.borrow_mut();
        files.insert(file.to_owned(), done);
        self.bar.set(files.values().sum());
    }

    fn retrying(&self, what: &str, error: &dyn std::error::Error, wait: std::time::Duration) {
        self.bar.note(format_args!(
            "{what}: {error}; trying again in {} s",
            wait.as_secs()
        ));
    }

    fn waiting(&self, file: &str) {
        self.bar.note(format_args!(
            "waiting for another process that downloads {file}"
        ));
    }
}
