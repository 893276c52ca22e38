//! A vector file: `key: value` lines, an empty line, the bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A vector file's parts.
#[derive(Debug, Clone)]
pub struct Vector {
    /// The lines before the empty one.
    pub values: BTreeMap<String, String>,
    /// The bytes after it.
    pub bytes: Vec<u8>,
}

impl Vector {
    /// Reads a vector file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let content = fs_err::read(path).map_err(|error| error.to_string())?;
        let end = content
            .windows(2)
            .position(|pair| pair == b"\n\n")
            .ok_or("a vector has no empty line")?;
        let header = str::from_utf8(&content[..end]).map_err(|error| error.to_string())?;
        let mut values = BTreeMap::new();
        for line in header.lines() {
            let (key, value) = line
                .split_once(": ")
                .ok_or_else(|| format!("{line:?} is no `key: value` line"))?;
            if values.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(format!("the key {key} occurs twice"));
            }
        }
        Ok(Self {
            values,
            bytes: content[end + 2..].to_vec(),
        })
    }

    /// The value of a key that must be there.
    pub fn value(&self, key: &str) -> Result<&str, String> {
        self.optional(key)
            .ok_or_else(|| format!("the vector has no key {key}"))
    }

    /// The value of a key.
    pub fn optional(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }
}

/// Names and paths of the files in a directory, sorted; panics if there is none, so that no test passes for want of files.
pub fn vectors(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs_err::read_dir(directory).expect("the directory of vectors is there");
    let mut files: Vec<(String, PathBuf)> = entries
        .map(|entry| entry.expect("the entry can be read"))
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} has no vectors", directory.display());
    files
}
