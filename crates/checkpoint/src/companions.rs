//! The files beside the weights that a merged checkpoint needs too.
//!
//! An allow list: code and pickles never travel, and neither do other weights, which loaders would pick up.

use std::fmt;
use std::path::PathBuf;

use crate::checkpoint::INDEX;
use crate::error::CheckpointError;
use crate::{Checkpoint, source};

/// What is copied to a merged checkpoint, and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companions {
    /// The files that are copied, sorted by name.
    pub copied: Vec<Companion>,
    /// The others and why, sorted by name; the weights themselves are not listed.
    pub left_out: Vec<(String, LeftOut)>,
    /// Whether `config.json` names Python code (`auto_map`), which is left out: loading the merged checkpoint as it is
    /// then needs the code from the base.
    pub needs_remote_code: bool,
}

/// A file that is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Companion {
    /// Its name in the directory.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a file is not copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum LeftOut {
    /// A program, or a pickle, which can contain one.
    Code,
    /// Weights that are not part of the checkpoint.
    OtherWeights,
    /// A model card, which describes the base.
    DescribesBase,
    /// A directory, a device, or a link to outside of the checkpoint.
    NotAFile,
    /// Nothing that a loader reads.
    NotNeeded,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Code => "code, or a format that can contain code",
            Self::OtherWeights => "weights that are not part of the checkpoint",
            Self::DescribesBase => "describes the base model",
            Self::NotAFile => "not a file of the checkpoint",
            Self::NotNeeded => "not needed to load the model",
        })
    }
}

/// Sorts the files of a checkpoint directory into those that travel and those that do not.
///
/// # Errors
/// The directory or `config.json` cannot be read.
pub fn companion_files(checkpoint: &Checkpoint) -> Result<Companions, CheckpointError> {
    let (mut copied, mut left_out) = (Vec::new(), Vec::new());
    for entry in fs_err::read_dir(checkpoint.dir())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_weights =
            name == INDEX || checkpoint.shards().iter().any(|shard| shard.name() == name);
        if is_weights && (name != INDEX || checkpoint.has_index()) {
            continue;
        }
        match reason(&name) {
            Some(reason) => left_out.push((name, reason)),
            None => match source::resolve(checkpoint.dir(), &name) {
                Ok(path) => copied.push(Companion { name, path }),
                Err(_) => left_out.push((name, LeftOut::NotAFile)),
            },
        }
    }
    copied.sort_by(|a, b| a.name.cmp(&b.name));
    left_out.sort();
    Ok(Companions {
        copied,
        left_out,
        needs_remote_code: checkpoint.config()?.needs_remote_code(),
    })
}

/// Whether a file of that name is a program, or of a format that can contain one.
#[must_use]
pub fn can_be_code(name: &str) -> bool {
    reason(name) == Some(LeftOut::Code)
}

/// Why a file of that name stays behind, if it does.
pub(crate) fn reason(name: &str) -> Option<LeftOut> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "py" | "pyc" | "so" | "sh" | "bin" | "pt" | "pth" | "pkl" | "pickle" | "ckpt" => {
            return Some(LeftOut::Code);
        }
        "safetensors" | "gguf" | "onnx" | "h5" | "msgpack" => return Some(LeftOut::OtherWeights),
        _ => {}
    }
    if name.starts_with("README") {
        return Some(LeftOut::DescribesBase);
    }
    if travels(name) {
        None
    } else {
        Some(LeftOut::NotNeeded)
    }
}

fn travels(name: &str) -> bool {
    const NAMES: [&str; 12] = [
        "config.json",
        "generation_config.json",
        "tokenizer.model",
        "tekken.json",
        "spiece.model",
        "merges.txt",
        "special_tokens_map.json",
        "added_tokens.json",
        "chat_template.jinja",
        "preprocessor_config.json",
        "processor_config.json",
        "video_preprocessor_config.json",
    ];
    let between = |start, ends: &[&str]| {
        name.starts_with(start) && ends.iter().any(|end| name.ends_with(end))
    };
    NAMES.contains(&name)
        || between("tokenizer", &[".json"])
        || between("chat_template", &[".json", ".jinja"])
        || between("vocab.", &[".json", ".txt", ".bpe", ".model"])
        || name.ends_with(".tiktoken")
        || name.starts_with("LICENSE")
        || name.starts_with("NOTICE")
}
