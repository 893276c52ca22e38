//! Where samples come from: this process, or vLLM servers.
//!
//! - [`vllm`]: the servers behind the trait that the trainer knows.
//! - [`weights`]: a version of the weights as a directory that servers read.
//! - [`proof`]: what servers have to say under given weights.
//! - [`telling`]: what is said and recorded of servers.

mod error;
mod proof;
mod telling;
mod vllm;
mod weights;

use std::time::Duration;

use tlora_train::config::VllmSettings;
use tlora_vllm::{Connect, FleetSettings};

pub(crate) use proof::{Learner, probe};
pub(crate) use vllm::{Job, VllmRollouts};
pub(crate) use weights::Weights;

/// How the servers of a configuration are reached. Adapters get names that no process has used before.
fn fleet_settings(settings: &VllmSettings, name: String) -> FleetSettings {
    let given = |text: &String| (!text.is_empty()).then(|| text.clone());
    FleetSettings {
        servers: settings.servers.clone(),
        model: given(&settings.model),
        name,
        concurrency: settings.concurrency,
        connect: Connect {
            api_key_env: given(&settings.api_key_env),
            sample_timeout: Duration::from_secs(settings.sample_seconds),
            control_timeout: Duration::from_secs(settings.control_seconds),
            retries: settings.retries,
            ..Connect::default()
        },
    }
}
