//! What a configuration has to be beyond its types.

use tlora_grpo::Correction;

use super::{EngineSetting, Method, RunConfig};
use crate::TrainError;

impl RunConfig {
    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting that is out of range.
    pub fn check(&self) -> Result<(), TrainError> {
        self.loss.check()?;
        self.optimizer.check()?;
        let rollout = &self.rollout;
        for (key, count) in [
            ("rollout.prompts_per_step", rollout.prompts_per_step),
            ("rollout.samples_per_prompt", rollout.samples_per_prompt),
            ("rollout.max_new_tokens", rollout.max_new_tokens),
            ("rollout.slots", rollout.slots),
            ("rollout.vllm.concurrency", rollout.vllm.concurrency),
            ("rollout.vllm.keep", rollout.vllm.keep),
            ("update.updates_per_step", self.update.updates_per_step),
            ("update.micro_batch_tokens", self.update.micro_batch_tokens),
        ] {
            require(key, count, (1..=1 << 24).contains(&count), "1 to 16777216")?;
        }
        let checks = [
            (
                "adapter.rank",
                f64::from(self.adapter.rank),
                (1.0, 64.0),
                "1 to 64",
            ),
            (
                "adapter.u",
                f64::from(self.adapter.u),
                (1.0, 65535.0),
                "1 to 65535",
            ),
            ("adapter.init", self.adapter.init, (0.0, 1e3), "0 to 1000"),
            (
                "rollout.temperature",
                rollout.temperature,
                (1e-3, 1e3),
                "0.001 to 1000; training needs more than one completion",
            ),
            (
                "rollout.top_p",
                rollout.top_p,
                (1e-6, 1.0),
                "more than 0, at most 1",
            ),
            (
                "evaluation.temperature",
                self.evaluation.temperature,
                (1e-3, 1e3),
                "0.001 to 1000",
            ),
            (
                "advantage.epsilon",
                self.advantage.epsilon,
                (0.0, 1.0),
                "0 to 1",
            ),
            ("guard.max_kl", self.guard.max_kl, (0.0, 1e9), "0 or more"),
            (
                "rollout.vllm.tolerance",
                rollout.vllm.tolerance,
                (0.0, 10.0),
                "0 to 10",
            ),
        ];
        for (key, value, (least, most), wanted) in checks {
            require(key, value, value >= least && value <= most, wanted)?;
        }
        let servers = &rollout.vllm.servers;
        require(
            "rollout.vllm.servers",
            format!("{servers:?}"),
            servers.is_empty() == (rollout.engine == EngineSetting::Native),
            "addresses with rollout.engine = \"vllm\" (--vllm-url sets both), and none without it",
        )?;
        let text = &self.prompt.text;
        require(
            "prompt.text",
            format!("{text:?}"),
            text.contains("{question}"),
            "a text with {question}",
        )?;
        let guarded = self.guard.max_kl == 0.0 || self.loss.beta > 0.0;
        require(
            "guard.max_kl",
            self.guard.max_kl,
            guarded,
            "0 while loss.beta is 0: no KL is computed then",
        )?;
        let samples = self.loss.correction != Correction::None
            || rollout.resample > 0
            || self.reward.shuffled;
        require(
            "method",
            "sft",
            !(self.method == Method::Sft && samples),
            "grpo with loss.correction, rollout.resample or reward.shuffled: they are about samples",
        )?;
        require(
            "checkpoint.every",
            self.checkpoint.every,
            self.checkpoint.every > 0,
            "1 or more",
        )
    }
}

fn require(key: &str, found: impl ToString, holds: bool, wanted: &str) -> Result<(), TrainError> {
    if holds {
        return Ok(());
    }
    Err(TrainError::Setting {
        key: key.to_owned(),
        found: found.to_string(),
        wanted: wanted.to_owned(),
    })
}
