//! The model of a run, with a new adapter.

use std::num::NonZeroU32;

use tlora_checkpoint::Checkpoint;
use tlora_format::{SigmaSide, TargetModules};
use tlora_merge::{Groups, Recipe, create};
use tlora_model::Compute;
use tlora_train::config::{AdapterSettings, SigmaSideSetting};
use tlora_train::{Policy, RunConfig};

use crate::environment::{Environment, warn_about};
use crate::explain::{Subject, training};
use crate::failure::Failure;

/// The model with a new adapter.
pub(super) fn load(
    config: &RunConfig,
    checkpoint: &Checkpoint,
    compute: Compute,
    environment: &Environment,
) -> Result<Policy, Failure> {
    let created = create(checkpoint, &recipe(&config.adapter), &environment.run());
    let subject = Subject {
        base: &config.model.base,
        adapters: &[],
    };
    let created = created.map_err(|error| subject.explain(error))?;
    warn_about(&created.notes);
    let run = environment.run();
    Policy::load(checkpoint, created.adapter, compute, &run, |_| ()).map_err(training)
}

fn recipe(settings: &AdapterSettings) -> Recipe {
    let groups = match (
        NonZeroU32::new(settings.n_tie),
        NonZeroU32::new(settings.groups),
    ) {
        (Some(modules), _) => Groups::Tie(modules),
        (None, Some(count)) => Groups::Count(count),
        (None, None) => Groups::Untied,
    };
    let targets =
        (!settings.targets.is_empty()).then(|| TargetModules::Suffixes(settings.targets.clone()));
    Recipe {
        rank: settings.rank,
        u: settings.u,
        groups,
        structured: settings.structured,
        targets,
        precision: tlora_train::precision(settings.precision),
        seed: settings.projection_seed,
        sigma_side: match settings.sigma_side {
            SigmaSideSetting::Left => SigmaSide::Left,
            SigmaSideSetting::Split => SigmaSide::Split,
            SigmaSideSetting::Right => SigmaSide::Right,
        },
        scale: settings.scale,
        v: None,
        text: std::collections::BTreeMap::new(),
    }
}
