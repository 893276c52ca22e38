//! The files of a run directory, whole or line by line, and never more than fits.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::RunError;
use crate::json;

/// The most bytes of a file that is read whole.
const WHOLE_LIMIT: u64 = 1 << 20;
/// The most bytes of a line.
const LINE_LIMIT: u64 = 1 << 20;

/// A file's name and SHA-256.
pub(super) type FileDigest = (String, [u8; 32]);

/// A file in memory.
pub(super) struct Whole {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: [u8; 32],
}

impl Whole {
    pub(super) fn name_and_digest(&self) -> FileDigest {
        (self.name.to_owned(), self.sha256)
    }
}

pub(super) fn whole(directory: &Path, name: &'static str) -> Result<Whole, RunError> {
    let mut bytes = Vec::new();
    open(&directory.join(name))?
        .take(WHOLE_LIMIT + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > WHOLE_LIMIT {
        return Err(RunError::TooLarge {
            file: name.to_owned(),
            limit: WHOLE_LIMIT,
        });
    }
    let sha256 = Sha256::digest(&bytes).into();
    Ok(Whole {
        name,
        bytes,
        sha256,
    })
}

/// A file of one JSON document a line. Each line ends with a newline, the last one too.
pub(super) struct Lines {
    name: String,
    reader: BufReader<File>,
    number: u64,
    all: Sha256,
}

/// One line.
pub(super) struct Line<T> {
    pub(super) number: u64,
    pub(super) value: T,
    /// Of its bytes without the newline.
    pub(super) sha256: [u8; 32],
}

impl Lines {
    pub(super) fn open(directory: &Path, name: String) -> Result<Self, RunError> {
        let reader = BufReader::new(open(&directory.join(&name))?);
        Ok(Self {
            name,
            reader,
            number: 0,
            all: Sha256::new(),
        })
    }

    /// The name for messages: the file and the line that was read last.
    pub(super) fn place(&self) -> String {
        format!("line {} of {}", self.number, self.name)
    }

    /// The next line, or none at the end.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<Line<T>>, RunError> {
        let mut bytes = Vec::new();
        self.reader
            .by_ref()
            .take(LINE_LIMIT + 1)
            .read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        let (file, line) = (self.name.clone(), self.number);
        if bytes.len() as u64 > LINE_LIMIT {
            return Err(RunError::LineTooLong {
                file,
                line,
                limit: LINE_LIMIT,
            });
        }
        self.all.update(&bytes);
        // A line that lacks its newline was cut off in the middle of a write.
        let text = bytes.strip_suffix(b"\n").ok_or_else(|| RunError::Field {
            file: self.place(),
            field: "the end",
            found: String::new(),
            wanted: "a newline",
        })?;
        let value = json::parse(text).and_then(json::typed);
        let value = value.map_err(|source| RunError::Line { file, line, source })?;
        Ok(Some(Line {
            number: self.number,
            value,
            sha256: Sha256::digest(text).into(),
        }))
    }

    /// The digest of the whole file, once all lines are read.
    pub(super) fn finish(self) -> FileDigest {
        (self.name, self.all.finalize().into())
    }
}

/// Whether there is something of this name.
pub(super) fn exists(directory: &Path, name: &str) -> bool {
    fs_err::symlink_metadata(directory.join(name)).is_ok()
}

fn open(path: &Path) -> Result<File, RunError> {
    // Looked at before it is opened, since opening a FIFO waits; a link could lead out of the directory.
    if !fs_err::symlink_metadata(path)?.is_file() {
        return Err(RunError::NotAFile(PathBuf::from(path)));
    }
    Ok(File::open(path)?)
}
