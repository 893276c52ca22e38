//! A merged checkpoint that a server can survive. A bad directory kills vLLM's engine, and a missing tensor of a packed group is loaded
//! silently as whatever was there, so both are found here, by comparison with the base.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;
use serde_json::Value;

use crate::safetensors::{Shapes, shapes};

const INDEX: &str = "model.safetensors.index.json";

/// A directory with exactly the base's tensors, by name and shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedDirectory {
    path: PathBuf,
}

/// Why a directory is not sent to a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergedError {
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// config.json is missing or no JSON object.
    #[error("{} is no configuration of a model", path.display())]
    Config {
        /// The file.
        path: PathBuf,
    },
    /// A file is not a whole safetensors file.
    #[error("{} is broken: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// The index and the files do not fit.
    #[error("{} and the files beside it do not fit: {name}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// The file or tensor.
        name: String,
    },
    /// A tensor of the base is missing, has another shape, or there is one that the base does not have.
    #[error("{} has {found:?} for {name}, the base has {wanted:?}", path.display())]
    Tensor {
        /// The directory.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its shape.
        found: Option<Vec<u64>>,
        /// The base's.
        wanted: Option<Vec<u64>>,
    },
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

impl MergedDirectory {
    /// Checks a directory against the base that it was merged from.
    ///
    /// # Errors
    /// [`MergedError`]: files are missing, broken or too many, or tensors are not the base's.
    pub fn verify(path: &Path, base: &Path) -> Result<Self, MergedError> {
        let path = std::path::absolute(path)?;
        let config = path.join("config.json");
        let parsed: Option<Value> = serde_json::from_slice(&fs::read(&config)?).ok();
        if !parsed.is_some_and(|value| value.is_object()) {
            return Err(MergedError::Config { path: config });
        }
        let (found, wanted) = (tensors(&path)?, tensors(base)?);
        let names: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
        for name in names {
            let (found, wanted) = (found.get(name), wanted.get(name));
            if found != wanted {
                return Err(MergedError::Tensor {
                    path,
                    name: name.clone(),
                    found: found.cloned(),
                    wanted: wanted.cloned(),
                });
            }
        }
        Ok(Self { path })
    }

    /// The directory, absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// All tensors of all safetensors files, which have to be those of the index if there is one.
fn tensors(directory: &Path) -> Result<Shapes, MergedError> {
    let index_path = directory.join(INDEX);
    let misfit = |name: &str| MergedError::Index {
        path: index_path.clone(),
        name: name.to_owned(),
    };
    let mut all = Shapes::new();
    let mut places = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != "safetensors")
        {
            continue;
        }
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        for (name, shape) in shapes(&path)? {
            if all.insert(name.clone(), shape).is_some() {
                return Err(misfit(&format!("{name} is there twice")));
            }
            places.insert(name, file.clone());
        }
    }
    if !index_path.exists() {
        return Ok(all);
    }
    let index: Index = serde_json::from_slice(&fs::read(&index_path)?)
        .map_err(|_error| misfit("it is no index"))?;
    let names: BTreeSet<&String> = places.keys().chain(index.weight_map.keys()).collect();
    match names
        .into_iter()
        .find(|name| places.get(*name) != index.weight_map.get(*name))
    {
        Some(name) => Err(misfit(name)),
        None => Ok(all),
    }
}
