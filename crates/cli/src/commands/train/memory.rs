//! Whether a run fits, before it begins.

#[cfg(feature = "cuda")]
use tlora_model::ModelError;
use tlora_model::{Compute, MemoryPlan, RunSizes};
use tlora_train::config::EngineSetting;
use tlora_train::evaluate::Task;
use tlora_train::{Policy, RunConfig, TrainError};

use crate::explain::training;
use crate::failure::Failure;

/// What the run will hold at once.
pub(super) fn plan(config: &RunConfig, policy: &Policy, tasks: &[Task]) -> MemoryPlan {
    let prompts = tasks.iter().map(|task| task.prompt.tokens.len());
    policy.decoder.memory_plan(RunSizes {
        // Servers have keys and values of their own.
        slots: match config.rollout.engine {
            EngineSetting::Native => config.rollout.slots,
            EngineSetting::Vllm => 0,
        },
        prompt: prompts.max().unwrap_or(1),
        completion: config
            .rollout
            .max_new_tokens
            .max(config.evaluation_tokens()),
        samples: config.rollout.samples_per_prompt,
        micro_batch: config.update.micro_batch_tokens,
    })
}

/// The weights are loaded already; the rest has to be available.
pub(super) fn ensure_fits(plan: &MemoryPlan, compute: &Compute) -> Result<(), Failure> {
    let needed = plan.peak() - plan.weights;
    let available = match compute {
        #[cfg(feature = "cuda")]
        Compute::Cuda { device, .. } => {
            let memory = device.memory();
            let memory = memory.map_err(|error| training(ModelError::from(error).into()))?;
            Some(memory.free)
        }
        _ => available(),
    };
    match available {
        Some(available) if needed > available => Err(training(TrainError::Memory {
            needed: needed / 1_000_000,
            available: available / 1_000_000,
        })
        .hint("rollout.slots, rollout.max_new_tokens and update.micro_batch_tokens say how much it is")),
        _ => Ok(()),
    }
}

/// Bytes of this machine that the system can give, where it says so.
fn available() -> Option<usize> {
    let text = fs_err::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kilobytes: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    kilobytes.checked_mul(1024)
}
