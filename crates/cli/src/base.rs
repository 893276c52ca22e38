//! The BASE argument, opened; and files of data, which may be on the hub too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

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
            location
                .fetch(&hub_options()?, &Download::new(bar))
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

/// What names of files on the hub begin with, as in Python's `huggingface_hub`.
const DATASET: &str = "hf://datasets/";

/// A file of problems on this machine. `hf://datasets/org/name[@revision]/FILE` is one on the hub, which is downloaded if need be.
pub(crate) fn data(path: &Path, bar: &Bar) -> Result<PathBuf, Failure> {
    let Some(name) = path.to_str().and_then(|text| text.strip_prefix(DATASET)) else {
        return Ok(path.to_owned());
    };
    // The revision of a name may have no folders of its own here.
    let mut parts = name.splitn(3, '/');
    let (Some(org), Some(repository), Some(file)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(
            Failure::unknown(format!("{DATASET}{name} names no file")).hint(format!(
                "the form is {DATASET}org/name/FILE or {DATASET}org/name@revision/FILE"
            )),
        );
    };
    dataset(&format!("{org}/{repository}"), file, bar)
}

#[cfg(not(feature = "hub"))]
fn dataset(id: &str, file: &str, _bar: &Bar) -> Result<PathBuf, Failure> {
    Err(
        Failure::unknown("this build cannot download from the hub").hint(format!(
            "build with the feature `hub`, or fetch it with `hf download --repo-type dataset {id} {file}`"
        )),
    )
}

#[cfg(feature = "hub")]
fn dataset(id: &str, file: &str, bar: &Bar) -> Result<PathBuf, Failure> {
    use tlora_checkpoint::hub::{HubId, RepositoryKind, resolve_file};

    let parsed = HubId::of_kind(RepositoryKind::Dataset, id)
        .map_err(|error| Failure::unknown(format!("{id} is no data set")).caused_by(error))?;
    let found = resolve_file(&parsed, file, &hub_options()?, &Download::new(bar));
    let found = found.map_err(|error| {
        Failure::unknown(format!("{file} of {id} cannot be had from the hub")).caused_by(error)
    })?;
    Ok(found.directory.join(file))
}

fn hub_options() -> Result<HubOptions, Failure> {
    HubOptions::from_env().map_err(|error| {
        Failure::unknown("the settings of the hub are not usable").caused_by(error)
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
