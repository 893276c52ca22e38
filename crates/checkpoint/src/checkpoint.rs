//! A checkpoint directory, opened: its shards, its tensors, and reads from them.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use fs_err::File;

use crate::config::Config;
use crate::error::{CheckpointError, HeaderError};
use crate::header::{LENGTH_BYTES, MAX_READ, header_length, parse_header};
use crate::index::{self, Index};
use crate::{Dtype, positioned, source};

/// The file of an unsharded checkpoint.
const SINGLE: &str = "model.safetensors";
/// The file that lists the shards.
pub(crate) const INDEX: &str = "model.safetensors.index.json";

/// A checkpoint directory whose headers are read and checked and whose files are held open.
#[derive(Debug)]
pub struct Checkpoint {
    dir: PathBuf,
    shards: Vec<Shard>,
    tensors: BTreeMap<String, TensorInfo>,
    has_index: bool,
}

/// One safetensors file of a checkpoint.
#[derive(Debug)]
pub struct Shard {
    name: String,
    file: File,
    stamp: Stamp,
}

/// A tensor of a checkpoint and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name in the header.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its dimensions, at most 8, the last one contiguous.
    pub shape: Vec<u64>,
    /// The number of its shard in [`Checkpoint::shards`].
    pub shard: usize,
    /// Where its data begins, from the first byte of the file.
    pub offset: u64,
    /// The size of its data in bytes.
    pub bytes: u64,
}

/// What shows that a file was written to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
}

impl Checkpoint {
    /// Opens a directory with `model.safetensors`, or with an index and its shards, and checks every header.
    ///
    /// # Errors
    /// The files break a rule of spec §9, are no regular files, or cannot be read.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, CheckpointError> {
        let dir = dir.into();
        if !fs_err::metadata(&dir)?.is_dir() {
            return Err(CheckpointError::NotADirectory(dir));
        }
        let index = source::read_json_file(&dir, INDEX, index::MAX_BYTES)?;
        let has_index = index.is_some();
        let (shards, tensors) = match index {
            Some(json) => open_indexed(&dir, &json)?,
            None => open_single(&dir)?,
        };
        let tensors = tensors
            .into_iter()
            .flatten()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        Ok(Self {
            dir,
            shards,
            tensors,
            has_index,
        })
    }

    /// Opens one safetensors file of a directory, of whatever name: the tensors of an adapter, say.
    ///
    /// # Errors
    /// As [`Checkpoint::open`]; [`CheckpointError::Io`] if there is no such file.
    pub fn open_file(dir: impl Into<PathBuf>, name: &str) -> Result<Self, CheckpointError> {
        let dir = dir.into();
        let (shard, tensors) = open_shard(&dir, name, 0)?;
        let tensors = tensors.into_iter();
        Ok(Self {
            dir,
            shards: vec![shard],
            tensors: tensors
                .map(|tensor| (tensor.name.clone(), tensor))
                .collect(),
            has_index: false,
        })
    }

    /// The directory as it was given.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The safetensors files, sorted by name.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// Whether the shards come from an index (which a merged checkpoint then has too).
    pub const fn has_index(&self) -> bool {
        self.has_index
    }

    /// All tensors by name.
    pub const fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// What `config.json` says; an empty object if there is none.
    ///
    /// # Errors
    /// The file is not a JSON object or cannot be read.
    pub fn config(&self) -> Result<Config, CheckpointError> {
        Config::read(&self.dir)
    }

    /// The real paths of the directory and its weight files, links resolved: what an output must not overwrite.
    ///
    /// # Errors
    /// A file is gone.
    pub fn real_paths(&self) -> Result<Vec<PathBuf>, CheckpointError> {
        let files = self.shards.iter().map(|shard| self.dir.join(&shard.name));
        let paths = std::iter::once(self.dir.clone()).chain(files);
        Ok(paths.map(fs_err::canonicalize).collect::<Result<_, _>>()?)
    }

    /// Fills `buffer` with the bytes of a tensor from `offset` on.
    ///
    /// # Errors
    /// [`CheckpointError::Changed`] if the file has become shorter; [`CheckpointError::PastTensor`] if the tensor has
    /// fewer bytes.
    pub fn read_at(
        &self,
        tensor: &TensorInfo,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), CheckpointError> {
        let shard = self.shards.get(tensor.shard);
        let fits = offset
            .checked_add(buffer.len() as u64)
            .is_some_and(|end| end <= tensor.bytes);
        let Some(shard) = shard.filter(|_| fits) else {
            let (tensor, bytes) = (tensor.name.clone(), tensor.bytes);
            return Err(CheckpointError::PastTensor {
                tensor,
                bytes,
                offset,
                len: buffer.len(),
            });
        };
        positioned::read_exact_at(&shard.file, buffer, tensor.offset + offset).map_err(|error| {
            match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    CheckpointError::Changed(shard.file.path().to_owned())
                }
                _ => error.into(),
            }
        })
    }

    /// Checks, after a pass over the weights, that no file was written to since it was opened.
    ///
    /// # Errors
    /// [`CheckpointError::Changed`] names the file.
    pub fn ensure_unchanged(&self) -> Result<(), CheckpointError> {
        for shard in &self.shards {
            if Stamp::of(&shard.file)? != shard.stamp {
                return Err(CheckpointError::Changed(shard.file.path().to_owned()));
            }
        }
        Ok(())
    }
}

