//! The runs of a sweep, and how far each of them is.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tlora_train::{RunConfig, State};

use super::vary::{Combination, combinations};
use crate::arguments::SweepOptions;
use crate::commands::train::resolve;
use crate::explain::training;
use crate::failure::Failure;

/// A run that is wanted.
pub(super) struct Planned {
    pub(super) combination: Combination,
    pub(super) config: RunConfig,
    pub(super) directory: PathBuf,
    /// How far it was when the sweep began.
    pub(super) stage: Stage,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    /// It began, and has no checkpoint.
    Barely,
    /// It has a checkpoint to go on from.
    Interrupted,
    Finished,
}

impl Stage {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::New | Self::Barely => "new",
            Self::Interrupted => "interrupted",
            Self::Finished => "finished",
        }
    }
}

/// The runs of the options. All settings are checked before the first run begins.
pub(super) fn all(options: &SweepOptions) -> Result<Vec<Planned>, Failure> {
    let combinations = combinations(&options.vary).map_err(Failure::unknown)?;
    let planned = |combination: Combination| {
        let name = combination.name();
        let config = resolve(&options.configuration, None, &combination.overrides())
            .map_err(|failure| failure.fact("run", &name))?;
        let directory = options.output.join(&name);
        let stage = stage(&directory, &config)?;
        Ok(Planned {
            combination,
            config,
            directory,
            stage,
        })
    };
    combinations.into_iter().map(planned).collect()
}

fn stage(directory: &Path, config: &RunConfig) -> Result<Stage, Failure> {
    if !directory.exists() {
        return Ok(Stage::New);
    }
    let found = fs_err::read_to_string(directory.join("config.toml"))
        .map_err(|error| Failure::unknown("a run cannot be read").caused_by(error))?;
    if found != config.resolved().map_err(training)? {
        return Err(Failure::unknown(format!(
            "{} is a run with other settings",
            directory.display()
        ))
        .hint("choose another directory for this sweep, or remove that one"));
    }
    if let Some(result) = result(directory)
        && result["ending"] != "interrupted"
    {
        return Ok(Stage::Finished);
    }
    Ok(match State::newest(directory).map_err(training)? {
        Some(_) => Stage::Interrupted,
        None => Stage::Barely,
    })
}

/// `result.json` of a run, if it is there and whole.
fn result(directory: &Path) -> Option<Value> {
    let bytes = fs_err::read(directory.join("result.json")).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Planned {
    /// Removes what a run left that was ended before its first checkpoint: logs of nothing.
    pub(super) fn make_room(&self) -> Result<(), Failure> {
        if self.stage != Stage::Barely {
            return Ok(());
        }
        fs_err::remove_dir_all(&self.directory)
            .map_err(|error| Failure::unknown("a run cannot be begun again").caused_by(error))
    }
}
