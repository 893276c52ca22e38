//! `config.json`: the few settings that matter here.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::CheckpointError;
use crate::source;

const FILE: &str = "config.json";

/// The most bytes of such a file. Public models have some kB.
const MAX_BYTES: u64 = 1_000_000;

/// The model configuration as transformers writes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    members: Map<String, Value>,
}

impl Config {
    pub(crate) fn read(dir: &Path) -> Result<Self, CheckpointError> {
        let members = read_json_object(dir, FILE)?.unwrap_or_default();
        Ok(Self { members })
    }

    /// All settings.
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The family of the model, such as `qwen2`.
    pub fn model_type(&self) -> Option<&str> {
        self.members.get("model_type")?.as_str()
    }

    /// The classes of the model, such as `Qwen2ForCausalLM`.
    pub fn architectures(&self) -> Vec<&str> {
        let list = self.members.get("architectures").and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    /// Whether transformers needs Python code that came with the model (`auto_map`).
    pub fn needs_remote_code(&self) -> bool {
        self.members.contains_key("auto_map")
    }

    /// The quantisation settings, if the model has any.
    pub(crate) fn quantisation(&self) -> Option<&Value> {
        self.members
            .get("quantization_config")
            .filter(|value| !value.is_null())
    }
}

/// The members of a JSON file of a directory that holds one object, if the file exists.
///
/// # Errors
/// The file is not a JSON object, no regular file of the directory, or cannot be read.
pub fn read_json_object(
    dir: &Path,
    name: &str,
) -> Result<Option<Map<String, Value>>, CheckpointError> {
    let Some(bytes) = source::read_json_file(dir, name, MAX_BYTES)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| CheckpointError::Json {
            file: dir.join(name),
            source,
        })
}

impl From<Map<String, Value>> for Config {
    fn from(members: Map<String, Value>) -> Self {
        Self { members }
    }
}