impl Shard {
    /// The name of the file in the directory.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The open file, for copies that the system can make by itself.
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The length of the file in bytes.
    pub const fn len(&self) -> u64 {
        self.stamp.len
    }

    /// Whether the file has no bytes; never so, a header needs some.
    pub const fn is_empty(&self) -> bool {
        self.stamp.len == 0
    }
}

impl Stamp {
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        // Where the system keeps no such time the length alone must do.
        Ok(Self {
            len: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }

    pub(crate) const fn len(&self) -> u64 {
        self.len
    }
}

type Opened = (Vec<Shard>, Vec<Vec<TensorInfo>>);

fn open_single(dir: &Path) -> Result<Opened, CheckpointError> {
    match open_shard(dir, SINGLE, 0) {
        Ok((shard, tensors)) => Ok((vec![shard], vec![tensors])),
        Err(CheckpointError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(CheckpointError::NoWeights(dir.to_owned()))
        }
        Err(error) => Err(error),
    }
}

fn open_indexed(dir: &Path, json: &[u8]) -> Result<Opened, CheckpointError> {
    let fault = |fault| CheckpointError::Index {
        file: dir.join(INDEX),
        fault,
    };
    let index = Index::parse(json).map_err(fault)?;
    let names = index.shards().into_iter().enumerate();
    let opened: Vec<_> = names
        .map(|(number, name)| open_shard(dir, name, number))
        .collect::<Result<_, _>>()?;
    let (shards, tensors): Opened = opened.into_iter().unzip();
    index.check(&tensors).map_err(fault)?;
    Ok((shards, tensors))
}

fn open_shard(
    dir: &Path,
    name: &str,
    number: usize,
) -> Result<(Shard, Vec<TensorInfo>), CheckpointError> {
    let file = source::open(dir, name)?;
    let stamp = Stamp::of(&file)?;
    let tensors = read_header(&file, stamp.len)?
        .and_then(|header| parse_header(&header, stamp.len, number))
        .map_err(|fault| CheckpointError::Header {
            file: file.path().to_owned(),
            fault,
        })?;
    Ok((
        Shard {
            name: name.to_owned(),
            file,
            stamp,
        },
        tensors,
    ))
}

fn read_header(mut file: &File, len: u64) -> Result<Result<Vec<u8>, HeaderError>, CheckpointError> {
    let mut first = [0; 8];
    if len < LENGTH_BYTES {
        return Ok(Err(HeaderError::NoLength(len)));
    }
    file.read_exact(&mut first)?;
    let length = match header_length(first, len) {
        Ok(length) => length,
        Err(fault) => return Ok(Err(fault)),
    };
    if length > MAX_READ {
        return Err(CheckpointError::TooLarge {
            file: file.path().to_owned(),
            found: length,
            limit: MAX_READ,
        });
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    Ok(Ok(header))
}
