//! The files beside the weights: those that a merge writes, and nothing else.

use std::io::{self, BufRead, Read};
use std::path::Path;

use fs_err::File;
use tlora_basis::WeightDtype;
use tlora_checkpoint::{Checkpoint, Companions, can_be_code, companion_files};

use crate::config::with_dtype;
use crate::layout::Layout;
use crate::merge::{CONFIG, INDEX, changed_dtype};
use crate::{MergeError, MergeRecord, RECORD};

/// The most bytes that are read of a small file.
const MAX_SMALL: u64 = 100_000_000;
/// What hubs put beside a model, and no loader reads.
const HARMLESS: [&str; 2] = ["README.md", ".gitattributes"];

/// A file that is not as a merge writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    /// Its name in the directory.
    pub name: String,
    /// What is wrong with it.
    pub fault: FileFault,
}

/// What is wrong with a file of a merged checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFault {
    /// It is not there.
    Missing,
    /// A merge writes no such file.
    Unexpected,
    /// A merge writes no such file, and it is a program or can contain one.
    Code,
    /// Its bytes are others.
    Changed,
    /// A configuration that names Python code to run (`auto_map`), which that of the base does not.
    NamesCode,
    /// The merge record speaks of another base, adapter or result.
    OtherMerge,
}

impl std::fmt::Display for FileFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "missing",
            Self::Unexpected => "unexpected file",
            Self::Code => "unexpected file, which is a program or can contain one",
            Self::Changed => "not as a merge writes it",
            Self::NamesCode => "names Python code to run (auto_map), which the base does not",
            Self::OtherMerge => "the record of another merge",
        })
    }
}

/// All files that are not as a merge writes them, sorted by name.
pub(super) fn differences(
    checkpoint: &Checkpoint,
    merged: &Checkpoint,
    layout: &Layout,
    dtype: Option<WeightDtype>,
    record: &MergeRecord,
) -> Result<Vec<FileDifference>, MergeError> {
    let companions = companion_files(checkpoint)?;
    let there = |name: &str| merged.dir().join(name);
    let mut faults = Faults::default();
    for file in &companions.copied {
        let fault = match changed_dtype(checkpoint, layout, dtype).filter(|_| file.name == CONFIG) {
            Some(dtype) => {
                let config = with_dtype(checkpoint.config()?.members().clone(), dtype);
                compare_bytes(&there(CONFIG), &config)?
            }
            None => compare_files(&there(&file.name), &file.path)?,
        };
        let names_code = file.name == CONFIG && names_code(merged) && !companions.needs_remote_code;
        faults.add(
            &file.name,
            fault.map(|fault| {
                if names_code {
                    FileFault::NamesCode
                } else {
                    fault
                }
            }),
        );
    }
    if checkpoint.has_index() {
        faults.add(
            INDEX,
            compare_bytes(&there(INDEX), &layout.index(checkpoint))?,
        );
    }
    let other = is_of_another_merge(&there(RECORD), record)?;
    faults.add(RECORD, other.then_some(FileFault::OtherMerge));
    for entry in fs_err::read_dir(merged.dir())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !is_expected(checkpoint, &companions, &name) {
            let code = can_be_code(&name);
            faults.add(
                &name,
                Some(if code {
                    FileFault::Code
                } else {
                    FileFault::Unexpected
                }),
            );
        }
    }
    faults.0.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(faults.0)
}

#[derive(Default)]
struct Faults(Vec<FileDifference>);

impl Faults {
    fn add(&mut self, name: &str, fault: Option<FileFault>) {
        let name = name.to_owned();
        self.0
            .extend(fault.map(|fault| FileDifference { name, fault }));
    }
}

/// Whether a merge writes a file of that name, or a hub puts it there.
fn is_expected(checkpoint: &Checkpoint, companions: &Companions, name: &str) -> bool {
    checkpoint.shards().iter().any(|shard| shard.name() == name)
        || (checkpoint.has_index() && name == INDEX)
        || companions.copied.iter().any(|file| file.name == name)
        || name == RECORD
        || HARMLESS.contains(&name)
}

/// A configuration that cannot be read was found to differ already.
fn names_code(merged: &Checkpoint) -> bool {
    merged
        .config()
        .is_ok_and(|config| config.needs_remote_code())
}

/// Whether there is a record, and it is not that of this merge. Only what identifies a merge is compared: other versions
/// of the program may report other sums.
fn is_of_another_merge(path: &Path, record: &MergeRecord) -> Result<bool, MergeError> {
    let Some(bytes) = small(path)? else {
        return Ok(false);
    };
    let Ok(found) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Ok(true);
    };
    let wanted = serde_json::to_value(record)?;
    let adapters = |record: &serde_json::Value| -> Vec<serde_json::Value> {
        let list = record["adapters"].as_array();
        list.into_iter()
            .flatten()
            .map(|adapter| adapter["blake3"].clone())
            .collect()
    };
    Ok(found["base"] != wanted["base"]
        || found["merged"] != wanted["merged"]
        || adapters(&found) != adapters(&wanted))
}

/// The bytes of a regular file; none if there is nothing of that name, or something else.
fn small(path: &Path) -> Result<Option<Vec<u8>>, MergeError> {
    let Some(file) = open(path)? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    file.take(MAX_SMALL).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Opens a regular file. Before that it is looked at: opening a FIFO would wait for a writer.
fn open(path: &Path) -> Result<Option<File>, MergeError> {
    match fs_err::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(File::open(path)?)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn compare_bytes(path: &Path, wanted: &[u8]) -> Result<Option<FileFault>, MergeError> {
    let Some(file) = open(path)? else {
        return Ok(Some(FileFault::Missing));
    };
    Ok((!equal(file, wanted)?).then_some(FileFault::Changed))
}

fn compare_files(path: &Path, wanted: &Path) -> Result<Option<FileFault>, MergeError> {
    let Some(file) = open(path)? else {
        return Ok(Some(FileFault::Missing));
    };
    let wanted = File::open(wanted)?;
    if file.metadata()?.len() != wanted.metadata()?.len() {
        return Ok(Some(FileFault::Changed));
    }
    Ok((!equal(file, wanted)?).then_some(FileFault::Changed))
}

/// Whether two readers give the same bytes.
fn equal(a: impl Read, b: impl Read) -> io::Result<bool> {
    let (mut a, mut b) = (io::BufReader::new(a), io::BufReader::new(b));
    loop {
        let (left, right) = (a.fill_buf()?, b.fill_buf()?);
        let both = left.len().min(right.len());
        if both == 0 {
            return Ok(left.len() == right.len());
        }
        if left[..both] != right[..both] {
            return Ok(false);
        }
        a.consume(both);
        b.consume(both);
    }
}
