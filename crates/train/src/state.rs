//! Checkpoints of a run: v, the optimizer, the place in the data and in the logs. Together with the configuration and the data
//! they are all that the next step depends on, because random numbers follow from the seed and the step.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tlora_grpo::AdamState;

use crate::TrainError;
use crate::data::Cursor;
use crate::records::{LogPosition, write};

/// What a run needs to go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of this file.
    pub version: u32,
    /// BLAKE3 of the configuration and of the data: another run is not this one.
    pub run: String,
    /// Steps that are done.
    pub step: u64,
    /// Whether the evaluation of this step could not be made, and is to be made before the next one.
    pub evaluation_due: bool,
    /// v as f32 bits.
    pub v: Vec<u32>,
    /// The optimizer.
    pub adam: AdamState,
    /// The next problems.
    pub cursor: Cursor,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub since_best: u64,
    /// Where the logs are.
    pub logs: LogPosition,
}

/// The best evaluation so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Its step.
    pub step: u64,
    /// Its score, f64 bits.
    pub score: u64,
    /// v then, as f32 bits.
    pub v: Vec<u32>,
}

/// The version that this program writes.
pub(crate) const VERSION: u32 = 2;
const FILE: &str = "state.json";
const DIRECTORY: &str = "checkpoints";

/// v as bits.
#[must_use]
pub(crate) fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

/// v from bits.
#[must_use]
pub(crate) fn values(bits: &[u32]) -> Vec<f32> {
    bits.iter().map(|&bits| f32::from_bits(bits)).collect()
}

impl State {
    /// Writes a checkpoint with its adapter, and removes the oldest beyond `keep`; 0 keeps all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn save(&self, run: &Path, adapter: &[u8], keep: usize) -> Result<(), TrainError> {
        let directory = run.join(DIRECTORY).join(format!("step-{}", self.step));
        fs_err::create_dir_all(&directory)?;
        write(&directory.join("adapter.tlora"), adapter)?;
        // The state last: a checkpoint counts if it is there.
        let json = serde_json::to_vec(self)?;
        let digest = blake3::hash(&json).to_hex();
        write(
            &directory.join(FILE),
            format!("{}\n{digest}\n", String::from_utf8_lossy(&json)).as_bytes(),
        )?;
        let steps = steps(run)?;
        let old = steps
            .len()
            .saturating_sub(if keep == 0 { usize::MAX } else { keep });
        for &step in &steps[..old] {
            fs_err::remove_dir_all(run.join(DIRECTORY).join(format!("step-{step}")))?;
        }
        Ok(())
    }

    /// The newest whole checkpoint of a run directory, if there is one.
    ///
    /// # Errors
    /// The directory cannot be read, or the newest checkpoint is of a later version.
    pub fn newest(run: &Path) -> Result<Option<Self>, TrainError> {
        for step in steps(run)?.into_iter().rev() {
            let path = run.join(DIRECTORY).join(format!("step-{step}")).join(FILE);
            let Some(state) = read(&path)? else { continue };
            if state.version != VERSION {
                return Err(TrainError::Directory {
                    path,
                    reason: format!("version {}, wanted {VERSION}", state.version),
                });
            }
            return Ok(Some(state));
        }
        Ok(None)
    }
}

/// A state whose digest is right; none if the file is not there or not whole.
fn read(path: &PathBuf) -> Result<Option<State>, TrainError> {
    let text = match fs_err::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let whole = text
        .trim_end()
        .split_once('\n')
        .filter(|(json, digest)| *blake3::hash(json.as_bytes()).to_hex() == **digest);
    Ok(whole.and_then(|(json, _)| serde_json::from_str(json).ok()))
}

/// The steps that have a checkpoint directory, ascending.
fn steps(run: &Path) -> Result<Vec<u64>, TrainError> {
    let entries = match fs_err::read_dir(run.join(DIRECTORY)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut steps = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("step-"));
        steps.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    steps.sort_unstable();
    Ok(steps)
}
