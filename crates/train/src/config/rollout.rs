//! `[rollout]`: how completions are sampled, and by whom.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which engine samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineSetting {
    /// The one in this process.
    #[default]
    Native,
    /// vLLM servers.
    Vllm,
}

/// `[rollout]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolloutSettings {
    /// Problems of a step.
    pub prompts_per_step: usize,
    /// Completions of each.
    pub samples_per_prompt: usize,
    /// What logits are divided by.
    pub temperature: f64,
    /// Nucleus; 1 is everything.
    pub top_p: f64,
    /// Most probable tokens; 0 is all.
    pub top_k: usize,
    /// Tokens of a completion at most.
    pub max_new_tokens: usize,
    /// Completions that run at once.
    pub slots: usize,
    /// Further problems are sampled in place of groups without a difference, at most so many times; 0 never.
    pub resample: usize,
    /// Which engine samples.
    pub engine: EngineSetting,
    /// The servers, if they do.
    pub vllm: VllmSettings,
}

/// `[rollout.vllm]`: where the servers are and how they are spoken to. A run is the same run with other servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VllmSettings {
    /// Addresses of independent `vllm serve` processes.
    pub servers: Vec<String>,
    /// What the servers call the base; empty takes the first name that they have.
    pub model: String,
    /// Where adapters are written for the servers to read, the same path for all; empty is `published` in the run directory.
    pub directory: PathBuf,
    /// The environment variable that holds the API key; empty for servers without one.
    pub api_key_env: String,
    /// Samples that each server draws at once at most.
    pub concurrency: usize,
    /// Versions of the weights that servers keep.
    pub keep: usize,
    /// How far the servers' log-probabilities may move otherwise than the learner's, in nats on average; 0 measures it at the start.
    pub tolerance: f64,
    /// Seconds that a completion may take before its server is given up.
    pub sample_seconds: u64,
    /// Seconds that any other request may take.
    pub control_seconds: u64,
    /// How often a request is tried again.
    pub retries: u32,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        Self {
            prompts_per_step: 8,
            samples_per_prompt: 8,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_new_tokens: 256,
            slots: 32,
            resample: 0,
            engine: EngineSetting::default(),
            vllm: VllmSettings::default(),
        }
    }
}

impl Default for VllmSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            model: String::new(),
            directory: PathBuf::new(),
            api_key_env: String::new(),
            concurrency: 64,
            keep: 2,
            tolerance: 0.0,
            sample_seconds: 1800,
            control_seconds: 300,
            retries: 4,
        }
    }
}
