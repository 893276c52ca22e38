//! Small checkpoints, written by code that shares nothing with the crate's writer.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tlora_checkpoint::{Checkpoint, CheckpointError};

/// A safetensors file of these header bytes and data.
pub(crate) fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        data,
    ]
    .concat()
}

/// A tensor: name, dtype, shape and data.
pub(crate) type Tensor<'a> = (&'a str, &'a str, &'a [u64], Vec<u8>);

/// A safetensors file of these tensors, in this order.
pub(crate) fn tensors(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (name, dtype, shape, bytes) in tensors {
        let begin = data.len();
        data.extend(bytes);
        let end = data.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
    }
    file(&format!("{{{}}}", entries.join(",")), &data)
}

/// The two tensors that most tests use, in an order that is not that of their names.
pub(crate) fn two() -> [Tensor<'static>; 2] {
    [
        ("b.weight", "BF16", &[2, 3], (0..12).collect()),
        ("a", "F32", &[2], (100..108).collect()),
    ]
}

/// A temporary checkpoint directory.
pub(crate) struct Model {
    dir: TempDir,
}

impl Model {
    /// A directory with these files.
    pub(crate) fn with(files: &[(&str, &[u8])]) -> Self {
        let model = Self {
            dir: tempfile::tempdir().expect("a temporary directory"),
        };
        for (name, bytes) in files {
            model.write(name, bytes);
        }
        model
    }

    /// An unsharded checkpoint of these tensors.
    pub(crate) fn of(list: &[Tensor<'_>]) -> Self {
        Self::with(&[("model.safetensors", &tensors(list))])
    }

    /// A checkpoint of bf16 matrices, 2 × 2, of these names.
    pub(crate) fn of_matrices<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let list: Vec<Tensor<'a>> = names
            .into_iter()
            .map(|name| (name, "BF16", &[2, 2][..], vec![0; 8]))
            .collect();
        Self::of(&list)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs_err::write(self.path().join(name), bytes).expect("a file in the temporary directory");
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn try_open(&self) -> Result<Checkpoint, CheckpointError> {
        Checkpoint::open(self.path())
    }

    pub(crate) fn open(&self) -> Checkpoint {
        self.try_open().expect("a valid checkpoint")
    }
}

/// The message of an error and of its causes.
pub(crate) fn message(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
