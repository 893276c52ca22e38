//! A version of the weights as a directory that servers read: the adapter multiplied out as a LoRA, or the merged checkpoint.

use std::path::{Path, PathBuf};

use tlora_checkpoint::Checkpoint;
use tlora_convert::{ExportFormat, ExportOptions, export};
use tlora_format::{Adapter, Precision};
use tlora_merge::{MergeOptions, merge};
use tlora_rebuild::Run;
use tlora_train::TrainError;
use tlora_vllm::MergedDirectory;

use super::error::{EngineError, failed};

/// Writes directories under one that all servers see. Each appears whole or not at all.
pub(crate) struct Weights<'a> {
    pub(crate) checkpoint: &'a Checkpoint,
    /// The base as its user calls it.
    pub(crate) base: &'a str,
    pub(crate) run: Run<'a>,
    pub(crate) directory: PathBuf,
    /// The adapter with a v.
    pub(crate) adapter: &'a dyn Fn(&[f32]) -> Result<Adapter, TrainError>,
}

impl Weights<'_> {
    /// Makes the directory, if it is not there.
    pub(super) fn make_directory(&self) -> Result<(), TrainError> {
        fs_err::create_dir_all(&self.directory).map_err(|source| {
            failed(EngineError::Directory {
                path: self.directory.display().to_string(),
                source,
            })
        })
    }

    /// Removes the directory, if there is nothing in it.
    pub(super) fn remove_directory(&self) {
        // What is in it was not written here, or is named in a warning already.
        fs_err::remove_dir(&self.directory).ok();
    }

    /// The adapter as a LoRA. It is written in f32; servers round it to the type of their base.
    pub(super) fn lora(&self, name: &str, v: &[f32]) -> Result<PathBuf, TrainError> {
        let path = self.directory.join(name);
        let options = ExportOptions {
            format: ExportFormat::PeftLora {
                dtype: Precision::F32,
                pad_rank: None,
            },
            base_name: self.base,
            revision: None,
            force: false,
        };
        let adapter = (self.adapter)(v)?;
        export(self.checkpoint, &adapter, &path, &options, &self.run).map_err(failed)?;
        Ok(path)
    }

    /// The whole checkpoint with the adapter merged, in the types of the base, checked as a server needs it.
    pub(super) fn merged(&self, name: &str, v: &[f32]) -> Result<MergedDirectory, TrainError> {
        let path = self.directory.join(name);
        let options = MergeOptions {
            dtype: None,
            force: false,
        };
        let adapter = (self.adapter)(v)?;
        merge(self.checkpoint, &[adapter], &path, &options, &self.run).map_err(failed)?;
        MergedDirectory::verify(&path, self.checkpoint.dir()).map_err(failed)
    }
}

/// Removes a directory that no server reads any more.
pub(super) fn remove(path: &Path) -> Result<(), String> {
    fs_err::remove_dir_all(path).map_err(|error| error.to_string())
}
