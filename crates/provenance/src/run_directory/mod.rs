//! What a training run leaves behind, read strictly; docs/run-directory.md is its definition.

mod config;
mod error;
mod evaluations;
mod facts;
mod files;
mod metrics;
mod steps;

use std::path::Path;

use serde_json::{Map, Value};
use tlora_format::Adapter;

pub use error::RunError;
pub(crate) use evaluations::Evaluation;
pub(crate) use facts::Facts;

use files::FileDigest;
use steps::StepLog;

/// A run directory that was read and agrees with itself.
#[derive(Debug)]
pub struct RunDirectory {
    pub(crate) config: Map<String, Value>,
    pub(crate) facts: Facts,
    pub(crate) steps: StepLog,
    pub(crate) evaluations: Vec<Evaluation>,
    /// The files that were read, with their SHA-256.
    pub(crate) files: Vec<FileDigest>,
}

impl RunDirectory {
    /// Reads a run directory. Files that are not of the schema (checkpoints, plots) are not looked at.
    ///
    /// # Errors
    /// If a file is missing, too large, no regular file, not of the schema, or contradicts another.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let (config, facts) = (
            files::whole(path, "config.toml")?,
            files::whole(path, "provenance.json")?,
        );
        let mut files = vec![config.name_and_digest(), facts.name_and_digest()];
        let (settings, facts) = (config::parse(&config)?, Facts::parse(&facts)?);
        let (steps, digest) = StepLog::read(path, config.sha256, facts.adapter_step)?;
        files.push(("steps.jsonl".to_owned(), digest));
        let (evaluations, digests) = evaluations::read(path, &facts)?;
        files.extend(digests);
        files.extend(metrics::read(path)?);
        Ok(Self {
            config: settings,
            facts,
            steps,
            evaluations,
            files,
        })
    }

    /// Checks that an adapter is one that this run made: the same base, and the v of its step.
    pub(crate) fn check_made(&self, adapter: &Adapter) -> Result<(), RunError> {
        if adapter.base != self.facts.base.tmd1 {
            return Err(RunError::OtherBase {
                adapter: adapter.base,
                run: self.facts.base.tmd1,
            });
        }
        match adapter.precision.pack(&self.steps.v) {
            Ok(bits) if bits == adapter.v => Ok(()),
            _ => Err(RunError::OtherV {
                step: self.steps.step,
            }),
        }
    }
}
