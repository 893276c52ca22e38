//! The run directory: what `docs/run-directory.md` defines, and what one wants to look at.
//!
//! Nothing in it depends on the clock but `timing.jsonl`, so that two runs of one configuration leave the same bytes. A resumed
//! run cuts every log back to where the checkpoint was.

use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::TrainError;
use crate::data::hexadecimal;
use crate::evaluate::{Evaluation, Result as EvaluationResult, Scored};

/// Logs that grow step by step. All but the last are the same in every run of a configuration.
const LOGS: [&str; 5] = [
    "steps.jsonl",
    "metrics.jsonl",
    "samples.jsonl",
    "evaluations.jsonl",
    "timing.jsonl",
];

/// An open run directory.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    logs: BTreeMap<&'static str, fs_err::File>,
    /// SHA-256 of the last line of steps.jsonl, or of config.toml.
    previous: String,
}

/// Lengths of the logs at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogPosition {
    lengths: BTreeMap<String, u64>,
    previous: String,
}

impl RunDirectory {
    /// Makes a new directory with its configuration.
    ///
    /// # Errors
    /// It exists, or cannot be written.
    pub fn create(path: &Path, config: &str) -> Result<Self, TrainError> {
        if let Err(error) = fs_err::create_dir(path) {
            return Err(match error.kind() {
                std::io::ErrorKind::AlreadyExists => TrainError::Directory {
                    path: path.to_owned(),
                    reason: "exists".to_owned(),
                },
                _ => error.into(),
            });
        }
        write(&path.join("config.toml"), config.as_bytes())?;
        let mut run = Self {
            path: path.to_owned(),
            logs: BTreeMap::new(),
            previous: hexadecimal(&Sha256::digest(config.as_bytes())),
        };
        run.open_logs()?;
        Ok(run)
    }

    /// Opens a directory again, with its logs cut back to a position.
    ///
    /// # Errors
    /// A log is shorter than it was then, or cannot be written.
    pub fn resume(path: &Path, position: &LogPosition) -> Result<Self, TrainError> {
        let mut run = Self {
            path: path.to_owned(),
            logs: BTreeMap::new(),
            previous: position.previous.clone(),
        };
        run.open_logs()?;
        for (name, log) in &mut run.logs {
            let wanted = position.lengths.get(*name).copied().unwrap_or(0);
            let found = log.metadata()?.len();
            if found < wanted {
                return Err(TrainError::Directory {
                    path: path.join(name),
                    reason: format!("{found} bytes, and there were {wanted} at the checkpoint"),
                });
            }
            log.set_len(wanted)?;
            log.seek(SeekFrom::End(0))?;
        }
        Ok(run)
    }

    fn open_logs(&mut self) -> Result<(), TrainError> {
        for name in LOGS {
            let mut options = fs_err::OpenOptions::new();
            let path = self.path.join(name);
            let mut log = options
                .create(true)
                .write(true)
                .truncate(false)
                .open(path)?;
            log.seek(SeekFrom::End(0))?;
            self.logs.insert(name, log);
        }
        Ok(())
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the logs are now, on the disk.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn position(&self) -> Result<LogPosition, TrainError> {
        let mut lengths = BTreeMap::new();
        for (name, log) in &self.logs {
            log.sync_data()?;
            lengths.insert((*name).to_owned(), log.metadata()?.len());
        }
        Ok(LogPosition {
            lengths,
            previous: self.previous.clone(),
        })
    }

    fn append(&mut self, log: &'static str, record: &impl Serialize) -> Result<String, TrainError> {
        let line = serde_json::to_string(record)?;
        if let Some(log) = self.logs.get_mut(log) {
            log.write_all(format!("{line}\n").as_bytes())?;
        }
        Ok(line)
    }

    /// v after a step; step 0 is before training. See `docs/run-directory.md`.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn step(
        &mut self,
        step: u64,
        v: &[f32],
        work: Option<(&[String], &[String], &[f64])>,
    ) -> Result<(), TrainError> {
        let bytes: Vec<u8> = v.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut record = json!({
            "step": step, "previous": self.previous, "v": hexadecimal(&bytes),
        });
        if let Some((batch, rollouts, rewards)) = work {
            let hashes = rollouts.iter();
            let hashes: Vec<String> = hashes
                .map(|text| hexadecimal(&Sha256::digest(text.as_bytes())))
                .collect();
            record["batch"] = json!(batch);
            record["rollouts"] = json!(hashes);
            record["rewards"] = json!(rewards);
        }
        let line = self.append("steps.jsonl", &record)?;
        self.previous = hexadecimal(&Sha256::digest(line.as_bytes()));
        Ok(())
    }

    /// What was measured in a step.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn metrics(&mut self, metrics: &impl Serialize) -> Result<(), TrainError> {
        self.append("metrics.jsonl", metrics).map(drop)
    }

    /// A completion of a step.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn sample(&mut self, sample: &impl Serialize) -> Result<(), TrainError> {
        self.append("samples.jsonl", sample).map(drop)
    }

    /// How long a step took.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn timing(&mut self, timing: &impl Serialize) -> Result<(), TrainError> {
        self.append("timing.jsonl", timing).map(drop)
    }

    /// An evaluation: a line for each way of counting, and the records of its items.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn evaluation(
        &mut self,
        step: u64,
        kind: &str,
        ids: &[String],
        evaluation: &Evaluation,
    ) -> Result<EvaluationResult, TrainError> {
        let result = evaluation.result();
        self.counted(step, &format!("{kind}-strict"), ids, evaluation, |scored| {
            scored.strict.reward
        })?;
        if result.lenient.is_some() {
            self.counted(
                step,
                &format!("{kind}-lenient"),
                ids,
                evaluation,
                |scored| scored.lenient.as_ref().and_then(|score| score.reward),
            )?;
        }
        Ok(result)
    }

    fn counted(
        &mut self,
        step: u64,
        name: &str,
        ids: &[String],
        evaluation: &Evaluation,
        reward: impl Fn(&Scored) -> Option<f64>,
    ) -> Result<(), TrainError> {
        let file = format!("{name}-{step}.jsonl");
        let (mut lines, mut sum, mut items) = (String::new(), 0.0, 0_u32);
        let scores = evaluation.item_scores(reward);
        for ((id, completions), score) in ids.iter().zip(&evaluation.completions).zip(scores) {
            let Some(score) = score else { continue };
            let text: Vec<&str> = completions.iter().map(|scored| &*scored.text).collect();
            let output = hexadecimal(&Sha256::digest(text.join("\0").as_bytes()));
            let line = json!({ "item": id, "output": output, "score": score });
            lines.push_str(&line.to_string());
            lines.push('\n');
            sum += score;
            items += 1;
        }
        if items == 0 {
            return Ok(());
        }
        let directory = self.path.join("evaluations");
        fs_err::create_dir_all(&directory)?;
        write(&directory.join(&file), lines.as_bytes())?;
        let record = json!({
            "name": name, "step": step, "score": sum / f64::from(items), "items": items, "dataset": "eval",
            "records": file,
        });
        self.append("evaluations.jsonl", &record).map(drop)
    }

    /// A whole file of the directory, which appears at once.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        write(&self.path.join(name), bytes)
    }
}

/// Writes a file under a temporary name, and renames it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    // Temporary files are private; these are as readable as others.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let readable = std::fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(readable)?;
    }
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
